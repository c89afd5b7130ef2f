"""The shapes of Stripe's objects, as far as they are read. https://docs.stripe.com/api"""

from __future__ import annotations

from marshmallow import fields, validate

from mappings.fields import Payload, UnixTime
from mappings.minor_units import Currency, Minor

_NAMED = validate.Length(min=1)


class ErrorSchema(Payload):
    code = fields.String(load_default="", allow_none=True)
    decline_code = fields.String(load_default="", allow_none=True)


class IntentSchema(Payload):
    id = fields.String(required=True, validate=_NAMED)
    amount = Minor(required=True)
    currency = Currency(required=True)
    status = fields.String(required=True)
    amount_received = Minor(load_default=None, allow_none=True)
    latest_charge = fields.Raw(load_default=None, allow_none=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)
    cancellation_reason = fields.String(load_default=None, allow_none=True)
    last_payment_error = fields.Nested(ErrorSchema, load_default=None, allow_none=True)


class RefundSchema(Payload):
    id = fields.String(required=True, validate=_NAMED)
    amount = Minor(required=True)
    currency = Currency(required=True)
    status = fields.String(load_default="succeeded", allow_none=True)
    charge = fields.String(load_default=None, allow_none=True)
    payment_intent = fields.String(load_default=None, allow_none=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict, allow_none=True)


class RefundListSchema(Payload):
    data = fields.List(fields.Nested(RefundSchema), load_default=list)


class ChargeOutcomeSchema(Payload):
    reason = fields.String(load_default=None, allow_none=True)


class ChargeSchema(Payload):
    id = fields.String(required=True, validate=_NAMED)
    amount = Minor(required=True)
    amount_captured = Minor(load_default=0)
    amount_refunded = Minor(load_default=0)
    currency = Currency(required=True)
    captured = fields.Boolean(load_default=False)
    status = fields.String(load_default="", allow_none=True)
    failure_code = fields.String(load_default=None, allow_none=True)
    outcome = fields.Nested(ChargeOutcomeSchema, load_default=None, allow_none=True)
    payment_intent = fields.String(load_default=None, allow_none=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)
    refunds = fields.Nested(RefundListSchema, load_default=None, allow_none=True)


class DisputeSchema(Payload):
    id = fields.String(required=True, validate=_NAMED)
    amount = Minor(required=True)
    currency = Currency(required=True)
    status = fields.String(required=True)
    charge = fields.String(load_default=None, allow_none=True)
    payment_intent = fields.String(load_default=None, allow_none=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict, allow_none=True)


class AboutSchema(Payload):
    """What a review and a warning have in common: the payment that they are about."""

    charge = fields.String(load_default=None, allow_none=True)
    payment_intent = fields.String(load_default=None, allow_none=True)
    closed_reason = fields.String(load_default=None, allow_none=True)
    actionable = fields.Boolean(load_default=True)


class PayoutSchema(Payload):
    id = fields.String(required=True, validate=_NAMED)
    amount = Minor(required=True)
    currency = Currency(required=True)
    status = fields.String(required=True)


class DataSchema(Payload):
    object = fields.Dict(required=True, keys=fields.String())


class EventSchema(Payload):
    id = fields.String(required=True, validate=_NAMED)
    type = fields.String(required=True)
    created = UnixTime(required=True)
    data = fields.Nested(DataSchema, required=True)
