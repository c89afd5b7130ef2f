"""Prices beside the base price: tiers, customer groups, named lists and validity windows, as price lists and their entries.

The shop's side is commerce_pricelist (https://www.drupal.org/project/commerce_pricelist): a list has roles and dates, an entry a
variation, a quantity from which it holds, and a price.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings.attributes import search
from mappings.money import is_currency, plain_price
from mappings.rules import Kind, Refused, Rule
from mappings.values import a_date, exact, money
from mappings.wanted import CONFIGURED, Of, Thing, name_of, refers_to

BUNDLE = "commerce_product_variation"
"""The bundle of lists and entries: what their prices are for."""
LIST_FIELDS = ("name", "weight", "customer_roles", "start_date", "end_date")
LONGEST_NAME = 50
"""Characters of a list's name."""
ENTRY_FIELDS = ("price_list_id", "purchasable_entity", "quantity", "price")


@dataclass(frozen=True, slots=True)
class PriceLists:
    """`source` is a jmespath of the prices, each {list, group, currency, amount, min_quantity, valid_from, valid_to, tax_included}.
    `names` and `roles` say what the shop calls a list and which customer role a group is; `rule` has tax and rounding."""

    source: str
    rule: Rule
    names: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)


def things(lists: PriceLists, sku: str, record: Any) -> Iterator[Thing]:
    """The lists and entries of one record's prices; raises `Refused`."""
    found = search(lists.source, record)
    if found is None:
        return
    if not isinstance(found, list):
        raise Refused(lists.source, "is no list of prices", found)
    base = plain_price(found)
    for index, one in enumerate(found):
        if not isinstance(one, Mapping):
            raise Refused(f"{lists.source}[{index}]", "is no price", one)
        if one is not base:
            yield from _entry(lists, sku, one, record, f"{lists.source}[{index}]")


def _entry(lists: PriceLists, sku: str, one: Mapping[str, Any], record: Any, where: str) -> Iterator[Thing]:
    currency, group = one.get("currency"), str(one.get("group") or "")
    if not is_currency(currency):
        raise Refused(f"{where}.currency", "is no currency code", currency)
    if group and lists.roles and group not in lists.roles:
        raise Refused(f"{where}.group", "is no known customer group", group)
    dates = [a_date(f"{where}.{name}", one[name]) if one.get(name) else "" for name in ("valid_from", "valid_to")]
    if all(dates) and dates[1] < dates[0]:
        raise Refused(f"{where}.valid_to", "is before valid_from", dates[1])
    quantity = _quantity(one, where)
    if quantity <= 0:
        raise Refused(f"{where}.min_quantity", "is not above zero", quantity)
    rule = Rule("price", f"{where}.amount", Kind.PRICE, rounding=lists.rule.rounding, tax=lists.rule.tax)
    amount = money(rule, exact(rule.source, one.get("amount")), str(currency), record, one.get("tax_included"))
    code = str(one.get("list") or "")
    listed = _list(lists, code, group, dates)
    yield listed
    entry = hashlib.sha256("\0".join((listed.key, sku, str(currency), format(quantity.normalize(), "f"))).encode()).hexdigest()[:32]
    fields = {
        "price_list_id": refers_to([listed.name], many=False),
        "purchasable_entity": refers_to([name_of(Of.VARIATION, sku)], many=False),
        "quantity": format(quantity.normalize(), "f"),
        "price": amount,
    }
    yield Thing(Of.PRICE_LIST_ENTRY, entry, fields, BUNDLE, on_gone="delete")


def _list(lists: PriceLists, code: str, group: str, dates: list[str]) -> Thing:
    key = "|".join((code, group, *dates)).rstrip("|") or "tiers"
    name = lists.names.get(code, code) or "Tier prices"
    about = [name, *filter(None, (group, "–".join(dates).strip("–")))]
    # Of two lists that hold the shop takes the lighter one: the narrower, for a customer group before only for some days.
    fields: dict[str, Any] = {"name": _short(", ".join(about), key), "weight": -2 * bool(group) - any(map(bool, dates))}
    if group:
        fields["customer_roles"] = {CONFIGURED: ["user_role", lists.roles.get(group, group)], "many": True}
    fields |= {field: date for field, date in zip(("start_date", "end_date"), dates, strict=True) if date}
    return Thing(Of.PRICE_LIST, key, fields, BUNDLE, on_gone="keep")


def _short(name: str, key: str) -> str:
    """A name that fits, and still is another for another list."""
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]} {hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _quantity(one: Mapping[str, Any], where: str = "prices") -> Any:
    return exact(f"{where}.min_quantity", one.get("min_quantity") or 1)
