"""The order events of the simulated shop: their format, their order, their signatures."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import standardwebhooks

from middleware.simulators.deliveries import DeliveryReport, Mischief
from middleware.simulators.drupal import Charge, DrupalSimulator, Line, Paid

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/contracts/events/order.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
NOW = 1_795_314_080.9


@pytest.fixture
def shop():
    simulator = DrupalSimulator(clock=lambda: NOW)
    simulator.add_product("MUG", "Mug", "19.99", stock=5)
    return simulator


def kinds(shop):
    return [(event["type"], event["data"]["order"]["version"]) for event in shop.events]


def test_a_placed_order_is_told_whole(shop):
    tax = Charge("tax", "VAT", "3.19", included=True)
    shipping = {"given_name": "Grace", "family_name": "Hopper", "country_code": "DE"}
    placed = shop.place_order(
        [Line("MUG", "2", adjustments=(tax,)), Line("GIFT", "1", "0.015", "Gift wrap")],
        adjustments=[Charge("shipping", "Parcel", "4.90"), Charge("promotion", "Ten off", "-10")],
        payments=[Paid("stripe", "pi_1", "authorization")],
        shipping_address=shipping,
        language="de",
    )
    order = shop.events[0]["data"]["order"]
    payment = shop.site.entities.get(placed.payments[0])
    items = shop.site.entities.get(placed.uuid).targets("order_items")

    def usd(number):
        return {"number": number, "currency_code": "USD"}

    def address(**parts):
        names = ("given_name", "family_name", "organization", "address_line1", "address_line2")
        return {"address": {**dict.fromkeys((*names, "postal_code", "locality", "administrative_area", "country_code"), ""), **parts}}

    assert (len(shop.events), shop.events[0]["type"], shop.events[0]["timestamp"]) == (1, "order.placed", "2026-11-22T02:21:20+00:00")
    assert order == {
        "uuid": placed.uuid,
        "internal_id": "1",
        "number": "1",
        "version": 2,
        "state": "fulfillment",
        "store": {"uuid": shop.store_uuid, "id": "1"},
        "currency": "USD",
        "mail": "ada@example.test",
        "language": "de",
        "placed": "2026-11-22T02:21:20+00:00",
        "changed": "2026-11-22T02:21:20+00:00",
        "items": [
            {
                "uuid": items[0],
                "sku": "MUG",
                "title": "Mug",
                "quantity": "2.00",
                "unit_price": usd("19.990000"),
                "total_price": usd("39.980000"),
                "adjustments": [{"type": "tax", "label": "VAT", "amount": usd("3.19"), "included": True}],
            },
            {
                "uuid": items[1],
                "sku": "GIFT",
                "title": "Gift wrap",
                "quantity": "1.00",
                "unit_price": usd("0.015000"),
                "total_price": usd("0.020000"),
                "adjustments": [],
            },
        ],
        "adjustments": [
            {"type": "shipping", "label": "Parcel", "amount": usd("4.90"), "included": False},
            {"type": "promotion", "label": "Ten off", "amount": usd("-10"), "included": False},
        ],
        "total_price": usd("34.900000"),
        "billing_profile": address(
            given_name="Ada",
            family_name="Byron",
            address_line1="12 Elm St",
            postal_code="62701",
            locality="Springfield",
            administrative_area="IL",
            country_code="US",
        ),
        "shipping_profile": address(**shipping),
        "payments": [
            {
                "uuid": payment.uuid,
                "gateway": "stripe",
                "remote_id": "pi_1",
                "state": "authorization",
                "amount": usd("34.900000"),
                "refunded_amount": usd("0.000000"),
            }
        ],
    }


def test_each_step_of_an_orders_life_is_one_event_with_a_higher_version(shop):
    placed = shop.place_order([Line("MUG")], payments=[Paid("stripe", "pi_1")])
    shop.set_payment(placed.payments[0], state="completed")
    shop.set_payment(placed.payments[0], state="partially_refunded", refunded_amount="5.00")
    shop.set_order_state(placed.uuid, "completed")
    assert kinds(shop) == [("order.placed", 2), ("order.paid", 3), ("order.updated", 4), ("order.fulfilled", 5)]
    assert shop.order(placed.uuid).total == "19.990000"


def test_a_cancelled_order_is_told_and_cannot_be_completed(shop):
    placed = shop.place_order([Line("MUG")])
    shop.set_order_state(placed.uuid, "canceled")
    assert kinds(shop) == [("order.placed", 2), ("order.cancelled", 3)]
    with pytest.raises(ValueError, match="no transition leads from canceled to completed"):
        shop.set_order_state(placed.uuid, "completed")


def test_a_draft_is_told_only_once_it_is_placed(shop):
    draft = shop.place_order([Line("MUG")], placed=False)
    assert (draft.number, draft.state, shop.events) == (None, "draft", [])
    shop.set_order_state(draft.uuid, "fulfillment")
    assert kinds(shop) == [("order.placed", 2)]


def test_every_event_follows_the_published_schema(shop):
    paid_at_once = shop.place_order([Line("MUG")], payments=[Paid("manual", state="completed")], shipping_address={"country_code": "US"})
    waiting = shop.place_order([Line("MUG", "3")])
    shop.set_order_state(paid_at_once.uuid, "completed")
    shop.set_order_state(waiting.uuid, "canceled")
    assert [event["type"] for event in shop.events] == ["order.placed", "order.paid", "order.placed", "order.fulfilled", "order.cancelled"]
    assert [error.message for event in shop.events for error in VALIDATOR.iter_errors(event)] == []


@pytest.mark.parametrize("missing", ["uuid", "version", "items", "shipping_profile"])
def test_the_schema_refuses_an_order_without_a_part(shop, missing):
    shop.place_order([Line("MUG")])
    event = shop.events[0]
    del event["data"]["order"][missing]
    assert [error.message for error in VALIDATOR.iter_errors(event)] == [f"{missing!r} is a required property"]


def test_the_official_library_accepts_what_the_shop_sends(shop, receiver):
    webhook = standardwebhooks.Webhook(shop.secret)
    receiver.judge = lambda headers, body: 202 if webhook.verify(body, headers) else 401
    deliverer = shop.deliver_to(receiver.url, mischief=Mischief(duplicate=1), workers=1).start()
    shop.place_order([Line("MUG")])
    assert deliverer.drain(10)
    deliverer.stop()
    assert deliverer.report() == DeliveryReport(messages=1, sent=2, duplicates=1, accepted=1)
    assert [json.loads(body) for _, body in receiver.received] == shop.events * 2
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1


def test_what_the_shop_does_not_sell_cannot_be_ordered(shop):
    with pytest.raises(LookupError, match="sells no 'CUP'"):
        shop.place_order([Line("CUP")])
