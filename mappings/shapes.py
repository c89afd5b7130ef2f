"""The shape of a feed's records: how often each attribute that a table reads is there, and of which type; and when that changed.

A share that could be chance is no alarm: an attribute vanished when so many records without it would be seen less than once in a
million, had nothing changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mappings.attributes import at_path, used_paths
from mappings.tables import Table

ENOUGH = 10
"""Changed records of one page that can be an alarm at all."""
KNOWN = 20
"""Records before which nothing is known of a feed's shape."""
CHANCE = 1e-6
REMEMBERED = 10_000
"""Records after which older ones count half: a shape may change slowly."""

Counts = dict[str, int]
"""Type → records; "absent" is one of them."""


class Type(StrEnum):
    """What a value is."""

    ABSENT = "absent"
    NULL = "null"
    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Drift:
    """An attribute that is not what it was, and what seems to have become of it."""

    attribute: str
    what: str


def watched(table: Table) -> dict[str, tuple[str, ...]]:
    """What a table reads of a record, by its written name."""
    expressions = [expression for rule in table.rules for expression in rule_expressions(rule)]
    expressions += identity_expressions(table)
    expressions += [table.price_lists.source] if table.price_lists else []
    return {".".join(path): path for expression in expressions if expression for path in used_paths(expression)}


def rule_expressions(rule: Any) -> list[str]:
    """The expressions of one rule."""
    tax = [rule.tax.included, rule.tax.rate] if rule.tax else []
    return [one for one in (rule.source, rule.currency, *tax) if one]


def identity_expressions(table: Table) -> list[str]:
    """The expressions without which nothing of a record can be used."""
    return [one for one in (table.key, table.product, table.where, table.bundle.source, table.product_bundle.source) if one]


def counted(records: Iterable[Any], paths: Mapping[str, tuple[str, ...]]) -> dict[str, Counts]:
    """How often each path is of which type."""
    counts: dict[str, Counts] = {name: {} for name in paths}
    for record in records:
        for name, path in paths.items():
            kind = _type_at(record, path)
            counts[name][kind] = counts[name].get(kind, 0) + 1
    return counts


def drifts(known: Mapping[str, Counts], new: Mapping[str, Counts], records: Sequence[Any]) -> list[Drift]:
    """What changed between what is known and a page of changed records."""
    found = []
    for name, counts in new.items():
        before, count = known.get(name, {}), sum(counts.values())
        if sum(before.values()) < KNOWN or count < ENOUGH:
            continue
        if counts.get(Type.ABSENT, 0) == count:
            if _by_chance(before, Type.ABSENT, count) < CHANCE:
                found.append(Drift(name, _vanished(name, known, records)))
        elif retyped := _retyped(before, counts):
            found.append(Drift(name, retyped))
    return found


def is_back(before: Mapping[str, int], counts: Mapping[str, int]) -> bool:
    """Whether most of a page shows an attribute as it was before it drifted."""
    usual = _usual(before)
    return bool(usual) and 2 * counts.get(usual, 0) > sum(counts.values()) - counts.get(Type.NULL, 0)


def merged(known: Mapping[str, int], new: Mapping[str, int]) -> Counts:
    """What is known together with what is new."""
    halve = 2 if sum(known.values()) > REMEMBERED else 1
    return {kind: known.get(kind, 0) // halve + new.get(kind, 0) for kind in sorted({*known, *new})}


def _by_chance(before: Mapping[str, int], kind: str, count: int) -> float:
    """How probable so many of a kind in a row are, by the share that it had (one more than was seen: nothing is impossible)."""
    total = sum(before.values())
    return ((before.get(kind, 0) + 1) / (total + 1)) ** count if total else 1.0


def _retyped(before: Mapping[str, int], counts: Mapping[str, int]) -> str:
    present = {kind: count for kind, count in counts.items() if kind not in (Type.ABSENT, Type.NULL)}
    usual, count = _usual(before), sum(present.values())
    if not usual or count < ENOUGH or usual in present or len(present) != 1:
        return ""
    [kind] = present
    was_present = {k: c for k, c in before.items() if k not in (Type.ABSENT, Type.NULL)}
    return f"was {usual}, is {kind}" if _by_chance(was_present, kind, count) < CHANCE else ""


def _usual(before: Mapping[str, int]) -> str:
    present = {kind: count for kind, count in before.items() if kind not in (Type.ABSENT, Type.NULL)}
    return max(present, key=lambda kind: present[kind]) if present else ""


def _vanished(name: str, known: Mapping[str, Counts], records: Sequence[Any]) -> str:
    """That it vanished, and a new neighbour of its type that may be its new name."""
    *parent, last = name.split(".")
    usual = _usual(known[name])
    neighbours: dict[str, int] = {}
    for record in records:
        try:
            beside = at_path(record, tuple(parent))
        except KeyError:
            continue
        for key, value in beside.items() if isinstance(beside, Mapping) else ():
            path = ".".join([*parent, str(key)])
            if key != last and path not in known and type_of(value) == usual:
                neighbours[path] = neighbours.get(path, 0) + 1
    likely = [path for path, count in neighbours.items() if 2 * count > len(records)]
    return f"vanished; {' or '.join(sorted(likely)[:3])} may be its new name" if likely else "vanished"


def _type_at(record: Any, path: tuple[str, ...]) -> Type:
    try:
        return type_of(at_path(record, path))
    except KeyError:
        return Type.ABSENT


def type_of(value: Any) -> Type:
    """The type of a decoded value."""
    if value is None:
        return Type.NULL
    if isinstance(value, bool):
        return Type.BOOLEAN
    if isinstance(value, int | float | Decimal):
        return Type.NUMBER
    if isinstance(value, str):
        return Type.TEXT
    return Type.LIST if isinstance(value, list | tuple) else Type.OBJECT
