"""A real Medusa (MIT, from npm) on PostgreSQL as a process of its own: installed once with the versions of its lock file.

Needs Node 20, npm, 700 MB, and a PostgreSQL on a port that may create databases. Installing takes about a minute, a fresh
database about twenty seconds, starting about five.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from psycopg import sql

from .programs import VAR, Unavailable, await_listener, free_port, npm_installed, run
from .tryton_server import _admin, _cluster

EMAIL, PASSWORD = "waybill@example.test", "supersecret"
LOG = VAR / "medusa.log"


@dataclass
class Medusa:
    """A running Medusa with an empty catalogue; `url` is a connection's base_url."""

    url: str
    _session: requests.Session = field(default_factory=requests.Session)

    def log_in(self) -> None:
        token = self.post("/auth/user/emailpass", email=EMAIL, password=PASSWORD)["token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def post(self, path: str, **body: Any) -> Any:
        """The answer; AssertionError when it is a refusal."""
        return self._told(self._session.post(f"{self.url}{path}", json=body, timeout=60))

    def create(self, what: str, **body: Any) -> Any:
        """What was made of a list, "/admin/products" say."""
        made = self.post(f"/admin/{what}", **body)
        (found,) = made.values()
        return found

    def get(self, path: str, **params: Any) -> Any:
        return self._told(self._session.get(f"{self.url}{path}", params=params, timeout=60))

    def delete(self, path: str) -> None:
        self._told(self._session.delete(f"{self.url}{path}", timeout=60))

    @staticmethod
    def _told(answer: requests.Response) -> Any:
        assert answer.status_code == 200, (answer.status_code, answer.text[:500])
        return answer.json()


@contextmanager
def running() -> Iterator[Medusa]:
    """Install it when it is missing, make a database of its own, start it on a free port, and take away both at the end. Raises
    `Unavailable`."""
    home, port = npm_installed("medusa"), free_port()
    database = f"waybill_medusa_{os.getpid()}_{port}"
    with _cluster() as cluster:
        if not urlsplit(cluster).hostname:
            raise Unavailable("its PostgreSQL must listen on a port")
        with _admin(cluster) as db:
            db.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
        try:
            with _started(home, port, urlsplit(cluster)._replace(path=f"/{database}").geturl()) as medusa:
                yield medusa
        finally:
            with _admin(cluster) as db:
                db.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))


@contextmanager
def _started(home: Any, port: int, database: str) -> Iterator[Medusa]:
    # Without NODE_ENV its command line wants a TypeScript compiler.
    settings = {"DATABASE_URL": database, "NODE_ENV": "production", "MEDUSA_DISABLE_TELEMETRY": "true"}
    command, env = str(home / "node_modules" / ".bin" / "medusa"), {**os.environ, **settings}
    run([command, "db:migrate"], "its database cannot be made", env, cwd=home)
    run([command, "user", "-e", EMAIL, "-p", PASSWORD], "its user cannot be made", env, cwd=home)
    with LOG.open("ab") as log:
        process = subprocess.Popen([command, "start", "-p", str(port), "-H", "127.0.0.1"], stdout=log, stderr=log, cwd=home, env=env)
    try:
        medusa = Medusa(f"http://127.0.0.1:{port}")
        await_listener(process, medusa.url, LOG)
        medusa.log_in()
        yield medusa
    finally:
        process.terminate()
        process.wait(30)
