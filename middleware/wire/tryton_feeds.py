"""Tryton's products, prices and stock as feeds, read by id: what is inserted or changed meanwhile shifts no page.

A delta reads what changed by its own dates, then what a line of a price list or a stock move says has changed. A price list that
changed, or a line of it that is for many products, changes every product's prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from marshmallow import ValidationError

from mappings import tryton_feeds as words
from mappings.fields import field_names
from middleware.errors import Rejected
from middleware.ports import Page, Record
from middleware.wire.tryton import Rest
from middleware.wire.tryton_prices import DATES, LISTS, PriceLists

INACTIVE_TOO = {"active_test": False}
MOVES = 1000
"""Open stock moves that are read at once."""
_ENCODE = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


class Place(msgspec.Struct, omit_defaults=True):
    """Where a feed is read on: `stage` is "all", "changed", or "through" (lines of price lists, stock moves)."""

    stage: str
    last: int = 0


@dataclass(slots=True)
class Feeds:
    """The feeds of one company. `warehouses` are the codes of those that count (empty: all), `language` is that of the words,
    `languages` those whose words are read besides, `attributes` the paths of further fields of products."""

    rest: Rest
    company: int
    page: int
    warehouses: Sequence[str] = ()
    language: str = "en"
    languages: Sequence[str] = ()
    attributes: Sequence[str] = ()

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """A page of `words.FEEDS`. Raises `Rejected` for another kind, and what `Http.request` raises."""
        feed = _feed(kind)
        if feed.module and not feed.through and not self._modules(feed.module):
            raise Rejected(f"the module {feed.module} is not active in Tryton", field="kind")
        place = _resumed(cursor) if cursor else self._start(feed, kind, since)
        changes = words.changed(feed.changes, since) if since and place.stage == "changed" else []
        if since and place.stage == "through":
            rows, found = self._through(feed, since, place.last)
        else:
            rows = found = self._read(feed, [*([changes] if changes else []), ["id", ">", place.last]])
        if len(rows) == self.page:
            following: Place | None = Place(place.stage, rows[-1]["id"])
        else:
            following = Place("through") if place.stage == "changed" and self._goes_through(feed) else None
        return Page(self._records(kind, found), msgspec.json.encode(following).decode() if following else "")

    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        """A record by its id; None when a search for that id finds nothing (deleted, or no longer for sale)."""
        feed = _feed(kind)
        if not source_id.isascii() or not source_id.isdigit():
            raise Rejected("the id is none of Tryton's", field="source_id")
        return next(iter(self._records(kind, self._read(feed, [["id", "=", int(source_id)]]))), None)

    def _start(self, feed: words.Feed, kind: str, since: datetime | None) -> Place:
        if since is None or (
            kind == "prices" and self._goes_through(feed) and PriceLists(self.rest, self.company, self.language).changed(since)
        ):
            return Place("all")
        return Place("changed")

    def _goes_through(self, feed: words.Feed) -> bool:
        return bool(feed.through) and (not feed.module or bool(self._modules(feed.module)))

    def _modules(self, *names: str) -> set[str]:
        """Which of some modules are active."""
        domain = [["name", "in", list(names)], ["state", "=", "activated"]]
        return {str(one["name"]) for one in self.rest.read("ir.module", domain, ("name",))}

    def _through(self, feed: words.Feed, since: datetime, last: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """What changed and names a product, and the products that it names."""
        domain = [words.changed(("",), since), ["product", "!=", None], ["id", ">", last]]
        rows = self.rest.read(feed.through, domain, ("product",), size=self.page, context=INACTIVE_TOO)
        named = sorted({row["product"] for row in rows if isinstance(row["product"], int)})
        return rows, self._read(feed, [["id", "in", named]]) if named else []

    def _read(self, feed: words.Feed, domain: list[Any], *, language: str = "") -> list[dict[str, Any]]:
        fields = (*feed.fields, *self.attributes) if feed is words.FEEDS["products"] else feed.fields
        wanted = [*feed.domain, *domain, *self._of_company(feed)]
        return self.rest.read(feed.model, wanted, fields, size=self.page, context=INACTIVE_TOO, language=language or self.language)

    def _of_company(self, feed: words.Feed) -> list[Any]:
        return [["company", "=", self.company]] if feed.model == "product.price_list" else []

    def _records(self, kind: str, found: list[dict[str, Any]]) -> tuple[Record, ...]:
        """Each in one canonical writing: Tryton gives the fields of a record in any order."""
        if not found:
            return ()
        try:
            if kind == "prices":
                found = PriceLists(self.rest, self.company, self.language).priced(found, self._modules(LISTS, DATES))
            elif kind == "stock":
                found = self._levels(found)
            else:
                self._translate(kind, found)
        except ValidationError as error:
            raise Rejected("; ".join(field_names(error.messages)), field=kind) from None
        return tuple(Record(str(one["id"]), _ENCODE(_ordered(one))) for one in found)

    def _translate(self, kind: str, found: list[dict[str, Any]]) -> None:
        ids = [one["id"] for one in found]
        for one in found:
            one["translations"] = {}
        for language in self.languages:
            there = {one["id"]: one for one in self._read(words.FEEDS[kind], [["id", "in", ids]], language=language)}
            for one in found:
                if one["id"] in there:
                    one["translations"][language] = words.translated(there[one["id"]])

    def _levels(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Quantities by warehouse: on hand, forecast with everything that is planned, and reserved by what is yet to leave."""
        made = {one["id"]: {"id": one["id"], "code": one["code"], "factors": words.factors(one), "warehouses": {}} for one in found}
        ids = list(made)
        for code, warehouse in self._warehouses().items():
            reserved = self._reserved(warehouse, ids)
            context = INACTIVE_TOO | {"locations": [warehouse]}
            levels = self.rest.read("product.product", [["id", "in", ids]], ("quantity", "forecast_quantity"), context=context)
            for one in levels:
                made[one["id"]]["warehouses"][code] = {
                    "quantity": one["quantity"],
                    "forecast": one["forecast_quantity"],
                    "reserved": reserved.get(one["id"], Decimal(0)),
                }
        return list(made.values())

    def _warehouses(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for one in self.rest.read("stock.location", [["type", "=", "warehouse"]], ("code",)):
            if found.setdefault(words.code_of(one), one["id"]) != one["id"]:
                raise Rejected("several warehouses in Tryton have the same code", field="warehouses")
        unknown = [code for code in self.warehouses if code not in found]
        if unknown:
            raise Rejected(f"no warehouse in Tryton has the code {unknown[0]!r}", field="warehouses")
        return {code: found[code] for code in self.warehouses or found}

    def _reserved(self, warehouse: int, products: list[int]) -> dict[int, Decimal]:
        """What open moves will take out of a warehouse, by product, in its default unit."""
        domain = [
            ["product", "in", products],
            ["company", "=", self.company],
            ["state", "in", ["draft", "assigned"]],
            ["from_location", "child_of", [warehouse], "parent"],
            ["to_location", "not child_of", [warehouse], "parent"],
        ]
        found: dict[int, Decimal] = {}
        last, more = 0, True
        while more:
            after = ["id", ">", last]
            moves = self.rest.read("stock.move", [*domain, after], ("product", "internal_quantity"), size=MOVES)
            for move in moves:
                product, quantity = words.move(move)
                found[product] = found.get(product, Decimal(0)) + quantity
                last = move["id"]
            more = len(moves) == MOVES
        return found


def _feed(kind: str) -> words.Feed:
    if kind not in words.FEEDS:
        raise Rejected(f"Tryton has no feed {kind!r}", field="kind")
    return words.FEEDS[kind]


def _resumed(cursor: str) -> Place:
    try:
        return msgspec.json.decode(cursor, type=Place)
    except ValueError as error:
        raise Rejected("the cursor is none of this feed's", field="cursor") from error


def _ordered(record: dict[str, Any]) -> dict[str, Any]:
    """Categories have no order of their own."""
    template = record.get("template")
    if isinstance(template, dict) and isinstance(template.get("categories"), list):
        template["categories"].sort(key=_ENCODE)
    return record
