"""Square's vocabulary: states, decline codes and the families of events that are left aside.

https://developer.squareup.com/reference/square/objects/Payment · https://developer.squareup.com/reference/square/webhooks
"""

from __future__ import annotations

from mappings.canonical import Outcome, PartState, PaymentState, PayoutState

PAYMENTS = {
    "APPROVED": PaymentState.AUTHORIZED,
    "PENDING": PaymentState.PENDING,
    "COMPLETED": PaymentState.CAPTURED,
    "CANCELED": PaymentState.VOIDED,
    "FAILED": PaymentState.FAILED,
}
"""Status of a payment; an unknown word means pending, never paid."""

REFUNDS = {
    "PENDING": (PartState.PENDING, True),
    "COMPLETED": (PartState.DONE, True),
    "REJECTED": (PartState.FAILED, False),
    "FAILED": (PartState.FAILED, False),
}

DISPUTES = {
    "INQUIRY_EVIDENCE_REQUIRED": PartState.EVIDENCE_REQUIRED,
    "INQUIRY_PROCESSING": PartState.UNDER_REVIEW,
    "INQUIRY_CLOSED": PartState.CLOSED,
    "EVIDENCE_REQUIRED": PartState.EVIDENCE_REQUIRED,
    "PROCESSING": PartState.UNDER_REVIEW,
    "WON": PartState.WON,
    "LOST": PartState.LOST,
    "ACCEPTED": PartState.LOST,
}

PAYOUTS = {"SENT": PayoutState.PENDING, "PAID": PayoutState.PAID, "FAILED": PayoutState.FAILED}

OUTCOMES = {
    "INSUFFICIENT_FUNDS": Outcome.INSUFFICIENT_FUNDS,
    "GIFT_CARD_AVAILABLE_AMOUNT": Outcome.INSUFFICIENT_FUNDS,
    "TRANSACTION_LIMIT": Outcome.LIMIT_EXCEEDED,
    "PAYMENT_LIMIT_EXCEEDED": Outcome.LIMIT_EXCEEDED,
    "AMOUNT_TOO_HIGH": Outcome.LIMIT_EXCEEDED,
    "CARD_EXPIRED": Outcome.EXPIRED,
    "CARD_TOKEN_EXPIRED": Outcome.EXPIRED,
    "SOURCE_EXPIRED": Outcome.EXPIRED,
    "DELAYED_TRANSACTION_EXPIRED": Outcome.EXPIRED,
    "CARD_DECLINED_VERIFICATION_REQUIRED": Outcome.AUTHENTICATION_REQUIRED,
    "INVALID_PIN": Outcome.AUTHENTICATION_FAILED,
    "ALLOWABLE_PIN_TRIES_EXCEEDED": Outcome.AUTHENTICATION_FAILED,
    "CVV_FAILURE": Outcome.INVALID_DETAILS,
    "VERIFY_CVV_FAILURE": Outcome.INVALID_DETAILS,
    "ADDRESS_VERIFICATION_FAILURE": Outcome.INVALID_DETAILS,
    "VERIFY_AVS_FAILURE": Outcome.INVALID_DETAILS,
    "INVALID_ACCOUNT": Outcome.INVALID_DETAILS,
    "INVALID_CARD": Outcome.INVALID_DETAILS,
    "INVALID_CARD_DATA": Outcome.INVALID_DETAILS,
    "INVALID_EXPIRATION": Outcome.INVALID_DETAILS,
    "BAD_EXPIRATION": Outcome.INVALID_DETAILS,
    "PAN_FAILURE": Outcome.INVALID_DETAILS,
    "BUYER_REFUSED_PAYMENT": Outcome.CANCELLED,
    "DELAYED_TRANSACTION_CANCELED": Outcome.CANCELLED,
    "INTERNAL_SERVER_ERROR": Outcome.PROVIDER_ERROR,
    "TEMPORARY_ERROR": Outcome.PROVIDER_ERROR,
    "GATEWAY_TIMEOUT": Outcome.PROVIDER_ERROR,
}
"""Codes of `card_details.errors`; any other is a decline: https://developer.squareup.com/reference/square/enums/ErrorCode"""

IGNORED = {
    "bank_account": "a bank account of the seller",
    "booking": "an appointment",
    "card": "a stored card",
    "cash_drawer": "a till",
    "catalog": "Square's own catalog",
    "customer": "Square's own customers",
    "device": "a terminal",
    "gift_card": "a gift card's balance; its payments have events of their own",
    "inventory": "Square's own stock",
    "invoice": "an invoice that Square writes; its payments have events of their own",
    "job": "staff",
    "labor": "staff",
    "location": "a place of the seller",
    "loyalty": "loyalty points",
    "merchant": "the seller's account",
    "oauth": "access to the seller's account",
    "online_checkout": "settings of Square's own shop",
    "order": "Square's own order; its payments have events of their own",
    "subscription": "a subscription; its payments have events of their own",
    "team_member": "staff",
    "terminal": "a terminal's request; its payment has events of its own",
    "vendor": "a supplier",
}
"""Families of events (the first word) that are known and left aside on purpose."""
