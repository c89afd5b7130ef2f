"""The Odoo connector against its simulator over real HTTP, by both of its APIs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import responses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from middleware.connectors import mistakes
from middleware.connectors._http import Http
from middleware.connectors.odoo import Connector
from middleware.errors import RateLimited, Rejected, Transient, Unauthorized, Unreadable
from middleware.ports import Blob, Page, Record
from middleware.settings import Connection
from middleware.simulators.faults import Fault, FaultKind
from middleware.simulators.odoo import OdooError, OdooSimulator
from middleware.simulators.odoo_models import Models
from middleware.testing import secret

PAYLOADS = Path(__file__).parents[1] / "payloads"
NOW = datetime(2026, 11, 22, 12, 0, 0, 500_000, tzinfo=UTC)
BASE = "https://odoo.example"
APIS = ("json2", "jsonrpc")


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


def connector(base: str = BASE, *, key: str = OdooSimulator.user[1], api: str = "json2", **options: Any) -> Connector:
    given = {"api": api, "database": OdooSimulator.database, "user": OdooSimulator.user[0], **options}
    connection = Connection("erp", "odoo", base, credentials={"key": secret(key)}, options=given)
    return Connector(connection, Http(connection))


def pages(erp: Connector, kind: str, since: datetime | None = None) -> Iterator[Page]:
    cursor = ""
    while True:
        page = erp.list_records(kind, since, cursor)
        yield page
        cursor = page.cursor
        if not cursor:
            return


def records(erp: Connector, kind: str, since: datetime | None = None) -> list[Record]:
    return [record for page in pages(erp, kind, since) for record in page.records]


def skus(erp: Connector, kind: str, since: datetime | None = None) -> list[str]:
    """What is read, sorted, each once."""
    return sorted({erp.decode_record(kind, record.raw)["sku"] for record in records(erp, kind, since)})


def decoded(erp: Connector, kind: str, since: datetime | None = None) -> dict[str, Any]:
    found = [erp.decode_record(kind, record.raw) for record in records(erp, kind, since)]
    return {one["sku"]: one for one in found}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def odoo(clock: Clock) -> Iterator[OdooSimulator]:
    with OdooSimulator(clock=clock) as started:
        yield started


# products


@pytest.mark.parametrize("api", APIS)
def test_a_variant_is_read_with_its_template_its_attributes_and_its_languages(odoo, api):
    models = odoo.models
    shirts = models.put("product.category", name="Shirts", complete_name="Goods / Shirts", parent_id=models.goods)
    template = models.add_template("Shirt", category=shirts)
    models.put("product.template", template, description_sale="Cotton")
    product = models.add_product("SHIRT-R", template, [models.add_value("Color", "Red"), models.add_value("Size", "M")])
    models.translations["product.product", product, "de_DE"] = {"name": "Hemd", "description_sale": "Baumwolle"}
    assert decoded(connector(odoo.url, api=api, languages=["de_DE"]), "products") == {
        "SHIRT-R": {
            "sku": "SHIRT-R",
            "product": str(template),
            "name": "Shirt",
            "product_name": "Shirt",
            "description": "Cotton",
            "barcode": "",
            "active": True,
            "attributes": {"Color": "Red", "Size": "M"},
            "categories": [str(shirts)],
            "media": [],
            "translations": {"de_DE": {"name": "Hemd", "description": "Baumwolle"}},
        }
    }


def test_a_variants_own_image_comes_before_that_of_its_template(odoo):
    models = odoo.models
    template = models.add_template("Shirt")
    red, _ = models.add_product("RED", template), models.add_product("BLUE", template)
    models.add_image("product.template", red, b"of another, whose id is the same")
    front = models.add_image("product.template", template, b"front")
    own = models.add_image("product.product", red, b"red")
    erp = connector(odoo.url)
    media = {sku: one["media"] for sku, one in decoded(erp, "products").items()}
    assert media == {
        "RED": [f"{own}-78988010b890ce6f4d2136481f392787ec6d6106.png"],
        "BLUE": [f"{front}-{hashlib.sha1(b'front').hexdigest()}.png"],
    }
    (reference,) = media["RED"]
    assert erp.fetch_media(reference) == Blob(reference, b"red", "image/png")
    models.rows["ir.attachment"][own]["datas"] = False
    with pytest.raises(Rejected, match="has no content"):
        erp.fetch_media(reference)
    models.remove("ir.attachment", own)
    for gone in (reference, "", "x-y", "²-y"):
        with pytest.raises(Rejected):
            erp.fetch_media(gone)


def test_an_archived_product_is_read_as_inactive_and_so_is_one_that_is_not_sold(odoo):
    models = odoo.models
    models.put("product.product", models.add_product("OLD"), active=False)
    models.add_product("NEW")
    models.change_template(models.rows["product.product"][models.add_product("PART")]["product_tmpl_id"], sale_ok=False)
    found = decoded(connector(odoo.url), "products")
    assert {sku: one["active"] for sku, one in found.items()} == {"OLD": False, "NEW": True, "PART": False}


def test_a_product_without_a_sku_is_refused_by_the_name_of_the_field(odoo):
    odoo.models.put("product.product", odoo.models.add_product(""), barcode="4006381333931")
    (record,) = records(connector(odoo.url), "products")
    with pytest.raises(Unreadable, match="default_code: is empty"):
        connector(odoo.url).decode_record("products", record.raw)
    assert connector(odoo.url, sku="barcode").decode_record("products", record.raw)["sku"] == "4006381333931"


@pytest.mark.parametrize("api", APIS)
def test_a_delta_of_products_is_what_changed_on_them_their_templates_and_their_attributes(odoo, clock, api):
    models = odoo.models
    value = models.add_value("Color", "Red")
    plain, valued, third = models.add_product("A"), models.add_product("B", values=[value]), models.add_product("C")
    erp = connector(odoo.url, api=api, page=2)
    since = clock.advance(hours=1)
    assert skus(erp, "products", since) == []
    models.put("product.product", third, barcode="1")
    assert skus(erp, "products", since) == ["C"]
    models.change_template(models.rows["product.product"][plain]["product_tmpl_id"], name="Other")
    models.put("product.attribute.value", models.rows["product.template.attribute.value"][value]["product_attribute_value_id"], name="Rose")
    assert skus(erp, "products", since) == ["A", "B", "C"]
    assert decoded(erp, "products")["B"]["attributes"] == {"Color": "Rose"}
    assert valued in models.rows["product.product"]


def test_the_second_of_the_watermark_is_asked_for_again(odoo, clock):
    odoo.models.add_product("A")
    assert skus(connector(odoo.url), "products", clock.now.replace(microsecond=900_000)) == ["A"]
    assert skus(connector(odoo.url), "products", clock.now + timedelta(seconds=1)) == []


def test_a_record_is_the_same_bytes_while_nothing_of_it_changed(odoo, clock):
    models = odoo.models
    product = models.add_product("A", values=[models.add_value("Color", "Red")])
    models.move(product, 3)
    models.add_rule(models.add_pricelist("Trade"), fixed_price=8.5)
    erp = connector(odoo.url)
    before = {kind: records(erp, kind) for kind in ("products", "prices", "stock")}
    clock.advance(hours=1)
    models.put("product.product", product)
    assert {kind: records(erp, kind) for kind in before} == before


# prices


@pytest.mark.parametrize("api", APIS)
def test_a_product_has_all_of_its_prices_in_one_record(odoo, api):
    models = odoo.models
    product = models.add_product("A", values=[models.add_value("Size", "XL", extra=2.5)], price=19.99)
    template = models.rows["product.product"][product]["product_tmpl_id"]
    dollar = models.put("res.currency", name="USD")
    trade, abroad = models.add_pricelist("Trade"), models.add_pricelist("Abroad", dollar)
    models.add_rule(trade, "0_product_variant", product_id=product, product_tmpl_id=template, fixed_price=15.0, min_quantity=10.0)
    models.add_rule(
        trade, "1_product", product_tmpl_id=template, fixed_price=18.0, date_start="2026-11-27 00:00:00", date_end="2026-11-30 22:59:59"
    )
    models.add_rule(trade, "2_product_category", "percentage", categ_id=models.goods, percent_price=10.0)
    models.add_rule(abroad, fixed_price=25.0)

    def price(
        code: int | str, amount: str, quantity: int = 1, currency: str = "EUR", start: str | None = None, end: str | None = None
    ) -> dict[str, Any]:
        return {
            "list": str(code),
            "group": "",
            "currency": currency,
            "amount": Decimal(amount),
            "min_quantity": Decimal(quantity),
            "valid_from": start,
            "valid_to": end,
            "tax_included": False,
        }

    assert decoded(connector(odoo.url, api=api, tax_included="no"), "prices")["A"] == {
        "sku": "A",
        "prices": [
            price("", "22.49"),
            price(trade, "15", 10),
            price(trade, "18", start="2026-11-27T00:00:00+00:00", end="2026-11-30T22:59:59+00:00"),
            price(trade, "20.241"),
            price(abroad, "25", currency="USD"),
        ],
    }


def test_rules_about_others_and_archived_pricelists_are_left_out(odoo):
    models = odoo.models
    mine, other = models.add_product("A"), models.add_product("B")
    models.put("product.category", name="Elsewhere", complete_name="Elsewhere", parent_id=False)
    elsewhere = models.put("product.category", name="Far", complete_name="Far", parent_id=False)
    trade, old = models.add_pricelist("Trade"), models.add_pricelist("Old")
    models.put("product.pricelist", old, active=False)
    models.add_rule(old, fixed_price=1.0)
    models.add_rule(trade, "0_product_variant", product_id=other, fixed_price=2.0)
    models.add_rule(trade, "2_product_category", categ_id=elsewhere, fixed_price=3.0)
    models.add_rule(trade, "0_product_variant", product_id=mine, fixed_price=4.0)
    models.add_rule(trade, fixed_price=5.0)  # the variant's own rule always wins over it
    amounts = {sku: [one["amount"] for one in found["prices"]] for sku, found in decoded(connector(odoo.url), "prices").items()}
    assert amounts == {"A": [10, 4], "B": [10, 2]}
    assert [one["amount"] for one in decoded(connector(odoo.url, pricelists=[old]), "prices")["A"]["prices"]] == [10, 1]


@pytest.mark.parametrize(
    ("rule", "amount"),
    [
        ({"price_discount": 20.0}, "8"),
        ({"price_discount": 33.0, "price_round": 1.0, "price_surcharge": -0.01}, "6.99"),
        ({"price_discount": 90.0, "price_min_margin": -5.0}, "5"),
        ({"price_discount": -90.0, "price_max_margin": 3.0}, "13"),
    ],
)
def test_a_formula_over_the_sales_price_is_computed(odoo, rule, amount):
    odoo.models.add_product("A")
    odoo.models.add_rule(odoo.models.add_pricelist("Trade"), "3_global", "formula", **rule)
    assert decoded(connector(odoo.url), "prices")["A"]["prices"][1]["amount"] == Decimal(amount)


@pytest.mark.parametrize(
    "rule", [{"base": "standard_price"}, {"base": "pricelist"}, {"applied_on": "4_new_word"}, {"compute_price": "magic"}]
)
def test_a_rule_that_only_odoo_can_compute_refuses_the_prices_unless_it_is_skipped(odoo, rule):
    odoo.models.add_product("A")
    number = odoo.models.add_rule(odoo.models.add_pricelist("Trade"), **{"applied_on": "3_global", "compute_price": "percentage", **rule})
    (record,) = records(connector(odoo.url), "prices")
    with pytest.raises(Unreadable, match=f"rules: only Odoo can compute the price of {number}"):
        connector().decode_record("prices", record.raw)
    assert len(connector(rules="skip").decode_record("prices", record.raw)["prices"]) == 1


def test_prices_are_those_that_odoo_itself_made_of_its_rules():
    recorded = json.loads((PAYLOADS / "odoo" / "prices.json").read_text("utf-8"), parse_float=Decimal)
    erp, wrong = connector(), []
    raws = [json.dumps(record, default=float).encode() for record in recorded["records"]]
    prices = {found["sku"]: found["prices"] for found in (erp.decode_record("prices", raw) for raw in raws)}
    for expected in recorded["prices"]:
        fitting = [price for price in prices[expected["sku"]] if fits(price, expected)]
        if round((fitting or prices[expected["sku"]])[0]["amount"], 6) != Decimal(expected["price"]):
            wrong.append(expected)
    assert (len(recorded["prices"]), wrong) == (432, [])


def fits(price: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a price of a list holds for a quantity at a time."""
    begun = price["valid_from"] is None or price["valid_from"] <= wanted["at"]
    over = price["valid_to"] is not None and price["valid_to"] < wanted["at"]
    return price["list"] == wanted["list"] and price["min_quantity"] <= wanted["quantity"] and begun and not over


@pytest.mark.parametrize("page", [1, 2, 50])
def test_a_delta_of_prices_is_what_changed_products_and_rules_are_about(odoo, clock, page):
    models = odoo.models
    template = models.add_template("Shirt")
    for sku in "ABC":
        models.add_product(sku, template)
    alone, other = models.add_product("D"), models.add_product("E")
    home = models.rows["product.product"][alone]["product_tmpl_id"]
    models.add_product("F", home)
    trade = models.add_pricelist("Trade")
    erp = connector(odoo.url, page=page)
    since = clock.advance(hours=1)
    assert skus(erp, "prices", since) == []
    rule = models.add_rule(trade, "1_product", product_tmpl_id=template, fixed_price=9.0)
    models.add_rule(trade, "0_product_variant", product_id=alone, product_tmpl_id=home, fixed_price=9.0)
    assert skus(erp, "prices", since) == ["A", "B", "C", "D"]
    since = clock.advance(hours=1)
    models.put("product.pricelist.item", rule, fixed_price=8.0)
    models.put("product.product", other)
    assert skus(erp, "prices", since) == ["A", "B", "C", "E"]
    since = clock.advance(hours=1)
    models.add_rule(trade, "3_global", "percentage", percent_price=5.0)
    assert skus(erp, "prices", since) == ["A", "B", "C", "D", "E", "F"]
    since = clock.advance(hours=1)
    models.remove("product.pricelist.item", rule)
    models.put("product.pricelist", trade)  # as its form does it
    assert skus(erp, "prices", since) == ["A", "B", "C", "D", "E", "F"]


def test_rules_that_change_while_a_delta_is_read_hide_none_of_those_that_had_changed(odoo, clock):
    models = odoo.models
    template = models.add_template("Shirt")
    many = [models.add_product(sku, template) for sku in "ABCD"]
    trade = models.add_pricelist("Trade")
    since = clock.advance(hours=1)
    first = models.add_rule(trade, "1_product", product_tmpl_id=template, fixed_price=9.0)
    models.add_rule(trade, "0_product_variant", product_id=models.add_product("E"), fixed_price=9.0)
    erp, seen = connector(odoo.url, page=1), set()
    for page in pages(erp, "prices", since):
        seen |= {erp.decode_record("prices", record.raw)["sku"] for record in page.records}
        if "A" in seen and first in models.rows["product.pricelist.item"]:
            models.remove("product.pricelist.item", first)
    assert len(many) == 4
    assert seen == set("ABCDE")


# stock


@pytest.mark.parametrize("api", APIS)
def test_the_stock_of_a_product_is_added_up_by_warehouse(odoo, api):
    models = odoo.models
    product = models.add_product("A")
    models.add_product("B")
    south = models.put("stock.warehouse", name="South", code="S")
    bin_, bay = (models.put("stock.location", complete_name=f"S/{name}", usage="internal", warehouse_id=south) for name in ("Bin", "Bay"))
    models.move(product, 5, reserved=2)
    models.move(product, 0.1, location=bin_)
    models.move(product, 0.2, location=bay)
    models.move(product, 90, location=models.customers)
    erp = connector(odoo.url, api=api)
    assert decoded(erp, "stock") == {
        "A": {
            "sku": "A",
            "on_hand": Decimal("5.3"),
            "available": Decimal("3.3"),
            "locations": {
                "S": {"on_hand": Decimal("0.3"), "available": Decimal("0.3")},
                "WH": {"on_hand": Decimal(5), "available": Decimal(3)},
            },
        },
        "B": {"sku": "B", "on_hand": Decimal(0), "available": Decimal(0), "locations": {}},
    }
    assert sorted(decoded(connector(odoo.url, stock_by="location"), "stock")["A"]["locations"]) == ["S/Bay", "S/Bin", "WH/Stock"]


@pytest.mark.parametrize("page", [1, 50])
def test_a_delta_of_stock_has_every_product_whose_stock_moved_also_when_nothing_is_left(odoo, clock, page):
    models = odoo.models
    products = [models.add_product(sku) for sku in "ABC"]
    for product in products:
        models.move(product, 4)
    erp = connector(odoo.url, page=page)
    since = clock.advance(hours=1)
    assert skus(erp, "stock", since) == []
    models.move(products[0], -4)  # its quant is deleted
    models.move(products[2], 0, reserved=1)
    found = decoded(erp, "stock", since)
    assert {sku: (one["on_hand"], one["available"]) for sku, one in found.items()} == {"A": (0, 0), "C": (4, 3)}


# lists


def test_categories_and_price_lists_are_read_too(odoo, clock):
    models = odoo.models
    shirts = models.put("product.category", name="Shirts", complete_name="Goods / Shirts", parent_id=models.goods)
    trade = models.add_pricelist("Trade")
    erp = connector(odoo.url, page=1)
    found = {kind: [erp.decode_record(kind, record.raw) for record in records(erp, kind)] for kind in ("categories", "price_lists")}
    assert found == {
        "categories": [
            {"code": str(models.goods), "name": "Goods", "complete_name": "Goods", "parent": None},
            {"code": str(shirts), "name": "Shirts", "complete_name": "Goods / Shirts", "parent": str(models.goods)},
        ],
        "price_lists": [{"code": str(trade), "name": "Trade", "active": True, "currency": "EUR"}],
    }
    since = clock.advance(hours=1)
    models.put("product.category", shirts, name="Tops")
    assert [record.source_id for record in records(erp, "categories", since)] == [str(shirts)]


# changes while it is read

DEEDS = st.lists(st.lists(st.tuples(st.sampled_from(["add", "remove", "change", "move"]), st.integers(0, 30)), max_size=4), max_size=8)


@pytest.fixture(scope="module")
def still() -> Iterator[OdooSimulator]:
    with OdooSimulator() as started:
        yield started


@pytest.mark.parametrize("kind", ["products", "prices", "stock"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 12), page=st.integers(1, 5), deeds=DEEDS)
def test_whatever_changes_between_pages_what_was_there_all_the_time_is_read(still, kind, start, page, deeds):
    still.models = models = Models(still.models.clock)
    held = [models.add_product(f"P{number}") for number in range(start)]
    always, seen, left = set(held), set(), iter(deeds)
    for read in pages(connector(still.url, page=page), kind):
        seen |= {int(record.source_id) for record in read.records}
        for deed, number in next(left, ()):
            mine = held[number % len(held)] if held else 0
            if deed == "add" or mine not in models.rows["product.product"]:
                models.add_product(f"N{number}")
            elif deed == "remove":
                models.remove("product.product", mine)
                always.discard(mine)
            else:
                models.change_template(models.rows["product.product"][mine]["product_tmpl_id"], name="Other")
    assert always <= seen


# one record


@pytest.mark.parametrize("api", APIS)
def test_one_record_is_asked_for_by_its_id(odoo, api):
    models, erp = odoo.models, connector(odoo.url, api=api)
    product = models.add_product("A")
    models.put("product.product", product, active=False)
    for kind in ("products", "prices", "stock", "categories"):
        (first, *_) = records(erp, kind)
        assert erp.fetch_record(kind, first.source_id) == first
    models.remove("product.product", product)
    assert [erp.fetch_record("products", source_id) for source_id in (str(product), "0", "", "x", "²")] == [None] * 5
    with pytest.raises(Rejected, match="no feed"):
        erp.fetch_record("orders", "1")


# refusals


@pytest.mark.parametrize("api", APIS)
def test_a_wrong_key_is_a_matter_of_the_credentials(odoo, api):
    with pytest.raises(Unauthorized):
        connector(odoo.url, api=api, key="wrong").list_records("products", None, "")


def test_a_connection_without_a_key_asks_for_nothing(odoo):
    connection = Connection("erp", "odoo", odoo.url)
    with pytest.raises(Unauthorized, match="has no key"):
        Connector(connection, Http(connection)).list_records("products", None, "")
    assert odoo.calls == []


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("odoo.exceptions.AccessError", 403, Unauthorized),
        ("odoo.exceptions.AccessDenied", 401, Unauthorized),
        ("psycopg2.errors.SerializationFailure", 503, Transient),
        ("odoo.exceptions.UserError", 422, Rejected),
    ],
)
def test_what_goes_wrong_over_there_is_told_apart(odoo, api, name, status, error):
    odoo.fails.append(OdooError(name, "something", status))
    erp = connector(odoo.url, api=api)
    with pytest.raises(error):
        erp.list_records("products", None, "")
    assert erp.list_records("products", None, "") == Page(())


@pytest.mark.parametrize("api", APIS)
def test_a_page_that_failed_is_asked_for_again(odoo, api):
    made = {str(odoo.models.add_product(f"P{number}")) for number in range(3)}
    odoo.faults.add(Fault(FaultKind.RATE_LIMIT, seconds=3))
    odoo.faults.add(Fault(FaultKind.ERROR))
    odoo.faults.add(Fault(FaultKind.RESET_AFTER))
    erp = connector(odoo.url, api=api, page=2)
    with pytest.raises(RateLimited) as caught:
        erp.list_records("products", None, "")
    assert caught.value.retry_after == 3
    for _ in range(2):
        with pytest.raises(Transient):
            erp.list_records("products", None, "")
    assert {record.source_id for record in records(erp, "products")} == made


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "{}",
        "[7]",
        '[{"id":1}]',
        '[{"id":true,"default_code":"A","barcode":false}]',
        '[{"id":2,"default_code":"A","barcode":false},{"id":1,"default_code":"B","barcode":false}]',
        "[" * 100_000,
    ],
)
@pytest.mark.parametrize("api", APIS)
def test_an_answer_that_is_no_list_is_refused(api, body):
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.post(f"{BASE}/json/2/product.product/search_read", body=body)
        server.post(f"{BASE}/jsonrpc", body='{"result":2}')
        server.post(f"{BASE}/jsonrpc", body='{"result":' + body + "}")
        with pytest.raises(Rejected):
            connector(api=api).list_records("stock", None, "")


@pytest.mark.parametrize("body", ["7", "[]", "{}", '{"error":7}', '{"error":{"data":7,"message":"no"}}', '{"error":null}'])
def test_a_json_rpc_answer_of_another_form_is_refused(body):
    with responses.RequestsMock() as server:
        server.post(f"{BASE}/jsonrpc", body=body)
        with pytest.raises(Rejected):
            connector(api="jsonrpc").list_records("stock", None, "")


def test_rows_of_another_form_are_refused(odoo):
    odoo.models.move(odoo.models.add_product("A"), 1)
    (quant,) = odoo.models.rows["stock.quant"].values()
    quant["quantity"] = "many"
    with pytest.raises(Rejected, match="not of the expected form"):
        connector(odoo.url).list_records("stock", None, "")


def test_a_field_that_is_not_there_is_said(odoo):
    odoo.models.add_product("A")
    del odoo.models.rows["product.product"][next(iter(odoo.models.rows["product.product"]))]["barcode"]
    with pytest.raises(Rejected, match="Invalid field"):
        connector(odoo.url, api="jsonrpc").list_records("stock", None, "")


def test_an_unknown_kind_and_a_foreign_cursor_are_refused():
    with pytest.raises(Rejected, match="no feed 'orders'"):
        connector().list_records("orders", None, "")
    with pytest.raises(Rejected, match="cursor"):
        connector().list_records("products", None, "7")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"api": "xml"}, "api"),
        ({"sku": "name"}, "sku"),
        ({"rules": ""}, "rules"),
        ({"page": 0}, "page"),
        ({"tax_included": "maybe"}, "tax_included"),
    ],
)
def test_a_wrong_option_is_found_at_once(option, said):
    connection = Connection("erp", "odoo", BASE, credentials={"key": secret("k")}, options=option)
    (line,) = mistakes({"erp": connection})
    assert f"options.{said} must be" in line


@pytest.mark.parametrize(
    ("kind", "raw", "fields"),
    [
        ("products", b"", "not JSON"),
        ("products", b'{"product":"\xff"}', "not JSON"),
        ("products", b"[]", "expected an object"),
        ("products", b'{"product":{"id":1,"name":7},"values":[]}', "product.name: expected text.*product.active: Missing"),
        ("prices", b'{"product":{"id":1,"lst_price":"ada@"}}', "product.lst_price: .*product.currency_id: Missing"),
        ("prices", b'{"product":{"id":1,"lst_price":1,"currency_id":[1,"EUR"]},"rules":"ada@"}', "rules: expected a list"),
        ("stock", b'{"product":{"id":1},"places":[{"code":"ada@"}]}', "places.on_hand: Missing"),
        ("categories", b'{"name":"ada@"}', "id: expected an id"),
    ],
)
def test_what_cannot_be_read_is_named_without_its_value(kind, raw, fields):
    with pytest.raises(Unreadable, match=fields) as caught:
        connector().decode_record(kind, raw)
    assert "ada@" not in str(caught.value)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.text() | st.integers(), st.lists).map(
        lambda x: json.dumps({"product": x, "rules": x}).encode()
    )
)
def test_any_bytes_are_decoded_or_unreadable(raw):
    for kind in ("products", "prices", "stock", "categories", "price_lists"):
        try:
            assert isinstance(connector().decode_record(kind, raw), dict)
        except Unreadable:
            continue
