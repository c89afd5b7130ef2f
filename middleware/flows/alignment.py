"""An order's payments mean something new: ask the shop for the step that the store declares, once, and decide about its goods once."""

from __future__ import annotations

from middleware.domain import alignment as rules
from middleware.work import Ask, OrderChanged, Work


def consider(changed: OrderChanged, work: Work) -> None:
    """Ask for the declared step of what the payments mean now, unless it is the one that was asked for last."""
    order = changed.order
    store = work.settings.stores.get(order.store)
    if store is None or not store.on_payment:
        return
    parts = [row.part for payment in order.payments for row in payment.parts]
    meaning = rules.meaning(order.payment_state, order.aligned, parts)
    if meaning == order.aligned:
        return
    order.aligned = meaning
    step = rules.step_for(store.on_payment, meaning)
    if step is None:
        return
    if step.stock and not order.stock_effect:
        order.stock_effect = step.stock
        work.audit(order, "goods", "", step.stock, f"payments: {meaning}")
    if not (step.to or step.hold or step.release):
        return
    because = f"event{work.cause.event_id}" if work.cause.call_id is None else f"call{work.cause.call_id}"
    key = f"align:{order.shop}:{order.order_id}:{meaning}:{because}"
    payload = {"order_id": order.order_id, "to": step.to, "hold": step.hold, "release": step.release}
    work.ask(Ask(order.shop, "move_order", f"order/{order.order_id}/step", key, payload, lane="payments"), order)
    work.audit(order, "step", "", "asked", f"payments: {meaning}")
