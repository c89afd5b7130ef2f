"""A feed: one kind of records of one connection with the table that maps them, and what a pull counts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import msgspec

from mappings.attributes import used_paths
from mappings.shapes import rule_expressions
from mappings.tables import Table, apply, made_by
from mappings.wanted import Of, Reject, Wanted
from middleware.errors import Unreadable
from middleware.ports import Record

_EXAMPLES = 5


class FeedFault(Exception):
    """A whole page fails the same way: the run stops, nothing of the page is kept."""


@dataclass(frozen=True)
class Feed:
    """One kind of records of one connection, its table, and what decodes it (`decode_record` of the connector). What reads a `paused`
    attribute is not written now."""

    connection: str
    kind: str
    table: Table
    decoder: Any
    paused: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{self.connection}/{self.kind}"

    def of(self, **values: Any) -> dict[str, Any]:
        """Values of a statement about this feed's records."""
        return {"connection": self.connection, "kind": self.kind, **values}

    @cached_property
    def version(self) -> bytes:
        """SHA-256 of the table: what was mapped with another one is mapped again."""
        return hashlib.sha256(msgspec.json.encode(msgspec.to_builtins(self.table), order="deterministic")).digest()

    @cached_property
    def paused_version(self) -> bytes:
        """The version of what is mapped while something is paused: it is mapped again afterwards, all else stays as it is."""
        return hashlib.sha256(self.version + "\n".join(sorted(self.paused)).encode()).digest() if self.paused else self.version

    @property
    def versions(self) -> list[bytes]:
        """What a record may have been mapped with to be as it should."""
        return [self.version, self.paused_version]

    @cached_property
    def active(self) -> Table:
        """The table without what is paused."""
        rules = tuple(rule for rule in self.table.rules if not self._is_paused(rule_expressions(rule)))
        lists = self.table.price_lists
        return replace(self.table, rules=rules, price_lists=None if lists and self._is_paused([lists.source]) else lists)

    @cached_property
    def paused_fields(self) -> list[str]:
        """Fields that keep the value that they had."""
        return sorted({rule.target for rule in self.table.rules if rule not in self.active.rules})

    def _is_paused(self, expressions: list[str]) -> bool:
        return any(".".join(path) in self.paused for one in expressions for path in used_paths(one))

    @cached_property
    def writes(self) -> frozenset[tuple[Of, str, str]]:
        """Kind, field and language of what its table feeds."""
        return frozenset((of, name, language) for of, _, name, language in made_by(self.table))

    def decoded(self, record: Record) -> Any:
        """A record as plain data, or a `Reject` when it cannot be read."""
        try:
            return self.decoder.decode_record(self.kind, record.raw)
        except Unreadable as error:
            return Reject("the record", f"cannot be read: {error}")

    def mapped(self, decoded: Any) -> Wanted | Reject | None:
        """What a decoded record wants of the shop."""
        return decoded if isinstance(decoded, Reject) else apply(self.active, decoded)


@dataclass(slots=True)
class Staged:
    """What a pull did so far; `examples` are a few of each. `skipped` are those that the table's `where` leaves out."""

    unchanged: int = 0
    created: int = 0
    updated: int = 0
    skipped: int = 0
    rejected: int = 0
    gone: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    def note(self, what: str, example: str) -> None:
        """Count one, and keep it as an example while there are few."""
        setattr(self, what, getattr(self, what) + 1)
        kept = self.examples.setdefault(what, [])
        if len(kept) < _EXAMPLES:
            kept.append(example)
