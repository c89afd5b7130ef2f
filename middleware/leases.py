"""Leases of calls: one call that may go is taken with a committed lease and a fencing token, and nobody else makes it meanwhile."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from middleware.domain.keys import order_key
from middleware.models import OrderRow, Switch

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


def locked_order(session: Session, order_id: int | None) -> OrderRow | None:
    """The order under its lock, taken before any of its calls' rows; decisions only ever try for it, so nobody deadlocks."""
    order = session.get(OrderRow, order_id) if order_id is not None else None
    if order is None:
        return None
    key = order_key(order.shop, order.order_id)
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
    session.refresh(order)
    return order
