"""A process whose children die on command: it numbers every step of a Waybill worker and kills it before one of them.

Reads one JSON order per line, forks a child for each, and answers with one JSON line: whether the child was killed and which
steps it came to. The product has no hooks; the steps are seen from outside: the statements, commits and rollbacks of
SQLAlchemy and psycopg, and the HTTP adapter. `at` is the step before which the child dies; 0 lets it live.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import requests.adapters
from sqlalchemy import Engine, event

from middleware import inbox, outbox
from middleware.connectors import connector_class
from middleware.runtime import Runtime
from middleware.settings import Work
from middleware.testing import secret, settings
from tests.world import connections, inbound, order_event, sign_shop, stores


class Steps:
    """Counts the steps of this process and kills it before number `at`."""

    def __init__(self, at: int, tell: int) -> None:
        self._at, self._tell, self._count = at, tell, 0
        self._lock = threading.Lock()

    def reach(self, name: str) -> None:
        with self._lock:
            self._count += 1
            os.write(self._tell, (json.dumps(name) + "\n").encode())
            if self._count == self._at:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch_engine(self, engine: Engine) -> None:
        event.listen(
            engine, "before_cursor_execute", lambda c, cursor, statement, *_: self.reach("execute " + " ".join(statement.split())[:60])
        )
        for name in ("do_commit", "do_rollback"):
            inner = getattr(engine.dialect, name)
            setattr(engine.dialect, name, lambda connection, inner=inner, name=name: (self.reach(name), inner(connection)))

    def watch_http(self) -> None:
        send = requests.adapters.HTTPAdapter.send

        def watched(adapter: Any, request: Any, **options: Any) -> Any:
            self.reach(f"send {request.method}")
            answer = send(adapter, request, **options)
            self.reach(f"answered {request.method}")
            return answer

        requests.adapters.HTTPAdapter.send = watched

    def watch_writer(self) -> None:
        execute = psycopg.Connection.execute

        def watched(connection: Any, *args: Any, **options: Any) -> Any:
            self.reach("insert")
            answer = execute(connection, *args, **options)
            self.reach("inserted")
            return answer

        psycopg.Connection.execute = watched  # type: ignore[method-assign]


def runtime_of(order: dict[str, Any]) -> Runtime:
    made = settings(
        order["url"],
        connections(order.get("erp", "http://127.0.0.1:9"), order.get("shop", "http://127.0.0.1:9")),
        stores(),
        work=Work(retry_base=0.001, retry_cap=0.01),
        keys=(secret(order["key"]),),
    )
    made = replace(made, database=replace(made.database, pool=2))
    runtime = Runtime(made, now=lambda: datetime.now(UTC) + timedelta(seconds=order.get("ahead", 0)), ring=lambda *_: None, seed=1)
    runtime.engine = _engines.setdefault(order["url"], runtime.engine)
    return runtime


_engines: dict[str, Engine] = {}
"""Engines without connections, inherited by the children for the sake of their compiled statements."""


def work(order: dict[str, Any], steps: Steps) -> None:
    """Decide and make until nothing is due."""
    runtime = runtime_of(order)
    steps.watch_engine(runtime.engine)
    steps.watch_http()
    _drain(runtime)


def _drain(runtime: Runtime) -> None:
    while sum(inbox.decide(runtime, lane) for lane in ("payments", "orders")) + outbox.make(runtime, "orders"):
        pass


def keep(order: dict[str, Any], steps: Steps) -> None:
    """Receive deliveries from eight threads at once and tell of each that was acknowledged."""
    runtime = runtime_of(order)
    steps.watch_writer()
    numbers = iter(range(order["deliveries"]))

    def send() -> None:
        for number in numbers:
            body = order_event(f"order-{number}")
            inbox.receive(runtime, "shop", inbound(sign_shop(body, f"m{number}"), body))
            os.write(steps._tell, (json.dumps(f"acknowledged m{number}") + "\n").encode())

    threads = [threading.Thread(target=send) for _ in range(order["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def poisoned(order: dict[str, Any], steps: Steps) -> None:
    """Decide one batch of payments; the events that `order` names kill whoever translates them."""
    runtime = runtime_of(order)
    translate = inbox.translate

    def deadly(owner: Runtime, claimed: inbox.Claimed) -> Any:
        how = order["poison"].get(claimed.delivery_id)
        steps.reach(claimed.delivery_id)
        if how == "segfault":
            ctypes.string_at(0)
        if how == "memory":
            _starve()
        return translate(owner, claimed)

    inbox.translate = deadly
    inbox.decide(runtime, "payments")


def _starve() -> None:
    """What the kernel's out-of-memory killer does, without taking the machine along."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
    hoard = []
    try:
        while True:
            hoard.append(bytearray(1 << 24))
    except MemoryError:
        os.kill(os.getpid(), signal.SIGKILL)


def warm_up(order: dict[str, Any]) -> None:
    """Work here, so that the children need not compile what was compiled before; leaves no connection open."""
    _drain(runtime_of(order))
    _engines[order["url"]].dispose()


WAYS = {"work": work, "keep": keep, "poisoned": poisoned}


def bury(order: dict[str, Any]) -> dict[str, Any]:
    """Run one child to its end; says how it ended and what it told."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(told)
        status = 1
        try:
            WAYS[order["way"]](order, Steps(order.get("at", 0), tell))
            status = 0
        finally:
            os._exit(status)
    os.close(tell)
    with os.fdopen(told) as lines:
        steps = [json.loads(line) for line in lines]
    _, status = os.waitpid(child, 0)
    return {
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        "failed": os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0,
        "steps": steps,
    }


def main() -> None:
    for system in ("drupal", "stripe", "demo_erp"):
        connector_class(system)  # imported once, not in every child
    for line in sys.stdin:
        order = json.loads(line)
        if order["way"] == "warm_up":
            warm_up(order)
            print(json.dumps({"failed": False}), flush=True)
        else:
            print(json.dumps(bury(order)), flush=True)


if __name__ == "__main__":
    main()
