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
    """The loop's connection."""

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


class LoopWriter:
    """`GroupWriter` for one event loop; `keep` returns only after COMMIT."""

    def __init__(self, url: str, *, limit: int, after: Callable[[set[str]], None], batch: int = 256, patience: float = 10.0) -> None:
        """`limit` requests may wait, `batch` rows share a commit, `patience` seconds is the longest commit; `after` is called
        after each commit that kept something new, with the lanes of what it kept."""
        self._line = _Line(url)
        self._limit = limit
        self._batch = batch
        self._patience = patience
        self._after = after
        self._waiting: deque[_LoopWaiter] = deque()
        self._committing: asyncio.Task[None] | None = None

    async def keep(self, rows: Sequence[Row]) -> int:
        """Keep all rows of one request, or none. Returns how many were new; raises `Busy`."""
        if len(self._waiting) >= self._limit:
            raise Busy("too many deliveries are waiting to be stored")
        loop = asyncio.get_running_loop()
        waiter = _LoopWaiter(rows, loop.create_future())
        self._waiting.append(waiter)
        if self._committing is None:
            self._committing = loop.create_task(self._run())
        await waiter.future
        return result(waiter, in_time=True)

    async def stop(self) -> None:
        """Commit what waits, then close the connections."""
        if self._committing is not None:
            await self._committing
        await self._line.close()

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._commit(take(self._waiting, self._batch))
        finally:
            self._committing = None

    async def _commit(self, group: list[_LoopWaiter]) -> None:
        lanes: set[str] = set()
        try:
            async with asyncio.timeout(self._patience):
                lanes = await commit(group, self._line)
        except TimeoutError as error:
            await fail(group, self._line, error)
        for waiter in group:
            waiter.release()
        if lanes:
            self._after(lanes)
