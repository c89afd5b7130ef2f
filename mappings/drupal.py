"""Drupal Commerce's words: the module's order event to the canonical order.

The event's schema is docs/contracts/events/order.schema.json; states are those of commerce_order.workflows.yml
(https://git.drupalcode.org/project/commerce/-/blob/3.x/modules/order/commerce_order.workflows.yml).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import fields, validate

from mappings.canonical import (
    Address,
    Adjustment,
    Message,
    Money,
    Order,
    OrderLine,
    OrderPayment,
    OrderState,
    Ping,
    Shipment,
    ShopOrder,
    Signal,
    UnitPrice,
)
from mappings.fields import Exact, Identifier, Instant, Payload, Price

STATES = {
    "draft": OrderState.DRAFT,
    "validation": OrderState.PLACED,
    "fulfillment": OrderState.PLACED,
    "completed": OrderState.COMPLETED,
    "canceled": OrderState.CANCELLED,
}
"""An unknown word (a site's own workflow) means unknown; the connection's `states` option adds to this table."""

TOPICS = (
    "order.placed",
    "order.updated",
    "order.paid",
    "order.cancelled",
    "order.fulfilled",
    "payment.inserted",
    "payment.updated",
)
"""Each of them holds the whole order."""

SIGNALS = ("cart.created", "cart.abandoned", "checkout.step", "checkout.total", "payment.attempted")
"""What the storefront saw: docs/contracts/events/signal.schema.json."""


class AdjustmentSchema(Payload):
    type = fields.String(required=True)
    label = fields.String(load_default="", allow_none=True)
    amount = Price(required=True)
    included = fields.Boolean(load_default=False)


class UnitPriceSchema(Payload):
    number = Exact(required=True)
    currency_code = fields.String(required=True, validate=validate.Length(equal=3))


class ItemSchema(Payload):
    uuid = fields.String(required=True)
    sku = fields.String(load_default="", allow_none=True)
    title = fields.String(load_default="", allow_none=True)
    quantity = Exact(required=True)
    unit_price = fields.Nested(UnitPriceSchema, required=True)
    total_price = Price(required=True)
    adjustments = fields.List(fields.Nested(AdjustmentSchema), load_default=list)


class AddressSchema(Payload):
    given_name = fields.String(load_default="", allow_none=True)
    family_name = fields.String(load_default="", allow_none=True)
    organization = fields.String(load_default="", allow_none=True)
    address_line1 = fields.String(load_default="", allow_none=True)
    address_line2 = fields.String(load_default="", allow_none=True)
    postal_code = fields.String(load_default="", allow_none=True)
    locality = fields.String(load_default="", allow_none=True)
    administrative_area = fields.String(load_default="", allow_none=True)
    country_code = fields.String(load_default="", allow_none=True)


class ProfileSchema(Payload):
    address = fields.Nested(AddressSchema, load_default=None, allow_none=True)


class PaymentSchema(Payload):
    uuid = fields.String(required=True)
    gateway = fields.String(load_default="", allow_none=True)
    remote_id = fields.String(load_default="", allow_none=True)
    state = fields.String(required=True)
    amount = Price(required=True)


class StoreSchema(Payload):
    uuid = fields.String(load_default="")
    id = Identifier(required=True)


class OrderSchema(Payload):
    uuid = fields.String(required=True, validate=validate.Length(min=1))
    internal_id = Identifier(required=True)
    number = fields.String(load_default="", allow_none=True)
    version = fields.Integer(required=True, strict=True)
    state = fields.String(required=True)
    store = fields.Nested(StoreSchema, required=True)
    mail = fields.String(load_default="", allow_none=True)
    language = fields.String(load_default="", allow_none=True)
    placed = Instant(load_default=None, allow_none=True)
    changed = Instant(required=True)
    items = fields.List(fields.Nested(ItemSchema), required=True)
    adjustments = fields.List(fields.Nested(AdjustmentSchema), load_default=list)
    total_price = Price(required=True)
    billing_profile = fields.Nested(ProfileSchema, load_default=None, allow_none=True)
    shipping_profile = fields.Nested(ProfileSchema, load_default=None, allow_none=True)
    payments = fields.List(fields.Nested(PaymentSchema), load_default=list)


class DataSchema(Payload):
    order = fields.Nested(OrderSchema, required=True)


class TypeSchema(Payload):
    type = fields.String(required=True)


class EventSchema(TypeSchema):
    timestamp = Instant(required=True)
    sequence = fields.Integer(load_default=0, strict=True)
    data = fields.Nested(DataSchema, required=True)


class PingSchema(Payload):
    ping = fields.String(required=True, validate=validate.Length(min=1, max=64))


class PingEventSchema(Payload):
    data = fields.Nested(PingSchema, required=True)


class SignalSchema(Payload):
    order = fields.String(load_default="")
    outcome = fields.String(load_default="", allow_none=True, validate=validate.Length(max=64))
    step = fields.String(load_default="", allow_none=True, validate=validate.Length(max=64))
    seconds = fields.Float(load_default=None, allow_none=True)
    shown = Price(load_default=None, allow_none=True)
    charged = Price(load_default=None, allow_none=True)


class SignalDataSchema(Payload):
    signal = fields.Nested(SignalSchema, required=True)


class SignalEventSchema(TypeSchema):
    timestamp = Instant(required=True)
    data = fields.Nested(SignalDataSchema, required=True)


_TYPE = TypeSchema()
_EVENT = EventSchema()
_PING = PingEventSchema()
_SIGNAL = SignalEventSchema()


def translate(raw: Mapping[str, Any], states: Mapping[str, str]) -> Message:
    """One event to what it says; raises marshmallow's ValidationError. `states` are a site's own words for order states."""
    kind = str(_TYPE.load(raw)["type"])
    if kind == "site.ping":
        return Ping(_PING.load(raw)["data"]["ping"])
    if kind in SIGNALS:
        return _signal(_SIGNAL.load(raw))
    return _order(_EVENT.load(raw), states)


_INSTANT = Instant(required=True)


def listed_order(resource: Mapping[str, Any], states: Mapping[str, str]) -> ShopOrder | None:
    """An order as JSON:API lists it, without anything personal; None for one that has no total."""
    attributes = resource["attributes"]
    total, paid = attributes.get("total_price"), attributes.get("total_paid")
    if not total:
        return None
    state, currency = str(attributes.get("state", "")), str(total["currency_code"])
    return ShopOrder(
        str(resource["id"]),
        str(attributes.get("drupal_internal__order_id", "")),
        str(attributes.get("order_number") or ""),
        str((((resource.get("relationships") or {}).get("store_id") or {}).get("data") or {}).get("id", "")),
        OrderState(states[state]) if state in states else STATES.get(state, OrderState.UNKNOWN),
        Money.of(Decimal(str(total["number"])), currency),
        Money.of(Decimal(str(paid["number"])) if paid else Decimal(0), currency),
        _INSTANT.deserialize(attributes["placed"]) if attributes.get("placed") else None,
    )


def _signal(event: Mapping[str, Any]) -> Signal:
    said = event["data"]["signal"]
    shown: Money | None = said["shown"]
    return Signal(
        event["type"],
        said["order"],
        event["timestamp"],
        said["outcome"] or said["step"] or "",
        said["seconds"],
        shown,
        said["charged"],
    )


def _order(event: Mapping[str, Any], states: Mapping[str, str]) -> Order:
    order = event["data"]["order"]
    return Order(
        sequence=event["sequence"],
        order_id=order["uuid"],
        internal_id=order["internal_id"],
        number=order["number"] or "",
        version=order["version"],
        state=OrderState(states[order["state"]]) if order["state"] in states else STATES.get(order["state"], OrderState.UNKNOWN),
        store_ref=order["store"]["id"],
        total=order["total_price"],
        changed_at=order["changed"],
        placed_at=order["placed"],
        mail=order["mail"] or "",
        language=order["language"] or "",
        lines=tuple(_line(item) for item in order["items"]),
        adjustments=tuple(_adjustment(item) for item in order["adjustments"]),
        billing=_address(order["billing_profile"]),
        shipping=_address(order["shipping_profile"]),
        payments=tuple(
            OrderPayment(p["uuid"], p["gateway"] or "", p["remote_id"] or "", p["state"], p["amount"]) for p in order["payments"]
        ),
    )


def _line(item: Mapping[str, Any]) -> OrderLine:
    price = item["unit_price"]
    return OrderLine(
        item["uuid"],
        item["sku"] or "",
        item["title"] or "",
        item["quantity"],
        UnitPrice(price["number"], price["currency_code"]),
        item["total_price"],
        tuple(_adjustment(adjustment) for adjustment in item["adjustments"]),
    )


def _adjustment(item: Mapping[str, Any]) -> Adjustment:
    return Adjustment(item["type"], item["label"] or "", item["amount"], item["included"])


def _address(profile: Mapping[str, Any] | None) -> Address:
    address = (profile or {}).get("address")
    if not address:
        return Address()
    return Address(
        given_name=address["given_name"] or "",
        family_name=address["family_name"] or "",
        organization=address["organization"] or "",
        line1=address["address_line1"] or "",
        line2=address["address_line2"] or "",
        postal_code=address["postal_code"] or "",
        locality=address["locality"] or "",
        administrative_area=address["administrative_area"] or "",
        country=address["country_code"] or "",
    )


def shipment_body(shipment: Shipment) -> dict[str, Any]:
    """A shipment in the words of the module's route; parts that are not known are left out."""
    body = {
        "id": shipment.shipment_id,
        "state": shipment.state,
        "tracking_code": shipment.tracking_code,
        "carrier": shipment.carrier,
        "tracking_url": shipment.tracking_url,
        "shipped_at": shipment.shipped_at.isoformat() if shipment.shipped_at else "",
    }
    return {name: value for name, value in body.items() if value}


def payment_body(payment: Mapping[str, Any], gateways: Mapping[str, str]) -> dict[str, Any]:
    """A payment's state and amounts (minor units) in the words of the module's route; `gateways` are the site's names for
    payment connections."""
    body = {
        "gateway": gateways.get(payment["connection"], payment["connection"]),
        "remote_id": payment["remote_id"],
        "state": payment["state"],
        "at": payment["at"],
        **{name: _price(Money(payment[name], payment["currency"])) for name in ("amount", "captured", "refunded")},
    }
    return body | ({"dispute": {"id": payment["dispute"]}} if payment["dispute"] else {})


def _price(money: Money) -> dict[str, str]:
    return {"number": str(money.amount), "currency_code": money.currency}
