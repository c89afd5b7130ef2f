"""What Celery itself costs per message: a task that does nothing, and one that does a single UPDATE."""

import os

from celery import Celery
from sqlalchemy import create_engine, text

queue = Celery("noop", broker=os.environ["BROKER_URL"])
queue.conf.task_ignore_result = True
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1))
UPDATE = text("UPDATE events SET status = 'done', done_at = now() WHERE id = :id")


@queue.task(name="empty")
def empty(event_id):
    return


@queue.task(name="update")
def update(event_id):
    with engine.begin() as connection:
        connection.execute(UPDATE, {"id": event_id})
