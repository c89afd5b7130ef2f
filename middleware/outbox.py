"""Second half: each call made once.

`make` is one doorbell's work: while the lane has a call that may go, claim it (committed lease with a fencing token), let the
connector do it, and record the outcome with everything that follows from it in one transaction. A lease that expires is
*unknown*, never due: it rests for the connection's `settle` time, is looked up by our key, and only then made again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from middleware import context, inbox, observing, routes
from middleware.connectors._http import Exchange, recording
from middleware.database import insert_rows
from middleware.domain.keys import order_key
from middleware.domain.retry import Retry
from middleware.errors import Busy, CallError, RateLimited, Rejected, Transient, Unauthorized, UnknownOutcome
from middleware.models import Call, CallState, ExchangeRow, OrderRow, Switch
from middleware.observing import log
from middleware.ports import OPERATIONS, Delivery, Effect, Receipt
from middleware.vault import VaultError
from middleware.work import Cause, Outcome, Work

if TYPE_CHECKING:
    from middleware.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Taken:
    """A call that this worker holds; only the holder of `token` may record how it ended."""

    id: int
    key: str
    connection: str
    operation: str
    subject: str
    order_id: int | None
    attempts: int
    look_up: bool
    token: str
    payload: bytes
    correlation_id: str
    traceparent: str


def make(runtime: Runtime, lane: str, limit: int = 100) -> int:
    """Make the lane's due calls, one after the other, at most `limit`; returns how many attempts were made. In one process at
    most `work.concurrency` threads do so for a lane: the others are left to the other lanes."""
    with runtime.bulkhead(lane) as free:
        return _make_while_free(runtime, lane, limit) if free else 0


def _make_while_free(runtime: Runtime, lane: str, limit: int) -> int:
    made = 0
    while made < limit:
        call = claim(runtime, lane)
        if call is None:
            break
        attempt(runtime, call)
        made += 1
    return made


_FAILED = (CallState.DEAD, CallState.REJECTED)

# claim

_WAITING = text("SELECT DISTINCT connection FROM calls WHERE lane = :lane AND state IN ('pending', 'retry', 'unknown') AND due_at <= :now")
_CLAIMER = text("SELECT set_config('lock_timeout', '2s', true), pg_advisory_xact_lock(hashtextextended('claim/' || :connection, 0))")
_MAY_GO = text(
    """
SELECT c.id FROM calls c
WHERE c.connection = :connection AND c.lane = :lane AND c.state IN ('pending', 'retry', 'unknown') AND c.due_at <= :now
  AND NOT EXISTS (SELECT 1 FROM calls h WHERE h.connection = c.connection AND h.subject = c.subject AND h.id <> c.id
    AND (h.state = 'making' OR (h.state IN ('retry', 'unknown') AND c.state = 'pending')
         OR (h.id < c.id AND h.state IN ('pending', 'retry', 'unknown'))))
  AND NOT EXISTS (SELECT 1 FROM calls a WHERE a.id = ANY(c.after) AND a.state <> 'done')
  AND (SELECT count(*) FROM calls m WHERE m.connection = c.connection AND m.state = 'making') < :concurrency
ORDER BY c.due_at, c.id LIMIT 1 FOR UPDATE OF c SKIP LOCKED
"""
)
_TAKE = text(
    "UPDATE calls SET state = 'making', attempts = attempts + 1, token = :token, lease_until = :lease, attempted_at = :now WHERE id = :id"
    " RETURNING id, key, connection, operation, subject, order_id, attempts, look_up, token, payload, correlation_id, traceparent"
)


def claim(runtime: Runtime, lane: str) -> Taken | None:
    """Take one call that may go now: its subject is free, what it comes after is done, its connection is on and below its
    concurrency. Claims of one connection are serialised, so none of this can change in between."""
    now = runtime.now()
    with runtime.engine.connect() as connection:
        waiting = list(connection.execute(_WAITING, {"lane": lane, "now": now}).scalars())
        off = set(connection.execute(select(Switch.connection)).scalars())
    runtime.shuffle(waiting)
    for name in waiting:
        if name in off or name not in runtime.settings.connections:
            continue
        taken = _claim_of(runtime, name, lane, now)
        if taken is not None:
            return taken
    return None


def _claim_of(runtime: Runtime, name: str, lane: str, now: datetime) -> Taken | None:
    settings = runtime.settings.connections[name]
    with runtime.engine.begin() as connection:
        connection.execute(_CLAIMER, {"connection": name})  # held for milliseconds, and its holder waits for nobody
        values = {"connection": name, "lane": lane, "now": now, "concurrency": settings.concurrency}
        found = connection.execute(_MAY_GO, values).scalar()
        if found is None:
            return None
        lease = now + timedelta(seconds=settings.deadline + 15)
        row = connection.execute(_TAKE, {"id": found, "now": now, "lease": lease, "token": uuid.uuid4().hex}).one()
        return Taken(*row)


# attempt


def attempt(runtime: Runtime, call: Taken) -> Outcome:
    """Let the connector do it and record how it ended; in a context of its own, so that nothing of it clings to the thread."""
    return copy_context().run(_attempt, runtime, call)


def _attempt(runtime: Runtime, call: Taken) -> Outcome:
    context.correlation_id.set(call.correlation_id)
    context.traceparent.set(call.traceparent)
    context.deadline.set(time.monotonic() + runtime.settings.connections[call.connection].deadline)
    with recording() as exchanges:
        outcome = _perform(runtime, call)
    record(runtime, call, outcome, exchanges)
    observing.CALLS.labels(call.connection, call.operation, outcome.code or str(outcome.state)).inc()
    for exchange in exchanges:
        observing.EXCHANGES.labels(call.connection, exchange.error_code or str(exchange.status)).observe(exchange.seconds)
    return outcome


def _perform(runtime: Runtime, call: Taken) -> Outcome:
    connector = runtime.connector(call.connection)
    try:
        payload = msgspec.json.decode(runtime.vault.open(call.payload, call.key))
    except VaultError as error:
        return Outcome(CallState.DEAD, code=error.code, reason=str(error))
    effect = Effect(call.key, call.operation, call.subject, payload, call.attempts, call.correlation_id)
    try:
        return Outcome(CallState.DONE, _do(runtime, connector, call, effect))
    except CallError as error:
        return outcome_of(error, call, runtime)
    except Exception as error:  # noqa: BLE001 - the outermost recorder: nobody knows how far it came
        observing.report(error)
        log.error("call.bug", call_id=call.id, exc_info=error)
        return outcome_of(UnknownOutcome(f"bug: {type(error).__name__}"), call, runtime)


def _do(runtime: Runtime, connector: Any, call: Taken, effect: Effect) -> Receipt:
    operation = OPERATIONS[call.operation]
    if call.look_up and operation.find and hasattr(connector, operation.find):
        found: Receipt | None = getattr(connector, operation.find)(effect)
        if found is not None:
            return found
    answer: Receipt | Delivery = getattr(connector, call.operation)(effect)
    if isinstance(answer, Receipt):
        return answer
    try:
        inbox.keep(runtime, call.connection, [answer])
    except Busy as error:
        raise Transient(str(error)) from error
    return Receipt(answer.delivery_id, state="fetched")


def outcome_of(error: CallError, call: Taken | Call, runtime: Runtime) -> Outcome:
    """What an error makes of a call after this attempt."""
    work = runtime.settings.work
    retry = Retry(work.call_attempts, work.retry_base, work.retry_cap)
    common: dict[str, Any] = {"code": error.code, "reason": error.reason, "field": error.field}
    if isinstance(error, Rejected):
        return Outcome(CallState.REJECTED, **common)
    if isinstance(error, Unauthorized):
        return Outcome(CallState.PENDING, retry_after=0, burns_attempt=False, **common)
    if isinstance(error, UnknownOutcome) and not _can_settle(runtime, call):
        return Outcome(CallState.DEAD, **{**common, "reason": f"{error.reason}; it cannot be looked up: a person decides"})
    if error.burns_attempt and retry.is_spent(call.attempts):
        return Outcome(CallState.DEAD, **{**common, "reason": f"{error.reason}; all {call.attempts} attempts are spent"})
    wait = retry.wait(call.attempts, runtime.jitter, error.retry_after)
    if isinstance(error, UnknownOutcome):
        rest = 0.0 if _is_native(runtime, call) else runtime.settings.connections[call.connection].settle
        return Outcome(CallState.UNKNOWN, retry_after=max(wait, rest), **common)
    assert isinstance(error, Transient | RateLimited)
    return Outcome(CallState.RETRY, retry_after=wait, burns_attempt=error.burns_attempt, **common)


def _can_settle(runtime: Runtime, call: Taken | Call) -> bool:
    operation = OPERATIONS[call.operation]
    return operation.repeatable or _is_native(runtime, call) or hasattr(runtime.connector(call.connection), operation.find or "-")


def _is_native(runtime: Runtime, call: Taken | Call) -> bool:
    return call.operation in getattr(runtime.connector(call.connection), "NATIVE_IDEMPOTENCY", ())


# record

_END = """
UPDATE calls SET state = :state, attempts = attempts - :unburned, due_at = coalesce(:due_at, due_at), ended_at = :ended_at, token = NULL,
  lease_until = NULL, look_up = look_up OR :look_up, remote_id = coalesce(:remote_id, remote_id),
  cause = :cause, detail = :detail, field = :field
WHERE id = :id AND token = :token AND state = 'making'
"""


def record(runtime: Runtime, call: Taken, outcome: Outcome, exchanges: Sequence[Exchange]) -> bool:
    """Write the outcome and what follows from it, in one transaction; False when the lease was lost meanwhile (then only the
    transcript is kept, and the look-up settles it)."""
    now = runtime.now()
    with runtime.sessions.begin() as session:
        work = Work(session, runtime.settings, runtime.vault, now)
        order = locked_order(session, call.order_id)
        done = session.execute(text(_END), _ending(call, outcome, now))
        _transcribe(session, call, exchanges, now)
        if getattr(done, "rowcount", 0) != 1:
            log.warning("call.late", call_id=call.id, connection=call.connection, state=outcome.state)
            return False
        if outcome.code == Unauthorized.code:
            _switch_off(session, call.connection, outcome.reason, now)
        label = f"call {call.id} {call.operation}"
        work.begin(Cause(call.connection, label, (), None, call.id, call.correlation_id, call.traceparent))
        if order is not None and call.operation in routes.OUTCOMES:
            routes.OUTCOMES[call.operation](outcome, order, work)
            routes.follow_up(work)
        work.flush()
    if outcome.state in _FAILED:
        log.error(
            "call.failed", call_id=call.id, connection=call.connection, operation=call.operation, cause=outcome.code, reason=outcome.reason
        )
    runtime.ring_after(work)
    return True


def _ending(call: Taken, outcome: Outcome, now: datetime) -> dict[str, Any]:
    over = outcome.state in (CallState.DONE, CallState.DEAD, CallState.REJECTED)
    return {
        "id": call.id,
        "token": call.token,
        "state": str(outcome.state),
        "unburned": 0 if outcome.burns_attempt else 1,
        "due_at": None if outcome.retry_after is None else now + timedelta(seconds=outcome.retry_after),
        "ended_at": now if over else None,
        "look_up": outcome.state is CallState.UNKNOWN,
        "remote_id": outcome.receipt.remote_id if outcome.receipt else None,
        "cause": outcome.code or None,
        "detail": outcome.reason or None,
        "field": outcome.field or None,
    }


def locked_order(session: Session, order_id: int | None) -> OrderRow | None:
    """The order under its lock, taken before any of its calls' rows; decisions only ever try for it, so nobody deadlocks."""
    order = session.get(OrderRow, order_id) if order_id is not None else None
    if order is None:
        return None
    key = order_key(order.shop, order.order_id)
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
    session.refresh(order)
    return order


def _transcribe(session: Session, call: Taken, exchanges: Sequence[Exchange], now: datetime) -> None:
    rows = [
        {
            "at": now,
            "call_id": call.id,
            "attempt": call.attempts,
            "method": e.method,
            "path": e.path,
            "status": e.status,
            "seconds": e.seconds,
            "error": " ".join(filter(None, (e.error_code, e.note))),
        }
        for e in exchanges
    ]
    insert_rows(session, ExchangeRow, rows)


def _switch_off(session: Session, connection: str, reason: str, now: datetime) -> None:
    """A refused credential is systemic: the connection pauses instead of burning a thousand calls' attempts."""
    row = {"connection": connection, "reason": f"unauthorized: {reason}", "turned_by": "waybill", "since": now}
    session.execute(insert(Switch).values(row).on_conflict_do_nothing())
    log.error("connection.paused", connection=connection, reason=reason)
