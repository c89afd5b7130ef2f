"""The Medusa connector on replies that a real Medusa 2.21.2 gave; tests/real/test_medusa.py runs it against one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st

from mappings import medusa as words
from mappings import medusa_prices
from middleware.connectors import mistakes
from middleware.connectors._http import Http
from middleware.connectors.medusa import Connector
from middleware.errors import Rejected, Transient, Unauthorized, Unreadable
from middleware.ports import Page
from middleware.settings import Connection
from middleware.testing import secret

PAYLOADS = Path(__file__).parents[1] / "payloads" / "medusa"
BASE = "http://engine.example"
LOGIN = f"{BASE}/auth/user/emailpass"
VARIANTS, PRODUCTS, LISTS = f"{BASE}/admin/product-variants", f"{BASE}/admin/products", f"{BASE}/admin/price-lists"
PREFERENCES, LIST_PRICES = f"{BASE}/admin/price-preferences", f"{LISTS}/plist_1/prices"
NOW = datetime(2026, 11, 22, 12, 0, 0, 700_900, UTC)


def payload(name: str) -> bytes:
    return (PAYLOADS / f"{name}.json").read_bytes()


def connection(credentials: dict[str, str] | None = None, **options: Any) -> Connection:
    given = {name: secret(value) for name, value in (credentials or {"password": "supersecret"}).items()}
    return Connection("engine", "medusa", BASE, credentials=given, options={"email": "waybill@example.test", **options})


def connector(credentials: dict[str, str] | None = None, **options: Any) -> Connector:
    made = connection(credentials, **options)
    return Connector(made, Http(made))


def replaced(found: Any, data: st.DataObject) -> Any:
    """The same with one part of it replaced by something else."""
    keys = list(found) if isinstance(found, dict) else list(range(len(found))) if isinstance(found, list) else []
    if not keys or data.draw(st.integers(0, 3)) == 0:
        return data.draw(st.sampled_from([None, True, 1, -1, 1.5, "", "x", [], {}, [None], {"handle": 1}]))
    key = data.draw(st.sampled_from(keys))
    found[key] = replaced(found[key], data)
    return found


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post(LOGIN, json={"token": "t1"})
        yield mock


def priced(server: responses.RequestsMock, lists: bytes | None = None) -> None:
    server.get(PREFERENCES, body=payload("preferences"))
    server.get(LISTS, body=lists or payload("ruled-lists"))
    server.get(LIST_PRICES, body=payload("list-prices"))
    server.get(VARIANTS, body=payload("prices"))


def paths(server: responses.RequestsMock) -> list[str]:
    return [call.request.path_url.partition("?")[0] for call in server.calls]


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


def test_a_page_of_variants_is_decoded(server):
    server.get(VARIANTS, body=payload("products"))
    engine = connector()
    page = engine.list_records("products", None, "")
    assert ([record.source_id for record in page.records], page.cursor) == (["variant_1", "variant_2"], "")
    assert engine.decode_record("products", page.records[0].raw) == {
        "sku": "SHIRT-S",
        "product": "prod_1",
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
    login, listed = (call.request for call in server.calls)
    assert json.loads(login.body) == {"email": "waybill@example.test", "password": "supersecret"}
    assert listed.headers["Authorization"] == "Bearer t1"
    asked = {name: value for name, value in listed.params.items() if name != "fields"}
    assert asked == {"order": "id", "offset": "0", "limit": "100"}


def test_all_prices_of_a_variant_are_one_record(server):
    priced(server)
    engine = connector()
    small, medium = (engine.decode_record("prices", one.raw) for one in engine.list_records("prices", None, "").records)
    own = [price("17.5", min_quantity=Decimal(10)), price("18.9", rules={"region_id": "reg_1"}, tax_included=False), price("19.9")]
    window = {"valid_from": "2026-01-01T00:00:00.000Z", "valid_to": "2036-01-01T00:00:00.000Z"}
    listed = [price("15.25", list="plist_1", group=f"cusgroup_{one}", min_quantity=Decimal(5), **window) for one in (1, 2)]
    assert sorted(small["prices"], key=lambda one: (one["amount"], one["group"])) == [*listed, *own]
    assert sorted(medium["prices"], key=lambda one: one["amount"]) == own
    assert paths(server)[1:] == [
        "/admin/price-preferences",
        "/admin/price-lists",
        "/admin/price-lists/plist_1/prices",
        "/admin/product-variants",
    ]


def test_price_lists_are_read_once_for_all_pages(server):
    priced(server)
    engine = connector(page=2)
    page = engine.list_records("prices", None, "")
    assert page.cursor == '{"skip":1,"last":"variant_2"}'
    engine.list_records("prices", None, page.cursor)
    assert paths(server).count("/admin/price-lists") == 1
    connector(page=2).list_records("prices", None, page.cursor)
    assert paths(server).count("/admin/price-lists") == 2


def test_a_price_list_whose_rules_cannot_be_read_is_no_price_for_everybody(server):
    found = json.loads(payload("ruled-lists"))
    found["price_lists"][0].pop("rules")
    priced(server, json.dumps(found).encode())
    with pytest.raises(Rejected, match="a price list cannot be read") as error:
        connector().list_records("prices", None, "")
    assert error.value.field == "rules: not all of them can be read"


def test_more_prices_of_lists_than_may_be_held_are_refused(server):
    priced(server)
    with pytest.raises(Rejected, match="more than 0 prices") as error:
        connector(list_prices=0).list_records("prices", None, "")
    assert error.value.field == "options.list_prices"


def test_a_price_without_a_preference_is_net():
    own = medusa_prices.own_price({"amount": 1, "currency_code": "chf", "price_rules": [{"attribute": "region_id", "value": "r"}]})
    assert medusa_prices.is_tax_included(own, {("currency_code", "eur"): True}) is False
    assert medusa_prices.is_tax_included(own, {("currency_code", "chf"): True}) is True
    assert medusa_prices.is_tax_included(own, {("currency_code", "chf"): True, ("region_id", "r"): False}) is False


def test_stock_is_what_is_not_reserved(server):
    server.get(VARIANTS, body=payload("stock"))
    engine = connector()
    small, medium = engine.list_records("stock", None, "").records
    assert engine.decode_record("stock", small.raw) == {
        "sku": "SHIRT-S",
        "on_hand": 13,
        "available": 9,
        "locations": {"sloc_1": {"on_hand": 10, "available": 6}, "sloc_2": {"on_hand": 3, "available": 3}},
        "tracked": True,
        "backorder": False,
    }
    untracked = json.loads(medium.raw) | {"manage_inventory": False}
    assert engine.decode_record("stock", json.dumps(untracked).encode()) == {
        "sku": "SHIRT-M",
        "on_hand": None,
        "available": None,
        "locations": {},
        "tracked": False,
        "backorder": False,
    }


def test_what_the_database_gave_in_another_order_is_the_same_record(server):
    stock, prices = json.loads(payload("stock")), json.loads(payload("prices"))
    for variant in stock["variants"]:
        variant["inventory_items"][0]["inventory"]["location_levels"].reverse()
    for variant in prices["variants"]:
        variant["prices"].reverse()
    server.get(VARIANTS, body=payload("stock"))
    server.get(VARIANTS, json=stock)
    first, second = (connector().list_records("stock", None, "") for _ in range(2))
    assert first == second
    server.remove(responses.GET, VARIANTS)
    priced(server)
    first = connector().list_records("prices", None, "")
    server.replace(responses.GET, VARIANTS, json=prices)
    assert connector().list_records("prices", None, "") == first


def test_categories_and_price_lists_are_feeds(server):
    server.get(f"{BASE}/admin/product-categories", body=payload("categories"))
    server.get(LISTS, body=payload("price_lists"))
    engine = connector()
    (category,) = engine.list_records("categories", None, "").records
    found = engine.decode_record("categories", category.raw)
    assert (found["code"], found["parent"], found["active"]) == ("clothes", "", True)
    lists = [engine.decode_record("price_lists", one.raw) for one in engine.list_records("price_lists", None, "").records]
    assert [(one["code"], one["active"]) for one in lists] == [("plist_1", True), ("plist_2", False)]


def test_a_delta_is_the_variants_that_changed_then_those_of_products_that_did(server):
    server.get(VARIANTS, body=payload("none"))
    server.get(PRODUCTS, body=payload("changed-products"))
    engine = connector()
    assert engine.list_records("products", NOW, "") == Page((), '{"stage":1}')
    assert server.calls[-1].request.params["updated_at[$gte]"] == "2026-11-22T12:00:00.700Z"
    server.replace(responses.GET, VARIANTS, body=payload("products"))
    page = engine.list_records("products", NOW, '{"stage":1}')
    assert ([record.source_id for record in page.records], page.cursor) == (["variant_1", "variant_2"], "")
    assert server.calls[-1].request.params["id[]"] == ["variant_1", "variant_2"]


@pytest.mark.parametrize("kind", ["prices", "stock", "categories", "price_lists"])
def test_other_kinds_have_no_delta(server, kind):
    for feed in (*words.FEEDS.values(), words.PREFERENCES):
        server.get(f"{BASE}{feed.path}", json={feed.member: [], "count": 0})
    assert connector().list_records(kind, NOW, "") == Page(())
    assert not any("updated_at" in call.request.url for call in server.calls)


def test_a_token_that_is_refused_is_fetched_anew_once(server):
    server.get(VARIANTS, json={"message": "Unauthorized"}, status=401)
    server.get(VARIANTS, body=payload("stock"))
    assert len(connector().list_records("stock", None, "").records) == 2
    server.replace(responses.GET, VARIANTS, json={"message": "Unauthorized"}, status=401)
    before = len(server.calls)
    with pytest.raises(Unauthorized, match="HTTP 401"):
        connector().list_records("stock", None, "")
    assert [call.request.method for call in server.calls][before:] == ["POST", "GET", "POST", "GET"]


def test_an_api_key_is_a_user_without_a_password(server):
    server.get(VARIANTS, json={"message": "Unauthorized"}, status=401)
    with pytest.raises(Unauthorized):
        connector({"api_key": "sk_1"}).list_records("stock", None, "")
    (call,) = server.calls
    assert call.request.headers["Authorization"] == "Basic " + base64.b64encode(b"sk_1:").decode()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"json": {"type": "unauthorized", "message": "Invalid email or password"}, "status": 401}, "the login is refused"),
        ({"json": {}}, "gives no token"),
        ({"json": {"token": None}}, "gives no token"),
        ({"body": "<html>"}, "gives no token"),
    ],
)
def test_no_token_is_a_matter_of_the_credentials(server, reply, reason):
    server.replace(responses.POST, LOGIN, **reply)
    with pytest.raises(Unauthorized, match=reason):
        connector().list_records("stock", None, "")
    assert len(server.calls) == 1


def test_a_connection_without_credentials_asks_for_nothing(server):
    made = Connection("engine", "medusa", BASE)
    with pytest.raises(Unauthorized, match="neither an API key nor"):
        Connector(made, Http(made)).list_records("stock", None, "")
    assert len(server.calls) == 0


@pytest.mark.parametrize(
    ("reply", "error", "reason"),
    [
        ({"json": {"type": "invalid_data", "message": "Invalid request: limit"}, "status": 400}, Rejected, "HTTP 400: Invalid request"),
        ({"body": "<html>Cannot GET</html>", "status": 404}, Rejected, "HTTP 404"),
        ({"json": {"type": "unknown_error", "message": "An unknown error occurred."}, "status": 500}, Transient, "HTTP 500"),
        ({"body": "<html>"}, Rejected, "no list"),
        ({"json": []}, Rejected, "no list"),
        ({"json": {"variants": [1], "count": 1}}, Rejected, "no list"),
        ({"json": {"variants": []}}, Rejected, "no list"),
        ({"json": {"variants": [{"sku": "x"}], "count": 1}}, Rejected, "without an id"),
        ({"json": {"variants": [], "count": 7}}, Transient, "its count"),
    ],
)
def test_an_answer_that_is_no_list_is_one_of_our_errors(server, reply, error, reason):
    server.get(VARIANTS, **reply)
    with pytest.raises(error, match=reason):
        connector().list_records("stock", None, "")


def test_a_record_is_asked_for_by_its_id(server):
    server.get(VARIANTS, body=payload("none"))
    engine = connector()
    assert engine.fetch_record("stock", "nope") is None
    assert server.calls[-1].request.params["id"] == "nope"
    server.replace(responses.GET, VARIANTS, body=payload("stock"))
    with pytest.raises(Transient, match="another record"):
        engine.fetch_record("stock", "variant_1")


def test_an_image_of_another_host_is_not_fetched(server):
    server.get(f"{BASE}/static/shirt.png", body=b"png", content_type="image/png")
    assert connector().fetch_media(f"{BASE}/static/shirt.png").content == b"png"
    with pytest.raises(Rejected, match="elsewhere"):
        connector().fetch_media("https://files.example/shirt.png")


@pytest.mark.parametrize("kind", ["products", "prices", "stock", "categories", "price_lists"])
@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"null", b"\xff", b'{"sku": "ada@example.test", "prices": [1]}', b"[" * 2000])
def test_what_cannot_be_read_is_said_without_a_value(kind, raw):
    with pytest.raises(Unreadable) as error:
        connector().decode_record(kind, raw)
    assert "ada@" not in str(error.value)


def test_unknown_kinds_and_cursors_are_refused():
    for kind, since, cursor in (
        ("orders", None, ""),
        ("stock", NOW, '{"stage":1}'),
        ("products", NOW, '{"stage":2}'),
        ("stock", None, "{"),
    ):
        with pytest.raises(Rejected):
            connector().list_records(kind, since, cursor)
    with pytest.raises(Unreadable):
        connector().decode_record("orders", b"{}")


def test_options_that_cannot_be_are_mistakes():
    assert mistakes({"engine": connection(page=1)}) == ["connections.engine.options.page must be 2 to 1000"]


@pytest.mark.parametrize("kind", ["products", "stock", "categories", "price_lists"])
@given(data=st.data())
def test_a_record_of_any_shape_is_decoded_or_named(kind, data):
    (items,) = (value for value in json.loads(payload(kind)).values() if isinstance(value, list))
    with suppress(Unreadable):
        assert isinstance(connector().decode_record(kind, json.dumps(replaced(items[0], data)).encode()), dict)


@given(data=st.data())
def test_prices_of_any_shape_are_read_or_refused(data):
    names = data.draw(st.permutations(["prices", "ruled-lists", "list-prices", "preferences"]))
    given = {name: json.loads(payload(name)) for name in names}
    given[names[0]] = replaced(given[names[0]], data)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.post(LOGIN, json={"token": "t1"})
        for address, name in ((PREFERENCES, "preferences"), (LISTS, "ruled-lists"), (LIST_PRICES, "list-prices"), (VARIANTS, "prices")):
            server.get(address, json=given[name])
        engine = connector()
        with suppress(Rejected, Transient, Unreadable):
            for record in engine.list_records("prices", None, "").records:
                assert isinstance(engine.decode_record("prices", record.raw), dict)


@given(data=st.data())
def test_a_delta_of_any_shape_is_read_or_refused(data):
    products, variants = json.loads(payload("changed-products")), json.loads(payload("products"))
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.post(LOGIN, json={"token": "t1"})
        server.get(PRODUCTS, json=replaced(products, data))
        server.get(VARIANTS, json=replaced(variants, data))
        with suppress(Rejected, Transient):
            connector().list_records("products", NOW, '{"stage":1}')
