"""GoCardless' words: events, payment, refund and payout statuses and causes to the canonical model.

https://developer.gocardless.com/api-reference#core-endpoints-events · amounts are whole minor units
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields

from mappings.canonical import (
    Ignored,
    Outcome,
    PartKind,
    PartState,
    PaymentChange,
    PaymentPart,
    PaymentState,
    PayoutChange,
    PayoutState,
    SettledPart,
)
from mappings.fields import Exact, Instant, Payload
from mappings.minor_units import Currency, Minor, money
from mappings.payment_fields import order_refs
from mappings.raw_codes import raw_code

STATUSES = {
    "pending_customer_approval": PaymentState.PENDING,
    "pending_submission": PaymentState.PENDING,
    "submitted": PaymentState.PENDING,
    "confirmed": PaymentState.CAPTURED,
    "paid_out": PaymentState.CAPTURED,
    "charged_back": PaymentState.CAPTURED,
    "failed": PaymentState.FAILED,
    "cancelled": PaymentState.VOIDED,
    "customer_approval_denied": PaymentState.VOIDED,
}
"""Payment status; an unknown word means pending, never paid. Nothing is ever authorized only."""

ACTIONS: dict[str, PaymentState | None] = {
    "created": PaymentState.PENDING,
    "customer_approval_granted": PaymentState.PENDING,
    "customer_approval_denied": PaymentState.VOIDED,
    "submitted": PaymentState.PENDING,
    "resubmission_requested": PaymentState.PENDING,
    "confirmed": PaymentState.CAPTURED,
    "paid_out": PaymentState.CAPTURED,
    "failed": PaymentState.FAILED,
    "cancelled": PaymentState.VOIDED,
    "charged_back": None,
    "chargeback_cancelled": None,
    "chargeback_settled": None,
    "late_failure_settled": None,
    "surcharge_fee_debited": None,
}
"""What an event of a payment says by itself; it names no amounts, so that the payment is asked for."""

OUTCOMES = {
    "insufficient_funds": Outcome.INSUFFICIENT_FUNDS,
    "refer_to_payer": Outcome.INSUFFICIENT_FUNDS,
    "bank_account_closed": Outcome.INVALID_DETAILS,
    "bank_account_disabled": Outcome.INVALID_DETAILS,
    "invalid_bank_details": Outcome.INVALID_DETAILS,
    "mandate_cancelled": Outcome.CANCELLED,
    "mandate_expired": Outcome.EXPIRED,
    "payment_cancelled": Outcome.CANCELLED,
    "payment_stopped": Outcome.CANCELLED,
    "authorisation_disputed": Outcome.CANCELLED,
    "initial_one_off_payment_failed": Outcome.PROVIDER_ERROR,
}
"""`details.cause` of a failure."""

REFUNDS = {
    "created": PartState.PENDING,
    "pending_submission": PartState.PENDING,
    "submitted": PartState.PENDING,
    "paid": PartState.DONE,
    "cancelled": PartState.FAILED,
    "failed": PartState.FAILED,
    "bounced": PartState.FAILED,
    "funds_returned": PartState.REVERSED,
}
PAYOUTS = {"pending": PayoutState.PENDING, "paid": PayoutState.PAID, "bounced": PayoutState.FAILED}

ASKED = {"payments": "payment", "refunds": "refund", "payouts": "payout"}
"""Resource types that are asked for, and the link that names them: their events say no amounts."""

IGNORED = {
    "mandates": "a mandate is no payment; its end is seen at the payments that fail",
    "subscriptions": "each payment of a subscription has events of its own",
    "instalment_schedules": "each payment of a schedule has events of its own",
    "billing_requests": "the payment that it makes has events of its own",
    "outbound_payments": "money sent to others is no payment of an order",
    **dict.fromkeys(
        (
            "bank_authorisations",
            "creditors",
            "customers",
            "exports",
            "organisations",
            "payer_authorisations",
            "payment_account_transactions",
            "scheme_identifiers",
        ),
        "accounts are no payments",
    ),
}
"""Resource types that are ignored on purpose, with the reason."""


class DetailsSchema(Payload):
    cause = fields.String(load_default="", allow_none=True)


class LinksSchema(Payload):
    payment = fields.String(load_default="", allow_none=True)
    refund = fields.String(load_default="", allow_none=True)


class EventSchema(Payload):
    resource_type = fields.String(required=True)
    action = fields.String(required=True)
    created_at = Instant(required=True)
    links = fields.Nested(LinksSchema, load_default=dict, allow_none=True)
    details = fields.Nested(DetailsSchema, load_default=dict, allow_none=True)
    resource_metadata = fields.Raw(load_default=None, allow_none=True)


class PaymentSchema(Payload):
    id = fields.String(required=True)
    amount = Minor(required=True)
    currency = Currency(required=True)
    status = fields.String(required=True)
    metadata = fields.Raw(load_default=None, allow_none=True)


class RefundSchema(Payload):
    id = fields.String(required=True)
    amount = Minor(required=True)
    currency = Currency(required=True)
    status = fields.String(load_default="", allow_none=True)


class PayoutSchema(Payload):
    id = fields.String(required=True)
    amount = Minor(required=True)
    currency = Currency(required=True)
    status = fields.String(required=True)
    deducted_fees = Minor(load_default=None, allow_none=True)


class ItemSchema(Payload):
    type = fields.String(required=True)
    amount = Exact(required=True)
    links = fields.Nested(LinksSchema, load_default=dict, allow_none=True)


class WholePaymentSchema(Payload):
    created_at = Instant(required=True)
    payment = fields.Nested(PaymentSchema, required=True)
    refunds = fields.List(fields.Nested(RefundSchema), load_default=list)
    events = fields.List(fields.Nested(EventSchema), load_default=list)


class WholePayoutSchema(Payload):
    created_at = Instant(required=True)
    payout = fields.Nested(PayoutSchema, required=True)
    items = fields.List(fields.Nested(ItemSchema), load_default=list)


_EVENT, _WHOLE_PAYMENT, _WHOLE_PAYOUT = EventSchema(), WholePaymentSchema(), WholePayoutSchema()


def translate(raw: Any, metadata_keys: Sequence[str]) -> PaymentChange | PayoutChange | Ignored:
    """One event, or one answer of ours, to what it says; raises marshmallow's ValidationError."""
    kind = raw.get("resource_type") if isinstance(raw, Mapping) else None
    if isinstance(kind, str) and kind not in (*ASKED, *FETCHED):
        return Ignored(f"events of {kind}: {IGNORED.get(kind, 'are not used')}")
    if isinstance(kind, str) and kind in FETCHED:
        return FETCHED[kind](raw, metadata_keys)
    event = _EVENT.load(raw)
    payment, action = (event["links"] or {}).get("payment"), event["action"]
    if event["resource_type"] != "payments" or not payment or action not in ACTIONS:
        return Ignored(f"events of {kind}: it is a hint, and what it is about is asked for")
    cause = (event["details"] or {}).get("cause") or ""
    refs = order_refs(event["resource_metadata"], metadata_keys)
    return _with_cause(PaymentChange(payment, event["created_at"], ACTIONS[action], order_refs=refs), cause)


def _with_cause(change: PaymentChange, cause: str) -> PaymentChange:
    if change.state is not PaymentState.FAILED:
        return change
    return replace(change, outcome=OUTCOMES.get(cause, Outcome.DECLINED), raw_code=raw_code(cause))


def _payment(raw: Any, metadata_keys: Sequence[str]) -> PaymentChange:
    """A payment with its refunds and events. Debits fail late: what was confirmed may not count any more."""
    whole = _WHOLE_PAYMENT.load(raw)
    payment, status = whole["payment"], whole["payment"]["status"]
    total = money(payment["amount"], payment["currency"], {})
    state = STATUSES.get(status, PaymentState.PENDING)
    history = sorted(whole["events"], key=lambda event: event["created_at"])
    parts = []
    if state is PaymentState.CAPTURED:
        parts.append(PaymentPart(PartKind.CAPTURE, payment["id"], total))
    elif any(event["action"] == "confirmed" for event in history):
        parts.append(PaymentPart(PartKind.CAPTURE, payment["id"], total, False, PartState.REVERSED))
    parts += [_refund(refund) for refund in whole["refunds"]]
    if status == "charged_back":
        parts.append(PaymentPart(PartKind.DISPUTE, f"{payment['id']}/chargeback", total, True, PartState.LOST))
    elif any(event["action"] == "charged_back" for event in history):
        parts.append(PaymentPart(PartKind.DISPUTE, f"{payment['id']}/chargeback", total, False, PartState.WON))
    refs = order_refs(payment["metadata"], metadata_keys)
    return _with_cause(PaymentChange(payment["id"], whole["created_at"], state, total, tuple(parts), refs), _last_cause(history))


def _last_cause(history: Sequence[Mapping[str, Any]]) -> str:
    causes = [(event["details"] or {}).get("cause") or "" for event in history if event["action"] == "failed"]
    return str(causes[-1]) if causes else ""


def _refund(refund: Mapping[str, Any]) -> PaymentPart:
    state = REFUNDS.get(refund["status"] or "", PartState.PENDING)
    amount = money(refund["amount"], refund["currency"], {})
    return PaymentPart(PartKind.REFUND, refund["id"], amount, state not in (PartState.FAILED, PartState.REVERSED), state)


def _payout(raw: Any, metadata_keys: Sequence[str]) -> PayoutChange:
    whole = _WHOLE_PAYOUT.load(raw)
    payout, at = whole["payout"], whole["created_at"]
    currency = payout["currency"]
    fee = None if payout["deducted_fees"] is None else money(payout["deducted_fees"], currency, {})
    moved = [item for item in whole["items"] if item["links"] and (item["links"]["payment"] or item["links"]["refund"])]
    parts = tuple(_item(item, currency) for item in moved)
    state = PAYOUTS.get(payout["status"], PayoutState.PENDING)
    return PayoutChange(payout["id"], at, state, money(payout["amount"], currency, {}), fee, parts)


def _item(item: Mapping[str, Any], currency: str) -> SettledPart:
    """Items name no fee of theirs; the payout's is told as a whole. Amounts are minor units as text: "45.0"."""
    amount: Decimal = item["amount"]
    if amount != amount.to_integral_value():
        raise ValidationError({"items.amount": ["expected whole minor units"]})
    gross, links = money(int(amount), currency, {}), item["links"]
    name = links["refund"] if "refund" in item["type"] and links["refund"] else links["payment"] or links["refund"]
    return SettledPart(name, item["type"], gross, money(0, currency, {}), gross, links["payment"] or "")


FETCHED: dict[str, Callable[[Any, Sequence[str]], PaymentChange | PayoutChange]] = {"fetched_payment": _payment, "fetched_payout": _payout}
