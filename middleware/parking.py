"""Events that wait for an order that is not known yet, indexed by every join key that they have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ARRAY, Text, any_, bindparam, select, text
from sqlalchemy.orm import Session

from middleware.database import insert_rows
from middleware.decisions import Verdict
from middleware.models import EventState, ParkedKey

_WAITING = select(ParkedKey.event_id).where(ParkedKey.key == any_(bindparam("keys", type_=ARRAY(Text))))
_RELEASE = text(
    "UPDATE events SET state = 'due', due_at = :now, attempts = 0, detail = 'its order appeared' WHERE id = ANY(:ids)"
    " AND (state = 'parked' OR (state = 'dead' AND cause = 'order_unknown'))"
)
_FORGET = text("DELETE FROM parked_keys WHERE event_id = ANY(:ids)")


class Parking:
    """What one work parks, and what it wakes: of its own events in memory, of earlier ones in the database."""

    def __init__(self, session: Session, now: datetime) -> None:
        self._session = session
        self._now = now
        self._parked: dict[int, tuple[Verdict, frozenset[str]]] = {}

    def park(self, event_id: int, verdict: Verdict) -> None:
        """Let the event wait under its verdict's keys."""
        self._parked[event_id] = (verdict, frozenset(verdict.keys))

    def wake(self, keys: Sequence[str]) -> bool:
        """Make this work's parked events due again that wait for one of the keys; whether there were any."""
        woken = False
        for verdict, waiting in self._parked.values():
            if verdict.state is EventState.PARKED and not waiting.isdisjoint(keys):
                verdict.state, verdict.cause, verdict.due_at, woken = EventState.DUE, None, self._now, True
        return woken

    def release(self, keys: Sequence[str]) -> bool:
        """Make earlier works' events due again that wait for one of the keys, also those whose deadline passed; whether there were any."""
        waiting = list(self._session.scalars(_WAITING, {"keys": list(keys)})) if keys else []
        if not waiting:
            return False
        done = self._session.execute(_RELEASE, {"now": self._now, "ids": waiting})
        self._session.execute(_FORGET, {"ids": waiting})
        return bool(getattr(done, "rowcount", 0))

    def write(self) -> None:
        """Record what still waits under its join keys."""
        rows = [
            {"key": key, "event_id": event}
            for event, (verdict, keys) in self._parked.items()
            for key in keys
            if verdict.state is EventState.PARKED
        ]
        insert_rows(self._session, ParkedKey, rows, on_conflict="DO NOTHING")
