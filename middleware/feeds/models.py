"""The tables of feeds; migrations make them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Computed, Identity, Index, Integer, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
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


_BYTEWISE = Text(collation="C")


class RecordRow(Base):
    """One record of a feed as it was read last: `seen` is the SHA-256 of `raw`, `mapped_with` that of the table which mapped it.
    `key` is the thing that it is about ("variation/S1"), `things` are the others that it feeds. `sweep` is the full pull that read it
    last, `misses` how many complete ones did not see it. States: mapped, rejected, gone."""

    __tablename__ = "records"
    __table_args__ = (
        Index("ix_records_rejected", "connection", "kind", postgresql_where=text("state = 'rejected'")),
        Index("ix_records_key", "connection", "kind", "key"),
        Index("ix_records_things", "things", postgresql_using="gin", postgresql_where=text("things <> '{}'")),
        Index("ix_records_missed", "connection", "kind", postgresql_where=text("misses > 0")),
    )

    connection: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    source_id: Mapped[str] = mapped_column(_BYTEWISE, primary_key=True)
    seen: Mapped[bytes]
    raw: Mapped[bytes]
    mapped_with: Mapped[bytes]
    state: Mapped[str]
    key: Mapped[str] = mapped_column(_BYTEWISE, server_default=text("''"))
    things: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    attribute: Mapped[str] = mapped_column(server_default=text("''"))
    rule: Mapped[str] = mapped_column(server_default=text("''"))
    value: Mapped[str] = mapped_column(server_default=text("''"))
    sweep: Mapped[int] = mapped_column(Integer)
    misses: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    changed_at: Mapped[datetime]


class ItemRow(Base):
    """What is wanted of one thing of a shop: each feed's fields are a part, `wanted` and `written` are SHA-256 of all parts. In sync is
    compare-and-set on the hash that was sent. A `family` (a product with its variations) is written together; `waits_for` are names of
    things that must be written before; what a catalog `made` ends when no catalog has it any more. States: waiting, in_sync, rejected."""

    __tablename__ = "items"
    __table_args__ = (
        UniqueConstraint("shop", "kind", "key", name="uq_items_key"),
        Index("ix_items_waiting", "shop", "rank", "family", "kind", "key", postgresql_where=text("state = 'waiting'")),
        Index("ix_items_waits_for", "waits_for", postgresql_using="gin", postgresql_where=text("waits_for <> '{}'")),
        Index("ix_items_parked", "shop", "family", postgresql_where=text("waits_for <> '{}'")),
        Index("ix_items_parent", "shop", "parent", postgresql_where=text("parent <> ''")),
        Index("ix_items_rejected", "shop", postgresql_where=text("state = 'rejected'")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    shop: Mapped[str]
    kind: Mapped[str]
    key: Mapped[str] = mapped_column(_BYTEWISE)
    bundle: Mapped[str] = mapped_column(server_default=text("'default'"))
    rank: Mapped[int] = mapped_column(SmallInteger, server_default=text("4"))
    parent: Mapped[str] = mapped_column(_BYTEWISE, server_default=text("''"))
    family: Mapped[str] = mapped_column(_BYTEWISE, Computed("CASE WHEN parent = '' THEN key ELSE parent END", persisted=True))
    on_gone: Mapped[str] = mapped_column(server_default=text("'unpublish'"))
    made: Mapped[bool] = mapped_column(server_default=text("true"))
    was_gone: Mapped[bool] = mapped_column(server_default=text("false"))
    waits_for: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
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


class SweepRow(Base):
    """Who a full pull saw, a page at a time: so that an unchanged record need not be touched."""

    __tablename__ = "sweeps"
    __table_args__ = (Index("ix_sweeps_feed", "connection", "kind"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    connection: Mapped[str]
    kind: Mapped[str]
    ids: Mapped[list[str]] = mapped_column(ARRAY(Text))


class ShapeRow(Base):
    """What a feed's records look like: per field its types and how often it is there; `drifted` are those that changed, and why."""

    __tablename__ = "shapes"

    connection: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    records: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    fields: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    drifted: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    changed_at: Mapped[datetime]
