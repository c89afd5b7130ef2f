"""waybill events, calls, replay, switch, users: what an operator does instead of editing the database."""

from __future__ import annotations

import getpass
import sys
from datetime import timedelta

import click
from rich.markup import escape
from rich.table import Table
from sqlalchemy import select

from middleware import operations
from middleware.commands import opened, out
from middleware.models import Call, Event, Switch
from middleware.web.console import one_time_link


@click.group()
def events() -> None:
    """What was received."""


@events.command("list")
@click.option("--state", help="due, deciding, parked, decided, ignored or dead")
@click.option("--connection")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
def list_events(state: str | None, connection: str | None, limit: int) -> None:
    """The newest events."""
    query = select(Event).order_by(Event.id.desc()).limit(limit)
    query = query.where(Event.state == state) if state else query
    query = query.where(Event.connection == connection) if connection else query
    table = Table("Id", "Kept (UTC)", "Connection", "Topic", "State", "Cause", "Detail", box=None)
    with opened() as runtime, runtime.sessions() as session:
        for row in session.scalars(query):
            table.add_row(
                str(row.id),
                f"{row.kept_at:%Y-%m-%d %H:%M:%S}",
                row.connection,
                row.topic,
                row.state,
                row.cause or "",
                escape(row.detail or ""),
            )
    out.print(table)


@events.command("dead")
def dead_events() -> None:
    """Dead events grouped by their cause."""
    with opened() as runtime:
        _print_groups(operations.dead_events(runtime))


@click.group()
def calls() -> None:
    """What was asked of other systems."""


@calls.command("list")
@click.option("--state", help="pending, making, retry, unknown, done, rejected, dead or superseded")
@click.option("--connection")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
def list_calls(state: str | None, connection: str | None, limit: int) -> None:
    """The newest calls."""
    query = select(Call).order_by(Call.id.desc()).limit(limit)
    query = query.where(Call.state == state) if state else query
    query = query.where(Call.connection == connection) if connection else query
    table = Table("Id", "Asked (UTC)", "Connection", "Operation", "State", "Tries", "Cause", "Detail", box=None)
    with opened() as runtime, runtime.sessions() as session:
        for row in session.scalars(query):
            when = f"{row.asked_at:%Y-%m-%d %H:%M:%S}"
            table.add_row(
                str(row.id), when, row.connection, row.operation, row.state, str(row.attempts), row.cause or "", escape(row.detail or "")
            )
    out.print(table)


@calls.command("dead")
def dead_calls() -> None:
    """Dead and rejected calls grouped by their cause."""
    with opened() as runtime:
        _print_groups(operations.dead_calls(runtime))


@click.command()
@click.argument("what", type=click.Choice(["event", "call"]))
@click.argument("ids", type=int, nargs=-1)
@click.option("--cause", help="Every dead one of this cause.")
@click.option("--connection", help="With --cause: only of this connection.")
@click.option("--yes", is_flag=True, help="Do it; without it, only the preview is shown.")
def replay(what: str, ids: tuple[int, ...], cause: str | None, connection: str | None, yes: bool) -> None:
    """Drive dead events or calls again; a call is looked up first, so nothing happens twice."""
    if bool(ids) == bool(cause):
        raise click.UsageError("give ids, or --cause")
    with opened() as runtime:
        plan = operations.plan(runtime, what, ids, cause, connection)
        for line in plan.lines:
            out.print(escape(line))
        if not plan.ids:
            out.print("Nothing to do.")
            sys.exit(1)
        if not yes:
            out.print(f"This is a preview of {len(plan.ids)}; add --yes to do it.")
            return
        done = operations.replay(runtime, plan, by=getpass.getuser())
    out.print(f"{done} due again.")


@click.group("switch")
def switch_group() -> None:
    """Turn a connection's calls off and on."""


@switch_group.command("list")
def list_switches() -> None:
    """Connections that are off, why, since when and by whom."""
    with opened() as runtime, runtime.sessions() as session:
        rows = session.scalars(select(Switch)).all()
    for row in rows:
        out.print(f"{row.connection}: off since {row.since:%Y-%m-%d %H:%M:%S} by {row.turned_by}: {escape(row.reason)}")
    if not rows:
        out.print("Every connection is on.")


@switch_group.command()
@click.argument("connection")
@click.option("--reason", required=True)
def off(connection: str, reason: str) -> None:
    """Stop making calls on a connection; they wait."""
    with opened() as runtime:
        operations.switch(runtime, connection, reason, by=getpass.getuser())
    out.print(f"{connection} is off; its calls wait.")


@switch_group.command()
@click.argument("connection")
def on(connection: str) -> None:
    """Make calls on a connection again."""
    with opened() as runtime:
        operations.switch(runtime, connection, None, by=getpass.getuser())
    out.print(f"{connection} is on.")


@click.group()
def users() -> None:
    """Who may see the console."""


@users.command()
@click.option("--url", help="Where the console is reached (default: web.public_url).")
@click.option("--minutes", type=click.IntRange(1, 1440), default=15, show_default=True)
def link(url: str | None, minutes: int) -> None:
    """Print a link that opens the read-only console once."""
    with opened() as runtime:
        web = runtime.settings.web
        out.print(
            one_time_link(runtime, url or web.public_url or f"http://{web.host}:{web.port}", timedelta(minutes=minutes)), soft_wrap=True
        )


def _print_groups(groups: list[tuple[str, str, int]]) -> None:
    table = Table("Connection", "Cause", "Count", box=None)
    for connection, cause, count in groups:
        table.add_row(connection, cause, str(count))
    out.print(table)


COMMANDS = (events, calls, replay, switch_group, users)
