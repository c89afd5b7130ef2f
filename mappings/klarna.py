"""Klarna's words: states of payment requests (the network) and of orders (order management) to the canonical model.

https://docs.klarna.com/api/ordermanagement · https://docs.klarna.com/klarna-network-distribution (monitor the payment request state)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from mappings.canonical import Ignored, Outcome, PartKind, PartState, PaymentChange, PaymentPart, PaymentState, Review
from mappings.fields import Instant, Payload
from mappings.minor_units import Currency, Minor, money
from mappings.payment_fields import order_refs
from mappings.raw_codes import raw_code

STATES = {
    "SUBMITTED": PaymentState.PENDING,
    "IN_PROGRESS": PaymentState.REQUIRES_ACTION,
    "COMPLETED": PaymentState.PENDING,
    "AUTHORIZED": PaymentState.AUTHORIZED,
    "DECLINED": PaymentState.FAILED,
    "CANCELED": PaymentState.VOIDED,
    "CANCELLED": PaymentState.VOIDED,
    "EXPIRED": PaymentState.VOIDED,
}
"""A payment request's state; an unknown word means pending, never paid. A completed one still has to be authorized."""

STATUSES = {
    "AUTHORIZED": PaymentState.AUTHORIZED,
    "PART_CAPTURED": PaymentState.AUTHORIZED,
    "CAPTURED": PaymentState.CAPTURED,
    "CANCELLED": PaymentState.VOIDED,
    "EXPIRED": PaymentState.VOIDED,
}
"""An order's status. CLOSED says only that nothing more will happen: what was captured says the rest."""

OUTCOMES = {
    "DECLINED": Outcome.DECLINED,
    "CANCELED": Outcome.CANCELLED,
    "CANCELLED": Outcome.CANCELLED,
    "EXPIRED": Outcome.EXPIRED,
}
FRAUD = {"PENDING": Review.HOLD, "REJECTED": Review.REJECT, "ACCEPTED": Review.APPROVE}
REQUESTS = "payment.request.state-change."
FETCHED = "order.fetched"


class CaptureSchema(Payload):
    capture_id = fields.String(required=True)
    captured_amount = Minor(required=True)


class RefundSchema(Payload):
    refund_id = fields.String(load_default="", allow_none=True)
    refunded_amount = Minor(required=True)


class OrderSchema(Payload):
    order_id = fields.String(required=True)
    status = fields.String(required=True)
    fraud_status = fields.String(load_default="", allow_none=True)
    order_amount = Minor(required=True)
    purchase_currency = Currency(required=True)
    captures = fields.List(fields.Nested(CaptureSchema), load_default=list)
    refunds = fields.List(fields.Nested(RefundSchema), load_default=list)
    merchant_reference1 = fields.String(load_default="", allow_none=True)
    merchant_reference2 = fields.String(load_default="", allow_none=True)


class RequestSchema(Payload):
    payment_request_id = fields.String(required=True)
    payment_request_reference = fields.String(load_default="", allow_none=True)
    state = fields.String(load_default="", allow_none=True)


class MetadataSchema(Payload):
    event_type = fields.String(required=True)
    occurred_at = Instant(required=True)


class EventSchema(Payload):
    metadata = fields.Nested(MetadataSchema, required=True)
    payload = fields.Dict(required=True)


_EVENT, _ORDER, _REQUEST = EventSchema(), OrderSchema(), RequestSchema()
KEPT = (
    "order_id",
    "status",
    "fraud_status",
    "order_amount",
    "purchase_currency",
    "captured_amount",
    "refunded_amount",
    "remaining_authorized_amount",
    "merchant_reference1",
    "merchant_reference2",
)
"""What is kept of an order beside the ids and amounts of its captures and refunds: nothing of persons and goods."""


def translate(raw: Any, exponents: Mapping[str, int], states: Mapping[str, str]) -> PaymentChange | Ignored:
    """One event, or one answer of ours in the same shape; raises marshmallow's ValidationError. `states` are what the account's words
    mean beside ours."""
    metadata = raw.get("metadata") if isinstance(raw, Mapping) else None
    kind = metadata.get("event_type") if isinstance(metadata, Mapping) else None
    if isinstance(kind, str) and kind != FETCHED and not kind.startswith(REQUESTS):
        return Ignored(f"topic {kind} is not used")
    event = _EVENT.load(raw)
    if event["metadata"]["event_type"] == FETCHED:
        return _order(event, exponents)
    request = _REQUEST.load(event["payload"])
    word = request["state"] or str(kind).removeprefix(REQUESTS).replace("-", "_").upper()
    state = PaymentState(states[word]) if word in states else STATES.get(word, PaymentState.PENDING)
    refs = (request["payment_request_reference"],) if request["payment_request_reference"] else ()
    at, outcome = event["metadata"]["occurred_at"], OUTCOMES.get(word, Outcome.NONE)
    code = raw_code(word) if state is PaymentState.FAILED else ""
    return PaymentChange(request["payment_request_id"], at, state, None, (), refs, outcome, code)


def kept(order: Mapping[str, Any]) -> dict[str, Any]:
    """An answered order without persons and goods."""
    parts = {"captures": ("capture_id", "captured_amount"), "refunds": ("refund_id", "refunded_amount")}
    found = {name: order[name] for name in KEPT if name in order}
    for kind, names in parts.items():
        listed = order.get(kind)
        whole = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
        found[kind] = [{name: one[name] for name in names if name in one} for one in whole]
    return found


def check_states(states: Mapping[str, str]) -> None:
    """Raises ValueError when a configured state is none of ours."""
    if not set(states.values()) <= {str(state) for state in PaymentState}:
        raise ValueError(f"states: expected Klarna's words → one of: {', '.join(PaymentState)}")


def _order(event: Mapping[str, Any], exponents: Mapping[str, int]) -> PaymentChange:
    order, at = _ORDER.load(event["payload"]), event["metadata"]["occurred_at"]
    parts = _parts(order, exponents)
    closed = PaymentState.CAPTURED if order["captures"] else PaymentState.VOIDED
    state = closed if order["status"] == "CLOSED" else STATUSES.get(order["status"], PaymentState.PENDING)
    review = FRAUD.get(order["fraud_status"] or "")
    if state is PaymentState.AUTHORIZED and review is Review.HOLD:
        state = PaymentState.PENDING
    refs = order_refs(order, ("merchant_reference1", "merchant_reference2"))
    total = money(order["order_amount"], order["purchase_currency"], exponents)
    outcome = OUTCOMES.get(order["status"], Outcome.NONE)
    return PaymentChange(order["order_id"], at, state, total, parts, refs, outcome, review=review)


def _parts(order: Mapping[str, Any], exponents: Mapping[str, int]) -> tuple[PaymentPart, ...]:
    currency, name = order["purchase_currency"], order["order_id"]
    made = [_part(PartKind.CAPTURE, one["capture_id"], money(one["captured_amount"], currency, exponents)) for one in order["captures"]]
    # Old refunds have no id; the list only grows, so that the place in it is one.
    for place, one in enumerate(order["refunds"], 1):
        made.append(_part(PartKind.REFUND, one["refund_id"] or f"{name}/refund{place}", money(one["refunded_amount"], currency, exponents)))
    return tuple(made)


def _part(kind: PartKind, name: str, amount: Any) -> PaymentPart:
    return PaymentPart(kind, name, amount, True, PartState.DONE)
