"""A provider said something of a payment: join it to its order and derive what it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from mappings.canonical import Money, PartKind, PaymentChange, PaymentPart, PaymentState
from mappings.raw_codes import raw_code
from middleware.domain.keys import payment_key
from middleware.domain.payment_routes import carries
from middleware.domain.payments import counted, is_newer, order_payment_state, part_newness, payment_state
from middleware.models import OrderRow, PaymentPartRow, PaymentRow
from middleware.work import Ask, Work


def record(change: PaymentChange, work: Work) -> None:
    """Apply one change; an order that is not known yet parks the event, an older saying never undoes a newer one."""
    payment = work.payment(work.cause.connection, change.remote_id)
    if payment is None:
        order = work.order()
        if order is None:
            work.park("the order of this payment has not arrived yet")
            return
        payment = _new(change, order, work)
    work.verdict.order = payment.order
    before, states = _figures(payment), _part_states(payment)
    _hear(payment, change)
    _review(payment, change, work)
    _add_parts(payment, change)
    work.move_payment(payment, payment_state(PaymentState(payment.base_state), payment.amount_minor, _parts(payment)))
    _carry_to_order(payment.order, work)
    if _part_states(payment) != states:
        work.reconsider(payment.order)
    if _figures(payment) != before:
        _tell_shop(payment, before, change, work)


_NOTHING_SAID = datetime(1970, 1, 1, tzinfo=UTC)
"""What only tells of a part or a review says nothing of the payment's state."""


def _new(change: PaymentChange, order: OrderRow, work: Work) -> PaymentRow:
    amount = change.amount or Money(order.total_minor, order.currency)
    payment = PaymentRow(
        connection=work.cause.connection,
        remote_id=change.remote_id,
        order=order,
        state=str(PaymentState.PENDING),
        base_state=str(PaymentState.PENDING),
        base_at=change.occurred_at if change.state is not None else _NOTHING_SAID,
        amount_minor=amount.minor,
        currency=amount.currency,
        recorded_at=work.now,
        parts=[],
        outcome="",
        raw_code="",
        review="",
    )
    work.add_payment(payment)
    store = work.settings.stores.get(order.store)
    if store is not None and not carries(store, work.cause.connection, payment.currency):
        # The money has moved, so it counts; that it moved here is somebody's mistake.
        detail = f"{store.name} routes no {payment.currency} to {payment.connection}"
        work.audit(order, f"payment {change.remote_id}", "", "not routed", detail)
    work.name_order(order, [payment_key(work.cause.connection, change.remote_id)])  # what names only the payment may wait already
    return payment


def _hear(payment: PaymentRow, change: PaymentChange) -> None:
    if change.state is None or not is_newer(change.state, change.occurred_at, PaymentState(payment.base_state), payment.base_at):
        return
    payment.base_state, payment.base_at = str(change.state), change.occurred_at
    payment.outcome, payment.raw_code = change.outcome, raw_code(change.raw_code)
    if change.amount is not None:
        payment.amount_minor, payment.currency = change.amount.minor, change.amount.currency


def _part_states(payment: PaymentRow) -> dict[tuple[str, str], str]:
    return {(part.kind, part.remote_id): part.state for part in payment.parts}


def _review(payment: PaymentRow, change: PaymentChange, work: Work) -> None:
    """A fraud check's newest decision: it may hold the order, and let it go again."""
    if change.review is None or (payment.review_at is not None and change.occurred_at < payment.review_at):
        return
    if payment.review != change.review:
        work.audit(payment.order, f"review of {payment.remote_id}", payment.review, str(change.review))
        payment.review = str(change.review)
        work.follow(payment.order)
    payment.review_at = change.occurred_at


def _add_parts(payment: PaymentRow, change: PaymentChange) -> None:
    known = {(part.kind, part.remote_id): part for part in payment.parts}
    for part in change.parts:
        row = known.get((str(part.kind), part.remote_id))
        if row is None:
            payment.parts.append(
                PaymentPartRow(
                    kind=str(part.kind),
                    remote_id=part.remote_id,
                    amount_minor=part.amount.minor,
                    currency=part.amount.currency,
                    counts=part.counts,
                    state=str(part.state),
                    said_at=change.occurred_at,
                )
            )
        elif part_newness(part, change.occurred_at) > part_newness(row.part, row.said_at):
            row.amount_minor, row.counts, row.state, row.said_at = part.amount.minor, part.counts, str(part.state), change.occurred_at


def _parts(payment: PaymentRow) -> list[PaymentPart]:
    return [row.part for row in payment.parts]


@dataclass(frozen=True, slots=True)
class _Figures:
    """What the shop would be told of a payment; minor units."""

    state: str
    amount: int
    captured: int
    refunded: int


def _figures(payment: PaymentRow) -> _Figures:
    parts = _parts(payment)
    return _Figures(payment.state, payment.amount_minor, counted(parts, PartKind.CAPTURE), counted(parts, PartKind.REFUND))


def _tell_shop(payment: PaymentRow, before: _Figures, change: PaymentChange, work: Work) -> None:
    """Ask for the call that writes the payment in the shop, where we are its writer. What never came to anything is not written."""
    writer = work.settings.connections[payment.connection].payment_writer
    if writer == "observe" or payment.state in _NOTHING_YET:
        return
    now = _figures(payment)
    won = before.state == PaymentState.DISPUTED and now.state != PaymentState.DISPUTED
    payload = {
        "order_id": payment.order.order_id,
        "connection": payment.connection,
        "remote_id": payment.remote_id,
        "state": "dispute_won" if won else now.state,
        "currency": payment.currency,
        "amount": now.amount,
        "captured": now.captured,
        "refunded": now.refunded,
        "at": change.occurred_at.isoformat(),
        "dispute": next((p.remote_id for p in reversed(payment.parts) if p.kind == PartKind.DISPUTE), ""),
    }
    order, delay = payment.order, ASSIST_AFTER if writer == "assist" else 0.0
    because = f"event{work.cause.event_id}" if work.cause.call_id is None else f"call{work.cause.call_id}"
    key = f"payment:{payment.connection}:{payment.remote_id}:{because}"
    # A subject of its own: a status that the shop holds back must not hold the payment that may end the hold.
    work.ask(Ask(order.shop, "write_payment", f"order/{order.order_id}/payments", key, payload, lane="payments", delay=delay), order)


ASSIST_AFTER = 120.0
"""Seconds that the shop's own gateway module has to write a payment before we do: what it wrote, the shop finds equal."""
_NOTHING_YET = (PaymentState.PENDING, PaymentState.REQUIRES_ACTION, PaymentState.FAILED)


def _carry_to_order(order: OrderRow, work: Work) -> None:
    sums = []
    for payment in order.payments:
        parts = _parts(payment)
        sums.append((PaymentState(payment.state), counted(parts, PartKind.CAPTURE), counted(parts, PartKind.REFUND)))
    work.move(order, "payment_state", order_payment_state(order.total_minor, sums))
