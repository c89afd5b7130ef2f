"""`waybill prove`: a connection is tried end to end, and nothing is changed over there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from middleware.proving import Step, prove
from middleware.runtime import Runtime
from middleware.settings import Connection
from middleware.simulators.drupal import DrupalSimulator
from middleware.simulators.stripe import StripeSimulator
from middleware.testing import secret
from tests.world import SHOP_SECRET, STRIPE_SECRET, World, connections


@pytest.fixture
def stripe() -> Iterator[StripeSimulator]:
    with StripeSimulator(secret=STRIPE_SECRET, seed=1) as simulator:
        yield simulator


@pytest.fixture
def runtime(database_url: str, stripe: StripeSimulator) -> Iterator[Runtime]:
    with DrupalSimulator() as shop:
        shop.add_product("S1", "Shirt", "9.00")
        credentials = {"password": secret("svc-secret")}
        made = {
            "shop": Connection("shop", "drupal", shop.url, (secret(SHOP_SECRET),), credentials, {"username": "svc"}),
            "stripe": Connection("stripe", "stripe", stripe.url, (secret(STRIPE_SECRET),), {"api_key": secret("sk_test_simulated")}),
        }
        runtime = World(database_url, connections={**connections(), **made}).runtime()
        yield runtime
        runtime.close()


def test_a_provider_is_proved_with_its_keys(runtime: Runtime, stripe: StripeSimulator) -> None:
    payment = stripe.create_intent(4470, "eur", {})
    stripe.authorize(payment)
    before = json.dumps(stripe.events)
    steps = {step.role: step for step in prove(runtime, "stripe", payment)}
    assert [role for role, step in steps.items() if step.worked is False] == []
    assert steps["read, good"] == Step("read, good", True, "verified")
    assert steps["payment_events"].said == f"{len(stripe.events)} events of the last 7 days on the first page, all understood"
    assert steps["fetch_payment"].said == f"{payment} is authorized"
    assert steps["refund_payment"] == Step("refund_payment", None, "writes over there: not tried")
    assert json.dumps(stripe.events) == before


def test_a_wrong_key_is_said(runtime: Runtime, stripe: StripeSimulator) -> None:
    stripe._key = "sk_test_another"
    steps = {step.role: step for step in prove(runtime, "stripe")}
    assert (steps["payment_events"].worked, steps["payment_events"].said.partition(":")[0]) == (False, "unauthorized")
    assert steps["fetch_payment"].worked is None


def test_a_shop_is_proved(runtime: Runtime) -> None:
    steps = {step.role: step for step in prove(runtime, "shop")}
    assert [role for role, step in steps.items() if step.worked is False] == []
    assert steps["missing_fields"].said == "products and variations can be read"
    assert steps["list_orders"].said == "0 orders of the last 30 days on the first page"
