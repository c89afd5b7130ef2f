"""The objects of the simulated Stripe, as plain JSON: https://docs.stripe.com/api (payment intents, charges, refunds, disputes)."""

from __future__ import annotations

from typing import Any

API_VERSION = "2026-10-28.endive"

Json = dict[str, Any]


def payment_intent(intent_id: str, amount: int, currency: str, *, created: int) -> Json:
    """A fresh intent; `amount` in the currency's smallest unit, `created` unix seconds."""
    return {
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "automatic_payment_methods": {"enabled": True},
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "manual",
        "client_secret": f"{intent_id}_secret_simulated",
        "confirmation_method": "automatic",
        "created": created,
        "currency": currency.lower(),
        "customer": None,
        "description": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {},
        "next_action": None,
        "payment_method": None,
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": None,
        "status": "requires_payment_method",
        "transfer_group": None,
    }


def charge(charge_id: str, intent: Json, created: int) -> Json:
    """An uncaptured charge of the whole intent."""
    return {
        "id": charge_id,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "captured": False,
        "created": created,
        "currency": intent["currency"],
        "customer": None,
        "description": None,
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": f"pm_{charge_id[3:]}",
        "payment_method_details": {"card": {"brand": "visa", "last4": "4242", "country": "US"}, "type": "card"},
        "receipt_email": None,
        "refunded": False,
        "refunds": {"object": "list", "data": [], "has_more": False, "url": f"/v1/charges/{charge_id}/refunds"},
        "status": "succeeded",
    }


def refund(refund_id: str, of: Json, amount: int, created: int) -> Json:
    """A succeeded refund of a charge."""
    return {
        "id": refund_id,
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": of["id"],
        "created": created,
        "currency": of["currency"],
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": {},
        "payment_intent": of["payment_intent"],
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def dispute(dispute_id: str, of: Json, amount: int, reason: str, created: int) -> Json:
    """A dispute that waits for the merchant's answer for a week."""
    return {
        "id": dispute_id,
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": of["id"],
        "created": created,
        "currency": of["currency"],
        "evidence_details": {"due_by": created + 7 * 86400, "has_evidence": False, "past_due": False, "submission_count": 0},
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": of["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }


def payment_error(code: str, of: Json) -> Json:
    """`last_payment_error` of an intent whose charge was declined."""
    declined = code not in {"authentication_required", "expired_card", "incorrect_cvc", "processing_error"}
    return {
        "type": "card_error",
        "code": "card_declined" if declined else code,
        "decline_code": code if declined else None,
        "charge": of["id"],
        "message": "Your card was declined.",
    }


def event(event_id: str, kind: str, data: Json, created: int) -> Json:
    """The envelope of one event; `data` has `object`, and `previous_attributes` where Stripe tells them."""
    return {
        "id": event_id,
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
