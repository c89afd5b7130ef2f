"""A provider said something of a payout: keep it and what it is made of; an older saying never undoes a newer one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import or_
from sqlalchemy.dialects.postgresql import insert

from mappings.canonical import PayoutChange, PayoutState
from middleware.payments.models import PayoutPartRow, PayoutRow
from middleware.work import Work


def record(change: PayoutChange, work: Work) -> None:
    """Keep one payout; its parts are a set by the provider's ids."""
    connection = work.cause.connection
    values = {
        "connection": connection,
        "remote_id": change.remote_id,
        "state": str(change.state),
        "amount_minor": change.amount.minor,
        "fee_minor": change.fee.minor if change.fee else None,
        "currency": change.amount.currency,
        "said_at": change.occurred_at,
    }
    row = insert(PayoutRow).values(values)
    newer = {name: row.excluded[name] for name in ("state", "amount_minor", "currency", "said_at")}
    # Provider clocks have whole seconds: of two sayings of one instant the one that ends the payout is the later.
    is_newer = or_(
        row.excluded.said_at > PayoutRow.said_at,
        (row.excluded.said_at == PayoutRow.said_at) & (PayoutRow.state == str(PayoutState.PENDING)),
        (row.excluded.state == str(PayoutState.FAILED)) & (row.excluded.said_at >= PayoutRow.said_at),
    )
    work.session.execute(row.on_conflict_do_update(index_elements=["connection", "remote_id"], set_=newer, where=is_newer))
    if change.fee is not None:
        fee = insert(PayoutRow).values(values)
        work.session.execute(fee.on_conflict_do_update(index_elements=["connection", "remote_id"], set_={"fee_minor": change.fee.minor}))
    if change.parts:
        work.session.execute(insert(PayoutPartRow).on_conflict_do_nothing(), [_part(connection, change.remote_id, p) for p in change.parts])
    work.verdict.detail = f"payout {change.remote_id} is {change.state}"


def _part(connection: str, payout: str, part: Any) -> dict[str, Any]:
    return {
        "connection": connection,
        "payout": payout,
        "remote_id": part.remote_id,
        "kind": part.kind,
        "payment_ref": part.payment_ref,
        "gross_minor": part.gross.minor,
        "fee_minor": part.fee.minor,
        "net_minor": part.net.minor,
        "currency": part.gross.currency,
    }
