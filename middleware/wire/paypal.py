"""What PayPal's answers hold: the things around a payment, pages of events, the issues of a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from mappings import paypal as words
from middleware.errors import Rejected
from middleware.wire.payment_calls import BROKEN, code

EVENTS = "/v1/notifications/webhooks-events"
Get = Callable[[str], Any]
"""Asks for a path below the API's address: what it holds, or None where it is denied."""


class _Link(msgspec.Struct):
    rel: str = ""
    href: str = ""


class _Listed(msgspec.Struct):
    events: list[msgspec.Raw] = []
    links: list[_Link] = []


def page(body: bytes) -> tuple[list[bytes], list[tuple[str, str]]]:
    """The events of a page, each as its bytes, and the query of the page after it; raises `Rejected`."""
    try:
        listed = msgspec.json.decode(body, type=_Listed)
    except BROKEN:
        raise Rejected("the list of events is none") from None
    following = urlsplit(next((link.href for link in listed.links if link.rel == "next"), ""))
    return [bytes(event) for event in listed.events], parse_qsl(following.query) if following.path == EVENTS else []


def around(get: Get, found: Mapping[str, Any], *, kind: str, payment: str) -> dict[str, Any]:
    """The authorizations, captures and refunds of the order that `found` (of a `kind`) belongs to, and the disputes of its captures."""
    known: dict[str, dict[str, Any]] = {"authorizations": {}, "captures": {}, "refunds": {}}
    order = words.parent(found, "orders")
    for unit in rows(get(f"/v2/checkout/orders/{quote(order, safe='')}") if order else {}, "purchase_units"):
        for name, things in known.items():
            things.update({str(row.get("id")): row for row in rows(unit.get("payments"), name)})
    known[kind][str(found.get("id"))] = found
    if kind == "captures" and payment != found.get("id") and payment not in known["authorizations"]:
        held = get(f"/v2/payments/authorizations/{quote(payment, safe='')}")
        known["authorizations"].update({payment: held} if held else {})
    disputes = [dispute for capture in known["captures"] for dispute in _disputes(get, capture)]
    return {**{name: list(things.values()) for name, things in known.items()}, "disputes": disputes}


def _disputes(get: Get, capture: str) -> list[Any]:
    listed = rows(get(f"/v1/customer/disputes?disputed_transaction_id={quote(capture, safe='')}"), "items")
    found = (get(f"/v1/customer/disputes/{quote(str(row.get('dispute_id')), safe='')}") for row in listed)
    return [dispute for dispute in found if dispute]


def explained(said: Any) -> tuple[str, str]:
    """The name of PayPal's error, its issues, and the first field at fault."""
    details = rows(said, "details")
    field = str(details[0].get("field") or "") if details else ""
    name = code(said.get("name")) if isinstance(said, Mapping) else ""
    return " ".join(filter(None, [name, *map(code, issues(said))])), field if len(field) < 100 and field.startswith("/") else ""


def issues(said: Any) -> list[str]:
    """The issues that a refusal lists."""
    return [str(row.get("issue") or "") for row in rows(said, "details")]


def rows(value: Any, name: str) -> list[Mapping[str, Any]]:
    """The objects of a list, of whatever came."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []
