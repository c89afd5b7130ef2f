"""Every state change that is allowed, one table per thing; a change that is not in its table is refused and recorded."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from mappings.canonical import FulfilmentState as F
from mappings.canonical import OrderState as O
from mappings.canonical import PaymentState as P
from middleware.errors import IllegalTransition


class OrderPayment(StrEnum):
    """What an order's payments come to."""

    UNPAID = "unpaid"
    PENDING = "pending"
    FAILED = "failed"
    AUTHORIZED = "authorized"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    VOIDED = "voided"
    DISPUTED = "disputed"


class Export(StrEnum):
    """Where an order's way into the ERP is."""

    HELD = "held"
    ASKED = "asked"
    UNKNOWN = "unknown"
    EXPORTED = "exported"
    REJECTED = "rejected"
    DEAD = "dead"
    NOT_NEEDED = "not_needed"


# A provider's events may be lost or late, so a payment may jump forwards over states; it never goes back.
PAYMENT: Mapping[str, frozenset[str]] = {
    P.PENDING: frozenset(P) - {P.PENDING},
    P.REQUIRES_ACTION: frozenset(P) - {P.REQUIRES_ACTION},
    P.FAILED: frozenset(P) - {P.FAILED},
    P.AUTHORIZED: frozenset({P.VOIDED, P.FAILED, P.PARTIALLY_CAPTURED, P.CAPTURED, P.PARTIALLY_REFUNDED, P.REFUNDED, P.DISPUTED}),
    P.VOIDED: frozenset({P.PARTIALLY_CAPTURED, P.CAPTURED, P.PARTIALLY_REFUNDED, P.REFUNDED, P.DISPUTED}),
    P.PARTIALLY_CAPTURED: frozenset({P.CAPTURED, P.PARTIALLY_REFUNDED, P.REFUNDED, P.DISPUTED}),
    P.CAPTURED: frozenset({P.PARTIALLY_REFUNDED, P.REFUNDED, P.DISPUTED, P.PARTIALLY_CAPTURED}),
    P.PARTIALLY_REFUNDED: frozenset({P.REFUNDED, P.CAPTURED, P.PARTIALLY_CAPTURED, P.DISPUTED}),
    P.REFUNDED: frozenset({P.PARTIALLY_REFUNDED, P.CAPTURED, P.PARTIALLY_CAPTURED, P.DISPUTED}),
    P.DISPUTED: frozenset({P.CAPTURED, P.PARTIALLY_CAPTURED, P.PARTIALLY_REFUNDED, P.REFUNDED}),
}
"""From REFUNDED back only because a refund can fail afterwards: its part stops counting and the state is derived again."""

ORDER: Mapping[str, frozenset[str]] = {
    O.UNKNOWN: frozenset({O.DRAFT, O.PLACED, O.COMPLETED, O.CANCELLED}),
    O.DRAFT: frozenset({O.PLACED, O.COMPLETED, O.CANCELLED}),
    O.PLACED: frozenset({O.COMPLETED, O.CANCELLED}),
    O.COMPLETED: frozenset(),
    O.CANCELLED: frozenset(),
}

EXPORT: Mapping[str, frozenset[str]] = {
    Export.HELD: frozenset({Export.ASKED, Export.REJECTED, Export.NOT_NEEDED}),
    Export.ASKED: frozenset({Export.UNKNOWN, Export.EXPORTED, Export.REJECTED, Export.DEAD, Export.NOT_NEEDED}),
    Export.UNKNOWN: frozenset({Export.ASKED, Export.EXPORTED, Export.REJECTED, Export.DEAD}),
    Export.REJECTED: frozenset({Export.ASKED, Export.NOT_NEEDED}),
    Export.DEAD: frozenset({Export.ASKED, Export.NOT_NEEDED}),
    Export.EXPORTED: frozenset(),
    Export.NOT_NEEDED: frozenset(),
}

FULFILMENT: Mapping[str, frozenset[str]] = {
    F.UNKNOWN: frozenset(F) - {F.UNKNOWN},
    F.DRAFT: frozenset({F.CONFIRMED, F.PROCESSING, F.PARTIALLY_SHIPPED, F.SHIPPED, F.DONE, F.CANCELLED}),
    F.CONFIRMED: frozenset({F.DRAFT, F.PROCESSING, F.PARTIALLY_SHIPPED, F.SHIPPED, F.DONE, F.CANCELLED}),
    F.PROCESSING: frozenset({F.PARTIALLY_SHIPPED, F.SHIPPED, F.DONE, F.CANCELLED}),
    F.PARTIALLY_SHIPPED: frozenset({F.SHIPPED, F.DONE, F.CANCELLED}),
    F.SHIPPED: frozenset({F.DONE}),
    F.DONE: frozenset(),
    F.CANCELLED: frozenset({F.DRAFT}),
}

_PAID = frozenset(
    {OrderPayment.PARTIALLY_PAID, OrderPayment.PAID, OrderPayment.PARTIALLY_REFUNDED, OrderPayment.REFUNDED, OrderPayment.DISPUTED}
)
_OPEN = frozenset({OrderPayment.UNPAID, OrderPayment.PENDING, OrderPayment.FAILED, OrderPayment.AUTHORIZED, OrderPayment.VOIDED})

ORDER_PAYMENT: Mapping[str, frozenset[str]] = {
    **{state: (_OPEN | _PAID) - {state} for state in _OPEN},
    **{state: _PAID - {state} for state in _PAID},
}
"""Derived from the payments: what was paid once never reads as unpaid again."""

TABLES: Mapping[str, Mapping[str, frozenset[str]]] = {
    "state": ORDER,
    "payment_state": ORDER_PAYMENT,
    "export_state": EXPORT,
    "fulfilment_state": FULFILMENT,
    "payment": PAYMENT,
}


def check(table: str, was: str, becomes: str) -> None:
    """Raises `IllegalTransition`, naming what is allowed."""
    allowed = TABLES[table].get(was, frozenset())
    if becomes not in allowed:
        raise IllegalTransition(f"{table}: {was} → {becomes} is not allowed; from {was}: {', '.join(sorted(allowed)) or 'nothing'}")
