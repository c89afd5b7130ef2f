"""Engines, migrations and the monthly partitions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url

from middleware.models import MONTHLY

MIGRATIONS = Path(__file__).parent / "migrations"


def engine_for(url: str, pool: int = 10) -> Engine:
    """An engine on psycopg 3 for a `postgresql://` URL."""
    driver = make_url(url).set(drivername="postgresql+psycopg")
    return create_engine(driver, pool_size=pool, max_overflow=pool, pool_pre_ping=True)


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest revision, then make this and the next two months' partitions."""
    with engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        ensure_partitions(connection, datetime.now(UTC))


def revisions(connection: Connection) -> tuple[str | None, str | None]:
    """The database's revision and the newest known one."""
    return MigrationContext.configure(connection).get_current_revision(), ScriptDirectory.from_config(_config()).get_current_head()


def ensure_partitions(connection: Connection, now: datetime, months_ahead: int = 2) -> None:
    """Make the partitions for the month of `now` and the following ones; existing ones stay. Others' rows go to the default."""
    for table in MONTHLY:
        for offset in range(months_ahead + 1):
            start = _month(now, offset)
            name = f"{table}_{start:%Y_%m}"
            connection.execute(
                text(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} FOR VALUES FROM ('{start:%Y-%m-%d}Z') TO ('{_month(now, offset + 1):%Y-%m-%d}Z')")
            )
            if table == "event_bodies":  # encrypted bytes do not compress, and 2 KB of them are cheaper in line than in TOAST
                connection.execute(text(f"ALTER TABLE {name} ALTER COLUMN body SET STORAGE EXTERNAL, SET (toast_tuple_target = 8160)"))


def drop_partitions(connection: Connection, table: str, before: datetime) -> list[str]:
    """Drop the table's monthly partitions that end before `before`; returns their names."""
    rows = connection.execute(
        text("SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = CAST(:table AS regclass)"),
        {"table": table},
    )
    keep_from = f"{table}_{before:%Y_%m}"
    old = sorted(name for (name,) in rows if name != f"{table}_default" and name < keep_from)
    for name in old:
        connection.execute(text(f"DROP TABLE {name}"))
    return old


def _month(now: datetime, offset: int) -> datetime:
    months = now.year * 12 + now.month - 1 + offset
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config
