"""A source of several feeds that may break off anywhere, and a shop of every kind of thing that refuses what refers to nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from mappings.table_files import read
from mappings.tables import Table
from mappings.wanted import REFERS, Of, name_of
from middleware.errors import Rejected, Transient, Unreadable
from middleware.feeds.feed import Feed
from middleware.ports import DELETED, NOT_THERE, Page, Record, Write, Written
from middleware.runtime import Runtime
from tests.feeds.world import runtime_with

_HEAD = {"connection": "pim", "shop": "shop", "locales": {"en": ["en"], "de": ["de"]}}
CATEGORIES = read(
    "categories",
    {
        **_HEAD,
        "kind": "categories",
        "of": "term",
        "bundle": "category",
        "key": "code",
        "fields": [
            {"to": "name", "from": "labels", "localized": True, "required": True},
            {"to": "parent", "from": "parent", "type": "reference", "refers": "term/category"},
        ],
    },
)
PRODUCTS = read(
    "products",
    {
        **_HEAD,
        "kind": "products",
        "sku": "sku",
        "product": "product",
        "fields": [
            {"to": "title", "from": "title", "of": "product", "localized": True, "required": True},
            {"to": "field_category", "from": "category", "of": "product", "type": "reference", "refers": "term/category"},
            {"to": "attribute_color", "from": "color", "type": "reference", "refers": "attribute_value/color", "create": True},
        ],
    },
)
PRICES = read(
    "prices",
    {
        "connection": "erp",
        "kind": "prices",
        "shop": "shop",
        "sku": "sku",
        "fields": [{"to": "price", "from": "plain_price(prices).amount", "type": "price", "currency": "'EUR'"}],
        "price_lists": {"from": "prices"},
    },
)
TABLES = (CATEGORIES, PRODUCTS, PRICES)


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Source:
    """Records of each kind by id, paged by id. What was changed is a delta; `dies_after` pages the process is killed."""

    records: dict[str, dict[str, bytes]] = field(default_factory=dict)
    changed: dict[str, set[str]] = field(default_factory=dict)
    page: int = 2
    http: Any = field(default_factory=lambda: SimpleNamespace(close=lambda: None))

    def put(self, kind: str, source_id: str, record: Any) -> None:
        raw = record if isinstance(record, bytes) else json.dumps(record, sort_keys=True).encode()
        self.records.setdefault(kind, {})[source_id] = raw
        self.changed.setdefault(kind, set()).add(source_id)

    def drop(self, kind: str, source_id: str) -> None:
        self.records.get(kind, {}).pop(source_id, None)

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        there, changed = self.records.get(kind, {}), self.changed.get(kind, set())
        ids = sorted(one for one in there if one > cursor and (since is None or one in changed))
        chosen = ids[: self.page]
        return Page(tuple(Record(one, there[one]) for one in chosen), chosen[-1] if len(ids) > self.page else "")

    def decode_record(self, kind: str, raw: bytes) -> Any:
        try:
            return json.loads(raw, parse_float=Decimal)
        except (ValueError, RecursionError):
            raise Unreadable("the record is not JSON") from None


@dataclass
class AskedSource(Source):
    """It can be asked by id."""

    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        raw = self.records.get(kind, {}).get(source_id)
        return Record(source_id, raw) if raw is not None else None


@dataclass
class Shop:
    """Things by id; an id is always the same for one thing. `dies_at` counts down with each write: at 0 the process is killed right
    after it had its effect."""

    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: int = 0
    dies_at: int | None = None
    problems: list[str] = field(default_factory=list)
    http: Any = field(default_factory=lambda: SimpleNamespace(close=lambda: None))

    def write_items(self, writes: Sequence[Write]) -> list[Written]:
        return [self._write(write) for write in writes]

    def _write(self, write: Write) -> Written:
        answer = self._answer(write)
        self.writes += 1
        if self.dies_at is not None:
            self.dies_at -= 1
            if self.dies_at <= 0:
                self.dies_at = None
                raise Killed
        return answer

    def _answer(self, write: Write) -> Written:
        name = name_of(write.kind, write.key)
        there = self.things.get(name)
        if write.is_gone:
            return self._end(write, name)
        if there is None and not write.makes:
            return Written(error=Rejected(NOT_THERE))
        if write.kind == Of.VARIATION and write.makes and f"product/{write.parent}" not in self.things:
            return Written(error=Transient("its product is not there"))
        fields = {key: self._stored(write, value) for key, value in write.fields.items()}
        self.things[name] = {**(there or {}), **fields, "status": True}
        return Written(f"id:{name}", status="written")

    def _end(self, write: Write, name: str) -> Written:
        if write.on_gone == "delete":
            self.things.pop(name, None)
            return Written(status=DELETED)
        if write.on_gone != "keep" and name in self.things:
            self.things[name]["status"] = False
        return Written(f"id:{name}" if name in self.things else "", status="ended")

    def _stored(self, write: Write, value: Any) -> Any:
        if not isinstance(value, Mapping) or REFERS not in value:
            return value
        for name in value[REFERS]:
            if write.targets[name].remote_id != f"id:{name}" or name not in self.things:
                self.problems.append(f"{write.key} refers to {name}, which is not there")
        return list(value[REFERS])


def runtime_for(url: str, pim: Source, erp: Source, shop: Any, **settings: Any) -> Runtime:
    """A runtime with these systems and the tables of every kind; `settings` are of both sources."""
    runtime = runtime_with(url, {"pim": pim, "erp": erp, "shop": shop}, **{"pim": settings, "erp": settings})
    systems = {"pim": pim, "erp": erp}
    runtime.__dict__["feeds"] = {(t.connection, t.kind): _feed(t, systems) for t in TABLES}
    return runtime


def _feed(table: Table, systems: Mapping[str, Source]) -> Feed:
    return Feed(table.connection, table.kind, table, systems[table.connection])


def alive(shop: Shop, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Published things of a kind."""
    for name, one in sorted(shop.things.items()):
        if name.startswith(f"{kind}/") and one["status"]:
            yield name.partition("/")[2], {key: value for key, value in one.items() if key != "status"}
