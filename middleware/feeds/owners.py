"""The register of owners: every field of the shop's things has one feed that may write it, the merchant's tables say which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mappings.tables import Table, made_by
from mappings.wanted import Of, split_name
from middleware.feeds.feed import Feed
from middleware.observing import NOT_OWNED

if TYPE_CHECKING:
    from middleware.runtime import Runtime

Field = tuple[Of, str, str, str]
"""Kind, bundle ("*": any), name and language."""


def register(tables: Iterable[Table]) -> dict[str, dict[Field, str]]:
    """Owners by shop and field: the name of the feed's table."""
    owners: dict[str, dict[Field, str]] = {}
    for table in tables:
        for field in made_by(table):
            owners.setdefault(table.shop, {}).setdefault(field, table.name)
    return owners


def owned_twice(tables: Iterable[Table]) -> list[str]:
    """Every field that two tables feed, a line each."""
    wrong = []
    owners: dict[str, dict[Field, str]] = {}
    for table in tables:
        mine = owners.setdefault(table.shop, {})
        for of, bundle, name, language in dict.fromkeys(made_by(table)):
            same = [(of, bundle, name, language), (of, "*", name, language)]
            if bundle == "*":
                same += [one for one in mine if (one[0], *one[2:]) == (of, name, language)]
            owner = next((mine[one] for one in same if mine.get(one, table.name) != table.name), None)
            if owner:
                wrong.append(f"{table.name}: {name} of the {of} belongs to table {owner} already")
            mine.setdefault((of, bundle, name, language), table.name)
    return wrong


def fields_of(runtime: Runtime, row: Any) -> dict[str, Any]:
    """What is wanted of an item: the fields of its parts, each from its owner alone. What a feed brought before it lost a field, or
    its table, is left out and counted."""
    fields: dict[str, Any] = {}
    for name in sorted(row.parts):  # each field has one owner, so that the order decides nothing
        feed = runtime.feeds.get(tuple(name.split("/", 1)))  # type: ignore[call-overload]
        part: Mapping[str, Any] = row.parts[name]["fields"]
        kept = {field: value for field, value in part.items() if feed is not None and may_write(feed, row, field)}
        if len(kept) < len(part):
            NOT_OWNED.labels(row.shop, name).inc(len(part) - len(kept))
        fields |= kept
    return fields


def may_write(feed: Feed, row: Any, field: str) -> bool:
    """Whether a feed's table has this field of such an item."""
    of, language = Of(row.kind), feed.table.language
    if of is Of.TRANSLATION:
        of, language = split_name(row.parent)[0], row.key.rpartition("@")[2]
    return (of, field, language) in feed.writes
