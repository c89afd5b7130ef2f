"""The journey, step by step in one process: an order and its payment reach the ERP exactly once."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from sqlalchemy import text

from middleware import inbox, timeline
from middleware.process import work_here
from middleware.runtime import Runtime
from middleware.simulators.erp import ErpSimulator
from middleware.testing import drain
from tests.world import World, inbound, intent_event, order_event, rows, sign_shop, sign_stripe


@pytest.fixture
def erp() -> Iterator[ErpSimulator]:
    simulator = ErpSimulator(key="erp-key")
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture
def world(database_url: str, erp: ErpSimulator) -> World:
    return World(database_url, erp)


@pytest.fixture
def runtime(world: World) -> Iterator[Runtime]:
    made = world.runtime()
    yield made
    made.close()


def place(runtime: Runtime, order: str, message: str = "m1", **more: object) -> int:
    body = order_event(order, **more)
    return inbox.receive(runtime, "shop", inbound(sign_shop(body, message), body)).new


def pay(runtime: Runtime, payment: str, **more: object) -> int:
    body = intent_event(payment, **more)
    return inbox.receive(runtime, "stripe", inbound(sign_stripe(body), body)).new


def states(runtime: Runtime) -> list[tuple[str, ...]]:
    with runtime.engine.connect() as connection:
        rows = connection.execute(text("SELECT state, payment_state, export_state FROM orders ORDER BY id"))
        return [tuple(row) for row in rows]


def test_an_order_and_its_payment_reach_the_erp_once(runtime: Runtime, erp: ErpSimulator) -> None:
    assert place(runtime, "uuid-1", payment="pi_1") == 1
    assert place(runtime, "uuid-1", payment="pi_1") == 0
    assert pay(runtime, "pi_1") == 1
    drain(runtime)
    assert states(runtime) == [("placed", "paid", "exported")]
    assert {ref: len(orders) for ref, orders in erp.orders_by_reference().items()} == {"uuid-1": 1}


def test_a_webhook_before_its_order_waits_and_is_joined(world: World, runtime: Runtime) -> None:
    pay(runtime, "pi_1", order="uuid-1")
    drain(runtime)
    with runtime.engine.connect() as connection:
        assert connection.execute(text("SELECT state, cause FROM events")).all() == [("parked", "order_unknown")]
    place(runtime, "uuid-1")
    drain(runtime)
    assert states(runtime) == [("placed", "paid", "exported")]
    world.clock.forward(2)
    drain(runtime)
    story = timeline.by_number(runtime, "1001")[0]
    assert [line.title for line in story.lines if line.kind == "event"] == [
        "stripe: payment_intent.succeeded",
        "shop: order.placed",
        "erp: order.changed",
    ]


def test_a_newer_version_renews_an_export_that_nothing_has_begun(runtime: Runtime, erp: ErpSimulator) -> None:
    place(runtime, "uuid-1", total="44.70")
    inbox.decide(runtime, "orders")
    place(runtime, "uuid-1", "m2", version=2, total="50.00")
    drain(runtime)
    assert [order.total for order in erp.orders] == ["50.00"]


def test_an_order_refused_for_its_total_goes_out_when_a_newer_version_mends_it(runtime: Runtime, erp: ErpSimulator) -> None:
    wrong = order_event("uuid-1").replace(
        b'"total_price": {"number": "44.70", "currency_code": "EUR"}, "billing',
        b'"total_price": {"number": "44.71", "currency_code": "EUR"}, "billing',
    )
    inbox.receive(runtime, "shop", inbound(sign_shop(wrong, "m1"), wrong))
    drain(runtime)
    assert (states(runtime), erp.orders) == ([("placed", "unpaid", "rejected")], [])
    place(runtime, "uuid-1", "m2", version=2)
    drain(runtime)
    assert (states(runtime), len(erp.orders)) == ([("placed", "unpaid", "exported")], 1)


def test_a_worker_whose_broker_is_away_does_the_work_itself(runtime: Runtime, erp: ErpSimulator) -> None:
    place(runtime, "uuid-1", payment="pi_1")
    pay(runtime, "pi_1")
    work_here(runtime)
    work_here(runtime)  # the payment came first and waited for its order
    assert states(runtime) == [("placed", "paid", "exported")]


def test_a_parcel_of_the_erp_is_asked_to_be_shown_in_the_shop(world: World, runtime: Runtime, erp: ErpSimulator) -> None:
    place(runtime, "uuid-1")
    drain(runtime)
    for state in ("confirmed", "processing", "shipped"):
        erp.advance(1, state)
    world.clock.forward(2)
    drain(runtime)
    found = rows(runtime, "SELECT key, payload FROM calls WHERE operation = 'add_shipments'")
    told = [msgspec.json.decode(runtime.vault.open(payload, key))["shipments"] for key, payload in found]
    assert [[(s["shipment_id"], s["tracking_code"], s["carrier"]) for s in one] for one in told] == [
        [("PK-000001", "DP000000001", "Demo Post")]
    ]
