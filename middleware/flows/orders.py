"""The shop said something of an order: record it, once and never backwards."""

from __future__ import annotations

import msgspec

from mappings.canonical import FulfilmentState, Order
from middleware.domain.keys import order_aliases, order_key
from middleware.domain.transitions import Export, OrderPayment
from middleware.errors import Unreadable
from middleware.models import OrderRow
from middleware.settings import Store
from middleware.work import Work


def record(order: Order, work: Work) -> None:
    """Record the order at its version and number; what is older than the recorded one changes nothing."""
    shop = work.cause.connection
    row = work.order([order_key(shop, order.order_id)])
    if row is None:
        row = _new(order, work)
        work.add_order(row)
        work.follow(row)
    elif (order.version, order.sequence) > (row.version, row.sequence):
        _renew(row, order, work)
    work.verdict.order = row
    work.name_order(row, {*work.cause.keys, *order_aliases(shop, order)})


def _new(order: Order, work: Work) -> OrderRow:
    return OrderRow(
        shop=work.cause.connection,
        order_id=order.order_id,
        internal_id=order.internal_id,
        number=order.number,
        store=_store_of(order, work).name,
        version=order.version,
        sequence=order.sequence,
        state=str(order.state),
        payment_state=str(OrderPayment.UNPAID),
        export_state=str(Export.HELD),
        fulfilment_state=str(FulfilmentState.UNKNOWN),
        total_minor=order.total.minor,
        currency=order.total.currency,
        placed_at=order.placed_at,
        changed_at=order.changed_at,
        since=work.now,
        recorded_at=work.now,
        snapshot=_seal(order, work),
        payments=[],
        erp_number="",
        waits="",
        aligned="",
        stock_effect="",
    )


def _renew(row: OrderRow, order: Order, work: Work) -> None:
    row.version, row.sequence, row.number = order.version, order.sequence, order.number
    row.changed_at, row.placed_at = order.changed_at, order.placed_at
    row.total_minor, row.currency, row.snapshot = order.total.minor, order.total.currency, _seal(order, work)
    work.move(row, "state", order.state)
    work.follow(row)


def _seal(order: Order, work: Work) -> bytes:
    return work.vault.seal(msgspec.json.encode(order), work.cause.connection, order.order_id)


def _store_of(order: Order, work: Work) -> Store:
    shop = work.cause.connection
    store = work.settings.store_of(shop, order.store_ref)
    if store is None:
        raise Unreadable(f"no store of connection {shop!r} has shop_ref {order.store_ref!r}")
    return store
