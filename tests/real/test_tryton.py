"""The Tryton connector against a real Tryton; what it did is read back over the other protocol, JSON-RPC."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from mappings.canonical import Address, Adjustment, FulfilmentState, Money, Order, OrderLine, OrderState, UnitPrice
from middleware.connectors._http import Http
from middleware.connectors.tryton import Connector
from middleware.errors import CallError, Rejected, UnknownOutcome
from middleware.ports import Effect
from middleware.secret import Secret
from middleware.settings import Connection

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

ADA = Address("Ada", "Example", "", "Main St 1", "Backyard", "10115", "Berlin", "", "DE")
BOB = Address("Bob", "Example", "Example Ltd", "Rue 2", "", "75001", "Paris", "", "FR")
LONG = 300.0
"""Seconds that a fault holds: longer than any test, ended by `release`."""


def euros(minor):
    return Money(minor, "EUR")


def line(sku, quantity, price, total, *adjustments):
    return OrderLine(str(uuid.uuid4()), sku, sku.title(), Decimal(quantity), UnitPrice(Decimal(price), "EUR"), euros(total), adjustments)


def order(**changes):
    """An order of 2 mugs at 9.95 with 1.50 off, 1 shirt at 19.90, tax inside, shipping 4.90: 43.20 EUR."""
    made = Order(
        order_id=str(uuid.uuid4()),
        internal_id="7",
        number=f"R-{uuid.uuid4().hex[:12]}",
        version=1,
        state=OrderState.PLACED,
        store_ref="1",
        total=euros(4320),
        changed_at=datetime(2026, 11, 22, tzinfo=UTC),
        mail="ada@example.com",
        lines=(
            line("MUG-1", "2", "9.95", 1990, Adjustment("promotion", "Mug week", euros(-150)), Adjustment("tax", "VAT", euros(318), True)),
            line("SHIRT-RED-M", "1", "19.90", 1990),
        ),
        adjustments=(Adjustment("shipping", "Parcel", euros(490)),),
        billing=ADA,
        shipping=ADA,
    )
    return replace(made, **changes)


def effect(wanted, attempt=1):
    return Effect(f"order:{wanted.order_id}", "create_order", wanted.order_id, {"order": msgspec.to_builtins(wanted)}, attempt)


@contextmanager
def connected(tryton, base_url=None, **changes) -> Iterator[Connector]:
    settings = Connection(
        "erp",
        "tryton",
        base_url or tryton.url,
        credentials={"key": Secret("test", tryton.key)},
        options={"company": tryton.company, "web_shop": tryton.web_shop, "payment_term": tryton.payment_term},
        **changes,
    )
    http = Http(settings)
    try:
        yield Connector(settings, http)
    finally:
        http.close()


@pytest.fixture
def erp(tryton):
    with connected(tryton) as connector:
        yield connector


def lines_over_rpc(tryton, sale):
    fields = ["product.code", "quantity", "unit_price", "amount", "description"]
    found = tryton.rpc("model.sale.line.search_read", [["sale", "=", sale]], 0, None, [["id", "ASC"]], fields)
    return [
        (
            (row.get("product.") or {}).get("code"),
            row["quantity"],
            Decimal(row["unit_price"]["decimal"]),
            row["amount"]["decimal"],
            row["description"] or None,
        )
        for row in found
    ]


def test_an_order_becomes_one_confirmed_sale_with_the_same_lines_and_total(tryton, erp):
    wanted = order(shipping=BOB)

    receipt = erp.create_order(effect(wanted))

    (sale,) = tryton.sales(
        wanted.number, ["number", "web_id", "state", "total_amount", "party.name", "invoice_address.city", "shipment_address.party_name"]
    )
    assert receipt.remote_id == str(sale["id"])
    assert receipt.number == sale["number"]
    assert receipt.detail == {"total": "43.20", "currency": "EUR"}
    assert (sale["web_id"], sale["state"], sale["total_amount"]["decimal"]) == (wanted.order_id, "processing", "43.20")
    assert (sale["party."]["name"], sale["invoice_address."]["city"]) == ("Ada Example", "Berlin")
    assert sale["shipment_address."]["party_name"] == "Bob Example"
    assert lines_over_rpc(tryton, sale["id"]) == [
        ("MUG-1", 2.0, Decimal("9.9500"), "19.90", None),
        ("SHIRT-RED-M", 1.0, Decimal("19.9000"), "19.90", None),
        (None, 1.0, Decimal("-1.50"), "-1.50", "Mug week"),
        (None, 1.0, Decimal("4.90"), "4.90", "Parcel"),
    ]


def test_what_quantity_times_price_lacks_becomes_a_rounding_line(tryton, erp):
    wanted = order(lines=(line("MUG-1", "3", "3.333333", 1001),), adjustments=(), total=euros(1001))
    assert erp.create_order(effect(wanted)).detail["total"] == "10.01"


def test_the_same_call_twice_is_one_sale(tryton, erp):
    wanted = order()
    first, second, third = erp.create_order(effect(wanted)), erp.create_order(effect(wanted)), erp.create_order(effect(wanted, 2))
    assert first.remote_id == second.remote_id == third.remote_id
    assert tryton.count_sales(wanted.number) == 1
    assert second.state == FulfilmentState.PROCESSING


def test_a_customer_and_an_address_are_made_once(tryton, erp):
    mail = f"{uuid.uuid4().hex}@example.com"
    for shipping in (ADA, BOB, BOB):
        erp.create_order(effect(order(mail=mail, shipping=shipping)))
    (party,) = tryton.rpc("model.party.party.search_read", [["contact_mechanisms.value", "=", mail]], 0, None, None, ["code", "addresses"])
    assert len(party["addresses"]) == 2
    assert mail not in party["code"]


STEPS = {"party": "/party.party$", "create": "/sale.sale$", "quote": "/quote$", "confirm": "/confirm$"}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("fault", ["delay_reply", "reset_after"])
def test_a_reply_lost_at_any_step_leaves_one_confirmed_sale(tryton, tryton_proxy, erp, step, fault):
    wanted = order(mail=f"{uuid.uuid4().hex}@example.com")
    arguments = [LONG] if fault == "delay_reply" else []
    getattr(tryton_proxy, fault)(*arguments, path=STEPS[step])
    with connected(tryton, tryton.proxied(tryton_proxy), timeout=5.0, deadline=5.0) as connector:
        with pytest.raises(CallError) as raised:
            connector.create_order(effect(wanted))
        tryton_proxy.release()
        assert raised.value.retryable
        assert isinstance(raised.value, UnknownOutcome) is (step != "party")

    # What follows an unknown outcome: look up, and repeat unless the sale is complete.
    receipt = erp.find_order(effect(wanted, 2)) or erp.create_order(effect(wanted, 2))
    assert tryton_proxy.done[fault] == 1
    ((state, number),) = [(sale["state"], sale["number"]) for sale in tryton.sales(wanted.number, ["state", "number"])]
    assert (state, number) == ("processing", receipt.number)


@pytest.mark.parametrize("step", ["create", "quote", "confirm"])
def test_a_request_that_arrives_after_its_repetition_changes_nothing(tryton, tryton_proxy, erp, step):
    wanted = order()
    tryton_proxy.delay_request(LONG, path=STEPS[step])
    with connected(tryton, tryton.proxied(tryton_proxy), timeout=5.0, deadline=5.0) as connector, pytest.raises(UnknownOutcome):
        connector.create_order(effect(wanted))
    assert erp.find_order(effect(wanted, 2)) is None
    receipt = erp.create_order(effect(wanted, 2))
    tryton_proxy.release()
    assert tryton_proxy.wait_idle()
    (sale,) = tryton.sales(wanted.number, ["state", "number"])
    assert (sale["state"], sale["number"]) == ("processing", receipt.number)


def test_find_order_knows_only_complete_sales(tryton, tryton_proxy, erp):
    wanted = order()
    assert erp.find_order(effect(wanted)) is None
    tryton_proxy.reset_before(path=STEPS["confirm"])
    with connected(tryton, tryton.proxied(tryton_proxy)) as connector, pytest.raises(UnknownOutcome):
        connector.create_order(effect(wanted))
    assert erp.find_order(effect(wanted)) is None
    made = erp.create_order(effect(wanted, 2))
    assert erp.find_order(effect(wanted)).remote_id == made.remote_id


def test_polling_sees_a_sale_processed_and_then_shipped(tryton, erp):
    wanted = order()
    receipt = erp.create_order(effect(wanted))
    before = [delivery for page in erp.changed_orders(None) for delivery in page if delivery.subject == wanted.order_id]
    tryton.ship(int(receipt.remote_id))
    since = before[-1].occurred_at
    after = [delivery for page in erp.changed_orders(since) for delivery in page if delivery.subject == wanted.order_id]

    changes = [erp.translate(delivery.topic, delivery.payload) for delivery in (*before, *after)]
    assert [change.state for change in changes] == [FulfilmentState.PROCESSING, FulfilmentState.SHIPPED]
    assert [(c.remote_id, c.number, c.order_ref, c.total) for c in changes] == [
        (receipt.remote_id, receipt.number, wanted.order_id, euros(4320))
    ] * 2
    assert len({before[-1].delivery_id, after[-1].delivery_id}) == 2


def test_polling_pages_without_a_gap_or_a_repetition(tryton, erp, monkeypatch):
    monkeypatch.setattr("middleware.connectors.tryton.PAGE", 2)
    for _ in range(3):
        erp.create_order(effect(order()))
    pages = list(erp.changed_orders(None))
    ids = [delivery.delivery_id for page in pages for delivery in page]
    assert len(ids) == len(set(ids)) == tryton.rpc("model.sale.sale.search_count", [["web_id", "!=", None], ["write_date", "!=", None]])
    assert {len(page) for page in pages[:-1]} == {2}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lines": (line("MUG-1", "1", "9.95", 995), line("NO-SUCH", "1", "9.95", 995))}, "lines[1].sku"),
        ({"shipping": replace(ADA, country="XX")}, "shipping.country"),
        ({"total": Money(4320, "XXX")}, "total.currency"),
        ({"total": euros(4321)}, "total"),
        ({"lines": (line("MUG-1", "1.5", "9.95", 1493),)}, "Quantity"),
    ],
)
def test_an_order_that_tryton_cannot_hold_is_rejected_with_its_field(tryton, erp, changes, field):
    wanted = order(**changes)
    with pytest.raises(Rejected) as raised:
        erp.create_order(effect(wanted))
    assert raised.value.field == field
    assert "ada@" not in raised.value.reason
    assert {sale["state"] for sale in tryton.sales(wanted.number, ["state"])} <= {"draft"}


def test_a_sale_that_was_cancelled_over_there_is_rejected(tryton, erp):
    wanted = order(total=euros(1))
    with pytest.raises(Rejected):
        erp.create_order(effect(wanted))
    (sale,) = tryton.sales(wanted.number, [])
    tryton.rpc("model.sale.sale.cancel", [sale["id"]])
    with pytest.raises(Rejected) as raised:
        erp.create_order(effect(wanted, 2))
    assert raised.value.field == "state"


def test_a_service_can_carry_the_charges(tryton):
    wanted = order()
    with connected(tryton) as connector:
        connection = replace(connector.connection, options={**connector.connection.options, "charge_product": "SERVICE-1"})
        receipt = Connector(connection, connector.http).create_order(effect(wanted))
    assert [row[0] for row in lines_over_rpc(tryton, int(receipt.remote_id))] == ["MUG-1", "SHIRT-RED-M", "SERVICE-1", "SERVICE-1"]
