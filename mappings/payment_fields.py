"""What payment providers' mappings share beside amounts in minor units: amounts as text with their currency, the shop's order ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import ValidationError, fields

from mappings.canonical import Money
from mappings.fields import Exact
from mappings.minor_units import Currency, decimal_money


class Amount(fields.Field[Money]):
    """`{"currency": "EUR", "value": "44.70"}` to `Money`; finer than the currency is refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Money:
        if not isinstance(value, Mapping):
            raise ValidationError("expected currency and value")
        currency, number = Currency().deserialize(value.get("currency")), Exact(required=True).deserialize(value.get("value"))
        assert number is not None
        return decimal_money(number, str(currency))


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
