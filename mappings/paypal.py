"""PayPal's words: webhook events of Orders v2 and Payments v2, states and disputes to the canonical model.

https://developer.paypal.com/api/rest/webhooks/event-names · https://developer.paypal.com/docs/api/payments/v2

The payment is the authorization, or the capture where there was none. A refund names only its capture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from marshmallow import ValidationError, fields, validate

from mappings.canonical import Ignored, Money, Outcome, PartKind, PartState, PaymentChange, PaymentPart, PaymentState, Review
from mappings.fields import Exact, Instant, Payload
from mappings.minor_units import Currency, decimal_money
from mappings.paypal_words import AUTHORIZATIONS, CAPTURES, DISPUTES, IGNORED, OUTCOMES, REFUNDS, UNKNOWN_REFUND, VERDICTS
from mappings.raw_codes import raw_code


@dataclass(frozen=True, slots=True)
class Rules:
    """The fields that hold the shop's order id."""

    reference_fields: Sequence[str] = ("custom_id", "invoice_id")


class MoneySchema(Payload):
    value = Exact(required=True)
    currency_code = Currency(required=True)


class ReasonSchema(Payload):
    reason = fields.String(load_default="", allow_none=True)


class ProcessorSchema(Payload):
    response_code = fields.String(load_default="", allow_none=True)


class ThingSchema(Payload):
    """An authorization, a capture or a refund."""

    id = fields.String(required=True, validate=validate.Length(min=1))
    status = fields.String(load_default="", allow_none=True)
    amount = fields.Nested(MoneySchema, required=True)
    status_details = fields.Nested(ReasonSchema, load_default=None, allow_none=True)
    processor_response = fields.Nested(ProcessorSchema, load_default=None, allow_none=True)


class DisputedSchema(Payload):
    seller_transaction_id = fields.String(load_default="", allow_none=True)
    custom = fields.String(load_default="", allow_none=True)
    invoice_number = fields.String(load_default="", allow_none=True)


class VerdictSchema(Payload):
    outcome_code = fields.String(load_default="", allow_none=True)


class DisputeSchema(Payload):
    dispute_id = fields.String(required=True, validate=validate.Length(min=1))
    status = fields.String(load_default="", allow_none=True)
    dispute_amount = fields.Nested(MoneySchema, required=True)
    dispute_outcome = fields.Nested(VerdictSchema, load_default=None, allow_none=True)
    disputed_transactions = fields.List(fields.Nested(DisputedSchema), load_default=list, allow_none=True)


class EventSchema(Payload):
    event_type = fields.String(required=True)
    create_time = Instant(required=True)
    resource = fields.Dict(required=True)


_EVENT, _THING, _DISPUTE = EventSchema(), ThingSchema(), DisputeSchema()


def translate(raw: Any, rules: Rules) -> PaymentChange | Ignored:
    """One event to what it says of one payment; raises marshmallow's ValidationError."""
    kind = raw.get("event_type") if isinstance(raw, Mapping) else None
    if isinstance(kind, str) and kind not in READERS:
        reason = next((why for start, why in IGNORED.items() if kind.startswith(start)), f"event {kind[:80]} is not known")
        return Ignored(reason)
    event = _EVENT.load(raw)
    return READERS[event["event_type"]](event["resource"], event, rules)


def parent(resource: Any, family: str) -> str:
    """The id of the thing that a capture or refund is of, by its related ids or its link "up": `family` is "authorizations",
    "captures" or "orders"; "" when it names none."""
    related = _at(resource, "supplementary_data", "related_ids", f"{family[:-1]}_id")
    if isinstance(related, str) and related:
        return related
    links = resource.get("links") if isinstance(resource, Mapping) else None
    for link in links if isinstance(links, list) else []:
        href = link.get("href") if isinstance(link, Mapping) and link.get("rel") == "up" else None
        if isinstance(href, str) and f"/{family}/" in href:
            return href.rpartition("/")[2]
    return ""


def disputed(resource: Any) -> str:
    """The capture that a dispute is about, or ""."""
    transactions = resource.get("disputed_transactions") if isinstance(resource, Mapping) else None
    first = transactions[0] if isinstance(transactions, list) and transactions else None
    found = first.get("seller_transaction_id") if isinstance(first, Mapping) else None
    return found if isinstance(found, str) else ""


def references(resource: Mapping[str, Any], rules: Rules) -> tuple[str, ...]:
    """The shop's order ids that a resource carries."""
    found = (resource.get(name) for name in rules.reference_fields)
    return tuple(dict.fromkeys(text for text in found if isinstance(text, str) and text))


def amount(value: Mapping[str, Any]) -> Money:
    """PayPal's decimal text; raises ValidationError when it is finer than the currency is."""
    return decimal_money(value["value"], value["currency_code"])


def capture_part(resource: Any) -> PaymentPart:
    """A capture as a part; raises ValidationError."""
    capture = _THING.load(resource)
    _, state, counts = CAPTURES.get(capture["status"], CAPTURES["PENDING"])
    return PaymentPart(PartKind.CAPTURE, capture["id"], amount(capture["amount"]), counts, state)


def refund_part(resource: Any) -> PaymentPart:
    """A refund as a part; raises ValidationError."""
    refund = _THING.load(resource)
    state, counts = REFUNDS.get(refund["status"], UNKNOWN_REFUND)
    return PaymentPart(PartKind.REFUND, refund["id"], amount(refund["amount"]), counts, state)


def dispute_part(resource: Any) -> PaymentPart:
    """A dispute as a part; raises ValidationError."""
    dispute = _DISPUTE.load(resource)
    state = DISPUTES.get(dispute["status"], PartState.UNDER_REVIEW)
    if dispute["status"] == "RESOLVED":
        state = VERDICTS.get((dispute["dispute_outcome"] or {}).get("outcome_code") or "", PartState.UNDER_REVIEW)
    counts = state not in (PartState.WON, PartState.CLOSED)
    return PaymentPart(PartKind.DISPUTE, dispute["dispute_id"], amount(dispute["dispute_amount"]), counts, state)


def authorization(resource: Any, at: Any, rules: Rules) -> PaymentChange:
    """What an authorization says; raises ValidationError."""
    held = _THING.load(resource)
    state = AUTHORIZATIONS.get(held["status"], PaymentState.PENDING)
    return _explained(PaymentChange(held["id"], at, state, amount(held["amount"]), (), references(resource, rules)), held)


def capture(resource: Any, at: Any, rules: Rules) -> PaymentChange:
    """What a capture says: of its authorization a part, and without one all there is; raises ValidationError."""
    taken, part = _THING.load(resource), capture_part(resource)
    of, refs = parent(resource, "authorizations"), references(resource, rules)
    if of:
        return PaymentChange(of, at, None, None, (part,), refs)
    state = CAPTURES.get(taken["status"], CAPTURES["PENDING"])[0]
    return _explained(PaymentChange(taken["id"], at, state, part.amount, (part,), refs), taken)


def _explained(change: PaymentChange, thing: Mapping[str, Any]) -> PaymentChange:
    reason = (thing["status_details"] or {}).get("reason") or ""
    code = (thing["processor_response"] or {}).get("response_code") or ""
    if change.state is PaymentState.FAILED:
        return replace(change, outcome=OUTCOMES.get(code, Outcome.DECLINED), raw_code=raw_code(code or reason))
    if change.state is PaymentState.PENDING:
        return replace(change, raw_code=raw_code(reason), review=Review.HOLD if reason == "PENDING_REVIEW" else None)
    return change


def _authorization(resource: Any, event: Mapping[str, Any], rules: Rules) -> PaymentChange:
    return authorization(resource, event["create_time"], rules)


def _capture(resource: Any, event: Mapping[str, Any], rules: Rules) -> PaymentChange:
    return capture(resource, event["create_time"], rules)


def _refund(resource: Any, event: Mapping[str, Any], rules: Rules) -> PaymentChange:
    """A reversal is a refund that PayPal or the bank decided: https://developer.paypal.com/docs/api/payments/v2"""
    payment = parent(resource, "authorizations") or parent(resource, "captures")
    if not payment:
        raise ValidationError({"resource": ["which capture it is of is not said"]})
    return PaymentChange(payment, event["create_time"], None, None, (refund_part(resource),), references(resource, rules))


def _reversal(resource: Any, event: Mapping[str, Any], rules: Rules) -> PaymentChange:
    return _refund(resource, event, rules) if parent(resource, "captures") else _taken_back(resource, event, rules)


def _taken_back(resource: Any, event: Mapping[str, Any], rules: Rules) -> PaymentChange:
    part = replace(capture_part(resource), counts=False, state=PartState.REVERSED)
    payment = parent(resource, "authorizations") or part.remote_id
    return PaymentChange(payment, event["create_time"], None, None, (part,), references(resource, rules))


def _dispute(resource: Any, event: Mapping[str, Any], rules: Rules) -> PaymentChange | Ignored:
    part, payment = dispute_part(resource), disputed(resource)
    if not payment:
        return Ignored("a dispute about no payment")
    told = resource["disputed_transactions"][0]
    refs = references({"custom_id": told.get("custom"), "invoice_id": told.get("invoice_number")}, rules)
    return PaymentChange(payment, event["create_time"], None, None, (part,), refs)


def _fetched(resource: Any, event: Mapping[str, Any], rules: Rules) -> PaymentChange:
    """Everything that was asked of one payment: the connector's `fetch_payment`."""
    payment, held, taken = resource.get("payment"), _rows(resource, "authorizations"), _rows(resource, "captures")
    own = [row for row in taken if payment in (row.get("id"), parent(row, "authorizations")) or [payment] == [a.get("id") for a in held]]
    ids = {row["id"] for row in own if isinstance(row.get("id"), str)}
    refunds = [row for row in _rows(resource, "refunds") if parent(row, "captures") in ids]
    parts = (*map(capture_part, own), *map(refund_part, refunds), *map(dispute_part, _rows(resource, "disputes")))
    for read, rows in ((authorization, held), (capture, own)):
        for row in rows:
            if row.get("id") == payment:
                return replace(read(row, event["create_time"], rules), remote_id=payment, parts=parts)
    raise ValidationError({"resource": ["the payment is not in it"]})


def _rows(resource: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = resource.get(name)
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


FETCHED = "PAYMENT.FETCHED"
"""Our own name for what was asked and not sent."""

OF_A_CAPTURE: dict[str, Callable[[Any, Mapping[str, Any], Rules], PaymentChange | Ignored]] = {
    **dict.fromkeys(["PAYMENT.CAPTURE.REFUNDED", "PAYMENT.REFUND.PENDING", "PAYMENT.REFUND.COMPLETED", "PAYMENT.REFUND.FAILED"], _refund),
    **dict.fromkeys(
        ["CUSTOMER.DISPUTE.CREATED", "CUSTOMER.DISPUTE.UPDATED", "CUSTOMER.DISPUTE.RESOLVED", "RISK.DISPUTE.CREATED"], _dispute
    ),
    "PAYMENT.CAPTURE.REVERSED": _reversal,
}
"""Events that name a capture, and not the authorization that it was made of."""

READERS: dict[str, Callable[[Any, Mapping[str, Any], Rules], PaymentChange | Ignored]] = {
    "PAYMENT.AUTHORIZATION.CREATED": _authorization,
    "PAYMENT.AUTHORIZATION.VOIDED": _authorization,
    **dict.fromkeys([f"PAYMENT.CAPTURE.{word}" for word in ("COMPLETED", "PENDING", "DENIED", "DECLINED")], _capture),
    **OF_A_CAPTURE,
    FETCHED: _fetched,
}
