"""waybill serve, demo, pull."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import click

from middleware import sweep
from middleware.commands import database, loaded, opened, out
from middleware.errors import SettingsError
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
        _serve_web(configured, processes or configured.web.processes)
    with database(configured) as found, Embedded(Runtime(found)) as process:
        out.print(f"Waybill listens on {process.url} (web and worker in one process). Stop it with Ctrl-C.")
        wait_for_a_signal()


def _serve_web(configured: Settings, processes: int) -> None:
    """Become granian; its workers make the application from the environment."""
    web = configured.web
    share_metrics(configured.var / "metrics")
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "rsgi",
        "--loop",
        "uvloop",
        "--host",
        web.host,
        "--port",
        str(web.port),
        "--workers",
        str(processes),
        "--backlog",
        "1024",
        "--http",
        "1",
        "--no-ws",
        "--log-level",
        "warning",
        "--factory",
        "--workers-kill-timeout",
        "15",
        "--respawn-failed-workers",
        "middleware.process:web_application",
    ]
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter and arguments


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
@click.argument("connection")
@click.argument("kind", type=click.Choice(["orders"]))
@click.option("--wait/--no-wait", default=True, help="Wait for the end; exit code 1 when it failed, 3 when another run holds the lock.")
def pull(connection: str, kind: str, wait: bool) -> None:
    """Fetch what changed in a system since the last run, from cron or by hand."""
    with opened() as runtime:
        if connection not in runtime.settings.connections:
            raise SettingsError([f"{connection}: no connection is called so; known: {', '.join(runtime.settings.connections)}"])
        if not hasattr(runtime.connector(connection), "changed_orders"):
            raise SettingsError([f"{connection}: {runtime.settings.connections[connection].system} cannot list changed {kind}"])
        if not wait:
            runtime.ring("poll", runtime.lane(connection), connection)
            return
        result = sweep.poll(runtime, connection, at_once=True)
        if result is None:
            out.print("Another run is under way.")
            sys.exit(3)
        out.print(f"{result.new} new, {result.failure or 'complete'}")
        sys.exit(1 if result.failure else 0)


@click.command()
@click.option("--orders", "count", type=click.IntRange(3, 100_000), default=60, show_default=True, help="How many orders to place.")
@click.option("--exit", "leave", is_flag=True, help="End afterwards; exit code 0 only if every invariant holds.")
@click.option("--seed", type=int, default=1, show_default=True, help="Makes the faults repeatable.")
def demo(count: int, leave: bool, seed: int) -> None:
    """Run a whole shop, its payments and its ERP here, with faults on, and show what happened."""
    from middleware.demo import run  # the simulators are only for the demo and the tests

    sys.exit(run(count, leave=leave, seed=seed))


COMMANDS = (serve, pull, demo)
