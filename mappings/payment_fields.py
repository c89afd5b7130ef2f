"""Fields and readings that the payment providers' mappings share: currencies, amounts in either unit, the shop's order ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields

from mappings.canonical import ISO_EXPONENTS, Money
from mappings.fields import Exact

LARGEST = 10**15
"""Minor units; no payment is larger, and the database could not hold it."""


class Currency(fields.Field[str]):
    """An ISO 4217 code in either case, in upper case."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or len(value) != 3 or not value.isascii() or not value.isalpha():
            raise ValidationError("expected an ISO 4217 code")
        return value.upper()


class Minor(fields.Field[int]):
    """Whole minor units."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= LARGEST:
            raise ValidationError("expected whole minor units")
        return value


class Amount(fields.Field[Money]):
    """`{"currency": "EUR", "value": "44.70"}` to `Money`; finer than the currency is refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Money:
        if not isinstance(value, Mapping):
            raise ValidationError("expected currency and value")
        currency = Currency().deserialize(value.get("currency"))
        return major(Exact().deserialize(value.get("value")), str(currency))


def major(number: Any, currency: str) -> Money:
    """An exact amount in major units; raises ValidationError when it is finer than the currency."""
    try:
        money = Money.of(number, currency)
    except ValueError:
        raise ValidationError("finer than the currency's minor unit") from None
    if abs(money.minor) >= LARGEST:
        raise ValidationError("larger than any payment")
    return money


def minor(amount: int, currency: str, exponents: Mapping[str, int]) -> Money:
    """A provider's minor units, `exponents` being where its differ from ISO 4217's."""
    digits = exponents.get(currency, ISO_EXPONENTS.get(currency, 2))
    return major(Decimal(amount).scaleb(-digits), currency)


def units_of(money: Mapping[str, Any], exponents: Mapping[str, int]) -> int:
    """Our `{minor, currency}` in a provider's own minor units; raises ValueError when they are coarser than the amount."""
    exact = Money(int(money["minor"]), str(money["currency"]))
    units = exact.amount.scaleb(exponents.get(exact.currency, ISO_EXPONENTS.get(exact.currency, 2)))
    if units != units.to_integral_value():
        raise ValueError("finer than the provider's minor unit")
    return int(units)


def order_refs(metadata: Any, keys: Sequence[str]) -> tuple[str, ...]:
    """The shop's order ids in what the provider carries for us: an object, or text that holds one."""
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except (ValueError, RecursionError):
            return ()
    if not isinstance(metadata, Mapping):
        return ()
    found = (metadata.get(key) for key in keys)
    return tuple(str(value) for value in found if isinstance(value, str | int) and not isinstance(value, bool) and value != "")
