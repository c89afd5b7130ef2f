"""The storefront saw something of a cart or an order: put it on the order's timeline, and count what the business asks for."""

from __future__ import annotations

from mappings.canonical import Signal
from middleware.domain.keys import order_key
from middleware.observing import SIGNALS, TOTALS_SHOWN
from middleware.work import Work


def record(signal: Signal, work: Work) -> None:
    """Count the signal; a total that was shown and not charged is written to the order's audit trail."""
    shop = work.cause.connection
    order = work.order([order_key(shop, signal.order_ref)])
    work.verdict.order = order
    SIGNALS.labels(shop, signal.kind, signal.outcome).inc()
    if signal.shown is None or signal.charged is None:
        work.verdict.detail = signal.outcome or None
        return
    same = signal.shown == signal.charged
    TOTALS_SHOWN.labels(shop, "same" if same else "different").inc()
    if not same:
        work.verdict.detail = f"the customer was shown {signal.shown} and charged {signal.charged}"
        work.audit(order, "total", str(signal.shown), str(signal.charged), "shown and charged differ")
