"""One execution of a pull: page by page from where it is, then what a completed run means: a new watermark, and what is gone.

A run keeps its cursor with each page, so it goes on where it was killed. The watermark is our clock before page 1, less the overlap,
and moves only when the run completes. Absence is suspicion: only what two complete full runs miss is taken back, behind a guard.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from middleware.errors import CallError, Rejected
from middleware.feeds.staging import Feed, FeedFault, Staged, restage, stage, withdraw
from middleware.observing import log

if TYPE_CHECKING:
    from middleware.runtime import Runtime

LEASE = 600
"""Seconds after which a pull whose worker vanished may go on elsewhere; renewed with each page."""
MISSES = 2
"""Complete full runs that must miss a record before it counts as gone."""


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
        if not _read(runtime, feed, run, pages):
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
    """The feeds that should be pulled now, by their connections' `every`."""
    wanted = {(name, kind): seconds for name, one in runtime.settings.connections.items() for kind, seconds in one.every.items() if seconds}
    if not wanted:
        return []
    with runtime.engine.connect() as connection:
        runs = {(row.connection, row.kind): row for row in connection.execute(_RUNS)}
        off = set(connection.execute(text("SELECT connection FROM switches")).scalars())
    now = runtime.now()
    due = []
    for key, seconds in sorted(wanted.items()):
        run = runs.get(key)
        if key[0] in off or key not in runtime.feeds or (run and run.lease_until and run.lease_until > now):
            continue
        # After a failure the next attempt waits as long as after a success.
        last = None if run is None else max(filter(None, (run.due_at, run.completed_at)))
        if run is None or last is None or run.is_hinted or now >= last + timedelta(seconds=seconds):
            due.append(key)
    return due


def preview(runtime: Runtime, feed: Feed) -> Pulled:
    """What a full pull would create, update, refuse and take back; nothing is kept and no run is touched."""
    staged, now = Staged(), runtime.now()
    with _undone(runtime) as connection:
        sweep = int(connection.execute(_SWEEP, feed.of()).scalar() or 0) + 1
        cursor = ""
        while True:
            page = runtime.connector(feed.connection).list_records(feed.kind, None, cursor)
            stage(connection, feed, page.records, sweep, now, staged)
            cursor = page.cursor
            if not cursor:
                break
        missing, _ = _missing(connection, feed, sweep, misses=1)
        withdraw(connection, feed, missing, now, staged)
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
            is_full = full or row.watermark is None
            sweep = row.sweep + 1 if is_full else row.sweep
            connection.execute(_BEGIN, feed.of(began=now, is_full=is_full, sweep=sweep))
            return _Run(feed.connection, feed.kind, values["lease"], row.watermark, "", now, is_full, sweep)  # type: ignore[arg-type]
    return _Run(feed.connection, feed.kind, values["lease"], row.watermark, row.cursor, row.began_at, row.is_full, row.sweep)  # type: ignore[arg-type]


def _read(runtime: Runtime, feed: Feed, run: _Run, pages: int | None) -> bool:
    """Take pages in; True when the last one was."""
    since = None if run.is_full else run.watermark
    read = 0
    while pages is None or read < pages:
        page = runtime.connector(feed.connection).list_records(feed.kind, since, run.cursor)
        now = runtime.now()
        with runtime.engine.begin() as connection:
            stage(connection, feed, page.records, run.sweep, now, run.staged)
            _step(connection, run, page.cursor, now)
        read += 1
        if not page.cursor:
            return True
        run.cursor = page.cursor
    return False


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
    now, held_back = runtime.now(), 0
    with runtime.engine.begin() as connection:
        while restage(connection, feed, now, run.staged):
            pass
        if run.is_full:
            connection.execute(_MISS, feed.of(sweep=run.sweep))
            missing, share = _missing(connection, feed, run.sweep, misses=MISSES)
            if share > settings.deletion_guard and not allow_deletions:
                held_back = len(missing)
                log.error("pull.deletions_held", connection=feed.connection, kind=feed.kind, records=held_back, share=round(share, 3))
            else:
                withdraw(connection, feed, missing, now, run.staged)
        watermark = run.began_at - timedelta(seconds=settings.overlap)
        detail = f"{held_back} deletions held back: more than {settings.deletion_guard:.0%} of the feed" if held_back else ""
        connection.execute(
            _END, {"connection": run.connection, "kind": run.kind, "old": run.lease, "watermark": watermark, "now": now, "detail": detail}
        )
    return held_back


def _missing(connection: Connection, feed: Feed, sweep: int, *, misses: int) -> tuple[list[str], float]:
    """Records that the last full runs did not see, and which share of the feed they are."""
    values = feed.of(sweep=sweep, misses=misses)
    ids = list(connection.execute(_MISSING if misses > 1 else _UNSEEN, values).scalars())
    alive = int(connection.execute(_COUNT, feed.of()).scalar() or 0)
    return ids, len(ids) / alive if alive else 0.0


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
RETURNING watermark, cursor, began_at, is_full, sweep
"""
)
_BEGIN = text(
    "UPDATE runs SET began_at = :began, cursor = '', is_full = :is_full, sweep = :sweep WHERE connection = :connection AND kind = :kind"
)
_STEP = text(
    "UPDATE runs SET cursor = :cursor, lease_until = :lease WHERE connection = :connection AND kind = :kind AND lease_until = :old"
)
_END = text(
    "UPDATE runs SET watermark = :watermark, cursor = '', began_at = NULL, lease_until = NULL, completed_at = :now, detail = :detail"
    " WHERE connection = :connection AND kind = :kind AND lease_until = :old"
)
_STOP = text(
    "UPDATE runs SET lease_until = NULL, detail = :detail, began_at = CASE WHEN :anew THEN NULL ELSE began_at END"
    " WHERE connection = :connection AND kind = :kind AND lease_until = :old"
)
_RUNS = text("SELECT connection, kind, due_at, lease_until, completed_at, is_hinted FROM runs")
_SWEEP = text("SELECT sweep FROM runs WHERE connection = :connection AND kind = :kind")
_MISS = text(
    "UPDATE records SET misses = misses + 1 WHERE connection = :connection AND kind = :kind AND sweep < :sweep AND state <> 'gone'"
)
_MISSING = text("SELECT source_id FROM records WHERE connection = :connection AND kind = :kind AND misses >= :misses AND state <> 'gone'")
_UNSEEN = text("SELECT source_id FROM records WHERE connection = :connection AND kind = :kind AND sweep < :sweep AND state <> 'gone'")
_COUNT = text("SELECT count(*) FROM records WHERE connection = :connection AND kind = :kind AND state <> 'gone'")
