"""A price of a source as the shop wants it: with tax or without, rounded as the merchant declares, never by chance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal
from enum import StrEnum
from typing import Any

from mappings.canonical import ISO_EXPONENTS

ROUNDINGS = {
    "half_up": ROUND_HALF_UP,
    "half_even": ROUND_HALF_EVEN,
    "half_down": ROUND_HALF_DOWN,
    "up": ROUND_UP,
    "down": ROUND_DOWN,
    "ceiling": ROUND_CEILING,
}
_CODE = re.compile(r"[A-Z]{3}")


class Tax(StrEnum):
    """Whether amounts hold the tax."""

    INCLUDED = "included"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class TaxRule:
    """What the shop wants (`want`); `included` and `rate` are jmespaths of what the record says, or what is always so: true, false, a
    number. `rates` translate a tax class to its rate ("0.19")."""

    want: Tax
    included: str
    rate: str
    rates: Mapping[str, str] = field(default_factory=dict)


class NotMoney(ValueError):
    """Why an amount cannot be a price of the shop."""


def is_currency(code: object) -> bool:
    """Whether it looks like an ISO 4217 code."""
    return isinstance(code, str) and _CODE.fullmatch(code) is not None


def decimals(currency: str) -> int:
    """Decimals of a currency's minor unit."""
    return ISO_EXPONENTS.get(currency, 2)


def with_tax_as_wanted(amount: Decimal, *, want: Tax, included: bool, rate: Decimal) -> Decimal:
    """Net to gross or gross to net, unrounded; nothing where both agree."""
    if included == (want is Tax.INCLUDED):
        return amount
    return amount * (1 + rate) if want is Tax.INCLUDED else amount / (1 + rate)


def price(amount: Decimal, currency: str, rounding: str) -> dict[str, str]:
    """A price field's value. Finer amounts are rounded by the declared rule, and refused without one: the shop would keep them, and
    round them anywhere. Raises `NotMoney`."""
    if amount < 0:
        raise NotMoney("is negative")
    exponent = decimals(currency)
    exact = amount.quantize(Decimal(1).scaleb(-exponent), ROUNDINGS.get(rounding, ROUND_HALF_UP))
    if exact != amount and not rounding:
        raise NotMoney(f"is finer than {currency} allows")
    return {"number": format(exact.normalize(), "f"), "currency_code": currency}


def plain_price(prices: Any) -> Any:
    """Of several prices (as feeds of prices have them) the one without list, group and dates, from one piece on, or None."""
    for one in prices if isinstance(prices, list) else []:
        if isinstance(one, Mapping) and not any(map(one.get, ("list", "group", "valid_from", "valid_to"))):
            quantity = one.get("min_quantity")
            if quantity is None or (isinstance(quantity, int | Decimal) and quantity <= 1):
                return one
    return None
