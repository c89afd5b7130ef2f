"""The demo ERP's words (our simulator: an ERP without native idempotency) to and from the canonical model."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import fields

from mappings.canonical import FulfilmentChange, FulfilmentState, Order, Shipment
from mappings.fields import Exact, Identifier, Instant, Payload

STATUSES = {
    "draft": FulfilmentState.DRAFT,
    "confirmed": FulfilmentState.CONFIRMED,
    "processing": FulfilmentState.PROCESSING,
    "shipped": FulfilmentState.SHIPPED,
    "done": FulfilmentState.DONE,
    "cancelled": FulfilmentState.CANCELLED,
}


class ParcelSchema(Payload):
    id = Identifier(required=True)
    tracking_code = fields.String(load_default="")
    carrier = fields.String(load_default="")
    shipped_at = Instant(required=True)


class OrderSchema(Payload):
    id = Identifier(required=True)
    number = fields.String(required=True)
    state = fields.String(required=True)
    reference = fields.String(load_default="")
    changed_at = Instant(required=True)
    parcels = fields.List(fields.Nested(ParcelSchema), load_default=list)


FEEDS = ("prices", "stock")
"""Its lists of articles."""


class PriceSchema(Payload):
    list = fields.String(load_default="")
    group = fields.String(load_default="")
    currency = fields.String(required=True)
    amount = Exact(required=True)
    min_quantity = Exact(load_default=Decimal(1))
    valid_from = fields.String(load_default=None, allow_none=True)
    valid_to = fields.String(load_default=None, allow_none=True)
    tax_included = fields.Boolean(load_default=None, allow_none=True)


class PricesSchema(Payload):
    sku = Identifier(required=True)
    prices = fields.List(fields.Nested(PriceSchema), required=True)


class StockSchema(Payload):
    sku = Identifier(required=True)
    warehouses = fields.Dict(fields.String(), Exact(), required=True)


_ORDER, _PRICES, _STOCK = OrderSchema(), PricesSchema(), StockSchema()


def article(kind: str, raw: Any) -> dict[str, Any]:
    """An article's prices or stock as every feed has them; raises marshmallow's ValidationError."""
    if kind == "prices":
        return dict(_PRICES.load(raw))
    found = _STOCK.load(raw)
    places = {code: {"on_hand": count, "available": count} for code, count in found["warehouses"].items()}
    on_hand = sum(found["warehouses"].values(), Decimal(0))
    return {"sku": found["sku"], "on_hand": on_hand, "available": on_hand, "locations": places}


def change(raw: Mapping[str, Any]) -> FulfilmentChange:
    """One ERP order to what it says of ours; raises marshmallow's ValidationError."""
    order = _ORDER.load(raw)
    return FulfilmentChange(
        order["id"],
        order["number"],
        STATUSES.get(order["state"], FulfilmentState.UNKNOWN),
        order["changed_at"],
        order["reference"],
        shipments=tuple(
            Shipment(parcel["id"], tracking_code=parcel["tracking_code"], carrier=parcel["carrier"], shipped_at=parcel["shipped_at"])
            for parcel in order["parcels"]
        ),
    )


def order_body(order: Order) -> dict[str, Any]:
    """The order as the ERP wants it; amounts are decimal text."""
    address = order.shipping if order.shipping.line1 else order.billing
    charges = [a for a in order.adjustments if not a.included] + [a for line in order.lines for a in line.adjustments if not a.included]
    return {
        "reference": order.order_id,
        "customer": {
            "name": address.name,
            "email": order.mail,
            "address": {"line1": address.line1, "postal_code": address.postal_code, "city": address.locality, "country": address.country},
        },
        "currency": order.total.currency,
        "lines": [
            {"sku": line.sku, "title": line.title, "quantity": str(line.quantity), "unit_price": str(line.unit_price.amount)}
            for line in order.lines
        ],
        "charges": [{"kind": a.kind, "label": a.label, "amount": str(a.amount.amount)} for a in charges],
        "total": str(order.total.amount),
    }
