"""Engines, migrations and the monthly partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import ARRAY, Connection, Engine, TextClause, create_engine, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from middleware.feeds import models as _feeds  # noqa: F401 - completes the metadata
from middleware.models import MONTHLY, Base
from middleware.payments import models as _payments  # noqa: F401 - completes the metadata

MIGRATIONS = Path(__file__).parent / "migrations"


def engine_for(url: str, pool: int = 10) -> Engine:
    """An engine on psycopg 3 for a `postgresql://` URL."""
    driver = make_url(url).set(drivername="postgresql+psycopg")
    # a worker that hangs in the middle of a transaction must not hold its locks for ever
    options = {"options": "-c idle_in_transaction_session_timeout=60s"}
    return create_engine(driver, pool_size=pool, max_overflow=pool, pool_pre_ping=True, connect_args=options)


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
            if connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is not None:
                continue
            _make_partition(connection, table, name, f"'{start:%Y-%m-%d}Z'", f"'{_month(now, offset + 1):%Y-%m-%d}Z'")
            if table == "event_bodies":  # encrypted bytes do not compress, and 2 KB of them are cheaper in line than in TOAST
                connection.execute(text(f"ALTER TABLE {name} ALTER COLUMN body SET STORAGE EXTERNAL, SET (toast_tuple_target = 8160)"))


def _make_partition(connection: Connection, table: str, name: str, first: str, end: str) -> None:
    """Rows of the month that went to the default partition meanwhile move along: PostgreSQL refuses the partition otherwise."""
    at = "kept_at" if table == "event_bodies" else "at"
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('partitions', 0))"))
    connection.execute(text(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {table} INCLUDING DEFAULTS)"))
    if connection.execute(text("SELECT relispartition FROM pg_class WHERE oid = to_regclass(:name)"), {"name": name}).scalar():
        return
    moved = f"WITH moved AS (DELETE FROM {table}_default WHERE {at} >= {first} AND {at} < {end} RETURNING *)"  # noqa: S608 - our own names
    connection.execute(text(f"{moved} INSERT INTO {name} SELECT * FROM moved"))  # noqa: S608
    connection.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end})"))


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


def insert_rows(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]], *, on_conflict: str = "") -> None:
    """Insert rows (all with the same keys) in one statement, one array per column: ten times cheaper than a VALUES list.
    `on_conflict` is the clause's end, for example "DO NOTHING"."""
    if not rows:
        return
    columns = tuple(rows[0])
    statement = _insert_statement(model, columns, on_conflict)
    arrays = {name: [row[name] for row in rows] for name in columns}
    session.execute(statement, {name: _as_text(values) if _is_array(model, name) else values for name, values in arrays.items()})


@cache
def _insert_statement(model: type[Base], columns: tuple[str, ...], on_conflict: str) -> TextClause:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    types = {name: model.__table__.c[name].type.compile(dialect) for name in columns}
    arrays = ", ".join(f"CAST(:{name} AS {'text' if _is_array(model, name) else kind}[])" for name, kind in types.items())
    values = ", ".join(f"CAST(v.{name} AS {kind})" if _is_array(model, name) else f"v.{name}" for name, kind in types.items())
    end = f" ON CONFLICT {on_conflict}" if on_conflict else ""
    names = ", ".join(columns)
    return text(f"INSERT INTO {model.__tablename__} ({names}) SELECT {values} FROM unnest({arrays}) AS v ({names}){end}")  # noqa: S608 - our own names


def _is_array(model: type[Base], name: str) -> bool:
    return isinstance(model.__table__.c[name].type, ARRAY)


def _as_text(values: Sequence[Sequence[int]]) -> list[str]:
    """Arrays of arrays would be flattened by unnest: they travel as text."""
    return ["{" + ",".join(map(str, inner)) + "}" for inner in values]
