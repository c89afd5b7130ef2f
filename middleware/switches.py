"""Connections that are turned off by a systemic fault; a person turns them on again."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from middleware.errors import Unauthorized
from middleware.models import Switch
from middleware.observing import log

if TYPE_CHECKING:
    from middleware.runtime import Runtime


def off_since(runtime: Runtime, connection: str) -> Switch | None:
    """The switch of a connection that is turned off, else None."""
    with runtime.sessions() as session:
        return session.get(Switch, connection)


def switched_off(connection: Connection) -> set[str]:
    """The names of the connections that are turned off."""
    return set(connection.execute(select(Switch.connection)).scalars())


def switch_off(session: Session | Connection, connection: str, reason: str, now: datetime) -> None:
    """A refused credential is systemic: the connection pauses instead of burning a thousand attempts. It stays off, with the first
    reason, until a person turns it on."""
    row = {"connection": connection, "reason": f"{Unauthorized.code}: {reason}", "turned_by": "waybill", "since": now}
    session.execute(insert(Switch).values(row).on_conflict_do_nothing())
    log.error("connection.paused", connection=connection, reason=reason)
