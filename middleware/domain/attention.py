"""Which orders need a person: every state that may wait has a time limit, and some combinations are wrong at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mappings.canonical import OrderState
from middleware.domain.transitions import Export, OrderPayment


@dataclass(frozen=True, slots=True)
class Situation:
    """An order's states, and since when its export waits."""

    state: str
    payment_state: str
    export_state: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Attention:
    """Why an order needs somebody and what to do next."""

    cause: str
    next_action: str


LIMITS = {
    Export.HELD: (timedelta(hours=24), "waits for its payment", "ask the customer or cancel the order in the shop"),
    Export.ASKED: (timedelta(minutes=30), "waits for the ERP", "look at the ERP connection: waybill calls list --state retry"),
    Export.UNKNOWN: (timedelta(minutes=30), "the ERP's answer was lost", "it is looked up before it is repeated; check the ERP connection"),
}
"""How long each export state may last."""


def attention(order: Situation, now: datetime) -> Attention | None:
    """What is wrong or overdue with an order, or None."""
    paid = order.payment_state in (OrderPayment.PAID, OrderPayment.PARTIALLY_PAID, OrderPayment.AUTHORIZED)
    if order.export_state in (Export.REJECTED, Export.DEAD):
        prefix = "paid, but " if paid else ""
        return Attention(
            f"{prefix}not in the ERP: the export was {order.export_state}", "mend the field at fault, then: waybill replay call"
        )
    if order.export_state == Export.EXPORTED and order.state == OrderState.CANCELLED:
        return Attention("cancelled in the shop, still in the ERP", "cancel it in the ERP")
    if order.export_state == Export.EXPORTED and order.payment_state in (OrderPayment.FAILED, OrderPayment.VOIDED):
        return Attention("in the ERP, but its payment failed or was voided", "hold it in the ERP until it is paid")
    if order.payment_state == OrderPayment.DISPUTED:
        return Attention("the customer's bank disputes the payment", "answer the dispute at the provider; hold the goods")
    return _overdue(order, now)


def _overdue(order: Situation, now: datetime) -> Attention | None:
    limit = LIMITS.get(Export(order.export_state))
    if limit is None or order.state == OrderState.DRAFT or now - order.since < limit[0]:
        return None
    return Attention(f"{limit[1]} for more than {limit[0]}", limit[2])
