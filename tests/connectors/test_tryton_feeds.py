"""The feeds of the Tryton connector against answers of no real Tryton (tests/real/test_tryton_feeds.py runs that): edges and refusals."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses

from middleware.connectors._http import Http
from middleware.connectors.tryton import Connector
from middleware.errors import Rejected, Transient, Unreadable
from middleware.secret import Secret
from middleware.settings import Connection

BASE = "http://tryton.example/erp"
MODEL = f"{BASE}/rest/model"
SINCE = datetime(2026, 11, 22, 10, tzinfo=UTC)


def made(**options: object) -> Connector:
    connection = Connection("erp", "tryton", BASE, credentials={"key": Secret("test", "the-key")}, options=options)
    return Connector(connection, Http(connection))


@pytest.fixture
def erp() -> Iterator[Connector]:
    connector = made(page=2)
    yield connector
    connector.http.close()


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def answer(server: responses.RequestsMock, model: str, *records: dict[str, object]) -> None:
    """Tryton has these records of a model; fields that are not given are empty."""

    def found(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        names = parse_qs(urlsplit(str(request.url)).query)["f"]
        return 200, {}, json.dumps([{name.partition(".")[0]: None for name in names} | record for record in records])

    server.add_callback(responses.GET, f"{MODEL}/{model}", found)


def domains(server: responses.RequestsMock, model: str) -> list[object]:
    return [
        json.loads(base64.urlsafe_b64decode(parse_qs(urlsplit(call.request.url).query)["d"][0]))
        for call in server.calls
        if urlsplit(call.request.url).path.endswith(f"/{model}")
    ]


def test_an_unknown_feed_is_rejected(erp: Connector) -> None:
    for ask in (lambda: erp.list_records("orders", None, ""), lambda: erp.fetch_record("orders", "1")):
        with pytest.raises(Rejected) as raised:
            ask()
        assert raised.value.field == "kind"


@pytest.mark.parametrize("cursor", ["x", "[]", '{"last": 3}', '{"stage": "all", "last": "3"}'])
def test_a_foreign_cursor_is_rejected(erp: Connector, cursor: str) -> None:
    with pytest.raises(Rejected) as raised:
        erp.list_records("products", None, cursor)
    assert raised.value.field == "cursor"


@pytest.mark.parametrize("source_id", ["", "x", "-1", "1 or 1", "²"])
def test_an_id_that_cannot_be_trytons_is_rejected_not_denied(erp: Connector, source_id: str) -> None:
    with pytest.raises(Rejected) as raised:
        erp.fetch_record("products", source_id)
    assert raised.value.field == "source_id"


def test_only_an_empty_search_denies_an_id(erp: Connector, server: responses.RequestsMock) -> None:
    answer(server, "product.product")
    assert erp.fetch_record("products", "7") is None
    server.replace(responses.GET, f"{MODEL}/product.product", status=404)
    with pytest.raises(Rejected):
        erp.fetch_record("products", "7")
    server.replace(responses.GET, f"{MODEL}/product.product", status=500, body="<html>")
    with pytest.raises(Transient):
        erp.fetch_record("products", "7")


def test_price_lists_need_their_module(erp: Connector, server: responses.RequestsMock) -> None:
    answer(server, "ir.module")
    with pytest.raises(Rejected) as raised:
        erp.list_records("price_lists", None, "")
    assert raised.value.reason == "the module product_price_list is not active in Tryton"


def test_without_price_lists_there_is_the_list_price(erp: Connector, server: responses.RequestsMock) -> None:
    answer(server, "ir.module")
    answer(server, "company.company", {"id": 1, "currency": {"code": "EUR"}})
    answer(server, "product.product", {"id": 7, "code": "TS", "sale_price_uom": {"__class__": "Decimal", "decimal": "19.9000"}})
    page = erp.list_records("prices", SINCE, "")
    assert [json.loads(record.raw) for record in page.records] == [
        {
            "id": 7,
            "code": "TS",
            "prices": [
                {
                    "list": "",
                    "list_id": "",
                    "amount": "19.9000",
                    "currency": "EUR",
                    "min_quantity": "1",
                    "tax_included": False,
                    "valid_from": None,
                    "valid_to": None,
                }
            ],
        }
    ]
    assert page.cursor == ""


def test_a_delta_of_stock_goes_on_with_the_moves_and_then_ends(erp: Connector, server: responses.RequestsMock) -> None:
    answer(server, "product.product")
    answer(server, "stock.move")
    first = erp.list_records("stock", SINCE, "")
    assert (first.records, json.loads(first.cursor)) == ((), {"stage": "through"})
    second = erp.list_records("stock", SINCE, first.cursor)
    assert (second.records, second.cursor) == ((), "")
    at = {"__class__": "datetime", "year": 2026, "month": 11, "day": 22, "hour": 10, "minute": 0, "second": 0, "microsecond": 0}
    changed = ["OR", ["create_date", ">=", at], ["write_date", ">=", at]]
    assert domains(server, "stock.move") == [[changed, ["product", "!=", None], ["id", ">", 0]]]


def test_a_full_page_is_followed_from_its_last_id(erp: Connector, server: responses.RequestsMock) -> None:
    template = {"id": 1, "name": "T", "code": "T", "active": True, "categories": [{"id": 9}, {"id": 3}]}
    rows = [
        {"id": number, "code": f"T{number}", "active": True, "type": "goods", "template": template, "identifiers": []} for number in (4, 8)
    ]
    answer(server, "product.product", *rows)
    page = erp.list_records("products", None, "")
    assert json.loads(page.cursor) == {"stage": "all", "last": 8}
    erp.list_records("products", None, page.cursor)
    assert domains(server, "product.product")[1] == [["salable", "=", True], ["code", "!=", None], ["id", ">", 8]]
    assert erp.decode_record("products", page.records[0].raw)["categories"] == ["3", "9"]


@pytest.mark.parametrize(
    ("warehouses", "found", "reason"),
    [
        (["W3"], [{"id": 1, "code": "WH"}], "no warehouse in Tryton has the code 'W3'"),
        ([], [{"id": 1, "code": "WH"}, {"id": 2, "code": "WH"}], "several warehouses in Tryton have the same code"),
    ],
)
def test_warehouses_that_cannot_be_told_are_rejected(
    server: responses.RequestsMock, warehouses: list[str], found: list[dict[str, object]], reason: str
) -> None:
    answer(server, "product.product", {"id": 7, "code": "TS"})
    answer(server, "stock.location", *found)
    with pytest.raises(Rejected) as raised:
        made(warehouses=warehouses).list_records("stock", None, "")
    assert (raised.value.reason, raised.value.field) == (reason, "warehouses")


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"message": "x"}', b"[1]", b'[{"id": "x"}]', b"[{}]", b"null"])
@pytest.mark.parametrize("kind", ["products", "prices", "stock", "categories"])
def test_a_page_that_is_none_is_rejected(erp: Connector, server: responses.RequestsMock, kind: str, body: bytes) -> None:
    answer(server, "ir.module")
    answer(server, "company.company", {"id": 1, "currency": {"code": "EUR"}})
    answer(server, "stock.location")
    server.get(f"{MODEL}/product.product", body=body)
    server.get(f"{MODEL}/product.category", body=body)
    with pytest.raises(Rejected):
        erp.list_records(kind, None, "")


@pytest.mark.parametrize("kind", ["products", "prices", "stock", "categories", "price_lists"])
@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{}", b"\xff", b'{"id": 1, "code": ["ada@example.test"]}'])
def test_a_record_that_is_none_is_unreadable(erp: Connector, kind: str, raw: bytes) -> None:
    with pytest.raises(Unreadable) as raised:
        erp.decode_record(kind, raw)
    assert "@" not in str(raised.value)


@pytest.mark.parametrize(("options", "key"), [({"available": "all"}, "options.available"), ({"page": 0}, "options.page")])
def test_impossible_options_are_named(options: dict[str, object], key: str) -> None:
    with pytest.raises(ValueError, match=key):
        made(**options)
