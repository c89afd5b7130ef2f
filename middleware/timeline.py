"""What happened to an order: every event, call, exchange and state in one list. The console and `waybill orders show` print it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from mappings.canonical import Money
from middleware.domain.attention import Attention, Situation, attention
from middleware.models import Call, CallState, Event, ExchangeRow, OrderRow, TransitionRow

if TYPE_CHECKING:
    from middleware.runtime import Runtime

PAGE = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. `kind` is event, call, exchange or state; `tone` is ok, wait or bad."""

    at: datetime
    kind: str
    title: str
    detail: str
    tone: str


@dataclass(frozen=True, slots=True)
class Summary:
    """An order in one row of the list; times are UTC."""

    id: int
    number: str
    store: str
    total: str
    state: str
    payment_state: str
    export_state: str
    fulfilment_state: str
    erp_number: str
    waits: str
    placed_at: datetime | None
    attention: Attention | None


@dataclass(frozen=True, slots=True)
class Story:
    """One order with everything that happened to it, oldest first."""

    summary: Summary
    shop: str
    order_id: str
    payments: tuple[tuple[str, str, str, str], ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list, newest first."""

    orders: tuple[Summary, ...]
    number: int
    more: bool
    find: str
    counts: tuple[tuple[str, int], ...]

    @property
    def waiting(self) -> bool:
        """Whether an order on this page waits for something."""
        return any(order.waits for order in self.orders)


def orders(runtime: Runtime, page: int = 1, find: str = "") -> Page:
    """A page of orders; `find` is a number or an id, in the shop or in the ERP."""
    query = select(OrderRow).order_by(OrderRow.id.desc()).offset((page - 1) * PAGE).limit(PAGE + 1)
    if find:
        query = query.where(or_(OrderRow.number == find, OrderRow.order_id == find, OrderRow.erp_number == find))
    with runtime.sessions() as session:
        rows = session.scalars(query).all()
        counts = session.execute(
            select(OrderRow.export_state, func.count()).group_by(OrderRow.export_state).order_by(OrderRow.export_state)
        ).all()
        found = tuple(_summary(row, runtime.now()) for row in rows[:PAGE])
    return Page(found, page, len(rows) > PAGE, find, tuple((state, count) for state, count in counts))


def order(runtime: Runtime, order_id: int) -> Story | None:
    """One order by our id."""
    with runtime.sessions() as session:
        row = session.get(OrderRow, order_id)
        return _story(session, row, runtime.now()) if row else None


def by_number(runtime: Runtime, number: str) -> list[Story]:
    """Orders by number, id or ERP number; several shops may have the same number."""
    with runtime.sessions() as session:
        rows = session.scalars(
            select(OrderRow).where(or_(OrderRow.number == number, OrderRow.order_id == number, OrderRow.erp_number == number))
        )
        return [_story(session, row, runtime.now()) for row in rows]


def needing_attention(runtime: Runtime, limit: int = 200) -> list[Summary]:
    """Orders that are stuck, overdue or contradictory, newest first."""
    with runtime.sessions() as session:
        rows = session.scalars(select(OrderRow).order_by(OrderRow.id.desc()).execution_options(yield_per=500))
        found = []
        for row in rows:
            summary = _summary(row, runtime.now())
            if summary.attention is not None:
                found.append(summary)
            if len(found) == limit:
                break
        return found


def _summary(row: OrderRow, now: datetime) -> Summary:
    return Summary(
        row.id,
        row.number,
        row.store,
        str(Money(row.total_minor, row.currency)),
        row.state,
        row.payment_state,
        row.export_state,
        row.fulfilment_state,
        row.erp_number,
        row.waits,
        row.placed_at,
        attention(Situation(row.state, row.payment_state, row.export_state, row.since), now),
    )


def _story(session: Session, row: OrderRow, now: datetime) -> Story:
    events = session.scalars(select(Event).where(Event.order_id == row.id)).all()
    calls = session.scalars(select(Call).where(Call.order_id == row.id)).all()
    exchanges = session.scalars(select(ExchangeRow).where(ExchangeRow.call_id.in_([call.id for call in calls]))).all()
    states = session.scalars(select(TransitionRow).where(TransitionRow.order_id == row.id)).all()
    lines = [*map(_event, events), *(line for call in calls for line in _call(call)), *map(_exchange, exchanges), *map(_state, states)]
    lines.sort(key=lambda line: (line.at, _ORDER[line.kind]))
    payments = tuple((p.connection, p.remote_id, p.state, str(Money(p.amount_minor, p.currency))) for p in row.payments)
    return Story(_summary(row, now), row.shop, row.order_id, payments, tuple(lines))


_ORDER = {"event": 0, "state": 1, "call": 2, "exchange": 3}
_CALL_TONES = {CallState.DONE: "ok", CallState.SUPERSEDED: "ok", CallState.REJECTED: "bad", CallState.DEAD: "bad"}


def _event(row: Event) -> Line:
    waited = (row.decided_at - row.kept_at).total_seconds() if row.decided_at else 0.0
    detail = f"{row.state}; {row.delivery_id}"
    if row.detail:
        detail += f"; {row.detail}"
    if row.parked_until and row.decided_at:
        detail += f"; it came before its order: parked, and joined after {waited:.1f} s"
    elif waited >= 1:
        detail += f"; decided {waited:.1f} s after it was kept"
    tone = "bad" if row.state == "dead" else "ok" if row.decided_at else "wait"
    return Line(row.kept_at, "event", f"{row.connection}: {row.topic}", detail, tone)


def _call(row: Call) -> Sequence[Line]:
    title = f"{row.operation} → {row.connection}"
    asked = Line(row.asked_at, "call", f"{title}: asked", f"key {row.key}", "ok")
    tone = _CALL_TONES.get(CallState(row.state), "wait")
    reason = row.detail or ""
    if tone == "wait":
        reason = f"{reason}; next try at {row.due_at:%H:%M:%S}".removeprefix("; ")
    result = f"{row.attempts} attempt{'s' if row.attempts != 1 else ''}"
    parts: list[Any] = [result, f"their id {row.remote_id}" if row.remote_id else "", f"field {row.field}" if row.field else "", reason]
    at = row.ended_at or row.attempted_at or row.asked_at
    return asked, Line(at, "call", f"{title}: {row.state}", "; ".join(filter(None, parts)), tone)


def _exchange(row: ExchangeRow) -> Line:
    outcome = str(row.status) if row.status else "no answer"
    text = f"attempt {row.attempt}, {row.seconds * 1000:.0f} ms" + (f"; {row.error}" if row.error else "")
    return Line(
        row.at,
        "exchange",
        f"{row.method} {row.path}: {outcome}",
        text,
        "ok" if row.status and row.status < 400 and not row.error else "wait",
    )


def _state(row: TransitionRow) -> Line:
    if row.refused:
        return Line(row.at, "state", f"{row.thing}: {row.was} → {row.becomes} refused", f"{row.detail}; {row.cause}", "bad")
    change = f"{row.was} → {row.becomes}" if row.was else row.becomes
    return Line(row.at, "state", f"{row.thing}: {change}", "; ".join(filter(None, (row.detail, row.cause))), "ok")
