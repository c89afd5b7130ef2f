"""Does an order go to the ERP now, and what follows from the ERP's answer?"""

from __future__ import annotations

from typing import Any

import msgspec

from mappings.canonical import Order, OrderState, Review
from middleware.domain.totals import recompute
from middleware.domain.transitions import Export, OrderPayment
from middleware.models import CallState, OrderRow
from middleware.settings import Store
from middleware.work import Ask, OrderChanged, Outcome, Work

_OPEN_FOR_EXPORT = (OrderState.PLACED, OrderState.COMPLETED)
_FAILURES = {CallState.REJECTED: Export.REJECTED, CallState.DEAD: Export.DEAD, CallState.UNKNOWN: Export.UNKNOWN}


def consider(changed: OrderChanged, work: Work) -> None:
    """Ask for the export as soon as the store's rule allows it, also after a version that mends the total; a newer version
    renews an export that nothing has begun, a cancellation withdraws it."""
    order = changed.order
    store = work.settings.stores.get(order.store)
    if store is None or not store.erp:
        return
    if order.state == OrderState.CANCELLED:
        _withdraw(order, store, work)
    elif order.export_state == Export.HELD or (order.export_state == Export.REJECTED and not work.is_asked(_key(order, store))):
        _hold_or_ask(order, store, work)
    elif order.export_state == Export.ASKED and changed.anew:
        work.renew(_key(order, store), _payload(work.snapshot(order)))


def settle(outcome: Outcome, order: OrderRow, work: Work) -> None:
    """Carry the outcome of a `create_order` call to the order."""
    if outcome.state is CallState.DONE and outcome.receipt is not None:
        receipt = outcome.receipt
        work.link(work.cause.connection, "order", f"{order.shop}/{order.order_id}", receipt.remote_id, receipt.number)
        order.erp_number, order.waits = receipt.number, ""
        if work.move(order, "export_state", Export.EXPORTED, receipt.number):
            work.tell_shop(order)
        return
    order.waits = outcome.reason
    work.move(order, "export_state", _FAILURES.get(outcome.state, Export.ASKED), outcome.reason)


def _hold_or_ask(order: OrderRow, store: Store, work: Work) -> None:
    order.waits = _reason_to_hold(order, store)
    if order.waits:
        return
    snapshot = work.snapshot(order)
    computed = recompute(snapshot)
    if computed != snapshot.total:
        order.waits = f"the shop's total is {snapshot.total}, its lines and adjustments come to {computed}"
        work.move(order, "export_state", Export.REJECTED, order.waits)
        return
    work.ask(Ask(store.erp, "create_order", f"order/{order.order_id}", _key(order, store), _payload(snapshot)), order)
    order.waits = f"on its way to {store.erp}"
    work.move(order, "export_state", Export.ASKED)


def _key(order: OrderRow, store: Store) -> str:
    return f"order:{order.shop}:{order.order_id}:{store.erp}"


def _payload(snapshot: Order) -> dict[str, Any]:
    return {"order": msgspec.to_builtins(snapshot)}


def _reason_to_hold(order: OrderRow, store: Store) -> str:
    if order.state not in _OPEN_FOR_EXPORT:
        return f"the shop has not placed it yet (state {order.state})"
    reviews = {payment.review for payment in order.payments}
    if Review.REJECT in reviews:
        return "a fraud check rejected its payment: cancel it, or approve it at the provider"
    if Review.HOLD in reviews:
        return "a fraud check holds its payment"
    if store.export_when == "paid" and order.payment_state not in (OrderPayment.PAID, OrderPayment.AUTHORIZED):
        return f"waits for its payment (now {order.payment_state})"
    return ""


def _withdraw(order: OrderRow, store: Store, work: Work) -> None:
    begun = order.export_state in (Export.EXPORTED, Export.UNKNOWN, Export.NOT_NEEDED)
    if begun or (order.export_state == Export.ASKED and not work.withdraw(store.erp, "create_order", f"order/{order.order_id}")):
        return
    order.waits = ""
    work.move(order, "export_state", Export.NOT_NEEDED, "cancelled before it was exported")
