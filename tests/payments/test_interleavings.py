"""Webhooks are lost, doubled and shuffled, people capture and refund meanwhile, and the back-fill comes at any time: in the end Waybill has
what the provider has."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from middleware import sweep
from middleware.payments.asking import NotAsked
from middleware.settings import Connection
from middleware.simulators.stripe import StripeSimulator
from middleware.testing import secret
from tests.payments.test_operations import TOTAL, Till
from tests.world import STRIPE_SECRET, World, connections, hear

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["capture", "refund"]), st.integers(1, TOTAL)),
        st.tuples(st.sampled_from(["ask capture", "ask refund"]), st.one_of(st.none(), st.integers(1, TOTAL))),
        st.tuples(st.sampled_from(["cancel", "ask void", "dispute", "won", "lost", "work", "back-fill"]), st.none()),
        st.tuples(st.just("webhooks"), st.integers(0, 10**6)),
    ),
    max_size=12,
)


def test_in_the_end_we_have_what_the_provider_has(cluster: Any) -> None:
    @given(steps=STEPS)
    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None, derandomize=True)
    def property_holds(steps: list[tuple[str, Any]]) -> None:
        name, url = cluster.clone()
        with StripeSimulator(secret=STRIPE_SECRET, seed=1) as stripe:
            keys = {"api_key": secret("sk_test_simulated")}
            api = Connection("stripe", "stripe", stripe.url, (secret(STRIPE_SECRET),), keys, timeout=2, deadline=4, poll=1)
            runtime = World(url, connections={**connections(), "stripe": api}, store={"erp": ""}).runtime()
            till = Till(runtime, stripe)
            try:
                payment = till.authorized("uuid-1")
                disputes: list[str] = []
                for what, how in steps:
                    with suppress(ValueError, KeyError, IndexError, NotAsked):
                        _do(till, payment, disputes, what, how)
                till.work()
                sweep.poll(runtime, "stripe", at_once=True)
                till.decide()
                _check(till, payment)
            finally:
                runtime.close()
        cluster.drop(name)

    property_holds()


def _do(till: Till, payment: str, disputes: list[str], what: str, how: Any) -> None:
    match what:
        case "capture":
            till.stripe.capture(payment, how)
        case "refund":
            till.stripe.refund(payment, how)
        case "cancel":
            till.stripe.cancel(payment)
        case "dispute":
            disputes.append(till.stripe.dispute(payment))
        case "won" | "lost":
            till.stripe.close_dispute(disputes[-1], won=what == "won")
        case "work":
            till.work()
        case "back-fill":
            sweep.poll(till.runtime, "stripe", at_once=True)
        case "webhooks":  # some arrive, some twice, in any order; the others never do
            chance = random.Random(how)
            some = [event for event in till.stripe.events * 2 if chance.random() < 0.4]
            chance.shuffle(some)
            for event in some:
                hear(till.runtime, json.dumps(event).encode())
            till.decide()
        case _:
            till.ask(what.removeprefix("ask "), payment, how)


def _check(till: Till, payment: str) -> None:
    intent = till.stripe.intent(payment)
    charge = till.stripe._objects[intent["latest_charge"]]
    captured, refunded = charge["amount_captured"], charge["amount_refunded"]
    state, ours_captured, ours_refunded = till.ours(payment)
    assert (ours_captured, ours_refunded) == (captured, refunded)
    open_disputes = [one for one in till.stripe._objects.values() if one["object"] == "dispute" and one["status"] != "won"]
    if open_disputes:
        assert state == "disputed"
    elif intent["status"] == "canceled":
        assert state == "voided"
    elif refunded:
        assert state == ("refunded" if refunded == captured else "partially_refunded")
    elif captured:
        assert state == ("captured" if captured == TOTAL else "partially_captured")
    else:
        assert state == "authorized"
