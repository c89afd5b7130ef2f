"""A slow system never starves another lane, and never takes more than its own connection allows."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from middleware import inbox, outbox
from middleware.ports import Effect, Receipt
from middleware.runtime import Runtime
from middleware.settings import Work
from tests.world import World, connections, inbound, order_event, rows, sign_shop


class SlowErp:
    """An ERP that answers nobody until it is let."""

    LANE = "orders"

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.let = threading.Event()

    def create_order(self, effect: Effect) -> Receipt:
        self.begun.release()
        assert self.let.wait(30)
        return Receipt(effect.key, "N-1")

    def find_order(self, effect: Effect) -> Receipt | None:
        return None

    @property
    def http(self) -> SlowErp:
        return self

    def close(self) -> None:
        self.let.set()


@pytest.fixture
def erp() -> SlowErp:
    return SlowErp()


@pytest.fixture
def runtime(database_url: str, erp: SlowErp) -> Iterator[Runtime]:
    made = World(database_url, connections=connections(concurrency=3, poll=0), work=Work(concurrency=2)).runtime()
    made._connectors["erp"] = erp
    for number in range(6):
        body = order_event(f"uuid-{number}", number=str(number))
        inbox.receive(made, "shop", inbound(sign_shop(body, f"m{number}"), body))
    inbox.decide(made, "orders")
    yield made
    made.close()


def makers(runtime: Runtime, count: int) -> list[threading.Thread]:
    threads = [threading.Thread(target=outbox.make, args=(runtime, "orders")) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_a_lane_full_of_slow_calls_leaves_the_threads_to_the_others(runtime: Runtime, erp: SlowErp) -> None:
    busy = makers(runtime, 2)
    assert all(erp.begun.acquire(timeout=30) for _ in busy)
    assert outbox.make(runtime, "orders") == 0  # returns at once: this process's places of the lane are taken
    with runtime.bulkhead("payments") as free:
        assert free
    erp.let.set()
    for thread in busy:
        thread.join()
    # What the shop is to be told is tried again after a random wait, as it is not there; every export is made.
    assert rows(runtime, "SELECT state, count(*) FROM calls WHERE operation = 'create_order' GROUP BY state") == [("done", 6)]


def test_a_connection_takes_no_more_calls_at_once_than_it_may_whoever_claims(runtime: Runtime) -> None:
    taken = [outbox.claim(runtime, "orders") for _ in range(5)]
    assert [call is not None for call in taken] == [True, True, True, False, False]
