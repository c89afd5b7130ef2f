"""The commands, one file per noun; `middleware.cli` puts them together."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import psycopg
from psycopg import sql
from rich.console import Console
from sqlalchemy.engine import make_url

from middleware import connectors, observing, settings
from middleware.database import engine_for, migrate
from middleware.domain import alignment, payment_routes
from middleware.embedded import EmbeddedPostgres
from middleware.errors import SettingsError
from middleware.feeds import registry
from middleware.runtime import Runtime
from middleware.settings import Settings, with_database
from middleware.vault import Vault

_WIDE = 240
out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
"""Where commands print; what goes into a pipe or a file is not cut to a terminal's width."""


def loaded() -> Settings:
    """The checked configuration; raises `SettingsError` with every mistake."""
    found = settings.load()
    wrong = mistakes(found)
    if wrong:
        raise SettingsError(wrong)
    observing.configure(found)
    return found


def mistakes(found: Settings) -> list[str]:
    """Everything that is wrong with a configuration that could be read, one line each."""
    wrong = connectors.mistakes(found.connections, found.stores)
    wrong += [f"stores.{store.name}.{line}" for store in found.stores.values() for line in alignment.mistakes(store.on_payment)]
    wrong += [f"stores.{store.name}.{line}" for store in found.stores.values() for line in payment_routes.mistakes(store)]
    for part in (lambda: Vault(found.keys), lambda: registry.load(found)):
        try:
            part()
        except SettingsError as error:
            wrong += error.mistakes
    return wrong


@contextlib.contextmanager
def database(configured: Settings, *, fresh: bool = False) -> Iterator[Settings]:
    """The settings with a migrated database: the configured one, or an embedded one for as long as the block runs. `fresh`
    begins with an empty one: on a configured server that is a database of its own, `waybill_demo`, never yours."""
    if configured.database.url:
        found = with_database(configured, _empty_beside(configured.database.url)) if fresh else configured
        _migrate(found.database.url)
        yield found
        return
    with EmbeddedPostgres(configured.var) as server:
        if fresh:
            server.drop_database("waybill")
        found = with_database(configured, server.create_database("waybill"))
        _migrate(found.database.url)
        (configured.var / "database.url").write_text(found.database.url, "utf-8")
        try:
            yield found
        finally:
            (configured.var / "database.url").unlink(missing_ok=True)


def _empty_beside(url: str, name: str = "waybill_demo") -> str:
    """Make an empty database on the server of `url`; returns its URL. Raises `SettingsError` when the role may not."""
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise SettingsError([f"database.url: cannot make the database {name} there: {type(error).__name__}"]) from error
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _migrate(url: str) -> None:
    engine = engine_for(url)
    migrate(engine)
    engine.dispose()


@contextlib.contextmanager
def opened() -> Iterator[Runtime]:
    """A runtime for a short command: on the configured database, or on the embedded one of the Waybill that runs or ran here."""
    configured = loaded()
    beside = configured.var / "database.url"
    if not configured.database.url and beside.is_file():
        configured = with_database(configured, beside.read_text("utf-8"))
    with database(configured) as found:
        runtime = Runtime(found)
        try:
            yield runtime
        finally:
            runtime.close()
