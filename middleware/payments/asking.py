"""Captures, voids and refunds that a person or a rule asks for: each becomes one call with its own key, never more than is left.

What came of it is asked of the provider where it can be asked, so that the parts of a payment have the ids that its webhooks use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from mappings.canonical import Money, PartKind, PaymentChange, PaymentPart, PaymentState
from middleware.domain import money_moves as rules
from middleware.domain.payments import counted
from middleware.errors import WaybillError
from middleware.flows import payments
from middleware.models import Call, CallState, OrderRow, PaymentRow
from middleware.ports import Receipt
from middleware.work import Ask, Cause, Work

if TYPE_CHECKING:
    from middleware.runtime import Runtime

OPERATIONS = {"capture": "capture_payment", "void": "void_payment", "refund": "refund_payment"}
_OPEN = (CallState.PENDING, CallState.MAKING, CallState.RETRY, CallState.UNKNOWN)


class NotAsked(WaybillError):
    """The operation makes no sense, or the provider cannot do it; the text says why."""

    code = "not_possible"
    status = 409


def ask(
    runtime: Runtime, connection: str, payment: str, what: str, *, amount: Money | None = None, reason: str = "", by: str = "operator"
) -> str:
    """Ask for a capture, void or refund of a payment; returns the key of the call. Raises `NotAsked`."""
    operation = OPERATIONS[what]
    connector = runtime.connector(connection)
    if not hasattr(connector, operation):
        raise NotAsked(f"{runtime.settings.connections[connection].system} cannot {what} payments here")
    with runtime.sessions.begin() as session:
        row = session.scalars(
            select(PaymentRow).where(PaymentRow.connection == connection, PaymentRow.remote_id == payment).with_for_update()
        ).first()
        if row is None:
            raise NotAsked(f"{connection} has no payment {payment} here")
        earlier = session.scalars(
            select(Call).where(Call.connection == connection, Call.operation == operation, Call.subject == _subject(payment))
        ).all()
        try:
            moved = _checked(what, row, earlier, amount)
        except rules.NotPossible as error:
            raise NotAsked(str(error)) from None
        key = f"{what}:{connection}:{payment}:{len(earlier) + 1}:{moved.minor if moved else 0}"
        work = Work(session, runtime.settings, runtime.vault, runtime.now())
        work.begin(Cause(connection, f"{by} asked for a {what}"))
        payload = _payload(row, moved, reason, key, can_fetch=hasattr(connector, "fetch_payment"))
        work.ask(Ask(connection, operation, _subject(payment), key, payload, lane="payments"), row.order)
        shown = f"{moved} {reason}".strip() if moved else reason
        work.audit(row.order, f"{what} of {payment}", "", "asked", shown)
        work.flush()
    runtime.ring_after(work)
    return key


def settle(outcome: Any, order: OrderRow, work: Work) -> None:
    """An operation came to its end: what it moved is known by the provider's id at once, and the provider is asked how the payment is
    now; a failure is written down."""
    call = work.session.get(Call, work.cause.call_id)
    assert call is not None
    payload = msgspec.json.decode(work.vault.open(call.payload, call.key))
    what, payment = call.key.split(":", 1)[0], payload["payment"]
    if outcome.state is not CallState.DONE or outcome.receipt is None:
        if outcome.state in (CallState.REJECTED, CallState.DEAD):
            work.audit(order, f"{what} of {payment}", "asked", str(outcome.state), outcome.reason)
        return
    receipt: Receipt = outcome.receipt
    work.audit(order, f"{what} of {payment}", "asked", "done", f"{receipt.remote_id} {receipt.state}".strip())
    work.load((), [(call.connection, payment)])
    payments.record(_change(what, payment, payload["amount"], receipt, call), work)
    if payload["fetch"]:
        key = f"fetch:{call.connection}:{payment}:call{call.id}"
        work.ask(Ask(call.connection, "fetch_payment", payment, key, {"subject": payment}, lane="payments"))


def _change(what: str, payment: str, amount: Any, receipt: Receipt, call: Call) -> PaymentChange:
    """What an operation did, said at the time when it was asked for: whatever the provider says of it is newer."""
    if what == "void":
        return PaymentChange(payment, call.asked_at, PaymentState.VOIDED)
    kind = PartKind.CAPTURE if what == "capture" else PartKind.REFUND
    part = PaymentPart(kind, receipt.remote_id, Money(amount["minor"], amount["currency"]))
    return PaymentChange(payment, call.asked_at, None, parts=(part,))


def _checked(what: str, row: PaymentRow, earlier: Sequence[Call], amount: Money | None) -> Money | None:
    parts = [p.part for p in row.parts]
    on_its_way = sum(int(call.key.rpartition(":")[2]) for call in earlier if call.state in _OPEN)
    captured, refunded = counted(parts, PartKind.CAPTURE), counted(parts, PartKind.REFUND)
    balance = rules.Balance(PaymentState(row.state), row.currency, row.amount_minor, captured, refunded, on_its_way)
    if what == "void":
        rules.void(balance)
        return None
    return rules.capture(balance, amount) if what == "capture" else rules.refund(balance, amount)


def _payload(row: PaymentRow, amount: Money | None, reason: str, key: str, *, can_fetch: bool) -> dict[str, Any]:
    captures = [part.remote_id for part in row.parts if part.kind == PartKind.CAPTURE and part.counts]
    left = row.amount_minor - sum(part.amount_minor for part in row.parts if part.kind == PartKind.CAPTURE and part.counts)
    return {
        "payment": row.remote_id,
        "capture": captures[0] if len(captures) == 1 else "",
        "amount": {"minor": amount.minor, "currency": amount.currency} if amount else None,
        "final": amount is None or amount.minor >= left,
        "reason": reason,
        "reference": key,
        "fetch": can_fetch,
    }


def _subject(payment: str) -> str:
    return f"payment/{payment}"


def payments_of(session: Session, number: str) -> list[PaymentRow]:
    """The payments of an order by its number or id, or one payment by the provider's id."""
    query = select(PaymentRow).join(OrderRow).order_by(PaymentRow.id)
    return list(
        session.scalars(query.where((OrderRow.number == number) | (OrderRow.order_id == number) | (PaymentRow.remote_id == number)))
    )
