"""What a payment and an order's payments come to: pure functions of sets, so no order of arrival can change the result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from mappings.canonical import PartKind, PartState, PaymentPart, PaymentState
from middleware.domain.transitions import OrderPayment

_RANK = {
    PaymentState.PENDING: 0,
    PaymentState.REQUIRES_ACTION: 1,
    PaymentState.FAILED: 2,
    PaymentState.AUTHORIZED: 3,
    PaymentState.CAPTURED: 4,
    PaymentState.VOIDED: 5,
}
"""Decides between two sayings of the same instant (provider clocks have whole seconds): the further one is the later one."""


def is_newer(state: PaymentState, at: datetime, than: PaymentState, than_at: datetime) -> bool:
    """Whether saying `state` at `at` replaces `than` of `than_at`: time first, then rank."""
    return (at, _RANK.get(state, 4)) > (than_at, _RANK.get(than, 4))


def part_newness(part: PaymentPart, at: datetime) -> tuple[datetime, bool, int, int]:
    """What a part says replaces what sorts before it: time first, then what counts no more, the further state, the higher amount."""
    return at, not part.counts, _PART_STATES.index(part.state), part.amount.minor


_PART_STATES = tuple(PartState)
"""In the order in which a part goes through them: decides between two sayings of the same instant."""


def counted(parts: Iterable[PaymentPart], kind: PartKind) -> int:
    """The minor units of all parts of a kind that count."""
    return sum(part.amount.minor for part in parts if part.kind is kind and part.counts)


def payment_state(base: PaymentState, amount: int, parts: Sequence[PaymentPart]) -> PaymentState:
    """The state of one payment from what was last said of it and from its parts; `amount` in minor units."""
    captured, refunded = counted(parts, PartKind.CAPTURE), counted(parts, PartKind.REFUND)
    if any(part.kind is PartKind.DISPUTE and part.counts for part in parts):
        return PaymentState.DISPUTED
    if refunded:
        return PaymentState.REFUNDED if refunded >= (captured or amount) else PaymentState.PARTIALLY_REFUNDED
    if captured:
        return PaymentState.CAPTURED if captured >= amount else PaymentState.PARTIALLY_CAPTURED
    return base


def order_payment_state(total: int, payments: Sequence[tuple[PaymentState, int, int]]) -> OrderPayment:
    """What (state, captured, refunded) of all payments mean for an order of `total` minor units."""
    states = {state for state, _, _ in payments}
    captured, refunded = sum(c for _, c, _ in payments), sum(r for _, _, r in payments)
    if PaymentState.DISPUTED in states:
        return OrderPayment.DISPUTED
    if refunded:
        return OrderPayment.REFUNDED if refunded >= captured else OrderPayment.PARTIALLY_REFUNDED
    if captured:
        return OrderPayment.PAID if captured >= total else OrderPayment.PARTIALLY_PAID
    for state, meaning in _UNCAPTURED.items():
        if state in states:
            return meaning
    return OrderPayment.UNPAID


_UNCAPTURED = {
    PaymentState.AUTHORIZED: OrderPayment.AUTHORIZED,
    PaymentState.REQUIRES_ACTION: OrderPayment.PENDING,
    PaymentState.PENDING: OrderPayment.PENDING,
    PaymentState.FAILED: OrderPayment.FAILED,
    PaymentState.VOIDED: OrderPayment.VOIDED,
}
