"""The ERP said something of an order: carry it back to the shop."""

from __future__ import annotations

import msgspec

from mappings.canonical import FulfilmentChange
from middleware.models import OrderRow
from middleware.work import Ask, Work


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
    if change.shipments:
        _show_shipments(change, order, work)
    if work.move(order, "fulfilment_state", change.state) or number_is_new:
        work.tell_shop(order)


def _show_shipments(change: FulfilmentChange, order: OrderRow, work: Work) -> None:
    """The newest list holds all parcels, so it replaces one that nothing has begun to show."""
    payload = {"order_id": order.order_id, "shipments": msgspec.to_builtins(change.shipments)}
    key = f"shipments:{order.shop}:{order.order_id}:event{work.cause.event_id}"
    # A subject of its own: while the shop holds the fulfilment, everything else of the order goes on.
    work.ask(Ask(order.shop, "add_shipments", f"order/{order.order_id}/shipments", key, payload, replaces=True), order)
