"""Waybill's processes: a Celery worker with its sweep, and the embedded one that is web, worker and sweep together."""

from __future__ import annotations

import gc
import threading
import time
from types import TracebackType
from typing import Any, Self

from celery import Celery, signals
from cheroot.wsgi import Server

from middleware import inbox, observing, outbox, runtime, settings
from middleware.app import create_app
from middleware.broker import queue_name
from middleware.errors import SettingsError
from middleware.feeds import pulls, pushes, registry
from middleware.observing import log
from middleware.runtime import Runtime
from middleware.sweep import due_polls, keep_house, poll, sweep
from middleware.web.asgi import WebhookLayer


def work_here(owner: Runtime) -> None:
    """Do what is due in this thread: the broker is away, and it was only the doorbell."""
    for lane in settings.LANES:
        while inbox.decide(owner, lane):
            pass
        outbox.make(owner, lane)
    for name in due_polls(owner):
        poll(owner, name)
    for key in pulls.due_pulls(owner):
        pulls.pull(owner, owner.feeds[key])
    for shop in pushes.waiting(owner):
        while pushes.push(owner, shop):
            pass


class Sweeper:
    """A thread that looks around every `sweep_every` seconds; a failed round is logged and the next one comes."""

    def __init__(self, owner: Runtime) -> None:
        self._runtime = owner
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="waybill-sweep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the round at hand."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        self._check_tables()
        while not self._stop.wait(self._runtime.settings.work.sweep_every):
            try:
                sweep(self._runtime)
                if not self._runtime.is_heard:
                    work_here(self._runtime)
            except Exception as error:  # noqa: BLE001 - the outermost recorder of this thread
                log.error("sweep.failed", error=type(error).__name__)

    def _check_tables(self) -> None:
        try:
            registry.report_missing_fields(self._runtime)
        except Exception as error:  # noqa: BLE001 - the outermost recorder of this thread
            log.error("mapping.not_checked", error=type(error).__name__)


class Flusher:
    """A web process's thread that writes down what was counted at its door; workers do it with their sweep."""

    def __init__(self, owner: Runtime) -> None:
        self._runtime = owner
        threading.Thread(target=self._run, name="waybill-flush", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(self._runtime.settings.work.sweep_every)
            try:
                self._runtime.refusals.flush(self._runtime.engine)
                self._runtime.secret_uses.flush(self._runtime.engine)
            except Exception as error:  # noqa: BLE001 - the outermost recorder of this thread
                log.error("flush.failed", error=type(error).__name__)


def worker_application() -> Celery:
    """The Celery application of `celery -A tasks worker`: with the runtime that is installed, else with one of its own."""
    try:
        return runtime.current().celery
    except SettingsError:
        pass
    loaded = settings.load()
    observing.configure(loaded)
    mine = Runtime(loaded)
    runtime.install(mine)
    sweepers: list[Sweeper] = []

    def start(**_: Any) -> None:
        sweepers.append(Sweeper(mine))

    def stop(**_: Any) -> None:
        for sweeper in sweepers:
            sweeper.stop()
        mine.close()

    def renew(**_: Any) -> None:  # a forked child must not share its parent's database connections
        runtime.install(Runtime(loaded))

    signals.setup_logging.connect(lambda **_: observing.configure(loaded), weak=False)
    signals.worker_ready.connect(start, weak=False)
    signals.worker_shutdown.connect(stop, weak=False)
    signals.worker_process_init.connect(renew, weak=False)
    return mine.celery


def web_application() -> WebhookLayer:
    """The ASGI application of one web process, from the environment's configuration."""
    loaded = settings.load()
    observing.configure(loaded)
    mine = Runtime(loaded)
    runtime.install(mine)
    application = WebhookLayer(create_app(mine).wsgi_app, mine)
    Flusher(mine)
    gc.collect()
    gc.freeze()  # what is loaded stays: no collection needs to look at it while somebody waits for an answer
    gc.set_threshold(20_000, 20, 50)
    return application


class Embedded:
    """Web, worker and sweep in this process, over the in-process broker. Stops in order: listener, worker, sweep, writer."""

    def __init__(self, owner: Runtime) -> None:
        self._runtime = owner
        self._worker: Any = None
        self._threads: list[threading.Thread] = []
        self.url = ""

    def __enter__(self) -> Self:
        runtime.install(self._runtime)
        web = self._runtime.settings.web
        self._server = Server(
            (web.host, web.port), create_app(self._runtime), numthreads=web.threads, server_name="waybill", request_queue_size=128
        )
        self._server.prepare()
        self.url = f"http://{web.host}:{self._server.bind_addr[1]}"
        self._start(self._server.serve, "waybill-web")
        keep_house(self._runtime)
        self._worker = self._runtime.celery.WorkController(
            pool="threads",
            concurrency=len(settings.LANES) * (self._runtime.settings.work.concurrency + 1),  # no lane can take another one's
            loglevel="WARNING",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            queues=[queue_name(self._runtime.settings, lane) for lane in settings.LANES],
            hostname="waybill@embedded",
        )
        self._start(self._worker.start, "waybill-worker")
        self._sweeper = Sweeper(self._runtime)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.stop()
        self._sweeper.stop()
        self._worker.stop()
        for thread in self._threads:
            thread.join(timeout=10)
        self._runtime.close()
        runtime.install(None)

    def _start(self, target: Any, name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)
