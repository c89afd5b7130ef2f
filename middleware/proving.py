"""Does a connection work, end to end, with the merchant's own keys? Each role is tried as far as that changes nothing over there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from middleware.errors import WaybillError
from middleware.payments import selftest
from middleware.ports import Effect

if TYPE_CHECKING:
    from middleware.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried: whether it worked (None: it was not tried, and why), and what was seen."""

    role: str
    worked: bool | None
    said: str


def prove(runtime: Runtime, name: str, payment: str = "") -> Iterator[Step]:
    """Try every role of a connection that only reads; `payment` is the provider's id of one to look at."""
    connector = runtime.connector(name)
    yield from _door(runtime, name, connector)
    for role, attempt in _ATTEMPTS.items():
        if hasattr(connector, role):
            yield _tried(role, lambda attempt=attempt: attempt(runtime, name, connector))  # type: ignore[misc]
    for kind in sorted(kind for connection, kind in runtime.feeds if connection == name):
        yield _tried(f"list_records {kind}", lambda kind=kind: _page(runtime, name, connector, kind))  # type: ignore[misc]
    if hasattr(connector, "fetch_payment"):
        if payment:
            yield _tried("fetch_payment", lambda: _payment(connector, payment))
        else:
            yield Step("fetch_payment", None, "needs --payment, the provider's id of one")
    for role in _WRITES:
        if hasattr(connector, role):
            yield Step(role, None, "writes over there: not tried")


def _door(runtime: Runtime, name: str, connector: Any) -> Iterator[Step]:
    if not hasattr(connector, "read"):
        return
    checked = selftest.check(runtime.settings.connections[name], runtime.now())
    if not checked:
        yield Step("read", None, "only the provider can sign, or there is no secret: have it send a test")
    for one in checked:
        yield Step(f"read, {one.what}", one.holds, one.said)


def _tried(role: str, attempt: Callable[[], str]) -> Step:
    try:
        return Step(role, True, attempt())
    except WaybillError as error:
        return Step(role, False, f"{error.code}: {error}")


def _changed(runtime: Runtime, name: str, connector: Any) -> str:
    page = next(iter(connector.changed_orders(runtime.now() - timedelta(days=30))), ())
    for delivery in page:
        connector.translate(delivery.topic, delivery.payload)
    return f"{len(page)} orders of the last 30 days on the first page, all understood"


def _events(runtime: Runtime, name: str, connector: Any) -> str:
    page = next(iter(connector.payment_events(runtime.now() - timedelta(days=7))), ())
    for delivery in page:
        connector.translate(delivery.topic, delivery.payload)
    return f"{len(page)} events of the last 7 days on the first page, all understood"


def _orders(runtime: Runtime, name: str, connector: Any) -> str:
    pages = list(islice(connector.list_orders(runtime.now() - timedelta(days=30)), 1))
    return f"{len(pages[0]) if pages else 0} orders of the last 30 days on the first page"


def _fields(runtime: Runtime, name: str, connector: Any) -> str:
    from_tables: dict[tuple[str, str], list[str]] = {("product", "default"): ["title"], ("variation", "default"): ["sku", "price"]}
    missing = connector.missing_fields(from_tables)
    return f"products and variations can be read{'; it lacks ' + ', '.join(missing) if missing else ''}"


def _page(runtime: Runtime, name: str, connector: Any, kind: str) -> str:
    feed = runtime.feeds[name, kind]
    page = connector.list_records(kind, None, "")
    mapped = [feed.mapped(feed.decoded(record)) for record in page.records[:100]]
    refused = [str(one) for one in mapped if type(one).__name__ == "Reject"]
    return f"{len(page.records)} records on the first page, {len(refused)} of the first 100 refused{': ' + refused[0] if refused else ''}"


def _payment(connector: Any, payment: str) -> str:
    delivery = connector.fetch_payment(Effect("prove", "fetch_payment", payment, {"subject": payment}))
    change = connector.translate(delivery.topic, delivery.payload)
    return f"{payment} is {getattr(change, 'state', None) or 'of no state'}"


_ATTEMPTS: dict[str, Callable[[Any, str, Any], str]] = {
    "changed_orders": _changed,
    "payment_events": _events,
    "list_orders": _orders,
    "missing_fields": _fields,
}
_WRITES = (
    *("create_order", "write_order_status", "add_shipments", "write_payment", "write_items"),
    *("capture_payment", "void_payment", "refund_payment"),
)
