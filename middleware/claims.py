"""Claims of events: taken with a committed attempt and a lease, and given back with a verdict, both for a whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from middleware.models import EventState
from middleware.work import Cause, Verdict

if TYPE_CHECKING:
    from middleware.runtime import Runtime

_LONGEST_DETAIL = 2_000


class LeaseLost(Exception):
    """Another worker took the batch over; nothing of this decision may be written."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event that this worker holds until its lease ends."""

    id: int
    connection: str
    delivery_id: str
    topic: str
    subject: str
    attempts: int
    kept_at: datetime
    hint: bool
    correlation_id: str
    traceparent: str
    body: bytes | None

    def cause(self, keys: tuple[str, ...]) -> Cause:
        return Cause(self.connection, f"event {self.id} {self.topic}", keys, self.id, None, self.correlation_id, self.traceparent)


_CLAIM = """
UPDATE events SET state = 'deciding', attempts = attempts + 1, lease_until = :lease
FROM (SELECT id FROM events WHERE state = 'due' AND lane = :lane AND due_at <= :now AND vanished {suspect} 0
      ORDER BY due_at, id LIMIT :batch FOR UPDATE SKIP LOCKED) due
WHERE events.id = due.id
RETURNING events.id
"""
_CLAIM_SUSPECT, _CLAIM_BATCH = text(_CLAIM.format(suspect=">")), text(_CLAIM.format(suspect="="))
_FETCH = text(
    "SELECT e.id, e.connection, e.delivery_id, e.topic, e.subject, e.attempts, e.kept_at, e.hint, e.correlation_id, e.traceparent, b.body"
    " FROM events e LEFT JOIN event_bodies b ON b.event_id = e.id AND b.kept_at = e.kept_at WHERE e.id = ANY(:ids) ORDER BY e.id"
)


def claim(runtime: Runtime, lane: str) -> list[Claimed]:
    """Take due events, attempts committed with the claim. A row whose worker vanished is taken alone, before the others."""
    now = runtime.now()
    values: dict[str, Any] = {"lane": lane, "now": now, "lease": now + timedelta(seconds=runtime.settings.work.event_lease)}
    with runtime.engine.begin() as connection:
        ids = connection.execute(_CLAIM_SUSPECT, {**values, "batch": 1}).scalars().all()
        if not ids:
            ids = connection.execute(_CLAIM_BATCH, {**values, "batch": runtime.settings.work.batch}).scalars().all()
    if not ids:
        return []
    with runtime.engine.connect() as connection:
        return [Claimed(*row) for row in connection.execute(_FETCH, {"ids": list(ids)})]


_BOOKKEEP = text(
    """
UPDATE events SET state = v.state, cause = v.cause, detail = v.detail, order_id = v.order_id,
  parked_until = coalesce(v.parked_until, events.parked_until),
  due_at = coalesce(v.due_at, events.due_at), decided_at = CASE WHEN v.state IN ('due', 'parked') THEN NULL ELSE :now END,
  lease_until = NULL, attempts = events.attempts - v.unburned, vanished = CASE WHEN v.state = 'due' THEN events.vanished ELSE 0 END
FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS int[]), CAST(:states AS text[]), CAST(:causes AS text[]), CAST(:details AS text[]),
  CAST(:orders AS bigint[]), CAST(:dues AS timestamptz[]), CAST(:parked AS timestamptz[]), CAST(:unburned AS int[]))
  AS v (id, attempts, state, cause, detail, order_id, due_at, parked_until, unburned)
WHERE events.id = v.id AND events.state = 'deciding' AND events.attempts = v.attempts
"""
)


def bookkeep(session: Session, now: datetime, claimed: Sequence[Claimed], verdicts: Mapping[int, Verdict]) -> None:
    """Give the claimed events back with their verdicts; raises `LeaseLost` when one of them is not this worker's any more."""
    ended = [(event, verdicts[event.id]) for event in claimed if event.id in verdicts]
    done = session.execute(
        _BOOKKEEP,
        {
            "now": now,
            "ids": [event.id for event, _ in ended],
            "attempts": [event.attempts for event, _ in ended],
            "states": [str(verdict.state) for _, verdict in ended],
            "causes": [verdict.cause for _, verdict in ended],
            "details": [verdict.detail and verdict.detail.replace("\0", "\ufffd")[:_LONGEST_DETAIL] for _, verdict in ended],
            "orders": [verdict.order.id if verdict.order else None for _, verdict in ended],
            "dues": [verdict.due_at for _, verdict in ended],
            "parked": [verdict.parked_until for _, verdict in ended],
            "unburned": [int(verdict.state is EventState.DUE and verdict.cause is None) for _, verdict in ended],
        },
    )
    if getattr(done, "rowcount", 0) != len(ended):
        raise LeaseLost
