"""Configuration, read once: `config/default.toml`, `config/<environment>.toml`, `config/waybill.toml`, then the environment.

Every mistake is collected and reported at once, each with its file, its key and what is expected. Secrets are references
(`env:NAME`, `file:PATH`) and never printed. Nothing else in Waybill reads the environment.
"""

from __future__ import annotations

import difflib
import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

from middleware.errors import SettingsError

LANES = ("payments", "orders", "stock", "catalog", "reports")
"""Bulkheads: a Celery queue each; a slow system in one never starves another."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret value that does not print itself. `source` is the reference it came from."""

    source: str
    value: str = field(repr=False)

    def reveal(self) -> str:
        return self.value

    def __str__(self) -> str:
        return f"<secret {self.source}>"


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
    `thin_layer` answers /webhooks/ under Flask's own routing. `public_url` is what senders call."""

    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    processes: int = 2
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
    (0: none). `live` says which of the provider's environments it talks to.
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
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Store:
    """A shop's store and the connections that serve it. `shop_ref` is the store's id in the shop (empty: the only one).
    `export_when` is `placed` or `paid`."""

    name: str
    shop: str
    shop_ref: str = ""
    erp: str = ""
    payments: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    export_when: str = "placed"


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration. `keys` encrypt payloads at rest, newest first."""

    environment: str = "development"
    var: Path = Path("var/waybill")
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
}


def load(config_dir: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read everything; raises `SettingsError` with every mistake at once."""
    env = os.environ if environ is None else environ
    folder = config_dir or Path(env.get("WAYBILL_CONFIG_DIR", "config"))
    mistakes: list[str] = []
    origin: dict[tuple[str, ...], str] = {}
    merged: dict[str, Any] = {}
    environment = env.get("WAYBILL_ENV", "development")
    for file in (folder / "default.toml", folder / f"{environment}.toml", folder / "waybill.toml"):
        _merge(merged, _read_toml(file, mistakes), str(file), origin)
    for name, path in ENVIRONMENT.items():
        if env.get(name):
            _merge(merged, _nest(path, env[name]), f"environment {name}", origin)
    settings = _Reader(mistakes, origin, env).settings(merged)
    if mistakes or settings is None:
        raise SettingsError(mistakes)
    return settings


def _read_toml(file: Path, mistakes: list[str]) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        mistakes.append(f"{file}: not readable as TOML: {error}")
        return {}


def _nest(path: tuple[str, ...], value: str) -> dict[str, Any]:
    return {path[0]: value} if len(path) == 1 else {path[0]: {path[1]: value}}


def _merge(into: dict[str, Any], new: dict[str, Any], source: str, origin: dict[tuple[str, ...], str], at: tuple[str, ...] = ()) -> None:
    for key, value in new.items():
        here = (*at, key)
        origin[here] = source
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value, source, origin, here)
            continue
        into[key] = value
        if isinstance(value, dict):
            into[key] = {}
            _merge(into[key], value, source, origin, here)


class _Reader:
    """Turns the merged tables into `Settings`, noting each mistake and going on."""

    def __init__(self, mistakes: list[str], origin: dict[tuple[str, ...], str], environ: Mapping[str, str]) -> None:
        self.mistakes = mistakes
        self.origin = origin
        self.environ = environ

    def settings(self, table: dict[str, Any]) -> Settings | None:
        connections = self._named(table.pop("connections", {}), "connections", Connection)
        stores = self._named(table.pop("stores", {}), "stores", Store)
        settings = self._fill(Settings, table, ())
        if settings is None:
            return None
        self._check_stores(stores, connections)
        values = {f.name: getattr(settings, f.name) for f in fields(Settings)}
        values.update(connections=MappingProxyType(connections), stores=MappingProxyType(stores))
        return Settings(**values)

    def _named(self, table: Any, at: str, cls: type[Any]) -> dict[str, Any]:
        if not isinstance(table, dict):
            self._mistake((at,), f"expected a table of [{at}.<name>]")
            return {}
        found = {}
        for name, body in table.items():
            if not isinstance(body, dict):
                self._mistake((at, name), f"expected a table [{at}.{name}]")
                continue
            thing = self._fill(cls, {**body, "name": name}, (at, name))
            if thing is not None:
                found[name] = thing
        return found

    def _check_stores(self, stores: Mapping[str, Store], connections: Mapping[str, Connection]) -> None:
        known = ", ".join(sorted(connections)) or "none is configured"
        for store in stores.values():
            for key, name in (("shop", store.shop), ("erp", store.erp), *(("payments", p) for p in store.payments)):
                if name and name not in connections:
                    self._mistake(("stores", store.name, key), f"no connection is called {name!r}; expected one of: {known}")

    def _fill(self, cls: type[Any], table: dict[str, Any], at: tuple[str, ...]) -> Any:
        hints = get_type_hints(cls)
        known = {f.name: f for f in fields(cls)}
        before = len(self.mistakes)
        values: dict[str, Any] = {}
        for key, raw in table.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                self._mistake((*at, key), "unknown key" + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"))
                continue
            values[key] = self._value(raw, hints[key], (*at, key))
        for name, spec in known.items():
            if name not in values and _required(spec):
                self._mistake((*at, name), f"missing; expected {_kind(hints[name])}")
        return cls(**values) if len(self.mistakes) == before else None

    def _value(self, raw: Any, kind: Any, at: tuple[str, ...]) -> Any:
        if isinstance(raw, dict) and isinstance(kind, type) and kind not in (dict, Mapping):
            return self._fill(kind, raw, at)
        convert = _CONVERT.get(_kind(kind))
        if convert is not None:
            try:
                value = convert(self, raw, at)
            except (TypeError, ValueError):
                self._mistake(at, f"expected {_kind(kind)}, found {type(raw).__name__}")
                return None
            allowed = _CHOICES.get(at) or _CHOICES.get(at[-1:])
            if allowed and value not in allowed:
                self._mistake(at, f"expected one of {', '.join(allowed)}, found {raw!r}")
            return value
        return raw

    def secret(self, raw: Any, at: tuple[str, ...]) -> Secret | None:
        if not isinstance(raw, str) or not raw.startswith(("env:", "file:")):
            self._mistake(at, "expected a reference, env:NAME or file:PATH; a secret is never written in the file itself")
            return None
        try:
            return resolve_secret(raw, self.environ)
        except ValueError as error:
            self._mistake(at, str(error))
            return None

    def _mistake(self, at: tuple[str, ...], text: str) -> None:
        source = next((self.origin[at[:n]] for n in range(len(at), 0, -1) if at[:n] in self.origin), "configuration")
        self.mistakes.append(f"{source}: {'.'.join(at)}: {text}")


def resolve_secret(reference: str, environ: Mapping[str, str] | None = None) -> Secret:
    """`env:NAME` or `file:PATH` to a `Secret`; raises ValueError when it is missing or empty."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = (os.environ if environ is None else environ).get(name, "")
    else:
        path = Path(name)
        value = path.read_text("utf-8").strip() if path.is_file() else ""
    if not value.strip():
        raise ValueError(f"{reference} is missing or empty")
    return Secret(reference, value)


def environment(*names: str) -> dict[str, str]:
    """Only these variables of the environment, for a configuration that nothing else of it may change."""
    return {name: os.environ[name] for name in names if name in os.environ}


def private_temporary_folder(folder: Path) -> None:
    """Make `folder` this process's temporary and runtime folder, so that two users on one machine never collide."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["TMPDIR"] = os.environ["XDG_RUNTIME_DIR"] = str(folder)
    tempfile.tempdir = None


def share_metrics(folder: Path) -> None:
    """Let the processes that are started from here count into `folder`, so that any of them can answer for all."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.db"):
        old.unlink()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def metrics_are_shared() -> bool:
    """Whether several processes count into one folder."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


def _required(spec: Field[Any]) -> bool:
    return spec.default is MISSING and spec.default_factory is MISSING


def _kind(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint).replace("middleware.settings.", "")


def _integer(reader: _Reader, raw: Any, at: tuple[str, ...]) -> int:
    if isinstance(raw, bool | float):
        raise TypeError
    return int(raw)


def _number(reader: _Reader, raw: Any, at: tuple[str, ...]) -> float:
    if isinstance(raw, bool):
        raise TypeError
    return float(raw)


def _truth(reader: _Reader, raw: Any, at: tuple[str, ...]) -> bool:
    if not isinstance(raw, bool):
        raise TypeError
    return raw


def _text(reader: _Reader, raw: Any, at: tuple[str, ...]) -> str:
    if not isinstance(raw, str):
        raise TypeError
    return raw


def _texts(reader: _Reader, raw: Any, at: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(raw, list):
        raise TypeError
    return tuple(_text(reader, item, at) for item in raw)


def _secrets(reader: _Reader, raw: Any, at: tuple[str, ...]) -> tuple[Secret, ...]:
    if not isinstance(raw, list):
        raise TypeError
    return tuple(s for s in (reader.secret(item, at) for item in raw) if s)


def _secret_table(reader: _Reader, raw: Any, at: tuple[str, ...]) -> Mapping[str, Secret]:
    if not isinstance(raw, dict):
        raise TypeError
    found = {key: reader.secret(value, (*at, key)) for key, value in raw.items()}
    return MappingProxyType({key: value for key, value in found.items() if value})


_CONVERT: dict[str, Any] = {
    "int": _integer,
    "float": _number,
    "bool": _truth,
    "str": _text,
    "Path": lambda reader, raw, at: Path(_text(reader, raw, at)),
    "tuple[str, ...]": _texts,
    "tuple[Secret, ...]": _secrets,
    "Secret | None": lambda reader, raw, at: reader.secret(raw, at),
    "collections.abc.Mapping[str, Secret]": _secret_table,
}


def with_database(settings: Settings, url: str) -> Settings:
    """The same settings on another database."""
    return replace(settings, database=replace(settings.database, url=url))
