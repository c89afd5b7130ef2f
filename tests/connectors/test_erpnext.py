"""The ERPNext connector: reading against the simulator over real HTTP, refusals against a transport that answers as told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import responses

from middleware.connectors import mistakes
from middleware.connectors._http import Http
from middleware.connectors.erpnext import Connector
from middleware.errors import RateLimited, Refused, Rejected, Transient, Unauthorized, Unreadable
from middleware.ports import Blob, Delivery, Inbound, Record
from middleware.settings import Connection
from middleware.simulators.erpnext import ERPNextSimulator
from middleware.simulators.faults import Fault, FaultKind
from middleware.testing import secret
from tests.feeds.erp import pull_and_push
from tests.feeds.world import MemoryShop, runtime_with

PAYLOADS = Path(__file__).parents[1] / "payloads" / "erpnext"
BASE = "https://erp.example"
ITEMS = f"{BASE}/api/resource/Item"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KINDS = ("products", "prices", "stock", "categories", "price_lists")


class Clock:
    """Goes on by a second whenever it is looked at."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


def connector(base: str = BASE, *, secrets: tuple[str, ...] = (), zone: str = "UTC", **options: Any) -> Connector:
    key, word = ERPNextSimulator.key
    connection = Connection(
        "erp",
        "erpnext",
        base,
        secrets=tuple(secret(one) for one in secrets),
        credentials={"api_secret": secret(word)},
        options={"api_key": key, "page": 2, **options},
        time_zone=zone,
    )
    return Connector(connection, Http(connection))


def read(erp: Connector, kind: str, since: datetime | None = None) -> list[Record]:
    found: list[Record] = []
    cursor = ""
    while True:
        page = erp.list_records(kind, since, cursor)
        found += page.records
        cursor = page.cursor
        if not cursor:
            return found


def decoded(erp: Connector, kind: str, since: datetime | None = None) -> dict[str, dict[str, Any]]:
    return {record.source_id: erp.decode_record(kind, record.raw) for record in read(erp, kind, since)}


def changed(erp: Connector, kind: str, since: datetime) -> list[str]:
    """In order, so that what comes twice is seen."""
    return [record.source_id for record in read(erp, kind, since)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(clock: Clock) -> Iterator[ERPNextSimulator]:
    with ERPNextSimulator(clock=clock) as started:
        started.put("Price List", "Retail")
        started.put("Price List", "Wholesale")
        started.put("Price List", "Old", enabled=0)
        started.put("Item Group", "Shirts", item_group_name="Shirts", parent_item_group="Products")
        started.item("TS", item_name="T-Shirt", description="<p>Soft</p>", has_variants=1, item_group="Shirts")
        for size in ("L", "M", "S"):
            started.item(f"TS-RED-{size}", variant_of="TS", item_group="Shirts", image="/files/red shirt.png", custom_material="Cotton")
            started.put("Item Variant Attribute", f"v1{size}", parent=f"TS-RED-{size}", idx=2, attribute="Size", attribute_value=size)
            started.put("Item Variant Attribute", f"v2{size}", parent=f"TS-RED-{size}", idx=1, attribute="Colour", attribute_value="Red")
        started.item("mug", item_name="Mug", sales_uom="Box")
        started.item("SCREW", is_sales_item=0)
        started.item("GIFT WRAP", is_stock_item=0)
        yield started


@pytest.fixture
def erp(site: ERPNextSimulator) -> Connector:
    return connector(site.url)


# products


def test_a_variant_comes_with_the_words_of_its_template_and_its_values(site: ERPNextSimulator) -> None:
    site.put("Item Barcode", "b1", parent="TS-RED-M", idx=1, barcode="4006381333931", barcode_type="EAN")
    site.put("Item Barcode", "b2", parent="TS-RED-M", idx=2, barcode="4006381333948", barcode_type="EAN")
    assert decoded(connector(site.url, attributes=["custom_material"]), "products")["TS-RED-M"] == {
        "sku": "TS-RED-M",
        "product": "TS",
        "name": "TS-RED-M",
        "product_name": "T-Shirt",
        "description": "",
        "active": True,
        "status": "active",
        "unit": "Nos",
        "brand": "",
        "identifiers": {"EAN": "4006381333931"},
        "categories": ["Shirts"],
        "attributes": {"Colour": "Red", "Size": "M", "custom_material": "Cotton"},
        "translations": {},
        "media": ["/files/red shirt.png"],
    }


def test_an_item_without_a_template_is_its_own_product(erp: Connector) -> None:
    mug = decoded(erp, "products")["mug"]
    assert (mug["sku"], mug["product"], mug["product_name"], mug["unit"]) == ("mug", "mug", "Mug", "Box")


def test_only_what_is_sold_is_listed_and_a_template_is_not(erp: Connector) -> None:
    assert list(decoded(erp, "products")) == ["GIFT WRAP", "mug", "TS-RED-L", "TS-RED-M", "TS-RED-S"]
    assert list(decoded(erp, "stock")) == ["mug", "TS-RED-L", "TS-RED-M", "TS-RED-S"]


def test_disabled_is_inactive_and_so_are_the_variants_of_what_is_disabled(site: ERPNextSimulator, erp: Connector) -> None:
    site.item("mug", disabled=1)
    site.item("TS", disabled=1)
    status = {sku: one["status"] for sku, one in decoded(erp, "products").items()}
    assert status == {"GIFT WRAP": "active", **dict.fromkeys(("mug", "TS-RED-L", "TS-RED-M", "TS-RED-S"), "inactive")}


def test_a_delta_of_products_is_what_changed_and_the_variants_of_templates_that_changed(
    site: ERPNextSimulator, erp: Connector, clock: Clock
) -> None:
    for size in ("XS", "XL"):
        site.item(f"TS-RED-{size}", variant_of="TS")
    site.item("CAP", has_variants=1)
    site.item("CAP-1", variant_of="CAP")
    since = clock()
    assert changed(erp, "products", since) == []
    site.item("mug", item_name="Big mug")
    assert changed(erp, "products", since) == ["mug"]
    since = clock()
    site.item("CAP", item_name="Cap")
    site.item("TS", item_name="Shirt")
    assert changed(erp, "products", since) == ["CAP-1", "TS-RED-L", "TS-RED-M", "TS-RED-S", "TS-RED-XL", "TS-RED-XS"]


def test_a_template_that_vanishes_while_its_variants_are_read_takes_none_of_the_next_along(
    site: ERPNextSimulator, erp: Connector, clock: Clock
) -> None:
    site.item("ZIP", has_variants=1)
    site.item("A-ZIP", variant_of="ZIP")
    since = clock()
    site.item("TS", item_name="Shirt")
    site.item("ZIP", item_name="Zip")
    page = erp.list_records("products", since, erp.list_records("products", since, "").cursor)
    assert [record.source_id for record in page.records] == ["TS-RED-L", "TS-RED-M"]
    site.remove("Item", "TS")
    assert [record.source_id for record in erp.list_records("products", since, page.cursor).records] == ["A-ZIP"]


def test_what_is_inserted_or_removed_while_a_list_is_read_shifts_nothing(site: ERPNextSimulator, erp: Connector) -> None:
    page = erp.list_records("products", None, "")
    site.remove("Item", "GIFT WRAP")
    site.item("AAA")
    site.item("ZZZ")
    rest: list[str] = []
    while page.cursor:
        page = erp.list_records("products", None, page.cursor)
        rest += [record.source_id for record in page.records]
    assert rest == ["TS-RED-L", "TS-RED-M", "TS-RED-S", "ZZZ"]


# prices


def test_prices_are_those_of_every_enabled_price_list_with_their_days(site: ERPNextSimulator, erp: Connector) -> None:
    site.put("Item Price", "p1", item_code="mug", price_list="Retail", price_list_rate=9.95, uom="Nos")
    site.put(
        "Item Price",
        "p2",
        item_code="mug",
        price_list="Wholesale",
        price_list_rate=80.1,
        uom="Box",
        packing_unit=10,
        valid_from="2026-12-01",
        valid_upto="2026-12-31",
    )
    site.put("Item Price", "p3", item_code="mug", price_list="Old", price_list_rate=1, uom="Nos")
    site.put("Item Price", "p4", item_code="mug", price_list="Retail", price_list_rate=2, uom="Nos", customer="Example Ltd")
    site.put("Item Price", "p5", item_code="mug", price_list="Retail", price_list_rate=3, uom="Nos", batch_no="B1")
    site.put("Item Price", "p6", item_code="mug", price_list="Retail", price_list_rate=4, uom="Nos", selling=0, buying=1)
    base = {"group": "", "currency": "EUR", "tax_included": None, "min_quantity": Decimal(1), "valid_from": None, "valid_to": None}
    retail = {**base, "list": "Retail", "amount": Decimal("9.95"), "unit": "Nos"}
    dated = {"valid_from": "2026-12-01", "valid_to": "2026-12-31"}
    wholesale = {**base, "list": "Wholesale", "amount": Decimal("80.1"), "unit": "Box", "min_quantity": Decimal(10), **dated}
    assert decoded(erp, "prices")["mug"] == {"sku": "mug", "prices": [retail, wholesale]}
    assert decoded(erp, "prices")["TS-RED-M"] == {"sku": "TS-RED-M", "prices": []}
    one_list = connector(site.url, price_lists=["Wholesale"])
    assert decoded(one_list, "prices")["mug"]["prices"] == [wholesale]
    theirs = connector(site.url, customer_prices=True, price_lists=["Retail"])
    assert decoded(theirs, "prices")["mug"]["prices"] == [retail, {**retail, "group": "Example Ltd", "amount": Decimal(2)}]


def test_pricing_rules_with_a_fixed_rate_are_tiers_and_group_prices(site: ERPNextSimulator) -> None:
    site.put("Pricing Rule", "Ten", rate=8.5, min_qty=10.0, for_price_list="Retail")
    site.put("Pricing Rule", "Trade", rate=7, applicable_for="Customer Group", customer_group="Trade", valid_upto="2026-12-31")
    site.put("Pricing Rule", "Off", rate=1, disable=1)
    site.put("Pricing Rule", "Percent", rate_or_discount="Discount Percentage")
    site.put("Pricing Rule", "Land", rate=1, applicable_for="Territory")
    site.put("Pricing Rule", "Coupon", rate=1, coupon_code_based=1)
    site.put("Pricing Rule", "Big", rate=1, min_amt=500)
    site.put("Pricing Rule", "Odd", rate=1, condition="customer_name == 'Ada'")
    for number, rule in enumerate(("Ten", "Trade", "Off", "Percent", "Land", "Coupon", "Big", "Odd")):
        site.put("Pricing Rule Item Code", f"r{number}", parent=rule, item_code="mug")
    found = decoded(connector(site.url, pricing_rules=True), "prices")["mug"]["prices"]
    rows = [(one["list"], one["group"], one["amount"], one["min_quantity"], one["valid_to"]) for one in found]
    assert rows == [
        ("Retail", "", Decimal("8.5"), Decimal(10), None),
        ("", "Trade", Decimal(7), Decimal(1), "2026-12-31"),
    ]
    assert decoded(connector(site.url), "prices")["mug"]["prices"] == []


def test_a_delta_of_prices_follows_prices_lists_and_rules(site: ERPNextSimulator, clock: Clock) -> None:
    erp = connector(site.url, pricing_rules=True)
    site.put("Item Price", "p1", item_code="mug", price_list="Retail", price_list_rate=9.95)
    since = clock()
    assert changed(erp, "prices", since) == []
    site.put("Item Price", "p1", price_list_rate=10)
    site.put("Item Price", "p0", item_code="SCREW", price_list="Retail", price_list_rate=1)
    site.put("Item Price", "p2", item_code="TS-RED-M", price_list="Retail", price_list_rate=20)
    assert changed(erp, "prices", since) == ["mug", "TS-RED-M"]
    for doctype, name in (("Price List", "Retail"), ("Pricing Rule", "Ten")):
        since = clock()
        site.put(doctype, name, currency="USD")
        assert changed(erp, "prices", since) == list(decoded(erp, "prices"))
    assert changed(connector(site.url), "prices", since) == []


def test_more_prices_than_one_answer_holds_are_all_read(site: ERPNextSimulator, erp: Connector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("middleware.wire.erpnext.ALL", 3)
    monkeypatch.setattr("middleware.wire.erpnext.NAMES", 20)
    for number in range(7):
        site.put("Item Price", f"p{number}", item_code="mug", price_list="Retail", price_list_rate=number)
        site.put("Item Price", f"q{number}", item_code="GIFT WRAP", price_list="Retail", price_list_rate=number)
    found = decoded(erp, "prices")
    assert [[int(one["amount"]) for one in found[sku]["prices"]] for sku in ("mug", "GIFT WRAP")] == [list(range(7))] * 2


# stock


def test_stock_is_told_by_warehouse_with_what_is_reserved(site: ERPNextSimulator, erp: Connector) -> None:
    site.put("Bin", "b1", item_code="mug", warehouse="Stores - S", actual_qty=10.5, reserved_qty=2.0, projected_qty=50.0)
    site.put("Bin", "b2", item_code="mug", warehouse="Shop - S", actual_qty=4.0, reserved_qty_for_production=1.0, projected_qty=3.0)
    stores = {"on_hand": Decimal("10.5"), "available": Decimal("8.5")}
    shop = {"on_hand": Decimal(4), "available": Decimal(3)}
    found = decoded(erp, "stock")
    totals = {"on_hand": Decimal("14.5"), "available": Decimal("11.5")}
    assert found["mug"] == {"sku": "mug", **totals, "unit": "Nos", "locations": {"Stores - S": stores, "Shop - S": shop}}
    assert found["TS-RED-M"] == {"sku": "TS-RED-M", "on_hand": Decimal(0), "available": Decimal(0), "unit": "Nos", "locations": {}}
    assert decoded(connector(site.url, warehouses=["Shop - S"]), "stock")["mug"]["locations"] == {"Shop - S": shop}
    assert decoded(connector(site.url, available="projected"), "stock")["mug"]["available"] == Decimal(53)


def test_a_delta_of_stock_is_every_item_of_a_bin_that_changed(site: ERPNextSimulator, erp: Connector, clock: Clock) -> None:
    for number, sku in enumerate(("mug", "TS-RED-S", "TS-RED-M", "SCREW")):
        for warehouse in ("A", "B"):
            site.put("Bin", f"b{number}{warehouse}", item_code=sku, warehouse=warehouse, actual_qty=1.0)
    since = clock()
    assert changed(erp, "stock", since) == []
    for name in ("b0A", "b3A", "b2B"):
        site.put("Bin", name, actual_qty=5.0)
    assert changed(erp, "stock", since) == ["mug", "TS-RED-M"]
    assert decoded(erp, "stock", since)["mug"]["locations"]["B"] == {"on_hand": Decimal(1), "available": Decimal(1)}


# every feed


@pytest.mark.parametrize("kind", KINDS)
def test_a_repeated_pull_is_byte_identical_and_so_is_a_record_by_its_id(site: ERPNextSimulator, erp: Connector, kind: str) -> None:
    site.put("Item Price", "p1", item_code="mug", price_list="Retail", price_list_rate=9.95)
    site.put("Bin", "b1", item_code="mug", warehouse="A", actual_qty=1.0)
    first = read(erp, kind)
    assert first
    assert read(erp, kind) == first
    assert [erp.fetch_record(kind, record.source_id) for record in first] == first


@pytest.mark.parametrize("kind", ["products", "prices", "stock"])
def test_what_is_deleted_or_not_sold_any_more_is_denied(site: ERPNextSimulator, erp: Connector, kind: str) -> None:
    site.remove("Item", "mug")
    site.item("TS-RED-M", is_sales_item=0)
    assert [erp.fetch_record(kind, one) for one in ("mug", "TS-RED-M")] == [None, None]


def test_groups_and_price_lists_are_told(erp: Connector) -> None:
    assert decoded(erp, "categories") == {"Shirts": {"code": "Shirts", "name": "Shirts", "parent": "Products"}}
    assert decoded(erp, "price_lists")["Old"] == {"list": "Old", "currency": "EUR", "active": False, "tax_included": None}


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York"])
def test_a_delta_is_asked_for_in_the_time_of_the_site(clock: Clock, zone: str) -> None:
    with ERPNextSimulator(clock=clock, zone=zone) as site:
        site.item("A")
        since = clock()
        site.item("B")
        assert changed(connector(site.url, zone=zone), "products", since) == ["B"]


def test_the_hour_that_a_clock_shows_twice_is_asked_for_twice() -> None:
    first = Clock(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))  # 02:30 in Berlin, and an hour later again
    with ERPNextSimulator(clock=first, zone="Europe/Berlin") as site:
        since = first()
        site.item("A")
        first.at += timedelta(hours=1)
        later = first()
        site.item("B")
        erp = connector(site.url, zone="Europe/Berlin")
        assert changed(erp, "products", since) == ["A", "B"]
        assert "B" in changed(erp, "products", later)


def test_a_change_at_the_very_instant_is_read_again(clock: Clock, site: ERPNextSimulator, erp: Connector) -> None:
    site.item("mug", item_name="Cup")
    assert changed(erp, "products", clock.at) == ["mug"]


def test_a_file_of_the_site_is_fetched(site: ERPNextSimulator, erp: Connector) -> None:
    site.files["/files/red shirt.png"] = b"png"
    assert erp.fetch_media("/files/red shirt.png") == Blob("red shirt.png", b"png", "image/png")
    with pytest.raises(Rejected, match="HTTP 404: DoesNotExistError"):
        erp.fetch_media("/private/files/none.png")


@pytest.mark.parametrize(
    "reference",
    ["", "x", "https://elsewhere.example/a.png", "//elsewhere.example/files/a", "/files/", "/files/..", "/files/..%2F..%2Fapi", "/api/a"],
)
def test_a_file_elsewhere_is_not_fetched(erp: Connector, reference: str) -> None:
    with pytest.raises(Rejected) as raised:
        erp.fetch_media(reference)
    assert raised.value.field == "image"


# refusals


def test_a_wrong_secret_is_a_matter_of_the_credentials(site: ERPNextSimulator) -> None:
    site.key = ("api-key", "another")
    with pytest.raises(Unauthorized):
        connector(site.url).list_records("products", None, "")


def test_a_connection_without_its_credentials_asks_for_nothing() -> None:
    connection = Connection("erp", "erpnext", BASE)
    with pytest.raises(Unauthorized, match="no api_key"):
        Connector(connection, Http(connection)).list_records("products", None, "")


@pytest.mark.parametrize(("kind", "error"), [(FaultKind.ERROR, Transient), (FaultKind.RATE_LIMIT, RateLimited)])
def test_a_site_in_trouble_is_asked_again_later(site: ERPNextSimulator, erp: Connector, kind: FaultKind, error: type[Exception]) -> None:
    site.faults.add(Fault(kind))
    with pytest.raises(error):
        erp.fetch_record("products", "mug")


def test_a_field_that_the_user_may_not_read_is_named(site: ERPNextSimulator, erp: Connector) -> None:
    site.hidden.add(("Item Price", "customer"))
    site.put("Item Price", "p1", item_code="mug", price_list="Retail", price_list_rate=9.95)
    with pytest.raises(Rejected) as raised:
        read(erp, "prices")
    assert raised.value.field == "Item Price.customer"


def test_a_field_that_is_none_is_told_without_the_words_of_the_refusal() -> None:
    with responses.RequestsMock() as mock:
        mock.get(ITEMS, body=(PAYLOADS / "refusal.json").read_bytes(), status=417)
        with pytest.raises(Rejected) as raised:
            connector(attributes=["custom_x"]).list_records("products", None, "")
    assert raised.value.reason == "HTTP 417: DataError"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"data": {}}',
        b'{"data": [1]}',
        b'{"data": [{}]}',
        b'{"data": [{"name": 1}]}',
        b'{"data": [{"name": "x"}]}',
    ],
)
def test_an_answer_that_is_no_list_is_rejected(body: bytes) -> None:
    with responses.RequestsMock() as mock:
        mock.get(ITEMS, body=body)
        with pytest.raises(Rejected):
            connector().list_records("products", None, "")


def test_a_404_of_a_gateway_denies_nothing() -> None:
    with responses.RequestsMock() as mock:
        mock.get(ITEMS, body=b"<html>", status=404)
        with pytest.raises(Rejected):
            connector().fetch_record("products", "mug")


@pytest.mark.parametrize("cursor", ["x", "[]", '{"last": "a"}', '{"stage": 1}'])
def test_a_foreign_cursor_is_rejected(cursor: str) -> None:
    with pytest.raises(Rejected) as raised:
        connector().list_records("products", None, cursor)
    assert raised.value.field == "cursor"


def test_an_unknown_feed_and_an_empty_id_are_rejected() -> None:
    for ask, field in (
        (lambda: connector().list_records("orders", None, ""), "kind"),
        (lambda: connector().fetch_record("stock", ""), "source_id"),
    ):
        with pytest.raises(Rejected) as raised:
            ask()
        assert raised.value.field == field


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b'{"item_code": ["ada@example.test"], "name": {}}',
        b'{"item_code": "x", "name": "x", "disabled": 2, "enabled": "x", "prices": [{"valid_from": "ada@example.test"}], "bins": [{}]}',
    ],
)
def test_a_record_that_is_none_is_unreadable(kind: str, raw: bytes) -> None:
    if kind == "categories" and b'"name": "x"' in raw:
        return
    with pytest.raises(Unreadable) as raised:
        connector().decode_record(kind, raw)
    assert "@" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "zone", "line"),
    [
        ({"page": 0}, "UTC", "connections.erp.options.page must be 1 to 500"),
        ({"available": "all"}, "UTC", "connections.erp.options.available must be reserved or projected"),
        ({}, "Mars/Olympus", "connections.erp.time_zone 'Mars/Olympus' is not known"),
    ],
)
def test_impossible_settings_are_named(options: dict[str, Any], zone: str, line: str) -> None:
    wrong = Connection("erp", "erpnext", BASE, credentials={"api_secret": secret("x")}, options={"api_key": "k", **options}, time_zone=zone)
    assert mistakes({"erp": wrong}) == [line]


def test_a_key_without_its_secret_is_a_mistake() -> None:
    assert mistakes({"erp": Connection("erp", "erpnext", BASE, options={"api_key": "k"})}) == [
        "connections.erp.credentials.api_secret: missing; expected a reference, env:NAME or file:PATH"
        " (API secret of the user that Waybill acts as)"
    ]


# webhooks


def inbound(body: bytes, word: str = "") -> Inbound:
    mac = base64.b64encode(hmac.new(word.encode(), body, hashlib.sha256).digest()).decode()
    return Inbound({"x-frappe-webhook-signature": mac} if word else {}, body, "", NOW)


def test_a_webhook_is_a_hint_of_what_it_names() -> None:
    body = (PAYLOADS / "webhook.json").read_bytes()
    assert connector(secrets=("old", "new")).read(inbound(body, "new")) == (
        Delivery("", "erpnext.Item Price", "TS-RED-M", body, hint=True, secret=1),
    )


@pytest.mark.parametrize("body", [b"{}", b"[]", b"", b"x", b'{"name": 1}'])
def test_a_webhook_that_names_nothing_is_a_hint_too(body: bytes) -> None:
    assert connector(secrets=("s",)).read(inbound(body, "s")) == (Delivery("", "erpnext.changed", "unknown", body, hint=True),)


@pytest.mark.parametrize("secrets", [(), ("",), ("other",)])
def test_a_webhook_with_another_signature_is_refused(secrets: tuple[str, ...]) -> None:
    for request in (inbound(b"{}", "s"), inbound(b"{}")):
        with pytest.raises(Refused):
            connector(secrets=secrets).read(request)


def test_what_erpnext_has_reaches_a_shop_and_a_change_reaches_it_alone(site: ERPNextSimulator, erp: Connector, database_url: str) -> None:
    shop = MemoryShop()
    runtime = runtime_with(database_url, {"erp": erp, "shop": shop})
    site.put("Item Price", "p1", item_code="TS-RED-M", price_list="Retail", price_list_rate=19.9)
    site.put("Bin", "b1", item_code="TS-RED-M", warehouse="A", actual_qty=5.0, reserved_qty=1.0)
    pull_and_push(runtime, erp)
    price = {"number": "19.9", "currency_code": "EUR"}
    assert shop.products["TS"] == {"title": "T-Shirt", "status": True}
    assert shop.variations["TS-RED-M"] == {"price": price, "field_stock": "4", "status": True}
    shop.sent.clear()
    site.put("Bin", "b1", reserved_qty=2.0)
    site.put("Item Price", "p1", price_list_rate=18)
    pull_and_push(runtime, erp)
    pull_and_push(runtime, erp, full=True)
    assert shop.sent == [["variation TS-RED-M"]]
    assert shop.variations["TS-RED-M"] == {"price": {"number": "18", "currency_code": "EUR"}, "field_stock": "3", "status": True}
    runtime.close()


def test_the_record_holds_nothing_that_moves_by_itself(erp: Connector) -> None:
    for record in read(erp, "products"):
        held = json.loads(record.raw)
        assert list(held) == sorted(held)
        assert not {"modified", "creation"} & set(held)
