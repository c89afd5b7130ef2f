"""The conventional worker: one Celery task per event, the ORM, one commit."""

import json
import os
from datetime import UTC, datetime

from celery import Celery
from sqlalchemy import JSON, DateTime, ForeignKey, Text, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

queue = Celery("decide", broker=os.environ["BROKER_URL"])
queue.conf.task_ignore_result = True
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1))
Session = sessionmaker(engine)

STATES = {
    "payment_intent.processing": "pending",
    "payment_intent.amount_capturable_updated": "authorized",
    "payment_intent.succeeded": "captured",
    "payment_intent.payment_failed": "failed",
    "payment_intent.canceled": "canceled",
}
TRANSITIONS = {
    ("new", "pending"),
    ("new", "authorized"),
    ("new", "captured"),
    ("new", "failed"),
    ("pending", "authorized"),
    ("pending", "captured"),
    ("pending", "failed"),
    ("authorized", "captured"),
    ("authorized", "canceled"),
}


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(Text, unique=True)
    payload: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    done_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Payment(Base):
    __tablename__ = "payments"

    id: Mapped[int] = mapped_column(primary_key=True)
    remote_id: Mapped[str] = mapped_column(Text, unique=True)
    order_number: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    amount: Mapped[int]
    currency: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Audit(Base):
    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey("payments.id"))
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"))
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Call(Base):
    __tablename__ = "calls"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text, unique=True)
    kind: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, index=True)
    body: Mapped[dict] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


@queue.task(name="decide")
def decide(event_id):
    with Session() as session:
        event = session.get(Event, event_id)
        if event is None or event.status == "done":
            return
        message = json.loads(event.payload)
        intent = message["data"]["object"]
        now = datetime.now(UTC)
        payment = session.scalars(select(Payment).where(Payment.remote_id == intent["id"])).one()
        after = STATES[message["type"]]
        if (payment.state, after) in TRANSITIONS:
            session.add(Audit(payment_id=payment.id, event_id=event.id, before=payment.state, after=after, at=now))
            payment.state, payment.amount, payment.currency = after, intent["amount_received"], intent["currency"].upper()
            payment.updated_at = now
            body = {"order": payment.order_number, "amount": payment.amount, "currency": payment.currency, "state": after}
            session.add(Call(key=f"payment:{payment.id}:{after}", kind="export_payment", status="due", body=body, created_at=now))
        event.status, event.done_at = "done", now
        session.commit()
