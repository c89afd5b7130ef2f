"""The composition root: settings in, everything that web, workers, command line and tests need out."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from middleware.broker import Doorbell, celery_app
from middleware.connectors import connector_class
from middleware.connectors._http import Http, breaker_for, limiter_for
from middleware.database import engine_for
from middleware.errors import SettingsError, UnknownConnection
from middleware.feeds import registry
from middleware.feeds.feed import Feed
from middleware.hints import HintGate
from middleware.payments.secret_uses import SecretUses
from middleware.refusals import Refusals
from middleware.settings import Settings
from middleware.vault import Vault
from middleware.work import Work
from middleware.writer import GroupWriter


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Runtime:
    """One process's Waybill. Everything is made at first use, so that a process pays only for what it does."""

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], datetime] = _utc_now,
        ring: Callable[[str, str, str], None] | None = None,
        seed: int | None = None,
    ) -> None:
        """`now` is the clock; `ring(task, lane, argument)` replaces the doorbell; `seed` makes jitter repeatable."""
        if not settings.database.url:
            raise SettingsError(["database.url: missing; expected postgresql://… (or the embedded one, made by waybill serve)"])
        self.settings = settings
        self.now = now
        self._ring = ring
        self._random = random.Random(seed)
        self._connectors: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._bulkheads: dict[str, threading.BoundedSemaphore] = {}
        self.refusals = Refusals()
        self.secret_uses = SecretUses()
        self.hints = HintGate(self)

    @cached_property
    def engine(self) -> Engine:
        return engine_for(self.settings.database.url, self.settings.database.pool)

    @cached_property
    def sessions(self) -> sessionmaker[Session]:
        return sessionmaker(self.engine, expire_on_commit=False, autoflush=False)

    @cached_property
    def vault(self) -> Vault:
        return Vault(self.settings.keys)

    @cached_property
    def feeds(self) -> Mapping[tuple[str, str], Feed]:
        """The feeds of the merchant's tables, by (connection, kind); raises `SettingsError`."""
        return registry.feeds(self)

    @cached_property
    def celery(self) -> Any:
        return celery_app(self.settings)

    @cached_property
    def doorbell(self) -> Doorbell:
        return Doorbell(self.celery, prefix=self.settings.broker.prefix)

    @property
    def writer(self) -> GroupWriter:
        """The process's group writer; made under a lock, because the first requests come at once."""
        made: GroupWriter | None = self.__dict__.get("_writer")
        if made is not None:
            return made
        with self._lock:
            return self._writer

    @cached_property
    def _writer(self) -> GroupWriter:
        return GroupWriter(self.settings.database.url, limit=self.settings.web.queue, after=self.ring_lanes)

    def ring_lanes(self, lanes: set[str]) -> None:
        """Say that events of these lanes were kept."""
        for lane in sorted(lanes):
            self.ring("decide", lane)

    def connector(self, name: str) -> Any:
        """The connector of a connection; raises `UnknownConnection`."""
        found = self._connectors.get(name)
        if found is not None:
            return found
        connection = self.settings.connections.get(name)
        if connection is None:
            raise UnknownConnection(f"no connection is called {name!r}")
        with self._lock:
            if name not in self._connectors:
                redis = self.settings.redis.url
                http = Http(connection, limiter=limiter_for(redis), breaker=breaker_for(connection, redis))
                self._connectors[name] = connector_class(connection.system)(connection, http)
            return self._connectors[name]

    def lane(self, name: str) -> str:
        """The lane that a connection's events and calls take."""
        return str(self.connector(name).LANE)

    def ring(self, task: str, lane: str, argument: str = "") -> None:
        """Say that there is work; best effort."""
        if self._ring is not None:
            self._ring(task, lane, argument)
        else:
            self.doorbell.ring(task, lane, argument)

    def ring_after(self, work: Work, decide_again: str | None = None) -> None:
        """Ring for everything that a committed work asked for or released."""
        for lane in sorted(work.lanes):
            self.ring("make", lane)
        if work.released:
            for lane in sorted({self.lane(name) for name in self.settings.connections}):
                self.ring("decide", lane)
        elif decide_again:
            self.ring("decide", decide_again)

    @property
    def is_heard(self) -> bool:
        """Whether the last ring reached the broker; without one, a worker does the work itself."""
        return self._ring is not None or "doorbell" not in self.__dict__ or self.doorbell.is_heard

    @contextmanager
    def bulkhead(self, lane: str) -> Iterator[bool]:
        """Whether one of the lane's places in this process is free; it is taken while the block runs."""
        with self._lock:
            places = self._bulkheads.setdefault(lane, threading.BoundedSemaphore(self.settings.work.concurrency))
        free = places.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                places.release()

    def jitter(self) -> float:
        """A random share of a wait, 0…1."""
        return self._random.random()

    def shuffle(self, names: list[str]) -> None:
        """Put names in random order, so that no connection always comes first."""
        self._random.shuffle(names)

    def close(self) -> None:
        """Stop in order: writer, doorbell, connections, engine."""
        if "_writer" in self.__dict__:
            self._writer.stop()
        if "doorbell" in self.__dict__:
            self.doorbell.stop()
        for connector in self._connectors.values():
            if hasattr(connector, "http"):  # a folder has none
                connector.http.close()
        if "engine" in self.__dict__:
            self.engine.dispose()


_current: Runtime | None = None


def install(runtime: Runtime | None) -> None:
    """Make a runtime this process's own (None: none)."""
    global _current  # noqa: PLW0603 - the one process-wide variable: Celery and WSGI servers start from a module name
    _current = runtime


def current() -> Runtime:
    """This process's runtime; raises `SettingsError` when none was installed."""
    if _current is None:
        raise SettingsError(["no runtime is installed in this process"])
    return _current
