"""waybill orders: what happened to an order, and which ones need somebody."""

from __future__ import annotations

import sys

import click
from rich.markup import escape
from rich.table import Table

from middleware import timeline
from middleware.commands import opened, out
from middleware.timeline import Story, Summary

_TONES = {"ok": "", "wait": "yellow", "bad": "red"}


@click.group()
def orders() -> None:
    """What happened to the orders."""


@orders.command("list")
@click.option("--page", type=click.IntRange(1), default=1)
def list_orders(page: int) -> None:
    """The newest orders."""
    with opened() as runtime:
        found = timeline.orders(runtime, page)
    _print(found.orders)


@orders.command()
@click.argument("number")
def show(number: str) -> None:
    """Everything that happened to one order, by its number, its id or the ERP's number."""
    with opened() as runtime:
        stories = timeline.by_number(runtime, number)
    if not stories:
        out.print(f"No order has the number or id {escape(number)}.")
        sys.exit(1)
    for story in stories:
        print_story(story)


@orders.command()
def stuck() -> None:
    """Orders that are overdue, refused or contradictory, each with its cause and what to do next."""
    with opened() as runtime:
        _print(tuple(timeline.needing_attention(runtime)))


def print_story(story: Story) -> None:
    """One order's states and timeline."""
    order = story.summary
    out.print(f"[bold]Order {escape(order.number)}[/] ({escape(story.shop)} {escape(story.order_id)}), store {order.store}, {order.total}")
    out.print(
        f"shop {order.state} · payment {order.payment_state} · export {order.export_state} {order.erp_number}"
        f" · ERP {order.fulfilment_state}"
    )
    if order.waits:
        out.print(f"[yellow]why it waits:[/] {escape(order.waits)}")
    if order.attention:
        out.print(f"[red]needs somebody:[/] {escape(order.attention.cause)}. {escape(order.attention.next_action)}")
    for line in story.lines:
        indent = "    " if line.kind == "exchange" else ""
        text = f"{line.at:%H:%M:%S}.{line.at.microsecond // 1000:03d} {line.kind:8} {indent}{line.title}  ({line.detail})"
        out.print(escape(text), style=_TONES[line.tone])


def _print(found: tuple[Summary, ...]) -> None:
    table = Table("Order", "Store", "Total", "Shop", "Payment", "Export", "ERP", "Waits", box=None)
    for order in found:
        waits = f"{order.attention.cause}. {order.attention.next_action}" if order.attention else order.waits
        table.add_row(
            order.number, order.store, order.total, order.state, order.payment_state, order.export_state, order.erp_number, escape(waits)
        )
    out.print(table)


COMMANDS = (orders,)
