"""What both writers do with a group: one commit for all, and one each when a row is bad; a connection that died is tried anew.

Written once, as coroutines. `LoopWriter` awaits them in its loop; `GroupWriter`, whose thread may wait, runs them with `at_once`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg import errors as pg

from middleware.errors import Busy
from middleware.observing import log
from middleware.rows import Waiter, parameters, share

T = TypeVar("T")


class Line(Protocol):
    """A connection to the database, opened when it is needed."""

    async def insert(self, values: list[Any]) -> list[tuple[str, str]]:
        """Execute and commit `rows.INSERT`; returns the identities of the rows that are new."""

    async def close(self) -> None:
        """Close the connection; the next `insert` opens another."""


async def commit(group: Sequence[Waiter], line: Line) -> set[str]:
    """Keep a group's rows and tell every waiter; returns the lanes of what is new. An error is the waiters' to raise."""
    try:
        return share(group, await _insert(line, parameters(group)))
    except pg.DataError:  # one bad row must not fail its batch
        return await _one_by_one(group, line)
    except Exception as error:  # noqa: BLE001 - the outermost recorder: every waiter is told, nothing was acknowledged
        await fail(group, line, error)
        return set()


async def fail(group: Sequence[Waiter], line: Line, error: Exception) -> None:
    """Tell every waiter that nothing is certain, and leave the connection."""
    log.error("writer.failed", error=type(error).__name__, requests=len(group))
    await line.close()
    for waiter in group:
        waiter.error = error


async def _one_by_one(group: Sequence[Waiter], line: Line) -> set[str]:
    lanes: set[str] = set()
    for waiter in group:
        try:
            lanes |= share([waiter], await _insert(line, parameters([waiter])))
        except psycopg.Error as error:
            waiter.error = error
    return lanes


async def _insert(line: Line, values: list[Any]) -> list[tuple[str, str]]:
    for attempt in range(3):
        try:
            return await line.insert(values)
        except pg.DeadlockDetected:
            if attempt == 2:
                raise
        except psycopg.OperationalError:  # a connection that died while idle: once more on a new one
            await line.close()
            if attempt:
                raise
    raise AssertionError("unreachable")


def result(waiter: Waiter, *, in_time: bool) -> int:
    """How many rows of a waiter are new; raises `Busy` when they were not kept."""
    if not in_time:
        raise Busy("the database did not answer in time")
    if waiter.error is not None:
        raise Busy("the database is not available") from waiter.error
    return waiter.kept


def at_once(steps: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that awaits nothing but what blocks, without a loop."""
    try:
        steps.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waits for a loop")
