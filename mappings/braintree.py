"""Braintree's words: transaction statuses, processor codes, disputes and disbursements to the canonical model.

https://developer.paypal.com/braintree/docs/reference/general/statuses · https://developer.paypal.com/braintree/docs/reference/general/webhooks
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
    Review,
)
from mappings.fields import Exact, Instant, Payload
from mappings.minor_units import Currency, decimal_money
from mappings.payment_fields import order_refs
from mappings.raw_codes import raw_code

STATUSES = {
    "authorizing": PaymentState.PENDING,
    "authorized": PaymentState.AUTHORIZED,
    "authorization_expired": PaymentState.VOIDED,
    "voided": PaymentState.VOIDED,
    "submitted_for_settlement": PaymentState.CAPTURED,
    "settling": PaymentState.CAPTURED,
    "settlement_pending": PaymentState.CAPTURED,
    "settlement_confirmed": PaymentState.CAPTURED,
    "settled": PaymentState.CAPTURED,
    "settlement_declined": PaymentState.FAILED,
    "settlement_failed": PaymentState.FAILED,
    "processor_declined": PaymentState.FAILED,
    "gateway_rejected": PaymentState.FAILED,
    "failed": PaymentState.FAILED,
}
"""Transaction status; an unknown word means pending, never paid. Submitting for settlement is the capture."""

PROCESSOR = {
    "2001": Outcome.INSUFFICIENT_FUNDS,
    "2002": Outcome.LIMIT_EXCEEDED,
    "2003": Outcome.LIMIT_EXCEEDED,
    "2004": Outcome.EXPIRED,
    "2005": Outcome.INVALID_DETAILS,
    "2006": Outcome.INVALID_DETAILS,
    "2007": Outcome.INVALID_DETAILS,
    "2010": Outcome.INVALID_DETAILS,
    "2012": Outcome.FRAUD_SUSPECTED,
    "2013": Outcome.FRAUD_SUSPECTED,
    "2014": Outcome.FRAUD_SUSPECTED,
    "2099": Outcome.AUTHENTICATION_REQUIRED,
}
"""https://developer.paypal.com/braintree/docs/reference/general/processor-responses/authorization-responses; 3xxx are network errors."""

REJECTIONS = {
    "avs": Outcome.INVALID_DETAILS,
    "avs_and_cvv": Outcome.INVALID_DETAILS,
    "cvv": Outcome.INVALID_DETAILS,
    "fraud": Outcome.FRAUD_SUSPECTED,
    "risk_threshold": Outcome.FRAUD_SUSPECTED,
    "three_d_secure": Outcome.AUTHENTICATION_FAILED,
}
"""`gateway_rejection_reason`."""

DISPUTES = {
    "open": PartState.OPENED,
    "under_review": PartState.UNDER_REVIEW,
    "disputed": PartState.UNDER_REVIEW,
    "accepted": PartState.LOST,
    "auto_accepted": PartState.LOST,
    "expired": PartState.LOST,
    "lost": PartState.LOST,
    "won": PartState.WON,
}

DECISIONS = {
    **dict.fromkeys(("accept", "accepted", "approve", "approved"), "approve"),
    **dict.fromkeys(("reject", "rejected", "decline", "declined", "deny", "denied"), "reject"),
}
"""The documents name the two decisions of a review and not their words: an option."""

HINTS = frozenset(
    {
        "transaction_settled",
        "transaction_settlement_declined",
        "transaction_disbursed",
        "transaction_retried",
        "refund_failed",
        "local_payment_completed",
        "local_payment_funded",
    }
)
"""Kinds that name a transaction and tell too little of it: it is asked for."""

IGNORED = {
    "check": "a test of the webhook",
    "local_payment_expired": "it was never paid, and no transaction was made",
    "local_payment_reversed": "it names no transaction; the refund that it made is seen with its transaction",
    **dict.fromkeys(
        [
            f"subscription_{word}"
            for word in (
                "billing_skipped",
                "canceled",
                "charged_successfully",
                "charged_unsuccessfully",
                "expired",
                "trial_ended",
                "went_active",
                "went_past_due",
            )
        ],
        "subscriptions are no payments of an order",
    ),
    **dict.fromkeys(
        [
            "account_updater_daily_report",
            "connected_merchant_paypal_status_changed",
            "connected_merchant_status_transitioned",
            "granted_payment_method_revoked",
            "grantor_updated_granted_payment_method",
            "oauth_access_revoked",
            "partner_merchant_connected",
            "partner_merchant_declined",
            "partner_merchant_disconnected",
            "payment_method_customer_data_updated",
            "payment_method_revoked_by_customer",
            "recipient_updated_granted_payment_method",
        ],
        "accounts and stored payment methods are no payments",
    ),
}
"""Kinds that are ignored on purpose, with the reason."""


class DisputeSchema(Payload):
    id = fields.String(required=True)
    amount = Exact(required=True)
    amount_disputed = Exact(load_default=None, allow_none=True)
    currency_iso_code = Currency(required=True)
    status = fields.String(required=True)
    kind = fields.String(load_default="", allow_none=True)
    transaction = fields.Dict(load_default=dict, allow_none=True)


class TransactionSchema(Payload):
    id = fields.String(required=True)
    status = fields.String(required=True)
    type = fields.String(load_default="sale", allow_none=True)
    amount = Exact(required=True)
    currency_iso_code = Currency(required=True)
    order_id = fields.String(load_default="", allow_none=True)
    processor_response_code = fields.String(load_default="", allow_none=True)
    gateway_rejection_reason = fields.String(load_default="", allow_none=True)
    disputes = fields.List(fields.Nested(DisputeSchema), load_default=list, allow_none=True)
    custom_fields = fields.Raw(load_default=None, allow_none=True)


class AccountSchema(Payload):
    currency_iso_code = Currency(required=True)


class DisbursementSchema(Payload):
    id = fields.String(required=True)
    amount = Exact(required=True)
    success = fields.String(load_default="", allow_none=True)
    merchant_account = fields.Nested(AccountSchema, required=True)


class ReviewSchema(Payload):
    transaction_id = fields.String(required=True)
    decision = fields.String(required=True)


class NotificationSchema(Payload):
    kind = fields.String(required=True)
    timestamp = Instant(required=True)
    subject = fields.Dict(required=True)


_NOTIFICATION, _TRANSACTION, _DISPUTE = NotificationSchema(), TransactionSchema(), DisputeSchema()
_DISBURSEMENT, _REVIEW = DisbursementSchema(), ReviewSchema()
KEPT = frozenset({*TransactionSchema().fields, "refund_ids", "refunded_transaction_id"}) | {
    "authorized_transaction_id",
    "partial_settlement_transaction_ids",
}
"""What is kept of an answered transaction: nothing of cards and persons."""


def translate(raw: Any, order_fields: Sequence[str], decisions: Mapping[str, str]) -> PaymentChange | PayoutChange | Ignored:
    """One notification, or one answer of ours in the same shape, to what it says; raises marshmallow's ValidationError."""
    kind = raw.get("kind") if isinstance(raw, Mapping) else None
    if isinstance(kind, str) and kind not in TOPICS and kind not in ("transaction_fetched", "transaction_reviewed"):
        reason = "it is a hint, and the transaction is asked for" if kind in HINTS else IGNORED.get(kind, "is not used")
        return Ignored(f"topic {kind}: {reason}")
    note = _NOTIFICATION.load(raw)
    if kind == "transaction_fetched":
        return _fetched(note["subject"], note["timestamp"], order_fields)
    if kind == "transaction_reviewed":
        return _reviewed(note["subject"], note["timestamp"], decisions)
    return TOPICS[note["kind"]](note["subject"], note["timestamp"])


def amount_of(money: Mapping[str, Any]) -> str:
    """Our `{minor, currency}` as Braintree writes it: text in major units."""
    return format(Money(int(money["minor"]), str(money["currency"])).amount, "f")


def is_captured(status: object) -> bool:
    """Whether a transaction of this status was submitted for settlement and did not fail."""
    return STATUSES.get(str(status)) is PaymentState.CAPTURED


def _fetched(subject: Mapping[str, Any], at: datetime, order_fields: Sequence[str]) -> PaymentChange:
    """A sale with its partial settlements and refunds, each a transaction of its own."""
    sale = _TRANSACTION.load(subject.get("transaction") or {})
    related = [_TRANSACTION.load(one) for one in _list(subject, "related")]
    captures = [one for one in related if one["type"] != "credit"]
    refunds = [one for one in related if one["type"] == "credit"]
    if not captures and is_captured(sale["status"]):
        captures = [sale]
    parts = [_moved(PartKind.CAPTURE, one) for one in captures] + [_moved(PartKind.REFUND, one) for one in refunds]
    parts += [_dispute_part(dispute) for one in (sale, *related) for dispute in one["disputes"] or ()]
    state = STATUSES.get(sale["status"], PaymentState.PENDING)
    change = PaymentChange(sale["id"], at, state, _amount(sale), tuple(parts))
    refs = (sale["order_id"],) if sale["order_id"] else ()
    outcome, code = _why(sale)
    return replace(change, order_refs=(*refs, *order_refs(sale["custom_fields"], order_fields)), outcome=outcome, raw_code=code)


def _list(subject: Mapping[str, Any], name: str) -> list[Any]:
    value = subject.get(name)
    return value if isinstance(value, list) else []


def _amount(transaction: Mapping[str, Any]) -> Money:
    return decimal_money(transaction["amount"], transaction["currency_iso_code"])


def _moved(kind: PartKind, transaction: Mapping[str, Any]) -> PaymentPart:
    status = transaction["status"]
    state = PartState.DONE if status == "settled" else PartState.PENDING if is_captured(status) else PartState.FAILED
    return PaymentPart(kind, transaction["id"], _amount(transaction), state is not PartState.FAILED, state)


def _why(sale: Mapping[str, Any]) -> tuple[str, str]:
    if sale["status"] == "authorization_expired":
        return Outcome.EXPIRED, ""
    if STATUSES.get(sale["status"]) is not PaymentState.FAILED:
        return Outcome.NONE, ""
    if sale["status"] == "gateway_rejected":
        reason = sale["gateway_rejection_reason"] or ""
        return REJECTIONS.get(reason, Outcome.DECLINED), raw_code(reason)
    code = sale["processor_response_code"] or ""
    network = sale["status"] == "failed" or code.startswith("3")
    return PROCESSOR.get(code, Outcome.PROVIDER_ERROR if network else Outcome.DECLINED), raw_code(code)


def _dispute(subject: Mapping[str, Any], at: datetime) -> PaymentChange | Ignored:
    dispute = _DISPUTE.load(subject.get("dispute") or {})
    payment = (dispute["transaction"] or {}).get("id")
    if not isinstance(payment, str) or not payment:
        return Ignored("the dispute names no transaction")
    return PaymentChange(payment, at, None, None, (_dispute_part(dispute),))


def _dispute_part(dispute: Mapping[str, Any]) -> PaymentPart:
    """A retrieval asks for papers only; other kinds hold the money until they are won."""
    amount = dispute["amount"] if dispute["amount_disputed"] is None else dispute["amount_disputed"]
    state = DISPUTES.get(dispute["status"], PartState.OPENED)
    counts = state is not PartState.WON and dispute["kind"] != "retrieval"
    return PaymentPart(PartKind.DISPUTE, dispute["id"], decimal_money(amount, dispute["currency_iso_code"]), counts, state)


def _disbursement(subject: Mapping[str, Any], at: datetime) -> PayoutChange:
    paid = _DISBURSEMENT.load(subject.get("disbursement") or {})
    state = {"true": PayoutState.PAID, "false": PayoutState.FAILED}.get(paid["success"] or "", PayoutState.PENDING)
    return PayoutChange(paid["id"], at, state, decimal_money(paid["amount"], paid["merchant_account"]["currency_iso_code"]))


def _reviewed(subject: Mapping[str, Any], at: datetime, decisions: Mapping[str, str]) -> PaymentChange | Ignored:
    review = _REVIEW.load(subject.get("transaction_review") or {})
    word = decisions.get(review["decision"].lower(), "")
    if word not in set(Review):
        return Ignored("the decision of the review is a word that options.decisions does not know")
    return PaymentChange(review["transaction_id"], at, None, review=Review(word))


def check_decisions(decisions: Mapping[str, str]) -> None:
    """Raises ValueError when a configured decision is none of ours."""
    if not set(decisions.values()) <= set(Review):
        raise ValueError("decisions: expected words → hold, approve or reject")


TOPICS: dict[str, Callable[[Mapping[str, Any], datetime], PaymentChange | PayoutChange | Ignored]] = {
    **{f"dispute_{word}": _dispute for word in ("opened", *DISPUTES) if word != "open"},
    "disbursement": _disbursement,
    "disbursement_exception": _disbursement,
}


def subject_of(raw: Any) -> str:
    """The id of what a notification is about, "" where it names none."""
    subject = raw.get("subject") if isinstance(raw, Mapping) else None
    if not isinstance(subject, Mapping):
        raise ValidationError({"subject": ["expected an object"]})
    for holder in (subject, *(inner for inner in subject.values() if isinstance(inner, Mapping))):
        for name in ("transaction", "transaction_review", "dispute", "disbursement"):
            found = holder.get(name)
            if isinstance(found, Mapping):
                inner = found.get("transaction") if name == "dispute" else found
                key = "transaction_id" if name == "transaction_review" else "id"
                return str(inner.get(key) or "") if isinstance(inner, Mapping) else ""
    return ""
