"""The doorbell: Celery only says that there is work; the rows in PostgreSQL are the work."""

from __future__ import annotations

import threading
from typing import Any

from celery import Celery

from middleware.observing import log
from middleware.settings import LANES, Settings

MEMORY = "memory://localhost/"


def celery_app(settings: Settings) -> Celery:
    """The Celery application: a queue per lane, no results, messages that may be lost without harm. A worker without `-Q`
    takes every lane."""
    url, names = settings.broker.url or MEMORY, {lane: queue_name(settings, lane) for lane in LANES}
    app = Celery("waybill", broker=url, include=["tasks.jobs"], set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_default_queue=names["orders"],
        task_queues={name: {"exchange": name, "routing_key": name} for name in names.values()},
        task_create_missing_queues=True,
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"polling_interval": 0.005} if url == MEMORY else {"visibility_timeout": 3600},
        broker_pool_limit=2,
        timezone="UTC",
        beat_schedule={
            "sweep": {"task": "waybill.sweep", "schedule": 10.0, "options": {"queue": names["orders"]}},
            "keep-house": {"task": "waybill.keep_house", "schedule": 3600.0, "options": {"queue": names["reports"]}},
        },
    )
    return app


def queue_name(settings: Settings, lane: str) -> str:
    """What the lane's queue is called at the broker."""
    return settings.broker.prefix + lane


class Doorbell:
    """Rings at most every `rest` seconds per bell, from a thread of its own: nobody waits for the broker, and a broker that
    is away costs nothing but the time until the next sweep."""

    def __init__(self, app: Celery, rest: float = 0.2, prefix: str = "") -> None:
        """`prefix` is what the queues' names begin with. `is_heard` says whether the broker took the last ring."""
        self._app = app
        self._prefix = prefix
        self._rest = rest
        self.is_heard = True
        self._rung: dict[tuple[str, str, str], None] = {}
        self._wake = threading.Condition(threading.Lock())
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="waybill-doorbell", daemon=True)
        self._thread.start()

    def ring(self, task: str, lane: str, argument: str = "") -> None:
        """Ask a worker to run `waybill.<task>` for the lane; several rings at once are one."""
        if lane not in LANES:
            raise ValueError(lane)
        bell = (task, lane, argument)
        if bell in self._rung:  # not sent yet, so it rings after what the caller committed; the thread sleeps on
            return
        with self._wake:
            self._rung[bell] = None
            self._wake.notify()

    def stop(self) -> None:
        """End the thread; what was not rung yet, the next sweep sees."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        self._app.close()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._rung and not self._stopping:
                    self._wake.wait()
                if self._stopping:
                    return
                rung, self._rung = self._rung, {}
            for bell in rung:
                if not self._send(*bell):  # the others would only wait for the same broker
                    break
            with self._wake:
                self._wake.wait_for(lambda: self._stopping, timeout=self._rest)

    def _send(self, task: str, lane: str, argument: str) -> bool:
        options: dict[str, Any] = {"queue": self._prefix + lane, "retry": False, "ignore_result": True}
        try:
            self._app.send_task(f"waybill.{task}", args=[argument or lane], **options)
        except Exception as error:  # noqa: BLE001 - the outermost recorder: each transport has its own errors, and the thread must live
            log.warning("doorbell.lost", task=task, lane=lane, error=type(error).__name__)
            self.is_heard = False
            return False
        self.is_heard = True
        return True
