"""waybill serve, demo."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import click

from middleware.commands import database, loaded, out
from middleware.process import Embedded
from middleware.runtime import Runtime
from middleware.settings import Settings, share_metrics


@click.command()
@click.option("--processes", type=click.IntRange(1, 64), help="Web processes (default: web.processes).")
def serve(processes: int | None) -> None:
    """Serve webhooks, health and the console.

    Without a broker, web and worker are this one process, on an embedded PostgreSQL when none is configured. With a broker,
    these are web processes only; workers are started by `celery -A tasks worker`.
    """
    configured = loaded()
    if configured.broker.url and configured.database.url:
        _serve_web(configured, processes or configured.web.processes or max(1, (os.cpu_count() or 1) - 1))
        return
    with database(configured) as found, Embedded(Runtime(found)) as process:
        out.print(f"Waybill listens on {process.url} (web and worker in one process). Stop it with Ctrl-C.")
        wait_for_a_signal()


def _serve_web(configured: Settings, processes: int) -> None:
    from middleware.web import server  # the production server is not needed where everything is one process

    share_metrics(configured.var / "metrics")
    server.serve(configured.web, processes)


def wait_for_a_signal() -> None:
    """Return on SIGINT or SIGTERM."""
    stop = threading.Event()

    def stopping(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopping)
    while not stop.wait(1):
        pass


@click.command()
@click.option("--orders", "count", type=click.IntRange(3, 100_000), default=60, show_default=True, help="How many orders to place.")
@click.option("--exit", "leave", is_flag=True, help="End afterwards; exit code 0 only if every invariant holds.")
@click.option("--seed", type=int, default=1, show_default=True, help="Makes the faults repeatable.")
def demo(count: int, leave: bool, seed: int) -> None:
    """Run a whole shop, its payments and its ERP here, with faults on, and show what happened."""
    from middleware.demo import run  # the simulators are only for the demo and the tests

    sys.exit(run(count, leave=leave, seed=seed))


COMMANDS = (serve, demo)
