"""Second half: each call made once.

`make` is one doorbell's work: while the lane has a call that may go, claim it (committed lease with a fencing token), let the
connector do it, and record the outcome with everything that follows from it in one transaction. A lease that expires is
*unknown*, never due: it rests for the connection's `settle` time, is looked up by our key, and only then made again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextvars import copy_context
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from middleware import context, inbox, observing, routes
from middleware.connectors._http import Exchange, recording
from middleware.database import insert_rows
from middleware.errors import Busy, CallError, Transient, Unauthorized, UnknownOutcome
from middleware.leases import Taken, claim, locked_order
from middleware.models import CallState, ExchangeRow
from middleware.observing import log
from middleware.outcomes import outcome_of
from middleware.ports import OPERATIONS, Delivery, Effect, Receipt
from middleware.switches import switch_off
from middleware.vault import VaultError
from middleware.work import Cause, Outcome, Work

if TYPE_CHECKING:
    from middleware.runtime import Runtime


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


_FAILED = (CallState.DEAD, CallState.REJECTED)
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
            switch_off(session, call.connection, outcome.reason, now)
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
