"""Adyen's words: event codes, dispute stages and refusal reasons to the canonical model.

https://docs.adyen.com/api-explorer/Webhooks/1/overview · https://docs.adyen.com/risk-management/disputes-api/dispute-notifications
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from marshmallow import ValidationError, fields, validate

from mappings.adyen_payouts import PLATFORM, payout
from mappings.canonical import Ignored, Money, Outcome, PartKind, PartState, PaymentChange, PaymentPart, PaymentState, PayoutChange, Review
from mappings.fields import Instant, Payload
from mappings.minor_units import Currency, Minor, money
from mappings.raw_codes import raw_code

EXPONENTS = {"CLP": 2, "CVE": 0, "ISK": 2, "IDR": 0}
"""Minor units that differ from ISO 4217: https://docs.adyen.com/development-resources/currency-codes."""

PARTS: dict[str, tuple[PartKind, PartState, PartState | None]] = {
    "CAPTURE": (PartKind.CAPTURE, PartState.DONE, PartState.FAILED),
    "CAPTURE_FAILED": (PartKind.CAPTURE, PartState.FAILED, None),
    "REFUND": (PartKind.REFUND, PartState.DONE, PartState.FAILED),
    "REFUND_WITH_DATA": (PartKind.REFUND, PartState.DONE, PartState.FAILED),
    "REFUND_FAILED": (PartKind.REFUND, PartState.FAILED, None),
    "REFUNDED_REVERSED": (PartKind.REFUND, PartState.REVERSED, None),
    "POSTPONED_REFUND": (PartKind.REFUND, PartState.PENDING, None),
}
"""What became of a capture or refund when the event says success, and when it does not (None: nothing). A failure names the
request's own reference again: https://docs.adyen.com/online-payments/refund#refund-failed."""

DISPUTES: dict[str, PartState] = {
    "REQUEST_FOR_INFORMATION": PartState.EVIDENCE_REQUIRED,
    "NOTIFICATION_OF_CHARGEBACK": PartState.OPENED,
    "DISPUTE_OPENED_WITH_CHARGEBACK": PartState.OPENED,
    "CHARGEBACK": PartState.OPENED,
    "INFORMATION_SUPPLIED": PartState.UNDER_REVIEW,
    "PREARBITRATION_OPEN": PartState.EVIDENCE_REQUIRED,
    "PREARBITRATION_DECLINED": PartState.UNDER_REVIEW,
    "SCHEME_ARBITRATION": PartState.UNDER_REVIEW,
    "CHARGEBACK_REVERSED": PartState.WON,
    "ISSUER_RESPONSE_TIMEFRAME_EXPIRED": PartState.WON,
    "PREARBITRATION_WON": PartState.WON,
    "PREARBITRATION_ISSUER_WITHDRAWN": PartState.WON,
    "SCHEME_ARBITRATION_WON": PartState.WON,
    "DISPUTE_DEFENSE_PERIOD_ENDED": PartState.LOST,
    "SECOND_CHARGEBACK": PartState.LOST,
    "PREARBITRATION_ACCEPTED": PartState.LOST,
    "PREARBITRATION_LOST": PartState.LOST,
    "SCHEME_ARBITRATION_LOST": PartState.LOST,
}
"""A dispute's stages. All events of a dispute have the same reference; the later one counts, also after a first win."""

REVIEWS = {"MANUAL_REVIEW_ACCEPT": Review.APPROVE, "MANUAL_REVIEW_REJECT": Review.REJECT, "NOTIFICATION_OF_FRAUD": Review.HOLD}
VOIDS = frozenset({"CANCELLATION", "TECHNICAL_CANCEL", "EXPIRE"})

IGNORED = {
    "ACH_NOTIFICATION_OF_CHANGE": "bank details of a customer changed",
    "DIRECT_DEBIT_NOTICE_OF_CHANGE_NOTIFICATION": "bank details of a customer changed",
    "RECURRING_CONTRACT": "a token was stored; no money moved",
    "AUTORESCUE": "a rescued payment has its own AUTHORISATION",
    "CANCEL_AUTORESCUE": "a rescued payment has its own AUTHORISATION",
    "ISSUER_COMMENTS": "a dispute's comment changes no stage",
    "ORDER_OPENED": "each payment of the order has its own AUTHORISATION",
    "ORDER_CLOSED": "each payment of the order has its own AUTHORISATION",
    "PAYOUT_THIRDPARTY": "a payout to others, not to the merchant",
    "PAYOUT_DECLINE": "a payout to others, not to the merchant",
    "PAYOUT_EXPIRE": "a payout to others, not to the merchant",
    "PAIDOUT_REVERSED": "a payout to others, not to the merchant",
    "REPORT_AVAILABLE": "a report is a file to download, not a payment",
    "VOID_PENDING_REFUND": "a refund at a terminal was withdrawn before any event of it",
}
"""Event codes that are known and left aside on purpose."""

OUTCOMES = {
    "refused": Outcome.DECLINED,
    "referral": Outcome.DECLINED,
    "declined non generic": Outcome.DECLINED,
    "blocked card": Outcome.DECLINED,
    "restricted card": Outcome.DECLINED,
    "transaction not permitted": Outcome.DECLINED,
    "revocation of auth": Outcome.DECLINED,
    "not supported": Outcome.DECLINED,
    "not enough balance": Outcome.INSUFFICIENT_FUNDS,
    "withdrawal amount exceeded": Outcome.LIMIT_EXCEEDED,
    "withdrawal count exceeded": Outcome.LIMIT_EXCEEDED,
    "fraud": Outcome.FRAUD_SUSPECTED,
    "fraud-cancelled": Outcome.FRAUD_SUSPECTED,
    "acquirer fraud": Outcome.FRAUD_SUSPECTED,
    "issuer suspected fraud": Outcome.FRAUD_SUSPECTED,
    "authentication required": Outcome.AUTHENTICATION_REQUIRED,
    "card requires online pin": Outcome.AUTHENTICATION_REQUIRED,
    "3d not authenticated": Outcome.AUTHENTICATION_FAILED,
    "invalid pin": Outcome.AUTHENTICATION_FAILED,
    "pin tries exceeded": Outcome.AUTHENTICATION_FAILED,
    "expired card": Outcome.EXPIRED,
    "invalid card number": Outcome.INVALID_DETAILS,
    "cvc declined": Outcome.INVALID_DETAILS,
    "avs declined": Outcome.INVALID_DETAILS,
    "invalid amount": Outcome.INVALID_DETAILS,
    "no checking account available": Outcome.INVALID_DETAILS,
    "cancelled": Outcome.CANCELLED,
    "shopper cancelled": Outcome.CANCELLED,
    "acquirer error": Outcome.PROVIDER_ERROR,
    "issuer unavailable": Outcome.PROVIDER_ERROR,
}
"""https://docs.adyen.com/development-resources/refusal-reasons; an unknown reason is a decline."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What differs per account: minor units, and the payment methods whose authorisation takes the money at once ("*": all)."""

    exponents: Mapping[str, int]
    captured_methods: Sequence[str] = ()


class AmountSchema(Payload):
    value = Minor(required=True)
    currency = Currency(required=True)


class ItemSchema(Payload):
    """https://docs.adyen.com/development-resources/webhooks/webhook-types#webhook-structure"""

    pspReference = fields.String(required=True, validate=validate.Length(min=1))
    originalReference = fields.String(load_default="")
    merchantReference = fields.String(load_default="")
    eventCode = fields.String(required=True)
    eventDate = Instant(required=True)
    success = fields.String(required=True, validate=validate.OneOf(["true", "false"]))
    amount = fields.Nested(AmountSchema, required=True)
    reason = fields.String(load_default="", allow_none=True)
    paymentMethod = fields.String(load_default="", allow_none=True)
    additionalData = fields.Dict(keys=fields.String(), load_default=dict, allow_none=True)


_ITEM = ItemSchema()


def translate(raw: Any, rules: Rules) -> PaymentChange | PayoutChange | Ignored:
    """One notification item, or one platform event, to what it says; raises marshmallow's ValidationError."""
    if not isinstance(raw, Mapping):
        raise ValidationError({"body": ["expected an object"]})
    if "eventCode" not in raw and isinstance(raw.get("type"), str):
        return payout(raw, rules.exponents) if raw["type"] in PLATFORM else Ignored("this platform event is about no payout")
    code = raw.get("eventCode")
    if isinstance(code, str) and code not in READERS:
        return Ignored(IGNORED.get(code, f"event {code[:60]} is not known"))
    item = _ITEM.load(raw)
    change = READERS[item["eventCode"]](item, rules)
    if isinstance(change, Ignored):
        return change
    return replace(change, order_refs=(item["merchantReference"],) if item["merchantReference"] else ())


def _authorisation(item: Mapping[str, Any], rules: Rules) -> PaymentChange | Ignored:
    total = _amount(item, rules)
    if total.minor == 0:
        return Ignored("a card was checked; no money was authorised")
    change = PaymentChange(item["pspReference"], item["eventDate"], PaymentState.AUTHORIZED, total)
    if item["success"] == "false":
        reason = item["reason"] or ""
        outcome = OUTCOMES.get(reason.strip().lower(), Outcome.DECLINED)
        return replace(change, state=PaymentState.FAILED, outcome=outcome, raw_code=raw_code(reason))
    if (item["additionalData"] or {}).get("fraudManualReview") == "true":
        change = replace(change, review=Review.HOLD)
    if "*" in rules.captured_methods or item["paymentMethod"] in rules.captured_methods:
        return replace(change, state=PaymentState.CAPTURED, parts=(PaymentPart(PartKind.CAPTURE, item["pspReference"], total),))
    return change


def _adjusted(item: Mapping[str, Any], rules: Rules) -> PaymentChange | Ignored:
    if item["success"] == "false":
        return _failed(item)
    return PaymentChange(_payment(item), item["eventDate"], PaymentState.AUTHORIZED, _amount(item, rules))


def _void(item: Mapping[str, Any], rules: Rules) -> PaymentChange | Ignored:
    if item["success"] == "false":
        return _failed(item)
    # An expiry names the payment itself where it has no original: https://docs.adyen.com/api-explorer/Webhooks/1/post/EXPIRE
    payment = item["originalReference"] or item["pspReference"] if item["eventCode"] == "EXPIRE" else _payment(item)
    return PaymentChange(payment, item["eventDate"], PaymentState.VOIDED)


def _cancel_or_refund(item: Mapping[str, Any], rules: Rules) -> PaymentChange | Ignored:
    action = (item["additionalData"] or {}).get("modification.action")
    if action == "cancel":
        return _void(item, rules)
    if action == "refund":
        return _part({**item, "eventCode": "REFUND"}, rules)
    return Ignored("it does not say whether it cancelled or refunded")


def _part(item: Mapping[str, Any], rules: Rules) -> PaymentChange | Ignored:
    kind, done, failed = PARTS[item["eventCode"]]
    state = done if item["success"] == "true" else failed
    if state is None:
        return _failed(item)
    part = PaymentPart(kind, item["pspReference"], _amount(item, rules), state is PartState.DONE, state)
    return PaymentChange(_payment(item), item["eventDate"], None, None, (part,))


def _dispute(item: Mapping[str, Any], rules: Rules) -> PaymentChange | Ignored:
    if item["success"] == "false":
        return _failed(item)
    state = DISPUTES[item["eventCode"]]
    part = PaymentPart(PartKind.DISPUTE, item["pspReference"], _amount(item, rules), state is not PartState.WON, state)
    return PaymentChange(_payment(item), item["eventDate"], None, None, (part,))


def _review(item: Mapping[str, Any], rules: Rules) -> PaymentChange | Ignored:
    if item["success"] == "false":
        return _failed(item)
    payment = item["originalReference"] or item["pspReference"]
    return PaymentChange(payment, item["eventDate"], None, review=REVIEWS[item["eventCode"]])


def _offer_closed(item: Mapping[str, Any], rules: Rules) -> PaymentChange | Ignored:
    return PaymentChange(item["pspReference"], item["eventDate"], PaymentState.FAILED, _amount(item, rules), outcome=Outcome.EXPIRED)


def _failed(item: Mapping[str, Any]) -> Ignored:
    return Ignored(f"a {item['eventCode']} that did not succeed changes nothing")


def _payment(item: Mapping[str, Any]) -> str:
    if not item["originalReference"]:
        raise ValidationError({"originalReference": ["which payment it belongs to is not said"]})
    return str(item["originalReference"])


def _amount(item: Mapping[str, Any], rules: Rules) -> Money:
    return money(item["amount"]["value"], item["amount"]["currency"], rules.exponents)


READERS: dict[str, Callable[[Mapping[str, Any], Rules], PaymentChange | Ignored]] = {
    "AUTHORISATION": _authorisation,
    "AUTHORISATION_ADJUSTMENT": _adjusted,
    "CANCEL_OR_REFUND": _cancel_or_refund,
    "OFFER_CLOSED": _offer_closed,
    **dict.fromkeys(VOIDS, _void),
    **dict.fromkeys(PARTS, _part),
    **dict.fromkeys(DISPUTES, _dispute),
    **dict.fromkeys(REVIEWS, _review),
}
