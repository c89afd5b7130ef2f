"""The conventional way: a Flask view, the ORM, one commit, then Celery's `apply_async`; served by gunicorn gthread."""

import hashlib
import hmac
import json
import os
import time
from datetime import UTC, datetime

from celery import Celery
from flask import Flask, abort, request
from sqlalchemy import DateTime, Text, UniqueConstraint, create_engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

TOLERANCE = 300

app = Flask(__name__)
queue = Celery("events", broker=os.environ["BROKER_URL"])
queue.conf.task_ignore_result = True
queue.conf.task_default_queue = "ingest"
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1), pool_size=16)
Session = sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("provider", "event_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(Text)
    event_id: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    payload: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC))


@queue.task(name="process_event")
def process_event(event_id):
    raise NotImplementedError("no worker runs while the ingest is measured")


def verify(raw, header):
    parts = [part.split("=", 1) for part in header.split(",") if "=" in part]
    timestamp = next((value for name, value in parts if name == "t"), "0")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    expected = hmac.new(os.environ["STRIPE_SECRET"].encode(), timestamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(value, expected) for name, value in parts if name == "v1")


@app.post("/webhooks/stripe")
def stripe():
    raw = request.get_data()
    if not verify(raw, request.headers.get("Stripe-Signature", "")):
        abort(400)
    event = json.loads(raw)
    with Session() as session:
        if session.scalar(select(Event).where(Event.provider == "stripe", Event.event_id == event["id"])):
            return {"received": True}
        row = Event(provider="stripe", event_id=event["id"], type=event["type"], payload=raw.decode())
        session.add(row)
        try:
            session.commit()
        except IntegrityError:
            return {"received": True}
        process_event.apply_async((row.id,))
    return {"received": True}
