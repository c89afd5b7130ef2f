"""waybill pull, push, items, reconcile."""

from __future__ import annotations

import getpass
import json
import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime

import click
from rich.markup import escape
from rich.table import Table
from sqlalchemy import text

from middleware import observe as observing_start
from middleware import sweep
from middleware.commands import opened, out
from middleware.errors import SettingsError
from middleware.feeds import again, comparing, lineage, pulls, pushes
from middleware.feeds.feed import Feed
from middleware.feeds.pulls import Pulled
from middleware.runtime import Runtime
from middleware.switches import off_since

POLLED = ("orders", "payments")
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
    """Fetch what changed in a system since the last run, from cron or by hand: orders of an ERP, payments that a provider's webhooks
    may have missed, or a feed of a mapping table."""
    with opened() as runtime:
        if connection not in runtime.settings.connections:
            raise SettingsError([f"{connection}: no connection is called so; known: {', '.join(runtime.settings.connections)}"])
        feed = runtime.feeds.get((connection, kind))
        if feed is None and kind not in POLLED:
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
    if sweep.lister(runtime, connection) is None:
        raise SettingsError([f"{connection}: {runtime.settings.connections[connection].system} cannot list changed orders or payments"])
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
    """Write what waits for a shop's catalog now; exit code 1 when something was refused or the shop is switched off."""
    with opened() as runtime:
        if shop not in runtime.settings.connections or not hasattr(runtime.connector(shop), "write_items"):
            raise SettingsError([f"{shop}: no connection that takes products is called so"])
        ended: Counter[str] = Counter()
        while batch := pushes.push(runtime, shop):
            ended += batch
        off = off_since(runtime, shop)
        if off is not None:
            out.print(f"{shop} is switched off: {off.reason}; turn it on with: waybill switch on {shop}", markup=False)
        out.print(", ".join(f"{count} {how}" for how, count in sorted(ended.items())) or ("nothing written" if off else "nothing waits"))
        sys.exit(1 if ended["rejected"] or off else 0)


@click.group(invoke_without_command=True)
@click.option("--observe", is_flag=True, help="Compare the shops' orders with their ERPs as they are now; nothing is kept or written.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only orders placed from this day on (UTC).")
@click.pass_context
def reconcile(context: click.Context, observe: bool, since: datetime | None) -> None:
    """Hold what one system says against what another shows."""
    if context.invoked_subcommand is not None:
        return
    if not observe:
        raise click.UsageError("expected --observe, or a command: catalog")
    sys.exit(_observe(since.replace(tzinfo=UTC) if since else None))


def _observe(since: datetime | None) -> int:
    wrong = False
    with opened() as runtime:
        stores = [one for one in runtime.settings.stores.values() if one.erp]
        if not stores:
            raise SettingsError(["stores: none has an ERP to compare with"])
        for store in stores:
            found = observing_start.observe(runtime, store, since)
            wrong = wrong or not found.is_clean
            out.print(f"{store.name}: {found.orders} orders in {store.shop}, compared with {store.erp}", markup=False)
            for title, orders in (
                ("paid, not exported", found.paid_not_exported),
                ("exported, not paid", found.exported_not_paid),
                ("cancelled, still in the ERP", found.cancelled_but_exported),
            ):
                for order in orders:
                    out.print(f"  {title}: {order.number or order.order_id}, {order.paid} of {order.total} paid", markup=False)
            for number in found.doubled:
                out.print(f"  more than once in the ERP: {number}", markup=False)
    return 1 if wrong else 0


@reconcile.command("catalog")
@click.argument("shop")
@click.option("--sample", type=click.IntRange(1, 1_000_000), help="Compare so many things by chance instead of all.")
@click.option("--repair", is_flag=True, help="Write what differs again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each difference.")
def reconcile_catalog(shop: str, sample: int | None, repair: bool, as_json: bool) -> None:
    """Compare a shop's catalog with its owners, thing by thing and field by field; exit code 1 when something differs."""
    with opened() as runtime:
        if shop not in runtime.settings.connections or not hasattr(runtime.connector(shop), "read_items"):
            raise SettingsError([f"{shop}: no connection whose products can be read is called so"])
        report = comparing.compare(runtime, shop, sample=sample or 0, repair=repair)
    for one in report.differences:
        if as_json:
            out.print(json.dumps(asdict(one), ensure_ascii=False, default=str), markup=False, soft_wrap=True)
        else:
            out.print(f"{one.name} {one.field}: {one.found!r} in the shop, {one.wanted!r} wanted", markup=False)
    if not as_json:
        out.print(f"{report.things} things compared, {len(report.differences)} differences, {report.repaired} set to be written again")
    sys.exit(1 if report.differences else 0)


@click.group(invoke_without_command=True)
@click.pass_context
def items(context: click.Context) -> None:
    """What feeds brought; without a word, how many are in which state."""
    if context.invoked_subcommand is None:
        _print_items("counts", 1_000)


def _listing(what: str, help_text: str) -> None:
    @items.command(what, help=help_text)
    @click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
    def listing(limit: int) -> None:
        _print_items(what, limit)


_listing("counts", "How many records and things are in which state.")
_listing("rejected", "Records and things that were refused, with the reason.")
_listing("waiting", "Things that wait to be written, and for what.")


@items.command("retry")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Everything that was refused.")
def retry_items(names: tuple[str, ...], everything: bool) -> None:
    """Try again what was refused: NAMES are ids of records, or things like variation/S1."""
    if bool(names) == everything:
        raise click.UsageError("expected names, or --all")
    with opened() as runtime:
        records, things = again.retry(runtime, names, by=getpass.getuser())
    out.print(f"{things} things wait to be written; {records} records are mapped again by the next pull")
    sys.exit(0 if records or things else 1)


@items.command("show")
@click.argument("shop")
@click.argument("name")
def show_item(shop: str, name: str) -> None:
    """Where a thing comes from: NAME is like variation/S1, product/shirt or term/category/shirts."""
    with opened() as runtime, runtime.engine.connect() as connection:
        found = lineage.origins(connection, shop, name)
    if found is None:
        raise SettingsError([f"{name}: {shop} has no such thing; names are like variation/SKU, product/CODE, term/VOCABULARY/CODE"])
    row, origins = found
    why = f": {row.cause} {row.field}".rstrip() if row.cause else ""
    out.print(f"{name} ({row.bundle}) is {row.state}{why}", markup=False)
    out.print(f"in the shop as {row.remote_id or 'nothing yet'}, written {row.written_at or 'never'}", markup=False)
    table = Table("Field", "Wanted", "Feed", "Record", "Changed (UTC)")
    for one in origins:
        at = f"{one.changed_at:%Y-%m-%d %H:%M:%S}" if one.changed_at else ""
        table.add_row(one.field, escape(str(one.value)[:80]), one.feed, escape(one.source_id), at)
    out.print(table)


def _print_items(what: str, limit: int) -> None:
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

COMMANDS = (pull, push, items, reconcile)
