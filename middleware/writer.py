"""Group commit: one thread per process commits whatever requests are waiting. Nobody waits for a timer; the first waits for
nobody, the others share its commit."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql

from middleware.errors import Busy
from middleware.observing import log


@dataclass(frozen=True, slots=True)
class Row:
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


class _Waiter:
    """A request's rows and its place to wait; the held lock is the cheapest event that Python has."""

    __slots__ = ("error", "kept", "lock", "rows")

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.kept = 0
        self.error: Exception | None = None
        self.lock = threading.Lock()
        self.lock.acquire()

    def release(self) -> None:
        """Wake the request."""
        self.lock.release()


class _AsyncWaiter(_Waiter):
    """The same for a request in an event loop."""

    __slots__ = ("_future", "_loop")

    def __init__(self, rows: Sequence[Row], loop: asyncio.AbstractEventLoop) -> None:
        self.rows = rows
        self.kept = 0
        self.error = None
        self._loop = loop
        self._future: asyncio.Future[bool] = loop.create_future()

    def release(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop closed while the request waited: nobody listens any more
            self._loop.call_soon_threadsafe(self._finish)

    async def wait(self, patience: float) -> bool:
        """Whether it was released in time; costs no timer of its own when it is."""
        handle = self._loop.call_later(patience, self._finish, False)
        try:
            return bool(await self._future)
        finally:
            handle.cancel()

    def _finish(self, in_time: bool = True) -> None:
        if not self._future.done():
            self._future.set_result(in_time)


_COLUMNS = ("connection", "delivery_id", "topic", "subject", "lane", "body", "occurred_at", "hint", "correlation_id", "traceparent")
_TYPES = ("text", "text", "text", "text", "text", "bytea", "timestamptz", "bool", "text", "text")
_EVENT = ("connection", "delivery_id", "topic", "subject", "lane", "occurred_at", "hint", "correlation_id", "traceparent")

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
        arrays=sql.SQL(", ").join(sql.SQL("%b::" + kind + "[]") for kind in _TYPES),
        columns=sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
        event=sql.SQL(", ").join(map(sql.Identifier, _EVENT)),
    )
    .as_string()
    .encode()
)


class GroupWriter:
    """Keeps rows durably; `keep` returns only after COMMIT. Bounded: full or broken means `Busy`, and nothing was kept."""

    def __init__(
        self, url: str, *, limit: int = 2_000, batch: int = 256, patience: float = 10.0, after: Callable[[set[str]], None] | None = None
    ) -> None:
        """`limit` requests may wait, `batch` rows share a commit, `patience` seconds is the longest wait; `after` is called
        after each commit that kept something new, with the lanes of what it kept."""
        self._url = url
        self._limit = limit
        self._batch = batch
        self._patience = patience
        self._after = after
        self._waiting: deque[_Waiter] = deque()
        self._wake = threading.Condition(threading.Lock())
        self._stopping = False
        self._connection: psycopg.Connection[Any] | None = None
        self._thread = threading.Thread(target=self._run, name="waybill-writer", daemon=True)
        self._thread.start()

    def keep(self, rows: Sequence[Row]) -> int:
        """Keep all rows of one request, or none. Returns how many were new; raises `Busy`."""
        waiter = _Waiter(rows)
        self._queue(waiter)
        return self._result(waiter, waiter.lock.acquire(timeout=self._patience))

    async def keep_async(self, rows: Sequence[Row]) -> int:
        """`keep` for a request in an event loop."""
        waiter = _AsyncWaiter(rows, asyncio.get_running_loop())
        self._queue(waiter)
        return self._result(waiter, await waiter.wait(self._patience))

    def stop(self) -> None:
        """Commit what waits, then end the thread and its connection."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        self._close()

    def _queue(self, waiter: _Waiter) -> None:
        with self._wake:
            if self._stopping or len(self._waiting) >= self._limit:
                raise Busy("too many deliveries are waiting to be stored")
            self._waiting.append(waiter)
            if len(self._waiting) == 1:
                self._wake.notify()

    def _result(self, waiter: _Waiter, in_time: bool) -> int:
        if not in_time:
            raise Busy("the database did not answer in time")
        if waiter.error is not None:
            raise Busy("the database is not available") from waiter.error
        return waiter.kept

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._stopping:
                    self._wake.wait()
                if not self._waiting:
                    return
                group = self._take()
            self._commit(group)

    def _take(self) -> list[_Waiter]:
        group, rows = [], 0
        while self._waiting and rows < self._batch:
            waiter = self._waiting.popleft()
            rows += len(waiter.rows)
            group.append(waiter)
        return group

    def _commit(self, group: list[_Waiter]) -> None:
        try:
            self._insert(group)
        except pg.DataError:  # one bad row must not fail its batch
            self._one_by_one(group)
        except Exception as error:  # noqa: BLE001 - the outermost recorder: every waiter is told, nothing was acknowledged
            log.error("writer.failed", error=type(error).__name__, requests=len(group))
            self._close()
            for waiter in group:
                waiter.error = error
        for waiter in group:
            waiter.release()
        lanes = {row.lane for waiter in group if waiter.kept for row in waiter.rows}
        if lanes and self._after is not None:
            self._after(lanes)

    def _one_by_one(self, group: list[_Waiter]) -> None:
        for waiter in group:
            try:
                self._insert([waiter])
            except psycopg.Error as error:
                waiter.error = error

    def _insert(self, group: list[_Waiter]) -> None:
        rows = {row.identity: row for waiter in group for row in waiter.rows}
        ordered = [rows[identity] for identity in sorted(rows)]  # unsorted writers deadlock each other
        arrays = [[getattr(row, name) for row in ordered] for name in _COLUMNS]
        new = set(self._execute(arrays))
        for waiter in group:
            mine = {row.identity for row in waiter.rows} & new
            waiter.kept = len(mine)
            new -= mine

    def _execute(self, arrays: list[list[Any]]) -> list[tuple[str, str]]:
        for attempt in range(3):
            try:
                return self._connected().execute(INSERT, arrays, prepare=True, binary=True).fetchall()
            except pg.DeadlockDetected:
                if attempt == 2:
                    raise
            except psycopg.OperationalError:  # a connection that died while idle: once more on a new one
                self._close()
                if attempt:
                    raise
        raise AssertionError("unreachable")

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=3, prepare_threshold=0)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
