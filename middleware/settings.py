"""Configuration, read once: `config/default.toml`, `config/<environment>.toml`, `config/waybill.toml`, then the environment.

Every mistake is collected and reported at once, each with its file, its key and what is expected. Secrets are references
(`env:NAME`, `file:PATH`) and never printed. Nothing else in Waybill reads the environment.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from middleware.errors import SettingsError
from middleware.secret import Secret, resolve
from middleware.tables import TableReader

LANES = ("payments", "orders", "stock", "catalog", "reports")
"""Bulkheads: a Celery queue each; a slow system in one never starves another."""


@dataclass(frozen=True, slots=True)
class Database:
    """`url` empty means an embedded PostgreSQL under `var`. `pool` is connections per process."""

    url: str = ""
    pool: int = 10


@dataclass(frozen=True, slots=True)
class Broker:
    """`url` empty means in this process (`memory://`). `prefix` begins the queues' names: Waybills that share a broker need
    different ones, and then `celery worker -Q` names them with it."""

    url: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Redis:
    """`url` empty keeps limits and breakers in each process's memory."""

    url: str = ""


@dataclass(frozen=True, slots=True)
class Web:
    """`host`/`port` to listen on (port 0: a free one), `max_body` in bytes, `queue` requests that may wait for a commit,
    `thin_layer` answers /webhooks/ under Flask's own routing. `processes` 0: one per core but one,
    which the database and the broker use. `public_url` is what senders call."""

    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    processes: int = 0
    threads: int = 16
    max_body: int = 1_048_576
    queue: int = 2_000
    thin_layer: bool = True


@dataclass(frozen=True, slots=True)
class Work:
    """How events and calls are worked: batch sizes, leases and limits (seconds). `open_hints` is how many unsigned hints of one
    connection may wait; more are turned away."""

    batch: int = 100
    concurrency: int = 4
    event_lease: float = 60.0
    event_attempts: int = 8
    call_attempts: int = 12
    retry_base: float = 1.0
    retry_cap: float = 900.0
    park_for: float = 259_200.0
    sweep_every: float = 1.0
    open_hints: int = 1_000


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that things are kept. `events` must outlive any provider's replay."""

    events: int = 400
    bodies: int = 90
    transcripts: int = 90
    audit: int = 3_650


@dataclass(frozen=True, slots=True)
class Logging:
    """`format` is `json` or `console`."""

    format: str = "console"
    level: str = "info"


@dataclass(frozen=True, slots=True)
class Connection:
    """One configured instance of a system.

    `timeout` is seconds per read, `deadline` seconds for a whole call, `settle` the system's longest request (an unknown
    outcome rests that long before it is looked up), `rate` like "10/second" (empty: none), `poll` seconds between polls
    (0: none), `overlap` seconds of the system's clock that each poll repeats (what was committed late is seen, what is known is
    recognised). `live` says which of the provider's environments it talks to. `payment_writer` says who writes the state of this
    provider's payments in the shop: `observe` (the shop's own gateway module; we only watch), `assist` (we write what it missed) or `own`
    (we do). `deletion_guard` is the
    share of a feed beyond which vanished records are not taken back unless a person allows it. `every` says how often a feed is
    pulled, kind → seconds, for example {stock = 60, products = 3600}; without it only by command. `full_every` says how often all of
    it is read, which finds out what is gone; `stale_after` after how many seconds a feed that is behind is an alarm.
    """

    name: str
    system: str
    base_url: str = ""
    secrets: tuple[Secret, ...] = ()
    credentials: Mapping[str, Secret] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    live: bool = False
    timeout: float = 10.0
    deadline: float = 30.0
    settle: float = 60.0
    concurrency: int = 4
    rate: str = ""
    breaker_failures: int = 5
    breaker_reset: float = 30.0
    poll: float = 0.0
    overlap: float = 60.0
    time_zone: str = "UTC"
    payment_writer: str = "observe"
    deletion_guard: float = 0.2
    every: Mapping[str, float] = field(default_factory=dict)
    full_every: Mapping[str, float] = field(default_factory=dict)
    stale_after: Mapping[str, float] = field(default_factory=dict)

    def chosen(self, declared: Mapping[str, tuple[type, Any, str]]) -> dict[str, Any]:
        """Every option that the system's connector declares, as it is set here or else its default."""
        return {name: self.options.get(name, default) for name, (_, default, _) in declared.items()}


@dataclass(frozen=True, slots=True)
class Store:
    """A shop's store and the connections that serve it. `shop_ref` is the store's id in the shop (empty: the only one).
    `export_when` is `placed` or `paid`. `on_payment` says which step of the order follows which payment state, as
    {refunded = {to = "canceled", stock = "return"}, disputed = {hold = "dispute"}, dispute_won = {release = true}}.
    `payment_routes` says which of several providers carries what, as {paypal = {methods = ["paypal_checkout"], currencies = ["EUR"]}};
    a provider that is not named there carries everything."""

    name: str
    shop: str
    shop_ref: str = ""
    erp: str = ""
    payments: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    export_when: str = "placed"
    on_payment: Mapping[str, Any] = field(default_factory=dict)
    payment_routes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration. `keys` encrypt payloads at rest, newest first. `tables` is the folder of the mapping tables (by
    default `tables` beside the other files)."""

    environment: str = "development"
    var: Path = Path("var/waybill")
    tables: Path = Path()
    database: Database = field(default_factory=Database)
    broker: Broker = field(default_factory=Broker)
    redis: Redis = field(default_factory=Redis)
    web: Web = field(default_factory=Web)
    work: Work = field(default_factory=Work)
    retention: Retention = field(default_factory=Retention)
    logging: Logging = field(default_factory=Logging)
    keys: tuple[Secret, ...] = ()
    console_secret: Secret | None = None
    sentry_dsn: Secret | None = None
    connections: Mapping[str, Connection] = field(default_factory=dict)
    stores: Mapping[str, Store] = field(default_factory=dict)

    def stores_of(self, connection: str) -> tuple[Store, ...]:
        """The stores that a connection serves, in any role."""
        return tuple(s for s in self.stores.values() if connection in (s.shop, s.erp, *s.payments))

    def store_of(self, shop: str, reference: str) -> Store | None:
        """The store of a shop's orders that name the shop's store `reference`."""
        return next((s for s in self.stores.values() if s.shop == shop and s.shop_ref in ("", reference)), None)


ENVIRONMENT = {
    "WAYBILL_ENV": ("environment",),
    "WAYBILL_VAR": ("var",),
    "WAYBILL_DATABASE_URL": ("database", "url"),
    "WAYBILL_BROKER_URL": ("broker", "url"),
    "WAYBILL_BROKER_PREFIX": ("broker", "prefix"),
    "WAYBILL_REDIS_URL": ("redis", "url"),
    "WAYBILL_HOST": ("web", "host"),
    "WAYBILL_PORT": ("web", "port"),
    "WAYBILL_PUBLIC_URL": ("web", "public_url"),
    "WAYBILL_PROCESSES": ("web", "processes"),
    "WAYBILL_LOG_FORMAT": ("logging", "format"),
    "WAYBILL_LOG_LEVEL": ("logging", "level"),
}
"""Environment variables that override a key of the files."""

_CHOICES = {
    ("logging", "format"): ("json", "console"),
    ("logging", "level"): ("debug", "info", "warning", "error"),
    ("export_when",): ("placed", "paid"),
    ("payment_writer",): ("observe", "assist", "own"),
}


def load(config_dir: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read everything; raises `SettingsError` with every mistake at once."""
    env = os.environ if environ is None else environ
    folder = config_dir or Path(env.get("WAYBILL_CONFIG_DIR", "config"))
    reader = TableReader(env, _CHOICES)
    for name in ("default", env.get("WAYBILL_ENV", "development"), "waybill"):
        reader.read(folder / f"{name}.toml")
    for variable, path in ENVIRONMENT.items():
        if env.get(variable):
            reader.lay(_nest(path, env[variable]), f"environment {variable}")
    settings = _settings(reader)
    if reader.mistakes or settings is None:
        raise SettingsError(reader.mistakes)
    return settings if settings.tables.parts else replace(settings, tables=folder / "tables")


def _settings(reader: TableReader) -> Settings | None:
    table = reader.merged
    connections = reader.named(table.pop("connections", {}), "connections", Connection)
    stores = reader.named(table.pop("stores", {}), "stores", Store)
    settings: Settings | None = reader.fill(Settings, table, ())
    if settings is None:
        return None
    known = ", ".join(sorted(connections)) or "none is configured"
    for store in stores.values():
        for key, name in (("shop", store.shop), ("erp", store.erp), *(("payments", p) for p in store.payments)):
            if name and name not in connections:
                reader.mistake(("stores", store.name, key), f"no connection is called {name!r}; expected one of: {known}")
    return replace(settings, connections=MappingProxyType(connections), stores=MappingProxyType(stores))


def _nest(path: tuple[str, ...], value: str) -> dict[str, Any]:
    return {path[0]: value} if len(path) == 1 else {path[0]: {path[1]: value}}


def resolve_secret(reference: str) -> Secret:
    """`env:NAME` or `file:PATH` to a `Secret`; raises ValueError when it is missing or empty."""
    return resolve(reference, os.environ)


def environment(*names: str) -> dict[str, str]:
    """Only these variables of the environment, for a configuration that nothing else of it may change."""
    return {name: os.environ[name] for name in names if name in os.environ}


def private_temporary_folder(folder: Path) -> None:
    """Make `folder` this process's temporary and runtime folder, so that two users on one machine never collide."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["TMPDIR"] = os.environ["XDG_RUNTIME_DIR"] = str(folder)
    tempfile.tempdir = None


def share_metrics(folder: Path) -> None:
    """Let this process and those that it starts count into `folder`, so that any of them can answer for all. It must come
    before prometheus_client is imported."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(folder))


def share_worker_metrics() -> None:
    """Let a worker count where the web processes do, unless it is the embedded one, which is web and worker in one."""
    if "prometheus_client" in sys.modules:
        return
    loaded = load()
    if loaded.broker.url and loaded.database.url:
        share_metrics(loaded.var / "metrics")


def metrics_are_shared() -> bool:
    """Whether several processes count into one folder."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


def with_database(settings: Settings, url: str) -> Settings:
    """The same settings on another database."""
    return replace(settings, database=replace(settings.database, url=url))
