"""The Tryton connector against bodies that were recorded from a real Tryton 8.2.1 (tests/real/test_tryton.py runs that)."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import requests
import responses

from mappings import tryton as words
from mappings.canonical import (
    Address,
    Adjustment,
    FulfilmentChange,
    FulfilmentState,
    Money,
    Order,
    OrderLine,
    OrderState,
    Shipment,
    UnitPrice,
)
from middleware.connectors._http import Http, Reply
from middleware.connectors.tryton import Connector
from middleware.errors import Rejected, UnknownOutcome, Unreadable
from middleware.ports import Effect, Receipt
from middleware.secret import Secret
from middleware.settings import Connection
from middleware.wire.tryton import explain

PAYLOADS = Path(__file__).parent.parent / "payloads" / "tryton"
BASE = "http://tryton.example/erp"
MODEL = f"{BASE}/rest/model"
ADA = Address("Ada", "Example", "", "Main St 1", "Backyard", "10115", "Berlin", "", "DE")
ORDER = Order(
    order_id="6f1c7a52-0d3e-4a53-9f6e-0b8f3c1d2e4f",
    internal_id="7",
    number="1001",
    version=1,
    state=OrderState.PLACED,
    store_ref="1",
    total=Money(4320, "EUR"),
    changed_at=datetime(2026, 11, 22, tzinfo=UTC),
    mail="Ada@Example.com ",
    lines=(
        OrderLine(
            "l1",
            "MUG-1",
            "Mug",
            Decimal(2),
            UnitPrice(Decimal("9.95"), "EUR"),
            Money(1990, "EUR"),
            (Adjustment("promotion", "Mug week", Money(-150, "EUR")), Adjustment("tax", "VAT", Money(318, "EUR"), included=True)),
        ),
        OrderLine("l2", "SHIRT-RED-M", "Shirt", Decimal(1), UnitPrice(Decimal("19.90"), "EUR"), Money(1990, "EUR")),
    ),
    adjustments=(Adjustment("shipping", "Parcel", Money(490, "EUR")),),
    billing=ADA,
    shipping=ADA,
)


def recorded(name):
    return (PAYLOADS / name).read_bytes()


def record(name):
    return json.loads(recorded(name))


def effect(order=ORDER, attempt=1):
    return Effect("k", "create_order", order.order_id, {"order": msgspec.to_builtins(order)}, attempt)


@pytest.fixture
def erp():
    connection = Connection("erp", "tryton", BASE, credentials={"key": Secret("test", "the-key")}, options={"payment_term": 10})
    http = Http(connection)
    yield Connector(connection, http)
    http.close()


@pytest.fixture
def server():
    """Tryton as it answers while an order is new; each test replaces what it is about."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for model, name in {
            "product.product": "products.found.json",
            "currency.currency": "currency.found.json",
            "country.country": "country.found.json",
            "party.party": "party.none.json",
        }.items():
            mock.get(f"{MODEL}/{model}", body=recorded(name))
        mock.post(f"{MODEL}/party.party", body=recorded("party.created.json"))
        mock.post(f"{MODEL}/party.address", body=recorded("address.created.json"))
        mock.post(f"{MODEL}/sale.sale", body=recorded("sale.draft.json"))
        mock.post(f"{MODEL}/sale.sale/1/quote", body=recorded("sale.quotation.json"))
        mock.post(f"{MODEL}/sale.sale/1/confirm", body=recorded("sale.confirmed.json"))
        mock.get(f"{MODEL}/sale.sale", body=b"[]")
        yield mock


def calls(server):
    return [(call.request.method, urlsplit(call.request.url).path.removeprefix("/erp/rest/model/")) for call in server.calls]


def sent(server, path):
    (call,) = [call for call in server.calls if call.request.method == "POST" and urlsplit(call.request.url).path.endswith(path)]
    return json.loads(call.request.body)


def asked(call, name):
    return json.loads(base64.urlsafe_b64decode(parse_qs(urlsplit(call.request.url).query)[name][0]))


def test_a_new_order_is_created_quoted_and_confirmed(erp, server):
    assert erp.create_order(effect()) == Receipt("1", "1", "confirmed", {"total": "43.20", "currency": "EUR"})
    assert calls(server) == [
        ("GET", "product.product"),
        ("GET", "country.country"),
        ("GET", "currency.currency"),
        ("GET", "party.party"),
        ("POST", "party.party"),
        ("POST", "sale.sale"),
        ("POST", "sale.sale/1/quote"),
        ("POST", "sale.sale/1/confirm"),
    ]
    party = sent(server, "/party.party")
    address = {"party_name": "Ada Example", "street": "Main St 1\nBackyard", "postal_code": "10115", "city": "Berlin", "country": 1}
    assert party == {
        "name": "Ada Example",
        "code": words.party_code(ORDER, "WEB-"),
        "addresses": [["create", [address]]],
        "contact_mechanisms": [["create", [{"type": "email", "value": "Ada@Example.com"}]]],
    }
    created, products = record("party.created.json"), {row["code"]: row["id"] for row in record("products.found.json")}
    assert sent(server, "/sale.sale") == {
        "web_shop": 1,
        "web_id": ORDER.order_id,
        "reference": "1001",
        "party": created["id"],
        "invoice_address": created["addresses"][0]["id"],
        "shipment_address": created["addresses"][0]["id"],
        "currency": 1,
        "payment_term": 10,
        "invoice_method": "order",
        "shipment_method": "order",
        "lines": [
            [
                "create",
                [
                    {"type": "line", "product": products["MUG-1"], "unit": 1, "quantity": 2.0, "unit_price": amount("9.9500")},
                    {"type": "line", "product": products["SHIRT-RED-M"], "unit": 1, "quantity": 1.0, "unit_price": amount("19.9000")},
                    {"type": "line", "quantity": 1, "description": "Mug week", "unit_price": amount("-1.50")},
                    {"type": "line", "quantity": 1, "description": "Parcel", "unit_price": amount("4.90")},
                ],
            ]
        ],
    }


def amount(text):
    return {"__class__": "Decimal", "decimal": text}


def test_every_request_names_the_company_and_the_language_and_carries_the_key(erp, server):
    erp.create_order(effect())
    for call in server.calls:
        assert call.request.headers["Authorization"] == "Bearer the-key"
        assert json.loads(base64.urlsafe_b64decode(call.request.headers["X-Tryton-Context"])) == {"company": 1}
        assert call.request.headers["Accept-Language"] == "en"
        assert call.request.headers["Accept-Encoding"] == "gzip"


def test_a_known_customer_and_address_are_taken(erp, server):
    server.replace("GET", f"{MODEL}/party.party", body=recorded("party.found.json"))
    erp.create_order(effect())
    assert not {("POST", "party.party"), ("POST", "party.address")} & set(calls(server))


def test_a_known_customer_gets_a_new_address(erp, server):
    server.replace("GET", f"{MODEL}/party.party", body=recorded("party.found.json"))
    erp.create_order(effect(replace(ORDER, shipping=replace(ADA, line1="Side St 2"))))
    assert sent(server, "/sale.sale")["shipment_address"] == record("address.created.json")["id"]
    assert sent(server, "/party.address")["street"] == "Side St 2\nBackyard"


def test_a_customer_whom_another_call_made_meanwhile_is_taken(erp, server):
    server.replace("POST", f"{MODEL}/party.party", status=400, json={"status": 400, "message": "The code on party must be unique."})
    server.get(f"{MODEL}/party.party", body=recorded("party.found.json"))
    erp.create_order(effect())
    assert sent(server, "/sale.sale")["party"] == record("party.found.json")[0]["id"]


def test_a_refused_web_id_goes_on_with_the_sale_that_is_there(erp, server):
    server.replace("POST", f"{MODEL}/sale.sale", status=400, body=recorded("sale.refused-web-id.json"))
    server.replace("GET", f"{MODEL}/sale.sale", body=recorded("sale.found-processing.json"))
    assert erp.create_order(effect()).state == "processing"
    assert calls(server)[-1] == ("GET", "sale.sale")
    assert asked(server.calls[-1], "d") == [["web_shop", "=", 1], ["web_id", "=", ORDER.order_id]]


def test_a_repetition_looks_first(erp, server):
    server.replace("GET", f"{MODEL}/sale.sale", json=[record("sale.quotation.json")])
    erp.create_order(effect(attempt=2))
    assert calls(server) == [("GET", "sale.sale"), ("POST", "sale.sale/1/confirm")]


def test_a_button_that_was_pressed_meanwhile_is_no_failure(erp, server):
    server.replace("POST", f"{MODEL}/sale.sale/1/quote", status=400, body=recorded("sale.refused-button.json"))
    server.get(f"{MODEL}/sale.sale/1", body=recorded("sale.quotation.json"))
    assert erp.create_order(effect()).state == "confirmed"


def test_a_button_that_tryton_refuses_is_rejected(erp, server):
    server.replace("POST", f"{MODEL}/sale.sale/1/quote", status=400, body=recorded("sale.refused-digits.json"))
    server.get(f"{MODEL}/sale.sale/1", body=recorded("sale.draft.json"))
    with pytest.raises(Rejected) as raised:
        erp.create_order(effect())
    assert raised.value.field == "Quantity"


@pytest.mark.parametrize("step", ["/sale.sale", "/sale.sale/1/quote", "/sale.sale/1/confirm"])
def test_a_reply_that_is_lost_leaves_the_outcome_unknown(erp, server, step):
    server.replace("POST", MODEL + step, body=requests.ReadTimeout())
    with pytest.raises(UnknownOutcome):
        erp.create_order(effect())


@pytest.mark.parametrize(
    ("order", "field"),
    [
        (replace(ORDER, total=Money(4321, "EUR")), "total"),
        (replace(ORDER, lines=(replace(ORDER.lines[0], sku="NO-SUCH"),)), "lines[0].sku"),
    ],
)
def test_an_order_that_tryton_cannot_hold_is_not_confirmed(erp, server, order, field):
    skus = {line.sku for line in order.lines}
    found = [product for product in record("products.found.json") if product["code"] in skus]
    server.replace("GET", f"{MODEL}/product.product", json=found)
    with pytest.raises(Rejected) as raised:
        erp.create_order(effect(order))
    assert raised.value.field == field
    assert not [path for _, path in calls(server) if path.endswith(("quote", "confirm"))]


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"sale_uom": None}, "not for sale"), ({"code": "SHIRT-RED-M"}, "several products")],
)
def test_a_product_that_is_unclear_is_rejected(erp, server, change, reason):
    products = record("products.found.json")
    server.replace("GET", f"{MODEL}/product.product", json=[products[0] | change, *products[1:]])
    with pytest.raises(Rejected, match=reason):
        erp.create_order(effect())


@pytest.mark.parametrize(("model", "field"), [("country.country", "billing.country"), ("currency.currency", "total.currency")])
def test_a_country_or_currency_that_tryton_lacks_is_rejected(erp, server, model, field):
    server.replace("GET", f"{MODEL}/{model}", body=b"[]")
    with pytest.raises(Rejected) as raised:
        erp.create_order(effect())
    assert raised.value.field == field


def test_a_call_without_an_order_is_rejected(erp):
    with pytest.raises(Rejected):
        erp.create_order(Effect("k", "create_order", "s", {}))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], None),
        (["sale.draft.json"], None),
        (["sale.quotation.json"], None),
        (["sale.confirmed.json"], Receipt("1", "1", "confirmed", {"total": "43.20", "currency": "EUR"})),
    ],
)
def test_find_order_tells_only_of_complete_sales(erp, server, found, expected):
    server.replace("GET", f"{MODEL}/sale.sale", json=[record(name) for name in found])
    assert erp.find_order(effect()) == expected


def test_changed_orders_go_on_behind_the_last_of_a_page(erp, server, monkeypatch):
    page = record("sales.changed-page.json")
    monkeypatch.setattr("middleware.connectors.tryton.PAGE", len(page))
    server.replace("GET", f"{MODEL}/sale.sale", json=page)
    server.get(f"{MODEL}/sale.sale", body=b"[]")
    since = datetime(2026, 11, 22, 1, 0, 0, 250_000, tzinfo=UTC)

    ((*_, last),) = list(erp.changed_orders(since))

    first, second = (asked(call, "d") for call in server.calls)
    assert first == [["web_shop", "=", 1], ["web_id", "!=", None], ["write_date", ">", words.instant_value(since)]]
    written, number = page[-1]["write_date"], page[-1]["id"]
    assert second[2] == ["OR", ["write_date", ">", written], [["write_date", "=", written], ["id", ">", number]]]
    assert asked(server.calls[0], "o") == [["write_date", "ASC"], ["id", "ASC"]]
    assert last.delivery_id == f"sale.sale,{number}@{last.occurred_at.isoformat()}"
    assert (last.topic, last.subject, last.occurred_at.utcoffset()) == ("sale.changed", page[-1]["web_id"], timedelta(0))
    assert erp.translate(last.topic, last.payload).remote_id == str(number)


def test_a_recorded_change_is_translated(erp):
    assert erp.translate("sale.changed", recorded("sale.changed.json")) == FulfilmentChange(
        remote_id="1",
        number="1",
        state=FulfilmentState.SHIPPED,
        occurred_at=words.Instant().deserialize(record("sale.changed.json")["write_date"]),
        order_ref=ORDER.order_id,
        total=Money(4320, "EUR"),
    )


@pytest.mark.parametrize(
    ("state", "shipment_state", "expected"),
    [
        ("draft", "none", FulfilmentState.DRAFT),
        ("quotation", "none", FulfilmentState.DRAFT),
        ("confirmed", "none", FulfilmentState.CONFIRMED),
        ("processing", "waiting", FulfilmentState.PROCESSING),
        ("processing", "exception", FulfilmentState.PROCESSING),
        ("processing", "partially shipped", FulfilmentState.PARTIALLY_SHIPPED),
        ("processing", "sent", FulfilmentState.SHIPPED),
        ("processing", "teleported", FulfilmentState.UNKNOWN),
        ("done", "sent", FulfilmentState.DONE),
        ("cancelled", "none", FulfilmentState.CANCELLED),
        ("frozen", "none", FulfilmentState.UNKNOWN),
    ],
)
def test_two_words_of_tryton_are_one_of_ours(erp, state, shipment_state, expected):
    payload = json.dumps(record("sale.changed.json") | {"state": state, "shipment_state": shipment_state}).encode()
    assert erp.translate("sale.changed", payload).state is expected


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (b"<html>", "JSON"),
        (b"[]", "schema"),
        (b"{}", "write_date"),
        (json.dumps(record("sale.changed.json") | {"write_date": "yesterday"}).encode(), "write_date"),
        (json.dumps(record("sale.changed.json") | {"total_amount": 43.2}).encode(), "total_amount"),
        (json.dumps(record("sale.changed.json") | {"total_amount": amount("43.2049")}).encode(), "total_amount"),
        (json.dumps(record("sale.changed.json") | {"total_amount": amount("NaN")}).encode(), "total_amount"),
    ],
)
def test_a_change_that_no_schema_accepts_is_unreadable(erp, payload, named):
    with pytest.raises(Unreadable, match=named):
        erp.translate("sale.changed", payload)


@pytest.mark.parametrize(
    ("body", "message", "field"),
    [
        ("sale.refused-web-id.json", "The web ID on the sale must be unique per shop.", ""),
        ("sale.refused-button.json", 'You can not call "quote" on "…" of "Sale".', ""),
        (
            "sale.refused-digits.json",
            'The number of digits in the value "…" for field "Quantity" in record "…" of "Sale Line" exceeds the limit of "(None, 0)".',
            "Quantity",
        ),
        ("missing-record.html", "", ""),
    ],
)
def test_a_refusal_is_told_without_the_values_in_it(body, message, field):
    assert explain(Reply(400, {}, recorded(body), safe=False)) == (message, field)


def test_the_code_of_a_customer_hides_the_mail_address_and_ignores_its_case():
    codes = {words.party_code(replace(ORDER, mail=mail), "WEB-") for mail in ("Ada@Example.com ", "ada@example.com")}
    assert len(codes) == 1
    assert words.party_code(replace(ORDER, mail=""), "WEB-") not in codes


def test_what_quantity_times_price_lacks_is_a_line_of_its_own():
    line = OrderLine("l", "A", "A", Decimal(3), UnitPrice(Decimal("3.333333"), "EUR"), Money(1001, "EUR"))
    ids = words.SaleIds(1, 2, 3, 3, 4)
    values = words.sale_values(replace(ORDER, lines=(line,), adjustments=()), ids, {"A": words.Product(5, 6)}, words.Product(7, 6), 4)
    assert values["lines"][0][1][1] == {
        "type": "line",
        "quantity": 1,
        "description": "Rounding",
        "unit_price": amount("0.01"),
        "product": 7,
        "unit": 6,
    }
    assert not {"payment_term", "warehouse"} & set(values)


def test_what_left_the_house_is_a_parcel(erp):
    sent = {"id": 7, "number": "7", "state": "done", "effective_date": {"__class__": "date", "year": 2026, "month": 11, "day": 24}}
    waiting = {"id": 8, "number": "8", "state": "waiting", "effective_date": None}
    payload = json.dumps(record("sale.changed.json") | {"shipments": [sent, waiting]}).encode()
    assert erp.translate("sale.changed", payload).shipments == (Shipment("7", shipped_at=datetime(2026, 11, 24, tzinfo=UTC)),)
