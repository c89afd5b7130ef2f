"""The demo from start to end: run, show, judge, report; then stay up for the visitor."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from sqlalchemy import text

from middleware import observing
from middleware.commands import database, out
from middleware.demo import catalog_story, stories
from middleware.demo.customers import Customers, Placed
from middleware.demo.judge import Report, is_settled, judge, recorded
from middleware.demo.world import FOLDER, World, configure, deliverers, simulators
from middleware.process import Embedded
from middleware.runtime import Runtime
from middleware.simulators.deliveries import Deliverer, Kind
from middleware.simulators.erp import ErpState
from middleware.web.console import one_time_link

REPORT = Path("var/demo-report.json")
PATIENCE = 240
"""Seconds that orders may take to settle before the demo says that they did not."""


def run(count: int, *, leave: bool, seed: int) -> int:
    """Run the demo with `count` orders; returns the exit code."""
    out.print(f"[bold]Waybill demo[/]: {count} orders, through a shop, Stripe and an ERP that all have a bad day; a PIM has the catalog.")
    began = time.monotonic()
    with simulators(seed) as world:
        settings = configure(world)
        observing.configure(settings)
        with database(settings, fresh=True) as found:
            runtime = Runtime(found, seed=seed)
            with Embedded(runtime) as process:
                out.print(
                    f"Waybill runs on {process.url}; shop, Stripe, ERP and PIM are simulators over real HTTP"
                    f" ({time.monotonic() - began:.1f} s to start)."
                )
                senders = deliverers(world, process.url, seed)
                customers = Customers(world, seed)
                report, told = _play(runtime, world, customers, senders, count)
                _show(report, told)
                if not leave:
                    _stay(runtime, world, customers, process.url)
                for sender in senders:
                    sender.stop()
    return 0 if report.holds else 1


def _play(runtime: Runtime, world: World, customers: Customers, senders: tuple[Deliverer, ...], count: int) -> tuple[Report, list[str]]:
    began = time.monotonic()
    for sender in senders:
        sender.start()
    with Progress(TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), console=out) as progress:
        early = _early(runtime, customers, senders[1], world)
        bars = {name: progress.add_task(name, total=count) for name in ("orders placed", "known to Waybill", "in the ERP", "shop told")}
        shopper = threading.Thread(target=lambda: [customers.order() for _ in range(count - 1)], name="customers", daemon=True)
        shopper.start()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            _ship(world)
            progress.update(bars["orders placed"], completed=len(customers.placed))
            progress.update(bars["known to Waybill"], completed=recorded(runtime))
            progress.update(bars["in the ERP"], completed=len(world.erp.orders))
            progress.update(bars["shop told"], completed=_told(runtime))
            if not shopper.is_alive() and all(sender.drain(0.01) for sender in senders) and is_settled(runtime, world, customers.placed):
                break
            time.sleep(0.2)
        shopper.join()
    catalog, differences = catalog_story.play(runtime, world)
    runtime.refusals.flush(runtime.engine)
    report = judge(runtime, world, customers.placed, senders, time.monotonic() - began, differences)
    told = (
        [stories.early_webhook(runtime, early), stories.lost_reply(runtime)[0], stories.forgery(runtime), catalog] if report.holds else []
    )
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps({**report.as_dict(), "stories": told}, indent=2) + "\n", "utf-8")
    return report, told


def _early(runtime: Runtime, customers: Customers, stripe: Deliverer, world: World) -> Placed:
    """The first customer pays, the webhooks arrive and park, and only then the shop tells of the order."""
    world.shop.deliverer.stop()  # type: ignore[union-attr]
    placed = customers.order(pay_first=True)
    stripe.send_extra("forged-by-hand", json.dumps({"id": "evt_forged", "object": "event"}).encode(), Kind.FORGED)
    _wait(lambda: _count(runtime, "SELECT count(*) FROM events WHERE state = 'parked'") > 0)
    world.shop.deliverer.start()  # type: ignore[union-attr]
    return placed


def _ship(world: World) -> None:
    """The ERP's people go on with what they have: most orders end as shipped."""
    following = {ErpState.DRAFT: ErpState.CONFIRMED, ErpState.CONFIRMED: ErpState.PROCESSING, ErpState.PROCESSING: ErpState.SHIPPED}
    for order in list(world.erp.orders):
        if order.state in following and order.id % 3:
            world.erp.advance(order.id, following[order.state])
            return


def _show(report: Report, told: list[str]) -> None:
    table = Table("What happened", "Count", title="Report", box=None)
    for name, value in report.as_dict().items():
        if name != "problems":
            table.add_row(name.replace("_", " "), str(value))
    out.print(table)
    for story in told:
        out.print(Panel(story, width=min(out.width, 120)))
    for problem in report.problems:
        out.print(problem, style="red", markup=False)
    out.print(f"[bold]{'Nothing lost, nothing twice.' if report.holds else 'An invariant does not hold.'}[/] The report is in {REPORT}.")


def _stay(runtime: Runtime, world: World, customers: Customers, url: str) -> None:
    port = int(world.erp.url.rsplit(":", 1)[1])
    out.print(f"\nOpen this page (the link works once): {one_time_link(runtime, url)}", soft_wrap=True)
    out.print(f"The same in a terminal: WAYBILL_CONFIG_DIR={FOLDER}/config .venv/bin/waybill orders show {customers.placed[0].number}")
    out.print(
        "Type [bold]stop[/] to stop the ERP, [bold]order[/] to place an order and see it wait, [bold]start[/] to let it drain,"
        " [bold]quit[/] to end."
    )
    for line in sys.stdin:
        word = line.strip().lower()
        if word == "stop" and world.erp.running:
            world.erp.stop()
            out.print("The ERP is down. Orders wait, with their reason.")
        elif word == "start" and not world.erp.running:
            world.erp.start(port)
            out.print("The ERP is up. What waits drains by itself.")
        elif word == "order":
            placed = customers.order(pay_first=False)
            out.print(f"Order {placed.number} is placed.")
        elif word == "link":
            out.print(one_time_link(runtime, url), soft_wrap=True)
        elif word == "quit":
            return
        _tell_what_waits(runtime)
    if not sys.stdin.isatty():  # no terminal to read from: stay up until stopped
        threading.Event().wait()


def _tell_what_waits(runtime: Runtime) -> None:
    time.sleep(1)
    with runtime.engine.connect() as connection:
        waiting = connection.execute(
            text("SELECT number, export_state, waits FROM orders WHERE export_state <> 'exported' ORDER BY id")
        ).all()
    for row in waiting:
        out.print(f"  order {row.number}: {row.export_state}, {row.waits}", markup=False)
    if not waiting:
        out.print("  no order waits")


def _told(runtime: Runtime) -> int:
    return _count(runtime, "SELECT count(DISTINCT order_id) FROM calls WHERE operation = 'write_order_status' AND state = 'done'")


def _count(runtime: Runtime, query: str) -> int:
    with runtime.engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.05)
