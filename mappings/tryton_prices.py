"""Tryton's price lists in our words: at which quantities and in which spans of days a list's price may change, and what it then is.

A list is an ordered set of formulas; the first line that fits counts. So nothing is computed here: Tryton is asked for the price at
each step. https://docs.tryton.org/latest/modules-product_price_list/design.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from typing import Any

from marshmallow import fields, validate

from mappings.fields import Exact, Payload
from mappings.tryton import Day
from mappings.tryton_feeds import factors

ONE = Decimal(1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Line:
    """What a line of a price list depends on: `product` is None for a line that is for more than one."""

    price_list: int
    product: int | None
    quantity: Decimal | None
    start: date | None
    end: date | None


@dataclass(frozen=True, slots=True)
class Span:
    """Days in which the same lines count, both ends included; None is open."""

    start: date | None = None
    end: date | None = None

    @property
    def day(self) -> date | None:
        """A day in it; None when any is."""
        return self.start or self.end


class LineSchema(Payload):
    """A `product.price_list.line`; the dates are there with the module product_price_list_dates."""

    price_list = fields.Integer(required=True)
    product = fields.Integer(load_default=None, allow_none=True)
    quantity = Exact(load_default=None, allow_none=True)
    start_date = Day(load_default=None, allow_none=True)
    end_date = Day(load_default=None, allow_none=True)


class _PriceSchema(Payload):
    list = fields.String(required=True)
    list_id = fields.String(load_default="")
    group = fields.String(load_default="")
    currency = fields.String(required=True)
    amount = Exact(required=True)
    min_quantity = Exact(required=True)
    valid_from = fields.String(load_default=None, allow_none=True)
    valid_to = fields.String(load_default=None, allow_none=True)
    tax_included = fields.Boolean(required=True)


class PricesSchema(Payload):
    """A product with all of its prices, as they were asked for."""

    code = fields.String(required=True, validate=validate.Length(min=1))
    prices = fields.List(fields.Nested(_PriceSchema), required=True)


def prices(raw: Any) -> dict[str, Any]:
    """All prices of a product; raises marshmallow's ValidationError."""
    found = PricesSchema().load(raw)
    return {"sku": found["code"], "prices": found["prices"]}


def line(raw: Any) -> Line:
    """Raises marshmallow's ValidationError."""
    found = LineSchema().load(raw)
    return Line(found["price_list"], found["product"], found["quantity"], found["start_date"], found["end_date"])


def steps(lines: Iterable[Line], ratio: Decimal) -> list[Decimal]:
    """The quantities at which a price may change, lowest first; 1 is always one. `ratio` is how many sales units are one of the
    unit that the lines count in."""
    found = {ONE}
    for one in lines:
        if one.quantity:
            found.add((one.quantity * ratio).quantize(Decimal("0.000001"), ROUND_CEILING).normalize() + 0)
    return sorted(found)


def spans(lines: Iterable[Line], today: date) -> list[Span]:
    """The spans of days in which a price may differ, without those that are over."""
    begins = {one.start for one in lines if one.start} | {one.end + _DAY for one in lines if one.end and one.end < date.max}
    edges: list[date | None] = [None, *sorted(begins), None]
    found = [Span(start, end and end - _DAY) for start, end in pairwise(edges)]
    return [span for span in found if span.end is None or span.end >= today]


def offers(asked: Mapping[tuple[Span, Decimal], Decimal | None]) -> list[dict[str, Any]]:
    """One product's prices of a list, from what Tryton answered by span and quantity: steps that change nothing are left out,
    spans that only continue become one."""
    kept: dict[Decimal, list[tuple[Span, Decimal]]] = {}
    for span in dict.fromkeys(span for span, _ in asked):
        before = None
        for quantity in sorted(one for other, one in asked if other == span):
            amount = asked[span, quantity]
            if amount is not None and amount != before:
                _append(kept.setdefault(quantity, []), span, amount)
            before = amount
    return [
        {
            "amount": str(amount),
            "min_quantity": format(quantity, "f"),
            "valid_from": span.start and span.start.isoformat(),
            "valid_to": span.end and span.end.isoformat(),
        }
        for quantity in sorted(kept)
        for span, amount in kept[quantity]
    ]


def _append(rows: list[tuple[Span, Decimal]], span: Span, amount: Decimal) -> None:
    last, same = rows[-1] if rows else (None, None)
    if last and same == amount and last.end and span.start == last.end + _DAY:
        rows[-1] = (Span(last.start, span.end), amount)
    else:
        rows.append((span, amount))


def of_products(lines: Iterable[Line], price_list: int, products: Collection[int]) -> list[Line]:
    """The lines of a list that may count for some products."""
    return [one for one in lines if one.price_list == price_list and (one.product is None or one.product in products)]


def date_value(day: date) -> dict[str, Any]:
    """A day as Tryton's JSON writes it."""
    return {"__class__": "date", "year": day.year, "month": day.month, "day": day.day}


def by_ratio(products: Sequence[Mapping[str, Any]], unit: str) -> dict[Decimal, list[int]]:
    """The ids of products by how many of their sales units are one of the unit that a list counts in: with `product_sale` that
    is the sales unit itself, else the product's default unit. Raises marshmallow's ValidationError."""
    found: dict[Decimal, list[int]] = {}
    for one in products:
        default, sale = factors(one)
        ratio = ONE if unit == "product_sale" or default == sale else default / sale
        found.setdefault(ratio, []).append(one["id"])
    return found
