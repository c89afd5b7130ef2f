"""Hints: something changed at the provider, and only the provider knows what."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from middleware import inbox, outbox
from middleware.errors import Busy
from middleware.ports import Delivery
from middleware.runtime import Runtime
from middleware.settings import Work
from middleware.simulators.stripe import StripeSimulator
from middleware.testing import drain, secret
from tests.world import World, connections, inbound, order_event, sign_shop, sign_stripe


@pytest.fixture
def stripe() -> Iterator[StripeSimulator]:
    with StripeSimulator(key="rk_test_hints") as simulator:
        yield simulator


@pytest.fixture
def runtime(database_url: str, stripe: StripeSimulator) -> Iterator[Runtime]:
    wired = connections()
    wired["stripe"] = replace(wired["stripe"], base_url=stripe.url, credentials={"api_key": secret("rk_test_hints")})
    made = World(database_url, connections=wired, store={"erp": ""}, work=Work(open_hints=3)).runtime()
    yield made
    made.close()


def thin(payment: str, event: str) -> bytes:
    about = {"id": payment, "type": "payment_intent", "url": f"/v1/payment_intents/{payment}"}
    body = {
        "id": event,
        "object": "v2.core.event",
        "type": "v1.payment_intent.succeeded",
        "livemode": False,
        "created": "2026-11-22T01:00:00.000Z",
    }
    return json.dumps({**body, "related_object": about}).encode()


def hint(runtime: Runtime, payment: str, event: str) -> int:
    body = thin(payment, event)
    return inbox.receive(runtime, "stripe", inbound(sign_stripe(body), body)).new


def rows(runtime: Runtime, query: str) -> list[tuple[object, ...]]:
    with runtime.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_a_thin_event_is_looked_up_at_the_provider_and_applied_once(runtime: Runtime, stripe: StripeSimulator) -> None:
    payment = stripe.create_intent(4470, "eur", {"order_uuid": "uuid-1"})
    stripe.authorize(payment)
    stripe.capture(payment)
    body = order_event("uuid-1")
    inbox.receive(runtime, "shop", inbound(sign_shop(body, "m1"), body))
    assert [hint(runtime, payment, "evt_thin_1"), hint(runtime, payment, "evt_thin_1")] == [1, 0]
    drain(runtime)
    hint(runtime, payment, "evt_thin_2")
    drain(runtime)
    assert rows(runtime, "SELECT state, payment_state FROM orders") == [("placed", "paid")]
    assert rows(runtime, "SELECT kind, amount_minor FROM payment_parts") == [("capture", 4470)]
    assert rows(runtime, "SELECT count(*) FROM calls WHERE operation = 'fetch_payment' AND state = 'done'") == [(2,)]
    assert rows(runtime, "SELECT count(*) FROM events WHERE topic = 'payment_intent.fetched'") == [(1,)]  # same answer, one event


def test_hints_kept_before_a_fetch_begins_are_one_fetch_and_later_ones_are_another(runtime: Runtime, stripe: StripeSimulator) -> None:
    payment = stripe.create_intent(4470, "eur", {})
    for number in (1, 2):
        hint(runtime, payment, f"evt_{number}")
    inbox.decide(runtime, "payments")
    begun = outbox.claim(runtime, "payments")
    assert begun is not None
    hint(runtime, payment, "evt_3")
    inbox.decide(runtime, "payments")
    assert rows(runtime, "SELECT state FROM calls ORDER BY id") == [("making",), ("pending",)]
    details = rows(runtime, "SELECT state, detail FROM events WHERE hint ORDER BY id")
    assert details == [("decided", None), ("decided", "a fetch that has not begun yet will see it"), ("decided", None)]


def test_hints_without_an_id_are_never_duplicates_and_open_ones_are_capped(runtime: Runtime) -> None:
    unsigned = Delivery("", "payment", "tr_1", b"id=tr_1", hint=True)
    assert [inbox.keep(runtime, "stripe", [unsigned]) for _ in range(3)] == [1, 1, 1]
    with pytest.raises(Busy):
        inbox.keep(runtime, "stripe", [unsigned])


def test_names_from_outside_are_stored_whatever_they_hold(runtime: Runtime) -> None:
    body = json.dumps({"id": "evt_\0" + "x" * 9000, "type": "a\0b", "created": int(time.time()), "livemode": False}).encode()
    assert inbox.receive(runtime, "stripe", inbound(sign_stripe(body), body)).new == 1
    assert inbox.receive(runtime, "stripe", inbound(sign_stripe(body), body)).new == 0
    drain(runtime)
    assert rows(runtime, "SELECT length(delivery_id), topic, state FROM events") == [(71, "a\ufffdb", "ignored")]
