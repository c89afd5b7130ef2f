"""Products, prices and stock as feeds from a real Tryton: variants, price lists with tiers and dates, two warehouses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from middleware.connectors._http import Http
from middleware.connectors.tryton import Connector
from middleware.ports import Record
from middleware.secret import Secret
from middleware.settings import Connection
from tests.feeds.erp import pull_and_push
from tests.feeds.world import MemoryShop, runtime_with
from tests.real.test_tryton import effect, order
from tests.real.tryton_server import Tryton

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

SPRING = (date(2100, 3, 1), date(2100, 5, 31))
"""A span of days that is yet to come."""


def number(text: str) -> dict[str, str]:
    return {"__class__": "Decimal", "decimal": text}


def day(value: date) -> dict[str, Any]:
    return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}


@dataclass
class Shop:
    """A connected Tryton, and what a merchant does in it, over the other protocol."""

    tryton: Tryton
    erp: Connector

    def make(self, model: str, **values: Any) -> int:
        return int(self.tryton.rpc(f"model.{model}.create", [values])[0])

    def write(self, model: str, record: int, **values: Any) -> None:
        self.tryton.rpc(f"model.{model}.write", [record], values)

    def find(self, model: str, *domain: Any) -> int:
        return int(self.tryton.rpc(f"model.{model}.search", list(domain))[0])

    def product(self, code: str) -> int:
        return self.find("product.product", ["code", "=", code])

    def template(self, code: str, price: str, *suffixes: str) -> int:
        """A template with variants, sold by the unit."""
        unit = self.find("product.uom", ["name", "=", "Unit"])
        return self.make(
            "product.template",
            name=code.title(),
            code=code,
            type="goods",
            default_uom=unit,
            salable=True,
            sale_uom=unit,
            list_price=number(price),
            account_category=self.find("product.category", ["name", "=", "Goods"]),
            products=[["create", [{"suffix_code": suffix} for suffix in suffixes]]],
        )

    def move(self, code: str, quantity: float, source: int, target: int, *, done: bool = True) -> int:
        unit = self.find("product.uom", ["name", "=", "Unit"])
        values = {"product": self.product(code), "unit": unit, "quantity": quantity, "from_location": source, "to_location": target}
        ends = self.tryton.rpc("model.stock.location.read", [source, target], ["type"])
        if {end["type"] for end in ends} != {"storage"}:
            values |= {"unit_price": number("1"), "currency": self.find("currency.currency", ["code", "=", "EUR"])}
        made = self.make("stock.move", **values, company=self.tryton.company)
        if done:
            self.tryton.rpc("model.stock.move.do", [made])
        return made

    def all(self, kind: str, since: datetime | None = None) -> dict[str, Record]:
        found: dict[str, Record] = {}
        cursor = ""
        while True:
            page = self.erp.list_records(kind, since, cursor)
            found |= {record.source_id: record for record in page.records}
            cursor = page.cursor
            if not cursor:
                return found

    def decoded(self, kind: str, since: datetime | None = None) -> dict[str, dict[str, Any]]:
        """Records by SKU."""
        return {one["sku"]: one for one in (self.erp.decode_record(kind, record.raw) for record in self.all(kind, since).values())}

    def changed(self, kind: str, since: datetime) -> set[str]:
        return set(self.decoded(kind, since))


@pytest.fixture(scope="module", autouse=True)
def own_tryton(tryton: Tryton) -> Iterator[None]:
    """What this module leaves behind (a second warehouse) is in the way of others."""
    tryton.reset()
    yield
    tryton.reset()


@pytest.fixture
def shop(tryton: Tryton, own_tryton: None) -> Iterator[Shop]:
    settings = Connection(
        "erp",
        "tryton",
        tryton.url,
        credentials={"key": Secret("test", tryton.key)},
        options={"company": tryton.company, "web_shop": tryton.web_shop, "page": 2},
    )
    http = Http(settings)
    yield Shop(tryton, Connector(settings, http))
    http.close()


def again(shop: Shop, **options: Any) -> Shop:
    connection = shop.erp.connection
    return Shop(shop.tryton, Connector(replace(connection, options={**connection.options, **options}), shop.erp.http))


def now() -> datetime:
    return datetime.now(UTC)


def unique(name: str) -> str:
    return f"{name}{uuid.uuid4().hex[:6].upper()}"


@pytest.mark.parametrize("kind", ["products", "prices", "stock", "categories", "price_lists"])
def test_a_repeated_pull_is_byte_identical(shop: Shop, kind: str) -> None:
    shop.template(unique("POT"), "9.00", "-S", "-L")
    shop.make("product.price_list", name=unique("List"), company=shop.tryton.company, unit="product_default", price="list_price")
    first = shop.all(kind)
    assert first
    assert shop.all(kind) == first
    for source_id, record in first.items():
        assert shop.erp.fetch_record(kind, source_id) == record


def test_variants_come_with_the_words_of_their_template(shop: Shop) -> None:
    code = unique("LAMP")
    category = shop.make("product.category", name=f"Lights {code}", code=f"lights-{code}")
    template = shop.template(code, "30", "-RED")
    shop.write("product.template", template, name="Lamp", categories=[["add", [category]]])
    shop.tryton.rpc("model.product.template.write", [template], {"name": "Lampe"}, language="de")
    colour = shop.make("product.attribute", name=f"colour_{code}", string="Colour", type_="char")
    weight = shop.make("product.attribute", name=f"weight_{code}", string="Weight", type_="numeric", digits=2)
    chosen = shop.make("product.attribute.set", name="Lamps", attributes=[["add", [colour, weight]]])
    shop.write("product.template", template, attribute_set=chosen)
    product = shop.product(f"{code}-RED")
    shop.write(
        "product.product",
        product,
        description="Warm light",
        identifiers=[["create", [{"type": "ean", "code": "4006381333931"}]]],
        attributes={f"colour_{code}": "red", f"weight_{code}": number("1.25")},
    )
    told = again(shop, languages=["de"], attributes=["attributes", "default_uom.symbol"])
    assert told.decoded("products")[f"{code}-RED"] == {
        "sku": f"{code}-RED",
        "product": code,
        "name": "Lamp",
        "product_name": "Lamp",
        "description": "Warm light",
        "active": True,
        "status": "active",
        "type": "goods",
        "unit": "Unit",
        "identifiers": {"ean": "4006381333931"},
        "categories": [f"lights-{code}"],
        "attributes": {f"colour_{code}": "red", f"weight_{code}": Decimal("1.25"), "default_uom.symbol": "u"},
        "translations": {"de": {"name": "Lampe", "description": "Warm light"}},
    }
    assert again(shop, language="de").decoded("products")[f"{code}-RED"]["name"] == "Lampe"
    found = told.erp.fetch_record("categories", str(category))
    assert found
    assert told.erp.decode_record("categories", found.raw) == {
        "code": f"lights-{code}",
        "name": f"Lights {code}",
        "parent": None,
        "translations": {"de": {"name": f"Lights {code}"}},
    }


def test_a_template_without_a_code_is_known_by_its_reference(shop: Shop) -> None:
    (template,) = shop.tryton.rpc("model.product.product.read", [shop.product("MUG-1")], ["template"])
    assert shop.decoded("products")["MUG-1"]["product"] == f"product.template,{template['template']}"


def test_a_delta_of_products_is_what_changed_by_itself_or_by_its_template(shop: Shop) -> None:
    code = unique("CUP")
    template = shop.template(code, "5", "-S", "-M", "-L")
    since = now()
    assert shop.changed("products", since) == set()
    shop.write("product.product", shop.product(f"{code}-S"), description="Small")
    assert shop.changed("products", since) == {f"{code}-S"}
    since = now()
    shop.write("product.template", template, name="Cup")
    assert shop.changed("products", since) == {f"{code}-S", f"{code}-M", f"{code}-L"}
    since = now()
    shop.make("product.identifier", product=shop.product(f"{code}-M"), type="mpn", code="M1")
    assert shop.changed("products", since) == {f"{code}-M"}


def test_what_is_inserted_while_a_feed_is_read_is_not_missed(shop: Shop) -> None:
    before = set(shop.decoded("products"))
    page = shop.erp.list_records("products", None, "")
    code = unique("NEW")
    shop.template(code, "1", "-A")
    records = list(page.records)
    while page.cursor:
        page = shop.erp.list_records("products", None, page.cursor)
        records += page.records
    read = [shop.erp.decode_record("products", record.raw)["sku"] for record in records]
    assert sorted(read) == sorted(before | {f"{code}-A"})


def test_deactivated_is_inactive_and_what_is_deleted_or_not_for_sale_is_gone(shop: Shop) -> None:
    code = unique("OLD")
    template = shop.template(code, "1", "-A", "-B", "-C")
    a, b, c = (shop.product(f"{code}{suffix}") for suffix in ("-A", "-B", "-C"))
    since = now()
    shop.write("product.product", a, active=False)
    shop.tryton.rpc("model.product.product.delete", [b])
    delta = shop.decoded("products", since)
    assert {sku: one["status"] for sku, one in delta.items()} == {f"{code}-A": "inactive"}
    fetched = shop.erp.fetch_record("products", str(a))
    assert fetched
    assert shop.erp.decode_record("products", fetched.raw)["active"] is False
    assert [shop.erp.fetch_record(kind, str(b)) for kind in ("products", "prices", "stock")] == [None, None, None]
    since = now()
    shop.write("product.template", template, active=False)
    assert {sku: one["active"] for sku, one in shop.decoded("products", since).items()} == {f"{code}-A": False, f"{code}-C": False}
    shop.write("product.template", template, active=True)
    shop.write("product.template", template, salable=False)
    assert shop.erp.fetch_record("products", str(c)) is None


def test_prices_are_the_list_price_and_those_of_every_price_list(shop: Shop) -> None:
    code = unique("BOWL")
    shop.template(code, "20.00", "-S", "-L")
    small, large = shop.product(f"{code}-S"), shop.product(f"{code}-L")
    shop.write("product.product", large, list_price=number("25.00"))
    start, end = SPRING
    name = unique("Wholesale")
    shop.make(
        "product.price_list",
        name=name,
        company=shop.tryton.company,
        unit="product_default",
        price="list_price",
        tax_included=True,
        lines=[
            [
                "create",
                [
                    {"product": small, "formula": "Decimal('15.50')", "start_date": day(start), "end_date": day(end), "sequence": 1},
                    {"product": small, "quantity": 10, "formula": "unit_price * Decimal('0.8')", "sequence": 2},
                    {"formula": "unit_price * Decimal('0.9')", "sequence": 3},
                ],
            ]
        ],
    )
    found = shop.decoded("prices")
    base = {"list": "", "list_id": "", "group": "", "currency": "EUR", "tax_included": False, "valid_from": None, "valid_to": None}
    base["min_quantity"] = Decimal(1)

    def listed(sku: str) -> list[tuple[Any, ...]]:
        return [
            (one["amount"], one["min_quantity"], one["valid_from"], one["valid_to"], one["tax_included"], one["currency"])
            for one in found[sku]["prices"]
            if one["list"] == name
        ]

    assert found[f"{code}-S"]["prices"][0] == base | {"amount": Decimal("20.0000")}
    assert found[f"{code}-L"]["prices"][0] == base | {"amount": Decimal("25.0000")}
    assert listed(f"{code}-L") == [(Decimal("22.5"), Decimal(1), None, None, True, "EUR")]
    assert listed(f"{code}-S") == [
        (Decimal(18), Decimal(1), None, "2100-02-28", True, "EUR"),
        (Decimal("15.5"), Decimal(1), "2100-03-01", "2100-05-31", True, "EUR"),
        (Decimal(18), Decimal(1), "2100-06-01", None, True, "EUR"),
        (Decimal(16), Decimal(10), None, "2100-02-28", True, "EUR"),
        (Decimal(16), Decimal(10), "2100-06-01", None, True, "EUR"),
    ]


def test_a_delta_of_prices_follows_list_prices_lines_and_lists(shop: Shop) -> None:
    code = unique("VASE")
    template = shop.template(code, "20.00", "-S", "-L")
    small, large = shop.product(f"{code}-S"), shop.product(f"{code}-L")
    price_list = shop.make(
        "product.price_list", name=unique("Retail"), company=shop.tryton.company, unit="product_default", price="list_price"
    )
    since = now()
    assert shop.changed("prices", since) == set()
    shop.write("product.product", large, list_price=number("25.00"))
    assert shop.changed("prices", since) == {f"{code}-S", f"{code}-L"}  # a template knows the list prices of all of its variants
    since = now()
    shop.write("product.template", template, list_price=number("21.00"))
    assert shop.changed("prices", since) == {f"{code}-S", f"{code}-L"}
    since = now()
    line = shop.make("product.price_list.line", price_list=price_list, product=small, formula="Decimal('9')")
    assert shop.changed("prices", since) == {f"{code}-S"}
    since = now()
    shop.write("product.price_list.line", line, formula="Decimal('8')")
    assert shop.changed("prices", since) == {f"{code}-S"}
    since = now()
    shop.make("product.price_list.line", price_list=price_list, formula="unit_price")
    assert shop.changed("prices", since) == set(shop.decoded("prices"))
    since = now()
    shop.write("product.price_list", price_list, lines=[["delete", [line]]])
    assert shop.changed("prices", since) == set(shop.decoded("prices"))
    since = now()
    shop.write("product.price_list", price_list, active=False)
    assert shop.changed("prices", since) == set(shop.decoded("prices"))


def test_a_price_is_for_the_unit_that_is_sold(shop: Shop) -> None:
    code = unique("EGG")
    template = shop.template(code, "0.50", "-1")
    product = shop.product(f"{code}-1")
    unit = shop.find("product.uom", ["name", "=", "Unit"])
    (read,) = shop.tryton.rpc("model.product.uom.read", [unit], ["category"])
    dozen = shop.make(
        "product.uom", name=f"Dozen {code}", symbol="dz", category=read["category"], factor=12.0, rate=round(1 / 12, 12), rounding=1.0
    )
    shop.write("product.template", template, sale_uom=dozen)
    name = unique("Farm")
    shop.make(
        "product.price_list",
        name=name,
        company=shop.tryton.company,
        unit="product_default",
        price="list_price",
        lines=[
            [
                "create",
                [
                    {"product": product, "quantity": 24, "formula": "unit_price * Decimal('0.5')", "sequence": 1},
                    {"product": product, "formula": "unit_price", "sequence": 2},
                ],
            ]
        ],
    )
    rows = [one for one in shop.decoded("prices")[f"{code}-1"]["prices"] if one["list"] in ("", name)]
    assert [(one["list"], one["amount"], one["min_quantity"]) for one in rows] == [
        ("", Decimal(6), Decimal(1)),
        (name, Decimal(6), Decimal(1)),
        (name, Decimal(3), Decimal(2)),
    ]


def warehouse_of(shop: Shop, code: str) -> dict[str, int]:
    found = shop.tryton.rpc("model.stock.location.search_read", [["code", "=", code], ["type", "=", "warehouse"]], 0, 1, None, LOCATIONS)
    if found:
        return {name: found[0][name] for name in LOCATIONS}
    rooms = {
        name: shop.make("stock.location", name=f"{code} {name}", type="storage")
        for name in ("input_location", "output_location", "storage_location")
    }
    shop.make("stock.location", name=code, code=code, type="warehouse", **rooms)
    return rooms


LOCATIONS = ["input_location", "output_location", "storage_location"]


def test_stock_is_told_by_warehouse_with_what_is_reserved(shop: Shop) -> None:
    code = unique("CHAIR")
    shop.template(code, "50", "-A", "-B")
    main, second = warehouse_of(shop, "WH"), warehouse_of(shop, "W2")
    supplier = shop.find("stock.location", ["type", "=", "supplier"])
    customer = shop.find("stock.location", ["type", "=", "customer"])
    sku = f"{code}-A"
    shop.move(sku, 10, supplier, main["storage_location"])
    shop.move(sku, 4, supplier, second["storage_location"])
    shop.move(sku, 1, main["storage_location"], main["output_location"], done=False)
    shop.move(sku, 3, main["output_location"], customer, done=False)
    shop.move(sku, 50, supplier, second["input_location"], done=False)

    stock = shop.decoded("stock")
    assert stock[sku] == {
        "sku": sku,
        "on_hand": Decimal(14),
        "available": Decimal(11),
        "locations": {
            "WH": {"on_hand": Decimal(10), "available": Decimal(7)},
            "W2": {"on_hand": Decimal(4), "available": Decimal(4)},
        },
    }
    assert stock[f"{code}-B"]["on_hand"] == Decimal(0)
    assert "SERVICE-1" not in stock
    assert again(shop, warehouses=["W2"]).decoded("stock")[sku]["locations"] == {"W2": {"on_hand": Decimal(4), "available": Decimal(4)}}
    assert again(shop, available="forecast").decoded("stock")[sku]["available"] == Decimal(61)


def test_a_delta_of_stock_is_what_moved(shop: Shop) -> None:
    code = unique("TABLE")
    shop.template(code, "50", "-A", "-B", "-C")
    second = warehouse_of(shop, "W2")
    supplier = shop.find("stock.location", ["type", "=", "supplier"])
    customer = shop.find("stock.location", ["type", "=", "customer"])
    since = now()
    assert shop.changed("stock", since) == set()
    for suffix in ("-A", "-B", "-A", "-A"):
        shop.move(f"{code}{suffix}", 2, supplier, second["storage_location"])
    assert shop.changed("stock", since) == {f"{code}-A", f"{code}-B"}
    since = now()
    reserved = shop.move(f"{code}-B", 1, second["storage_location"], customer, done=False)
    assert shop.decoded("stock", since)[f"{code}-B"]["available"] == Decimal(1)
    since = now()
    shop.tryton.rpc("model.stock.move.cancel", [reserved])
    assert shop.decoded("stock", since)[f"{code}-B"]["available"] == Decimal(2)


def test_an_order_reserves_and_a_shipment_takes(shop: Shop) -> None:
    warehouse_of(shop, "W2")
    shop = again(shop, warehouse=shop.tryton.warehouse)  # of several, one has to be named
    since = now()
    made = shop.erp.create_order(effect(order()))
    reserved = shop.decoded("stock", since)["MUG-1"]["locations"]["WH"]
    assert (reserved["on_hand"] - reserved["available"]) == Decimal(2)
    since = now()
    shop.tryton.ship(int(made.remote_id))
    left = {"on_hand": reserved["on_hand"] - 2, "available": reserved["available"]}
    assert shop.decoded("stock", since)["MUG-1"]["locations"]["WH"] == left


def test_what_tryton_has_reaches_a_shop_and_a_change_reaches_it_alone(shop: Shop, database_url: str) -> None:
    memory = MemoryShop()
    runtime = runtime_with(database_url, {"erp": shop.erp, "shop": memory})
    code = unique("DESK")
    template = shop.template(code, "120", "-A", "-B")
    main = warehouse_of(shop, "WH")
    supplier = shop.find("stock.location", ["type", "=", "supplier"])
    shop.move(f"{code}-A", 4, supplier, main["storage_location"])
    pull_and_push(runtime, shop.erp)
    assert memory.products[code] == {"title": code.title(), "status": True}
    price = {"number": "120", "currency_code": "EUR"}
    assert memory.variations[f"{code}-A"] == {"price": price, "field_stock": "4", "status": True}
    assert memory.variations[f"{code}-B"] == {"price": price, "field_stock": "0", "status": True}

    memory.sent.clear()
    shop.move(f"{code}-A", 3, supplier, main["storage_location"])
    pull_and_push(runtime, shop.erp)
    pull_and_push(runtime, shop.erp, full=True)
    assert memory.sent == [[f"variation {code}-A"]]
    shop.write("product.template", template, list_price=number("99.50"))
    pull_and_push(runtime, shop.erp)
    price = {"number": "99.5", "currency_code": "EUR"}
    assert memory.variations[f"{code}-A"] == {"price": price, "field_stock": "7", "status": True}
    runtime.close()


def test_a_record_is_canonical_json_without_what_moves_by_itself(shop: Shop) -> None:
    for kind in ("products", "prices", "stock"):
        for record in shop.all(kind).values():
            held = json.loads(record.raw)
            assert list(held) == sorted(held)
            assert not {"write_date", "create_date"} & set(held)


def test_the_clock_of_a_delta_is_utc(shop: Shop) -> None:
    code = unique("CLOCK")
    shop.template(code, "1", "-A")
    assert f"{code}-A" in shop.changed("products", now() - timedelta(minutes=2))
    assert shop.changed("products", now() + timedelta(minutes=2)) == set()
