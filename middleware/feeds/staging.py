"""A page of records is staged: hashed and compared in bulk, so that only what changed is decoded, mapped and merged."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from mappings.wanted import Reject, Wanted
from middleware.feeds import shapes, statements
from middleware.feeds.feed import Feed, FeedFault, Staged
from middleware.feeds.merging import Known, Result, merge, take_back, without_twins
from middleware.feeds.models import RecordState
from middleware.ports import Record

SYSTEMIC = 20
"""So many changed records of one page that are all refused for one reason are a fault of the feed, not of its data."""


def stage(connection: Connection, feed: Feed, records: Sequence[Record], sweep: int, now: datetime, staged: Staged) -> Feed:
    """Take a page in; raises `FeedFault`. What did not change costs a hash, a page of it one look-up. Returns the feed as it may go on:
    without what the page's changed shape feeds."""
    latest = {record.source_id: record for record in records}  # a record that comes twice: the later one counts
    ids = sorted(latest)
    hashes = {source_id: hashlib.sha256(latest[source_id].raw).digest() for source_id in ids}
    changed, known = _changed(connection, feed, latest, hashes)
    staged.unchanged += len(latest) - len(changed)
    decoded = [(record, feed.decoded(record)) for record in changed]
    feed = shapes.watch(connection, feed, [one for _, one in decoded if not isinstance(one, Reject)], now)
    _take(connection, feed, decoded, known, sweep, now, staged)
    return feed


def restage(connection: Connection, feed: Feed, now: datetime, staged: Staged, limit: int = 500) -> int:
    """Map stored records again that another version of the table mapped; returns how many."""
    rows = connection.execute(statements.OUTDATED, feed.of(versions=feed.versions, limit=limit)).all()
    if rows:
        known = _known(connection, feed, [row.source_id for row in rows])
        records = [Record(row.source_id, row.raw) for row in rows]
        _take(connection, feed, [(record, feed.decoded(record)) for record in records], known, 0, now, staged)
    return len(rows)


def withdraw(connection: Connection, feed: Feed, source_ids: Iterable[str], now: datetime, staged: Staged) -> None:
    """Take records back that are gone: their part leaves what they fed, which is written anew."""
    rows = connection.execute(statements.GONE, feed.of(ids=list(source_ids), now=now)).all()
    for row in rows:
        staged.note("gone", row.source_id)
    take_back(connection, feed, {name for row in rows for name in (row.key, *row.things) if name}, now)


def _changed(
    connection: Connection, feed: Feed, latest: Mapping[str, Record], hashes: Mapping[str, bytes]
) -> tuple[list[Record], dict[str, Known]]:
    """The records that are not as they are kept, in the order in which they came."""
    if not latest:
        return [], {}
    page = connection.execute(statements.DIGEST, feed.of(ids=list(hashes), versions=feed.versions)).one()
    if page.misses:
        connection.execute(statements.ALIVE, feed.of(ids=list(hashes)))
    if page.is_current and page.records == len(latest) and page.digest == hashlib.sha256(b"".join(hashes.values())).digest():
        return [], {}
    known = _known(connection, feed, list(latest))
    changed = [
        record
        for source_id, record in latest.items()
        if source_id not in known
        or known[source_id].seen != hashes[source_id]
        or known[source_id].mapped_with not in feed.versions
        or known[source_id].state == RecordState.GONE
    ]
    return changed, known


def _take(
    connection: Connection,
    feed: Feed,
    changed: Sequence[tuple[Record, Any]],
    known: Mapping[str, Known],
    sweep: int,
    now: datetime,
    staged: Staged,
) -> None:
    results: list[tuple[Record, Result]] = [(record, feed.mapped(decoded)) for record, decoded in changed]
    _check_systemic(feed, results)
    results = without_twins(connection, feed, results)
    for record, result in results:
        if isinstance(result, Reject):
            staged.note("rejected", f"{record.source_id}: {result}")
        elif result is None:
            staged.note("skipped", record.source_id)
        else:
            staged.note("updated" if record.source_id in known else "created", f"{record.source_id} → {result.main.key}")
    merge(connection, feed, results, known, sweep, now)


def _check_systemic(feed: Feed, results: Sequence[tuple[Record, Wanted | Reject | None]]) -> None:
    reasons = Counter((r.attribute, r.rule) for _, r in results if isinstance(r, Reject))
    if len(results) >= SYSTEMIC and reasons and reasons.most_common(1)[0][1] == len(results):
        (attribute, rule), count = reasons.most_common(1)[0]
        raise FeedFault(f"all {count} changed records of a page of {feed.name} are refused the same way: {attribute} {rule}")


def _known(connection: Connection, feed: Feed, ids: list[str]) -> dict[str, Known]:
    rows = connection.execute(statements.SEEN, feed.of(ids=ids))
    return {row.source_id: Known(row.seen, row.mapped_with, row.state, row.key, tuple(row.things)) for row in rows}
