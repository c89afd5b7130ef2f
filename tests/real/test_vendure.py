"""The Vendure connector against a real Vendure: every feed read back beside what its own API was told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from middleware.connectors._http import Http
from middleware.connectors.vendure import Connector
from middleware.errors import Rejected, Unauthorized
from middleware.ports import Blob, Page, Record
from middleware.settings import Connection
from middleware.testing import secret

from .programs import eventually
from .vendure_server import CHF, EUR, PASSWORD, USER, Vendure, texts

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


@contextmanager
def connected(vendure: Vendure, credentials: dict[str, str] | None = None, **options: Any) -> Iterator[Connector]:
    given = {name: secret(value) for name, value in (credentials or {"password": PASSWORD}).items()}
    settings = Connection("engine", "vendure", vendure.url, credentials=given, options={"username": USER, **options})
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


@pytest.fixture(scope="module")
def shirt(vendure: Vendure) -> dict[str, str]:
    """A product with two variants of two sizes, in a collection and in the second channel."""
    asset = vendure.asset("shirt.png", PNG)
    product = vendure.product("Shirt", "Hemd", facetValueIds=[vendure.facet_value], assetIds=[asset["id"]], featuredAssetId=asset["id"])
    vendure.sized(product)
    small = vendure.variant(product, "SHIRT-S", 1990, optionIds=[vendure.sizes["s"]], translations=texts("Shirt S", "Hemd S"))
    medium = vendure.variant(product, "SHIRT-M", 1990, optionIds=[vendure.sizes["m"]], enabled=False)
    prices = [{"currencyCode": EUR, "price": 1990}, {"currencyCode": CHF, "price": 2150}]
    vendure.change(small, prices=prices)
    vendure.ask(
        "mutation($p:ID!,$c:ID!){assignProductsToChannel(input:{productIds:[$p],channelId:$c,priceFactor:0.5}){id}}",
        p=product,
        c=vendure.trade_id,
    )
    vendure.change(small, vendure.trade, price=995)
    arguments = [{"name": "facetValueIds", "value": f'["{vendure.facet_value}"]'}, {"name": "containsAny", "value": "false"}]
    named = [("en", "Clothes", "clothes"), ("de", "Kleider", "kleider")]
    collection = vendure.create(
        "Collection",
        filters=[{"code": "facet-value-filter", "arguments": arguments}],
        translations=[{"languageCode": code, "name": name, "slug": slug, "description": ""} for code, name, slug in named],
    )
    members = "query($i:ID!){collection(id:$i){productVariants{totalItems}}}"
    eventually(lambda: vendure.ask(members, i=collection)["productVariants"]["totalItems"] == 2, "the collection holds the shirts")
    return {"product": product, "small": small, "medium": medium, "collection": collection, "asset": asset["source"]}


def test_a_variant_is_a_product_record(vendure, shirt):
    with connected(vendure) as engine:
        assert read(engine, "products", shirt["small"]) == {
            "sku": "SHIRT-S",
            "product": shirt["product"],
            "slug": "shirt",
            "name": "Shirt S",
            "product_name": "Shirt",
            "description": "<p>Shirt</p>",
            "active": True,
            "attributes": {"brand": ["acme"], "size": "s"},
            "categories": ["clothes"],
            "translations": {
                "de": {"name": "Hemd S", "product_name": "Hemd", "description": "<p>Hemd</p>"},
                "en": {"name": "Shirt S", "product_name": "Shirt", "description": "<p>Shirt</p>"},
            },
            "media": [shirt["asset"]],
        }
        assert read(engine, "products", shirt["medium"])["active"] is False


def test_the_prices_of_every_channel_are_one_record(vendure, shirt):
    def price(code: str, currency: str, amount: str, tax_included: bool) -> dict[str, Any]:
        rest = {"group": "", "min_quantity": Decimal(1), "valid_from": None, "valid_to": None}
        return {"list": code, "currency": currency, "amount": Decimal(amount), "tax_included": tax_included, **rest}

    with connected(vendure, price_channels=[vendure.trade]) as engine:
        found = engine.decode_record("prices", records(engine, "prices")[shirt["small"]].raw)
    assert found == {
        "sku": "SHIRT-S",
        "prices": [price("", CHF, "21.50", True), price("", EUR, "19.90", True), price("trade", EUR, "9.95", False)],
    }


def test_stock_is_told_by_location(vendure, shirt):
    vendure.change(shirt["small"], stockLevels=[{"stockLocationId": vendure.locations["Basel"], "stockOnHand": 4}])
    with connected(vendure) as engine:
        assert read(engine, "stock", shirt["small"]) == {
            "sku": "SHIRT-S",
            "on_hand": 14,
            "available": 14,
            "locations": {
                vendure.locations["Berlin"]: {"on_hand": 10, "available": 10},
                vendure.locations["Basel"]: {"on_hand": 4, "available": 4},
            },
            "tracked": None,
        }


def test_a_collection_is_a_category(vendure, shirt):
    with connected(vendure) as engine:
        found = [engine.decode_record("categories", one.raw) for one in records(engine, "categories").values()]
    assert found == [
        {
            "code": "clothes",
            "parent": "",
            "name": "Clothes",
            "description": "",
            "position": 1,
            "private": False,
            "translations": {"de": {"name": "Kleider", "description": ""}, "en": {"name": "Clothes", "description": ""}},
        }
    ]


def test_the_file_of_an_asset_is_read_without_credentials(vendure, shirt):
    with connected(vendure) as engine:
        name = shirt["asset"].rpartition("/")[2]
        assert engine.fetch_media(shirt["asset"]) == Blob(name, PNG, "image/png")
        with pytest.raises(Rejected, match="elsewhere"):
            engine.fetch_media("http://127.0.0.1:1/assets/shirt.png")


def test_a_delta_has_the_variants_that_changed_and_those_of_products_that_did(vendure, shirt):
    product = vendure.product("Mug", "Tasse")
    vendure.sized(product)
    first, second = (vendure.variant(product, f"MUG-{size}", 500, optionIds=[option]) for size, option in vendure.sizes.items())
    later = datetime.now(UTC) + timedelta(seconds=3)
    with connected(vendure, page=2) as engine:
        assert records(engine, "products", later) == {}
        eventually(lambda: datetime.now(UTC) > later, "the clock goes on")
        vendure.change(second, price=600)
        assert list(records(engine, "prices", later)) == [second]
        assert list(records(engine, "products", later)) == [second]
        vendure.ask("mutation($i:UpdateProductInput!){updateProduct(input:$i){id}}", i={"id": product, "enabled": False})
        assert sorted(records(engine, "products", later)) == sorted([first, second])
        assert list(records(engine, "prices", later)) == [second]
        assert {first, second, shirt["small"]} <= set(records(engine, "stock", later))


def test_what_enters_a_channel_is_seen_there_though_it_carries_no_new_time(vendure):
    product = vendure.product("Late", "Spät")
    variant = vendure.variant(product, "LATE", 100)
    later = datetime.now(UTC) + timedelta(seconds=3)
    eventually(lambda: datetime.now(UTC) > later, "the clock goes on")
    query = "mutation($p:ID!,$c:ID!){assignProductsToChannel(input:{productIds:[$p],channelId:$c,priceFactor:1}){id}}"
    vendure.ask(query, p=product, c=vendure.trade_id)
    with connected(vendure) as default, connected(vendure, channel=vendure.trade) as trade:
        assert variant not in records(default, "products", later)
        assert variant in records(trade, "products", later)
        assert variant in records(trade, "prices", later)


def test_a_server_whose_clock_is_behind_hides_what_changed_unless_the_delta_looks_back(vendure, shirt):
    with vendure.in_zone("Etc/GMT+5") as behind:
        behind.change(shirt["medium"], price=2090)
        since = datetime.now(UTC) - timedelta(hours=1)
        with connected(behind) as untold, connected(behind, lookback=5 * 3600) as told:
            assert shirt["medium"] not in records(untold, "prices", since)
            assert shirt["medium"] in records(told, "prices", since)


def test_what_did_not_change_is_the_same_bytes(vendure, shirt):
    with connected(vendure, page=2) as engine:
        for kind in ("products", "prices", "stock", "categories"):
            assert records(engine, kind) == records(engine, kind)
            for source_id, record in records(engine, kind).items():
                assert engine.fetch_record(kind, source_id) == record


def test_a_record_that_is_deleted_between_two_pages_hides_no_other(vendure):
    cups = [vendure.variant(vendure.product(f"Cup {number}", f"Becher {number}"), f"CUP-{number}", 300) for number in range(6)]
    with connected(vendure, page=3) as engine:
        cursor, seen = "", set()
        while cups[3] not in seen:
            page = engine.list_records("stock", None, cursor)
            cursor, seen = page.cursor, seen | {one.source_id for one in page.records}
        for gone in (cups[0], cups[1]):
            vendure.ask("mutation($i:ID!){deleteProductVariant(id:$i){result}}", i=gone)
        while cursor:
            page = engine.list_records("stock", None, cursor)
            cursor, seen = page.cursor, seen | {one.source_id for one in page.records}
        assert set(cups) <= seen
        assert engine.fetch_record("stock", cups[0]) is None
        assert engine.fetch_record("categories", "4711") is None


def test_a_session_that_ended_is_begun_anew(vendure, shirt):
    with connected(vendure) as engine:
        before = records(engine, "products")
        engine._questions._auth._token = "a-session-that-ended"
        assert records(engine, "products") == before


def test_wrong_credentials_pause_the_connection(vendure):
    with connected(vendure, {"password": "wrong"}) as engine, pytest.raises(Unauthorized, match="INVALID_CREDENTIALS_ERROR"):
        engine.list_records("stock", None, "")
    with connected(vendure, {"api_key": "nobody's"}) as engine, pytest.raises(Unauthorized, match="FORBIDDEN"):
        engine.list_records("stock", None, "")


def test_an_api_key_does_in_place_of_a_password(vendure, shirt):
    roles = [one["id"] for one in vendure.ask("{roles{items{id code}}}")["items"] if one["code"] == "__super_admin_role__"]
    query = "mutation($i:CreateApiKeyInput!){createApiKey(input:$i){apiKey}}"
    key = vendure.ask(query, i={"roleIds": roles, "translations": texts("Waybill")})["apiKey"]
    with connected(vendure, {"api_key": key}, username="") as by_key, connected(vendure) as by_password:
        assert records(by_key, "products") == records(by_password, "products")


def test_what_the_server_does_not_take_is_ours_to_mend(vendure):
    with connected(vendure, page=1000) as engine, pytest.raises(Rejected, match="USER_INPUT_ERROR: Cannot take more than 100 results"):
        engine.list_records("stock", None, "")
    with connected(vendure, channel="nobody's") as engine, pytest.raises(Rejected, match="CHANNEL_NOT_FOUND"):
        engine.list_records("stock", None, "")
