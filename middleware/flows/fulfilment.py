"""The ERP said something of an order: carry it back to the shop."""

from __future__ import annotations

from mappings.canonical import FulfilmentChange
from middleware.work import Work


def record(change: FulfilmentChange, work: Work) -> None:
    """Record the newer state and tell the shop; an ERP document that is not of our shops is ignored."""
    order = work.order()
    if order is None:
        work.ignore("not an order of our shops")
        return
    work.verdict.order = order
    if order.fulfilment_at is not None and change.occurred_at <= order.fulfilment_at:
        work.ignore("older than what is known")
        return
    order.fulfilment_at = change.occurred_at
    number_is_new = bool(change.number) and order.erp_number != change.number
    order.erp_number = change.number or order.erp_number
    if work.move(order, "fulfilment_state", change.state) or number_is_new:
        work.tell_shop(order)
