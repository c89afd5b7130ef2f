"""What is wanted is written: a batch of waiting items is only the transport, each item has its lease and its own outcome.

What others refer to is written first, a product with its variations. In sync is compare-and-set on the hash that was sent: what
changed while it was on its way stays waiting.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from mappings.wanted import Of, name_of
from middleware.domain.retry import Retry
from middleware.errors import CallError, Rejected, SourceFailed, Unauthorized
from middleware.feeds import lineage, references
from middleware.feeds.merging import release
from middleware.feeds.owners import fields_of
from middleware.feeds.references import Claimed
from middleware.observing import log
from middleware.ports import DELETED, NOT_THERE, Blob, Target, Write, Written
from middleware.switches import switch_off, switched_off

if TYPE_CHECKING:
    from middleware.runtime import Runtime

BATCH = 50
"""Items of one request to the shop."""


@dataclass(frozen=True, slots=True)
class _Item:
    id: int
    wanted: bytes
    attempts: int
    write: Write


def push(runtime: Runtime, shop: str, limit: int = BATCH) -> Counter[str]:
    """Write one batch of the shop's waiting items; returns how many ended how (nothing: none was due, or the shop is switched off)."""
    now = runtime.now()
    lease = now + timedelta(seconds=runtime.settings.connections[shop].deadline + 15)
    token = uuid.uuid4().hex
    ended: Counter[str] = Counter()
    with runtime.engine.begin() as connection:
        claimed = _claim(runtime, connection, shop, limit, now, lease, token)
        known = references.targets(connection, shop, claimed)
        waiting = references.waits(claimed, known)
        references.park(connection, waiting, now)
    with runtime.engine.begin() as connection:
        references.look_again(connection, shop, list(waiting), now)
        links = lineage.links(connection, [item.name for item in claimed if item.row.id not in waiting])
    ended["waiting"] += len(waiting)
    ready = [item for item in claimed if item.row.id not in waiting]
    items = [
        _Item(item.row.id, item.row.wanted, item.row.attempts, write_of(runtime, item, known, links.get(item.name, ()))) for item in ready
    ]
    if not items:
        return +ended
    try:
        answers = runtime.connector(shop).write_items([item.write for item in items])
    except CallError as error:
        log.warning("push.failed", connection=shop, items=len(items), cause=error.code, reason=error.reason)
        answers = [Written(error=error)] * len(items)
    with runtime.engine.begin() as connection:
        refused = next((answer.error for answer in answers if isinstance(answer.error, Unauthorized)), None)
        if refused is not None:
            switch_off(connection, shop, refused.reason, now)
        return +ended + _record(runtime, connection, shop, items, answers, token)


def _claim(runtime: Runtime, connection: Connection, shop: str, limit: int, now: datetime, lease: datetime, token: str) -> list[Claimed]:
    """Products come before their variations, and a family together as far as the batch reaches."""
    values = {"shop": shop, "limit": limit, "now": now, "lease": lease, "token": token}
    rows = sorted(connection.execute(_CLAIM, values).all(), key=lambda row: (row.rank, row.family, row.kind, row.key))
    if len(rows) == limit > 1 and rows[-1].kind == Of.PRODUCT:  # its variations are in the next batch
        connection.execute(_UNCLAIM, {"id": rows.pop().id})
    return [Claimed(row, fields_of(runtime, row)) for row in rows]


def write_of(runtime: Runtime, item: Claimed, known: Mapping[str, Target], links: tuple[str, ...]) -> Write:
    """What a shop's connector is asked to write of an item; `known` is what its fields refer to."""
    row = item.row
    parent = known.get(row.parent if row.kind == Of.TRANSLATION else name_of(Of.PRODUCT, row.parent))
    return Write(
        row.kind,
        row.key,
        item.fields,
        row.parent,
        row.remote_id,
        parent.remote_id if parent else "",
        any(part["makes"] for part in row.parts.values()),
        item.is_gone,
        row.bundle,
        row.on_gone if row.made else "keep",  # the shop's own things end nowhere but in the shop
        row.was_gone,
        {name: known[name] for name in item.needs if name in known},
        links,
        partial(_file, runtime),
    )


def _file(runtime: Runtime, connection: str, reference: str) -> Blob:
    """A file of a source. What ails the source must not look like a fault of the shop."""
    source = runtime.connector(connection)
    if not hasattr(source, "fetch_media"):
        raise Rejected(f"{connection} cannot bring files")
    try:
        blob: Blob = source.fetch_media(reference)
    except Rejected:
        raise
    except CallError as error:
        raise SourceFailed(f"{connection}: {error.reason}", retry_after=error.retry_after) from error
    return blob


def _record(
    runtime: Runtime, connection: Connection, shop: str, items: Sequence[_Item], answers: Sequence[Written], token: str
) -> Counter[str]:
    ended: Counter[str] = Counter()
    now = runtime.now()
    new = []
    failed = {item.write.key for item, answer in zip(items, answers, strict=True) if _is_at_fault(item.write, answer)}
    for item, answer in zip(items, answers, strict=True):
        write = item.write
        is_orphan = write.kind == Of.VARIATION and isinstance(answer.error, Rejected) and write.parent in failed and not write.parent_id
        ending = _with_product(write, now) if is_orphan else _ending(runtime, item, answer, now)
        values = {"id": item.id, "token": token, "sent": item.wanted, "now": now, "is_gone": write.is_gone, "waits_for": [], **ending}
        connection.execute(_END, values)
        ended[str(values["outcome"])] += 1
        if answer.error is None and answer.remote_id and not write.remote_id:
            new.append(name_of(write.kind, write.key))
    release(connection, shop, new, now)
    return ended


def _is_at_fault(write: Write, answer: Written) -> bool:
    """A product that was refused for its own sake, not for want of a good variation."""
    return write.kind == Of.PRODUCT and answer.error is not None and getattr(answer.error, "field", "") != "variations"


def _with_product(write: Write, now: datetime) -> Mapping[str, Any]:
    """A new variation whose product was refused waits for it."""
    product = name_of(Of.PRODUCT, write.parent)
    common = {"remote_id": "", "field": "", "due": now + references.LOOK_AGAIN, "burnt": 0, "is_deleted": False}
    return {**common, "outcome": "waiting", "state": "waiting", "cause": f"waits for {product}", "waits_for": [product]}


def _ending(runtime: Runtime, item: _Item, answer: Written, now: datetime) -> Mapping[str, Any]:
    """How an item goes on: written, waiting for another attempt, or refused with its reason."""
    error = answer.error
    common = {"remote_id": answer.remote_id, "cause": "", "field": "", "due": now, "burnt": 0, "is_deleted": answer.status == DELETED}
    if error is None:
        return {**common, "outcome": answer.status or "written", "state": "in_sync"}
    reason = error.reason if isinstance(error, CallError) else type(error).__name__
    if isinstance(error, Rejected) and reason == NOT_THERE:
        return {**common, "outcome": "absent", "state": "waiting", "cause": NOT_THERE, "due": now + references.LOOK_AGAIN}
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
        off = switched_off(connection)
        return sorted(set(found) - off & set(runtime.settings.connections))


_WAITING = text(
    "SELECT DISTINCT shop FROM items WHERE state = 'waiting' AND due_at <= :now AND (lease_until IS NULL OR lease_until < :now)"
)
# In the order in which things are written: a variation cannot be made before the product that it belongs to.
_CLAIM = text(
    """
WITH due AS (
  SELECT id FROM items WHERE shop = :shop AND state = 'waiting' AND due_at <= :now AND (lease_until IS NULL OR lease_until < :now)
    AND NOT EXISTS (SELECT FROM switches WHERE connection = :shop)
  ORDER BY rank, family, kind, key LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE items i SET token = :token, lease_until = :lease, waits_for = '{}' FROM due WHERE i.id = due.id
RETURNING i.id, i.kind, i.key, i.parent, i.parts, i.wanted, i.attempts, i.remote_id, i.rank, i.family,
  i.bundle, i.on_gone, i.made, i.was_gone, i.shop
"""
)
_UNCLAIM = text("UPDATE items SET token = NULL, lease_until = NULL WHERE id = :id")
_END = text(
    """
UPDATE items SET token = NULL, lease_until = NULL,
  remote_id = CASE WHEN :is_deleted THEN '' WHEN CAST(:remote_id AS text) <> '' THEN :remote_id ELSE remote_id END,
  written = CASE WHEN :state = 'in_sync' THEN :sent ELSE written END,
  written_at = CASE WHEN :state = 'in_sync' THEN :now ELSE written_at END,
  was_gone = CASE WHEN :state = 'in_sync' THEN :is_gone ELSE was_gone END,
  state = CASE WHEN wanted = :sent THEN :state ELSE 'waiting' END,
  cause = CASE WHEN wanted = :sent THEN :cause ELSE '' END, field = CASE WHEN wanted = :sent THEN :field ELSE '' END,
  waits_for = CASE WHEN wanted = :sent THEN CAST(:waits_for AS text[]) ELSE '{}' END,
  attempts = CASE WHEN :state = 'waiting' AND wanted = :sent THEN attempts + :burnt ELSE 0 END,
  due_at = CASE WHEN wanted = :sent THEN :due ELSE :now END
WHERE id = :id AND token = :token
"""
)
