"""Amounts in a provider's own minor units to `Money` and back: providers disagree with ISO 4217, and with each other."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields

from mappings.canonical import ISO_EXPONENTS, Money

LARGEST = 10**15
"""Minor units beyond which an amount is a mistake: it would not fit a column either."""


class Minor(fields.Field[int]):
    """An amount in minor units: a whole JSON number, no text, no fraction."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= LARGEST:
            raise ValidationError("expected a whole number of minor units")
        return value


class Currency(fields.Field[str]):
    """An ISO 4217 code in either case, as upper case."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or len(value) != 3 or not value.isascii() or not value.isalpha():
            raise ValidationError("expected an ISO 4217 code")
        return value.upper()


def exponent(currency: str, exponents: Mapping[str, int]) -> int:
    """Digits of a currency's minor unit where `exponents` are those that differ from ISO 4217."""
    return exponents.get(currency, ISO_EXPONENTS.get(currency, 2))


def money(minor: int, currency: str, exponents: Mapping[str, int]) -> Money:
    """From the provider's minor units; raises ValidationError when that is finer than the currency is."""
    return decimal_money(Decimal(minor).scaleb(-exponent(currency, exponents)), currency)


def decimal_money(amount: Decimal, currency: str) -> Money:
    """From major units; raises ValidationError when that is finer than the currency is."""
    try:
        return Money.of(amount, currency)
    except ValueError:
        raise ValidationError({"amount": ["finer than the currency's minor unit"]}) from None


def minor_of(amount: Money, exponents: Mapping[str, int]) -> int:
    """To the provider's minor units; raises ValueError when the provider has no unit that small."""
    scaled = amount.amount.scaleb(exponent(amount.currency, exponents))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"the provider has no unit that small in {amount.currency}")
    return int(scaled)
