"""The demo's ERP: orders out to a system without native idempotency, found again by our reference, status polled back; prices, stock."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from marshmallow import ValidationError

from mappings import demo_erp as words
from mappings.canonical import Message, Order
from mappings.fields import field_names
from middleware.connectors._http import Http, Reply
from middleware.errors import Rejected, Unreadable
from middleware.ports import Delivery, Effect, Page, Receipt, Record
from middleware.settings import Connection


class _Articles(msgspec.Struct):
    articles: list[msgspec.Raw]
    next: str | None = None


class _Article(msgspec.Struct):
    sku: str


_ARTICLES = msgspec.json.Decoder(_Articles)
_ARTICLE = msgspec.json.Decoder(_Article)


class Connector:
    """One simulated ERP (`middleware.simulators.erp`)."""

    SYSTEM = "demo_erp"
    LANE = "orders"
    PROOF = "simulator"
    API_VERSION = "1"
    CREDENTIALS: Mapping[str, str] = {"key": "bearer key"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {"page": (int, 100, "orders or articles of a page")}

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

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """A page of `prices` or `stock`, by article number. An article that changes while they are read keeps its place."""
        if kind not in words.FEEDS:
            raise Rejected(f"the ERP has no feed {kind!r}", field="kind")
        params = {"limit": self._page, "after": cursor, **({"changed_since": since.isoformat()} if since else {})}
        reply = self.http.request("GET", f"/{kind}", params=params, headers=self._headers, explain=_explain)
        try:
            page = _ARTICLES.decode(reply.body)
            records = tuple(Record(_ARTICLE.decode(raw).sku, bytes(raw)) for raw in page.articles)
        except (ValueError, RecursionError) as error:
            raise Rejected("the ERP's page is none", field=kind) from error
        return Page(records, page.next or "")

    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        """One article's prices or stock; None when the ERP answers 404."""
        try:
            reply = self.http.request("GET", f"/{kind}/{quote(source_id, safe='')}", headers=self._headers, explain=_explain)
        except Rejected as error:
            if error.http_status != 404:
                raise
            return None
        return Record(source_id, reply.body)

    def decode_record(self, kind: str, raw: bytes) -> dict[str, Any]:
        """Prices as a list, stock as what is on hand in all warehouses and in each; raises `Unreadable`."""
        try:
            return words.article(kind, json.loads(raw, parse_float=Decimal))
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None
        except (ValueError, RecursionError):
            raise Unreadable("the record is not JSON") from None

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: an ERP order to its status; raises `Unreadable`."""
        try:
            return words.change(msgspec.json.decode(payload))
        except (ValueError, RecursionError):
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
