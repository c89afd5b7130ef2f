"""The Vendure connector on replies that a real Vendure 3.7.1 gave; tests/real/test_vendure.py runs it against one."""

from __future__ import annotations

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

from mappings import vendure as words
from middleware.connectors import mistakes
from middleware.connectors._http import Http
from middleware.connectors.vendure import Connector
from middleware.errors import Rejected, Transient, Unauthorized, Unreadable
from middleware.ports import Page
from middleware.settings import Connection
from middleware.testing import secret
from middleware.wire.steady import steady

PAYLOADS = Path(__file__).parents[1] / "payloads" / "vendure"
BASE = "http://shop.example"
API = f"{BASE}/admin-api"
NOW = datetime(2026, 11, 22, 12, 0, 0, 700_000, UTC)
LOGGED_IN = {"body": (PAYLOADS / "login.json").read_bytes(), "headers": {"vendure-auth-token": "t1"}}


def payload(name: str) -> bytes:
    return (PAYLOADS / f"{name}.json").read_bytes()


def connection(credentials: dict[str, str] | None = None, **options: Any) -> Connection:
    secrets = {name: secret(value) for name, value in (credentials or {"password": "superadmin"}).items()}
    return Connection("engine", "vendure", BASE, credentials=secrets, options={"username": "superadmin", **options})


def connector(credentials: dict[str, str] | None = None, **options: Any) -> Connector:
    made = connection(credentials, **options)
    return Connector(made, Http(made))


def replaced(found: Any, data: st.DataObject) -> Any:
    keys = list(found) if isinstance(found, dict) else list(range(len(found))) if isinstance(found, list) else []
    if not keys or data.draw(st.integers(0, 3)) == 0:
        return data.draw(st.sampled_from([None, True, 1, -1, 1.5, "", "x", [], {}, [None], {"code": 1}]))
    key = data.draw(st.sampled_from(keys))
    found[key] = replaced(found[key], data)
    return found


def recorded(name: str) -> bytes:
    return json.dumps(json.loads(payload(name))["data"]["list"]["items"][0]).encode()


TERMS = {"precision": 2, "channels": [{"code": "", "tax_included": True, **json.loads(recorded("prices-1"))}]}
RECORDS = {
    "products": recorded("products"),
    "prices": json.dumps({"sku": "SHIRT-S", **TERMS}).encode(),
    "stock": recorded("stock"),
    "categories": recorded("categories"),
}


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def answers(server: responses.RequestsMock, *names: str) -> None:
    """A login, then these replies, one after the other."""
    server.post(API, **LOGGED_IN)
    for name in names:
        server.post(API, body=payload(name), content_type="application/json")


def asked(server: responses.RequestsMock) -> list[dict[str, Any]]:
    return [json.loads(call.request.body)["variables"] for call in server.calls]


def test_a_page_of_variants_is_decoded(server):
    answers(server, "products")
    engine = connector()
    page = engine.list_records("products", None, "")
    assert [record.source_id for record in page.records] == ["1", "2", "3"]
    assert page.cursor == ""
    assert engine.decode_record("products", page.records[0].raw) == {
        "sku": "SHIRT-S",
        "product": "1",
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
        "media": ["http://shop.example/assets/shirt.png"],
    }
    assert engine.decode_record("products", page.records[1].raw)["active"] is False
    login, listed = (call.request for call in server.calls)
    assert json.loads(login.body)["variables"] == {"username": "superadmin", "password": "superadmin"}
    assert listed.headers["Authorization"] == "Bearer t1"
    assert asked(server)[1] == {"options": {"skip": 0, "take": 100, "sort": {"id": "ASC"}, "filter": {}}}


def test_prices_of_further_channels_stand_beside_the_own_ones(server):
    answers(server, "prices-1", "prices-2")
    engine = connector(price_channels=["trade-token"])
    shirt, *_, mug = engine.list_records("prices", None, "").records
    rest = {"group": "", "min_quantity": Decimal(1), "valid_from": None, "valid_to": None}
    assert engine.decode_record("prices", shirt.raw) == {
        "sku": "SHIRT-S",
        "prices": [
            {"list": "", "currency": "CHF", "amount": Decimal("21.50"), "tax_included": True, **rest},
            {"list": "", "currency": "EUR", "amount": Decimal("19.90"), "tax_included": True, **rest},
            {"list": "trade", "currency": "EUR", "amount": Decimal("9.95"), "tax_included": False, **rest},
        ],
    }
    assert [one["list"] for one in engine.decode_record("prices", mug.raw)["prices"]] == [""]
    assert asked(server)[2]["options"]["filter"] == {"id": {"in": ["1", "2", "3"]}}
    assert [call.request.headers.get("vendure-token") for call in server.calls] == [None, None, "trade-token"]


def test_the_precision_of_amounts_is_the_servers(server):
    answers(server)
    server.post(API, body=payload("prices-1").replace(b'"moneyStrategyPrecision": 2', b'"moneyStrategyPrecision": 3'))
    engine = connector()
    shirt, *_ = engine.list_records("prices", None, "").records
    assert [one["amount"] for one in engine.decode_record("prices", shirt.raw)["prices"]] == [Decimal("2.150"), Decimal("1.990")]


def test_stock_is_what_no_order_has_taken(server):
    answers(server, "stock")
    engine = connector()
    shirt, *_ = engine.list_records("stock", None, "").records
    raw = json.loads(shirt.raw)
    raw["stockLevels"][0]["stockAllocated"] = 4
    assert engine.decode_record("stock", json.dumps(raw | {"trackInventory": "FALSE"}).encode()) == {
        "sku": "SHIRT-S",
        "on_hand": 13,
        "available": 9,
        "locations": {"1": {"on_hand": 10, "available": 6}, "2": {"on_hand": 3, "available": 3}},
        "tracked": False,
    }


def test_collections_are_categories(server):
    answers(server, "categories")
    engine = connector()
    (record,) = engine.list_records("categories", None, "").records
    found = engine.decode_record("categories", record.raw)
    assert (found["code"], found["parent"], sorted(found["translations"])) == ("clothes", "", ["de", "en"])


def test_what_the_database_gave_in_another_order_is_the_same_record():
    one = {"prices": [{"currencyCode": "EUR"}, {"currencyCode": "CHF"}], "product": {"collections": [{"slug": "b"}, {"slug": "a"}]}}
    other = {"product": {"collections": one["product"]["collections"][::-1]}, "prices": one["prices"][::-1]}
    assert steady(one, words.ORDERS) == steady(other, words.ORDERS)
    assert steady({"prices": [{"currencyCode": "EUR"}, None], "assets": [2, 1]}, words.ORDERS) == {
        "prices": [{"currencyCode": "EUR"}, None],
        "assets": [2, 1],
    }


def test_a_delta_begins_a_whole_second_and_the_lookback_earlier(server):
    answers(server, "none", "none")
    page = connector(lookback=7200).list_records("products", NOW, "")
    assert page == Page((), '{"stage":1}')
    assert asked(server)[1]["options"]["filter"] == {"updatedAt": {"after": "2026-11-22T09:59:59Z"}}


def test_a_delta_goes_on_with_the_products_that_changed(server):
    answers(server)
    server.post(API, json={"data": {"list": {"totalItems": 1, "items": [{"id": "7"}]}}})
    server.post(API, body=payload("products"))
    page = connector().list_records("products", NOW, '{"stage":1}')
    assert ([record.source_id for record in page.records], page.cursor) == (["1", "2", "3"], "")
    assert asked(server)[2]["options"]["filter"] == {"productId": {"in": ["7"]}}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("stock", {}),
        ("categories", {}),
        ("products", {"channel": "trade-token"}),
        ("prices", {"channel": "trade-token"}),
        ("prices", {"price_channels": ["trade-token"]}),
    ],
)
def test_what_changes_without_a_new_time_has_no_delta(server, kind, options):
    answers(server)
    server.post(API, json={"data": {"list": {"totalItems": 0, "items": []}}})
    assert connector(**options).list_records(kind, NOW, "") == Page(())
    assert asked(server)[1]["options"]["filter"] == {}


def test_a_session_that_is_refused_is_begun_anew_once(server):
    answers(server, "forbidden")
    server.post(API, **LOGGED_IN)
    server.post(API, body=payload("stock"))
    engine = connector()
    assert len(engine.list_records("stock", None, "").records) == 3
    server.post(API, body=payload("forbidden"))
    with pytest.raises(Unauthorized, match="FORBIDDEN: You are not currently authorized"):
        connector({"api_key": "k"}).list_records("stock", None, "")
    assert server.calls[-1].request.headers["vendure-api-key"] == "k"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"body": payload("wrong-password")}, "the login is refused: INVALID_CREDENTIALS_ERROR"),
        ({"body": payload("login")}, "tokenMethod must contain 'bearer'"),
        ({"json": {"data": {"login": None}}}, "an error without a code"),
    ],
)
def test_no_session_is_a_matter_of_the_credentials(server, reply, reason):
    server.post(API, **reply)
    with pytest.raises(Unauthorized, match=reason):
        connector().list_records("stock", None, "")
    assert len(server.calls) == 1


def test_a_connection_without_credentials_asks_for_nothing(server):
    made = Connection("engine", "vendure", BASE)
    with pytest.raises(Unauthorized, match="neither an API key nor"):
        Connector(made, Http(made)).list_records("stock", None, "")
    assert len(server.calls) == 0


@pytest.mark.parametrize(
    ("reply", "error", "reason"),
    [
        ({"body": payload("limit")}, Rejected, "USER_INPUT_ERROR: Cannot take more than 100 results"),
        ({"body": payload("channel")}, Rejected, "CHANNEL_NOT_FOUND"),
        ({"body": payload("invalid"), "status": 400}, Rejected, 'HTTP 400: Cannot query field "nonsense"'),
        ({"json": {"errors": [{"message": "m", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}], "data": None}}, Transient, "m"),
        ({"json": {"errors": [None]}}, Transient, "without a code"),
        ({"json": {"data": None}}, Transient, "no data"),
        ({"json": []}, Transient, "not GraphQL's"),
        ({"body": "<html>"}, Transient, "not GraphQL's"),
        ({"body": "x", "status": 502}, Transient, "HTTP 502"),
        ({"json": {"data": {"list": {"items": []}}}}, Rejected, "no list"),
        ({"json": {"data": {"list": {"items": [{"sku": "x"}], "totalItems": 1}}}}, Rejected, "without an id"),
    ],
)
def test_an_answer_with_errors_is_one_of_ours(server, reply, error, reason):
    answers(server)
    server.post(API, **reply)
    with pytest.raises(error, match=reason):
        connector().list_records("stock", None, "")


def test_a_record_is_asked_for_by_its_id(server):
    answers(server, "none", "stock")
    engine = connector()
    assert engine.fetch_record("stock", "4711") is None
    assert asked(server)[1]["options"]["filter"] == {"id": {"eq": "4711"}}
    with pytest.raises(Transient, match="another record"):
        engine.fetch_record("stock", "1")


@pytest.mark.parametrize("reference", ["http://elsewhere.example/x.png", "http://u@shop.example/x", "//x/y.png", "x.png", "http://[", ""])
def test_a_file_elsewhere_is_not_fetched(server, reference):
    with pytest.raises(Rejected):
        connector().fetch_media(reference)
    assert len(server.calls) == 0


def test_a_file_of_the_source_is_fetched_without_credentials(server):
    server.get(f"{BASE}/assets/a%20b.png", body=b"png", content_type="image/png")
    blob = connector().fetch_media(f"{BASE}/assets/a%20b.png")
    assert (blob.name, blob.content, blob.media_type) == ("a b.png", b"png", "image/png")
    assert "Authorization" not in server.calls[0].request.headers


@pytest.mark.parametrize("kind", ["products", "prices", "stock", "categories"])
@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"null", b"\xff", b'{"sku": "ada@example.test", "channels": [1]}', b"[" * 2000])
def test_what_cannot_be_read_is_said_without_a_value(kind, raw):
    with pytest.raises(Unreadable) as error:
        connector().decode_record(kind, raw)
    assert "ada@" not in str(error.value)


def test_unknown_kinds_and_cursors_are_refused():
    for kind, since, cursor in (
        ("orders", None, ""),
        ("stock", None, "{"),
        ("stock", NOW, '{"stage":1}'),
        ("products", NOW, '{"stage":2}'),
    ):
        with pytest.raises(Rejected):
            connector().list_records(kind, since, cursor)
    with pytest.raises(Unreadable):
        connector().decode_record("orders", b"{}")


def test_options_that_cannot_be_are_mistakes():
    wrong = {"page": 1, "lookback": -1, "path": "admin", "price_channels": [1]}
    found = [mistakes({"engine": connection(**{name: value})}) for name, value in wrong.items()]
    assert found == [
        ["connections.engine.options.page must be 2 to 1000"],
        ["connections.engine.options.lookback must not be negative"],
        ["connections.engine.options.path must begin with /"],
        ["connections.engine.options.price_channels must be tokens"],
    ]


@pytest.mark.parametrize("kind", ["products", "prices", "stock", "categories"])
@given(data=st.data())
def test_a_record_of_any_shape_is_decoded_or_named(kind, data):
    """Every recorded record with one part of it replaced by something else."""
    changed = replaced(json.loads(RECORDS[kind]), data)
    with suppress(Unreadable):
        assert isinstance(connector().decode_record(kind, json.dumps(changed).encode()), dict)


@pytest.mark.parametrize(("kind", "names"), [("prices", ("prices-1", "prices-2")), ("stock", ("stock",)), ("products", ("products",))])
@given(data=st.data())
def test_an_answer_of_any_shape_is_read_or_refused(kind, names, data):
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.post(API, **LOGGED_IN)
        for name in names:
            server.post(API, json=replaced(json.loads(payload(name)), data))
        with suppress(Rejected, Transient, Unauthorized):
            connector(price_channels=["trade-token"]).list_records(kind, None, "")
