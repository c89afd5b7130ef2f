"""Group commit in an event loop: the requests that wait while a commit is under way share the next one. No thread, and so
nobody waits for another thread's turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from middleware.errors import Busy
from middleware.group_commit import commit, fail, result
from middleware.rows import INSERT, Row, Waiter, adapt, take


class _LoopWaiter(Waiter):
    __slots__ = ("future",)

    def __init__(self, rows: Sequence[Row], future: asyncio.Future[None]) -> None:
        super().__init__(rows)
        self.future = future

    def release(self) -> None:
        if not self.future.done():  # the sender may have gone
            self.future.set_result(None)


class _Line:
    """One of the loop's connections."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def insert(self, values: list[Any]) -> list[tuple[str, str]]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=3, prepare_threshold=0)
            adapt(self._connection)
        cursor = await self._connection.execute(INSERT, values, prepare=True, binary=True)
        return await cursor.fetchall()

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


LINES = 2
"""Connections of a loop: while one commits, the loop reads requests; with one alone it would then wait for the disk."""
OVERLAP = 2
"""So many requests wait before another line commits beside the first: fewer share the next commit."""


class LoopWriter:
    """`GroupWriter` for one event loop; `keep` returns only after COMMIT."""

    def __init__(self, url: str, *, limit: int, after: Callable[[set[str]], None], batch: int = 256, patience: float = 10.0) -> None:
        """`limit` requests may wait, `batch` rows share a commit, `patience` seconds is the longest commit; `after` is called
        after each commit that kept something new, with the lanes of what it kept."""
        self._idle = [_Line(url) for _ in range(LINES)]
        self._limit = limit
        self._batch = batch
        self._patience = patience
        self._after = after
        self._waiting: deque[_LoopWaiter] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def keep(self, rows: Sequence[Row]) -> int:
        """Keep all rows of one request, or none. Returns how many were new; raises `Busy`."""
        if len(self._waiting) >= self._limit:
            raise Busy("too many deliveries are waiting to be stored")
        loop = asyncio.get_running_loop()
        waiter = _LoopWaiter(rows, loop.create_future())
        self._waiting.append(waiter)
        if self._idle and self._is_due():
            self._tasks.add(loop.create_task(self._run(self._idle.pop())))
        await waiter.future
        return result(waiter, in_time=True)

    async def stop(self) -> None:
        """Commit what waits, then close the connections."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        for line in self._idle:
            await line.close()

    def _is_due(self) -> bool:
        """The first line commits whatever waits; another one only what is worth a commit of its own."""
        return len(self._waiting) >= (OVERLAP if self._tasks else 1)

    async def _run(self, line: _Line) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            while self._waiting and (len(self._tasks) == 1 or len(self._waiting) >= OVERLAP):
                await self._commit(take(self._waiting, self._batch), line)
        finally:
            self._tasks.discard(task)
            self._idle.append(line)

    async def _commit(self, group: list[_LoopWaiter], line: _Line) -> None:
        lanes: set[str] = set()
        try:
            async with asyncio.timeout(self._patience):
                lanes = await commit(group, line)
        except TimeoutError as error:
            await fail(group, line, error)
        for waiter in group:
            waiter.release()
        if lanes:
            self._after(lanes)
