"""Our own worker under measurement: two real `celery -A tasks worker` processes on a database full of due payment events."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from benchmarks import processes, provision
from benchmarks.postgres import Cluster
from benchmarks.provision import ROOT, WORK, Redis, Unavailable
from benchmarks.workers import CONCURRENCY, TOTAL, WARM_UP, Started, Worked, measure_worker
from middleware import inbox
from middleware.database import migrate
from middleware.ports import Delivery
from middleware.runtime import Runtime
from middleware.settings import load

CONFIGURATION = """\
keys = ["env:BENCH_KEY"]
[logging]
format = "json"
level = "warning"
[connections.shop]
system = "drupal"
secrets = ["env:BENCH_SECRET"]
[connections.stripe]
system = "stripe"
secrets = ["env:BENCH_SECRET"]
[connections.erp]
system = "demo_erp"
base_url = "http://127.0.0.1:9"
credentials = { key = "env:BENCH_SECRET" }
[stores.main]
shop = "shop"
erp = "erp"
payments = ["stripe"]
export_when = "paid"
"""

DONE = "SELECT count(*) FROM events WHERE connection = 'stripe' AND state IN ('decided', 'ignored')"
WARMED = 4 * WARM_UP
"""Events before the measurement: batches of a hundred, so that each of the processes has several."""
FAR = "2100-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Ground:
    """A migrated database with its configuration; `environ` is what a worker of it needs."""

    url: str
    folder: Path
    environ: dict[str, str]


def bookkeeping(cluster: Cluster, broker: Redis | None, total: int = TOTAL) -> Worked:
    """What a worker spends on an event that means nothing to us: claim, open, recognise, isolate, bookkeep."""

    def fill(runtime: Runtime, first: int, count: int) -> None:
        _keep(
            runtime, [_event(f"evt_{n}", "customer.created", {"id": f"cus_{n}", "object": "customer"}) for n in range(first, first + count)]
        )

    with _ground(cluster, broker) as ground:
        return _measure("ours_bookkeeping", ground, fill, total, cluster, broker)


def decide(cluster: Cluster, broker: Redis | None, total: int = TOTAL) -> Worked:
    """A whole decide: translate, join to the order, payment and its part, four audited transitions, the ERP call asked."""

    def fill(runtime: Runtime, first: int, count: int) -> None:
        numbers = range(first, first + count)
        orders = [Delivery(f"m{n}", "order.placed", f"order-{n}", _order(n), datetime.now(UTC)) for n in numbers]
        for start in range(0, count, 500):
            inbox.keep(runtime, "shop", orders[start : start + 500])
        while inbox.decide(runtime, "orders"):
            pass
        _keep(runtime, [_event(f"evt_{n}", "payment_intent.succeeded", _intent(n)) for n in numbers])

    with _ground(cluster, broker) as ground:
        return _measure("ours_decide", ground, fill, total, cluster, broker)


def _measure(
    name: str, ground: Ground, fill: Callable[[Runtime, int, int], None], total: int, cluster: Cluster, broker: Redis | None
) -> Worked:
    if broker is None:
        raise Unavailable("needs a Redis for the doorbell")
    settings = load(ground.folder, ground.environ)
    runtime = Runtime(settings, ring=lambda *_: None)
    try:
        fill(runtime, 1, WARMED + total)  # before any worker runs: what is kept is due for a moment, and its sweep would see it
    finally:
        runtime.close()

    def start() -> Started:
        workers = [_worker(ground, number) for number in range(CONCURRENCY)]

        def stop() -> None:
            for worker in workers:
                processes.stop(worker)
            filling.close()

        filling = Runtime(settings)
        try:
            first = f"SELECT id FROM events WHERE state = 'due' ORDER BY id LIMIT {WARMED}"
            _execute(ground.url, f"UPDATE events SET due_at = now() WHERE id IN ({first})")
            _wait(ground.url, WARMED)
            _execute(ground.url, "VACUUM ANALYZE")
        except BaseException:
            stop()
            raise

        def begin() -> None:
            _execute(ground.url, "UPDATE events SET due_at = now() WHERE state = 'due'")
            filling.ring("decide", "payments")

        return Started(tuple(worker.pid for worker in workers), begin, stop)

    return measure_worker(name, start, total, DONE, database=ground.url, cluster=cluster, broker=broker)


@contextmanager
def _ground(cluster: Cluster, broker: Redis | None) -> Iterator[Ground]:
    name = "waybill_bench_ours_worker"
    folder = WORK / "ours_worker"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "waybill.toml").write_text(CONFIGURATION, "utf-8")
    url = cluster.create(name)
    environ = {
        "WAYBILL_CONFIG_DIR": str(folder),
        "WAYBILL_VAR": str(folder / "var"),
        "WAYBILL_DATABASE_URL": url,
        "WAYBILL_BROKER_URL": broker.url if broker else "",
        "BENCH_KEY": base64.b64encode(os.urandom(32)).decode(),
        "BENCH_SECRET": "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode(),
    }
    runtime = Runtime(load(folder, environ))
    migrate(runtime.engine)
    runtime.close()
    try:
        yield Ground(url, folder, environ)
    finally:
        cluster.drop(name)


def _worker(ground: Ground, number: int) -> object:
    command = [
        str(provision.our_python() / "celery"),
        "-A",
        "tasks",
        "worker",
        "-P",
        "threads",
        "-c",
        "1",
        "-Q",
        "payments",
        "-l",
        "warning",
    ]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "-n", f"waybill{number}@bench"]
    return processes.start(command, ground.folder / f"worker{number}.log", env=ground.environ, cwd=ROOT)


def _keep(runtime: Runtime, bodies: list[bytes]) -> None:
    """Keep Stripe events that nobody claims yet."""
    now = datetime.now(UTC)
    rows = []
    for body in bodies:
        event = json.loads(body)
        rows.append(Delivery(event["id"], event["type"], event["data"]["object"]["id"], body, now))
    for start in range(0, len(rows), 500):
        inbox.keep(runtime, "stripe", rows[start : start + 500])
        with runtime.engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE events SET due_at = '{FAR}' WHERE connection = 'stripe' AND state = 'due'")


def _event(event_id: str, kind: str, obj: dict[str, object]) -> bytes:
    body = {
        "id": event_id,
        "object": "event",
        "api_version": "2026-08-26.dahlia",
        "created": int(time.time()),
        "livemode": False,
        "type": kind,
        "data": {"object": {**obj, "description": "x" * 1_500}},
    }
    return json.dumps(body).encode()


def _intent(number: int) -> dict[str, object]:
    return {
        "id": f"pi_{number}",
        "object": "payment_intent",
        "amount": 4470,
        "amount_received": 4470,
        "currency": "eur",
        "status": "succeeded",
        "latest_charge": f"ch_{number}",
        "metadata": {"order_uuid": f"order-{number}"},
    }


def _order(number: int) -> bytes:
    price = {"number": "44.70", "currency_code": "EUR"}
    order = {
        "uuid": f"order-{number}",
        "internal_id": str(number),
        "number": str(number),
        "version": 1,
        "state": "fulfillment",
        "store": {"uuid": "s", "id": "1"},
        "changed": "2026-11-22T01:00:00+00:00",
        "items": [{"uuid": "i", "sku": "TS-1", "title": "T-Shirt", "quantity": "1", "unit_price": price, "total_price": price}],
        "total_price": price,
    }
    return json.dumps({"type": "order.placed", "timestamp": "2026-11-22T01:00:00+00:00", "data": {"order": order}}).encode()


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def _wait(url: str, count: int) -> None:
    until = time.monotonic() + 60
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < until:
            row = connection.execute(DONE).fetchone()
            if row and row[0] >= count:
                return
            time.sleep(0.1)
    raise RuntimeError("our worker did not work off the warm-up")
