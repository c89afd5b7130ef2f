"""Mollie's words: events, statuses and failure reasons to the canonical model.

https://docs.mollie.com/reference/webhooks-new · https://docs.mollie.com/docs/status-change
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields

from mappings.canonical import (
    Ignored,
    Money,
    Outcome,
    PartKind,
    PartState,
    PaymentChange,
    PaymentPart,
    PaymentState,
    PayoutChange,
    PayoutState,
)
from mappings.fields import Instant, Payload
from mappings.payment_fields import Amount, order_refs
from mappings.raw_codes import raw_code

STATUSES = {
    "open": PaymentState.PENDING,
    "pending": PaymentState.PENDING,
    "authorized": PaymentState.AUTHORIZED,
    "paid": PaymentState.CAPTURED,
    "failed": PaymentState.FAILED,
    "canceled": PaymentState.VOIDED,
    "expired": PaymentState.VOIDED,
}
"""Payment status; an unknown word means pending, never paid. What expires or is cancelled was never taken."""

OUTCOMES = {
    "authentication_abandoned": Outcome.AUTHENTICATION_FAILED,
    "authentication_failed": Outcome.AUTHENTICATION_FAILED,
    "authentication_required": Outcome.AUTHENTICATION_REQUIRED,
    "authentication_unavailable_acs": Outcome.AUTHENTICATION_FAILED,
    "card_declined": Outcome.DECLINED,
    "card_expired": Outcome.EXPIRED,
    "inactive_card": Outcome.DECLINED,
    "insufficient_funds": Outcome.INSUFFICIENT_FUNDS,
    "invalid_cvv": Outcome.INVALID_DETAILS,
    "invalid_card_holder_name": Outcome.INVALID_DETAILS,
    "invalid_card_number": Outcome.INVALID_DETAILS,
    "invalid_card_type": Outcome.INVALID_DETAILS,
    "possible_fraud": Outcome.FRAUD_SUSPECTED,
    "refused_by_issuer": Outcome.DECLINED,
}
"""`details.failureReason`."""

CAPTURES = {"pending": PartState.PENDING, "succeeded": PartState.DONE, "failed": PartState.FAILED}
REFUNDS = {
    "queued": PartState.PENDING,
    "pending": PartState.PENDING,
    "processing": PartState.PENDING,
    "refunded": PartState.DONE,
    "failed": PartState.FAILED,
    "canceled": PartState.FAILED,
}
PAYOUTS = {"completed": PayoutState.PAID, "failed": PayoutState.FAILED, "canceled": PayoutState.CANCELLED}

IGNORED = {
    "payment-link.paid": "the payment of the link has events of its own",
    "balance-transaction.created": "a balance's bookkeeping; payments and payouts have events of their own",
    "sales-invoice.created": "invoices are not payments",
    "sales-invoice.issued": "invoices are not payments",
    "sales-invoice.canceled": "invoices are not payments",
    "sales-invoice.paid": "invoices are not payments",
    "dispute.created": "the chargeback of a dispute has events of its own, which name its amount",
    "dispute.updated": "the chargeback of a dispute has events of its own, which name its amount",
    "dispute.resolved": "the chargeback of a dispute has events of its own, which name its amount",
}
"""Event types that are ignored on purpose, with the reason."""


class DetailsSchema(Payload):
    failureReason = fields.String(load_default="", allow_none=True)


class PartSchema(Payload):
    id = fields.String(required=True)
    amount = Amount(required=True)
    status = fields.String(load_default="", allow_none=True)
    paymentId = fields.String(load_default="", allow_none=True)
    reversedAt = fields.Raw(load_default=None, allow_none=True)


class EmbeddedPartsSchema(Payload):
    captures = fields.List(fields.Nested(PartSchema), load_default=list)
    refunds = fields.List(fields.Nested(PartSchema), load_default=list)
    chargebacks = fields.List(fields.Nested(PartSchema), load_default=list)


class PaymentSchema(Payload):
    id = fields.String(required=True)
    status = fields.String(required=True)
    amount = Amount(required=True)
    captureMode = fields.String(load_default="", allow_none=True)
    authorizedAt = fields.Raw(load_default=None, allow_none=True)
    details = fields.Nested(DetailsSchema, load_default=None, allow_none=True)
    embedded = fields.Nested(EmbeddedPartsSchema, data_key="_embedded", load_default=None, allow_none=True)


class PayoutSchema(Payload):
    id = fields.String(required=True)
    amount = Amount(required=True)
    status = fields.String(load_default="", allow_none=True)


class EventSchema(Payload):
    type = fields.String(required=True)
    createdAt = Instant(required=True)
    embedded = fields.Dict(data_key="_embedded", load_default=None, allow_none=True)


_EVENT, _PAYMENT, _PART, _PAYOUT = EventSchema(), PaymentSchema(), PartSchema(), PayoutSchema()


def translate(raw: Any, metadata_keys: Sequence[str]) -> PaymentChange | PayoutChange | Ignored:
    """One event to what it says of one payment or payout; raises marshmallow's ValidationError."""
    kind = raw.get("type") if isinstance(raw, Mapping) else None
    if isinstance(kind, str) and kind not in TOPICS:
        return Ignored(f"topic {kind}: {IGNORED.get(kind, 'is not used')}")
    event = _EVENT.load(raw)
    entity = (event["embedded"] or {}).get("entity")
    if entity is None:
        return Ignored(f"topic {kind} names its object only")
    if not isinstance(entity, Mapping):
        raise ValidationError({"_embedded.entity": ["expected an object"]})
    change = TOPICS[event["type"]](entity, event["createdAt"])
    return replace(change, order_refs=order_refs(entity.get("metadata"), metadata_keys)) if isinstance(change, PaymentChange) else change


def is_captured_apart(payment: Mapping[str, Any]) -> bool:
    """Whether money is taken by captures with ids of their own, after an authorization."""
    return payment.get("captureMode") == "manual" or bool(payment.get("authorizedAt"))


def amount_of(money: Mapping[str, Any]) -> dict[str, str]:
    """Our `{minor, currency}` as Mollie writes it: text with exactly the currency's decimals."""
    exact = Money(int(money["minor"]), str(money["currency"]))
    return {"currency": exact.currency, "value": format(exact.amount, "f")}


def _payment(entity: Mapping[str, Any], at: datetime) -> PaymentChange:
    payment = _PAYMENT.load(entity)
    status, embedded = payment["status"], payment["embedded"] or {}
    parts = [_part(PartKind.CAPTURE, part, CAPTURES) for part in embedded.get("captures", [])]
    if status == "paid" and not is_captured_apart(payment):
        parts = [PaymentPart(PartKind.CAPTURE, payment["id"], payment["amount"])]
    parts += [_part(PartKind.REFUND, part, REFUNDS) for part in embedded.get("refunds", [])]
    parts += [_dispute(part) for part in embedded.get("chargebacks", [])]
    change = PaymentChange(payment["id"], at, STATUSES.get(status, PaymentState.PENDING), payment["amount"], tuple(parts))
    if status == "failed":
        reason = (payment["details"] or {}).get("failureReason") or ""
        return replace(change, outcome=OUTCOMES.get(reason, Outcome.DECLINED), raw_code=raw_code(reason))
    return replace(change, outcome=_OVER.get(status, Outcome.NONE))


_OVER = {"canceled": Outcome.CANCELLED, "expired": Outcome.EXPIRED}


def _part(kind: PartKind, part: Mapping[str, Any], states: Mapping[str, PartState]) -> PaymentPart:
    # Captures had no status before 2024: what was made was done.
    state = states.get(part["status"], PartState.PENDING) if part["status"] else PartState.DONE
    counts = state is not PartState.FAILED and (kind is PartKind.REFUND or state is PartState.DONE)
    return PaymentPart(kind, part["id"], part["amount"], counts, state)


def _dispute(part: Mapping[str, Any]) -> PaymentPart:
    won = bool(part["reversedAt"])
    return PaymentPart(PartKind.DISPUTE, part["id"], part["amount"], not won, PartState.WON if won else PartState.OPENED)


def _of(part: Mapping[str, Any], made: PaymentPart, at: datetime) -> PaymentChange | Ignored:
    return PaymentChange(part["paymentId"], at, None, None, (made,)) if part["paymentId"] else Ignored("it belongs to no payment")


def _refund(entity: Mapping[str, Any], at: datetime) -> PaymentChange | Ignored:
    part = _PART.load(entity)
    return _of(part, _part(PartKind.REFUND, part, REFUNDS), at)


def _capture(entity: Mapping[str, Any], at: datetime) -> PaymentChange | Ignored:
    part = _PART.load(entity)
    return _of(part, _part(PartKind.CAPTURE, part, CAPTURES), at)


def _chargeback(entity: Mapping[str, Any], at: datetime) -> PaymentChange | Ignored:
    part = _PART.load(entity)
    return _of(part, _dispute(part), at)


def _reversed_chargeback(entity: Mapping[str, Any], at: datetime) -> PaymentChange | Ignored:
    part = _PART.load(entity)
    return _of(part, _dispute({**part, "reversedAt": True}), at)


def _payout(entity: Mapping[str, Any], at: datetime) -> PayoutChange:
    payout = _PAYOUT.load(entity)
    return PayoutChange(payout["id"], at, PAYOUTS.get(payout["status"], PayoutState.PENDING), payout["amount"])


TOPICS: dict[str, Callable[[Mapping[str, Any], datetime], PaymentChange | PayoutChange | Ignored]] = {
    **dict.fromkeys(
        (f"payment.{word}" for word in ("paid", "authorized", "failed", "canceled", "expired", "pending", "fetched")), _payment
    ),
    **dict.fromkeys((f"refund.{word}" for word in REFUNDS), _refund),
    **dict.fromkeys(("capture.succeeded", "capture.failed"), _capture),
    "chargeback.received": _chargeback,
    "chargeback.reversed": _reversed_chargeback,
    **dict.fromkeys((f"payout.{word}" for word in ("initiated", "processing-at-bank", *PAYOUTS)), _payout),
}
