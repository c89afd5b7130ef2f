"""What a batch costs: the database is asked once for all its events, never once for each."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from middleware import inbox
from middleware.runtime import Runtime
from tests.world import pay, place, rows


def statements_of_a_batch(runtime: Runtime, first: int, count: int) -> int:
    """How many statements deciding the payments of `count` new orders takes."""
    for number in range(first, first + count):
        place(runtime, f"uuid-{number}", f"m{number}")
        pay(runtime, f"pi_{number}", order=f"uuid-{number}")
    inbox.decide(runtime, "orders")
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(runtime.engine, "before_cursor_execute", note)
    decided = inbox.decide(runtime, "payments")
    event.remove(runtime.engine, "before_cursor_execute", note)
    assert decided == count
    return len(said)


@pytest.mark.parametrize("count", [2, 40])
def test_a_batch_of_payments_takes_as_many_statements_as_one_payment(runtime: Runtime, count: int) -> None:
    alone = statements_of_a_batch(runtime, 1, 1)
    assert statements_of_a_batch(runtime, 2, count) == alone
    assert rows(runtime, "SELECT DISTINCT export_state FROM orders") == [("asked",)]
