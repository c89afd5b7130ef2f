"""PayPal's vocabulary: states, verdicts, decline codes and the families of events that are left aside.

https://developer.paypal.com/api/rest/webhooks/event-names · https://developer.paypal.com/docs/api/payments/v2
"""

from __future__ import annotations

from mappings.canonical import Outcome, PartState, PaymentState

AUTHORIZATIONS = {
    "CREATED": PaymentState.AUTHORIZED,
    "PARTIALLY_CAPTURED": PaymentState.AUTHORIZED,
    "CAPTURED": PaymentState.CAPTURED,
    "DENIED": PaymentState.FAILED,
    "VOIDED": PaymentState.VOIDED,
    "EXPIRED": PaymentState.VOIDED,
    "PENDING": PaymentState.PENDING,
}
"""Status of an authorization; an unknown word means pending, never paid."""

CAPTURES: dict[str, tuple[PaymentState, PartState, bool]] = {
    "COMPLETED": (PaymentState.CAPTURED, PartState.DONE, True),
    "PARTIALLY_REFUNDED": (PaymentState.CAPTURED, PartState.DONE, True),
    "REFUNDED": (PaymentState.CAPTURED, PartState.DONE, True),
    "PENDING": (PaymentState.PENDING, PartState.PENDING, False),
    "DECLINED": (PaymentState.FAILED, PartState.FAILED, False),
    "DENIED": (PaymentState.FAILED, PartState.FAILED, False),
    "FAILED": (PaymentState.FAILED, PartState.FAILED, False),
}
"""Status of a capture: what a payment without authorization is then, what the part is, and whether it counts."""

REFUNDS = {
    "COMPLETED": (PartState.DONE, True),
    "PENDING": (PartState.PENDING, True),
    "FAILED": (PartState.FAILED, False),
    "CANCELLED": (PartState.FAILED, False),
}
UNKNOWN_REFUND = (PartState.PENDING, True)

DISPUTES = {
    "OPEN": PartState.OPENED,
    "WAITING_FOR_SELLER_RESPONSE": PartState.EVIDENCE_REQUIRED,
    "WAITING_FOR_BUYER_RESPONSE": PartState.UNDER_REVIEW,
    "UNDER_REVIEW": PartState.UNDER_REVIEW,
}
VERDICTS = {
    "RESOLVED_SELLER_FAVOUR": PartState.WON,
    "RESOLVED_WITH_PAYOUT": PartState.WON,
    "DENIED": PartState.WON,
    "RESOLVED_BUYER_FAVOUR": PartState.LOST,
    "ACCEPTED": PartState.LOST,
    "CANCELED_BY_BUYER": PartState.CLOSED,
    "NONE": PartState.CLOSED,
}
"""`dispute_outcome.outcome_code` of a resolved dispute; with a payout PayPal itself pays the buyer. An unknown verdict leaves it open."""

OUTCOMES = {
    "5120": Outcome.INSUFFICIENT_FUNDS,
    "5400": Outcome.EXPIRED,
    "9500": Outcome.FRAUD_SUSPECTED,
    "9510": Outcome.FRAUD_SUSPECTED,
    "9520": Outcome.FRAUD_SUSPECTED,
    "5650": Outcome.AUTHENTICATION_REQUIRED,
    "00N7": Outcome.INVALID_DETAILS,
    "5110": Outcome.INVALID_DETAILS,
    "1330": Outcome.INVALID_DETAILS,
    "7710": Outcome.LIMIT_EXCEEDED,
    "5910": Outcome.PROVIDER_ERROR,
}
"""`processor_response.response_code` of a declined card; any other is a decline."""

IGNORED = {
    "CHECKOUT.": "an order says nothing that its authorizations and captures do not say themselves",
    "PAYMENT.ORDER.": "the first payments API",
    "PAYMENT.SALE.": "the first payments API, which subscriptions use",
    "PAYMENTS.PAYMENT.": "the first payments API",
    "PAYMENT.PAYOUTS": "a payout to others, not to the merchant",
    "PAYMENT.REFERENCED-PAYOUT-ITEM.": "a payout to a platform's seller",
    "PAYMENT-NETWORKS.": "an alternative network's mandate",
    "BILLING.": "a subscription; its payments have events of their own",
    "BILLING_AGREEMENTS.": "a subscription; its payments have events of their own",
    "INVOICING.": "an invoice that PayPal writes",
    "VAULT.": "a stored payment method",
    "CATALOG.": "PayPal's own catalog",
    "MERCHANT.": "a seller's account",
    "CUSTOMER.ACCOUNT-": "a seller's account",
    "CUSTOMER.MERCHANT-": "a seller's account",
    "CUSTOMER.MANAGED-ACCOUNT.": "a seller's account",
    "CUSTOMER.USER-PROFILE.": "a login",
    "IDENTITY.": "a login",
}
"""Families of events that are known and left aside on purpose: the beginning of their names and the reason."""
