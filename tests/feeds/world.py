"""A source in memory and a shop in memory, behind the ports: what feeds are tested with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, ClassVar

from mappings import table_files, tables
from middleware.errors import CallError, Rejected, Transient, Unauthorized, Unreadable
from middleware.feeds.feed import Feed
from middleware.ports import NOT_THERE, Page, Record, Write, Written
from middleware.runtime import Runtime
from middleware.settings import Connection
from middleware.testing import secret, settings
from middleware.vault import new_key

CATALOG = table_files.read(
    "catalog",
    {
        "connection": "pim",
        "kind": "products",
        "shop": "shop",
        "sku": "sku",
        "product": "product",
        "fields": [
            {"to": "title", "from": "title", "of": "product", "required": True},
            {"to": "field_color", "from": "color", "options": {"r": "red", "b": "blue"}},
        ],
    },
)
PRICES = table_files.read(
    "prices",
    {
        "connection": "erp",
        "kind": "prices",
        "shop": "shop",
        "sku": "sku",
        "fields": [{"to": "price", "from": "price", "type": "price", "currency": "'EUR'", "required": True}],
    },
)
STOCK = table_files.read(
    "stock",
    {
        "connection": "erp",
        "kind": "stock",
        "shop": "shop",
        "sku": "sku",
        "fields": [{"to": "field_stock", "from": "on_hand", "type": "integer"}],
    },
)


@dataclass
class MemorySource:
    """Records by id; pages by id, as search_after does. `calls` are the asked cursors; `fails` raise in turn."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    page: int = 3
    calls: list[str] = field(default_factory=list)
    fails: list[CallError | None] = field(default_factory=list)
    http: Any = field(default_factory=lambda: SimpleNamespace(close=lambda: None))

    def put(self, source_id: str, **record: Any) -> None:
        self.records[source_id] = record
        self.changed.add(source_id)

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        self.calls.append(cursor)
        error = self.fails.pop(0) if self.fails else None
        if error is not None:
            raise error
        ids = sorted(i for i in self.records if i > cursor and (since is None or i in self.changed))
        chosen = ids[: self.page]
        records = tuple(Record(i, json.dumps(self.records[i]).encode()) for i in chosen)
        return Page(records, chosen[-1] if len(ids) > self.page else "")

    def decode_record(self, kind: str, raw: bytes) -> Any:
        try:
            return json.loads(raw, parse_float=Decimal)
        except ValueError:
            raise Unreadable("no JSON") from None


@dataclass
class MemoryShop:
    """Products and variations by key; what it was sent, and what it is to refuse."""

    LANE: ClassVar[str] = "orders"

    products: dict[str, dict[str, Any]] = field(default_factory=dict)
    variations: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: list[list[str]] = field(default_factory=list)
    away: int = 0
    locked: bool = False
    refuses: dict[str, str] = field(default_factory=dict)
    during: Any = None
    http: Any = field(default_factory=lambda: SimpleNamespace(close=lambda: None))

    def write_items(self, writes: Sequence[Write]) -> list[Written]:
        self.sent.append([f"{write.kind} {write.key}" for write in writes])
        if self.locked:
            raise Unauthorized("HTTP 401: the key is not known", status=401)
        if self.away:
            self.away -= 1
            raise Transient("away")
        if self.during is not None:
            self.during, during = None, self.during
            during()
        return [self._write(write) for write in writes]

    def _write(self, write: Write) -> Written:
        if write.key in self.refuses:
            return Written(error=Rejected(self.refuses[write.key], field="attributes/price"))
        there = self.products if write.kind == "product" else self.variations
        if write.key not in there and not write.makes:
            return Written(status="absent") if write.is_gone else Written(error=Rejected(NOT_THERE))
        if write.kind == "variation" and write.makes and write.parent not in self.products:
            return Written(error=Transient("its product is not there"))
        values = {"status": False} if write.is_gone else {**write.fields, "status": True}
        there[write.key] = {**there.get(write.key, {}), **values}
        return Written(f"id-{write.key}", status="written")


def runtime_with(database_url: str, connectors: dict[str, Any], **changes: Any) -> Runtime:
    """A runtime whose connectors are these."""
    connections = {name: Connection(name, "demo_erp", "http://127.0.0.1:9", **changes.get(name, {})) for name in ("pim", "erp", "shop")}
    made = Runtime(settings(database_url, connections, {}, keys=(secret(new_key()),)), ring=lambda *_: None, seed=1)
    made._connectors.update(connectors)
    made.feeds = {(t.connection, t.kind): Feed(t.connection, t.kind, t, connectors.get(t.connection)) for t in (CATALOG, PRICES, STOCK)}
    return made


def feed_of(runtime: Runtime, table: tables.Table) -> Feed:
    return Feed(table.connection, table.kind, table, runtime.connector(table.connection))
