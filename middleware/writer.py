"""Group commit: one thread per process commits whatever requests are waiting. Nobody waits for a timer; the first waits for
nobody, the others share its commit. `loop_writer` is the same in an event loop."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import errors as pg

from middleware.errors import Busy
from middleware.observing import log
from middleware.rows import INSERT, Row, Waiter, adapt, parameters, share, take

__all__ = ["GroupWriter", "Row", "result"]


class _ThreadWaiter(Waiter):
    """The held lock is the cheapest event that Python has."""

    __slots__ = ("lock",)

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__(rows)
        self.lock = threading.Lock()
        self.lock.acquire()


def result(waiter: Waiter, *, in_time: bool) -> int:
    """How many rows of a waiter are new; raises `Busy` when they were not kept."""
    if not in_time:
        raise Busy("the database did not answer in time")
    if waiter.error is not None:
        raise Busy("the database is not available") from waiter.error
    return waiter.kept


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
        self._waiting: deque[_ThreadWaiter] = deque()
        self._wake = threading.Condition(threading.Lock())
        self._stopping = False
        self._connection: psycopg.Connection[Any] | None = None
        self._thread = threading.Thread(target=self._run, name="waybill-writer", daemon=True)
        self._thread.start()

    def keep(self, rows: Sequence[Row]) -> int:
        """Keep all rows of one request, or none. Returns how many were new; raises `Busy`."""
        waiter = _ThreadWaiter(rows)
        self._queue(waiter)
        return result(waiter, in_time=waiter.lock.acquire(timeout=self._patience))

    def stop(self) -> None:
        """Commit what waits, then end the thread and its connection."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        self._close()

    def _queue(self, waiter: _ThreadWaiter) -> None:
        with self._wake:
            if self._stopping or len(self._waiting) >= self._limit:
                raise Busy("too many deliveries are waiting to be stored")
            self._waiting.append(waiter)
            if len(self._waiting) == 1:
                self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._stopping:
                    self._wake.wait()
                if not self._waiting:
                    return
                group = take(self._waiting, self._batch)
            self._commit(group)

    def _commit(self, group: list[_ThreadWaiter]) -> None:
        lanes: set[str] = set()
        try:
            lanes = share(group, self._execute(parameters(group)))
        except pg.DataError:  # one bad row must not fail its batch
            lanes = self._one_by_one(group)
        except Exception as error:  # noqa: BLE001 - the outermost recorder: every waiter is told, nothing was acknowledged
            log.error("writer.failed", error=type(error).__name__, requests=len(group))
            self._close()
            for waiter in group:
                waiter.error = error
        for waiter in group:
            waiter.lock.release()
        if lanes and self._after is not None:
            self._after(lanes)

    def _one_by_one(self, group: list[_ThreadWaiter]) -> set[str]:
        lanes: set[str] = set()
        for waiter in group:
            try:
                lanes |= share([waiter], self._execute(parameters([waiter])))
            except psycopg.Error as error:
                waiter.error = error
        return lanes

    def _execute(self, values: list[Any]) -> list[tuple[str, str]]:
        for attempt in range(3):
            try:
                return self._connected().execute(INSERT, values, prepare=True, binary=True).fetchall()
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
            adapt(self._connection)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
