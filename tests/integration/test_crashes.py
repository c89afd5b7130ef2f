"""A worker killed between any two steps loses nothing and doubles nothing: driven through every step, not a sample."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from middleware import inbox, outbox, sweep
from middleware.runtime import Runtime
from middleware.simulators.drupal.checkout import Line
from middleware.simulators.drupal.simulator import DrupalSimulator
from middleware.simulators.erp import ErpSimulator
from tests.integration.conftest import Victim
from tests.world import World, connections, hear, intent_event, place, refund_event, rows

KILLED = int(signal.SIGKILL)
TOTAL = 4470


@dataclass
class Journey:
    """One order after another through the same Waybill: each is worked by a child, and finished by `runtime`."""

    world: World
    runtime: Runtime
    victim: Victim
    erp: ErpSimulator
    shop: DrupalSimulator
    number: int = 0

    def begin(self) -> str:
        """A new order is placed in the shop, paid and partly refunded; its events are kept, nothing is decided."""
        self.number += 1
        placed = self.shop.place_order([Line("TS-RED-M", unit_price="44.70", title="T-Shirt")])
        intent = f"pi_{self.number}"
        hear(self.runtime, intent_event(intent, order=placed.uuid, created=1_700_000_000))
        hear(self.runtime, refund_event(intent, f"re_{self.number}", 470, created=1_700_000_001))
        place(self.runtime, placed.uuid, f"m{self.number}", number=str(1000 + self.number), internal=str(self.number), payment=intent)
        return placed.uuid

    def work(self, at: int, way: str = "work") -> dict[str, Any]:
        """A child does what a worker does, and dies before step `at`."""
        where = {"url": self.world.database_url, "erp": self.erp.url, "shop": self.shop.url, "key": self.world.keys[0]}
        return self.victim.run(way=way, at=at, ahead=self.world.clock.ahead.total_seconds(), **where)

    def finish(self) -> None:
        """Time passes: leases end, unknown outcomes rest; another worker goes on."""
        for seconds in (76, 61):
            self.world.clock.forward(seconds)
            sweep.sweep(self.runtime)
            while sum(inbox.decide(self.runtime, lane) for lane in ("payments", "orders")) + outbox.make(self.runtime, "orders"):
                pass

    def result(self, order: str) -> dict[str, Any]:
        """Everything that the order came to, here and in both outside systems."""
        key = {"order": order, "number": self.number}
        (row,) = rows(
            self.runtime,
            "SELECT id, state, payment_state, export_state, erp_number, waits, total_minor FROM orders WHERE order_id = :order",
            **key,
        )
        key["id"] = row[0]
        mine = self.erp.orders_by_reference().get(order, [])
        numbers = {found.number: "SO" for found in mine}
        shown = self.shop.order(order).fields
        return {
            "order": (*row[1:4], numbers.get(row[4]), *row[5:]),
            "erp": len(mine),
            "shop": {name: numbers.get(value or "", value) for name, value in shown.items()},
            "events": rows(self.runtime, "SELECT connection, topic, state, cause FROM events WHERE order_id = :id ORDER BY id", **key),
            "open": rows(
                self.runtime, "SELECT state, count(*) FROM events WHERE state IN ('due', 'deciding', 'parked', 'dead') GROUP BY 1", **key
            ),
            "parked": rows(self.runtime, "SELECT count(*) FROM parked_keys", **key),
            "payments": rows(self.runtime, "SELECT state, amount_minor, currency FROM payments WHERE order_id = :id", **key),
            "parts": rows(
                self.runtime,
                "SELECT kind, part.amount_minor, counts FROM payment_parts part JOIN payments p ON p.id = payment_id WHERE p.order_id = :id ORDER BY kind",  # noqa: E501
                **key,
            ),
            "links": rows(self.runtime, "SELECT connection, kind FROM links WHERE our_id = 'shop/' || :order", **key),
            "calls": rows(self.runtime, "SELECT connection, operation, state FROM calls WHERE order_id = :id ORDER BY id", **key),
            "audit": ways(
                rows(self.runtime, "SELECT thing, was, becomes, refused FROM transitions WHERE order_id = :id ORDER BY id", **key)
            ),
        }


def ways(found: list[tuple[Any, ...]]) -> dict[str, tuple[str, str]]:
    """Where each state began and ended; its changes must be one chain in which nothing is repeated and nothing refused."""
    chains: dict[str, list[str]] = {}
    for thing, was, becomes, refused in found:
        chain = chains.setdefault(thing.partition(" ")[0], [was])
        assert (chain[-1], refused) == (was, False), f"{thing}: {found}"
        chain.append(becomes)
    assert all(len(set(chain)) == len(chain) for chain in chains.values()), found
    return {thing: (chain[0], chain[-1]) for thing, chain in chains.items()}


EXPECTED = {
    "order": ("placed", "partially_refunded", "exported", "SO", "", TOTAL),
    "erp": 1,
    "shop": {"field_waybill_erp_number": "SO", "field_waybill_erp_status": "unknown"},
    "events": [
        ("stripe", "payment_intent.succeeded", "decided", None),
        ("stripe", "refund.created", "decided", None),
        ("shop", "order.placed", "decided", None),
    ],
    "open": [],
    "parked": [(0,)],
    "payments": [("partially_refunded", TOTAL, "EUR")],
    "parts": [("capture", TOTAL, True), ("refund", 470, True)],
    "links": [("erp", "order")],
    "calls": [("erp", "create_order", "done"), ("shop", "write_order_status", "done")],
    "audit": {
        "order": ("", "placed"),
        "export_state": ("held", "exported"),
        "payment": ("", "partially_refunded"),
        "payment_state": ("unpaid", "partially_refunded"),
    },
}


@pytest.fixture
def journey(database_url: str, erp: ErpSimulator, shop: DrupalSimulator, victim: Victim) -> Iterator[Journey]:
    world = World(database_url, erp, connections=connections(erp.url, shop.url, poll=0))
    runtime = world.runtime()
    yield Journey(world, runtime, victim, erp, shop)
    runtime.close()


def test_a_worker_killed_between_any_two_steps_loses_nothing_and_doubles_nothing(
    journey: Journey, capsys: pytest.CaptureFixture[str]
) -> None:
    journey.begin()
    journey.work(at=0, way="warm_up")
    clean = journey.begin()
    answer = journey.work(at=0)
    steps = answer["steps"]
    assert (answer["signal"], journey.result(clean)) == (0, EXPECTED)
    deaths = 0
    at = 0
    while True:
        at += 1
        order = journey.begin()
        died = journey.work(at=at)
        journey.finish()
        assert journey.result(order) == EXPECTED, f"killed before step {at}: {died['steps'][-1]}"
        if died["signal"] != KILLED:
            break
        deaths += 1
    assert deaths == len(steps)
    with capsys.disabled():
        print(f"\n  decide and make: killed at each of {deaths} steps: {dict(Counter(step.split()[0] for step in steps))}")


def test_what_was_acknowledged_is_kept_and_the_rest_is_kept_once_by_the_retry(
    journey: Journey, victim: Victim, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    deliveries, threads, keep = 12, 8, journey.runtime
    order = {"way": "keep", "url": database_url, "key": journey.world.keys[0], "deliveries": deliveries, "threads": threads}
    everything = [(f"m{number}",) for number in range(deliveries)]
    at, deaths = 0, 0
    while True:
        at += 1
        rows(keep, "TRUNCATE events, event_bodies")
        answer = victim.run(**order, at=at)
        acknowledged = {step.removeprefix("acknowledged ") for step in answer["steps"] if step.startswith("acknowledged")}
        kept = {name for (name,) in rows(keep, "SELECT delivery_id FROM events")}
        assert acknowledged <= kept, f"killed before step {at}"
        retried = {f"m{number}": place(keep, f"order-{number}", f"m{number}") for number in range(deliveries)}
        assert {name for name, new in retried.items() if not new} == kept
        assert sorted(rows(keep, "SELECT delivery_id FROM events"), key=lambda row: int(row[0][1:])) == everything
        assert rows(keep, "SELECT count(*) FROM event_bodies") == [(deliveries,)]
        if answer["signal"] != KILLED:
            break
        deaths += 1
    assert acknowledged == kept
    assert deaths >= 4
    with capsys.disabled():
        print(f"\n  keep: killed at each of {deaths} steps around its inserts")
