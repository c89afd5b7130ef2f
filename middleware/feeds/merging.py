"""What changed records want is merged into items: one row for each thing of the shop, one part in it for each feed.

The parts are merged inside PostgreSQL, one statement a page: two feeds that change one variation at once lose nothing, and the
hash of what is wanted is that of the merged parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from mappings.wanted import RANKS, Of, Reject, Thing, Wanted, split_name
from middleware.feeds import statements
from middleware.feeds.feed import Feed
from middleware.feeds.models import RecordState
from middleware.ports import Record

Result = Wanted | Reject | None
_KEEP = 64 * 1024
"""Bytes of a raw record that are kept when it cannot be used anyway."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a record."""

    seen: bytes
    mapped_with: bytes
    state: str
    key: str
    things: tuple[str, ...]

    @property
    def names(self) -> set[str]:
        return {name for name in (self.key, *self.things) if name}


def variation_of(product: str) -> str:
    """What a new product waits for: the shop takes none without a variation."""
    return f"a variation of product/{product}"


def without_twins(connection: Connection, feed: Feed, results: list[tuple[Record, Result]]) -> list[tuple[Record, Result]]:
    """Two records about one thing: the one that had it keeps it, else the first; the other is refused."""
    about = {record.source_id: result.main.name for record, result in results if isinstance(result, Wanted)}
    values = feed.of(keys=sorted(set(about.values())))
    holders = {row.key: row.source_id for row in connection.execute(statements.HOLDERS, values)} if about else {}
    leaving = {record.source_id: about.get(record.source_id, "") for record, _ in results}
    checked: list[tuple[Record, Result]] = []
    for record, result in results:
        if not isinstance(result, Wanted):
            checked.append((record, result))
            continue
        name = result.main.name
        holder = holders.get(name, record.source_id)
        if holder != record.source_id and leaving.get(holder, name) == name:
            checked.append((record, Reject(feed.table.key, f"is that of record {holder} already", result.main.key)))
            continue
        holders[name] = record.source_id
        checked.append((record, result))
    return checked


def merge(
    connection: Connection, feed: Feed, results: Sequence[tuple[Record, Result]], known: Mapping[str, Known], sweep: int, now: datetime
) -> None:
    """Keep the records and merge what they want; what they no longer feed is taken back."""
    if not results:
        return
    rows = [_row(feed, record, result, known.get(record.source_id), sweep, now) for record, result in results]
    connection.execute(statements.KEEP_RECORDS, rows)
    lost: set[str] = set()
    for record, result in results:
        before = known.get(record.source_id)
        if before and not isinstance(result, Reject) and before.state != RecordState.GONE:
            lost |= before.names - ({thing.name for thing in result.things} if result else set())
    take_back(connection, feed, lost, now)
    items = _items(feed, [result for _, result in results if isinstance(result, Wanted)], now)
    if items:
        connection.execute(statements.MERGE, items)
        keys = {of: [item["key"] for item in items if item["kind"] == of] for of in (Of.VARIATION, Of.PRODUCT)}
        values = {"shop": feed.table.shop, "skus": keys[Of.VARIATION], "products": keys[Of.PRODUCT], "now": now}
        connection.execute(statements.RELEASE_FAMILIES, values)


def take_back(connection: Connection, feed: Feed, names: Iterable[str], now: datetime) -> None:
    """A feed's part leaves the things that no record of it feeds any more; each is written anew."""
    unfed = list(connection.execute(statements.UNFED, feed.of(names=sorted(names))).scalars()) if names else []
    if unfed:
        kinds, keys = zip(*map(split_name, sorted(unfed)), strict=True)
        values = {"shop": feed.table.shop, "kinds": list(map(str, kinds)), "keys": list(keys), "part": feed.name, "now": now}
        connection.execute(statements.TAKE_BACK, values)


def release(connection: Connection, shop: str, names: Sequence[str], now: datetime) -> None:
    """What waits for these is due."""
    if names:
        connection.execute(statements.RELEASE, {"shop": shop, "names": list(names), "now": now})


def _row(feed: Feed, record: Record, result: Result, before: Known | None, sweep: int, now: datetime) -> dict[str, Any]:
    """A record that is refused keeps feeding what it fed before: the last good version stays in the shop."""
    reject = result if isinstance(result, Reject) else None
    kept = (before.key, list(before.things)) if before and reject else ("", [])
    key, things = (result.main.name, [one.name for one in result.others]) if isinstance(result, Wanted) else kept
    return {
        "connection": feed.connection,
        "kind": feed.kind,
        "source_id": record.source_id,
        "seen": hashlib.sha256(record.raw).digest(),
        "raw": record.raw[:_KEEP] if reject and len(record.raw) > _KEEP else record.raw,
        "mapped_with": feed.paused_version,
        "state": RecordState.REJECTED if reject else RecordState.MAPPED,
        "key": key,
        "things": things,
        "attribute": reject.attribute if reject else "",
        "rule": reject.rule if reject else "",
        "value": reject.value.replace("\0", "\ufffd") if reject else "",
        "sweep": sweep,
        "now": now,
    }


def _items(feed: Feed, wanted: Sequence[Wanted], now: datetime) -> list[dict[str, Any]]:
    """Rows to merge, always in one order, so that two feeds never wait for each other."""
    rows: dict[tuple[int, str, str], dict[str, Any]] = {}
    for one in wanted:
        for thing in one.things:
            rows[RANKS[thing.of], thing.of, thing.key] = _item(feed, thing, now)
    return [rows[key] for key in sorted(rows)]


def _item(feed: Feed, thing: Thing, now: datetime) -> dict[str, Any]:
    part = {"fields": thing.fields, "makes": thing.makes}
    return {
        "shop": feed.table.shop,
        "kind": str(thing.of),
        "key": thing.key,
        "bundle": thing.bundle,
        "rank": RANKS[thing.of],
        "parent": thing.parent,
        "on_gone": thing.on_gone,
        "feed": feed.name,
        "part": msgspec.json.encode(part).decode(),
        "cleared": msgspec.json.encode(thing.cleared).decode(),
        "kept": feed.paused_fields,
        "makes": thing.makes,
        "now": now,
    }
