"""A page of records becomes what is wanted: hashed in bulk, only what changed is decoded, mapped and merged into items.

An item's parts are merged inside PostgreSQL, one statement a page: two feeds that change one variation at once lose nothing,
and the hash of what is wanted is that of the merged parts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from mappings.tables import Of, Reject, Table, Wanted, apply
from middleware.errors import Unreadable
from middleware.feeds import statements
from middleware.feeds.models import RecordState
from middleware.ports import Record

SYSTEMIC = 20
"""So many changed records of one page that are all refused for one reason are a fault of the feed, not of its data."""
_EXAMPLES = 5
_KEEP = 64 * 1024
"""Bytes of a raw record that are kept when it cannot be used anyway."""


class FeedFault(Exception):
    """A whole page fails the same way: the run stops, nothing of the page is kept."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One kind of records of one connection, its table, and what decodes it (`decode_record` of the connector)."""

    connection: str
    kind: str
    table: Table
    decoder: Any

    @property
    def name(self) -> str:
        return f"{self.connection}/{self.kind}"

    def of(self, **values: Any) -> dict[str, Any]:
        """Values of a statement about this feed's records."""
        return {"connection": self.connection, "kind": self.kind, **values}

    @property
    def version(self) -> bytes:
        """SHA-256 of the table: what was mapped with another one is mapped again."""
        return hashlib.sha256(msgspec.json.encode(msgspec.to_builtins(self.table), order="deterministic")).digest()


@dataclass(slots=True)
class Staged:
    """What a pull did so far; `examples` are a few of each."""

    unchanged: int = 0
    created: int = 0
    updated: int = 0
    rejected: int = 0
    gone: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    def note(self, what: str, example: str) -> None:
        """Count one, and keep it as an example while there are few."""
        setattr(self, what, getattr(self, what) + 1)
        kept = self.examples.setdefault(what, [])
        if len(kept) < _EXAMPLES:
            kept.append(example)


@dataclass(frozen=True, slots=True)
class _Known:
    seen: bytes
    mapped_with: bytes
    state: str
    sku: str


def stage(connection: Connection, feed: Feed, records: Sequence[Record], sweep: int, now: datetime, staged: Staged) -> None:
    """Take a page in; raises `FeedFault`. What did not change costs a hash and a look-up."""
    latest = {record.source_id: record for record in records}  # a record that comes twice: the later one counts
    hashes = {source_id: hashlib.sha256(record.raw).digest() for source_id, record in latest.items()}
    known = _known(connection, feed, list(latest))
    version = feed.version
    changed = [
        record
        for source_id, record in latest.items()
        if source_id not in known
        or (known[source_id].seen, known[source_id].mapped_with) != (hashes[source_id], version)
        or known[source_id].state == RecordState.GONE
    ]
    staged.unchanged += len(latest) - len(changed)
    connection.execute(statements.ALIVE, feed.of(ids=list(latest), sweep=sweep))
    _take(connection, feed, changed, known, sweep, now, staged)


def restage(connection: Connection, feed: Feed, now: datetime, staged: Staged, limit: int = 500) -> int:
    """Map stored records again that another version of the table mapped; returns how many."""
    rows = connection.execute(statements.OUTDATED, feed.of(version=feed.version, limit=limit)).all()
    if rows:
        known = _known(connection, feed, [row.source_id for row in rows])
        _take(connection, feed, [Record(row.source_id, row.raw) for row in rows], known, rows[0].sweep, now, staged)
    return len(rows)


def withdraw(connection: Connection, feed: Feed, source_ids: Iterable[str], now: datetime, staged: Staged) -> None:
    """Take records back that are gone: their part leaves the item, which is written anew."""
    rows = connection.execute(statements.GONE, feed.of(ids=list(source_ids), now=now)).all()
    for row in rows:
        staged.note("gone", row.source_id)
    skus = sorted({row.sku for row in rows if row.sku})
    connection.execute(statements.TAKE_BACK, {"shop": feed.table.shop, "keys": skus, "part": feed.name, "now": now})


def _take(
    connection: Connection,
    feed: Feed,
    changed: Sequence[Record],
    known: Mapping[str, _Known],
    sweep: int,
    now: datetime,
    staged: Staged,
) -> None:
    results = [(record, _mapped(feed, record)) for record in changed]
    _check_systemic(feed, results)
    results = _without_twins(connection, feed, results)
    for record, result in results:
        if isinstance(result, Reject):
            staged.note("rejected", f"{record.source_id}: {result}")
        else:
            staged.note("updated" if record.source_id in known else "created", f"{record.source_id} → {result.sku}")
    before = {record.source_id: known[record.source_id].sku if record.source_id in known else "" for record, _ in results}
    moved = [before[r.source_id] for r, x in results if isinstance(x, Wanted) and before[r.source_id] not in ("", x.sku)]
    if moved:  # the record feeds another SKU now
        connection.execute(statements.TAKE_BACK, {"shop": feed.table.shop, "keys": sorted(set(moved)), "part": feed.name, "now": now})
    if results:
        connection.execute(statements.KEEP_RECORDS, [_row(feed, r, x, before[r.source_id], sweep, now) for r, x in results])
    items = _items(feed, [result for _, result in results if isinstance(result, Wanted)], now)
    if items:
        connection.execute(statements.MERGE, items)


def _sku(result: Wanted | Reject) -> str:
    return result.sku if isinstance(result, Wanted) else ""


def _mapped(feed: Feed, record: Record) -> Wanted | Reject:
    try:
        return apply(feed.table, feed.decoder.decode_record(feed.kind, record.raw))
    except Unreadable as error:
        return Reject("the record", f"cannot be read: {error}")


def _check_systemic(feed: Feed, results: Sequence[tuple[Record, Wanted | Reject]]) -> None:
    reasons = Counter((r.attribute, r.rule) for _, r in results if isinstance(r, Reject))
    if len(results) >= SYSTEMIC and reasons and reasons.most_common(1)[0][1] == len(results):
        (attribute, rule), count = reasons.most_common(1)[0]
        raise FeedFault(f"all {count} changed records of a page of {feed.name} are refused the same way: {attribute} {rule}")


def _without_twins(
    connection: Connection, feed: Feed, results: list[tuple[Record, Wanted | Reject]]
) -> list[tuple[Record, Wanted | Reject]]:
    """Two records with one SKU: the one that had it keeps it, else the first; the other is refused."""
    skus = sorted({_sku(result) for _, result in results} - {""})
    values = feed.of(skus=skus)
    holders = {row.sku: row.source_id for row in connection.execute(statements.HOLDERS, values)} if skus else {}
    leaving = {record.source_id: _sku(result) for record, result in results}
    checked: list[tuple[Record, Wanted | Reject]] = []
    for record, result in results:
        holder = holders.get(_sku(result), record.source_id)
        is_taken = holder != record.source_id and leaving.get(holder, _sku(result)) == _sku(result)
        if isinstance(result, Wanted) and not is_taken:
            holders[result.sku] = record.source_id
        refusal = Reject("sku", f"is that of record {holder} already", _sku(result))
        checked.append((record, refusal if is_taken and isinstance(result, Wanted) else result))
    return checked


def _row(feed: Feed, record: Record, result: Wanted | Reject, before: str, sweep: int, now: datetime) -> dict[str, Any]:
    """A record that is refused keeps feeding what it fed before: the last good version stays in the shop."""
    refused = isinstance(result, Reject)
    return {
        "connection": feed.connection,
        "kind": feed.kind,
        "source_id": record.source_id,
        "seen": hashlib.sha256(record.raw).digest(),
        "raw": record.raw[:_KEEP] if refused and len(record.raw) > _KEEP else record.raw,
        "mapped_with": feed.version,
        "state": RecordState.REJECTED if refused else RecordState.MAPPED,
        "sku": _sku(result) or before,
        "attribute": result.attribute if isinstance(result, Reject) else "",
        "rule": result.rule if isinstance(result, Reject) else "",
        "value": result.value.replace("\0", "\ufffd") if isinstance(result, Reject) else "",
        "sweep": sweep,
        "now": now,
    }


def _items(feed: Feed, wanted: Sequence[Wanted], now: datetime) -> list[dict[str, Any]]:
    """Rows to merge, products first and in the order of their keys, so that two feeds never wait for each other."""
    makes = feed.table.makes
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for one in wanted:
        variation = {"fields": one.variation_fields, "makes": makes}
        rows[Of.VARIATION, one.sku] = _item(feed, Of.VARIATION, one.sku, one.product if makes else "", variation, now)
        if makes:
            product = {"fields": one.product_fields, "makes": True}
            rows[Of.PRODUCT, one.product] = _item(feed, Of.PRODUCT, one.product, "", product, now)
    return [rows[key] for key in sorted(rows)]


def _item(feed: Feed, kind: Of, key: str, parent: str, part: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    parts = msgspec.json.encode({feed.name: part}).decode()
    return {"shop": feed.table.shop, "kind": str(kind), "key": key, "parent": parent, "parts": parts, "now": now}


def _known(connection: Connection, feed: Feed, ids: list[str]) -> dict[str, _Known]:
    rows = connection.execute(statements.SEEN, feed.of(ids=ids))
    return {row.source_id: _Known(row.seen, row.mapped_with, row.state, row.sku) for row in rows}
