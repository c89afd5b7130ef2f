"""Group commit: one thread per process commits whatever requests are waiting. Nobody waits for a timer; the first waits for
nobody, the others share its commit. `loop_writer` is the same in an event loop, `group_commit` what both do with a group."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from middleware.errors import Busy
from middleware.group_commit import at_once, commit, result
from middleware.rows import INSERT, Row, Waiter, adapt, take

__all__ = ["GroupWriter", "Row"]


class _ThreadWaiter(Waiter):
    """The held lock is the cheapest event that Python has."""

    __slots__ = ("lock",)

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__(rows)
        self.lock = threading.Lock()
        self.lock.acquire()


class _Line:
    """The thread's connection: its coroutines wait for nothing but psycopg, which blocks."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None

    async def insert(self, values: list[Any]) -> list[tuple[str, str]]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=3, prepare_threshold=0)
            adapt(self._connection)
        return self._connection.execute(INSERT, values, prepare=True, binary=True).fetchall()

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class GroupWriter:
    """Keeps rows durably; `keep` returns only after COMMIT. Bounded: full or broken means `Busy`, and nothing was kept."""

    def __init__(
        self, url: str, *, limit: int = 2_000, batch: int = 256, patience: float = 10.0, after: Callable[[set[str]], None] | None = None
    ) -> None:
        """`limit` requests may wait, `batch` rows share a commit, `patience` seconds is the longest wait; `after` is called
        after each commit that kept something new, with the lanes of what it kept."""
        self._line = _Line(url)
        self._limit = limit
        self._batch = batch
        self._patience = patience
        self._after = after
        self._waiting: deque[_ThreadWaiter] = deque()
        self._wake = threading.Condition(threading.Lock())
        self._stopping = False
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
        at_once(self._line.close())

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
        lanes = at_once(commit(group, self._line))
        for waiter in group:
            waiter.lock.release()
        if lanes and self._after is not None:
            self._after(lanes)
