"""An observe-only start: what a shop, its ERP and its payments disagree on today, before Waybill writes anything anywhere.

It reads the shop's orders and the ERP's, and compares; nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from mappings.canonical import FulfilmentChange, FulfilmentState, OrderState, ShopOrder
from middleware.errors import Unreadable
from middleware.settings import Store

if TYPE_CHECKING:
    from middleware.runtime import Runtime


@dataclass(slots=True)
class Observed:
    """What was compared. `doubled` are orders that the ERP has more than once, `foreign` the ERP's orders that the shop does not know."""

    orders: int = 0
    paid_not_exported: list[ShopOrder] = field(default_factory=list)
    exported_not_paid: list[ShopOrder] = field(default_factory=list)
    cancelled_but_exported: list[ShopOrder] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.paid_not_exported or self.exported_not_paid or self.cancelled_but_exported or self.doubled)


def observe(runtime: Runtime, store: Store, since: datetime | None) -> Observed:
    """Compare a store's orders with its ERP's. Raises `CallError` when one of them cannot be read."""
    exported = _exported(runtime, store, since)
    found = Observed()
    for order in _orders(runtime, store, since):
        found.orders += 1
        references = {order.order_id, order.number, order.internal_id} - {""}
        times = sum(exported.get(reference, 0) for reference in references)
        if times > 1:
            found.doubled.append(order.number or order.order_id)
        if order.state == OrderState.CANCELLED:
            found.cancelled_but_exported += [order] if times else []
        elif order.is_paid and not times:
            found.paid_not_exported.append(order)
        elif times and not order.is_paid:
            found.exported_not_paid.append(order)
    return found


def _orders(runtime: Runtime, store: Store, since: datetime | None) -> Iterator[ShopOrder]:
    for page in runtime.connector(store.shop).list_orders(since):
        yield from (order for order in page if store.shop_ref in ("", order.store_ref) and order.state != OrderState.DRAFT)


def _exported(runtime: Runtime, store: Store, since: datetime | None) -> dict[str, int]:
    """How many of the ERP's orders, not counting cancelled ones, carry each of our references."""
    erp = runtime.connector(store.erp)
    found: dict[str, dict[str, bool]] = {}
    for page in erp.changed_orders(since):
        for delivery in page:
            try:
                change = erp.translate(delivery.topic, delivery.payload)
            except Unreadable:
                continue
            if isinstance(change, FulfilmentChange) and change.order_ref:
                found.setdefault(change.order_ref, {})[change.remote_id] = change.state != FulfilmentState.CANCELLED
    return {reference: sum(alive.values()) for reference, alive in found.items()}
