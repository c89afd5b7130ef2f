"""Shared marshmallow fields and the base schema: strict about what we use, indifferent to what we do not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from mappings.canonical import Money


class Payload(Schema):
    """A vendor's object: unknown keys are dropped, because vendors add some every month."""

    class Meta:
        unknown = EXCLUDE


class Identifier(fields.Field[str]):
    """An id from outside, number or text, as a string."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
            raise ValidationError("expected an id")
        return str(value)


class UnixTime(fields.Field[datetime]):
    """Seconds since 1970 to an aware UTC instant."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 253_402_300_800:
            raise ValidationError("expected seconds since 1970")
        return datetime.fromtimestamp(value, UTC)


class Instant(fields.Field[datetime]):
    """RFC 3339 text with a zone to an aware UTC instant."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        try:
            instant = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise ValidationError("expected an RFC 3339 time") from None
        if instant.tzinfo is None:
            raise ValidationError("expected a time with its zone")
        try:
            return instant.astimezone(UTC)
        except OverflowError:
            raise ValidationError("expected an RFC 3339 time") from None


class Exact(fields.Field[Decimal]):
    """A decimal number as text (or an integer), finite; never a float."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):  # a list may be a decimal, too
            raise ValidationError("expected a decimal number as text")
        try:
            number = Decimal(value)
        except (InvalidOperation, TypeError, ValueError):
            raise ValidationError("expected a decimal number as text") from None
        if not number.is_finite() or abs(number) >= Decimal(10) ** 15:
            raise ValidationError("expected a finite decimal number")
        return number


class Price(fields.Field[Money]):
    """Drupal's `{"number": "19.990000", "currency_code": "EUR"}` to `Money`; finer than the currency is refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Money:
        if not isinstance(value, Mapping):
            raise ValidationError("expected number and currency_code")
        number = Exact(required=True).deserialize(value.get("number"))
        currency = fields.String(validate=_is_currency).deserialize(value.get("currency_code"))
        try:
            return Money.of(str(number), str(currency))
        except ValueError:
            raise ValidationError("finer than the currency's minor unit") from None


def _is_currency(value: str) -> None:
    if len(value) != 3 or not value.isascii() or not value.isupper():
        raise ValidationError("expected an ISO 4217 code")


def field_names(messages: Any, prefix: str = "") -> list[str]:
    """The dotted names and rules in a marshmallow error, without any value."""
    if isinstance(messages, Mapping):
        return [line for key, inner in messages.items() for line in field_names(inner, f"{prefix}.{key}" if prefix else str(key))]
    return [f"{prefix}: {' '.join(map(str, messages))}"]
