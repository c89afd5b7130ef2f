"""What a decision is made of: its cause, its verdict, what it asks for, and the messages that only we send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from middleware.models import CallState, EventState, OrderRow
from middleware.ports import Receipt


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something changes now: the event or call at hand, its connection, its join keys and its trace."""

    connection: str
    label: str
    keys: tuple[str, ...] = ()
    event_id: int | None = None
    call_id: int | None = None
    correlation_id: str = ""
    traceparent: str = ""


@dataclass(slots=True)
class Verdict:
    """How the event at hand ends. `waits` is said to people while it is parked."""

    state: EventState = EventState.DECIDED
    order: OrderRow | None = None
    cause: str | None = None
    detail: str | None = None
    due_at: datetime | None = None
    parked_until: datetime | None = None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that should be made: `key` makes it once, `subject` serialises it on its connection; with `replaces` it
    supersedes pending calls of its operation and subject. `after` are ids of calls that must be done first, `delay` seconds before it
    may be made."""

    connection: str
    operation: str
    subject: str
    key: str
    payload: Mapping[str, Any]
    lane: str = "orders"
    replaces: bool = False
    after: tuple[int, ...] = ()
    delay: float = 0.0


@dataclass(slots=True)
class OrderChanged:
    """An order changed in this work: is there something to do about it? `anew` when the shop's own words changed, not only states."""

    order: OrderRow
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Hint:
    """Something of a subject may have changed; only the provider knows what. The fetch takes the `lane`."""

    subject: str
    lane: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt of a call ended: its new state, the receipt when it is done, else why (no secret, no personal data) and
    the field at fault."""

    state: CallState
    receipt: Receipt | None = None
    code: str = ""
    reason: str = ""
    field: str = ""
    retry_after: float | None = None
    burns_attempt: bool = True
