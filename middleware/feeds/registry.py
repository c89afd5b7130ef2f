"""The merchant's tables of a configuration, read once: which feeds there are, and what is wrong with them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mappings.table_files import TableMistake, read
from mappings.tables import Table, made_by
from middleware.connectors import connector_class, systems
from middleware.errors import CallError, SettingsError
from middleware.feeds.feed import Feed
from middleware.feeds.owners import owned_twice
from middleware.observing import log
from middleware.settings import Settings

if TYPE_CHECKING:
    from middleware.runtime import Runtime


def load(settings: Settings) -> dict[tuple[str, str], Table]:
    """Tables by (connection, kind); raises `SettingsError` with every mistake, each with its file."""
    tables: dict[tuple[str, str], Table] = {}
    mistakes: list[str] = []
    for file in sorted(settings.tables.glob("*.toml")) if settings.tables.parts else ():
        found = _read(file, mistakes)
        if found is None:
            continue
        mistakes += [f"{file}: {line}" for line in _misplaced(found, settings)]
        if (found.connection, found.kind) in tables:
            mistakes.append(f"{file}: {found.connection}/{found.kind} has a table already: {tables[found.connection, found.kind].name}")
        tables[found.connection, found.kind] = found
    mistakes += owned_twice(tables.values())
    if mistakes:
        raise SettingsError(mistakes)
    return tables


def feeds(runtime: Runtime) -> Mapping[tuple[str, str], Feed]:
    """Every feed by (connection, kind)."""
    return {key: Feed(*key, table, runtime.connector(table.connection)) for key, table in load(runtime.settings).items()}


def _read(file: Path, mistakes: list[str]) -> Table | None:
    try:
        return read(file.stem, tomllib.loads(file.read_text("utf-8")))
    except TableMistake as error:
        mistakes += [f"{file}: {line}" for line in error.mistakes]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        mistakes.append(f"{file}: no TOML: {error}")
    return None


def _misplaced(table: Table, settings: Settings) -> list[str]:
    wrong = []
    for key, name, role in (("connection", table.connection, "list_records"), ("shop", table.shop, "write_items")):
        connection = settings.connections.get(name)
        if connection is None:
            wrong.append(f"{key}: no connection is called {name!r}")
        elif connection.system in systems() and not hasattr(connector_class(connection.system), role):
            wrong.append(f"{key}: {name} is a {connection.system}, which cannot {role.replace('_', ' ')}")
    return wrong


def missing_fields(runtime: Runtime) -> list[str]:
    """Fields that tables name and their shop lacks, as far as it tells, a line each. Raises `CallError`."""
    lines = []
    for shop in sorted({feed.table.shop for feed in runtime.feeds.values()}):
        connector = runtime.connector(shop)
        if not hasattr(connector, "missing_fields"):
            continue
        wanted: dict[tuple[str, str], list[str]] = {}
        for feed in runtime.feeds.values():
            for of, bundle, name, _ in made_by(feed.table) if feed.table.shop == shop else ():
                if bundle != "*":
                    wanted.setdefault((of, bundle), []).append(name)
        lines += [f"{shop}: {line}" for line in connector.missing_fields(wanted)]
    return lines


def report_missing_fields(runtime: Runtime) -> None:
    """Say at start what the shops lack; a shop that cannot be asked is no reason not to start."""
    try:
        lines = missing_fields(runtime)
    except CallError as error:
        log.warning("mapping.not_checked", cause=error.code, reason=error.reason)
        return
    for line in lines:
        log.error("mapping.missing_field", field=line)
