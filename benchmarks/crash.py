"""`kill -9` under load: web processes and PostgreSQL die several times; every acknowledged event must be in the table at the end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import events, ingest, load, postgres, processes
from benchmarks.postgres import Cluster
from benchmarks.provision import WORK, Redis
from benchmarks.subjects import Place, Subject

KILLS = ("one web process", "PostgreSQL", "all web processes", "all web processes and PostgreSQL")
_PATIENCE = 8.0
_PER_SECOND = 8_000


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: how long until events were kept again, and whether the server had to be started anew for that."""

    what: str
    at: float
    recovered_after: float | None
    restarted: bool


@dataclass(frozen=True, slots=True)
class Crashed:
    """What a crash run found: `lost` acknowledged events that are not in the table (must be 0), `doubled` ids that are there twice."""

    subject: str
    acknowledged: int
    rows: int
    lost: int
    doubled: int
    broken: int
    refused: int
    kills: list[Kill] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class _Scene:
    """The running cast of one crash run."""

    subject: Subject
    here: Place
    cluster: Cluster
    server: subprocess.Popen[bytes]
    started: float

    def kill(self, what: str) -> bool:
        """Kill and bring back what does not come back by itself; True when the server was started anew."""
        web, database = what.startswith("all web"), what.endswith("PostgreSQL")
        if web:
            processes.kill_tree(self.server)
        if what == "one web process" and not processes.kill_a_child(self.server):
            processes.kill_tree(self.server)
        if database:
            self.cluster.kill()
            self.cluster.start()
        return self.restart_if_ended()

    def restart_if_ended(self) -> bool:
        if self.server.poll() is None:
            return False
        processes.stop(self.server)
        self.server = self.subject.start(self.here)
        return True

    def rows(self) -> int | None:
        try:
            with psycopg.connect(self.here.database, connect_timeout=2) as connection:
                row = connection.execute(self.subject.count).fetchone()  # type: ignore[call-overload]
        except psycopg.OperationalError:
            return None
        return int(row[0])


def measure(subject: Subject, *, broker: Redis | None, secret: str, seconds: float, kills: int, say: Callable[[str], None]) -> Crashed:
    """Load `subject` for `seconds` with `kills` kills in turn; its PostgreSQL is always a cluster of this run's own."""
    cluster = postgres.own(WORK / "crash-pg")
    try:
        here = ingest.prepare(subject, cluster, broker, secret, f"waybill_bench_{subject.name}")
        cluster.shown()
        return _run(_Scene(subject, here, cluster, subject.start(here), time.monotonic()), secret, seconds, kills, say)
    finally:
        cluster.stop()


def _run(scene: _Scene, secret: str, seconds: float, kills: int, say: Callable[[str], None]) -> Crashed:
    requests = events.write(WORK / "crash.bin", int(_PER_SECOND * seconds), secret)
    acknowledged, said = WORK / "acknowledged.txt", WORK / "load.json"
    acknowledged.unlink(missing_ok=True)
    said.unlink(missing_ok=True)
    scene.started = time.monotonic()
    generator = processes.start(
        load.client(requests, scene.here.port, seconds=seconds, acknowledged=acknowledged), said, cwd=Path(__file__).parent.parent
    )
    try:
        done = _kills(scene, seconds, kills, generator, say)
        generator.wait(seconds + 60)
    finally:
        processes.stop(generator)
        processes.stop(scene.server)
    if generator.returncode:
        raise RuntimeError(f"the load generator failed:\n{processes.tail(said)}")
    found = _judge(scene, acknowledged.read_text("utf-8").split(), said, done)
    for file in (requests.path, acknowledged, said):
        file.unlink(missing_ok=True)
    return found


def _kills(scene: _Scene, seconds: float, kills: int, generator: subprocess.Popen[bytes], say: Callable[[str], None]) -> list[Kill]:
    done: list[Kill] = []
    for number in range(kills):
        time.sleep(max(0.0, scene.started + seconds * (number + 1) / (kills + 1) - time.monotonic()))
        if generator.poll() is not None:
            break
        what, at = KILLS[number % len(KILLS)], time.monotonic()
        restarted = scene.kill(what)
        recovered, forced = _recovery(scene, at, generator)
        done.append(Kill(what, at - scene.started, recovered, restarted or forced))
        after = f"keeping again after {recovered:.1f} s" if recovered is not None else "the load ended before it kept again"
        say(f"{scene.subject.name}: killed {what}, {after}{' (server started anew)' if restarted or forced else ''}")
    return done


def _recovery(scene: _Scene, since: float, generator: subprocess.Popen[bytes]) -> tuple[float | None, bool]:
    """Seconds until new rows appear, restarting a server that ended or that hangs; None when the load ended first."""
    low, forced, until = scene.rows(), False, time.monotonic() + _PATIENCE
    while generator.poll() is None:
        forced = scene.restart_if_ended() or forced
        now = scene.rows()
        low = now if low is None else low
        if now is not None and low is not None and now > low:
            return time.monotonic() - since, forced
        if time.monotonic() > until:
            processes.kill_tree(scene.server)
            forced, until = scene.restart_if_ended(), time.monotonic() + _PATIENCE
        time.sleep(0.05)
    return None, forced


def _judge(scene: _Scene, acknowledged: Sequence[str], said: Path, kills: list[Kill]) -> Crashed:
    with psycopg.connect(scene.here.database) as connection:
        kept = [str(row[0]) for row in connection.execute(scene.subject.ids)]  # type: ignore[call-overload]
    counts = load.parse(said.read_text("utf-8"))
    return Crashed(
        subject=scene.subject.name,
        acknowledged=len(acknowledged),
        rows=len(kept),
        lost=len(set(acknowledged) - set(kept)),
        doubled=len(kept) - len(set(kept)),
        broken=int(counts["broken"]),
        refused=int(counts["refused"]),
        kills=kills,
    )
