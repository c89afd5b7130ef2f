"""Workers: events per second and CPU per event of whatever works off prepared rows or messages, and the Celery peers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import psycopg
import redis as redis_client
from celery import Celery

from benchmarks import events, processes, provision
from benchmarks.postgres import Cluster
from benchmarks.provision import PEERS, WORK, Redis

TOTAL = 3_000
WARM_UP = 200
CONCURRENCY = 2
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Started:
    """A warmed worker that waits. `pids` are the roots of its process trees, `begin` lets it at the work, `stop` ends it."""

    pids: tuple[int, ...]
    begin: Callable[[], None]
    stop: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Worked:
    """`total` events in `seconds`; µs of CPU per event in the worker's processes, in PostgreSQL and in the broker."""

    name: str
    total: int
    seconds: float
    worker_us: float
    postgres_us: float | None
    broker_us: float
    others: float

    @property
    def rate(self) -> float:
        return self.total / self.seconds

    def plain(self) -> dict[str, Any]:
        return asdict(self) | {"rate": self.rate}


def measure_worker(
    name: str,
    start: Callable[[], Started],
    total: int,
    done_query: str | Callable[[], int],
    *,
    database: str,
    cluster: Cluster,
    broker: Redis | None = None,
    patience: float = 120.0,
) -> Worked:
    """Time from `begin` until `done_query` (SQL on `database`, or a function) has grown by `total`.

    What came before `begin` (imports, connections, warm-up, publishing) is not counted; the worker's CPU is that of its whole
    process trees. Raises RuntimeError when `patience` seconds are over or the worker has ended.
    """
    with psycopg.connect(database, autocommit=True) as connection:
        done = done_query if callable(done_query) else _counter(connection, done_query)
        cluster.settle()
        worker = start()
        try:
            already = done()
            before, clock = _spent(worker, cluster, broker), time.perf_counter()
            worker.begin()
            while done() - already < total:
                if time.perf_counter() - clock > patience or not all(map(psutil.pid_exists, worker.pids)):
                    raise RuntimeError(f"{name}: {done() - already} of {total} done, then it stopped or took over {patience:.0f} s")
                time.sleep(_POLL)
            seconds = time.perf_counter() - clock
            after = _spent(worker, cluster, broker)
        finally:
            worker.stop()
    each = {key: (after[key] - before[key]) * 1e6 / total for key in before}
    ours = sum(each[key] for key in ("worker", "postgres", "broker", "harness") if key in each)
    others = (each["busy"] - ours) * total / 1e6 / (seconds * (psutil.cpu_count() or 1))
    return Worked(name, total, seconds, each["worker"], each.get("postgres"), each["broker"], max(0.0, others))


def celery_decide(cluster: Cluster, broker: Redis, total: int = TOTAL) -> Worked:
    """The conventional worker: one task per event, the ORM."""
    with _database(cluster, "celery_decide") as url:
        _seed(url, total + WARM_UP)
        count = "SELECT count(*) FROM events WHERE status = 'done'"
        start = _celery("celery_decide", "decide", url, broker, total, warmed=count)
        return measure_worker("celery_decide", start, total, count, database=url, cluster=cluster, broker=broker)


def celery_update(cluster: Cluster, broker: Redis, total: int = TOTAL) -> Worked:
    """A task that does one UPDATE."""
    with _database(cluster, "celery_noop") as url:
        _seed(url, total + WARM_UP, payments=False)
        count = "SELECT count(*) FROM events WHERE status = 'done'"
        start = _celery("celery_noop", "update", url, broker, total, warmed=count)
        return measure_worker("celery_update", start, total, count, database=url, cluster=cluster, broker=broker)


def celery_empty(cluster: Cluster, broker: Redis, total: int = TOTAL) -> Worked:
    """A task that does nothing: what Celery costs per message. Done means that the broker holds no message any more."""
    with _database(cluster, "celery_noop") as url, redis_client.Redis.from_url(broker.url) as client:
        # Taken from the queue and acknowledged: at most the few prefetched messages are still with the worker.
        def done() -> int:
            return max(0, total - int(client.llen("bench")) - int(client.hlen("unacked")))

        start = _celery("celery_noop", "empty", url, broker, total, warmed=None)
        return measure_worker("celery_empty", start, total, done, database=url, cluster=cluster, broker=broker)


def _celery(peer: str, task: str, database: str, broker: Redis, total: int, *, warmed: str | None) -> Callable[[], Started]:
    def start() -> Started:
        client = Celery(broker=broker.url)
        log = WORK / peer / "worker.log"
        # The name keeps the two measurements of one peer apart in Celery's remote control.
        command = [str(provision.peer_python() / "celery"), "-A", "app", "worker", "--pool", "prefork", "-c", str(CONCURRENCY)]
        command += ["-Q", "warm", "--loglevel", "warning", "-n", f"{task}@bench"]
        process = processes.start(command, log, env={"DATABASE_URL": database, "BROKER_URL": broker.url}, cwd=PEERS / peer)

        def stop() -> None:
            processes.stop(process)
            client.close()

        try:
            _publish(client, task, range(1, WARM_UP + 1), "warm")
            _wait_until_warm(client, task, database, warmed, process_log=lambda: processes.tail(log))
            _publish(client, task, range(WARM_UP + 1, WARM_UP + total + 1), "bench")
        except BaseException:
            stop()
            raise
        return Started((process.pid,), lambda: _consume(client, f"{task}@bench"), stop)

    return start


def _consume(client: Celery, worker: str) -> None:
    client.control.add_consumer("bench", destination=[worker])


def _publish(client: Celery, task: str, ids: range, queue: str) -> None:
    with client.connection_for_write() as connection, client.amqp.Producer(connection) as producer:
        for number in ids:
            client.send_task(task, args=(number,), queue=queue, producer=producer)


def _wait_until_warm(client: Celery, task: str, database: str, query: str | None, *, process_log: Callable[[], str]) -> None:
    until = time.monotonic() + 60
    with psycopg.connect(database, autocommit=True) as connection:
        while time.monotonic() < until:
            if query and _counter(connection, query)() >= WARM_UP:
                return
            if not query and _total_done(client, task) >= WARM_UP:
                return
            time.sleep(0.2)
    raise RuntimeError(f"the Celery worker did not work:\n{process_log()}")


def _total_done(client: Celery, task: str) -> int:
    stats = client.control.inspect(timeout=0.5).stats() or {}
    return sum(int(one["total"].get(task, 0)) for one in stats.values())


def _counter(connection: psycopg.Connection[Any], query: str) -> Callable[[], int]:
    def count() -> int:
        row = connection.execute(query).fetchone()  # type: ignore[call-overload]
        return int(row[0])

    return count


def _spent(worker: Started, cluster: Cluster, broker: Redis | None) -> dict[str, float]:
    mine, postgres = psutil.Process().cpu_times(), cluster.cpu_seconds()
    return {
        "worker": processes.cpu_seconds(worker.pids),
        "broker": broker.cpu_seconds() if broker else 0.0,
        "busy": processes.busy_seconds(),
        "harness": mine.user + mine.system,
        **({} if postgres is None else {"postgres": postgres}),
    }


@contextmanager
def _database(cluster: Cluster, peer: str) -> Iterator[str]:
    name = f"waybill_bench_{peer}"
    url = cluster.create(name)
    try:
        with psycopg.connect(url) as connection:
            connection.execute((PEERS / peer / "schema.sql").read_text("utf-8"))  # type: ignore[call-overload]
        yield url
    finally:
        cluster.drop(name)


def _seed(url: str, count: int, *, payments: bool = True) -> None:
    """`count` events, each with the payment that it is about, in the peers' tables; ids run from 1."""
    made = list(events.bodies(count))
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        with cursor.copy("COPY events (event_id, payload, status) FROM STDIN") as copy:
            for event, _, body in made:
                copy.write_row((event, body.decode(), "due"))
        if payments:
            with cursor.copy("COPY payments (remote_id, order_number, state, amount, currency) FROM STDIN") as copy:
                for _, intent, body in made:
                    order = json.loads(body)["data"]["object"]["metadata"]["drupal_order"]
                    copy.write_row((intent, order, "pending", 0, "EUR"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
