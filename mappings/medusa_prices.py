"""Medusa's prices: those of a variant itself and those of price lists, with their rules, as one record.

https://docs.medusajs.com/resources/commerce-modules/pricing/price-rules
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate

from mappings.fields import Exact, Payload

GROUP, REGION = "customer.groups.id", "region_id"
"""Attributes of price rules."""


class _Price(Payload):
    list = fields.String(load_default="")
    currency = fields.String(required=True, data_key="currency_code", validate=validate.Length(equal=3))
    amount = Exact(required=True)
    min_quantity = Exact(load_default=None, allow_none=True)
    max_quantity = Exact(load_default=None, allow_none=True)
    rules = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)
    valid_from = fields.String(load_default=None, allow_none=True)
    valid_to = fields.String(load_default=None, allow_none=True)
    tax_included = fields.Boolean(required=True)


class PricesSchema(Payload):
    """The prices of a variant, its own and those of price lists."""

    sku = fields.String(required=True, validate=validate.Length(min=1))
    prices = fields.List(fields.Nested(_Price), required=True)


_PRICES = PricesSchema()


def prices(raw: Any) -> dict[str, Any]:
    """Every price of a variant: `list` is the price list's id, `group` the customer group's; `rules` are the other conditions (a
    region, say), "" and {} for a price for everybody. Raises ValidationError."""
    return {"sku": (found := _PRICES.load(raw))["sku"], "prices": [_price(one) for one in found["prices"]]}


def _price(found: Mapping[str, Any]) -> dict[str, Any]:
    rules = dict(found["rules"])
    least = found["min_quantity"]
    return {
        "list": found["list"],
        "group": rules.pop(GROUP, ""),
        "currency": found["currency"].upper(),
        "amount": found["amount"],
        "min_quantity": Decimal(1) if least is None else least,
        "max_quantity": found["max_quantity"],
        "valid_from": found["valid_from"],
        "valid_to": found["valid_to"],
        "tax_included": found["tax_included"],
        "rules": rules,
    }


def own_price(raw: Mapping[str, Any]) -> dict[str, Any]:
    """One price of a variant or of a price list as a record keeps it; raises ValidationError."""
    names = ("amount", "currency_code", "min_quantity", "max_quantity")
    rules = raw.get("rules")
    if rules is None:
        rules = {one["attribute"]: one["value"] for one in _listed(raw, "price_rules")}
    _require_all(rules, raw)
    return {**{name: raw.get(name) for name in names}, "rules": rules}


def list_prices(price: Mapping[str, Any], price_list: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A price of a list, once for each customer group that the list is for; raises ValidationError."""
    given = price_list.get("rules") or {}
    _require_all(given, price_list)
    groups = given.get(GROUP, [""])
    if not isinstance(groups, list) or (GROUP in given and not all(isinstance(group, str) and group for group in groups)):
        raise ValidationError({"rules": ["expected ids of customer groups"]})
    own, shared = own_price(price), {name: _joined(values) for name, values in given.items() if name != GROUP}
    terms = {"list": price_list.get("id"), "valid_from": price_list.get("starts_at"), "valid_to": price_list.get("ends_at")}
    return [{**own, **terms, "rules": own["rules"] | shared | ({GROUP: group} if group else {})} for group in groups]


def is_tax_included(price: Mapping[str, Any], preferences: Mapping[tuple[str, str], bool]) -> bool:
    """By the preference of the price's region, else of its currency; without one Medusa takes a price as net.
    https://docs.medusajs.com/resources/commerce-modules/pricing/tax-inclusive-pricing"""
    region, currency = (REGION, price["rules"].get(REGION, "")), ("currency_code", price["currency_code"])
    return preferences.get(region, preferences.get(currency, False))


def _require_all(rules: Any, counted: Mapping[str, Any]) -> None:
    """A price for some that is taken for one for everybody would be worse than none."""
    count = counted.get("rules_count") or 0
    if not isinstance(rules, Mapping) or not all(rules.values()) or not isinstance(count, int) or len(rules) < count:
        raise ValidationError({"rules": ["not all of them can be read"]})


def _joined(values: Any) -> str:
    return ",".join(sorted(map(str, values))) if isinstance(values, list) else str(values)


def _listed(raw: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    found = raw.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, Mapping) and {"attribute", "value"} <= set(one) for one in found):
        raise ValidationError({name: ["expected attributes and values"]})
    return found
