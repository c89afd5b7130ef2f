"""What operators may do, each recorded with who did it: switch a connection, look at what is dead, drive it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from middleware import routes
from middleware.errors import SettingsError
from middleware.leases import locked_order
from middleware.models import Call, CallState, Event, EventState, Switch
from middleware.observing import log
from middleware.settings import LANES
from middleware.work import Cause, Outcome, Work

if TYPE_CHECKING:
    from middleware.runtime import Runtime

DEAD_CALLS = (CallState.DEAD, CallState.REJECTED)
ENDED_EVENTS = (EventState.DEAD, EventState.DECIDED, EventState.IGNORED)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay would drive again: `what` is event or call, a line of text for each."""

    what: str
    ids: tuple[int, ...]
    lines: tuple[str, ...]


def dead_events(runtime: Runtime) -> list[tuple[str, str, int]]:
    """(connection, cause, count) of dead events."""
    query = (
        select(Event.connection, Event.cause, func.count()).where(Event.state == EventState.DEAD).group_by(Event.connection, Event.cause)
    )
    with runtime.sessions() as session:
        return [
            (connection, cause or "", count) for connection, cause, count in session.execute(query.order_by(Event.connection, Event.cause))
        ]


def dead_calls(runtime: Runtime) -> list[tuple[str, str, int]]:
    """(connection, cause, count) of dead and rejected calls."""
    query = select(Call.connection, Call.cause, func.count()).where(Call.state.in_(DEAD_CALLS)).group_by(Call.connection, Call.cause)
    with runtime.sessions() as session:
        return [
            (connection, cause or "", count) for connection, cause, count in session.execute(query.order_by(Call.connection, Call.cause))
        ]


def plan(runtime: Runtime, what: str, ids: Sequence[int], cause: str | None, connection: str | None) -> Plan:
    """What would be driven again: calls that are dead or rejected, events of a cause that are dead, and, by their ids, any
    events that were decided (deciding again changes nothing that is done). What is under way is left out."""
    with runtime.sessions() as session:
        if what == "event":
            query = select(Event).order_by(Event.id)
            by_cause = (Event.state == EventState.DEAD, Event.cause == cause)
            query = query.where(Event.id.in_(ids), Event.state.in_(ENDED_EVENTS)) if ids else query.where(*by_cause)
            events = session.scalars(query.where(Event.connection == connection) if connection else query).all()
            return Plan(what, tuple(e.id for e in events), tuple(map(_event_line, events)))
        search = select(Call).where(Call.state.in_(DEAD_CALLS))
        search = search.where(Call.id.in_(ids)) if ids else search.where(Call.cause == cause)
        calls = session.scalars(search.where(Call.connection == connection) if connection else search).all()
        return Plan(
            what, tuple(c.id for c in calls), tuple(f"call {c.id} {c.operation} → {c.connection}: {c.cause} ({c.detail})" for c in calls)
        )


def _event_line(event: Event) -> str:
    line = f"event {event.id} {event.connection} {event.topic}: {event.state}"
    if event.state == EventState.DEAD:
        return f"{line}, {event.cause} ({event.detail})"
    return f"{line} already; it is decided again, and what it did before is recognised and not repeated"


def replay(runtime: Runtime, planned: Plan, by: str) -> int:
    """Make what was planned due again; returns how many. A call is looked up before it is made again."""
    if planned.what == "call":
        return sum(_replay_call(runtime, call_id, by) for call_id in planned.ids)
    with runtime.engine.begin() as connection:
        done = connection.execute(
            text(
                "UPDATE events SET state = 'due', due_at = :now, attempts = 0, vanished = 0, cause = NULL, detail = :by, decided_at = NULL"
                " WHERE id = ANY(:ids) AND state = ANY(:ended)"
            ),
            {"ended": list(map(str, ENDED_EVENTS)), "now": runtime.now(), "ids": list(planned.ids), "by": f"re-driven by {by}"},
        )
    for lane in LANES:
        runtime.ring("decide", lane)
    log.warning("events.replayed", by=by, count=done.rowcount)
    return int(done.rowcount)


def _replay_call(runtime: Runtime, call_id: int, by: str) -> int:
    with runtime.sessions.begin() as session:
        work = Work(session, runtime.settings, runtime.vault, runtime.now())
        call = session.get_one(Call, call_id)
        order = locked_order(session, call.order_id)
        done = session.execute(
            update(Call)
            .where(Call.id == call_id, Call.state.in_(DEAD_CALLS))
            .values(
                state=CallState.PENDING, due_at=work.now, attempts=0, look_up=True, ended_at=None, cause=None, detail=f"re-driven by {by}"
            )
        )
        if getattr(done, "rowcount", 0) != 1:
            return 0
        work.begin(Cause(call.connection, f"replay by {by}", (), None, call.id, call.correlation_id, call.traceparent))
        if order is not None and call.operation in routes.OUTCOMES:
            routes.OUTCOMES[call.operation](Outcome(CallState.PENDING, reason=f"re-driven by {by}"), order, work)
            routes.follow_up(work)
        work.lanes.add(call.lane)
        work.flush()
    runtime.ring_after(work)
    log.warning("call.replayed", call_id=call_id, by=by)
    return 1


def switch(runtime: Runtime, connection: str, reason: str | None, by: str) -> None:
    """Turn a connection's calls off with a reason, or (None) on again."""
    if connection not in runtime.settings.connections:
        raise SettingsError([f"{connection}: no connection is called so; known: {', '.join(runtime.settings.connections)}"])
    with runtime.sessions.begin() as session:
        work = Work(session, runtime.settings, runtime.vault, runtime.now())
        work.begin(Cause(connection, f"switched by {by}"))
        if reason is None:
            session.execute(text("DELETE FROM switches WHERE connection = :connection"), {"connection": connection})
        else:
            row = {"connection": connection, "reason": reason, "turned_by": by, "since": work.now}
            session.execute(insert(Switch).values(row).on_conflict_do_update(index_elements=["connection"], set_=row))
        work.audit(None, f"connection {connection}", "", "on" if reason is None else "off", reason or "")
        work.flush()
    runtime.ring("make", runtime.lane(connection))
    log.warning("connection.switched", connection=connection, off=reason is not None, by=by)
