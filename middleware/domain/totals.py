"""An order's total, computed again from its recorded inputs."""

from __future__ import annotations

from mappings.canonical import Money, Order


def recompute(order: Order) -> Money:
    """Lines (each rounded once) plus every adjustment that is not already inside the prices."""
    total = Money(0, order.total.currency)
    for line in order.lines:
        total = total + line.unit_price.times(line.quantity)
        for adjustment in line.adjustments:
            if not adjustment.included:
                total = total + adjustment.amount
    for adjustment in order.adjustments:
        if not adjustment.included:
            total = total + adjustment.amount
    return total
