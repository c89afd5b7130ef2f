"""waybill payments: what an order's payments are, and captures, voids and refunds that each happen once."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import click
from rich.markup import escape
from rich.table import Table
from sqlalchemy import text

from mappings.canonical import Money
from middleware.commands import opened, out
from middleware.errors import SettingsError
from middleware.payments import asking
from middleware.runtime import Runtime


@click.group()
def payments() -> None:
    """Payments of orders, operations at their providers, and payouts."""


@payments.command()
@click.argument("number")
def show(number: str) -> None:
    """The payments of an order (its number or id), or one payment by the provider's id, with their parts."""
    with opened() as runtime, runtime.sessions() as session:
        found = asking.payments_of(session, number)
        if not found:
            raise SettingsError([f"{number}: no order and no payment is known by it"])
        table = Table("Payment", "At", "State", "Amount", "Part", "Part's state", "Why")
        for row in found:
            why = " ".join(filter(None, (row.outcome, row.raw_code and f"({row.raw_code})", row.review and f"review: {row.review}")))
            amount = str(Money(row.amount_minor, row.currency))
            table.add_row(escape(row.remote_id), row.connection, row.state, amount, "", "", escape(why))
            for part in row.parts:
                counts = "" if part.counts else "does not count"
                what = f"{part.kind} {escape(part.remote_id)}"
                table.add_row("", "", "", str(Money(part.amount_minor, part.currency)), what, part.state, counts)
    out.print(table)


def _operation(what: str, help_text: str, *, has_amount: bool) -> None:
    @payments.command(what, help=help_text)
    @click.argument("payment")
    @click.option("--amount", default="", help="As 12.34, in the payment's currency; without it all that is left.", hidden=not has_amount)
    @click.option("--reason", default="", help="Kept in the audit trail, and told to providers that take one.")
    def operation(payment: str, amount: str, reason: str) -> None:
        with opened() as runtime:
            connection, currency = _payment(runtime, payment)
            key = asking.ask(runtime, connection, payment, what, amount=_money(amount, currency), reason=reason)
        out.print(f"asked: {key}. Workers make it once; waybill payments show {payment} says what came of it.", markup=False)


_operation("capture", "Take authorized money of PAYMENT (the provider's id), all or --amount.", has_amount=True)
_operation("void", "Release authorized money of PAYMENT that was not taken.", has_amount=False)
_operation("refund", "Give money of PAYMENT back, all or --amount.", has_amount=True)


@payments.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
def payouts(limit: int) -> None:
    """The newest payouts: state, amount, fees, and how many movements are known."""
    table = Table("Payout", "At", "State", "Amount", "Fees", "Movements", "Said (UTC)")
    with opened() as runtime, runtime.engine.connect() as connection:
        for row in connection.execute(_PAYOUTS, {"limit": limit}):
            fee = "" if row.fee_minor is None else str(Money(row.fee_minor, row.currency))
            amount = str(Money(row.amount_minor, row.currency))
            table.add_row(escape(row.remote_id), row.connection, row.state, amount, fee, str(row.parts), f"{row.said_at:%Y-%m-%d %H:%M}")
    out.print(table)


def _payment(runtime: Runtime, payment: str) -> tuple[str, str]:
    with runtime.engine.connect() as connection:
        found = connection.execute(text("SELECT connection, currency FROM payments WHERE remote_id = :id"), {"id": payment}).all()
    if len(found) != 1:
        raise SettingsError([f"{payment}: {'no payment is' if not found else 'payments of several connections are'} known by it"])
    return found[0].connection, found[0].currency


def _money(amount: str, currency: str) -> Money | None:
    if not amount:
        return None
    try:
        return Money.of(Decimal(amount), currency)
    except (InvalidOperation, ValueError) as error:
        raise SettingsError([f"--amount {amount}: expected an amount of {currency}, as 12.34"]) from error


_PAYOUTS = text(
    "SELECT p.*, (SELECT count(*) FROM payout_parts t WHERE t.connection = p.connection AND t.payout = p.remote_id) AS parts"
    " FROM payouts p ORDER BY said_at DESC LIMIT :limit"
)
COMMANDS = (payments,)
