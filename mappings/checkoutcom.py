"""Checkout.com's events and payments to the canonical model.

https://www.checkout.com/docs/developer-resources/event-notifications/event-types · https://api-reference.checkout.com
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields, validate

from mappings.canonical import Ignored, Money, Outcome, PartKind, PartState, PaymentChange, PaymentPart, PaymentState, Review
from mappings.checkoutcom_words import DISPUTES, IGNORED, OUTCOMES, PARTS, STATUSES
from mappings.fields import Instant, Payload
from mappings.minor_units import Currency, Minor, money
from mappings.raw_codes import raw_code

FETCHED = "payment_fetched"
"""Our own name for what was asked and not sent."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Minor units that differ from ISO 4217, and the metadata that holds the shop's order id beside the reference."""

    exponents: Mapping[str, int]
    metadata_keys: Sequence[str] = ()


class BalancesSchema(Payload):
    total_authorized = Minor(load_default=None, allow_none=True)
    available_to_capture = Minor(load_default=None, allow_none=True)


class RiskSchema(Payload):
    flagged = fields.Raw(load_default=False, allow_none=True)


class DataSchema(Payload):
    id = fields.String(required=True, validate=validate.Length(min=1))
    action_id = fields.String(load_default="", allow_none=True)
    payment_id = fields.String(load_default="", allow_none=True)
    reference = fields.String(load_default="", allow_none=True)
    payment_reference = fields.String(load_default="", allow_none=True)
    amount = Minor(required=True)
    currency = Currency(required=True)
    response_code = fields.String(load_default="", allow_none=True)
    balances = fields.Nested(BalancesSchema, load_default=None, allow_none=True)
    risk = fields.Nested(RiskSchema, load_default=None, allow_none=True)
    metadata = fields.Dict(load_default=dict, allow_none=True)
    status = fields.String(load_default="", allow_none=True)
    links = fields.Dict(data_key="_links", keys=fields.String(), load_default=dict, allow_none=True)


class ActionSchema(Payload):
    """https://api-reference.checkout.com/#operation/getPaymentActions"""

    id = fields.String(required=True, validate=validate.Length(min=1))
    type = fields.String(required=True)
    amount = Minor(required=True)
    approved = fields.Boolean(load_default=None, allow_none=True)
    response_code = fields.String(load_default="", allow_none=True)


class EventSchema(Payload):
    """The time has either of two names: https://www.checkout.com/docs/developer-resources/event-notifications"""

    type = fields.String(required=True)
    created_on = Instant(load_default=None, allow_none=True)
    timestamp = Instant(load_default=None, allow_none=True)
    data = fields.Nested(DataSchema, required=True)
    links = fields.Dict(data_key="_links", keys=fields.String(), load_default=dict, allow_none=True)
    actions = fields.List(fields.Nested(ActionSchema), load_default=list, allow_none=True)


_EVENT = EventSchema()


def translate(raw: Any, rules: Rules) -> PaymentChange | Ignored:
    """One event to what it says of one payment; raises marshmallow's ValidationError."""
    kind = raw.get("type") if isinstance(raw, Mapping) else None
    if isinstance(kind, str) and kind not in READERS:
        reason = next((why for start, why in IGNORED.items() if kind.startswith(start)), f"event {kind[:80]} is not known")
        return Ignored(reason)
    event = _EVENT.load(raw)
    at = event["created_on"] or event["timestamp"]
    if at is None:
        raise ValidationError({"timestamp": ["no time is given"]})
    change = READERS[event["type"]](event, at, rules)
    return change if isinstance(change, Ignored) else replace(change, order_refs=_references(event["data"], rules))


def _approved(event: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange | Ignored:
    data = event["data"]
    if data["amount"] == 0:
        return Ignored("a card was checked; no money was authorised")
    review = Review.HOLD if (data["risk"] or {}).get("flagged") is True else None
    return PaymentChange(data["id"], at, PaymentState.AUTHORIZED, _money(data, rules), review=review)


def _pending(event: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange | Ignored:
    return PaymentChange(event["data"]["id"], at, _waiting(event), _money(event["data"], rules))


def _waiting(event: Mapping[str, Any]) -> PaymentState:
    """A link to redirect the customer to means that something (3D Secure, a bank's page) is up to them."""
    asks = "redirect" in (event["data"]["links"] or {}) or "redirect" in (event["links"] or {})
    return PaymentState.REQUIRES_ACTION if asks else PaymentState.PENDING


def _held(event: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange | Ignored:
    return PaymentChange(event["data"]["id"], at, None, review=Review.HOLD)


def _declined(event: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange | Ignored:
    return _failed(PaymentChange(event["data"]["id"], at, PaymentState.FAILED, _money(event["data"], rules)), event["data"])


def _failed(change: PaymentChange, said: Mapping[str, Any]) -> PaymentChange:
    code = said["response_code"] or ""
    return replace(change, outcome=OUTCOMES.get(code, Outcome.DECLINED), raw_code=raw_code(code))


def _incremented(event: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange | Ignored:
    """Its own amount is the increment; what is authorised in all is a balance."""
    data = event["data"]
    total = (data["balances"] or {}).get("total_authorized")
    amount = None if total is None else money(total, data["currency"], rules.exponents)
    return PaymentChange(data["id"], at, PaymentState.AUTHORIZED, amount)


def _voided(event: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange | Ignored:
    """A void of a part leaves the rest to be captured."""
    left = (event["data"]["balances"] or {}).get("available_to_capture") or 0
    return PaymentChange(event["data"]["id"], at, None if left > 0 else PaymentState.VOIDED)


def _ended(event: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange | Ignored:
    outcome = Outcome.EXPIRED if event["type"] == "payment_expired" else Outcome.CANCELLED
    return PaymentChange(event["data"]["id"], at, PaymentState.VOIDED, outcome=outcome)


def _part(event: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange | Ignored:
    data, (state, counts) = event["data"], PARTS[event["type"]]
    if not data["action_id"]:
        raise ValidationError({"data": {"action_id": ["Missing data for required field."]}})
    kind = PartKind.CAPTURE if "capture" in event["type"] else PartKind.REFUND
    return PaymentChange(data["id"], at, None, None, (PaymentPart(kind, data["action_id"], _money(data, rules), counts, state),))


def _dispute(event: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange | Ignored:
    data, state = event["data"], DISPUTES[event["type"]]
    if not data["payment_id"]:
        return Ignored("a dispute about no payment")
    counts = state not in (PartState.WON, PartState.CLOSED)
    return PaymentChange(
        data["payment_id"], at, None, None, (PaymentPart(PartKind.DISPUTE, data["id"], _money(data, rules), counts, state),)
    )


def _fetched(event: Mapping[str, Any], at: datetime, rules: Rules) -> PaymentChange | Ignored:
    """A payment with its actions: see the connector's `fetch_payment`."""
    data, actions = event["data"], event["actions"] or []
    parts = tuple(_acted(action, data, rules) for action in actions if action["type"] in _KINDS)
    state = STATUSES.get(data["status"]) or _waiting(event)
    change = PaymentChange(data["id"], at, state, _money(data, rules), parts)
    if change.state is not PaymentState.FAILED:
        return change
    return _failed(change, next((action for action in actions if action["type"] == "Authorization"), data))


def _acted(action: Mapping[str, Any], data: Mapping[str, Any], rules: Rules) -> PaymentPart:
    """Without a verdict it is pending, which counts for a refund only."""
    kind, approved = _KINDS[action["type"]], action["approved"]
    amount = money(action["amount"], data["currency"], rules.exponents)
    if approved is None:
        return PaymentPart(kind, action["id"], amount, kind is PartKind.REFUND, PartState.PENDING)
    return PaymentPart(kind, action["id"], amount, approved, PartState.DONE if approved else PartState.FAILED)


_KINDS = {"Capture": PartKind.CAPTURE, "Refund": PartKind.REFUND}


def _references(data: Mapping[str, Any], rules: Rules) -> tuple[str, ...]:
    metadata = data["metadata"] or {}
    told = [data["payment_reference"] or data["reference"], *(metadata.get(key) for key in rules.metadata_keys)]
    return tuple(dict.fromkeys(str(one) for one in told if isinstance(one, str | int) and not isinstance(one, bool) and one != ""))


def _money(data: Mapping[str, Any], rules: Rules) -> Money:
    return money(data["amount"], data["currency"], rules.exponents)


READERS: dict[str, Callable[[Mapping[str, Any], datetime, Rules], PaymentChange | Ignored]] = {
    "payment_approved": _approved,
    "payment_pending": _pending,
    "payment_compliance_review": _held,
    "payment_declined": _declined,
    "payment_authorization_incremented": _incremented,
    "payment_voided": _voided,
    "payment_expired": _ended,
    "payment_canceled": _ended,
    **dict.fromkeys(PARTS, _part),
    **dict.fromkeys(DISPUTES, _dispute),
    FETCHED: _fetched,
}
