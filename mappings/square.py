"""Square's words: payments, refunds, disputes and payouts to the canonical model.

https://developer.squareup.com/reference/square/webhooks · https://developer.squareup.com/reference/square/objects/Payment

A Square payment is captured once, whole: the capture is known by the payment's own id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields, pre_load, validate

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
    Review,
)
from mappings.fields import Instant, Payload
from mappings.minor_units import Currency, Minor, money
from mappings.raw_codes import raw_code
from mappings.square_words import DISPUTES, IGNORED, OUTCOMES, PAYMENTS, PAYOUTS, REFUNDS


@dataclass(frozen=True, slots=True)
class Rules:
    """Minor units that differ, and the fields of a payment that hold the shop's order id."""

    exponents: Mapping[str, int]
    reference_fields: Sequence[str] = ("reference_id",)


class MoneySchema(Payload):
    amount = Minor(required=True)
    currency = Currency(required=True)

    @pre_load
    def _either_name(self, data: Any, **kwargs: Any) -> Any:
        """A payout's money has `currency_code` in Square's examples."""
        known = isinstance(data, Mapping) and "currency" not in data and "currency_code" in data
        return {**data, "currency": data["currency_code"]} if known else data


class ErrorSchema(Payload):
    code = fields.String(load_default="", allow_none=True)


class CardSchema(Payload):
    errors = fields.List(fields.Nested(ErrorSchema), load_default=list, allow_none=True)


class RiskSchema(Payload):
    risk_level = fields.String(load_default="", allow_none=True)


class PaymentSchema(Payload):
    id = fields.String(required=True, validate=validate.Length(min=1))
    status = fields.String(load_default="", allow_none=True)
    amount_money = fields.Nested(MoneySchema, required=True)
    total_money = fields.Nested(MoneySchema, load_default=None, allow_none=True)
    updated_at = Instant(load_default=None, allow_none=True)
    card_details = fields.Nested(CardSchema, load_default=None, allow_none=True)
    risk_evaluation = fields.Nested(RiskSchema, load_default=None, allow_none=True)


class RefundSchema(Payload):
    id = fields.String(required=True, validate=validate.Length(min=1))
    status = fields.String(load_default="", allow_none=True)
    amount_money = fields.Nested(MoneySchema, required=True)
    payment_id = fields.String(load_default="", allow_none=True)
    updated_at = Instant(load_default=None, allow_none=True)


class DisputedSchema(Payload):
    payment_id = fields.String(load_default="", allow_none=True)


class DisputeSchema(Payload):
    id = fields.String(load_default="", allow_none=True)
    dispute_id = fields.String(load_default="", allow_none=True)
    state = fields.String(load_default="", allow_none=True)
    amount_money = fields.Nested(MoneySchema, required=True)
    disputed_payment = fields.Nested(DisputedSchema, load_default=None, allow_none=True)
    updated_at = Instant(load_default=None, allow_none=True)


class FeeSchema(Payload):
    amount_money = fields.Nested(MoneySchema, required=True)


class PayoutSchema(Payload):
    id = fields.String(required=True, validate=validate.Length(min=1))
    status = fields.String(load_default="", allow_none=True)
    amount_money = fields.Nested(MoneySchema, required=True)
    payout_fee = fields.List(fields.Nested(FeeSchema), load_default=list, allow_none=True)
    updated_at = Instant(load_default=None, allow_none=True)


class DataSchema(Payload):
    object = fields.Dict(required=True, keys=fields.String())


class EventSchema(Payload):
    type = fields.String(required=True)
    created_at = Instant(required=True)
    data = fields.Nested(DataSchema, required=True)


_EVENT, _PAYMENT, _REFUND, _DISPUTE, _PAYOUT = EventSchema(), PaymentSchema(), RefundSchema(), DisputeSchema(), PayoutSchema()


def translate(raw: Any, rules: Rules) -> PaymentChange | PayoutChange | Ignored:
    """One event to what it says; raises marshmallow's ValidationError."""
    kind = raw.get("type") if isinstance(raw, Mapping) else None
    if isinstance(kind, str) and kind not in READERS:
        return Ignored(IGNORED.get(kind.partition(".")[0], f"event {kind[:80]} is not known"))
    event = _EVENT.load(raw)
    return READERS[event["type"]](event["data"]["object"], event["created_at"], rules)


def _payment(obj: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange:
    raw = _inside(obj, "payment")
    payment = _PAYMENT.load(raw)
    total = _money(payment["total_money"] or payment["amount_money"], rules)
    state = PAYMENTS.get(payment["status"], PaymentState.PENDING)
    change = PaymentChange(payment["id"], payment["updated_at"] or at, state, total, (), _references(raw, rules))
    if (payment["risk_evaluation"] or {}).get("risk_level") == "HIGH":
        change = replace(change, review=Review.HOLD)
    if state is PaymentState.CAPTURED:
        return replace(change, parts=(PaymentPart(PartKind.CAPTURE, payment["id"], total),))
    if state is PaymentState.FAILED:
        errors = (payment["card_details"] or {}).get("errors") or [{}]
        code = errors[0].get("code") or ""
        return replace(change, outcome=OUTCOMES.get(code, Outcome.DECLINED), raw_code=raw_code(code))
    return change


def _fetched(obj: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange:
    """A payment with its refunds: see the connector's `fetch_payment`."""
    change, refunds = _payment(obj, at, rules), obj.get("refunds")
    parts = [_refund_part(_REFUND.load(refund), rules) for refund in (refunds if isinstance(refunds, list) else [])]
    return replace(change, parts=(*change.parts, *parts))


def _refund(obj: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange | Ignored:
    refund = _REFUND.load(_inside(obj, "refund"))
    if not refund["payment_id"]:
        return Ignored("a refund of no payment")
    return PaymentChange(refund["payment_id"], refund["updated_at"] or at, None, None, (_refund_part(refund, rules),))


def _refund_part(refund: Mapping[str, Any], rules: Rules) -> PaymentPart:
    state, counts = REFUNDS.get(refund["status"], REFUNDS["PENDING"])
    return PaymentPart(PartKind.REFUND, refund["id"], _money(refund["amount_money"], rules), counts, state)


def _dispute(obj: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange | Ignored:
    dispute = _DISPUTE.load(_inside(obj, "dispute"))
    payment, one = (dispute["disputed_payment"] or {}).get("payment_id"), dispute["id"] or dispute["dispute_id"]
    if not payment:
        return Ignored("a dispute about no payment")
    if not one:
        raise ValidationError({"dispute": {"id": ["Missing data for required field."]}})
    state = DISPUTES.get(dispute["state"], PartState.UNDER_REVIEW)
    counts = state not in (PartState.WON, PartState.CLOSED)
    part = PaymentPart(PartKind.DISPUTE, one, _money(dispute["amount_money"], rules), counts, state)
    return PaymentChange(payment, dispute["updated_at"] or at, None, None, (part,))


def _payout(obj: Mapping[str, Any], at: datetime, rules: Rules) -> PayoutChange:
    """Its time is the event's: the examples of Square's own description have an `updated_at` of 1970."""
    payout = _PAYOUT.load(_inside(obj, "payout"))
    amount = _money(payout["amount_money"], rules)
    fees = [_money(fee["amount_money"], rules) for fee in payout["payout_fee"] or []]
    if any(fee.currency != amount.currency for fee in fees):
        raise ValidationError({"payout": {"payout_fee": ["another currency than the payout's"]}})
    fee = sum(fees[1:], fees[0]) if fees else None
    return PayoutChange(payout["id"], at, PAYOUTS.get(payout["status"], PayoutState.PENDING), amount, fee)


def _inside(obj: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = obj.get(name)
    if not isinstance(found, Mapping):
        raise ValidationError({name: ["Missing data for required field."]})
    return found


def _references(payment: Mapping[str, Any], rules: Rules) -> tuple[str, ...]:
    found = (payment.get(name) for name in rules.reference_fields)
    return tuple(dict.fromkeys(text for text in found if isinstance(text, str) and text))


def _money(value: Mapping[str, Any], rules: Rules) -> Money:
    return money(value["amount"], value["currency"], rules.exponents)


_DISPUTE_EVENTS = (
    "created",
    "state.updated",
    "state.changed",
    "evidence.added",
    "evidence.created",
    "evidence.removed",
    "evidence.deleted",
)
READERS: dict[str, Callable[[Mapping[str, Any], datetime, Rules], PaymentChange | PayoutChange | Ignored]] = {
    **dict.fromkeys(["payment.created", "payment.updated"], _payment),
    **dict.fromkeys(["refund.created", "refund.updated", "refund.listed"], _refund),
    **dict.fromkeys([f"dispute.{word}" for word in _DISPUTE_EVENTS], _dispute),
    **dict.fromkeys(["payout.sent", "payout.paid", "payout.failed"], _payout),
    **dict.fromkeys(["payment.fetched", "payment.listed"], _fetched),
}
"""`…fetched` and `…listed` are our own names for what was asked and not sent."""
