"""What a complete full pull says of the records that it did not see. Absence is suspicion, never a deletion.

Gone is what the source denies by id, or what two complete sweeps miss where it cannot be asked; and nothing is taken back beyond the
connection's `deletion_guard` unless a person allows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from middleware.errors import CallError, RateLimited, Transient, Unauthorized
from middleware.feeds import statements
from middleware.feeds.feed import Feed, Staged
from middleware.feeds.staging import stage, withdraw
from middleware.observing import log
from middleware.ports import Record

if TYPE_CHECKING:
    from middleware.runtime import Runtime

_SYSTEMIC = (RateLimited, Transient, Unauthorized)
"""Errors that the next question would meet as well."""
MISSES = 2
"""Complete full runs that must miss a record before it counts as gone."""


def note(connection: Connection, feed: Feed, records: Sequence[Record]) -> None:
    """Remember whom a page of a full pull showed, in the page's transaction."""
    if records:
        connection.execute(statements.SWEPT, feed.of(ids=[record.source_id for record in records]))


def unseen(connection: Connection, feed: Feed) -> list[str]:
    """The records that the sweep did not see."""
    return list(connection.execute(_UNSEEN, feed.of()).scalars())


def finish(runtime: Runtime, feed: Feed, staged: Staged, allow_deletions: bool) -> int:
    """Take back what is gone; returns how many deletions the guard held back. Raises what the source raises when it is asked."""
    now = runtime.now()
    with runtime.engine.begin() as connection:
        connection.execute(_MISS, feed.of())
        missing = list(connection.execute(_MISSING, feed.of()).scalars())
        alive = int(connection.execute(_COUNT, feed.of()).scalar() or 0)
        suspects = [source_id for source_id, misses in connection.execute(_MISSED, feed.of()) if misses >= MISSES]
        connection.execute(FORGET, feed.of())
    can_ask = hasattr(runtime.connector(feed.connection), "fetch_record")
    candidates = missing if can_ask else suspects
    if not candidates:
        return 0
    share = len(candidates) / alive
    if share > runtime.settings.connections[feed.connection].deletion_guard and not allow_deletions:
        log.error("pull.deletions_held", connection=feed.connection, kind=feed.kind, records=len(candidates), share=round(share, 3))
        return len(candidates)
    gone, alive_records = _asked(runtime, feed, candidates) if can_ask else (candidates, [])
    with runtime.engine.begin() as connection:
        if alive_records:
            stage(connection, feed, alive_records, 0, now, staged)
        withdraw(connection, feed, gone, now, staged)
    return 0


def _asked(runtime: Runtime, feed: Feed, missing: Sequence[str]) -> tuple[list[str], list[Record]]:
    """Whom the source denies by id, and whom it still has. What it cannot say now stays as it is: the next sweep asks again."""
    source = runtime.connector(feed.connection)
    gone: list[str] = []
    alive: list[Record] = []
    for source_id in missing:
        try:
            record = source.fetch_record(feed.kind, source_id)
        except CallError as error:
            log.warning("pull.not_asked", connection=feed.connection, kind=feed.kind, cause=error.code, reason=error.reason)
            if isinstance(error, _SYSTEMIC):
                break
            continue
        if record is None:
            gone.append(source_id)
        else:
            alive.append(record)
    return gone, alive


FORGET = text("DELETE FROM sweeps WHERE connection = :connection AND kind = :kind")
_UNSEEN = text(
    "SELECT source_id FROM records WHERE connection = :connection AND kind = :kind AND state <> 'gone'"
    " AND NOT source_id IN (SELECT unnest(ids) FROM sweeps WHERE connection = :connection AND kind = :kind) ORDER BY source_id"
)
_MISS = text(
    "UPDATE records SET misses = misses + 1 WHERE connection = :connection AND kind = :kind AND state <> 'gone'"
    " AND NOT source_id IN (SELECT unnest(ids) FROM sweeps WHERE connection = :connection AND kind = :kind)"
)
_MISSING = text(
    "SELECT source_id FROM records WHERE connection = :connection AND kind = :kind AND misses > 0 AND state <> 'gone' ORDER BY source_id"
)
_MISSED = text("SELECT source_id, misses FROM records WHERE connection = :connection AND kind = :kind AND misses > 0 AND state <> 'gone'")
_COUNT = text("SELECT count(*) FROM records WHERE connection = :connection AND kind = :kind AND state <> 'gone'")
"""Records of a feed that are alive."""
