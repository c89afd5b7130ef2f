"""Several providers of one store: each carries what the store routes to it, by currency and by the shop's payment method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from middleware import inbox
from middleware.domain.payment_routes import carries, mistakes
from middleware.runtime import Runtime
from middleware.settings import Store
from tests.world import World, connections, hear, intent_event, place, rows

ROUTES = {
    "stripe": {"methods": ["stripe"], "currencies": ["EUR"]},
    "stripe_us": {"currencies": ["USD"]},
    "paypal": {"methods": ["paypal_checkout"]},
}
STORE = Store("main", "shop", payments=("stripe", "stripe_us", "paypal", "invoice"), payment_routes=ROUTES)


@pytest.mark.parametrize(
    ("currency", "method", "carriers"),
    [
        ("EUR", "stripe", ["stripe", "invoice"]),
        ("USD", "stripe", ["stripe_us", "invoice"]),
        ("USD", "paypal_checkout", ["stripe_us", "paypal", "invoice"]),
        ("EUR", "", ["stripe", "paypal", "invoice"]),
        ("CHF", "bank", ["invoice"]),
    ],
)
def test_a_payment_is_carried_by_who_has_its_currency_and_its_method(currency: str, method: str, carriers: list[str]) -> None:
    assert [name for name in (*STORE.payments, "adyen") if carries(STORE, name, currency, method)] == carriers


@pytest.mark.parametrize(
    ("routes", "wrong"),
    [
        ({"adyen": {}}, "payment_routes.adyen: not among the store's payments; those are: stripe, stripe_us, paypal, invoice"),
        ({"paypal": {"countries": ["DE"]}}, "payment_routes.paypal: expected a table of currencies, methods"),
        ({"paypal": ["EUR"]}, "payment_routes.paypal: expected a table of currencies, methods"),
        ({"paypal": {"currencies": "EUR"}}, "payment_routes.paypal.currencies: expected a list of texts"),
        (ROUTES, None),
    ],
)
def test_wrong_routes_are_said(routes: dict[str, Any], wrong: str | None) -> None:
    assert list(mistakes(replace(STORE, payment_routes=routes))) == ([wrong] if wrong else [])


@pytest.fixture
def runtime(database_url: str) -> Iterator[Runtime]:
    made = connections()
    made["stripe_us"] = replace(made["stripe"], name="stripe_us")
    routes = {"stripe": {"methods": ["stripe"], "currencies": ["EUR"]}, "stripe_us": {"currencies": ["USD"]}}
    store = {"payments": ("stripe", "stripe_us"), "payment_routes": routes, "erp": ""}
    world = World(database_url, connections=made, store=store).runtime()
    yield world
    world.close()


def decide(runtime: Runtime) -> None:
    for lane in ("orders", "payments"):
        while inbox.decide(runtime, lane):
            pass


def test_what_the_shop_attached_is_looked_for_at_the_provider_that_carries_it(runtime: Runtime) -> None:
    place(runtime, "uuid-1", payment="pi_1")
    decide(runtime)
    assert rows(runtime, "SELECT key FROM order_keys WHERE key LIKE 'payment/%'") == [("payment/stripe/pi_1",)]


def test_a_payment_by_another_provider_counts_and_is_said_to_be_not_routed(runtime: Runtime) -> None:
    place(runtime, "uuid-1")
    decide(runtime)
    hear(runtime, intent_event("pi_1", order="uuid-1", currency="usd"))
    hear(runtime, intent_event("pi_2", order="uuid-1"))
    decide(runtime)
    said = rows(runtime, "SELECT thing, detail FROM transitions WHERE becomes = 'not routed'")
    assert said == [("payment pi_1", "main routes no USD to stripe")]
    assert rows(runtime, "SELECT remote_id, state FROM payments ORDER BY 1") == [("pi_1", "captured"), ("pi_2", "captured")]
