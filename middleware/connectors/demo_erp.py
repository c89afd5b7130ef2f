"""The demo's ERP: orders out to a system without native idempotency, found again by our reference, status polled back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from marshmallow import ValidationError

from mappings import demo_erp as words
from mappings.canonical import Message, Order
from mappings.fields import field_names
from middleware.connectors._http import Http, Reply
from middleware.errors import Unreadable
from middleware.ports import Delivery, Effect, Receipt
from middleware.settings import Connection


class Connector:
    """One simulated ERP (`middleware.simulators.erp`)."""

    SYSTEM = "demo_erp"
    LANE = "orders"
    PROOF = "simulator"
    API_VERSION = "1"
    CREDENTIALS: Mapping[str, str] = {"key": "bearer key"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {"page": (int, 100, "orders per page of a poll")}

    def __init__(self, connection: Connection, http: Http) -> None:
        """`base_url` is the ERP, credential `key` its bearer key."""
        self.connection = connection
        self.http = http
        self._headers = {"Authorization": f"Bearer {connection.credentials['key'].reveal()}"}
        self._page = int(connection.options.get("page", 100))

    def create_order(self, effect: Effect) -> Receipt:
        """POST the order; the ERP would make another one if this were repeated."""
        order = msgspec.convert(effect.payload["order"], Order)
        reply = self.http.request("POST", "/orders", json=words.order_body(order), headers=self._headers, explain=_explain)
        return _receipt(reply.json())

    def find_order(self, effect: Effect) -> Receipt | None:
        """The order that carries our reference."""
        reference = effect.payload["order"]["order_id"]  # type: ignore[index]
        found = self.http.request("GET", "/orders", params={"reference": reference}, headers=self._headers).json()["orders"]
        return _receipt(found[0]) if found else None

    def changed_orders(self, since: datetime | None) -> Iterator[tuple[Delivery, ...]]:
        """Pages of orders changed since the watermark, oldest first, by (changed_at, id)."""
        query = urlencode({"limit": self._page, "changed_since": since.isoformat() if since else "1970-01-01T00:00:00+00:00"})
        path = f"/orders?{query}"
        while path:
            page = self.http.request("GET", path, headers=self._headers).json()
            yield tuple(_delivery(order) for order in page["orders"])
            path = page.get("next") or ""

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: an ERP order to its status; raises `Unreadable`."""
        try:
            return words.change(msgspec.json.decode(payload))
        except msgspec.MsgspecError:
            raise Unreadable("the body is not JSON") from None
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None


def _delivery(order: Mapping[str, Any]) -> Delivery:
    changed = str(order["changed_at"])
    payload = msgspec.json.encode(order)
    return Delivery(f"{order['id']}@{changed}", "order.changed", str(order["reference"]), payload, datetime.fromisoformat(changed))


def _receipt(order: Mapping[str, Any]) -> Receipt:
    return Receipt(str(order["id"]), str(order["number"]), str(order["state"]))


def _explain(reply: Reply) -> tuple[str, str]:
    errors = reply.json().get("errors") or [{}]
    return str(errors[0].get("message", "")), str(errors[0].get("field", ""))
