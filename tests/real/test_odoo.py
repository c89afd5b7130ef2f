"""A real Odoo, by both of its APIs: what is made in it is read, and what changes is in the next delta.

It is not installed here: `WAYBILL_TEST_ODOO` is "URL DATABASE LOGIN KEY" of one with the apps Inventory and Pricelists, which is
written to.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import requests

from middleware.connectors._http import Http
from middleware.connectors.odoo import Connector
from middleware.settings import Connection
from middleware.testing import secret

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""The smallest picture there is, in base64."""
pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Odoo:
    """One database, and a word that marks what this run makes."""

    url: str
    database: str
    login: str
    key: str
    mark: str

    def call(self, model: str, method: str, **arguments: Any) -> Any:
        headers = {"Authorization": f"bearer {self.key}", "X-Odoo-Database": self.database}
        answer = requests.post(f"{self.url}/json/2/{model}/{method}", json=arguments, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def make(self, model: str, **values: Any) -> int:
        return int(self.call(model, "create", vals_list=[values])[0])

    def count(self, product: int, quantity: float) -> None:
        """An inventory of the first warehouse's stock."""
        place = self.call("stock.warehouse", "search_read", domain=[], fields=["lot_stock_id"], limit=1)[0]["lot_stock_id"][0]
        about = {"product_id": product, "location_id": place, "inventory_quantity": quantity}
        quants = self.call("stock.quant", "create", vals_list=[about], context={"inventory_mode": True})
        self.call("stock.quant", "action_apply_inventory", ids=quants)

    def connector(self, api: str, **options: Any) -> Connector:
        given = {"api": api, "database": self.database, "user": self.login, "page": 2, **options}
        connection = Connection("erp", "odoo", self.url, credentials={"key": secret(self.key)}, options=given)
        return Connector(connection, Http(connection))

    def read(self, kind: str, api: str, since: datetime | None = None, **options: Any) -> dict[str, Any]:
        """What this run made, as it is read, by SKU."""
        connector, found, cursor = self.connector(api, **options), {}, ""
        while True:
            page = connector.list_records(kind, since, cursor)
            for record in page.records:
                if self.mark.encode() in record.raw:
                    assert connector.fetch_record(kind, record.source_id) == record
                    one = connector.decode_record(kind, record.raw)
                    found[one["sku"]] = one
            cursor = page.cursor
            if not cursor:
                return found


@pytest.fixture
def odoo() -> Iterator[Odoo]:
    given = os.environ.get("WAYBILL_TEST_ODOO", "").split()
    if len(given) != 4:
        pytest.skip("WAYBILL_TEST_ODOO does not name an Odoo")
    yield Odoo(*given, mark=uuid4().hex[:8].upper())


def next_second() -> datetime:
    """A time before which all that was done is done, and after which all that comes comes: Odoo's times are cut to seconds."""
    time.sleep(1.1)
    now = datetime.now(UTC)
    time.sleep(1.1)
    return now


@pytest.mark.parametrize("api", ["json2", "jsonrpc"])
def test_what_is_made_is_read_and_what_changes_is_in_the_next_delta(odoo: Odoo, api: str) -> None:
    red_sku, blue_sku, mug_sku = (f"{odoo.mark}-{api}-{word}" for word in ("RED", "BLUE", "MUG"))
    color = odoo.make("product.attribute", name="Color")
    red, blue = (odoo.make("product.attribute.value", name=name, attribute_id=color) for name in ("Red", "Blue"))
    line = [0, 0, {"attribute_id": color, "value_ids": [[6, 0, [red, blue]]]}]
    shirt = odoo.make("product.template", name="Shirt", list_price=20.0, is_storable=True, attribute_line_ids=[line])
    variants = odoo.call("product.product", "search", domain=[["product_tmpl_id", "=", shirt]], order="id")
    for variant, sku in zip(variants, (red_sku, blue_sku), strict=True):
        odoo.call("product.product", "write", ids=[variant], vals={"default_code": sku})
    mug = odoo.make("product.product", name="Mug", default_code=mug_sku, list_price=9.99, is_storable=True, image_1920=DOT)
    odoo.count(mug, 7)
    pricelist = odoo.make("product.pricelist", name=odoo.mark)
    rule = odoo.make("product.pricelist.item", pricelist_id=pricelist, applied_on="1_product", product_tmpl_id=shirt, fixed_price=15.0)
    mine = {"pricelists": [pricelist]}

    products = odoo.read("products", api)
    assert {sku: (one["product"], one["attributes"]) for sku, one in products.items()} == {
        red_sku: (str(shirt), {"Color": "Red"}),
        blue_sku: (str(shirt), {"Color": "Blue"}),
        mug_sku: (products[mug_sku]["product"], {}),
    }
    (image,) = products[mug_sku]["media"]
    assert base64.b64encode(odoo.connector(api).fetch_media(image).content).decode() == DOT
    prices = {sku: [price["amount"] for price in one["prices"]] for sku, one in odoo.read("prices", api, **mine).items()}
    assert prices == {red_sku: [20, 15], blue_sku: [20, 15], mug_sku: [Decimal("9.99")]}
    assert {sku: one["on_hand"] for sku, one in odoo.read("stock", api).items()} == {red_sku: 0, blue_sku: 0, mug_sku: 7}

    since = next_second()
    assert [odoo.read(kind, api, since, **mine) for kind in ("products", "prices", "stock")] == [{}, {}, {}]
    odoo.call("product.attribute.value", "write", ids=[red], vals={"name": "Rose"})
    odoo.call("product.pricelist.item", "write", ids=[rule], vals={"fixed_price": 14.0})
    odoo.count(mug, 0)
    changed = {kind: sorted(odoo.read(kind, api, since, **mine)) for kind in ("products", "prices", "stock")}
    assert changed == {"products": [red_sku], "prices": [blue_sku, red_sku], "stock": [mug_sku]}
    assert odoo.read("stock", api, since)[mug_sku]["on_hand"] == 0

    odoo.call("product.product", "write", ids=[mug], vals={"active": False})
    assert odoo.read("products", api, since)[mug_sku]["active"] is False
    odoo.call("product.product", "unlink", ids=[odoo.make("product.product", name="Gone")])
