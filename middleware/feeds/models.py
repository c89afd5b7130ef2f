"""The tables of feeds; migrations make them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Identity, Index, Integer, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from middleware.models import Base


class RecordState(StrEnum):
    """What became of a record."""

    MAPPED = "mapped"
    REJECTED = "rejected"
    GONE = "gone"


class ItemState(StrEnum):
    """Where an item is: written as it is wanted, waiting to be, or refused by the shop with a reason."""

    WAITING = "waiting"
    IN_SYNC = "in_sync"
    REJECTED = "rejected"


class RecordRow(Base):
    """One record of a feed as it was read last: `seen` is the SHA-256 of `raw`, `mapped_with` that of the table which mapped it.
    `sweep` is the last full pull that saw it, `misses` how many complete ones did not. States: mapped, rejected, gone."""

    __tablename__ = "records"
    __table_args__ = (Index("ix_records_rejected", "connection", "kind", postgresql_where=text("state = 'rejected'")),)

    connection: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    source_id: Mapped[str] = mapped_column(primary_key=True)
    seen: Mapped[bytes]
    raw: Mapped[bytes]
    mapped_with: Mapped[bytes]
    state: Mapped[str]
    sku: Mapped[str] = mapped_column(server_default=text("''"))
    attribute: Mapped[str] = mapped_column(server_default=text("''"))
    rule: Mapped[str] = mapped_column(server_default=text("''"))
    value: Mapped[str] = mapped_column(server_default=text("''"))
    sweep: Mapped[int] = mapped_column(Integer)
    misses: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    changed_at: Mapped[datetime]


class ItemRow(Base):
    """What is wanted of one product or variation of a shop: each feed's fields are a part, `wanted` and `written` are SHA-256 of
    all parts. In sync is compare-and-set on the hash that was sent. States: waiting, in_sync, rejected."""

    __tablename__ = "items"
    __table_args__ = (
        UniqueConstraint("shop", "kind", "key", name="uq_items_key"),
        Index("ix_items_waiting", "shop", "due_at", postgresql_where=text("state = 'waiting'")),
        Index("ix_items_rejected", "shop", postgresql_where=text("state = 'rejected'")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    shop: Mapped[str]
    kind: Mapped[str]
    key: Mapped[str]
    parent: Mapped[str] = mapped_column(server_default=text("''"))
    parts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    wanted: Mapped[bytes]
    written: Mapped[bytes | None]
    state: Mapped[str]
    cause: Mapped[str] = mapped_column(server_default=text("''"))
    field: Mapped[str] = mapped_column(server_default=text("''"))
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    due_at: Mapped[datetime]
    token: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    remote_id: Mapped[str] = mapped_column(server_default=text("''"))
    changed_at: Mapped[datetime]
    written_at: Mapped[datetime | None]
