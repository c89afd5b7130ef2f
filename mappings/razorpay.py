"""Razorpay's words: events, payment statuses and error reasons to the canonical model.

https://razorpay.com/docs/webhooks/payloads/payments · https://razorpay.com/docs/webhooks/payloads/refunds
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from mappings.fields import Payload, UnixTime
from mappings.minor_units import Currency, Minor, money
from mappings.payment_fields import order_refs
from mappings.raw_codes import raw_code

STATUSES = {
    "created": PaymentState.PENDING,
    "authorized": PaymentState.AUTHORIZED,
    "captured": PaymentState.CAPTURED,
    "refunded": PaymentState.CAPTURED,
    "failed": PaymentState.FAILED,
}
"""Payment status; an unknown word means pending, never paid. What was given back is told by the refunds."""

OUTCOMES = {
    "insufficient_funds": Outcome.INSUFFICIENT_FUNDS,
    "insufficient_balance": Outcome.INSUFFICIENT_FUNDS,
    "payment_cancelled": Outcome.CANCELLED,
    "payment_timed_out": Outcome.CANCELLED,
    "card_expired": Outcome.EXPIRED,
    "incorrect_cvv": Outcome.INVALID_DETAILS,
    "incorrect_card_expiry_date": Outcome.INVALID_DETAILS,
    "incorrect_card_details": Outcome.INVALID_DETAILS,
    "authentication_failed": Outcome.AUTHENTICATION_FAILED,
    "incorrect_otp": Outcome.AUTHENTICATION_FAILED,
    "otp_expired": Outcome.AUTHENTICATION_FAILED,
    "transaction_limit_exceeded": Outcome.LIMIT_EXCEEDED,
    "payment_risk_check_failed": Outcome.FRAUD_SUSPECTED,
    "GATEWAY_ERROR": Outcome.PROVIDER_ERROR,
    "SERVER_ERROR": Outcome.PROVIDER_ERROR,
}
"""`error_reason`, or `error_code` where no reason is known."""

REFUNDS = {"pending": PartState.PENDING, "processed": PartState.DONE, "failed": PartState.FAILED}
DISPUTES = {
    "payment.dispute.created": PartState.OPENED,
    "payment.dispute.action_required": PartState.EVIDENCE_REQUIRED,
    "payment.dispute.under_review": PartState.UNDER_REVIEW,
    "payment.dispute.won": PartState.WON,
    "payment.dispute.lost": PartState.LOST,
    "payment.dispute.closed": PartState.CLOSED,
}

IGNORED = {
    "payment_link": "the payment of the link has events of its own",
    "invoice": "the payment of the invoice has events of its own",
    "subscription": "subscriptions are no payments of an order",
    "virtual_account": "accounts are no payments",
    "fund_account": "accounts are no payments",
    "payout": "payouts of RazorpayX go to others, not to the merchant",
    "transfer": "transfers go to others, not to the merchant",
    "account": "accounts are no payments",
    "payment.downtime": "it is about a bank, not a payment",
}
"""Families of events that are ignored on purpose, with the reason."""


class PaymentSchema(Payload):
    id = fields.String(required=True)
    amount = Minor(required=True)
    currency = Currency(required=True)
    status = fields.String(required=True)
    captured = fields.Raw(load_default=None, allow_none=True)
    error_code = fields.String(load_default="", allow_none=True)
    error_reason = fields.String(load_default="", allow_none=True)


class RefundSchema(Payload):
    id = fields.String(required=True)
    payment_id = fields.String(required=True)
    amount = Minor(required=True)
    currency = Currency(required=True)
    status = fields.String(load_default="", allow_none=True)


class DisputeSchema(Payload):
    id = fields.String(required=True)
    payment_id = fields.String(required=True)
    amount = Minor(required=True)
    currency = Currency(required=True)
    phase = fields.String(load_default="", allow_none=True)


class SettlementSchema(Payload):
    id = fields.String(required=True)
    amount = Minor(required=True)
    currency = Currency(load_default="INR")
    status = fields.String(load_default="", allow_none=True)
    fees = Minor(load_default=None, allow_none=True)


class EventSchema(Payload):
    event = fields.String(required=True)
    created_at = UnixTime(required=True)
    payload = fields.Dict(required=True)


_EVENT, _PAYMENT, _REFUND, _DISPUTE, _SETTLEMENT = EventSchema(), PaymentSchema(), RefundSchema(), DisputeSchema(), SettlementSchema()


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name, time and entities by kind; `exponents` where the account's minor units differ from ISO 4217's."""

    name: str
    at: datetime
    entities: Mapping[str, Any]
    exponents: Mapping[str, int]

    def money(self, entity: Mapping[str, Any], key: str = "amount") -> Money:
        """An amount of an entity."""
        return money(entity[key], entity["currency"], self.exponents)


def translate(raw: Any, notes_keys: Sequence[str], exponents: Mapping[str, int]) -> PaymentChange | PayoutChange | Ignored:
    """One event to what it says; raises marshmallow's ValidationError."""
    name = raw.get("event") if isinstance(raw, Mapping) else None
    if isinstance(name, str) and name not in TOPICS:
        return Ignored(f"topic {name}: {_why_ignored(name)}")
    loaded = _EVENT.load(raw)
    event = Event(loaded["event"], loaded["created_at"], _entities(loaded["payload"]), exponents)
    change = TOPICS[event.name](event)
    if not isinstance(change, PaymentChange):
        return change
    return replace(change, order_refs=_refs(event.entities, notes_keys))


def _why_ignored(name: str) -> str:
    return next((reason for family, reason in IGNORED.items() if name.startswith(f"{family}.")), "is not used")


def _entities(payload: Mapping[str, Any]) -> dict[str, Any]:
    """{"payment": {"entity": {…}}} to {"payment": {…}}."""
    return {kind: holder.get("entity") for kind, holder in payload.items() if isinstance(holder, Mapping)}


def _refs(entities: Mapping[str, Any], keys: Sequence[str]) -> tuple[str, ...]:
    """Notes are an object, or an empty list when there are none; an order's receipt is the merchant's own number."""
    found: list[str] = []
    for kind in ("payment", "order"):
        entity = entities.get(kind)
        if isinstance(entity, Mapping):
            found += [*order_refs(entity.get("notes"), keys), *(order_refs(entity, ("receipt",)) if kind == "order" else ())]
    return tuple(dict.fromkeys(found))


def _load(schema: Payload, event: Event, kind: str) -> Any:
    entity = event.entities.get(kind)
    if not isinstance(entity, Mapping):
        raise ValidationError({f"payload.{kind}.entity": ["expected an object"]})
    return schema.load(entity)


def _payment(event: Event) -> PaymentChange:
    payment = _load(_PAYMENT, event, "payment")
    state, total = STATUSES.get(payment["status"], PaymentState.PENDING), event.money(payment)
    # Money is captured all at once, so the capture needs no id of its own.
    parts = [PaymentPart(PartKind.CAPTURE, payment["id"], total)] if state is PaymentState.CAPTURED else []
    refunds = event.entities.get("refunds")
    parts += [_refund_part(event, _REFUND.load(one)) for one in (refunds if isinstance(refunds, list) else [])]
    change = PaymentChange(payment["id"], event.at, state, total, tuple(parts))
    if state is not PaymentState.FAILED:
        return change
    reason, code = payment["error_reason"] or "", payment["error_code"] or ""
    return replace(change, outcome=OUTCOMES.get(reason, OUTCOMES.get(code, Outcome.DECLINED)), raw_code=raw_code(reason or code))


def _refund(event: Event) -> PaymentChange:
    refund = _load(_REFUND, event, "refund")
    return PaymentChange(refund["payment_id"], event.at, None, None, (_refund_part(event, refund),))


def _refund_part(event: Event, refund: Mapping[str, Any]) -> PaymentPart:
    known = {"refund.processed": PartState.DONE, "refund.failed": PartState.FAILED}
    state = known.get(event.name) or REFUNDS.get(refund["status"] or "", PartState.PENDING)
    return PaymentPart(PartKind.REFUND, refund["id"], event.money(refund), state is not PartState.FAILED, state)


def _dispute(event: Event) -> PaymentChange:
    """A retrieval asks for papers only; other phases hold the money until they are won or closed."""
    dispute, state = _load(_DISPUTE, event, "dispute"), DISPUTES[event.name]
    counts = state not in (PartState.WON, PartState.CLOSED) and (dispute["phase"] != "retrieval" or state is PartState.LOST)
    part = PaymentPart(PartKind.DISPUTE, dispute["id"], event.money(dispute), counts, state)
    return PaymentChange(dispute["payment_id"], event.at, None, None, (part,))


def _settlement(event: Event) -> PayoutChange:
    paid = _load(_SETTLEMENT, event, "settlement")
    fee = event.money(paid, "fees") if paid["fees"] is not None else None
    state = {"processed": PayoutState.PAID, "failed": PayoutState.FAILED}.get(paid["status"] or "", PayoutState.PENDING)
    return PayoutChange(paid["id"], event.at, state, event.money(paid), fee)


TOPICS: dict[str, Callable[[Event], PaymentChange | PayoutChange]] = {
    **dict.fromkeys((f"payment.{word}" for word in ("authorized", "captured", "failed", "pending", "fetched")), _payment),
    "order.paid": _payment,
    **dict.fromkeys((f"refund.{word}" for word in ("created", "processed", "failed", "speed_changed", "arn_updated")), _refund),
    **dict.fromkeys(DISPUTES, _dispute),
    "settlement.processed": _settlement,
}
