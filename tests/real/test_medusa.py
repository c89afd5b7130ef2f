"""The Medusa connector against a real Medusa: every feed read back beside what its own API was told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from middleware.connectors._http import Http
from middleware.connectors.medusa import Connector
from middleware.errors import Rejected, Unauthorized
from middleware.ports import Page, Record
from middleware.settings import Connection
from middleware.testing import secret

from .medusa_server import EMAIL, PASSWORD, Medusa
from .programs import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


@contextmanager
def connected(medusa: Medusa, credentials: dict[str, str] | None = None, **options: Any) -> Iterator[Connector]:
    given = {name: secret(value) for name, value in (credentials or {"password": PASSWORD}).items()}
    settings = Connection("engine", "medusa", medusa.url, credentials=given, options={"email": EMAIL, **options})
    http = Http(settings)
    try:
        yield Connector(settings, http)
    finally:
        http.close()


def pages(engine: Connector, kind: str, since: datetime | None = None) -> Iterator[Page]:
    cursor = ""
    while True:
        page = engine.list_records(kind, since, cursor)
        yield page
        cursor = page.cursor
        if not cursor:
            return


def records(engine: Connector, kind: str, since: datetime | None = None) -> dict[str, Record]:
    return {record.source_id: record for page in pages(engine, kind, since) for record in page.records}


def read(engine: Connector, kind: str, source_id: str) -> Any:
    record = engine.fetch_record(kind, source_id)
    assert record is not None
    return engine.decode_record(kind, record.raw)


def price(amount: str, **changes: Any) -> dict[str, Any]:
    everybody: dict[str, Any] = {
        "list": "",
        "group": "",
        "currency": "EUR",
        "amount": Decimal(amount),
        "min_quantity": Decimal(1),
        "max_quantity": None,
        "valid_from": None,
        "valid_to": None,
        "tax_included": True,
        "rules": {},
    }
    return everybody | changes


@pytest.fixture(scope="module")
def shop(medusa: Medusa) -> dict[str, Any]:
    """A product with two sizes, in euros for everybody, for a region and for two groups of customers, at two locations."""
    preferences = medusa.get("/admin/price-preferences")["price_preferences"]
    for preference in preferences:
        medusa.post(f"/admin/price-preferences/{preference['id']}", is_tax_inclusive=True)
    region = medusa.create("regions", name="EU", currency_code="eur", countries=["de"])["id"]
    category = medusa.create("product-categories", name="Clothes", handle="clothes", is_active=True)["id"]
    berlin, basel = (medusa.create("stock-locations", name=name)["id"] for name in ("Berlin", "Basel"))
    given = [
        {"amount": 19.9, "currency_code": "eur"},
        {"amount": 17.5, "currency_code": "eur", "min_quantity": 10},
        {"amount": 18.9, "currency_code": "eur", "rules": {"region_id": region}},
    ]
    product = medusa.create(
        "products",
        title="Shirt",
        handle="shirt",
        status="published",
        description="A shirt",
        categories=[{"id": category}],
        images=[{"url": "https://files.example/shirt.png"}],
        options=[{"title": "Size", "values": ["S", "M"]}],
        variants=[
            {"title": f"Shirt {size}", "sku": f"SHIRT-{size}", "manage_inventory": True, "options": {"Size": size}, "prices": given}
            for size in ("S", "M")
        ],
    )
    ids = {one["sku"]: one["id"] for one in product["variants"]}
    groups = [medusa.create("customer-groups", name=name)["id"] for name in ("Trade", "Staff")]
    window = {"starts_at": "2026-01-01T00:00:00.000Z", "ends_at": "2036-01-01T00:00:00.000Z"}
    lists = [
        medusa.create(
            "price-lists",
            title=status,
            description="For some",
            type="override",
            status=status,
            rules={"customer.groups.id": groups},
            prices=[{"variant_id": ids["SHIRT-S"], "currency_code": "eur", "amount": 15.25, "min_quantity": 5}],
            **window,
        )["id"]
        for status in ("active", "draft")
    ]
    items = medusa.get("/admin/inventory-items", fields="id,sku")["inventory_items"]
    for item in items:
        for location, count in ((berlin, 10), (basel, 3)):
            medusa.post(f"/admin/inventory-items/{item['id']}/location-levels", location_id=location, stocked_quantity=count)
    stocked = {item["sku"]: item["id"] for item in items}
    return {
        "product": product["id"],
        "ids": ids,
        "region": region,
        "groups": groups,
        "list": lists[0],
        "window": window,
        "items": stocked,
        "berlin": berlin,
        "basel": basel,
    }


def test_a_variant_is_a_product_record(medusa, shop):
    with connected(medusa) as engine:
        assert read(engine, "products", shop["ids"]["SHIRT-S"]) == {
            "sku": "SHIRT-S",
            "product": shop["product"],
            "handle": "shirt",
            "name": "Shirt S",
            "product_name": "Shirt",
            "subtitle": None,
            "description": "A shirt",
            "status": "published",
            "active": True,
            "attributes": {"Size": "S"},
            "barcode": None,
            "ean": None,
            "collection": None,
            "type": None,
            "tags": [],
            "categories": ["clothes"],
            "media": ["https://files.example/shirt.png"],
        }


def test_prices_of_regions_tiers_and_lists_are_one_record(medusa, shop):
    window = {"valid_from": shop["window"]["starts_at"], "valid_to": shop["window"]["ends_at"]}
    of_list = {"list": shop["list"], "min_quantity": Decimal(5), **window}
    with connected(medusa, page=2) as engine:
        found = engine.decode_record("prices", records(engine, "prices")[shop["ids"]["SHIRT-S"]].raw)
    prices = sorted(found["prices"], key=lambda one: (one["amount"], one["group"]))
    assert found["sku"] == "SHIRT-S"
    assert prices == [
        *(price("15.25", group=group, **of_list) for group in sorted(shop["groups"])),
        price("17.5", min_quantity=Decimal(10)),
        price("18.9", rules={"region_id": shop["region"]}, tax_included=False),
        price("19.9"),
    ]


def test_stock_is_told_by_location_less_what_is_reserved(medusa, shop):
    medusa.create("reservations", inventory_item_id=shop["items"]["SHIRT-S"], location_id=shop["berlin"], quantity=4)
    with connected(medusa) as engine:
        assert read(engine, "stock", shop["ids"]["SHIRT-S"]) == {
            "sku": "SHIRT-S",
            "on_hand": 13,
            "available": 9,
            "locations": {shop["berlin"]: {"on_hand": 10, "available": 6}, shop["basel"]: {"on_hand": 3, "available": 3}},
            "tracked": True,
            "backorder": False,
        }


def test_a_set_can_be_sold_as_often_as_its_scarcest_part(medusa, shop):
    parts = [
        {"inventory_item_id": shop["items"]["SHIRT-M"], "required_quantity": 2},
        {"inventory_item_id": medusa.create("inventory-items", sku="BOX")["id"], "required_quantity": 1},
    ]
    medusa.post(f"/admin/inventory-items/{parts[1]['inventory_item_id']}/location-levels", location_id=shop["berlin"], stocked_quantity=4)
    variant = {
        "title": "Pair",
        "sku": "PAIR",
        "manage_inventory": True,
        "inventory_items": parts,
        "options": {"Kind": "Pair"},
        "prices": [],
    }
    made = medusa.create("products", title="Pair", options=[{"title": "Kind", "values": ["Pair"]}], variants=[variant])
    with connected(medusa) as engine:
        found = read(engine, "stock", made["variants"][0]["id"])
    assert (found["on_hand"], found["locations"]) == (4, {shop["berlin"]: {"on_hand": 4, "available": 4}})


def test_categories_and_price_lists_are_feeds(medusa, shop):
    with connected(medusa) as engine:
        (category,) = records(engine, "categories").values()
        assert engine.decode_record("categories", category.raw) == {
            "code": "clothes",
            "parent": "",
            "name": "Clothes",
            "description": "",
            "rank": 0,
            "active": True,
            "internal": False,
        }
        assert read(engine, "price_lists", shop["list"]) == {
            "code": shop["list"],
            "title": "active",
            "description": "For some",
            "type": "override",
            "status": "active",
            "active": True,
            "valid_from": shop["window"]["starts_at"],
            "valid_to": shop["window"]["ends_at"],
        }


def test_a_delta_has_the_variants_that_changed_and_those_of_products_that_did(medusa, shop):
    sizes = [{"title": f"Mug {size}", "sku": f"MUG-{size}", "options": {"Size": size}, "prices": []} for size in ("S", "M")]
    made = medusa.create("products", title="Mug", options=[{"title": "Size", "values": ["S", "M"]}], variants=sizes)
    first, second = (one["id"] for one in made["variants"])
    later = datetime.now(UTC) + timedelta(seconds=1)
    with connected(medusa, page=2) as engine:
        assert records(engine, "products", later) == {}
        eventually(lambda: datetime.now(UTC) > later, "the clock goes on")
        medusa.post(f"/admin/products/{made['id']}/variants/{second}", title="Mug of medium size")
        assert list(records(engine, "products", later)) == [second]
        medusa.post(f"/admin/products/{made['id']}", title="Big mug")
        assert sorted(records(engine, "products", later)) == sorted([first, second])
        assert {first, second, *shop["ids"].values()} <= set(records(engine, "stock", later))
        assert {first, second, *shop["ids"].values()} <= set(records(engine, "prices", later))


def test_what_did_not_change_is_the_same_bytes(medusa, shop):
    with connected(medusa, page=2) as engine:
        for kind in ("products", "prices", "stock", "categories", "price_lists"):
            found = records(engine, kind)
            assert found
            assert records(engine, kind) == found
            assert {one: engine.fetch_record(kind, one) for one in found} == found


def test_a_record_that_is_deleted_between_two_pages_hides_no_other(medusa, shop):
    cups = []
    for number in range(6):
        variant = {"title": "Cup", "sku": f"CUP-{number}", "options": {"Kind": "Cup"}, "prices": []}
        cups.append(medusa.create("products", title=f"Cup {number}", options=[{"title": "Kind", "values": ["Cup"]}], variants=[variant]))
    ids = sorted(cup["variants"][0]["id"] for cup in cups)
    owners = {cup["variants"][0]["id"]: cup["id"] for cup in cups}
    with connected(medusa, page=3) as engine:
        cursor, seen = "", set()
        while ids[3] not in seen:
            page = engine.list_records("stock", None, cursor)
            cursor, seen = page.cursor, seen | {one.source_id for one in page.records}
        for gone in ids[:2]:
            medusa.delete(f"/admin/products/{owners[gone]}")
        while cursor:
            page = engine.list_records("stock", None, cursor)
            cursor, seen = page.cursor, seen | {one.source_id for one in page.records}
        assert set(ids) <= seen
        assert [engine.fetch_record(kind, ids[0]) for kind in ("products", "prices", "stock", "categories", "price_lists")] == [None] * 5


def test_a_token_that_ended_is_fetched_anew(medusa, shop):
    with connected(medusa) as engine:
        before = records(engine, "products")
        engine._admin._auth._token = "a-token-that-ended"
        assert records(engine, "products") == before


def test_an_api_key_does_in_place_of_a_password(medusa, shop):
    key = medusa.create("api-keys", title="Waybill", type="secret")["token"]
    with connected(medusa, {"api_key": key}, email="") as by_key, connected(medusa) as by_password:
        assert records(by_key, "products") == records(by_password, "products")


def test_wrong_credentials_pause_the_connection(medusa):
    with connected(medusa, {"password": "wrong"}) as engine, pytest.raises(Unauthorized, match="the login is refused"):
        engine.list_records("stock", None, "")
    with connected(medusa, {"api_key": "sk_nobody"}) as engine, pytest.raises(Unauthorized, match="HTTP 401"):
        engine.list_records("stock", None, "")


def test_more_prices_of_lists_than_may_be_held_are_refused(medusa, shop):
    with connected(medusa, list_prices=0) as engine, pytest.raises(Rejected, match="more than 0 prices"):
        engine.list_records("prices", None, "")
