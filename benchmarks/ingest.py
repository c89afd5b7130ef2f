"""Durable ingest: verify, insert if new, COMMIT, 200. Subjects take turns within each round, each on a fresh copy of its database."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import psutil
import psycopg

from benchmarks import events, load, processes
from benchmarks.postgres import Cluster
from benchmarks.provision import WORK, Redis, Unavailable
from benchmarks.subjects import Place, Subject

MOST_PER_SECOND = 14_000
WARM_UP = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one subject. CPU in µs per acknowledged request; `others` is the share of the machine that other programs used."""

    load: load.Load
    rows: int
    kept: bool
    app_us: float
    postgres_us: float | None
    broker_us: float
    load_us: float
    others: float


@dataclass(slots=True)
class Ingest:
    """All runs by subject name, and why a subject did not run."""

    runs: dict[str, list[Measured]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def of(self, name: str, value: Callable[[Measured], float | None]) -> float | None:
        """The median over the rounds."""
        found = [one for one in map(value, self.runs.get(name, ())) if one is not None]
        return median(found) if found else None

    def ratio(self, name: str, peer: str) -> float | None:
        """The median over the rounds of the two rates' ratio, each taken within its round."""
        pairs = list(zip(self.runs.get(name, ()), self.runs.get(peer, ()), strict=False))
        return median(ours.load.rate / theirs.load.rate for ours, theirs in pairs) if pairs else None

    def plain(self) -> dict[str, Any]:
        return {
            "runs": {name: [asdict(one) | {"rate": one.load.rate} for one in runs] for name, runs in self.runs.items()},
            "reasons": dict(self.reasons),
        }


def measure(
    subjects: Sequence[Subject],
    *,
    cluster: Cluster,
    broker: Redis | None,
    secret: str,
    wrk: str | None,
    seconds: float,
    rounds: int,
    say: Callable[[str], None],
) -> Ingest:
    """Run every subject `rounds` times in turns."""
    found = Ingest()
    able = [one for one in subjects if _prepared(one, cluster, broker, secret, found.reasons)]
    for number in range(rounds):
        order = able[number % len(able) :] + able[: number % len(able)] if able else []
        warm = events.write(WORK / "warm.bin", MOST_PER_SECOND * WARM_UP, secret)
        requests = events.write(WORK / "requests.bin", int(MOST_PER_SECOND * seconds), secret)
        for subject in order:
            if subject.name in found.reasons:
                continue
            try:
                run = _one(subject, cluster, broker, secret, warm=warm, requests=requests, wrk=wrk, seconds=seconds)
            except RuntimeError as error:
                found.reasons[subject.name] = str(error)
                continue
            found.runs.setdefault(subject.name, []).append(run)
            say(
                f"round {number + 1}: {subject.name:13} {run.load.rate:7,.0f} req/s, p99 {run.load.p99_ms:6.1f} ms, others {run.others:.0%}"
            )
    for name in ("warm.bin", "requests.bin"):
        (WORK / name).unlink(missing_ok=True)
    for subject in able:
        cluster.drop(_template(subject))
    return found


def place(subject: Subject, database: str, broker: Redis | None, secret: str) -> Place:
    folder = WORK / subject.name
    folder.mkdir(parents=True, exist_ok=True)
    return Place(database, processes.free_port(), secret, broker.url if broker else "", folder)


def prepare(subject: Subject, cluster: Cluster, broker: Redis | None, secret: str, name: str) -> Place:
    """Make the subject's program and a database `name` with its tables; raises `Unavailable`."""
    if subject.needs_broker and broker is None:
        raise Unavailable("no redis-server on the PATH and no WAYBILL_BENCH_REDIS_URL")
    subject.ready()
    here = place(subject, cluster.create(name), broker, secret)
    subject.schema(here)
    return here


def _prepared(subject: Subject, cluster: Cluster, broker: Redis | None, secret: str, reasons: dict[str, str]) -> bool:
    try:
        prepare(subject, cluster, broker, secret, _template(subject))
    except Unavailable as error:
        reasons[subject.name] = str(error)
    return subject.name not in reasons


def _one(
    subject: Subject,
    cluster: Cluster,
    broker: Redis | None,
    secret: str,
    *,
    warm: events.Requests,
    requests: events.Requests,
    wrk: str | None,
    seconds: float,
) -> Measured:
    name = f"waybill_bench_{subject.name}"
    here = place(subject, cluster.create(name, template=_template(subject)), broker, secret)
    server = subject.start(here)
    try:
        warmed = load.run(warm, here.port, seconds=WARM_UP, wrk=wrk)
        cluster.settle()
        before = _stopwatch(server.pid, cluster, broker)
        seen = load.run(requests, here.port, seconds=seconds, wrk=wrk)
        after = _stopwatch(server.pid, cluster, broker)
    finally:
        processes.stop(server)
    rows = _count(here.database, subject.count)
    cluster.drop(name)
    _accept(seen, processes.tail(here.folder / "server.log"))
    return _measured(seen, rows, before, after, already=warmed.acknowledged)


def _measured(seen: load.Load, rows: int, before: Mapping[str, float], after: Mapping[str, float], *, already: int) -> Measured:
    spent = {name: after[name] - before[name] for name in before}
    each = 1e6 / max(1, seen.acknowledged)
    ours = spent["app"] + spent.get("postgres", 0.0) + spent["broker"] + spent["load"]
    capacity = spent["clock"] * (psutil.cpu_count() or 1)
    return Measured(
        load=seen,
        rows=rows,
        kept=rows >= seen.acknowledged + already,
        app_us=spent["app"] * each,
        postgres_us=spent["postgres"] * each if "postgres" in spent else None,
        broker_us=spent["broker"] * each,
        load_us=spent["load"] * each,
        others=max(0.0, (spent["busy"] - ours) / capacity),
    )


def _stopwatch(pid: int, cluster: Cluster, broker: Redis | None) -> dict[str, float]:
    children = psutil.Process().cpu_times()
    postgres = cluster.cpu_seconds()
    return {
        "clock": time.monotonic(),
        "busy": processes.busy_seconds(),
        "load": children.children_user + children.children_system,
        "app": processes.cpu_seconds([pid]),
        "broker": broker.cpu_seconds() if broker else 0.0,
        **({} if postgres is None else {"postgres": postgres}),
    }


def _accept(seen: load.Load, log: str) -> None:
    if seen.refused or seen.broken or not seen.acknowledged:
        counts = f"{seen.acknowledged} acknowledged, {seen.refused} refused, {seen.broken} broken"
        raise RuntimeError(f"{counts}; the server's last words:\n{log}")
    if seen.exhausted:
        raise RuntimeError(f"the events ran out at {seen.rate:.0f} req/s: raise ingest.MOST_PER_SECOND")


def _count(database: str, query: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[call-overload]
    return int(row[0])


def _template(subject: Subject) -> str:
    return f"waybill_bench_{subject.name}_template"
