"""Which message goes to which flow. Nothing else knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mappings.canonical import FulfilmentChange, Ignored, Order, PaymentChange, PayoutChange, Ping, Signal
from middleware.flows import alignment, exports, fulfilment, hints, orders, payments, payouts, pings, signals
from middleware.models import OrderRow
from middleware.payments import asking
from middleware.work import Hint, OrderChanged, Outcome, Work

MESSAGES: dict[type, Callable[[Any, Work], None]] = {
    Order: orders.record,
    PaymentChange: payments.record,
    FulfilmentChange: fulfilment.record,
    PayoutChange: payouts.record,
    Ping: pings.answer,
    Signal: signals.record,
    Ignored: lambda message, work: work.ignore(message.reason),
    Hint: hints.ask,
}

REACTIONS: tuple[Callable[[OrderChanged, Work], None], ...] = (exports.consider, alignment.consider)
"""What an order's change may lead to."""

OUTCOMES: dict[str, Callable[[Outcome, OrderRow, Work], None]] = {
    "create_order": exports.settle,
    **dict.fromkeys(asking.OPERATIONS.values(), asking.settle),
}


def react(changed: OrderChanged, work: Work) -> None:
    """Everything that an order's change leads to."""
    for reaction in REACTIONS:
        reaction(changed, work)


MESSAGES[OrderChanged] = react


def follow(message: Any, work: Work) -> None:
    """Send a message through its flow, then everything that follows from it."""
    MESSAGES[type(message)](message, work)
    follow_up(work)


def follow_up(work: Work) -> None:
    """Send every order that changed through its flow."""
    while work.follow_ups:
        change = work.follow_ups.pop(0)
        MESSAGES[type(change)](change, work)
