"""Group commit in an event loop: the requests that wait while a commit is under way share the next one. No thread, and so
nobody waits for another thread's turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import errors as pg

from middleware.errors import Busy
from middleware.observing import log
from middleware.rows import INSERT, Row, Waiter, adapt, parameters, share, take
from middleware.writer import result


class _LoopWaiter(Waiter):
    __slots__ = ("future",)

    def __init__(self, rows: Sequence[Row], future: asyncio.Future[None]) -> None:
        super().__init__(rows)
        self.future = future

    def release(self) -> None:
        if not self.future.done():  # the sender may have gone
            self.future.set_result(None)


class LoopWriter:
    """`GroupWriter` for one event loop; `keep` returns only after COMMIT."""

    def __init__(self, url: str, *, limit: int, after: Callable[[set[str]], None], batch: int = 256, patience: float = 10.0) -> None:
        """`limit` requests may wait, `batch` rows share a commit, `patience` seconds is the longest commit; `after` is called
        after each commit that kept something new, with the lanes of what it kept."""
        self._url = url
        self._limit = limit
        self._batch = batch
        self._patience = patience
        self._after = after
        self._waiting: deque[_LoopWaiter] = deque()
        self._task: asyncio.Task[None] | None = None
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def keep(self, rows: Sequence[Row]) -> int:
        """Keep all rows of one request, or none. Returns how many were new; raises `Busy`."""
        if len(self._waiting) >= self._limit:
            raise Busy("too many deliveries are waiting to be stored")
        loop = asyncio.get_running_loop()
        waiter = _LoopWaiter(rows, loop.create_future())
        self._waiting.append(waiter)
        if self._task is None:
            self._task = loop.create_task(self._run())
        await waiter.future
        return result(waiter, in_time=True)

    async def stop(self) -> None:
        """Commit what waits, then close the connection."""
        if self._task is not None:
            await self._task
        await self._close()

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._commit(take(self._waiting, self._batch))
        finally:
            self._task = None

    async def _commit(self, group: list[_LoopWaiter]) -> None:
        lanes: set[str] = set()
        try:
            async with asyncio.timeout(self._patience):
                lanes = share(group, await self._execute(parameters(group)))
        except pg.DataError:  # one bad row must not fail its batch
            lanes = await self._one_by_one(group)
        except Exception as error:  # noqa: BLE001 - the outermost recorder: every waiter is told, nothing was acknowledged
            log.error("writer.failed", error=type(error).__name__, requests=len(group))
            await self._close()
            for waiter in group:
                waiter.error = error
        for waiter in group:
            waiter.release()
        if lanes:
            self._after(lanes)

    async def _one_by_one(self, group: list[_LoopWaiter]) -> set[str]:
        lanes: set[str] = set()
        for waiter in group:
            try:
                lanes |= share([waiter], await self._execute(parameters([waiter])))
            except psycopg.Error as error:
                waiter.error = error
        return lanes

    async def _execute(self, values: list[Any]) -> list[tuple[str, str]]:
        for attempt in range(3):
            try:
                cursor = await (await self._connected()).execute(INSERT, values, prepare=True, binary=True)
                return await cursor.fetchall()
            except pg.DeadlockDetected:
                if attempt == 2:
                    raise
            except psycopg.OperationalError:  # a connection that died while idle: once more on a new one
                await self._close()
                if attempt:
                    raise
        raise AssertionError("unreachable")

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=3, prepare_threshold=0)
            adapt(self._connection)
        return self._connection

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
