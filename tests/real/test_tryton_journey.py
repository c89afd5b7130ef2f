"""The journey into a real Tryton and back to the shop, with replies lost and requests late; judged over JSON-RPC and in the shop."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from middleware import context, inbox, outbox, sweep, timeline
from middleware.errors import UnknownOutcome
from middleware.ports import Effect
from middleware.runtime import Runtime
from middleware.settings import Connection
from middleware.simulators.drupal import DrupalSimulator
from middleware.simulators.drupal.checkout import Charge, Line, Paid
from middleware.simulators.drupal.simulator import ShopOrder
from middleware.simulators.proxy import FaultProxy
from middleware.simulators.stripe import StripeSimulator
from middleware.testing import drain, secret
from tests.real.tryton_server import Tryton
from tests.world import SHOP_SECRET, STRIPE_SECRET, World, connections, inbound, sign_shop, sign_stripe

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

TIMEOUT = 4.0
"""Seconds that Waybill waits for Tryton here."""
HOLD = 300.0
"""Seconds that the proxy holds: longer than any test, ended by `release`."""


@dataclass
class Journey:
    """A shop, Stripe, a Waybill and a real Tryton behind a fault proxy."""

    tryton: Tryton
    proxy: FaultProxy
    shop: DrupalSimulator
    stripe: StripeSimulator
    world: World
    runtime: Runtime
    received: dict[str, int]

    def order(self) -> ShopOrder:
        """A customer orders 2 mugs and a shirt with shipping, 44.70 EUR, and pays; what the shop and Stripe say of it arrives."""
        identity = str(uuid.uuid4())
        intent = self.stripe.create_intent(4470, "eur", {"order_uuid": identity})
        self.stripe.authorize(intent)
        placed = self.shop.place_order(
            [Line("MUG-1", "2", "9.95", "Mug"), Line("SHIRT-RED-M", "1", "19.90", "Shirt")],
            adjustments=[Charge("shipping", "Parcel", "4.90")],
            payments=[Paid("stripe", intent)],
            currency="EUR",
            mail=f"{identity}@example.com",
            order_uuid=identity,
        )
        self.stripe.capture(intent)
        self.arrive()
        return placed

    def arrive(self) -> None:
        """Everything that the shop and Stripe have said since then is received, Stripe first."""
        for event in self.stripe.events[self.received["stripe"] :]:
            body = json.dumps(event, indent=2).encode()
            assert inbox.receive(self.runtime, "stripe", inbound(sign_stripe(body), body)).new == 1
        for event in self.shop.events[self.received["shop"] :]:
            body = json.dumps(event).encode()
            assert inbox.receive(self.runtime, "shop", inbound(sign_shop(body, f"msg_{uuid.uuid4().hex}"), body)).new == 1
        self.received = {"shop": len(self.shop.events), "stripe": len(self.stripe.events)}

    def work(self) -> None:
        """Be the worker until nothing is due, then once more after the waits of retries and polls."""
        for _ in range(3):
            drain(self.runtime)
            self.world.clock.forward(3)
        self.arrive()
        drain(self.runtime)

    def states(self, order: ShopOrder) -> tuple[str, ...]:
        with self.runtime.engine.connect() as connection:
            query = text("SELECT state, payment_state, export_state, fulfilment_state FROM orders WHERE order_id = :id")
            return tuple(connection.execute(query, {"id": order.uuid}).one())

    def call(self, order: ShopOrder) -> tuple[str, int, bool]:
        """State, attempts and whether it was looked up, of the order's one export."""
        with self.runtime.engine.connect() as connection:
            query = text(
                "SELECT c.state, c.attempts, c.look_up FROM calls c JOIN orders o ON o.id = c.order_id"
                " WHERE o.order_id = :id AND operation = 'create_order'"
            )
            return tuple(connection.execute(query, {"id": order.uuid}).one())

    def sale(self, order: ShopOrder) -> dict[str, Any]:
        """The one sale of the order, as JSON-RPC reads it."""
        (found,) = self.tryton.sales(order.number or "", ["number", "web_id", "state", "total_amount", "party.name", "lines"])
        return found

    def told(self, order: ShopOrder) -> tuple[str | None, str | None]:
        """The ERP's number and status on the shop's order."""
        fields = self.shop.order(order.uuid).fields
        return fields["field_waybill_erp_number"], fields["field_waybill_erp_status"]

    def is_exported_once(self, order: ShopOrder) -> None:
        sale = self.sale(order)
        assert (sale["web_id"], sale["state"], sale["total_amount"]["decimal"]) == (order.uuid, "processing", "44.70")
        assert self.states(order) == ("placed", "paid", "exported", "processing")
        assert self.told(order) == (sale["number"], "processing")


@pytest.fixture(scope="module")
def shop() -> Iterator[DrupalSimulator]:
    """One for all tests, so that no two of their orders have the same number."""
    with DrupalSimulator(secret=SHOP_SECRET) as simulator:
        yield simulator


@pytest.fixture
def journey(tryton: Tryton, tryton_proxy: FaultProxy, shop: DrupalSimulator, database_url: str) -> Iterator[Journey]:
    erp = Connection(
        "erp",
        "tryton",
        tryton.proxied(tryton_proxy),
        (),
        {"key": secret(tryton.key)},
        {"company": tryton.company, "web_shop": tryton.web_shop, "payment_term": tryton.payment_term},
        timeout=TIMEOUT,
        deadline=2 * TIMEOUT,
        settle=5,
        breaker_failures=1000,
        poll=1,
    )
    world = World(database_url, connections={**connections(shop_url=shop.url), "erp": erp})
    runtime = world.runtime()
    stripe, received = StripeSimulator(secret=STRIPE_SECRET), {"shop": len(shop.events), "stripe": 0}
    yield Journey(tryton, tryton_proxy, shop, stripe, world, runtime, received)
    runtime.close()


def in_the_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_an_order_becomes_one_sale_and_the_shop_is_told(journey: Journey) -> None:
    order = journey.order()
    journey.work()
    journey.is_exported_once(order)
    assert journey.call(order) == ("done", 1, False)
    assert context.deadline.get() == 0.0  # nothing of a call clings to the worker's thread, where polls run, too
    of_the_sale, fields = [["sale", "=", journey.sale(order)["id"]]], ["product.code", "quantity", "amount", "description"]
    lines = journey.tryton.rpc("model.sale.line.search_read", of_the_sale, 0, None, [["id", "ASC"]], fields)
    assert [
        ((line.get("product.") or {}).get("code"), line["quantity"], line["amount"]["decimal"], line["description"] or "") for line in lines
    ] == [
        ("MUG-1", 2.0, "19.90", ""),
        ("SHIRT-RED-M", 1.0, "19.90", ""),
        (None, 1.0, "4.90", "Parcel"),
    ]


def test_a_sale_that_was_shipped_is_shipped_in_the_shop(journey: Journey) -> None:
    order = journey.order()
    journey.work()
    journey.tryton.ship(journey.sale(order)["id"])
    journey.work()
    assert journey.states(order) == ("placed", "paid", "exported", "shipped")
    assert journey.told(order) == (journey.sale(order)["number"], "shipped")
    (events,) = [[line.title for line in story.lines if line.kind == "event"] for story in timeline.by_number(journey.runtime, order.uuid)]
    assert events.count("erp: sale.changed") == 2


def test_a_lost_reply_is_looked_up_and_leaves_one_sale(journey: Journey) -> None:
    journey.proxy.delay_reply(HOLD, path="/sale.sale$")
    order = journey.order()
    journey.work()
    journey.proxy.release()
    assert journey.proxy.done["delay_reply"] == 1
    journey.is_exported_once(order)
    assert journey.call(order) == ("done", 2, True)
    (story,) = timeline.by_number(journey.runtime, order.uuid)
    told = [(line.title.split("?")[0].rsplit("/", 1)[-1], line.title, line.detail) for line in story.lines]
    (lost,) = [n for n, (model, title, _) in enumerate(told) if model == "sale.sale" and title.startswith("POST")]
    looked = next(n for n, (model, title, detail) in enumerate(told) if title.startswith("GET") and detail.startswith("attempt 2"))
    assert told[lost][1].endswith(": no answer")
    assert told[lost][2].startswith("attempt 1")
    assert told[lost][2].endswith("unknown_outcome no answer within the time-out")
    assert (looked > lost, told[looked][0]) == (True, "sale.sale")
    assert [line.title for line in story.lines if line.title.startswith("export_state")] == [
        "export_state: held → asked",
        "export_state: asked → unknown",
        "export_state: unknown → exported",
    ]


@pytest.mark.parametrize("late_one", ["arrives last", "arrives first"])
def test_a_request_delayed_beyond_timeout_and_look_up_leaves_one_sale(journey: Journey, late_one: str) -> None:
    journey.proxy.delay_request(HOLD, path="/sale.sale$", times=1 if late_one == "arrives last" else 2)
    order = journey.order()
    worker = in_the_background(journey.work)
    if late_one == "arrives last":
        worker.join()
        assert journey.tryton.count_sales(order.number or "") == 1
        journey.proxy.release()
    else:
        assert journey.proxy.wait_held(2)  # ours was looked up, not found, and repeated
        assert journey.tryton.count_sales(order.number or "") == 0
        journey.proxy.release(1)
        while not journey.tryton.count_sales(order.number or ""):
            assert not journey.proxy.wait_idle(0.05)
        journey.proxy.release()
        worker.join()
    assert journey.proxy.wait_idle()
    journey.work()
    journey.is_exported_once(order)
    assert journey.call(order) == ("done", 2, True)


@pytest.mark.parametrize("killed", ["after the sale", "before its confirmation"])
def test_a_worker_killed_between_effect_and_record_leaves_one_sale(journey: Journey, killed: str) -> None:
    order, runtime = journey.order(), journey.runtime
    while inbox.decide(runtime, "orders") + inbox.decide(runtime, "payments"):
        pass
    taken = outbox.claim(runtime, "orders")
    assert taken is not None
    payload = msgspec.json.decode(runtime.vault.open(taken.payload, taken.key))
    effect = Effect(taken.key, taken.operation, taken.subject, payload, taken.attempts)
    if killed == "after the sale":
        runtime.connector("erp").create_order(effect)
    else:
        journey.proxy.reset_before(path="/confirm$")
        with pytest.raises(UnknownOutcome):
            runtime.connector("erp").create_order(effect)
    journey.work()
    assert journey.states(order)[2] == "asked"
    journey.world.clock.forward(runtime.settings.connections["erp"].deadline + 15)
    assert sweep.expire_calls(runtime) == [taken.id]
    assert journey.states(order)[2] == "unknown"
    journey.world.clock.forward(6)
    journey.work()
    journey.is_exported_once(order)
    assert journey.call(order) == ("done", 2, True)
