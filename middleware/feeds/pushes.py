"""What is wanted is written: a batch of waiting items is only the transport, each item has its lease and its own outcome.

In sync is compare-and-set on the hash that was sent: what changed while it was on its way stays waiting.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from mappings.tables import Of
from middleware.domain.retry import Retry
from middleware.errors import CallError, Rejected
from middleware.observing import log
from middleware.ports import NOT_THERE, Write, Written

if TYPE_CHECKING:
    from middleware.runtime import Runtime

BATCH = 50
"""Items of one request to the shop."""
_LOOK_AGAIN = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class _Item:
    id: int
    wanted: bytes
    attempts: int
    write: Write


def push(runtime: Runtime, shop: str, limit: int = BATCH) -> Counter[str]:
    """Write one batch of the shop's waiting items; returns how many ended how (nothing: none was due)."""
    now = runtime.now()
    lease = now + timedelta(seconds=runtime.settings.connections[shop].deadline + 15)
    token = uuid.uuid4().hex
    with runtime.engine.begin() as connection:
        items = _claim(connection, shop, limit, now, lease, token)
    if not items:
        return Counter()
    try:
        answers = runtime.connector(shop).write_items([item.write for item in items])
    except CallError as error:
        log.warning("push.failed", connection=shop, items=len(items), cause=error.code, reason=error.reason)
        answers = [Written(error=error)] * len(items)
    with runtime.engine.begin() as connection:
        return _record(runtime, connection, items, answers, token)


def _claim(connection: Connection, shop: str, limit: int, now: datetime, lease: datetime, token: str) -> list[_Item]:
    """Products come before their variations, and a family together as far as the batch reaches."""
    values = {"shop": shop, "limit": limit, "now": now, "lease": lease, "token": token}
    rows = sorted(connection.execute(_CLAIM, values).all(), key=lambda row: (row.parent or row.key, row.kind, row.key))
    parents = {row.parent for row in rows if row.parent}
    ids = {row.key: row.remote_id for row in connection.execute(_PARENTS, {"shop": shop, "keys": sorted(parents)})}
    return [_Item(row.id, row.wanted, row.attempts, _write(row, ids.get(row.parent, ""))) for row in rows]


def _write(row: Any, parent_id: str) -> Write:
    fields: dict[str, Any] = {}
    for name in sorted(row.parts):  # each field has one owner, so that the order decides nothing
        fields.update(row.parts[name]["fields"])
    makes = any(part["makes"] for part in row.parts.values())
    return Write(row.kind, row.key, fields, row.parent, row.remote_id, parent_id, makes, not row.parts)


def _record(runtime: Runtime, connection: Connection, items: Sequence[_Item], answers: Sequence[Written], token: str) -> Counter[str]:
    ended: Counter[str] = Counter()
    now = runtime.now()
    for item, answer in zip(items, answers, strict=True):
        values = {"id": item.id, "token": token, "sent": item.wanted, "now": now, **_ending(runtime, item, answer, now)}
        connection.execute(_END, values)
        ended[str(values["outcome"])] += 1
    return ended


def _ending(runtime: Runtime, item: _Item, answer: Written, now: datetime) -> Mapping[str, Any]:
    """How an item goes on: written, waiting for another attempt, or refused with its reason."""
    error = answer.error
    common = {"remote_id": answer.remote_id, "cause": "", "field": "", "due": now, "burnt": 0}
    if error is None:
        return {**common, "outcome": answer.status or "written", "state": "in_sync"}
    reason = error.reason if isinstance(error, CallError) else type(error).__name__
    if isinstance(error, Rejected) and reason == NOT_THERE:
        return {**common, "outcome": "absent", "state": "waiting", "cause": NOT_THERE, "due": now + _LOOK_AGAIN}
    work = runtime.settings.work
    retry = Retry(work.call_attempts, work.retry_base, work.retry_cap)
    if isinstance(error, Rejected) or retry.is_spent(item.attempts + 1):
        field = error.field if isinstance(error, CallError) else ""
        return {**common, "outcome": "rejected", "state": "rejected", "cause": reason, "field": field}
    wait = retry.wait(item.attempts + 1, runtime.jitter, error.retry_after if isinstance(error, CallError) else None)
    burnt = 1 if isinstance(error, CallError) and error.burns_attempt else 0
    return {**common, "outcome": "retry", "state": "waiting", "cause": reason, "due": now + timedelta(seconds=wait), "burnt": burnt}


def waiting(runtime: Runtime) -> list[str]:
    """The shops that have items to write now."""
    with runtime.engine.connect() as connection:
        found = connection.execute(_WAITING, {"now": runtime.now()}).scalars()
        off = set(connection.execute(text("SELECT connection FROM switches")).scalars())
        return sorted(set(found) - off & set(runtime.settings.connections))


_WAITING = text(
    "SELECT DISTINCT shop FROM items WHERE state = 'waiting' AND due_at <= :now AND (lease_until IS NULL OR lease_until < :now)"
)
# A family is claimed from its product on: a variation cannot be made before the product that it belongs to.
_CLAIM = text(
    """
WITH due AS (
  SELECT id FROM items WHERE shop = :shop AND state = 'waiting' AND due_at <= :now AND (lease_until IS NULL OR lease_until < :now)
  ORDER BY CASE WHEN parent = '' THEN key ELSE parent END, kind, key LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE items i SET token = :token, lease_until = :lease FROM due WHERE i.id = due.id
RETURNING i.id, i.kind, i.key, i.parent, i.parts, i.wanted, i.attempts, i.remote_id
"""
)
_PARENTS = text("SELECT key, remote_id FROM items WHERE shop = :shop AND kind = 'product' AND key = ANY(:keys)")
_END = text(
    """
UPDATE items SET token = NULL, lease_until = NULL,
  remote_id = CASE WHEN CAST(:remote_id AS text) <> '' THEN :remote_id ELSE remote_id END,
  written = CASE WHEN :state = 'in_sync' THEN :sent ELSE written END,
  written_at = CASE WHEN :state = 'in_sync' THEN :now ELSE written_at END,
  state = CASE WHEN wanted = :sent THEN :state ELSE 'waiting' END,
  cause = CASE WHEN wanted = :sent THEN :cause ELSE '' END, field = CASE WHEN wanted = :sent THEN :field ELSE '' END,
  attempts = CASE WHEN :state = 'waiting' AND wanted = :sent THEN attempts + :burnt ELSE 0 END,
  due_at = CASE WHEN wanted = :sent THEN :due ELSE :now END
WHERE id = :id AND token = :token
"""
)
assert Of.PRODUCT < Of.VARIATION  # the order in which a family is claimed and written
