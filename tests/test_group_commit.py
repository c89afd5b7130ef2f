"""What both writers do with a group, on a line that fails as it is told."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from middleware.errors import Busy
from middleware.group_commit import at_once, commit, result
from middleware.rows import Row, Waiter


class FailingLine:
    """Raises what is listed, one at a time, then keeps everything; a delivery called `bad` never."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.inserts = 0
        self.closed = 0

    async def insert(self, values: list[Any]) -> list[tuple[str, str]]:
        self.inserts += 1
        if self.failures:
            raise self.failures.pop(0)
        connections, deliveries = values[:2]
        if "bad" in deliveries:
            raise pg.DataError
        return list(zip(connections, deliveries, strict=True))

    async def close(self) -> None:
        self.closed += 1


def waiter(*deliveries: str) -> Waiter:
    return Waiter([Row("stripe", name, "", "", "payments", b"", None, False, "", "") for name in deliveries])


def test_a_group_is_one_commit() -> None:
    group, line = [waiter("a", "b"), waiter("b", "c")], FailingLine()
    assert at_once(commit(group, line)) == {"payments"}
    assert [result(one, in_time=True) for one in group] == [2, 1]
    assert line.inserts == 1


def test_a_bad_row_fails_alone() -> None:
    group, line = [waiter("a"), waiter("bad"), waiter("c")], FailingLine()
    assert at_once(commit(group, line)) == {"payments"}
    assert [one.kept for one in group] == [1, 0, 1]
    with pytest.raises(Busy):
        result(group[1], in_time=True)


@pytest.mark.parametrize(
    ("failures", "inserts", "closed", "kept"),
    [
        ([psycopg.OperationalError()], 2, 1, 1),
        ([pg.DeadlockDetected(), pg.DeadlockDetected()], 3, 0, 1),
        ([psycopg.OperationalError(), psycopg.OperationalError()], 2, 3, 0),
        ([pg.DeadlockDetected()] * 3, 3, 1, 0),
        ([pg.InternalError()], 1, 1, 0),
    ],
    ids=["died while idle", "two deadlocks", "no database", "three deadlocks", "anything else"],
)
def test_what_is_tried_again(failures: list[Exception], inserts: int, closed: int, kept: int) -> None:
    group, line = [waiter("a")], FailingLine(*failures)
    assert at_once(commit(group, line)) == ({"payments"} if kept else set())
    assert (line.inserts, line.closed, group[0].kept, group[0].error is None) == (inserts, closed, kept, bool(kept))
