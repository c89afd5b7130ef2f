"""The tables. PostgreSQL only; migrations in `migrations/` make them, a test holds both against each other.

Path of an event: `events` (narrow, unique per delivery) with its encrypted body in `event_bodies`; decided into `orders`,
`payments`, `payment_parts`, `transitions` (audit) and `calls`; each call's exchanges in `exchanges`; ids of both worlds in
`links`. Bodies, exchanges and transitions are partitioned by month. Times are aware UTC, amounts integer minor units. The tables of
feeds are in `feeds/models.py`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from mappings.canonical import Money, PartKind, PartState, PaymentPart

MONTHLY = ("event_bodies", "exchanges", "transitions")
"""Tables partitioned by month, and the retention that each has in `settings.Retention`."""


class EventState(StrEnum):
    """Where an event is. `due` → `deciding` → `decided` | `ignored` | `parked` | `dead`."""

    DUE = "due"
    DECIDING = "deciding"
    PARKED = "parked"
    DECIDED = "decided"
    IGNORED = "ignored"
    DEAD = "dead"


class CallState(StrEnum):
    """Where a call is. `making`, `retry` and `unknown` hold their (connection, subject)."""

    PENDING = "pending"
    MAKING = "making"
    RETRY = "retry"
    UNKNOWN = "unknown"
    DONE = "done"
    REJECTED = "rejected"
    DEAD = "dead"
    SUPERSEDED = "superseded"


class Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own form
        str: Text,
        datetime: DateTime(timezone=True),
        bytes: LargeBinary,
        int: BigInteger,
        dict[str, Any]: JSONB,
        list[int]: ARRAY(BigInteger),
    }


class Event(Base):
    """One delivery that was verified and kept, once per (connection, delivery_id)."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("connection", "delivery_id", name="uq_events_delivery"),
        Index("ix_events_due", "lane", "due_at", "id", postgresql_where=text("state = 'due'")),
        Index("ix_events_suspect", "lane", "due_at", postgresql_where=text("state = 'due' AND vanished > 0")),
        Index("ix_events_deciding", "lease_until", postgresql_where=text("state = 'deciding'")),
        Index("ix_events_parked", "parked_until", postgresql_where=text("state = 'parked'")),
        Index("ix_events_dead", "connection", "cause", postgresql_where=text("state = 'dead'")),
        Index("ix_events_order", "order_id", postgresql_where=text("order_id IS NOT NULL")),
        Index("ix_events_hints", "connection", postgresql_where=text("hint AND state IN ('due', 'deciding')")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    connection: Mapped[str]
    delivery_id: Mapped[str]
    topic: Mapped[str]
    subject: Mapped[str]
    lane: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'due'"))
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    vanished: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    hint: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    kept_at: Mapped[datetime]
    due_at: Mapped[datetime]
    occurred_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    parked_until: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    order_id: Mapped[int | None]
    cause: Mapped[str | None]
    detail: Mapped[str | None]
    correlation_id: Mapped[str] = mapped_column(server_default=text("''"))
    traceparent: Mapped[str] = mapped_column(server_default=text("''"))


class EventBody(Base):
    """The encrypted headers and payload of an event; dropping it never forgets the delivery."""

    __tablename__ = "event_bodies"
    __table_args__ = {"postgresql_partition_by": "RANGE (kept_at)"}  # noqa: RUF012

    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kept_at: Mapped[datetime] = mapped_column(primary_key=True)
    body: Mapped[bytes]


class ParkedKey(Base):
    """A join key that a parked event waits for."""

    __tablename__ = "parked_keys"

    key: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class OrderRow(Base):
    """An order's states in all systems; identity is (shop connection, uuid). `snapshot` is the encrypted canonical order."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("shop", "order_id", name="uq_orders_identity"),
        Index("ix_orders_number", "number"),
        Index("ix_orders_recent", text("id DESC")),
        Index("ix_orders_open_export", "export_state", "since", postgresql_where=text("export_state NOT IN ('exported', 'not_needed')")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    shop: Mapped[str]
    order_id: Mapped[str]
    internal_id: Mapped[str]
    number: Mapped[str]
    store: Mapped[str]
    version: Mapped[int]
    sequence: Mapped[int] = mapped_column(server_default=text("0"))
    state: Mapped[str]
    payment_state: Mapped[str]
    export_state: Mapped[str]
    fulfilment_state: Mapped[str]
    total_minor: Mapped[int]
    currency: Mapped[str]
    erp_number: Mapped[str] = mapped_column(server_default=text("''"))
    waits: Mapped[str] = mapped_column(server_default=text("''"))
    aligned: Mapped[str] = mapped_column(server_default=text("''"))
    stock_effect: Mapped[str] = mapped_column(server_default=text("''"))
    placed_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    fulfilment_at: Mapped[datetime | None]
    since: Mapped[datetime]
    recorded_at: Mapped[datetime]
    snapshot: Mapped[bytes]
    payments: Mapped[list[PaymentRow]] = relationship(back_populates="order", lazy="selectin")


class OrderKey(Base):
    """A join key of an order: what a payment or an ERP document may call it."""

    __tablename__ = "order_keys"

    key: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), index=True)


class PaymentRow(Base):
    """One payment at one provider. `base_state` and `base_at` are the newest thing said; `state` is derived with the parts."""

    __tablename__ = "payments"
    __table_args__ = (UniqueConstraint("connection", "remote_id", name="uq_payments_identity"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    connection: Mapped[str]
    remote_id: Mapped[str]
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), index=True)
    state: Mapped[str]
    base_state: Mapped[str]
    base_at: Mapped[datetime]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    outcome: Mapped[str] = mapped_column(server_default=text("''"))
    raw_code: Mapped[str] = mapped_column(server_default=text("''"))
    review: Mapped[str] = mapped_column(server_default=text("''"))
    review_at: Mapped[datetime | None]
    recorded_at: Mapped[datetime]
    order: Mapped[OrderRow] = relationship(back_populates="payments", lazy="selectin")
    parts: Mapped[list[PaymentPartRow]] = relationship(lazy="selectin")


class PaymentPartRow(Base):
    """A capture, refund or dispute by the provider's id: amounts are sets of these, never sums of events."""

    __tablename__ = "payment_parts"

    payment_id: Mapped[int] = mapped_column(ForeignKey("payments.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    remote_id: Mapped[str] = mapped_column(primary_key=True)
    amount_minor: Mapped[int]
    currency: Mapped[str]
    counts: Mapped[bool] = mapped_column(Boolean)
    state: Mapped[str] = mapped_column(server_default=text("'done'"))
    said_at: Mapped[datetime]

    @property
    def part(self) -> PaymentPart:
        money = Money(self.amount_minor, self.currency)
        return PaymentPart(PartKind(self.kind), self.remote_id, money, self.counts, PartState(self.state))


class Call(Base):
    """One intended effect on one connection, made once. `token` fences a lease; `after` names calls that must be done first."""

    __tablename__ = "calls"
    __table_args__ = (
        UniqueConstraint("key", name="uq_calls_key"),
        Index("ix_calls_open", "connection", "due_at", postgresql_where=text("state IN ('pending', 'retry', 'unknown')")),
        Index("uq_calls_making", "connection", "subject", unique=True, postgresql_where=text("state = 'making'")),
        Index("ix_calls_holding", "connection", "subject", postgresql_where=text("state IN ('pending', 'making', 'retry', 'unknown')")),
        Index("ix_calls_order", "order_id"),
        Index("ix_calls_dead", "connection", "cause", postgresql_where=text("state IN ('dead', 'rejected')")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    key: Mapped[str]
    connection: Mapped[str]
    operation: Mapped[str]
    subject: Mapped[str]
    lane: Mapped[str]
    state: Mapped[str]
    order_id: Mapped[int | None]
    event_id: Mapped[int | None]
    after: Mapped[list[int]] = mapped_column(server_default=text("'{}'"))
    payload: Mapped[bytes]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    asked_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempted_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    token: Mapped[str | None]
    look_up: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    remote_id: Mapped[str | None]
    cause: Mapped[str | None]
    detail: Mapped[str | None]
    field: Mapped[str | None]
    correlation_id: Mapped[str] = mapped_column(server_default=text("''"))
    traceparent: Mapped[str] = mapped_column(server_default=text("''"))


class ExchangeRow(Base):
    """One HTTP exchange of a call attempt: what was said to whom, never the bodies."""

    __tablename__ = "exchanges"
    __table_args__ = (Index("ix_exchanges_call", "call_id"), {"postgresql_partition_by": "RANGE (at)"})

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    call_id: Mapped[int]
    attempt: Mapped[int] = mapped_column(SmallInteger)
    method: Mapped[str]
    path: Mapped[str]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    seconds: Mapped[float]
    error: Mapped[str] = mapped_column(server_default=text("''"))


class TransitionRow(Base):
    """The audit trail: one row per change of state, by whom and why. Never a personal value."""

    __tablename__ = "transitions"
    __table_args__ = (Index("ix_transitions_order", "order_id"), {"postgresql_partition_by": "RANGE (at)"})

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    order_id: Mapped[int | None]
    thing: Mapped[str]
    was: Mapped[str]
    becomes: Mapped[str]
    cause: Mapped[str]
    refused: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    detail: Mapped[str] = mapped_column(server_default=text("''"))
    correlation_id: Mapped[str] = mapped_column(server_default=text("''"))


class Link(Base):
    """Our id ↔ their id, one to one per connection and kind."""

    __tablename__ = "links"
    __table_args__ = (UniqueConstraint("connection", "kind", "remote_id", name="uq_links_remote"),)

    connection: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    our_id: Mapped[str] = mapped_column(primary_key=True)
    remote_id: Mapped[str]
    number: Mapped[str] = mapped_column(server_default=text("''"))
    linked_at: Mapped[datetime]


class Switch(Base):
    """A path that is turned off, by a person or by a systemic fault. Its absence means on."""

    __tablename__ = "switches"

    connection: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    turned_by: Mapped[str]
    since: Mapped[datetime]


class Run(Base):
    """One pull's memory: the watermark (the source's clock) that the next run starts from, and for a feed where it is now:
    `cursor` of the next page, `began_at` by the source's clock, `sweep` numbers its full runs, `is_hinted` says that the source told
    us of a change since the run began, `is_stale` that its bound was passed and said,
    `full_at` when all of it was read last."""

    __tablename__ = "runs"

    connection: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    watermark: Mapped[datetime | None]
    due_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    detail: Mapped[str] = mapped_column(server_default=text("''"))
    cursor: Mapped[str] = mapped_column(server_default=text("''"))
    began_at: Mapped[datetime | None]
    is_full: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    sweep: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    completed_at: Mapped[datetime | None]
    full_at: Mapped[datetime | None]
    known_since: Mapped[datetime] = mapped_column(server_default=text("now()"))
    is_stale: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    is_hinted: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))


class Refusal(Base):
    """How often a cause refused deliveries of a connection."""

    __tablename__ = "refusals"

    connection: Mapped[str] = mapped_column(primary_key=True)
    cause: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    last_at: Mapped[datetime]


class RefusalSample(Base):
    """The last hundred refused requests per connection and cause, redacted: slots are overwritten in turn."""

    __tablename__ = "refusal_samples"

    connection: Mapped[str] = mapped_column(primary_key=True)
    cause: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    at: Mapped[datetime]
    why: Mapped[str]
    headers: Mapped[str]
    size: Mapped[int]


class ConsoleLink(Base):
    """A one-time link to the console; only its hash is stored."""

    __tablename__ = "console_links"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
