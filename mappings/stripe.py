"""Stripe's events of payment intents, charges, refunds, disputes, reviews and payouts to the canonical model.

https://docs.stripe.com/api/events/types
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from mappings import stripe_objects as shapes
from mappings import stripe_words as words
from mappings.canonical import Ignored, Money, Outcome, PartKind, PartState, PaymentChange, PaymentPart, PaymentState, PayoutChange, Review
from mappings.minor_units import decimal_money

_CODE = re.compile(r"[a-z][a-z_]{0,79}")


_EVENT, _INTENT, _CHARGE, _REFUND = shapes.EventSchema(), shapes.IntentSchema(), shapes.ChargeSchema(), shapes.RefundSchema()
_DISPUTE, _ABOUT, _PAYOUT = shapes.DisputeSchema(), shapes.AboutSchema(), shapes.PayoutSchema()


def translate(raw: Any, metadata_keys: Sequence[str], exponents: Mapping[str, int]) -> PaymentChange | PayoutChange | Ignored:
    """One event to what it says; raises marshmallow's ValidationError. `metadata_keys` name the metadata that holds the shop's
    order id, `exponents` are currencies where the account's differ from `exponent`."""
    kind = raw.get("type") if isinstance(raw, Mapping) else None
    if isinstance(kind, str) and kind not in TOPICS:  # most of what Stripe can send: not worth a schema
        return Ignored(words.IGNORED.get(kind.partition(".")[0], f"topic {kind[:80]} is not known"))
    event = _EVENT.load(raw)
    obj = event["data"]["object"]
    change = TOPICS[event["type"]](obj, event["created"], exponents)
    if change is None:
        return Ignored(f"topic {kind} belongs to no payment")
    metadata = obj.get("metadata")
    if not isinstance(change, PaymentChange) or not isinstance(metadata, Mapping):
        return change
    return replace(change, order_refs=tuple(str(metadata[key]) for key in metadata_keys if metadata.get(key)))


def exponent(currency: str, exponents: Mapping[str, int]) -> int:
    """Digits of Stripe's minor unit for a currency."""
    return exponents.get(currency, 0 if currency in words.ZERO_DECIMAL else 3 if currency in words.THREE_DECIMAL else 2)


def _money(amount: int, currency: str, exponents: Mapping[str, int]) -> Money:
    return decimal_money(Decimal(amount).scaleb(-exponent(currency, exponents)), currency)


def minor(money: Money, exponents: Mapping[str, int]) -> int:
    """An amount in Stripe's minor units."""
    return int(money.amount.scaleb(exponent(money.currency, exponents)))


def _intent(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange:
    intent = _INTENT.load(obj)
    total = _money(intent["amount"], intent["currency"], exponents)
    charge = _CHARGE.load(intent["latest_charge"]) if isinstance(intent["latest_charge"], Mapping) else None
    refunds = ((charge or {}).get("refunds") or {}).get("data", [])
    parts = [_refund_part(refund, exponents) for refund in refunds if refund["payment_intent"] == intent["id"]]
    if intent["status"] == "succeeded":
        received = _received(intent, charge, refunds)
        parts.append(PaymentPart(PartKind.CAPTURE, intent["id"], _money(received, intent["currency"], exponents)))
    state = words.STATUSES.get(intent["status"], PaymentState.PENDING)
    outcome = words.CANCELLATIONS.get(intent["cancellation_reason"], Outcome.CANCELLED) if state is PaymentState.VOIDED else ""
    return PaymentChange(intent["id"], at, state, total, tuple(parts), outcome=outcome)


def _received(intent: Mapping[str, Any], charge: Mapping[str, Any] | None, refunds: Sequence[Mapping[str, Any]]) -> int:
    """What was taken. An intent that does not say it (localstripe's) may have its charge inside, where the rest that was not
    captured is a refund that names no intent."""
    if intent["amount_received"] is not None:
        return int(intent["amount_received"])
    if charge and charge["amount_captured"]:
        return int(charge["amount_captured"])
    return int(intent["amount"]) - sum(int(refund["amount"]) for refund in refunds if not refund["payment_intent"])


def _failed_intent(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange:
    error = _INTENT.load(obj)["last_payment_error"] or {}
    return _failed(_intent(obj, at, exponents), error.get("decline_code") or error.get("code"))


def _failed(change: PaymentChange, code: str | None) -> PaymentChange:
    raw = code if code and _CODE.fullmatch(code) else ""
    return replace(change, state=PaymentState.FAILED, outcome=words.OUTCOMES.get(raw, Outcome.DECLINED), raw_code=raw)


def _charge(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange:
    """A payment intent has events of its own for its state; a charge without one is the payment itself."""
    charge = _CHARGE.load(obj)
    payment = charge["payment_intent"] or charge["id"]
    parts = [_refund_part(refund, exponents) for refund in (charge["refunds"] or {}).get("data", [])]
    if charge["captured"]:
        parts.append(PaymentPart(PartKind.CAPTURE, payment, _money(charge["amount_captured"], charge["currency"], exponents)))
    change = PaymentChange(payment, at, None, None, tuple(parts))
    if charge["payment_intent"]:
        return change
    change = replace(change, state=_charge_state(charge), amount=_money(charge["amount"], charge["currency"], exponents))
    if charge["status"] != "failed":
        return change
    return _failed(change, (charge["outcome"] or {}).get("reason") or charge["failure_code"])


def _charge_state(charge: Mapping[str, Any]) -> PaymentState:
    if charge["status"] != "succeeded":
        return PaymentState.PENDING
    return PaymentState.CAPTURED if charge["captured"] else PaymentState.AUTHORIZED


def _expired_charge(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange:
    """What was authorized and not taken in time: https://docs.stripe.com/payments/place-a-hold-on-a-payment-method"""
    return replace(_charge(obj, at, exponents), state=PaymentState.VOIDED, outcome=Outcome.EXPIRED, raw_code="")


def _refund(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange | None:
    refund = _REFUND.load(obj)
    payment = refund["payment_intent"] or refund["charge"]
    return PaymentChange(payment, at, None, None, (_refund_part(refund, exponents),)) if payment else None


def _refund_part(refund: Mapping[str, Any], exponents: Mapping[str, int]) -> PaymentPart:
    """Old refunds have no status: they are done."""
    state, counts = words.REFUNDS.get(refund["status"] or "succeeded", words.REFUNDS["pending"])
    return PaymentPart(PartKind.REFUND, refund["id"], _money(refund["amount"], refund["currency"], exponents), counts, state)


def _dispute(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange | None:
    dispute = _DISPUTE.load(obj)
    payment = dispute["payment_intent"] or dispute["charge"]
    amount = _money(dispute["amount"], dispute["currency"], exponents)
    state = words.DISPUTES.get(dispute["status"], PartState.OPENED)
    part = PaymentPart(PartKind.DISPUTE, dispute["id"], amount, state not in (PartState.WON, PartState.CLOSED), state)
    return PaymentChange(payment, at, None, None, (part,)) if payment else None


def _opened_review(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange | None:
    about = _ABOUT.load(obj)
    payment = about["payment_intent"] or about["charge"]
    return PaymentChange(payment, at, None, review=Review.HOLD) if payment else None


def _closed_review(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange | None:
    opened = _opened_review(obj, at, exponents)
    return replace(opened, review=words.REVIEWS.get(_ABOUT.load(obj)["closed_reason"], Review.HOLD)) if opened else None


def _warning(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PaymentChange | Ignored | None:
    """https://docs.stripe.com/api/radar/early_fraud_warnings/object"""
    if not _ABOUT.load(obj)["actionable"]:
        return Ignored("the charge of this warning is given back or disputed already")
    return _opened_review(obj, at, exponents)


def _payout(obj: Any, at: datetime, exponents: Mapping[str, int]) -> PayoutChange:
    """https://docs.stripe.com/api/payouts/object; what it is made of is listed elsewhere."""
    payout = _PAYOUT.load(obj)
    state = words.PAYOUTS.get(payout["status"], words.PAYOUTS["pending"])
    return PayoutChange(payout["id"], at, state, _money(payout["amount"], payout["currency"], exponents))


TOPICS: dict[str, Callable[[Any, datetime, Mapping[str, int]], PaymentChange | PayoutChange | Ignored | None]] = {
    "payment_intent.payment_failed": _failed_intent,
    **dict.fromkeys(
        [
            "payment_intent.created",
            "payment_intent.fetched",
            "payment_intent.processing",
            "payment_intent.requires_action",
            "payment_intent.amount_capturable_updated",
            "payment_intent.partially_funded",
            "payment_intent.succeeded",
            "payment_intent.canceled",
        ],
        _intent,
    ),
    **dict.fromkeys(
        ["charge.pending", "charge.succeeded", "charge.failed", "charge.captured", "charge.updated", "charge.refunded"], _charge
    ),
    "charge.expired": _expired_charge,
    **dict.fromkeys(["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"], _refund),
    **dict.fromkeys(
        [f"charge.dispute.{what}" for what in ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated")], _dispute
    ),
    "review.opened": _opened_review,
    "review.closed": _closed_review,
    **dict.fromkeys(["radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"], _warning),
    **dict.fromkeys(
        [f"payout.{what}" for what in ("created", "updated", "paid", "failed", "canceled", "reconciliation_completed")], _payout
    ),
}
