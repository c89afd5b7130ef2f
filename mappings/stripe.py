"""Stripe's words: event types, payment intent states and decline codes to the canonical model.

https://docs.stripe.com/api/events/types · https://docs.stripe.com/payments/paymentintents/lifecycle · https://docs.stripe.com/declines/codes
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from marshmallow import fields, validate

from mappings.canonical import Ignored, Money, PartKind, PaymentChange, PaymentPart, PaymentState
from mappings.fields import Payload, UnixTime

ZERO_DECIMAL = frozenset(["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"])
"""Currencies whose amounts Stripe sends in major units: https://docs.stripe.com/currencies#zero-decimal."""
THREE_DECIMAL = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])

STATUSES = {
    "requires_payment_method": PaymentState.PENDING,
    "requires_confirmation": PaymentState.PENDING,
    "requires_action": PaymentState.REQUIRES_ACTION,
    "processing": PaymentState.PENDING,
    "requires_capture": PaymentState.AUTHORIZED,
    "canceled": PaymentState.VOIDED,
    "succeeded": PaymentState.CAPTURED,
}
"""PaymentIntent status; an unknown word means pending, never paid."""

OUTCOMES = {
    "card_declined": "declined",
    "generic_decline": "declined",
    "insufficient_funds": "insufficient_funds",
    "fraudulent": "fraud_suspected",
    "authentication_required": "authentication_required",
    "payment_intent_authentication_failure": "authentication_failed",
    "expired_card": "expired",
    "processing_error": "provider_error",
    "lost_card": "declined",
    "stolen_card": "fraud_suspected",
}

DISPUTE_OVER = frozenset({"won", "warning_closed", "prevented"})
REFUND_FAILED = frozenset({"failed", "canceled"})


class ErrorSchema(Payload):
    code = fields.String(load_default="", allow_none=True)
    decline_code = fields.String(load_default="", allow_none=True)


class IntentSchema(Payload):
    id = fields.String(required=True)
    amount = fields.Integer(required=True, strict=True)
    currency = fields.String(required=True, validate=validate.Length(equal=3))
    status = fields.String(required=True)
    amount_received = fields.Integer(load_default=None, allow_none=True, strict=True)
    latest_charge = fields.Raw(load_default=None, allow_none=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)
    last_payment_error = fields.Nested(ErrorSchema, load_default=None, allow_none=True)


class RefundSchema(Payload):
    id = fields.String(required=True)
    amount = fields.Integer(required=True, strict=True)
    currency = fields.String(required=True, validate=validate.Length(equal=3))
    status = fields.String(load_default="succeeded", allow_none=True)
    charge = fields.String(load_default=None, allow_none=True)
    payment_intent = fields.String(load_default=None, allow_none=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict, allow_none=True)


class RefundListSchema(Payload):
    data = fields.List(fields.Nested(RefundSchema), load_default=list)


class ChargeSchema(Payload):
    id = fields.String(required=True)
    amount = fields.Integer(required=True, strict=True)
    amount_captured = fields.Integer(load_default=0, strict=True)
    amount_refunded = fields.Integer(load_default=0, strict=True)
    currency = fields.String(required=True, validate=validate.Length(equal=3))
    captured = fields.Boolean(load_default=False)
    payment_intent = fields.String(load_default=None, allow_none=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)
    refunds = fields.Nested(RefundListSchema, load_default=None, allow_none=True)


class DisputeSchema(Payload):
    id = fields.String(required=True)
    amount = fields.Integer(required=True, strict=True)
    currency = fields.String(required=True, validate=validate.Length(equal=3))
    status = fields.String(required=True)
    charge = fields.String(load_default=None, allow_none=True)
    payment_intent = fields.String(load_default=None, allow_none=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict, allow_none=True)


class DataSchema(Payload):
    object = fields.Dict(required=True)


class EventSchema(Payload):
    id = fields.String(required=True)
    type = fields.String(required=True)
    created = UnixTime(required=True)
    data = fields.Nested(DataSchema, required=True)


_EVENT, _INTENT, _CHARGE, _REFUND, _DISPUTE = EventSchema(), IntentSchema(), ChargeSchema(), RefundSchema(), DisputeSchema()


def translate(raw: Mapping[str, Any], metadata_keys: Sequence[str], exponents: Mapping[str, int]) -> PaymentChange | Ignored:
    """One event to what it says of one payment; raises marshmallow's ValidationError. `metadata_keys` name the metadata that
    holds the shop's order id, `exponents` are currencies where the account's differ from `exponent`."""
    kind = raw.get("type") if isinstance(raw, Mapping) else None
    if isinstance(kind, str) and kind not in TOPICS:  # most of what Stripe can send: not worth a schema
        return Ignored(f"topic {kind} is not used")
    event = _EVENT.load(raw)
    read = TOPICS[event["type"]]
    obj = event["data"]["object"]
    change = read(obj, event["created"], exponents)
    if change is None:
        return Ignored(f"topic {kind} belongs to no payment")
    metadata = obj.get("metadata") or {}
    return replace(change, order_refs=tuple(str(metadata[key]) for key in metadata_keys if metadata.get(key)))


def exponent(currency: str, exponents: Mapping[str, int]) -> int:
    """Digits of Stripe's minor unit for a currency."""
    return exponents.get(currency, 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2)


def _money(amount: int, currency: str, exponents: Mapping[str, int]) -> Money:
    code = currency.upper()
    return Money.of(Decimal(amount).scaleb(-exponent(code, exponents)), code)


def minor(money: Money, exponents: Mapping[str, int]) -> int:
    """An amount in Stripe's minor units."""
    return int(money.amount.scaleb(exponent(money.currency, exponents)))


def _intent(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange:
    intent = _INTENT.load(obj)
    total = _money(intent["amount"], intent["currency"], exponents)
    parts: tuple[PaymentPart, ...] = ()
    if intent["status"] == "succeeded":
        parts = (PaymentPart(PartKind.CAPTURE, intent["id"], _money(_received(intent), intent["currency"], exponents)),)
    return PaymentChange(intent["id"], at, STATUSES.get(intent["status"], PaymentState.PENDING), total, parts)


def _received(intent: Mapping[str, Any]) -> int:
    """What was taken. An intent that does not say it (localstripe's) may have its charge inside, where the rest that was not
    captured counts as refunded."""
    if intent["amount_received"] is not None:
        return int(intent["amount_received"])
    if not isinstance(intent["latest_charge"], Mapping):
        return int(intent["amount"])
    charge = _CHARGE.load(intent["latest_charge"])
    return int(charge["amount_captured"] or intent["amount"] - charge["amount_refunded"])


def _failed_intent(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange:
    error = _INTENT.load(obj)["last_payment_error"] or {}
    raw = error.get("decline_code") or error.get("code") or ""
    change = _intent(obj, at, exponents)
    return replace(change, state=PaymentState.FAILED, outcome=OUTCOMES.get(raw, "declined"), raw_code=raw)


def _charge(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange | None:
    charge = _CHARGE.load(obj)
    payment = charge["payment_intent"] or charge["id"]
    parts = [_refund_part(refund, exponents) for refund in (charge["refunds"] or {}).get("data", [])]
    if charge["captured"]:
        parts.append(PaymentPart(PartKind.CAPTURE, payment, _money(charge["amount_captured"], charge["currency"], exponents)))
    return PaymentChange(payment, at, None, None, tuple(parts))


def _refund(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange | None:
    refund = _REFUND.load(obj)
    payment = refund["payment_intent"] or refund["charge"]
    return PaymentChange(payment, at, None, None, (_refund_part(refund, exponents),)) if payment else None


def _refund_part(refund: Mapping[str, Any], exponents: Mapping[str, int]) -> PaymentPart:
    return PaymentPart(
        PartKind.REFUND, refund["id"], _money(refund["amount"], refund["currency"], exponents), refund["status"] not in REFUND_FAILED
    )


def _dispute(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange | None:
    dispute = _DISPUTE.load(obj)
    payment = dispute["payment_intent"] or dispute["charge"]
    amount = _money(dispute["amount"], dispute["currency"], exponents)
    part = PaymentPart(PartKind.DISPUTE, dispute["id"], amount, dispute["status"] not in DISPUTE_OVER)
    return PaymentChange(payment, at, None, None, (part,)) if payment else None


TOPICS: dict[str, Callable[[Any, datetime, Mapping[str, int]], PaymentChange | None]] = {
    "payment_intent.created": _intent,
    "payment_intent.fetched": _intent,
    "payment_intent.processing": _intent,
    "payment_intent.requires_action": _intent,
    "payment_intent.amount_capturable_updated": _intent,
    "payment_intent.partially_funded": _intent,
    "payment_intent.succeeded": _intent,
    "payment_intent.canceled": _intent,
    "payment_intent.payment_failed": _failed_intent,
    "charge.succeeded": _charge,
    "charge.captured": _charge,
    "charge.updated": _charge,
    "charge.refunded": _charge,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.refund.updated": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.closed": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.funds_reinstated": _dispute,
}
