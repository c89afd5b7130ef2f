"""Tryton's words and ours: a shop's order as parties, addresses and a sale; a sale's states as fulfilment.

Models and their fields: https://docs.tryton.org/latest/modules-sale/design.html ·
https://docs.tryton.org/latest/modules-web_shop/ · JSON types: https://docs.tryton.org/latest/server/topics/user_application.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

from marshmallow import ValidationError, fields, post_load

from mappings.canonical import ISO_EXPONENTS, Address, Adjustment, FulfilmentChange, FulfilmentState, Money, Order, OrderLine, Shipment
from mappings.fields import Exact, Identifier, Payload

Record = Mapping[str, Any]
"""A raw record of Tryton's REST interface."""

STATES = {
    "draft": FulfilmentState.DRAFT,
    "quotation": FulfilmentState.DRAFT,
    "confirmed": FulfilmentState.CONFIRMED,
    "processing": FulfilmentState.PROCESSING,
    "done": FulfilmentState.DONE,
    "cancelled": FulfilmentState.CANCELLED,
}
"""A sale's `state`: https://docs.tryton.org/latest/modules-sale/design.html"""

SHIPMENT_STATES = {
    "none": FulfilmentState.PROCESSING,
    "waiting": FulfilmentState.PROCESSING,
    "exception": FulfilmentState.PROCESSING,
    "partially shipped": FulfilmentState.PARTIALLY_SHIPPED,
    "sent": FulfilmentState.SHIPPED,
}
"""A processing sale's `shipment_state`, which says more than `processing`."""

SHIPMENT_FIELDS = ("number", "state", "effective_date")
SALE_FIELDS = (
    *("number", "reference", "web_id", "state", "shipment_state", "total_amount", "currency.code", "write_date"),
    *(f"shipments.{name}" for name in SHIPMENT_FIELDS),
)
"""What is read of a sale."""


def fulfilment_state(state: str, shipment_state: str) -> FulfilmentState:
    """Our state for Tryton's two; UNKNOWN for a word that no table has."""
    known = STATES.get(state, FulfilmentState.UNKNOWN)
    if known is FulfilmentState.PROCESSING:
        return SHIPMENT_STATES.get(shipment_state, FulfilmentState.UNKNOWN)
    return known


@dataclass(frozen=True, slots=True)
class Product:
    """Tryton's ids of a product variant and of the unit in which it is sold."""

    product: int
    unit: int


@dataclass(frozen=True, slots=True)
class SaleIds:
    """Tryton's ids that a sale refers to. `payment_term` and `warehouse` 0 leave Tryton's own defaults."""

    web_shop: int
    party: int
    invoice_address: int
    shipment_address: int
    currency: int
    payment_term: int = 0
    warehouse: int = 0


def party_code(order: Order, prefix: str) -> str:
    """The code under which the customer is found again: made of the mail address, else of the order; neither can be read in it."""
    seed = order.mail.strip().lower() or order.order_id
    return prefix + hashlib.sha256(seed.encode()).hexdigest()[:16]


def party_values(order: Order, code: str, addresses: list[dict[str, Any]]) -> dict[str, Any]:
    """A new `party.party` with its addresses."""
    name = order.billing.organization or order.billing.name or order.shipping.name or f"Web order {order.number}"
    values: dict[str, Any] = {"name": name, "code": code, "addresses": [["create", addresses]]}
    if order.mail:
        values["contact_mechanisms"] = [["create", [{"type": "email", "value": order.mail.strip()}]]]
    return values


def address_values(address: Address, country: int | None) -> dict[str, Any]:
    """A new `party.address`. The administrative area is written behind the city: a Tryton without subdivisions loses nothing."""
    lines = [line.strip() for line in (address.line1, address.line2) if line.strip()]
    city = ", ".join(part.strip() for part in (address.locality, address.administrative_area) if part.strip())
    return {
        "party_name": address.name.strip(),
        "street": "\n".join(lines),
        "postal_code": address.postal_code.strip(),
        "city": city,
        "country": country,
    }


def same_address(record: Record, values: Mapping[str, Any]) -> bool:
    """Whether a read `party.address` holds exactly these values."""
    country = (record.get("country") or {}).get("id")
    return country == values["country"] and all((record.get(name) or "") == value for name, value in values.items() if name != "country")


def sale_values(order: Order, ids: SaleIds, products: Mapping[str, Product], charge: Product | None, digits: int) -> dict[str, Any]:
    """A new `sale.sale` whose total is the order's.

    `products` by SKU must hold every line's; `charge` is the service that charge lines are booked on (None: lines without a
    product); `digits` is the number of decimals of Tryton's prices.
    """
    lines = [_line(line, products[line.sku], digits) for line in order.lines]
    lines += [_charge(adjustment.label or adjustment.kind, adjustment.amount, charge) for adjustment in charges(order)]
    rounding = _rounding(order, digits)
    if rounding.minor:
        lines.append(_charge("Rounding", rounding, charge))
    values: dict[str, Any] = {
        "web_shop": ids.web_shop,
        "web_id": order.order_id,
        "reference": order.number,
        "party": ids.party,
        "invoice_address": ids.invoice_address,
        "shipment_address": ids.shipment_address,
        "currency": ids.currency,
        "invoice_method": "order",
        "shipment_method": "order",
        "lines": [["create", lines]],
    }
    return values | {name: getattr(ids, name) for name in ("payment_term", "warehouse") if getattr(ids, name)}


def charges(order: Order) -> Iterator[Adjustment]:
    """Every adjustment that the prices do not include: those of the lines, then those of the order."""
    for line in order.lines:
        yield from (adjustment for adjustment in line.adjustments if not adjustment.included)
    yield from (adjustment for adjustment in order.adjustments if not adjustment.included)


def decimal_value(amount: Decimal) -> dict[str, str]:
    """A Decimal as Tryton's JSON writes it."""
    return {"__class__": "Decimal", "decimal": str(amount)}


def instant_value(instant: datetime) -> dict[str, Any]:
    """An aware instant as Tryton's JSON writes it: naive UTC."""
    at = instant.astimezone(UTC)
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{name: getattr(at, name) for name in names}}


class Amount(fields.Field[Decimal]):
    """`{"__class__": "Decimal", "decimal": "23.30"}`"""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        if not isinstance(value, Mapping):
            raise ValidationError("expected a Tryton decimal")
        amount = Exact().deserialize(value.get("decimal"))
        if amount is None:
            raise ValidationError("expected a Tryton decimal")
        return amount


class Instant(fields.Field[datetime]):
    """`{"__class__": "datetime", "year": 2026, …}`, naive UTC over there, aware here."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            return datetime(**{name: part for name, part in value.items() if name != "__class__"}, tzinfo=UTC)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValidationError("expected a Tryton datetime") from error


class Day(fields.Field[date]):
    """`{"__class__": "date", "year": 2026, "month": 11, "day": 24}`"""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:
        try:
            return date(**{name: part for name, part in value.items() if name != "__class__"})
        except (AttributeError, TypeError, ValueError) as error:
            raise ValidationError("expected a Tryton date") from error


class ShipmentSchema(Payload):
    """A `stock.shipment.out` of a sale. Tryton's own modules know no carrier's tracking code: its number is what there is."""

    number = fields.String(allow_none=True, load_default=None)
    state = fields.String(required=True)
    effective_date = Day(allow_none=True, load_default=None)


class CurrencySchema(Payload):
    """A `currency.currency` inside of another record."""

    code = fields.String(required=True)


class SaleSchema(Payload):
    """A `sale.sale` with `SALE_FIELDS` → `FulfilmentChange`."""

    id = Identifier(required=True)
    number = fields.String(allow_none=True, load_default=None)
    web_id = fields.String(required=True)
    state = fields.String(required=True)
    shipment_state = fields.String(allow_none=True, load_default=None)
    total_amount = Amount(allow_none=True, load_default=None)
    currency = fields.Nested(CurrencySchema, required=True)
    write_date = Instant(required=True)
    shipments = fields.List(fields.Nested(ShipmentSchema), load_default=list)

    @post_load
    def change(self, data: dict[str, Any], **_: Any) -> FulfilmentChange:
        amount = data["total_amount"]
        try:
            total = None if amount is None else Money.of(amount, data["currency"]["code"])
        except ValueError as error:
            raise ValidationError("finer than the currency's minor unit", "total_amount") from error
        return FulfilmentChange(
            remote_id=data["id"],
            number=data["number"] or "",
            state=fulfilment_state(data["state"], data["shipment_state"] or ""),
            occurred_at=data["write_date"],
            order_ref=data["web_id"],
            total=total,
            shipments=tuple(_shipment(one) for one in data["shipments"] if one["state"] in SENT and one["number"]),
        )


SENT = frozenset({"shipped", "done"})
"""States of a shipment that left the house: https://docs.tryton.org/latest/modules-stock/"""


def _shipment(one: Mapping[str, Any]) -> Shipment:
    day = one["effective_date"]
    return Shipment(one["number"], shipped_at=datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None)


def _line(line: OrderLine, product: Product, digits: int) -> dict[str, Any]:
    return {
        "type": "line",
        "product": product.product,
        "unit": product.unit,
        "quantity": float(line.quantity),
        "unit_price": decimal_value(_price(line, digits)),
    }


def _charge(label: str, amount: Money, charge: Product | None) -> dict[str, Any]:
    line: dict[str, Any] = {"type": "line", "quantity": 1, "description": label, "unit_price": decimal_value(amount.amount)}
    return line | ({"product": charge.product, "unit": charge.unit} if charge else {})


def _price(line: OrderLine, digits: int) -> Decimal:
    return line.unit_price.amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def _rounding(order: Order, digits: int) -> Money:
    """What the shop's line totals hold beyond quantity × price as Tryton rounds it (half to even)."""
    currency = order.total.currency
    exponent = ISO_EXPONENTS.get(currency, 2)
    theirs = (int((_price(line, digits) * line.quantity).scaleb(exponent).to_integral_value(ROUND_HALF_EVEN)) for line in order.lines)
    return Money(sum(line.total.minor for line in order.lines) - sum(theirs), currency)
