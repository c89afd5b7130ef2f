"""Join keys: the names under which an order, a payment and an ERP document find each other. They are locked, parked on and
looked up in one spelling, made only here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mappings.canonical import FulfilmentChange, Message, Order, PaymentChange, Signal
from middleware.domain.payment_routes import carries
from middleware.settings import Settings, Store


def subject_key(connection: str, subject: str) -> str:
    """Serialises the events of one subject."""
    return f"subject/{connection}/{subject}"


def order_key(shop: str, reference: str) -> str:
    """An order by any id that the shop gave it: UUID, internal id or number."""
    return f"order/{shop}/{reference}"


def payment_key(connection: str, remote_id: str) -> str:
    """A payment by the provider's id."""
    return f"payment/{connection}/{remote_id}"


def keys_of(message: Message, connection: str, settings: Settings) -> tuple[str, ...]:
    """Every join key of a message that arrived on `connection`, sorted."""
    stores = settings.stores_of(connection)
    if isinstance(message, Order):
        store = settings.store_of(connection, message.store_ref)
        payments = _payments(message, store) if store else ()
        return _sorted([order_key(connection, message.order_id), *order_aliases(connection, message), *payments])
    if isinstance(message, PaymentChange):
        orders = (order_key(store.shop, ref) for store in stores for ref in message.order_refs if ref)
        return _sorted([payment_key(connection, message.remote_id), *orders])
    if isinstance(message, FulfilmentChange):
        return _sorted([order_key(store.shop, message.order_ref) for store in stores if message.order_ref])
    if isinstance(message, Signal) and message.order_ref:
        return (order_key(connection, message.order_ref),)
    return ()


def _payments(order: Order, store: Store) -> Iterator[str]:
    """The payments that the shop attached, at each provider that the store lets carry them."""
    for payment in order.payments:
        for provider in store.payments if payment.remote_id else ():
            if carries(store, provider, payment.amount.currency, payment.gateway):
                yield payment_key(provider, payment.remote_id)


def order_aliases(shop: str, order: Order) -> tuple[str, ...]:
    """Other ids that a payment provider may carry for the order."""
    return (order_key(shop, order.internal_id),) if order.internal_id else ()


def _sorted(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(keys)))
