"""Declared order steps follow payment states once each; a shop's own gateway module is helped, not doubled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from middleware import inbox, outbox
from middleware.domain.alignment import mistakes
from middleware.flows.payments import ASSIST_AFTER
from middleware.runtime import Runtime
from middleware.settings import Connection
from middleware.simulators.drupal import DrupalSimulator
from middleware.simulators.drupal.checkout import Line
from middleware.simulators.stripe import StripeSimulator
from middleware.testing import secret
from tests.world import SHOP_SECRET, STRIPE_SECRET, World, connections, hear, intent_event, place, refund_event, rows

RULES = {
    "refunded": {"to": "canceled", "stock": "return"},
    "disputed": {"hold": "dispute", "stock": "keep"},
    "dispute_won": {"release": True},
    "dispute_lost": {"to": "canceled"},
}


@pytest.fixture
def runtime(database_url: str) -> Iterator[Runtime]:
    made = World(database_url, store={"on_payment": RULES, "erp": ""}).runtime()
    yield made
    made.close()


def decide(runtime: Runtime) -> None:
    for lane in ("orders", "payments"):
        while inbox.decide(runtime, lane):
            pass


def steps(runtime: Runtime) -> list[tuple[str, str, bool]]:
    """What was asked of the shop, oldest first: state to reach, hold, release."""
    found = rows(runtime, "SELECT key, payload FROM calls WHERE operation = 'move_order' ORDER BY id")
    payloads = [msgspec.json.decode(runtime.vault.open(payload, key)) for key, payload in found]
    return [(one["to"], one["hold"], one["release"]) for one in payloads]


def tell(runtime: Runtime, stripe: StripeSimulator) -> None:
    for event in stripe.events:
        hear(runtime, json.dumps(event).encode())
    decide(runtime)


def paid(runtime: Runtime, stripe: StripeSimulator) -> str:
    place(runtime, "uuid-1")
    payment = stripe.create_intent(4470, "eur", {"order_uuid": "uuid-1"}, capture_method="automatic")
    stripe.capture(payment)
    tell(runtime, stripe)
    return payment


@pytest.mark.parametrize(("won", "last"), [(True, ("", "", True)), (False, ("canceled", "", False))])
def test_a_dispute_holds_the_order_and_its_end_is_declared_too(runtime: Runtime, won: bool, last: tuple[str, str, bool]) -> None:
    with StripeSimulator(secret=STRIPE_SECRET, seed=1) as stripe:
        payment = paid(runtime, stripe)
        dispute = stripe.dispute(payment)
        tell(runtime, stripe)
        assert steps(runtime) == [("", "dispute", False)]
        stripe.close_dispute(dispute, won=won)
        tell(runtime, stripe)
        tell(runtime, stripe)
    assert steps(runtime) == [("", "dispute", False), last]
    assert rows(runtime, "SELECT stock_effect FROM orders") == [("keep",)]
    assert rows(runtime, "SELECT count(*) FROM transitions WHERE thing = 'goods'") == [(1,)]


def test_only_a_whole_refund_cancels_and_what_becomes_of_the_goods_is_decided_once(runtime: Runtime) -> None:
    place(runtime, "uuid-1", payment="pi_1")
    hear(runtime, intent_event("pi_1", created=1_002))
    hear(runtime, refund_event("pi_1", "re_1", 470, created=1_003))
    decide(runtime)
    assert steps(runtime) == []
    hear(runtime, refund_event("pi_1", "re_2", 4000, created=1_004))
    decide(runtime)
    hear(runtime, refund_event("pi_1", "re_2", 4000, status="failed", created=1_005))
    hear(runtime, refund_event("pi_1", "re_3", 4000, created=1_006))
    decide(runtime)
    assert steps(runtime) == [("canceled", "", False)] * 2
    assert rows(runtime, "SELECT stock_effect FROM orders") == [("return",)]


def test_the_step_is_taken_in_a_shop_without_the_module(database_url: str) -> None:
    with DrupalSimulator() as shop:
        drupal = Connection("shop", "drupal", shop.url, (secret(SHOP_SECRET),), {"password": secret("svc-secret")}, {"username": "svc"})
        rules = {"refunded": {"to": "canceled"}}
        runtime = World(database_url, connections={**connections(), "shop": drupal}, store={"on_payment": rules, "erp": ""}).runtime()
        order = shop.place_order([Line("A", unit_price="44.70")], currency="EUR")
        place(runtime, order.uuid, payment="pi_1")
        hear(runtime, intent_event("pi_1", created=1_002))
        hear(runtime, refund_event("pi_1", "re_1", 4470, created=1_003))
        decide(runtime)
        outbox.make(runtime, "payments")
        assert shop.order(order.uuid).state == "canceled"
        assert rows(runtime, "SELECT state FROM calls WHERE operation = 'move_order'") == [("done",)]
        runtime.close()


def test_an_assistant_writes_a_payment_only_after_the_shop_had_its_time(database_url: str) -> None:
    made = connections()
    made["stripe"] = replace(made["stripe"], payment_writer="assist")
    runtime = World(database_url, connections=made, store={"erp": ""}).runtime()
    place(runtime, "uuid-1", payment="pi_1")
    hear(runtime, intent_event("pi_1", created=1_002))
    decide(runtime)
    [(delay,)] = rows(runtime, "SELECT extract(epoch FROM due_at - asked_at) FROM calls WHERE operation = 'write_payment'")
    assert float(delay) == ASSIST_AFTER
    assert outbox.claim(runtime, "payments") is None
    runtime.close()


@pytest.mark.parametrize(
    ("rules", "wrong"),
    [
        ({"payed": {}}, "on_payment.payed: unknown payment state"),
        ({"paid": {"state": "x"}}, "on_payment.paid: expected a table of hold, release, stock, to"),
        ({"paid": {"stock": "burn"}}, "on_payment.paid.stock: expected one of keep, return"),
        ({"paid": {"hold": "x", "release": True}}, "on_payment.paid: hold and release at once"),
    ],
)
def test_wrong_rules_are_said(rules: dict[str, Any], wrong: str) -> None:
    assert [line.partition(";")[0] for line in mistakes(rules)] == [wrong]
