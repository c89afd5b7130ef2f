"""Which provider carries which payments of a store, by currency and by the shop's payment method, as the store declares:
`[stores.main.payment_routes.paypal]` with `methods = ["paypal_checkout"]` and `currencies = ["EUR", "USD"]`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from middleware.settings import Store

_KEYS = {"currencies", "methods"}


def carries(store: Store, connection: str, currency: str, method: str = "") -> bool:
    """Whether payments in `currency`, made by the shop's payment method (its gateway's id; "" where that is not known), are this
    connection's. Where nothing is declared for a connection, or for one of the two, everything is."""
    if connection not in store.payments:
        return False
    route = store.payment_routes.get(connection, {})
    currencies, methods = route.get("currencies"), route.get("methods")
    return (not currencies or currency in currencies) and (not methods or not method or method in methods)


def mistakes(store: Store) -> Iterator[str]:
    """What is wrong with a store's routes, a line each."""
    for connection, route in store.payment_routes.items():
        place = f"payment_routes.{connection}"
        if connection not in store.payments:
            yield f"{place}: not among the store's payments; those are: {', '.join(store.payments) or 'none'}"
        elif not isinstance(route, Mapping) or set(route) - _KEYS:
            yield f"{place}: expected a table of {', '.join(sorted(_KEYS))}"
        else:
            yield from (f"{place}.{key}: expected a list of texts" for key, value in route.items() if not _is_texts(value))


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
