"""Rows on their way into `events`: one statement for a whole group, its parameters packed by hand.

psycopg looks at every element of a list to find out what it holds; these arrays say what they are, which halves a commit's cost.
Layout: https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES and `array_recv` of PostgreSQL.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar

import msgspec
from psycopg import sql
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.pq import Format


class Row(msgspec.Struct, frozen=True, gc=False):
    """One delivery on its way into `events` and `event_bodies`; `body` is sealed already."""

    connection: str
    delivery_id: str
    topic: str
    subject: str
    lane: str
    body: bytes
    occurred_at: datetime | None
    hint: bool
    correlation_id: str
    traceparent: str

    @property
    def identity(self) -> tuple[str, str]:
        return self.connection, self.delivery_id


class Waiter:
    """A request's rows, and what became of them: how many were new, or the error."""

    __slots__ = ("error", "kept", "rows")

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.kept = 0
        self.error: Exception | None = None


W = TypeVar("W", bound=Waiter)


def take(waiting: deque[W], batch: int) -> list[W]:
    """The next group: whoever waits, until its rows come to `batch`."""
    group: list[W] = []
    rows = 0
    while waiting and rows < batch:
        group.append(waiting.popleft())
        rows += len(group[-1].rows)
    return group


def parameters(group: Iterable[Waiter]) -> list[Any]:
    """The parameters of `INSERT` for a group: every delivery once, sorted, because unsorted writers deadlock each other."""
    rows = {row.identity: row for waiter in group for row in waiter.rows}
    ordered = [rows[identity] for identity in sorted(rows)]
    return [make([getattr(row, name) for row in ordered]) for name, make in _COLUMNS.items()]


def share(group: Iterable[Waiter], kept: Iterable[tuple[str, str]]) -> set[str]:
    """Tell each waiter how many of its rows are new; returns the lanes of all new ones."""
    new, lanes = set(kept), set[str]()
    for waiter in group:
        mine = [row for row in waiter.rows if row.identity in new]
        new.difference_update(row.identity for row in mine)
        waiter.kept = len({row.identity for row in mine})
        lanes.update(row.lane for row in mine)
    return lanes


class _Array(list[Any]):
    """A list for PostgreSQL whose elements are all of one type."""


class _Texts(_Array):
    pass


class _Bytes(_Array):
    pass


class _Times(_Array):
    pass


class _Truths(_Array):
    pass


_HEADER = struct.Struct("!IIIII").pack
_LENGTH = struct.Struct("!i").pack
_INSTANT = struct.Struct("!iq").pack
_TRUTH = {True: b"\0\0\0\1\1", False: b"\0\0\0\1\0"}
_NULL = _LENGTH(-1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class _ArrayDumper(Dumper):
    format = Format.BINARY
    element_oid: ClassVar[int]

    def dump(self, obj: _Array) -> bytes:
        return _HEADER(1, int(None in obj), self.element_oid, len(obj), 1) + b"".join(map(self.element, obj))

    def element(self, value: Any) -> bytes:
        return _LENGTH(len(value)) + bytes(value)


class _TextsDumper(_ArrayDumper):
    oid, element_oid = 1009, 25

    def element(self, value: str) -> bytes:
        raw = value.encode()
        return _LENGTH(len(raw)) + raw


class _BytesDumper(_ArrayDumper):
    oid, element_oid = 1001, 17


class _TimesDumper(_ArrayDumper):
    oid, element_oid = 1185, 1184

    def element(self, value: datetime | None) -> bytes:
        return _NULL if value is None else _INSTANT(8, (value - _EPOCH) // _MICROSECOND)


class _TruthsDumper(_ArrayDumper):
    oid, element_oid = 1000, 16

    def element(self, value: bool) -> bytes:
        return _TRUTH[value]


def adapt(connection: AdaptContext) -> None:
    """Teach a connection to send the arrays of `parameters`."""
    for kind, dumper in ((_Texts, _TextsDumper), (_Bytes, _BytesDumper), (_Times, _TimesDumper), (_Truths, _TruthsDumper)):
        connection.adapters.register_dumper(kind, dumper)  # type: ignore[union-attr]


_COLUMNS: dict[str, type[_Array]] = {
    "connection": _Texts,
    "delivery_id": _Texts,
    "topic": _Texts,
    "subject": _Texts,
    "lane": _Texts,
    "body": _Bytes,
    "occurred_at": _Times,
    "hint": _Truths,
    "correlation_id": _Texts,
    "traceparent": _Texts,
}
_TYPES = {_Texts: "text[]", _Bytes: "bytea[]", _Times: "timestamptz[]", _Truths: "bool[]"}
_EVENT = [name for name in _COLUMNS if name != "body"]

INSERT = (
    sql.SQL("""
WITH input AS MATERIALIZED (SELECT * FROM unnest({arrays}) AS t ({columns})),
kept AS (
  INSERT INTO events ({event}, kept_at, due_at)
  SELECT {event}, now(), now() FROM input ORDER BY connection, delivery_id
  ON CONFLICT (connection, delivery_id) DO NOTHING
  RETURNING id, connection, delivery_id, kept_at
), bodies AS (
  INSERT INTO event_bodies (event_id, kept_at, body)
  SELECT kept.id, kept.kept_at, input.body FROM kept JOIN input USING (connection, delivery_id)
)
SELECT connection, delivery_id FROM kept
""")
    .format(
        arrays=sql.SQL(", ").join(sql.SQL(f"%b::{_TYPES[kind]}") for kind in _COLUMNS.values()),
        columns=sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
        event=sql.SQL(", ").join(map(sql.Identifier, _EVENT)),
    )
    .as_string()
    .encode()
)
