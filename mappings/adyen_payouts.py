"""Adyen's transfers from a balance account to the merchant's bank, as payouts.

https://docs.adyen.com/platforms/payout-to-users/payout-webhooks
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from mappings.canonical import Ignored, PayoutChange, PayoutState
from mappings.fields import Instant, Payload
from mappings.minor_units import Currency, Minor, money

PLATFORM = frozenset({"balancePlatform.transfer.created", "balancePlatform.transfer.updated"})

STATES = {
    "received": PayoutState.PENDING,
    "authorised": PayoutState.PENDING,
    "pending": PayoutState.PENDING,
    "booked": PayoutState.PAID,
    "credited": PayoutState.PAID,
    "failed": PayoutState.FAILED,
    "returned": PayoutState.FAILED,
    "refused": PayoutState.FAILED,
    "rejected": PayoutState.FAILED,
    "cancelled": PayoutState.CANCELLED,
}
"""Status of a transfer; an unknown word means pending, never paid."""


class AmountSchema(Payload):
    value = Minor(required=True)
    currency = Currency(required=True)


class TransferSchema(Payload):
    id = fields.String(required=True, validate=validate.Length(min=1))
    status = fields.String(load_default="")
    amount = fields.Nested(AmountSchema, required=True)
    updatedAt = Instant(load_default=None, allow_none=True)
    creationDate = Instant(load_default=None, allow_none=True)


class TransferEventSchema(Payload):
    timestamp = Instant(load_default=None, allow_none=True)
    data = fields.Nested(TransferSchema, required=True)


_EVENT = TransferEventSchema()


def payout(raw: Mapping[str, Any], exponents: Mapping[str, int]) -> PayoutChange | Ignored:
    """One transfer event to the payout that it is; raises marshmallow's ValidationError."""
    data = raw.get("data")
    if not isinstance(data, Mapping) or (data.get("category"), data.get("direction")) != ("bank", "outgoing"):
        return Ignored("a transfer that is no payout to a bank")
    event = _EVENT.load(raw)
    transfer = event["data"]
    at = transfer["updatedAt"] or event["timestamp"] or transfer["creationDate"]
    if at is None:
        raise ValidationError({"timestamp": ["no time is given"]})
    amount = money(abs(transfer["amount"]["value"]), transfer["amount"]["currency"], exponents)
    return PayoutChange(transfer["id"], at, STATES.get(transfer["status"], PayoutState.PENDING), amount)
