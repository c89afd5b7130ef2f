"""The calls that one work asks for: kept in memory until it writes them, and looked up together with those of earlier works."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from middleware.database import insert_rows
from middleware.decisions import Ask, Cause
from middleware.models import Call, CallState, OrderRow
from middleware.vault import Vault


class Asks:
    """Calls by key: the same key twice is one call, now and in the database."""

    def __init__(self, session: Session, vault: Vault, now: datetime) -> None:
        self._session = session
        self._vault = vault
        self._now = now
        self._rows: list[dict[str, Any]] = []
        self._orders: dict[str, OrderRow] = {}

    def add(self, ask: Ask, order: OrderRow | None, cause: Cause) -> None:
        """Ask for a call; with `replaces` the pending ones of its kind are superseded first."""
        if ask.replaces:
            self.withdraw(ask.connection, ask.operation, ask.subject)
        row = {
            "key": ask.key,
            "connection": ask.connection,
            "operation": ask.operation,
            "subject": ask.subject,
            "lane": ask.lane,
            "state": CallState.PENDING,
            "order_id": None,
            "event_id": cause.event_id,
            "after": list(ask.after),
            "payload": self._seal(ask.key, ask.payload),
            "asked_at": self._now,
            "due_at": self._now + timedelta(seconds=ask.delay),
            "correlation_id": cause.correlation_id,
            "traceparent": cause.traceparent,
        }
        self._rows.append(row)
        if order is not None:
            self._orders[ask.key] = order

    def has_pending(self, connection: str, operation: str, subject: str) -> bool:
        """Whether such a call is asked for that nothing has begun yet; its row is locked, so it cannot begin before we commit."""
        if any(_kind(row) == (connection, operation, subject) for row in self._rows):
            return True
        mine = (Call.connection == connection, Call.operation == operation, Call.subject == subject, Call.state == CallState.PENDING)
        return self._session.scalars(select(Call.id).where(*mine).limit(1).with_for_update()).first() is not None

    def has(self, key: str) -> bool:
        """Whether a call with this key exists."""
        if any(row["key"] == key for row in self._rows):
            return True
        return self._session.scalars(select(Call.id).where(Call.key == key)).first() is not None

    def renew(self, key: str, payload: Mapping[str, Any]) -> None:
        """Give a call that nothing has begun yet a newer payload; one that was begun keeps what it was begun with."""
        sealed = self._seal(key, payload)
        for row in self._rows:
            if row["key"] == key:
                row["payload"] = sealed
        mine = (Call.key == key, Call.state == CallState.PENDING, Call.attempts == 0, Call.look_up.is_(False))
        self._session.execute(update(Call).where(*mine).values(payload=sealed))

    def withdraw(self, connection: str, operation: str, subject: str) -> int:
        """Supersede pending calls that nothing has begun yet; returns how many."""
        kept = [row for row in self._rows if _kind(row) != (connection, operation, subject)]
        forgotten = len(self._rows) - len(kept)
        self._rows = kept
        mine = (
            Call.connection == connection,
            Call.operation == operation,
            Call.subject == subject,
            Call.state == CallState.PENDING,
            ~Call.look_up,
        )
        done = self._session.execute(update(Call).where(*mine).values(state=CallState.SUPERSEDED, ended_at=self._now))
        return forgotten + int(getattr(done, "rowcount", 0))

    def write(self) -> None:
        """Insert what was asked for; a new order has its id only now."""
        for row in self._rows:
            if row["key"] in self._orders:
                row["order_id"] = self._orders[row["key"]].id
        insert_rows(self._session, Call, self._rows, on_conflict="(key) DO NOTHING")
        self._rows = []

    def _seal(self, key: str, payload: Mapping[str, Any]) -> bytes:
        return self._vault.seal(msgspec.json.encode(payload), key)


def _kind(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["connection"], row["operation"], row["subject"]
