"""Odoo's pricelists: which rules are about a product, and the prices that they make of its sales price.

https://www.odoo.com/documentation/19.0/applications/sales/sales/products_prices/prices/pricing.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marshmallow import fields

from mappings.fields import Exact, Payload
from mappings.odoo import Json, Named, Product, Text, each, loaded, reference, sku_of


class _Time(fields.Field[str | None]):
    """A time as ISO text, a date as it is, None for false."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str | None:
        if value is False or value is None:
            return None
        try:
            return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).isoformat()
        except (TypeError, ValueError):
            return str(fields.Date().deserialize(value))


class _Priced(Product):
    lst_price = Exact(required=True)
    currency_id = Named(required=True)


class _Rule(Payload):
    id = fields.Integer(required=True, strict=True)
    applied_on = fields.String(required=True)
    pricelist_id = Named(required=True)
    currency_id = Named(required=True)
    compute_price = fields.String(required=True)
    base = Text(load_default="list_price")
    fixed_price = Exact(load_default=Decimal(0))
    percent_price = Exact(load_default=Decimal(0))
    price_discount = Exact(load_default=Decimal(0))
    price_round = Exact(load_default=Decimal(0))
    price_surcharge = Exact(load_default=Decimal(0))
    price_min_margin = Exact(load_default=Decimal(0))
    price_max_margin = Exact(load_default=Decimal(0))
    min_quantity = Exact(load_default=Decimal(0))
    date_start = _Time(load_default=None)
    date_end = _Time(load_default=None)


_PRICED, _RULE = _Priced(), _Rule()


def rules_of(product: Mapping[str, Any], rules: Iterable[Json], ancestors: Sequence[int]) -> list[Json]:
    """The rules that are about a product, in the order in which Odoo tries them; `ancestors` are its category and those above."""
    found = [rule for rule in rules if _is_about(product, rule, ancestors)]
    return sorted(found, key=lambda rule: (str(rule["applied_on"]), -rule["min_quantity"], -reference(rule["categ_id"]), -rule["id"]))


def _is_about(product: Mapping[str, Any], rule: Json, ancestors: Sequence[int]) -> bool:
    match rule["applied_on"]:
        case "0_product_variant":
            return reference(rule["product_id"]) == reference(product["id"])
        case "1_product":
            return reference(rule["product_tmpl_id"]) == reference(product["product_tmpl_id"])
        case "2_product_category":
            return reference(rule["categ_id"]) in ancestors
    return True


def prices(raw: Any, sku: str, tax_included: bool | None) -> tuple[Json, list[int]]:
    """A variant's sales price and what the pricelists make of it, and the rules whose price only Odoo can compute. A rule that an
    earlier one always wins over is left out. Raises marshmallow's ValidationError."""
    found = loaded(_PRICED, raw, "product")
    every: list[Json] = [_price("", found["currency_id"][1], found["lst_price"], {}, tax_included)]
    unknown = []
    before: list[Json] = []
    for rule in each(_RULE, raw, "rules"):
        if any(_wins(other, rule) for other in before):
            continue
        before.append(rule)
        amount = _amount(rule, found)
        if amount is None:
            unknown.append(rule["id"])
        else:
            every.append(_price(str(rule["pricelist_id"][0]), rule["currency_id"][1], amount, rule, tax_included))
    return {"sku": sku_of(found, sku), "prices": every}, unknown


def _price(code: str, currency: str, amount: Decimal, rule: Mapping[str, Any], tax_included: bool | None) -> Json:
    return {
        "list": code,
        "group": "",
        "currency": currency,
        "amount": amount,
        "min_quantity": rule.get("min_quantity") or Decimal(1),
        "valid_from": rule.get("date_start"),
        "valid_to": rule.get("date_end"),
        "tax_included": tax_included,
    }


def _wins(other: Json, rule: Json) -> bool:
    """Whether the earlier rule holds wherever the later one would."""
    return bool(
        other["pricelist_id"] == rule["pricelist_id"]
        and other["min_quantity"] <= max(rule["min_quantity"], Decimal(1))
        and (other["date_start"] is None or (rule["date_start"] is not None and other["date_start"] <= rule["date_start"]))
        and (other["date_end"] is None or (rule["date_end"] is not None and other["date_end"] >= rule["date_end"]))
    )


def _amount(rule: Json, product: Json) -> Decimal | None:
    """The price by a rule, None when it rests on what a product does not say: cost, another pricelist, another currency."""
    if rule["applied_on"] not in ("0_product_variant", "1_product", "2_product_category", "3_global"):
        return None
    if rule["compute_price"] == "fixed":
        return Decimal(rule["fixed_price"])
    if rule["base"] not in ("list_price", "") or rule["currency_id"] != product["currency_id"]:
        return None
    base = Decimal(product["lst_price"])
    if rule["compute_price"] == "percentage":
        return base - base * Decimal(rule["percent_price"]) / 100
    return _formula(rule, base) if rule["compute_price"] == "formula" else None


def _formula(rule: Mapping[str, Decimal], base: Decimal) -> Decimal:
    price = base - base * rule["price_discount"] / 100
    if rule["price_round"]:
        price = (price / rule["price_round"]).quantize(Decimal(1), "ROUND_HALF_UP") * rule["price_round"]
    price += rule["price_surcharge"]
    if rule["price_min_margin"]:
        price = max(price, base + rule["price_min_margin"])
    return min(price, base + rule["price_max_margin"]) if rule["price_max_margin"] else price
