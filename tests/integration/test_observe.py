"""An observe-only start: what a shop and its ERP disagree on is listed over real HTTP, and nothing is kept or written anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import requests

from middleware.observe import observe
from middleware.runtime import Runtime
from middleware.settings import Connection
from middleware.simulators.drupal import DrupalSimulator
from middleware.simulators.drupal.checkout import Line, Paid
from middleware.simulators.erp import ErpSimulator
from middleware.testing import secret
from tests.world import SHOP_SECRET, World, connections, rows


@dataclass
class Existing:
    """A shop and an ERP that have been there for years."""

    runtime: Runtime
    shop: DrupalSimulator
    erp: ErpSimulator

    def order(self, sku: str, *, paid: bool = True, exported: int = 1) -> str:
        """A placed order of 20.00; returns its number."""
        payments = [Paid("manual", "20.00", state="completed")] if paid else []
        placed = self.shop.place_order([Line(sku, unit_price="20.00")], payments=payments, currency="EUR")
        for _ in range(exported):
            address = {"line1": "1", "postal_code": "1", "city": "x", "country": "DE"}
            document = {
                "reference": placed.uuid,
                "customer": {"name": "Ada", "email": "ada@example.test", "address": address},
                "currency": "EUR",
                "lines": [{"sku": sku, "title": sku, "quantity": "1", "unit_price": "20.00"}],
                "charges": [],
                "total": "20.00",
            }
            answer = requests.post(f"{self.erp.url}/orders", json=document, headers={"Authorization": f"Bearer {self.erp.key}"}, timeout=5)
            assert answer.status_code == 201, answer.text
        return str(placed.number)


@pytest.fixture
def existing(database_url: str) -> Iterator[Existing]:
    with DrupalSimulator() as shop, ErpSimulator(key="erp-key") as erp:
        drupal = Connection("shop", "drupal", shop.url, (secret(SHOP_SECRET),), {"password": secret("svc-secret")}, {"username": "svc"})
        made = connections(erp.url)
        runtime = World(database_url, connections={**made, "shop": drupal, "erp": replace(made["erp"], options={"page": 2})}).runtime()
        yield Existing(runtime, shop, erp)
        runtime.close()


def test_what_shop_and_erp_disagree_on_is_listed_and_nothing_is_written(existing: Existing) -> None:
    for number in range(55):  # more than a page of Drupal's
        existing.order(f"GOOD-{number}")
    forgotten = existing.order("A", exported=0)
    unpaid = existing.order("B", paid=False)
    twice = existing.order("C", exported=2)
    existing.order("D", paid=False, exported=0)
    before = (len(existing.erp.orders), existing.shop.orders())
    found = observe(existing.runtime, existing.runtime.settings.stores["main"], None)
    assert found.orders == 59
    assert [order.number for order in found.paid_not_exported] == [forgotten]
    assert [order.number for order in found.exported_not_paid] == [unpaid]
    assert found.doubled == [twice]
    assert not found.is_clean
    assert (len(existing.erp.orders), existing.shop.orders()) == before
    assert rows(existing.runtime, "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM events), (SELECT count(*) FROM calls)") == [
        (0, 0, 0)
    ]


def test_a_cancelled_order_that_the_erp_still_has(existing: Existing) -> None:
    existing.order("A", paid=False)
    [order] = existing.shop.orders()
    existing.shop.set_order_state(order.uuid, "canceled")
    found = observe(existing.runtime, existing.runtime.settings.stores["main"], None)
    assert [one.order_id for one in found.cancelled_but_exported] == [order.uuid]
    existing.erp.advance(1, "cancelled")
    assert observe(existing.runtime, existing.runtime.settings.stores["main"], None).is_clean
