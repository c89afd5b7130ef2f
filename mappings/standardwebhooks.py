"""A merchant's own table for any sender of Standard Webhooks: which topic means what, and where its parts lie in the body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md · https://jmespath.org/specification.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jmespath.exceptions import JMESPathError
from marshmallow import ValidationError

from mappings.attributes import compiled, search
from mappings.canonical import (
    Ignored,
    Money,
    Outcome,
    PartKind,
    PartState,
    PaymentChange,
    PaymentPart,
    PaymentState,
    PayoutChange,
    PayoutState,
    Review,
)
from mappings.fields import Exact, Identifier, Instant, UnixTime
from mappings.minor_units import Currency, Minor, decimal_money, money
from mappings.raw_codes import raw_code
from mappings.rules import Refused

_OF_PARTS = (PaymentState.PARTIALLY_CAPTURED, PaymentState.PARTIALLY_REFUNDED, PaymentState.REFUNDED, PaymentState.DISPUTED)
STATES = {str(state): state for state in PaymentState if state not in _OF_PARTS}
"""What a payment is said to be. How much of it is captured and refunded comes of its parts."""

PARTS = {
    "capture": (PartKind.CAPTURE, True, PartState.DONE),
    "capture_failed": (PartKind.CAPTURE, False, PartState.FAILED),
    "refund_pending": (PartKind.REFUND, True, PartState.PENDING),
    "refund": (PartKind.REFUND, True, PartState.DONE),
    "refund_failed": (PartKind.REFUND, False, PartState.FAILED),
    "dispute": (PartKind.DISPUTE, True, PartState.OPENED),
    "dispute_lost": (PartKind.DISPUTE, True, PartState.LOST),
    "dispute_won": (PartKind.DISPUTE, False, PartState.WON),
}
PAYOUTS = {f"payout_{state}": state for state in PayoutState}
REVIEWS = {f"review_{review}": review for review in Review}
IGNORE = "ignore"
WORDS = (*STATES, *PARTS, *PAYOUTS, *REVIEWS, IGNORE)

PATHS = {
    "topic": "type",
    "time": "timestamp",
    "id": "data.id",
    "amount": "data.amount",
    "currency": "data.currency",
    "order": "data.order_id",
    "part": "data.part_id",
    "code": "data.code",
    "live": "",
}
"""Where things lie, as jmespaths; "" for what the sender does not say. `part` is the id of a capture, refund or dispute, `code` why a
payment failed, `live` whether the event is of the live environment."""


@dataclass(frozen=True, slots=True)
class Table:
    """`outcomes` translate the sender's codes to ours; `is_minor` says that amounts are whole minor units, `exponents` being where
    the sender's differ from ISO 4217's."""

    topics: Mapping[str, str]
    paths: Mapping[str, str]
    outcomes: Mapping[str, str]
    is_minor: bool
    exponents: Mapping[str, int]


def table_of(options: Mapping[str, Any]) -> Table:
    """The table in a connection's options; raises ValueError that begins with the option at fault."""
    for topic, word in options["topics"].items():
        if word not in WORDS:
            raise ValueError(f"topics: {topic} is {word!r}; expected one of: {', '.join(WORDS)}")
    for name, path in options["paths"].items():
        if name not in PATHS:
            raise ValueError(f"paths: {name} is unknown; known: {', '.join(PATHS)}")
        _check_path(name, path)
    if not set(options["outcomes"].values()) <= {str(outcome) for outcome in Outcome}:
        raise ValueError(f"outcomes: expected codes → one of: {', '.join(filter(None, Outcome))}")
    if options["unit"] not in ("major", "minor"):
        raise ValueError("unit: expected major or minor")
    paths = {**PATHS, **options["paths"]}
    return Table(dict(options["topics"]), paths, dict(options["outcomes"]), options["unit"] == "minor", dict(options["exponents"]))


def _check_path(name: str, path: Any) -> None:
    try:
        if path != "":
            compiled(path)
    except (JMESPathError, TypeError, AttributeError):
        raise ValueError(f"paths: {name} is no jmespath") from None


def found(raw: Any, table: Table, name: str) -> Any:
    """What a path of the table finds, None for nothing; raises ValidationError."""
    if not table.paths[name]:
        return None
    try:
        return search(table.paths[name], raw)
    except Refused:
        raise ValidationError({name: ["the path does not fit the body"]}) from None


def translate(raw: Any, table: Table) -> PaymentChange | PayoutChange | Ignored:
    """One event by the table; raises marshmallow's ValidationError with the names of paths."""
    topic = found(raw, table, "topic")
    word = table.topics.get(topic, "") if isinstance(topic, str) else ""
    if word in ("", IGNORE):
        return Ignored("the topic is ignored by the table" if word else "the topic is not in the table")
    return _READERS[word](word, raw, table)


def _field(raw: Any, table: Table, name: str, read: Callable[[Any], Any], needed: bool = True) -> Any:
    value = found(raw, table, name)
    if value is None:
        if needed:
            raise ValidationError({name: ["is not there"]})
        return None
    try:
        return read(value)
    except ValidationError as error:
        raise ValidationError({name: error.messages}) from None


def _time(value: Any) -> datetime:
    return (UnixTime() if isinstance(value, int) else Instant()).deserialize(value)  # type: ignore[no-any-return]


def _money(raw: Any, table: Table, needed: bool) -> Money | None:
    currency = _field(raw, table, "currency", Currency().deserialize, needed)
    amount = _field(raw, table, "amount", Minor().deserialize if table.is_minor else Exact().deserialize, needed)
    if amount is None or currency is None:
        return None
    return money(amount, currency, table.exponents) if table.is_minor else decimal_money(amount, currency)


def _id(value: Any) -> str:
    return Identifier().deserialize(value)  # type: ignore[no-any-return]


def _change(raw: Any, table: Table) -> PaymentChange:
    order = _field(raw, table, "order", _id, needed=False)
    name, at = _field(raw, table, "id", _id), _field(raw, table, "time", _time)
    return PaymentChange(name, at, None, order_refs=(order,) if order else ())


def _state(word: str, raw: Any, table: Table) -> PaymentChange:
    state = STATES[word]
    change = replace(_change(raw, table), state=state, amount=_money(raw, table, needed=state is PaymentState.CAPTURED))
    if state is PaymentState.FAILED:
        code = _field(raw, table, "code", _id, needed=False) or ""
        return replace(change, outcome=table.outcomes.get(code, Outcome.DECLINED), raw_code=raw_code(code))
    if state is not PaymentState.CAPTURED or change.amount is None:
        return change
    part = _field(raw, table, "part", _id, needed=False) or change.remote_id
    return replace(change, parts=(PaymentPart(PartKind.CAPTURE, part, change.amount),))


def _part(word: str, raw: Any, table: Table) -> PaymentChange:
    kind, counts, state = PARTS[word]
    amount = _money(raw, table, needed=True)
    assert amount is not None
    part = PaymentPart(kind, _field(raw, table, "part", _id), amount, counts, state)
    return replace(_change(raw, table), parts=(part,))


def _payout(word: str, raw: Any, table: Table) -> PayoutChange:
    amount = _money(raw, table, needed=True)
    assert amount is not None
    return PayoutChange(_field(raw, table, "id", _id), _field(raw, table, "time", _time), PAYOUTS[word], amount)


def _review(word: str, raw: Any, table: Table) -> PaymentChange:
    return replace(_change(raw, table), review=REVIEWS[word])


_READERS: dict[str, Callable[[str, Any, Table], PaymentChange | PayoutChange]] = {
    **dict.fromkeys(STATES, _state),
    **dict.fromkeys(PARTS, _part),
    **dict.fromkeys(PAYOUTS, _payout),
    **dict.fromkeys(REVIEWS, _review),
}
