"""Checkout.com's vocabulary: states, response codes and the families of events that are left aside.

https://www.checkout.com/docs/developer-resources/event-notifications/event-types ·
https://www.checkout.com/docs/developer-resources/codes/response-codes
"""

from __future__ import annotations

from mappings.canonical import Outcome, PartState, PaymentState

EXPONENTS = {"CLP": 2, "CLF": 0}
"""Minor units that differ from ISO 4217: https://www.checkout.com/docs/payments/accept-payments/calculate-amounts."""

PARTS = {
    "payment_captured": (PartState.DONE, True),
    "payment_capture_pending": (PartState.PENDING, False),
    "payment_capture_declined": (PartState.FAILED, False),
    "payment_refunded": (PartState.DONE, True),
    "payment_refund_pending": (PartState.PENDING, True),
    "payment_refund_declined": (PartState.FAILED, False),
}
"""What became of a capture or a refund, and whether it counts."""

DISPUTES = {
    "dispute_received": PartState.OPENED,
    "dispute_evidence_required": PartState.EVIDENCE_REQUIRED,
    "dispute_evidence_submitted": PartState.UNDER_REVIEW,
    "dispute_evidence_acknowledged_by_scheme": PartState.UNDER_REVIEW,
    "dispute_arbitration_sent_to_scheme": PartState.UNDER_REVIEW,
    "dispute_won": PartState.WON,
    "dispute_arbitration_won": PartState.WON,
    "dispute_lost": PartState.LOST,
    "dispute_accepted": PartState.LOST,
    "dispute_expired": PartState.LOST,
    "dispute_arbitration_lost": PartState.LOST,
    "dispute_canceled": PartState.CLOSED,
    "dispute_resolved": PartState.CLOSED,
}
"""A dispute is resolved when its payment had been refunded already."""

STATUSES = {
    "Authorized": PaymentState.AUTHORIZED,
    "Partially Captured": PaymentState.AUTHORIZED,
    "Captured": PaymentState.CAPTURED,
    "Partially Refunded": PaymentState.CAPTURED,
    "Refunded": PaymentState.CAPTURED,
    "Voided": PaymentState.VOIDED,
    "Canceled": PaymentState.VOIDED,
    "Expired": PaymentState.VOIDED,
    "Declined": PaymentState.FAILED,
}
"""Status of a payment that is asked for; "Pending" and every unknown word mean pending, never paid. What was taken in part is told
by its actions."""

OUTCOMES = {
    "20014": Outcome.INVALID_DETAILS,
    "20017": Outcome.CANCELLED,
    "20051": Outcome.INSUFFICIENT_FUNDS,
    "20054": Outcome.EXPIRED,
    "20059": Outcome.FRAUD_SUSPECTED,
    "20061": Outcome.LIMIT_EXCEEDED,
    "20065": Outcome.LIMIT_EXCEEDED,
    "20068": Outcome.PROVIDER_ERROR,
    "20087": Outcome.INVALID_DETAILS,
    "20091": Outcome.PROVIDER_ERROR,
    "20151": Outcome.AUTHENTICATION_FAILED,
    "20154": Outcome.AUTHENTICATION_REQUIRED,
    "30034": Outcome.FRAUD_SUSPECTED,
    "30041": Outcome.FRAUD_SUSPECTED,
    "30043": Outcome.FRAUD_SUSPECTED,
    "40101": Outcome.FRAUD_SUSPECTED,
}
"""`response_code` of a declined payment; any other is a decline."""

IGNORED = {
    "authentication_": "the payment says itself what came of its authentication",
    "card_": "a card was checked; no money was authorised",
    "payment_authorization_increment_declined": "the authorisation stays as it was",
    "payment_void_declined": "the authorisation stays as it was",
    "payment_paid": "a payout to a card, not to the merchant",
    "payment_returned": "a payout to a card, not to the merchant",
    "payment_chargeback": "the older platform's word; disputes have events of their own",
    "payment_retrieval": "the older platform's word; disputes have events of their own",
    "payment_instrument_": "a stored payment method",
    "payout_": "a payout to others, not to the merchant",
    "source_": "a stored payment method",
    "issuing_": "cards that the merchant issues",
    "cardholder_": "cards that the merchant issues",
    "identity_": "a check of a person",
    "id_document_": "a check of a person",
    "face_authentication_": "a check of a person",
    "entity_": "the merchant's account",
    "vendor_": "the merchant's account",
    "onboarding_": "the merchant's account",
    "report_": "a report is a file to download, not a payment",
    "invoice_": "an invoice of Checkout.com's",
}
"""Families of events that are known and left aside on purpose: the beginning of their names and the reason."""
