"""What every worker looks after each second: vanished workers, parked events, due polls, and doorbells that were lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select, text

from middleware import inbox, routes
from middleware.database import drop_partitions, ensure_partitions
from middleware.errors import Busy, CallError, UnknownOutcome
from middleware.feeds import lag, pushes
from middleware.feeds.pulls import due_pulls
from middleware.leases import locked_order
from middleware.models import MONTHLY, Call, CallState
from middleware.observing import log
from middleware.outcomes import outcome_of
from middleware.payments import selftest
from middleware.ports import Delivery
from middleware.switches import switched_off
from middleware.work import Cause, Work

if TYPE_CHECKING:
    from middleware.runtime import Runtime

DEADLY = 3
"""How many workers an event may take down before it is left alone."""

_VANISHED_EVENTS = text(
    """
UPDATE events SET vanished = vanished + 1, lease_until = NULL, due_at = :now,
  state = CASE WHEN vanished + 1 >= :deadly THEN 'dead' ELSE 'due' END, cause = CASE WHEN vanished + 1 >= :deadly THEN 'vanished' END,
  decided_at = CASE WHEN vanished + 1 >= :deadly THEN CAST(:now AS timestamptz) END,
  detail = 'its worker vanished while deciding it'
FROM (SELECT id FROM events WHERE state = 'deciding' AND lease_until < :now ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED) suspect
WHERE events.id = suspect.id RETURNING events.id, events.state
"""
)
_PARKED_TOO_LONG = text(
    "UPDATE events SET state = 'dead', decided_at = :now, detail = detail || ', and its deadline has passed'"
    " WHERE state = 'parked' AND parked_until < :now RETURNING id"
)
_JOINED_MEANWHILE = text(
    "WITH joined AS (DELETE FROM parked_keys WHERE event_id IN"
    " (SELECT p.event_id FROM parked_keys p JOIN order_keys o ON o.key = p.key LIMIT 500) RETURNING event_id)"
    " UPDATE events SET state = 'due', due_at = :now, attempts = 0, detail = 'its order appeared' WHERE id IN (SELECT event_id FROM joined)"
    " AND (state = 'parked' OR (state = 'dead' AND cause = 'order_unknown')) RETURNING id"
)
_DUE_EVENTS = text("SELECT DISTINCT lane FROM events WHERE state = 'due' AND due_at <= :now")
_DUE_CALLS = text("SELECT DISTINCT lane FROM calls WHERE state IN ('pending', 'retry', 'unknown') AND due_at <= :now")


def sweep(runtime: Runtime) -> None:
    """One round; every part is a short statement that any number of workers may run at once."""
    now = runtime.now()
    with runtime.engine.begin() as connection:
        vanished = connection.execute(_VANISHED_EVENTS, {"now": now, "deadly": DEADLY}).all()
        late = connection.execute(_PARKED_TOO_LONG, {"now": now}).all()
        connection.execute(_JOINED_MEANWHILE, {"now": now})
    for event_id, state in vanished:
        log.error("event.vanished", event_id=event_id, state=state)
    for (event_id,) in late:
        log.error("event.dead", event_id=event_id, cause="order_unknown")
    expire_calls(runtime)
    runtime.refusals.flush(runtime.engine)
    runtime.secret_uses.flush(runtime.engine)
    with runtime.engine.connect() as connection:
        events = list(connection.execute(_DUE_EVENTS, {"now": now}).scalars())
        calls = list(connection.execute(_DUE_CALLS, {"now": now}).scalars())
    for lane in events:
        runtime.ring("decide", lane)
    for lane in calls:
        runtime.ring("make", lane)
    for name in due_polls(runtime):
        runtime.ring("poll", runtime.lane(name), name)
    for connection_name, kind in due_pulls(runtime):
        runtime.ring("pull", "catalog", f"{connection_name}/{kind}")
    for shop in pushes.waiting(runtime):
        runtime.ring("push", "catalog", shop)
    lag.watch(runtime)
    if _house_is_due(runtime):
        runtime.ring("keep_house", "reports")


def expire_calls(runtime: Runtime) -> list[int]:
    """Turn calls whose lease ran out into *unknown*: they rest, are looked up, and only then made again. One that cannot be
    looked up, or whose attempts are spent, is dead."""
    now = runtime.now()
    with runtime.engine.connect() as connection:
        expired = connection.execute(
            select(Call.id, Call.order_id, Call.connection, Call.operation)
            .where(Call.state == CallState.MAKING, Call.lease_until < now)
            .limit(100)
        ).all()
    done = []
    for call_id, order_id, name, operation in expired:
        if name not in runtime.settings.connections:
            continue
        with runtime.sessions.begin() as session:
            order = locked_order(session, order_id)
            row = session.scalars(
                select(Call).where(Call.id == call_id, Call.state == CallState.MAKING, Call.lease_until < now).with_for_update()
            ).first()
            if row is None:
                continue
            outcome = outcome_of(UnknownOutcome("the worker vanished while it was being made"), row, runtime)
            row.state, row.look_up, row.token, row.lease_until = outcome.state, True, None, None
            row.cause, row.detail, row.ended_at = outcome.code, outcome.reason, now if outcome.state is CallState.DEAD else None
            row.due_at = now + timedelta(seconds=outcome.retry_after or 0)
            work = Work(session, runtime.settings, runtime.vault, now)
            work.begin(Cause(name, f"call {call_id} {operation}", (), None, call_id, row.correlation_id, row.traceparent))
            if order is not None and operation in routes.OUTCOMES:
                routes.OUTCOMES[operation](outcome, order, work)
                routes.follow_up(work)
            work.flush()
        log.warning("call.vanished", call_id=call_id, connection=name)
        done.append(call_id)
    return done


# polls

POLL_LEASE = 600
"""Seconds after which a poll whose worker vanished may begin again."""

_CLAIM_POLL = text(
    """
INSERT INTO runs (connection, kind, due_at, lease_until) VALUES (:connection, 'orders', :now, :lease)
ON CONFLICT (connection, kind) DO UPDATE SET lease_until = :lease
WHERE (runs.due_at <= :now OR :at_once) AND (runs.lease_until IS NULL OR runs.lease_until < :now) RETURNING watermark
"""
)


_CLAIM_HOUSE = text(
    """
INSERT INTO runs (connection, kind, due_at) VALUES ('', 'house', :next)
ON CONFLICT (connection, kind) DO UPDATE SET due_at = :next WHERE runs.due_at <= :now RETURNING connection
"""
)
_END_POLL = text(
    "UPDATE runs SET watermark = :watermark, due_at = :due, lease_until = NULL, detail = :detail"
    " WHERE connection = :name AND kind = 'orders' AND lease_until = :lease"
)


def due_polls(runtime: Runtime) -> list[str]:
    """The connections whose orders or payments should be polled now."""
    wanted = [name for name, one in runtime.settings.connections.items() if one.poll and lister(runtime, name)]
    if not wanted:
        return []
    with runtime.engine.connect() as connection:
        resting = connection.execute(
            text("SELECT connection FROM runs WHERE kind = 'orders' AND (due_at > :now OR lease_until > :now)"), {"now": runtime.now()}
        ).scalars()
        return sorted(set(wanted) - set(resting) - switched_off(connection))


def lister(runtime: Runtime, name: str) -> Callable[[datetime | None], Iterable[tuple[Delivery, ...]]] | None:
    """What lists the changes of a system that is polled: an ERP's orders, or what a payment provider sent or did."""
    connector = runtime.connector(name)
    return getattr(connector, "changed_orders", None) or getattr(connector, "payment_events", None)


@dataclass(frozen=True, slots=True)
class Polled:
    """What a poll brought: how many new events, and why it stopped early ("" when it completed)."""

    new: int
    failure: str


def poll(runtime: Runtime, name: str, *, at_once: bool = False) -> Polled | None:
    """Fetch what changed since the watermark and keep it as events of ours; the watermark moves only when the run completes.
    None when it is not due (unless `at_once`) or another worker polls."""
    now, settings = runtime.now(), runtime.settings.connections[name]
    values = {"connection": name, "now": now, "lease": now + timedelta(seconds=POLL_LEASE), "at_once": at_once}
    with runtime.engine.begin() as connection:
        row = connection.execute(_CLAIM_POLL, values).first()
    if row is None:
        return None
    new, watermark, failure = 0, row[0], ""
    try:
        since = row[0] and row[0] - timedelta(seconds=settings.overlap)
        changes = lister(runtime, name)
        assert changes is not None
        for page in changes(since):
            new += inbox.keep(runtime, name, page)
            watermark = max(filter(None, [watermark, *(delivery.occurred_at for delivery in page)]), default=watermark)
    except (CallError, Busy) as error:
        watermark, failure = row[0], f"{error.code}: {error}"
        log.warning("poll.failed", connection=name, cause=error.code, reason=str(error))
    with runtime.engine.begin() as connection:
        connection.execute(
            _END_POLL,
            {
                "watermark": watermark,
                "due": runtime.now() + timedelta(seconds=settings.poll),
                "detail": failure,
                "name": name,
                "lease": values["lease"],
            },
        )
    return Polled(new, failure)


def _house_is_due(runtime: Runtime) -> bool:
    """Once an hour, for whichever worker sees it first."""
    now = runtime.now()
    with runtime.engine.begin() as connection:
        return connection.execute(_CLAIM_HOUSE, {"now": now, "next": now + timedelta(hours=1)}).first() is not None


def keep_house(runtime: Runtime) -> list[str]:
    """Make the coming months' partitions and drop what retention no longer keeps; returns what was dropped."""
    selftest.check_all(runtime)
    selftest.watch(runtime)
    now, keep = runtime.now(), runtime.settings.retention
    days = dict(zip(MONTHLY, (keep.bodies, keep.transcripts, keep.audit), strict=True))
    with runtime.engine.begin() as connection:
        ensure_partitions(connection, now)
        dropped = [name for table, age in days.items() for name in drop_partitions(connection, table, now - timedelta(days=age))]
        connection.execute(
            text("DELETE FROM events WHERE kept_at < :before AND state IN ('decided', 'ignored', 'dead')"),
            {"before": now - timedelta(days=keep.events)},
        )
    return dropped
