"""ERPNext's prices in our words: those of its price lists, and its pricing rules that are a fixed rate.

Item Price: https://docs.frappe.io/erpnext/item-price · Pricing Rule: https://docs.frappe.io/erpnext/pricing-rule
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import fields, validate

from mappings.erpnext import SELLING, CodeSchema, Day, Text
from mappings.fields import Exact, Payload

PRICE = ("name", "item_code", "price_list", "customer", "currency", "price_list_rate", "packing_unit", "uom", "valid_from", "valid_upto")
RULE = ("name", "for_price_list", "applicable_for", "customer_group", "currency", "rate", "min_qty", "valid_from", "valid_upto")
FIXED_RATES = (
    *(SELLING, ["disable", "=", 0], ["apply_on", "=", "Item Code"], ["price_or_product_discount", "=", "Price"]),
    *(["rate_or_discount", "=", "Rate"], ["applicable_for", "in", ["", "Customer Group"]]),
    *([name, "=", 0] for name in ("coupon_code_based", "is_cumulative", "mixed_conditions", "min_amt")),
    *([name, "is", "not set"] for name in ("condition", "warehouse")),
)
"""The pricing rules that are prices: a fixed rate of certain items, for everybody or for a customer group, on no other condition."""


class _PriceSchema(Payload):
    """An `Item Price`; without a unit of packing any quantity can be bought."""

    price_list = fields.String(required=True)
    customer = Text()
    currency = fields.String(required=True, validate=validate.Length(min=1))
    price_list_rate = Exact(required=True)
    packing_unit = Exact(load_default=None, allow_none=True)
    uom = Text()
    valid_from = Day(load_default=None, allow_none=True)
    valid_upto = Day(load_default=None, allow_none=True)


class _RuleSchema(Payload):
    """A `Pricing Rule` of `FIXED_RATES`, for one item."""

    for_price_list = Text()
    customer_group = Text()
    applicable_for = Text()
    currency = fields.String(required=True, validate=validate.Length(min=1))
    rate = Exact(required=True)
    min_qty = Exact(load_default=None, allow_none=True)
    uom = Text()
    valid_from = Day(load_default=None, allow_none=True)
    valid_upto = Day(load_default=None, allow_none=True)


class PricesSchema(CodeSchema):
    """An item with all of its prices."""

    prices = fields.List(fields.Nested(_PriceSchema), required=True)
    rules = fields.List(fields.Nested(_RuleSchema), load_default=list)


def prices(raw: Any) -> dict[str, Any]:
    """All prices of an item, those of its price lists before those of its pricing rules; ERPNext does not say whether a price
    includes tax. Raises marshmallow's ValidationError."""
    found = PricesSchema().load(raw)
    listed = [_price(one, one["price_list"], one["customer"], one["price_list_rate"], one["packing_unit"]) for one in found["prices"]]
    ruled = [_price(one, one["for_price_list"], one["customer_group"], one["rate"], one["min_qty"]) for one in found["rules"]]
    return {"sku": found["item_code"], "prices": [*listed, *ruled]}


def _price(one: Mapping[str, Any], price_list: str, group: str, amount: Decimal, quantity: Decimal | None) -> dict[str, Any]:
    return {
        "list": price_list,
        "group": group,
        "currency": one["currency"],
        "amount": amount,
        "min_quantity": quantity or Decimal(1),
        "unit": one["uom"],
        "valid_from": one["valid_from"],
        "valid_to": one["valid_upto"],
        "tax_included": None,
    }
