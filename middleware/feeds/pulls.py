"""One execution of a pull: page by page from where it is, then what a completed run means: a new watermark, and what is gone.

A run keeps its cursor with each page, so it goes on where it was killed; the next page is fetched while one is staged. The watermark
is our clock before page 1, less the overlap, and moves only when the run completes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from middleware.errors import CallError, Rejected
from middleware.feeds import shapes, sweeps
from middleware.feeds.feed import Feed, FeedFault, Staged
from middleware.feeds.staging import restage, stage, withdraw
from middleware.observing import log
from middleware.ports import Page
from middleware.switches import switched_off

if TYPE_CHECKING:
    from middleware.runtime import Runtime

_SIZES = (1_000, 10_000, 100_000, 1_000_000)
"""New records of a run after which PostgreSQL looks at its tables anew."""
LEASE = 600
"""Seconds after which a pull whose worker vanished may go on elsewhere; renewed with each page."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """How a pull ended: what was staged, and why it stopped early ("" when it completed)."""

    staged: Staged
    failure: str = ""
    held_back: int = 0
    is_full: bool = False


@dataclass(slots=True)
class _Run:
    connection: str
    kind: str
    lease: datetime
    watermark: datetime | None
    cursor: str
    began_at: datetime
    is_full: bool
    sweep: int
    staged: Staged = field(default_factory=Staged)


def pull(runtime: Runtime, feed: Feed, *, full: bool = False, allow_deletions: bool = False, pages: int | None = None) -> Pulled | None:
    """Go on with the feed's run, or begin one: everything (`full`, or the first time), else what changed since the watermark.
    None when another worker pulls it. `pages` ends it early, to be gone on with. Raises nothing of the source's."""
    run = _claim(runtime, feed, full)
    if run is None:
        return None
    failure = ""
    try:
        with runtime.engine.begin() as connection:
            feed = shapes.paused(connection, feed)
        feed, is_whole = _read(runtime, feed, run, pages)
        if not is_whole:
            return _stopped(runtime, run, "")
        held_back = _finish(runtime, feed, run, allow_deletions)
    except (CallError, FeedFault) as error:
        code = getattr(error, "code", "feed_fault")
        failure = f"{code}: {error}"
        log.warning("pull.failed", connection=feed.connection, kind=feed.kind, cause=code, reason=str(error))
        # What a source rejects it rejects again at this cursor: the next run begins anew.
        return _stopped(runtime, run, failure, begin_anew=isinstance(error, Rejected))
    return Pulled(run.staged, held_back=held_back, is_full=run.is_full)


def due_pulls(runtime: Runtime) -> list[tuple[str, str]]:
    """The feeds that should be pulled now, by their connections' `every` and `full_every`."""
    rhythms = {
        (name, kind): one.every.get(kind, 0.0) or math.inf
        for name, one in runtime.settings.connections.items()
        for kind in {**one.every, **one.full_every}
    }
    if not rhythms:
        return []
    with runtime.engine.connect() as connection:
        runs = {(row.connection, row.kind): row for row in connection.execute(_RUNS)}
        off = switched_off(connection)
    on = sorted(key for key in rhythms if key[0] not in off and key in runtime.feeds)
    return [key for key in on if _is_due(runtime, key, runs.get(key), rhythms[key])]


def _is_due(runtime: Runtime, key: tuple[str, str], run: Any, seconds: float) -> bool:
    now = runtime.now()
    if run is None or run.is_hinted:
        return run is None or run.lease_until is None or run.lease_until <= now
    if run.lease_until and run.lease_until > now:
        return False
    # After a failure the next attempt waits as long as after a success.
    waited = (now - max(filter(None, (run.due_at, run.completed_at)))).total_seconds()
    full = runtime.settings.connections[key[0]].full_every.get(key[1], math.inf)
    return waited >= seconds or (waited >= min(full, seconds) and _is_full_due(runtime, *key, run.full_at))


def _is_full_due(runtime: Runtime, connection: str, kind: str, full_at: datetime | None) -> bool:
    every = runtime.settings.connections[connection].full_every.get(kind, 0.0)
    return bool(every) and (full_at is None or runtime.now() >= full_at + timedelta(seconds=every))


def preview(runtime: Runtime, feed: Feed) -> Pulled:
    """What a full pull would create, update, refuse and take back; nothing is kept and no run is touched."""
    staged, now = Staged(), runtime.now()
    with _undone(runtime) as connection:
        connection.execute(sweeps.FORGET, feed.of())
        feed = shapes.paused(connection, feed)
        for page in _pages(runtime, feed, None, ""):
            feed = stage(connection, feed, page.records, 0, now, staged)
            sweeps.note(connection, feed, page.records)
        withdraw(connection, feed, sweeps.unseen(connection, feed), now, staged)
    return Pulled(staged, is_full=True)


@contextmanager
def _undone(runtime: Runtime) -> Iterator[Connection]:
    with runtime.engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


def _claim(runtime: Runtime, feed: Feed, full: bool) -> _Run | None:
    now = runtime.now()
    values = feed.of(now=now, lease=now + timedelta(seconds=LEASE))
    with runtime.engine.begin() as connection:
        row = connection.execute(_CLAIM, values).first()
        if row is None:
            return None
        begins = row.began_at is None or (full and not row.is_full)
        if begins:
            is_full = full or row.watermark is None or _is_full_due(runtime, feed.connection, feed.kind, row.full_at)
            sweep = row.sweep + 1 if is_full else row.sweep
            connection.execute(_BEGIN, feed.of(began=now, is_full=is_full, sweep=sweep))
            connection.execute(sweeps.FORGET, feed.of())
            return _Run(feed.connection, feed.kind, values["lease"], row.watermark, "", now, is_full, sweep)  # type: ignore[arg-type]
    return _Run(feed.connection, feed.kind, values["lease"], row.watermark, row.cursor, row.began_at, row.is_full, row.sweep)  # type: ignore[arg-type]


def _pages(runtime: Runtime, feed: Feed, since: datetime | None, cursor: str) -> Iterator[Page]:
    """The feed's pages from a cursor on; while one is worked on, the next is on its way."""
    source = runtime.connector(feed.connection)
    with ThreadPoolExecutor(1, thread_name_prefix="pull") as ahead:
        page = source.list_records(feed.kind, since, cursor)
        while page.cursor:
            following = ahead.submit(source.list_records, feed.kind, since, page.cursor)
            yield page
            page = following.result()
        yield page


def _read(runtime: Runtime, feed: Feed, run: _Run, pages: int | None) -> tuple[Feed, bool]:
    """Take pages in; the feed as it goes on, and True when the last one was."""
    since = None if run.is_full else run.watermark
    for read, page in enumerate(_pages(runtime, feed, since, run.cursor), start=1):
        now, kept = runtime.now(), run.staged.created
        with runtime.engine.begin() as connection:
            connection.execute(_UNHURRIED)
            feed = stage(connection, feed, page.records, run.sweep, now, run.staged)
            if run.is_full:
                sweeps.note(connection, feed, page.records)
            _step(connection, run, page.cursor, now)
        _learn_sizes(runtime, kept, run.staged.created)
        run.cursor = page.cursor
        if read == pages and page.cursor:
            return feed, False
    return feed, True


def _learn_sizes(runtime: Runtime, before: int, after: int) -> None:
    """A first load outruns autovacuum: until PostgreSQL knows how large the tables have become, its plans are for empty ones."""
    if any(before < size <= after for size in _SIZES):
        with runtime.engine.begin() as connection:
            connection.execute(text("ANALYZE records, items"))


def _step(connection: Connection, run: _Run, cursor: str, now: datetime) -> None:
    """The cursor moves with the page; a run that lost its lease keeps nothing."""
    lease = now + timedelta(seconds=LEASE)
    values: dict[str, Any] = {"connection": run.connection, "kind": run.kind, "old": run.lease, "lease": lease, "cursor": cursor}
    if connection.execute(_STEP, values).rowcount != 1:
        raise FeedFault("another worker goes on with this pull")
    run.lease = lease


def _finish(runtime: Runtime, feed: Feed, run: _Run, allow_deletions: bool) -> int:
    """What a complete run means; returns how many deletions the guard held back."""
    settings = runtime.settings.connections[feed.connection]
    restaged = 1
    while restaged:
        with runtime.engine.begin() as connection:
            restaged = restage(connection, feed, runtime.now(), run.staged)
    held_back = sweeps.finish(runtime, feed, run.staged, allow_deletions) if run.is_full else 0
    values = {
        "connection": run.connection,
        "kind": run.kind,
        "old": run.lease,
        "watermark": run.began_at - timedelta(seconds=settings.overlap),
        "now": runtime.now(),
        "detail": f"{held_back} deletions held back: more than {settings.deletion_guard:.0%} of the feed" if held_back else "",
    }
    with runtime.engine.begin() as connection:
        connection.execute(_END, values)
    return held_back


def _stopped(runtime: Runtime, run: _Run, failure: str, *, begin_anew: bool = False) -> Pulled:
    values = {"connection": run.connection, "kind": run.kind, "old": run.lease, "detail": failure, "anew": begin_anew}
    with runtime.engine.begin() as connection:
        connection.execute(_STOP, values)
    return Pulled(run.staged, failure or "stopped before its last page", is_full=run.is_full)


_CLAIM = text(
    """
INSERT INTO runs (connection, kind, due_at, lease_until) VALUES (:connection, :kind, :now, :lease)
ON CONFLICT (connection, kind) DO UPDATE SET lease_until = :lease, due_at = :now, is_hinted = false
WHERE runs.lease_until IS NULL OR runs.lease_until < :now
RETURNING watermark, cursor, began_at, is_full, sweep, full_at
"""
)
_BEGIN = text(
    "UPDATE runs SET began_at = :began, cursor = '', is_full = :is_full, sweep = :sweep WHERE connection = :connection AND kind = :kind"
)
_STEP = text(
    "UPDATE runs SET cursor = :cursor, lease_until = :lease WHERE connection = :connection AND kind = :kind AND lease_until = :old"
)
_END = text(
    "UPDATE runs SET watermark = :watermark, cursor = '', began_at = NULL, lease_until = NULL, completed_at = :now, detail = :detail,"
    " full_at = CASE WHEN is_full THEN :now ELSE full_at END"
    " WHERE connection = :connection AND kind = :kind AND lease_until = :old"
)
_STOP = text(
    "UPDATE runs SET lease_until = NULL, detail = :detail, began_at = CASE WHEN :anew THEN NULL ELSE began_at END"
    " WHERE connection = :connection AND kind = :kind AND lease_until = :old"
)
# A page that a crash of the server takes back is read again: only the end of the run, which is committed as ever, says that it is kept.
_UNHURRIED = text("SET LOCAL synchronous_commit = off")
_RUNS = text("SELECT connection, kind, due_at, lease_until, completed_at, is_hinted, full_at FROM runs")
