"""Authorize.Net's words: webhook events, response codes and transaction statuses to the canonical model.

https://developer.authorize.net/api/reference/features/webhooks.html · https://developer.authorize.net/api/reference (transaction details)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields

from mappings.canonical import Ignored, Money, Outcome, PartKind, PartState, PaymentChange, PaymentPart, PaymentState, Review
from mappings.fields import Exact, Identifier, Instant, Payload
from mappings.minor_units import decimal_money
from mappings.payment_fields import order_refs
from mappings.raw_codes import raw_code

PREFIX = "net.authorize.payment."
FETCHED = "transaction.fetched"
APPROVED, DECLINED, ERROR, HELD = 1, 2, 3, 4
"""`responseCode`; any other means pending."""

STATUSES = {
    "authorizedPendingCapture": PaymentState.AUTHORIZED,
    "authorizedPendingRelease": PaymentState.PENDING,
    "capturedPendingSettlement": PaymentState.CAPTURED,
    "settledSuccessfully": PaymentState.CAPTURED,
    "approvedReview": PaymentState.PENDING,
    "underReview": PaymentState.PENDING,
    "FDSPendingReview": PaymentState.PENDING,
    "FDSAuthorizedPendingReview": PaymentState.PENDING,
    "failedReview": PaymentState.FAILED,
    "declined": PaymentState.FAILED,
    "communicationError": PaymentState.FAILED,
    "generalError": PaymentState.FAILED,
    "settlementError": PaymentState.FAILED,
    "returnedItem": PaymentState.FAILED,
    "voided": PaymentState.VOIDED,
    "expired": PaymentState.VOIDED,
    "chargeback": PaymentState.CAPTURED,
}
"""Transaction status; an unknown word means pending, never paid."""

REVIEWS = {
    "FDSPendingReview": Review.HOLD,
    "FDSAuthorizedPendingReview": Review.HOLD,
    "underReview": Review.HOLD,
    "approvedReview": Review.APPROVE,
    "failedReview": Review.REJECT,
}

OUTCOMES = {
    "communicationError": Outcome.PROVIDER_ERROR,
    "generalError": Outcome.PROVIDER_ERROR,
    "settlementError": Outcome.PROVIDER_ERROR,
    "failedReview": Outcome.FRAUD_SUSPECTED,
    "expired": Outcome.EXPIRED,
}
REASONS = {
    **dict.fromkeys(("6", "7", "27", "37", "44", "45", "65", "78"), Outcome.INVALID_DETAILS),
    "8": Outcome.EXPIRED,
    "49": Outcome.LIMIT_EXCEEDED,
    **dict.fromkeys(("19", "20", "21", "22", "23", "25", "26"), Outcome.PROVIDER_ERROR),
    **dict.fromkeys(("250", "251"), Outcome.FRAUD_SUSPECTED),
}
"""`responseReasonCode`: https://developer.authorize.net/api/reference/responseCodes.html"""

REFUNDS = {
    "refundSettledSuccessfully": PartState.DONE,
    "refundPendingSettlement": PartState.PENDING,
    "voided": PartState.FAILED,
    "declined": PartState.FAILED,
    "generalError": PartState.FAILED,
    "communicationError": PartState.FAILED,
    "couldNotVoid": PartState.PENDING,
}

HINTS = frozenset({f"{PREFIX}refund.created", f"{PREFIX}void.created"})
"""Events that name only the transaction that they made: which payment it was of is asked for."""

IGNORED = {"net.authorize.customer.": "customers, their payment profiles and subscriptions are no payments of an order"}
"""Families of events that are ignored on purpose, with the reason."""


class TransactionSchema(Payload):
    id = Identifier(required=True)
    responseCode = fields.Integer(load_default=None, allow_none=True)
    authAmount = Exact(load_default=None, allow_none=True)
    merchantReferenceId = fields.Raw(load_default=None, allow_none=True)
    invoiceNumber = fields.Raw(load_default=None, allow_none=True)


class EventSchema(Payload):
    eventType = fields.String(required=True)
    eventDate = Instant(required=True)
    payload = fields.Dict(required=True)


class DetailsSchema(Payload):
    transId = Identifier(required=True)
    refTransId = fields.String(load_default="", allow_none=True)
    transactionType = fields.String(load_default="", allow_none=True)
    transactionStatus = fields.String(required=True)
    responseReasonCode = fields.Raw(load_default=None, allow_none=True)
    authAmount = Exact(load_default=None, allow_none=True)
    settleAmount = Exact(load_default=None, allow_none=True)
    order = fields.Dict(load_default=None, allow_none=True)


_EVENT, _TRANSACTION, _DETAILS = EventSchema(), TransactionSchema(), DetailsSchema()
KEPT = tuple(_DETAILS.fields)
"""What is kept of answered details: nothing of cards and persons."""


def translate(raw: Any, currency: str) -> PaymentChange | Ignored:
    """One event, or one answer of ours in the same shape; raises marshmallow's ValidationError. Nothing names its currency: it is
    the account's."""
    kind = raw.get("eventType") if isinstance(raw, Mapping) else None
    if isinstance(kind, str) and kind not in TOPICS and kind != FETCHED:
        return Ignored(f"topic {kind}: {_why_ignored(kind)}")
    event = _EVENT.load(raw)
    if event["eventType"] == FETCHED:
        return _fetched(event["payload"], event["eventDate"], currency)
    told = event["payload"].get("entityName")
    if told not in (None, "transaction"):
        return Ignored("it is about no transaction")
    transaction = _TRANSACTION.load(event["payload"])
    amount = None if transaction["authAmount"] is None else decimal_money(transaction["authAmount"], currency)
    change = TOPICS[event["eventType"]](transaction, event["eventDate"], amount)
    return replace(change, order_refs=tuple(dict.fromkeys(order_refs(transaction, ("merchantReferenceId", "invoiceNumber")))))


def _why_ignored(kind: str) -> str:
    if kind in HINTS:
        return "it is a hint, and the transaction is asked for"
    return next((reason for family, reason in IGNORED.items() if kind.startswith(family)), "is not used")


Read = Callable[[Mapping[str, Any], datetime, Money | None], PaymentChange]


def _answered(state: PaymentState) -> Read:
    """A reading of events that say by `responseCode` whether `state` was reached."""

    def read(transaction: Mapping[str, Any], at: datetime, amount: Money | None) -> PaymentChange:
        code = transaction["responseCode"]
        change = PaymentChange(transaction["id"], at, PaymentState.PENDING, amount)
        if code in (DECLINED, ERROR):
            outcome = Outcome.DECLINED if code == DECLINED else Outcome.PROVIDER_ERROR
            return replace(change, state=PaymentState.FAILED, outcome=outcome, raw_code=str(code))
        if code == HELD:
            return replace(change, review=Review.HOLD)
        if code != APPROVED:
            return change
        took = state is PaymentState.CAPTURED and amount is not None
        parts = (PaymentPart(PartKind.CAPTURE, transaction["id"], amount),) if took and amount else ()
        return replace(change, state=state, parts=parts)

    return read


def _captured_before(transaction: Mapping[str, Any], at: datetime, amount: Money | None) -> PaymentChange:
    """Capturing an authorization may take less of it: the amount is the part's, not the payment's."""
    return replace(_answered(PaymentState.CAPTURED)(transaction, at, amount), amount=None)


def _held(transaction: Mapping[str, Any], at: datetime, amount: Money | None) -> PaymentChange:
    return PaymentChange(transaction["id"], at, PaymentState.PENDING, amount, review=Review.HOLD)


def _released(transaction: Mapping[str, Any], at: datetime, amount: Money | None) -> PaymentChange:
    """Whether it is now authorized or captured, it does not say."""
    return PaymentChange(transaction["id"], at, None, amount, review=Review.APPROVE)


def _turned_down(transaction: Mapping[str, Any], at: datetime, amount: Money | None) -> PaymentChange:
    change = PaymentChange(transaction["id"], at, PaymentState.FAILED, amount, review=Review.REJECT)
    return replace(change, outcome=Outcome.FRAUD_SUSPECTED)


TOPICS: dict[str, Read] = {
    f"{PREFIX}authorization.created": _answered(PaymentState.AUTHORIZED),
    f"{PREFIX}authcapture.created": _answered(PaymentState.CAPTURED),
    f"{PREFIX}capture.created": _answered(PaymentState.CAPTURED),
    f"{PREFIX}priorAuthCapture.created": _captured_before,
    f"{PREFIX}fraud.held": _held,
    f"{PREFIX}fraud.approved": _released,
    f"{PREFIX}fraud.declined": _turned_down,
}


def _fetched(payload: Mapping[str, Any], at: datetime, currency: str) -> PaymentChange:
    details = _DETAILS.load(payload)
    refs = order_refs(details["order"], ("invoiceNumber",))
    if details["transactionType"] == "refundTransaction" and details["refTransId"]:
        state = REFUNDS.get(details["transactionStatus"], PartState.PENDING)
        amount = _amount(details["settleAmount"], details["authAmount"], currency)
        part = PaymentPart(PartKind.REFUND, details["transId"], amount, state is not PartState.FAILED, state)
        return PaymentChange(details["refTransId"], at, None, None, (part,), refs)
    return replace(_sale(details, at, currency), order_refs=refs)


def _sale(details: Mapping[str, Any], at: datetime, currency: str) -> PaymentChange:
    status = details["transactionStatus"]
    state = STATUSES.get(status, PaymentState.PENDING)
    total = _amount(details["authAmount"], details["settleAmount"], currency)
    taken = _amount(details["settleAmount"], details["authAmount"], currency)
    parts: tuple[PaymentPart, ...] = ()
    if state is PaymentState.CAPTURED:
        parts = (PaymentPart(PartKind.CAPTURE, details["transId"], taken),)
    if status in ("returnedItem", "voided"):  # what counted before does not any more
        parts = (PaymentPart(PartKind.CAPTURE, details["transId"], taken, False, PartState.REVERSED),)
    if status == "chargeback":
        parts += (PaymentPart(PartKind.DISPUTE, f"{details['transId']}/chargeback", taken, True, PartState.LOST),)
    change = PaymentChange(details["transId"], at, state, total, parts, review=REVIEWS.get(status))
    if state is not PaymentState.FAILED:
        return replace(change, outcome=OUTCOMES.get(status, Outcome.NONE))
    reason = details["responseReasonCode"]
    code = str(reason) if isinstance(reason, int | str) else ""
    return replace(change, outcome=OUTCOMES.get(status) or REASONS.get(code, Outcome.DECLINED), raw_code=raw_code(code))


def _amount(first: Decimal | None, second: Decimal | None, currency: str) -> Money:
    found = first if first is not None else second
    if found is None:
        raise ValidationError({"authAmount": ["is not there"]})
    return decimal_money(found, currency)
