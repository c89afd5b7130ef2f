"""Who is measured at ingest: our server and its peers, each a `Subject` with its start command, environment, schema and counts."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from benchmarks import processes, provision
from benchmarks.provision import PEERS, ROOT, Unavailable

WORKERS = 2
OURS = "ours"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subject runs: its database, its port on 127.0.0.1, the signing secret, the broker's URL, a folder of its own."""

    database: str
    port: int
    secret: str
    broker: str
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Subject:
    """A server that keeps webhooks. `ready` makes what it needs or raises `Unavailable`; `schema` fills an empty database;
    `count` and `ids` are queries on the kept events. It is stopped by `processes.stop` (SIGTERM to the started pid)."""

    name: str
    title: str
    ready: Callable[[], object]
    schema: Callable[[Place], None]
    command: Callable[[Place], Sequence[str]]
    env: Callable[[Place], Mapping[str, str]]
    cwd: Path
    count: str = "SELECT count(*) FROM events"
    ids: str = "SELECT event_id FROM events"
    needs_broker: bool = False

    def start(self, place: Place) -> subprocess.Popen[bytes]:
        """Start it and wait until it listens; raises RuntimeError with its last output."""
        log = place.folder / "server.log"
        process = processes.start(self.command(place), log, env=self.env(place), cwd=self.cwd)
        try:
            processes.wait_for_port(place.port, process, log)
        except RuntimeError:
            processes.stop(process)
            raise
        return process


@dataclass(frozen=True, slots=True)
class Waybill:
    """How our own server is run: a generated `waybill.toml`, the rest through the environment."""

    key: str = field(default_factory=lambda: base64.b64encode(os.urandom(32)).decode())

    def ready(self) -> None:
        if not (ROOT / "middleware" / "cli.py").is_file():
            raise Unavailable("middleware/cli.py does not exist yet")

    def schema(self, place: Place) -> None:
        self._configure(place)
        environ = {**os.environ, **self.env(place)}
        done = subprocess.run([*_waybill(), "migrate"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise Unavailable(f"`waybill migrate` failed: {(done.stderr or done.stdout).strip()[-600:]}")

    def command(self, place: Place) -> Sequence[str]:
        self._configure(place)
        return [*_waybill(), "serve"]

    def env(self, place: Place) -> Mapping[str, str]:
        return {
            "WAYBILL_CONFIG_DIR": str(place.folder),
            "WAYBILL_VAR": str(place.folder / "var"),
            "WAYBILL_DATABASE_URL": place.database,
            "WAYBILL_BROKER_URL": place.broker,
            "WAYBILL_PORT": str(place.port),
            "WAYBILL_ENV": "production",
            "BENCH_STRIPE_SECRET": place.secret,
            "BENCH_KEY": self.key,
        }

    def _configure(self, place: Place) -> None:
        place.folder.mkdir(parents=True, exist_ok=True)
        (place.folder / "waybill.toml").write_text(
            'keys = ["env:BENCH_KEY"]\n\n'
            f'[web]\nport = {place.port}\n\n[logging]\nformat = "json"\n\n'
            '[connections.stripe]\nsystem = "stripe"\nsecrets = ["env:BENCH_STRIPE_SECRET"]\n',
            "utf-8",
        )


def _waybill() -> Sequence[str]:
    return [str(provision.our_python() / "waybill")]


def _sql_schema(peer: str) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        with psycopg.connect(place.database) as connection:
            connection.execute((PEERS / peer / "schema.sql").read_text("utf-8"))  # type: ignore[call-overload]

    return make


def _ours() -> Subject:
    how = Waybill()
    return Subject(
        name=OURS,
        title="Waybill (waybill serve)",
        ready=how.ready,
        schema=how.schema,
        command=how.command,
        env=how.env,
        cwd=ROOT,
        count="SELECT count(*) FROM events WHERE connection = 'stripe'",
        ids="SELECT delivery_id FROM events WHERE connection = 'stripe'",
    )


def _fastify() -> Subject:
    return Subject(
        name="fastify",
        title="Fastify + pg, by hand, 2 workers",
        ready=provision.node_packages,
        schema=_sql_schema("fastify"),
        command=lambda place: [provision.node_packages(), "server.js"],
        env=lambda place: {
            "NODE_ENV": "production",
            "PORT": str(place.port),
            "WORKERS": str(WORKERS),
            "DATABASE_URL": place.database,
            "STRIPE_SECRET": place.secret,
        },
        cwd=PEERS / "fastify",
    )


def _flask_celery() -> Subject:
    def command(place: Place) -> Sequence[str]:
        options = ["-k", "gthread", "-w", str(WORKERS), "--threads", "16", "--keep-alive", "75", "-b", f"127.0.0.1:{place.port}"]
        return [str(provision.peer_python() / "gunicorn"), *options, "app:app"]

    return Subject(
        name="flask_celery",
        title="Flask + SQLAlchemy + Celery apply_async, gunicorn gthread 2×16",
        ready=provision.peer_python,
        schema=_sql_schema("flask_celery"),
        command=command,
        env=lambda place: {"DATABASE_URL": place.database, "BROKER_URL": place.broker, "STRIPE_SECRET": place.secret},
        cwd=PEERS / "flask_celery",
        needs_broker=True,
    )


def everyone() -> list[Subject]:
    """All subjects of the ingest and crash measurements, ours first."""
    return [_ours(), _fastify(), _flask_celery()]
