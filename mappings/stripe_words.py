"""Stripe's vocabulary: states, decline codes and the families of events that are left aside.

https://docs.stripe.com/payments/paymentintents/lifecycle · https://docs.stripe.com/declines/codes · https://docs.stripe.com/error-codes
"""

from __future__ import annotations

from mappings.canonical import Outcome, PartState, PaymentState, PayoutState, Review

ZERO_DECIMAL = frozenset(["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"])
"""Currencies whose amounts Stripe sends in major units: https://docs.stripe.com/currencies#zero-decimal."""
THREE_DECIMAL = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])

STATUSES = {
    "requires_payment_method": PaymentState.PENDING,
    "requires_confirmation": PaymentState.PENDING,
    "requires_action": PaymentState.REQUIRES_ACTION,
    "processing": PaymentState.PENDING,
    "requires_capture": PaymentState.AUTHORIZED,
    "canceled": PaymentState.VOIDED,
    "succeeded": PaymentState.CAPTURED,
}
"""PaymentIntent status; an unknown word means pending, never paid."""

REFUNDS = {
    "pending": (PartState.PENDING, True),
    "requires_action": (PartState.PENDING, True),
    "succeeded": (PartState.DONE, True),
    "failed": (PartState.FAILED, False),
    "canceled": (PartState.FAILED, False),
}
"""Refund status and whether it counts: https://docs.stripe.com/api/refunds/object#refund_object-status"""

DISPUTES = {
    "needs_response": PartState.EVIDENCE_REQUIRED,
    "under_review": PartState.UNDER_REVIEW,
    "won": PartState.WON,
    "lost": PartState.LOST,
    "prevented": PartState.CLOSED,
    "charge_refunded": PartState.CLOSED,
    "warning_needs_response": PartState.EVIDENCE_REQUIRED,
    "warning_under_review": PartState.UNDER_REVIEW,
    "warning_closed": PartState.CLOSED,
    "appeal_needs_response": PartState.EVIDENCE_REQUIRED,
    "appeal_under_review": PartState.UNDER_REVIEW,
}
"""Dispute status; of an unknown one only is known that it is open: https://docs.stripe.com/api/disputes/object#dispute_object-status"""

PAYOUTS = {
    "pending": PayoutState.PENDING,
    "in_transit": PayoutState.PENDING,
    "paid": PayoutState.PAID,
    "failed": PayoutState.FAILED,
    "canceled": PayoutState.CANCELLED,
}

REVIEWS = {
    "approved": Review.APPROVE,
    "refunded": Review.REJECT,
    "refunded_as_fraud": Review.REJECT,
    "disputed": Review.REJECT,
    "canceled": Review.REJECT,
    "payment_never_settled": Review.REJECT,
}
"""Why a review was closed; `acknowledged`, `redacted` and unknown words approve nothing: https://docs.stripe.com/api/radar/reviews/object"""

CANCELLATIONS = {
    "automatic": Outcome.EXPIRED,
    "expired": Outcome.EXPIRED,
    "fraudulent": Outcome.FRAUD_SUSPECTED,
    "failed_invoice": Outcome.DECLINED,
}
"""Why a payment intent was cancelled; everything else is somebody's wish."""

_CODES = {
    Outcome.DECLINED: "approve_with_id bank_account_declined bank_account_restricted bank_account_unusable call_issuer card_declined"
    " card_not_supported currency_not_supported debit_not_authorized do_not_honor do_not_try_again duplicate_transaction"
    " generic_decline india_recurring_payment_mandate_canceled invalid_amount low_probability_of_authorization merchant_blacklist"
    " new_account_information_available no_action_taken not_permitted payment_intent_mandate_invalid"
    " payment_intent_payment_attempt_failed payment_method_bank_account_blocked payment_method_not_available"
    " payment_method_provider_decline payment_method_restricted refer_to_customer restricted_card revocation_of_all_authorizations"
    " revocation_of_authorization sepa_unsupported_account service_not_allowed stop_payment_order testmode_decline"
    " transaction_not_allowed",
    Outcome.INSUFFICIENT_FUNDS: "insufficient_funds",
    Outcome.FRAUD_SUSPECTED: "fraudulent highest_risk_level lost_card pickup_card request_blocked rule security_violation stolen_card",
    Outcome.AUTHENTICATION_REQUIRED: "authentication_required mobile_device_authentication_required offline_pin_required"
    " online_or_offline_pin_required payment_intent_action_required",
    Outcome.AUTHENTICATION_FAILED: "authentication_failure incorrect_pin invalid_pin payment_intent_authentication_failure"
    " pin_try_exceeded setup_intent_authentication_failure three_d_secure_authentication_not_supported",
    Outcome.EXPIRED: "charge_expired_for_capture expired_card expired_payment_method payment_intent_payment_attempt_expired",
    Outcome.INVALID_DETAILS: "account_closed account_number_invalid bank_account_bad_routing_numbers incorrect_address incorrect_cvc"
    " incorrect_number incorrect_postal_code incorrect_zip invalid_account invalid_card_type invalid_cvc invalid_expiry_month"
    " invalid_expiry_year invalid_number no_account payment_method_billing_details_address_missing"
    " payment_method_currency_mismatch postal_code_invalid routing_number_invalid shipping_address_invalid",
    Outcome.LIMIT_EXCEEDED: "amount_too_large amount_too_small card_decline_rate_limit_exceeded card_velocity_exceeded"
    " charge_exceeds_source_limit charge_exceeds_transaction_limit withdrawal_count_limit_exceeded",
    Outcome.CANCELLED: "payment_intent_konbini_rejected_confirmation_number payment_method_customer_decline",
    Outcome.PROVIDER_ERROR: "issuer_not_available lock_timeout payment_intent_rate_limit_exceeded payment_method_provider_timeout"
    " processing_error rate_limit reenter_transaction three_d_secure_authentication_upstream_error try_again_later",
}
OUTCOMES = {code: outcome for outcome, codes in _CODES.items() for code in codes.split()}
"""Decline codes, and the error codes and Radar's reasons that a payment fails with; an unknown one is a decline."""

_CONNECT = "an account of a platform, which a shop is none of"
_CUSTOMER = "Stripe's own customers; no money moved"
_CATALOG = "Stripe's own catalog"
_BILLING = "Stripe's own billing; its payments have events of their own"
_INTENT = "the payment intent has events of its own"
_ISSUING = "cards that the merchant issues, no sale of the shop"
_BANK = "bank accounts and transfers of the merchant, no sale of the shop"

IGNORED = {
    **dict.fromkeys(["account", "application_fee", "capability", "person", "transfer"], _CONNECT),
    **dict.fromkeys(["cash_balance", "customer", "customer_cash_balance_transaction", "mandate", "payment_method"], _CUSTOMER),
    **dict.fromkeys(["climate", "coupon", "plan", "price", "product", "promotion_code", "tax", "tax_rate"], _CATALOG),
    **dict.fromkeys(["billing", "billing_portal", "credit_note", "entitlements", "invoice", "invoice_payment", "invoiceitem"], _BILLING),
    **dict.fromkeys(["quote", "subscription_schedule"], _BILLING),
    **dict.fromkeys(["checkout", "payment_link", "setup_intent", "source", "terminal", "three_d_secure"], _INTENT),
    **dict.fromkeys(["issuing_authorization", "issuing_card", "issuing_cardholder", "issuing_dispute"], _ISSUING),
    **dict.fromkeys(["issuing_personalization_design", "issuing_token", "issuing_transaction"], _ISSUING),
    **dict.fromkeys(["financial_connections", "topup", "treasury"], _BANK),
    **dict.fromkeys(["balance", "balance_settings", "reserve"], "the balance as a whole; payouts have events of their own"),
    **dict.fromkeys(["reporting", "sigma"], "a report is a file to download, not a payment"),
    **dict.fromkeys(["v1", "v2"], "a thin event only names its object"),
    "apps": "an application that is installed",
    "file": "a file that was uploaded",
    "identity": "proof of a person's identity",
    "test_helpers": "a clock of the sandbox",
}
"""Families of events (the first word) that are known and left aside on purpose."""
