"""What tests and the demo build a Waybill from: a cluster with a template database, settings, and a worker that runs here."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from middleware import inbox, outbox, sweep
from middleware.database import engine_for, migrate
from middleware.embedded import EmbeddedPostgres
from middleware.runtime import Runtime
from middleware.secret import Secret
from middleware.settings import LANES, Connection, Database, Settings, Store
from middleware.vault import new_key


class Cluster:
    """A PostgreSQL with a migrated template database; `clone` makes a fresh database in a few milliseconds."""

    def __init__(self, admin_url: str, template: str) -> None:
        self._admin_url = admin_url
        self._template = template
        self._numbers = itertools.count(1)

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path, url: str = "") -> Iterator[Cluster]:
        """On the server at `url`, or on an embedded one in `folder` (without fsync: only tests may lose a disk)."""
        with contextlib.ExitStack() as stack:
            if not url:
                server = stack.enter_context(EmbeddedPostgres(folder))
                url = server.url
                with psycopg.connect(url, autocommit=True) as admin:
                    admin.execute("ALTER SYSTEM SET fsync = off")
                    admin.execute("SELECT pg_reload_conf()")
            cluster = cls(url, f"waybill_template_{os.getpid()}")
            cluster._make_template()
            yield cluster
            cluster.drop(cluster._template)

    def clone(self) -> tuple[str, str]:
        """A fresh database: its name and URL."""
        name = f"waybill_{os.getpid()}_{next(self._numbers)}"
        self._run("CREATE DATABASE {} TEMPLATE {}", name, self._template)
        return name, self._url(name)

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _make_template(self) -> None:
        self.drop(self._template)
        self._run("CREATE DATABASE {}", self._template)
        engine = engine_for(self._url(self._template))
        migrate(engine)
        engine.dispose()

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._admin_url, autocommit=True) as admin:
            admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _url(self, name: str) -> str:
        info = psycopg.conninfo.conninfo_to_dict(self._admin_url)
        host, port = info.get("host") or "", info.get("port") or 5432
        where = f"/{name}?host={host}&port={port}" if str(host).startswith("/") or not host else f"{host}:{port}/{name}"
        password = f":{info['password']}" if info.get("password") else ""
        return f"postgresql://{info.get('user') or 'postgres'}{password}@{where}"


def secret(value: str) -> Secret:
    """A secret that a test or the demo made up."""
    return Secret("made:here", value)


def settings(database_url: str, connections: Mapping[str, Connection], stores: Mapping[str, Store], **changes: Any) -> Settings:
    """Settings for these connections and stores, with a fresh payload key."""
    made = Settings(database=Database(database_url), keys=(secret(new_key()),), connections=connections, stores=stores)
    return replace(made, **changes)


def drain(runtime: Runtime, rounds: int = 50) -> None:
    """Be the worker: decide, make and poll until nothing is due now."""
    for _ in range(rounds):
        sweep.sweep(runtime)
        work = [inbox.decide(runtime, lane) + outbox.make(runtime, lane) for lane in LANES]
        polled = [sweep.poll(runtime, name) for name in sweep.due_polls(runtime)]
        work += [found.new for found in polled if found]
        if not any(work):
            return
    raise AssertionError(f"still busy after {rounds} rounds")
