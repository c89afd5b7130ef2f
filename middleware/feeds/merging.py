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
    rows = [_row(record, result, known.get(record.source_id)) for record, result in results]
    connection.execute(statements.KEEP_RECORDS, feed.of(mapped_with=feed.paused_version, sweep=sweep, now=now, **_columns(rows)))
    lost: set[str] = set()
    for record, result in results:
        before = known.get(record.source_id)
        if before and not isinstance(result, Reject) and before.state != RecordState.GONE:
            lost |= before.names - ({thing.name for thing in result.things} if result else set())
    take_back(connection, feed, lost, now)
    items = _items([result for _, result in results if isinstance(result, Wanted)])
    if items:
        shared = {"shop": feed.table.shop, "feed": feed.name, "kept": feed.paused_fields, "now": now}
        connection.execute(statements.MERGE, {**shared, **_columns(items)})
        _release_families(connection, feed.table.shop, items, now)


def _release_families(connection: Connection, shop: str, items: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Members of a family may wait for what changed in another one."""
    skus = [item["key"] for item in items if item["kind"] == Of.VARIATION]
    families = {item["key"] for item in items if item["kind"] == Of.PRODUCT}
    families |= set(connection.execute(statements.FAMILIES, {"shop": shop, "skus": skus}).scalars()) if skus else set()
    if families:
        values = {"shop": shop, "families": sorted(families), "now": now}
        connection.execute(statements.RELEASE_FAMILIES, values)
        connection.execute(statements.RETRY_PRODUCTS, values)


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


def _row(record: Record, result: Result, before: Known | None) -> dict[str, Any]:
    """A record that is refused keeps feeding what it fed before: the last good version stays in the shop."""
    reject = result if isinstance(result, Reject) else None
    kept = (before.key, before.things) if before and reject else ("", ())
    key, things = (result.main.name, [one.name for one in result.others]) if isinstance(result, Wanted) else kept
    return {
        "source_id": record.source_id,
        "seen": hashlib.sha256(record.raw).digest(),
        "raw": record.raw[:_KEEP] if reject and len(record.raw) > _KEEP else record.raw,
        "state": RecordState.REJECTED if reject else RecordState.MAPPED,
        "key": key,
        "things": statements.JOIN.join(things),
        "attribute": reject.attribute if reject else "",
        "rule": reject.rule if reject else "",
        "value": reject.value.replace("\0", "\ufffd") if reject else "",
    }


def _items(wanted: Sequence[Wanted]) -> list[dict[str, Any]]:
    """Rows to merge, always in one order, so that two feeds never wait for each other."""
    rows = {(RANKS[thing.of], thing.of, thing.key): _item(thing) for one in wanted for thing in one.things}
    return [rows[key] for key in sorted(rows)]


def _item(thing: Thing) -> dict[str, Any]:
    part = {"fields": thing.fields, "makes": thing.makes, **({"cleared": thing.cleared} if thing.cleared else {})}
    return {
        "kind": str(thing.of),
        "key": thing.key,
        "bundle": thing.bundle,
        "rank": RANKS[thing.of],
        "parent": thing.parent,
        "on_gone": thing.on_gone,
        "makes": thing.makes,
        "part": msgspec.json.encode(part).decode(),
    }


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as one list for each column."""
    return {name: [row[name] for row in rows] for name in rows[0]}
