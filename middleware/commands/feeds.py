"""waybill pull, push, items."""

from __future__ import annotations

import sys
from collections import Counter

import click
from rich.markup import escape
from rich.table import Table
from sqlalchemy import text

from middleware import sweep
from middleware.commands import opened, out
from middleware.errors import SettingsError
from middleware.feeds import pulls, pushes
from middleware.feeds.feed import Feed
from middleware.feeds.pulls import Pulled
from middleware.runtime import Runtime

BUSY = 3
"""Exit code when another run holds the lock."""


@click.command()
@click.argument("connection")
@click.argument("kind")
@click.option("--wait/--no-wait", default=True, help="Wait for the end; exit code 1 when it failed, 3 when another run holds the lock.")
@click.option("--full", is_flag=True, help="Read everything, not only what changed; finds out what is gone.")
@click.option("--dry-run", is_flag=True, help="Only say what a full run would create, update, refuse and take back.")
@click.option("--allow-deletions", is_flag=True, help="Take back what is gone even beyond the connection's deletion_guard.")
def pull(connection: str, kind: str, wait: bool, full: bool, dry_run: bool, allow_deletions: bool) -> None:
    """Fetch what changed in a system since the last run, from cron or by hand: orders of an ERP, or a feed of a mapping table."""
    with opened() as runtime:
        if connection not in runtime.settings.connections:
            raise SettingsError([f"{connection}: no connection is called so; known: {', '.join(runtime.settings.connections)}"])
        feed = runtime.feeds.get((connection, kind))
        if feed is None and kind != "orders":
            known = ", ".join(f"{c} {k}" for c, k in runtime.feeds) or "none"
            raise SettingsError([f"{connection} {kind}: no mapping table is for it; known: {known}"])
        if feed is None:
            sys.exit(_pull_orders(runtime, connection, wait))
        if dry_run:
            _say(pulls.preview(runtime, feed), "would be ")
            return
        if not wait:
            runtime.ring("pull", "catalog", feed.name)
            return
        sys.exit(_pull_feed(runtime, feed, full, allow_deletions))


def _pull_orders(runtime: Runtime, connection: str, wait: bool) -> int:
    if not hasattr(runtime.connector(connection), "changed_orders"):
        raise SettingsError([f"{connection}: {runtime.settings.connections[connection].system} cannot list changed orders"])
    if not wait:
        runtime.ring("poll", runtime.lane(connection), connection)
        return 0
    result = sweep.poll(runtime, connection, at_once=True)
    if result is None:
        out.print("Another run is under way.")
        return BUSY
    out.print(f"{result.new} new, {result.failure or 'complete'}")
    return 1 if result.failure else 0


def _pull_feed(runtime: Runtime, feed: Feed, full: bool, allow_deletions: bool) -> int:
    found = pulls.pull(runtime, feed, full=full, allow_deletions=allow_deletions)
    if found is None:
        out.print("Another run is under way.")
        return BUSY
    _say(found, "")
    if found.held_back:
        out.print(f"{found.held_back} vanished records are kept: they are more than the deletion_guard allows.")
        out.print("--dry-run shows them, --allow-deletions takes them back.")
    out.print(found.failure or "complete", markup=False)
    return 1 if found.failure or found.held_back else 0


def _say(found: Pulled, would: str) -> None:
    staged = found.staged
    for what in ("created", "updated", "rejected", "gone"):
        out.print(f"{getattr(staged, what)} {would}{what}")
        for example in staged.examples.get(what, []):
            out.print(f"  {example}", markup=False)
    out.print(f"{staged.unchanged} unchanged")


@click.command()
@click.argument("shop")
def push(shop: str) -> None:
    """Write what waits for a shop's catalog now; exit code 1 when something was refused."""
    with opened() as runtime:
        if shop not in runtime.settings.connections or not hasattr(runtime.connector(shop), "write_items"):
            raise SettingsError([f"{shop}: no connection that takes products is called so"])
        ended: Counter[str] = Counter()
        while batch := pushes.push(runtime, shop):
            ended += batch
        out.print(", ".join(f"{count} {how}" for how, count in sorted(ended.items())) or "nothing waits")
        sys.exit(1 if ended["rejected"] else 0)


@click.command()
@click.argument("what", type=click.Choice(["rejected", "waiting", "counts"]), default="counts")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
def items(what: str, limit: int) -> None:
    """What feeds brought: counts, records and items that were refused with their reason, items that wait."""
    with opened() as runtime, runtime.engine.connect() as connection:
        table = Table(*_COLUMNS[what])
        for row in connection.execute(text(_QUERIES[what]), {"limit": limit}):
            table.add_row(*(escape(str(cell if cell is not None else "")) for cell in row))
        out.print(table)


_COLUMNS = {
    "counts": ("of", "state", "count"),
    "rejected": ("of", "id", "at fault", "why"),
    "waiting": ("shop", "kind", "key", "attempts", "due", "why"),
}
_QUERIES = {
    "counts": """SELECT 'records of ' || connection || '/' || kind, state, count(*) FROM records GROUP BY 1, 2
        UNION ALL SELECT kind || 's of ' || shop, state, count(*) FROM items GROUP BY 1, 2 ORDER BY 1, 2 LIMIT :limit""",
    "rejected": """SELECT connection || '/' || kind, source_id, attribute, rule || CASE WHEN value = '' THEN '' ELSE ': ' || value END
        FROM records WHERE state = 'rejected'
        UNION ALL SELECT shop || ' ' || kind, key, field, cause FROM items WHERE state = 'rejected' ORDER BY 1, 2 LIMIT :limit""",
    "waiting": "SELECT shop, kind, key, attempts, due_at, cause FROM items WHERE state = 'waiting' ORDER BY due_at LIMIT :limit",
}

COMMANDS = (pull, push, items)
