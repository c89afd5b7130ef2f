"""A poison event takes no other event along."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from middleware import inbox, sweep
from middleware.errors import WaybillError
from middleware.runtime import Runtime
from middleware.settings import Work
from tests.integration.conftest import Victim
from tests.world import World, hear, intent_event, place, rows

EVENTS = "SELECT delivery_id, state, attempts, vanished, cause FROM events WHERE connection = 'stripe' ORDER BY id"


@pytest.fixture
def world(database_url: str) -> World:
    return World(database_url, work=Work(event_attempts=3, retry_base=10, retry_cap=1000))


@pytest.fixture
def five(runtime: Runtime) -> Iterator[Runtime]:
    """An order that is known, and five payments of it that wait to be decided."""
    place(runtime, "uuid-1")
    inbox.decide(runtime, "orders")
    for number in range(5):
        hear(runtime, intent_event(f"pi_{number}", order="uuid-1", event=f"evt_{number}"))
    yield runtime


@pytest.mark.parametrize(("how", "signals"), [("segfault", {signal.SIGSEGV}), ("memory", {signal.SIGKILL})])
def test_an_event_that_kills_its_worker_is_left_alone_after_three_and_takes_nobody_along(
    world: World, five: Runtime, victim: Victim, how: str, signals: set[int]
) -> None:
    def work() -> dict[str, Any]:
        world.clock.forward(61)
        sweep.sweep(five)
        order = {"url": world.database_url, "key": world.keys[0], "poison": {"evt_2": how}}
        return victim.run(way="poisoned", ahead=world.clock.ahead.total_seconds(), **order)

    first = work()
    assert first["signal"] in signals
    assert first["steps"] == ["evt_0", "evt_1", "evt_2"]
    assert rows(five, EVENTS) == [(f"evt_{n}", "deciding", 1, 0, None) for n in range(5)]
    alone = [work() for _ in range(6)]
    # suspects are claimed alone, the longest waiting one first; evt_2 takes its own worker along twice more, and no other event
    assert sorted(answer["steps"] for answer in alone if not answer["signal"]) == [["evt_0"], ["evt_1"], ["evt_3"], ["evt_4"]]
    assert [(answer["steps"], answer["signal"] in signals) for answer in alone if answer["signal"]] == [(["evt_2"], True)] * 2
    world.clock.forward(61)
    sweep.sweep(five)
    assert rows(five, EVENTS) == [(f"evt_{n}", "decided", 2, 0, None) if n != 2 else ("evt_2", "dead", 3, 3, "vanished") for n in range(5)]
    assert rows(five, "SELECT detail FROM events WHERE state = 'dead'") == [("its worker vanished while deciding it",)]
    assert inbox.decide(five, "payments") == 0


def test_an_event_with_a_bug_is_decided_alone_retried_with_back_off_and_dies_with_its_cause(
    world: World, five: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mappings.canonical import PaymentChange
    from middleware import routes

    record = routes.MESSAGES[PaymentChange]

    def buggy(change: PaymentChange, work: Any) -> None:
        if change.remote_id == "pi_2":
            raise ZeroDivisionError
        record(change, work)

    monkeypatch.setitem(routes.MESSAGES, PaymentChange, buggy)
    assert inbox.decide(five, "payments") == 5
    others = [(f"evt_{n}", "decided", 1, 0, None) for n in range(5)]
    assert rows(five, EVENTS) == [*others[:2], ("evt_2", "due", 1, 0, "bug:ZeroDivisionError"), *others[3:]]
    assert inbox.decide(five, "payments") == 0, "it waits before it is tried again"
    (wait,) = rows(
        five, "SELECT due_at > :now, due_at <= :now + interval '10 s' FROM events WHERE delivery_id = 'evt_2'", now=world.clock()
    )
    assert wait == (True, True)
    for attempt in (2, 3):
        world.clock.forward(1000)
        assert inbox.decide(five, "payments") == 1, attempt
    assert rows(five, EVENTS)[2] == ("evt_2", "dead", 3, 0, "bug:ZeroDivisionError")
    assert rows(five, "SELECT count(*) FROM payments") == [(4,)]


def test_an_event_that_cannot_be_read_dies_at_once_and_takes_nobody_along(five: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    translate = inbox.translate

    def picky(runtime: Runtime, claimed: inbox.Claimed) -> Any:
        if claimed.delivery_id == "evt_2":
            raise WaybillError("unheard of")
        return translate(runtime, claimed)

    monkeypatch.setattr(inbox, "translate", picky)
    inbox.decide(five, "payments")
    assert [row[1] for row in rows(five, EVENTS)] == ["decided", "decided", "dead", "decided", "decided"]
