"""ERPNext's lists as feeds: read by name, so that what is inserted or changed meanwhile shifts no page; and its webhooks' signature.

A delta reads the items that changed, then what else names an item that changed: item prices, bins, templates. A change of a price
list or of a pricing rule changes every price. Lists: https://docs.frappe.io/framework/user/en/api/rest#listing-documents
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from urllib.parse import quote

import msgspec

from mappings import erpnext as words
from mappings import erpnext_prices as prices
from middleware.errors import Rejected, SignatureRefused
from middleware.ports import Inbound, Page, Record

SIGNATURE = "x-frappe-webhook-signature"
ALL = 500
"""Rows of what belongs to a page's items that are read at once."""
NAMES = 3000
"""Characters of names that one address may hold."""
_ENCODE = msgspec.json.Encoder(order="sorted", decimal_format="number").encode

Ask = Callable[..., list[dict[str, Any]]]
"""`ask(doctype, fields, filters, size=, parent=)` of the connector: rows by name, at most `size`."""
Rows = list[dict[str, Any]]


class Place(msgspec.Struct, omit_defaults=True):
    """Where a feed is read on: `stage` is "all", "changed", or "through" (item prices, bins, templates); `within` is the last
    variant that was read of `template`, the one after `last`."""

    stage: str
    last: str = ""
    template: str = ""
    within: str = ""


@dataclass(slots=True)
class Feeds:
    """The feeds of one site. Empty `price_lists` and `warehouses` are all."""

    ask: Ask
    zone: tzinfo
    page: int
    price_lists: Sequence[str] = ()
    warehouses: Sequence[str] = ()
    attributes: Sequence[str] = ()
    customer_prices: bool = False
    pricing_rules: bool = False

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """A page of `words.FEEDS`. Raises `Rejected` for another kind, and what `Http.request` raises."""
        feed = _feed(kind)
        place = _resumed(cursor) if cursor else self._start(feed, since)
        if since and place.stage == "through" and feed.through:
            found, following = self._through(feed, feed.through, since, place)
        else:
            changes = [words.modified_since(since, self.zone)] if since and place.stage == "changed" else []
            found = self._read(feed, [*changes, ["name", ">", place.last]])
            following = Place(place.stage, found[-1]["name"]) if len(found) == self.page else None
            if not following and place.stage == "changed" and feed.through:
                following = Place("through")
        return Page(self._records(kind, found), msgspec.json.encode(following).decode() if following else "")

    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        """A record by its name; None when a list of what has that name is empty (deleted, renamed, or no longer for sale)."""
        feed = _feed(kind)
        if not source_id:
            raise Rejected("the id is none of ERPNext's", field="source_id")
        return next(iter(self._records(kind, self._read(feed, [["name", "=", source_id]]))), None)

    def _start(self, feed: words.Feed, since: datetime | None) -> Place:
        if since is None:
            return Place("all")
        change = words.modified_since(since, self.zone)
        whole = [doctype for doctype in feed.whole if doctype != "Pricing Rule" or self.pricing_rules]
        return Place("all" if any(self.ask(doctype, ("name",), [change], size=1) for doctype in whole) else "changed")

    def _read(self, feed: words.Feed, filters: list[Any]) -> Rows:
        fields = (*feed.fields, *self.attributes) if feed is words.FEEDS["products"] else feed.fields
        return self.ask(feed.doctype, fields, [*feed.filters, *filters], size=self.page)

    def _through(self, feed: words.Feed, through: words.Through, since: datetime, place: Place) -> tuple[Rows, Place | None]:
        filters = [*through.filters, words.modified_since(since, self.zone), ["name", ">", place.last]]
        if through.is_template:
            return self._variants(feed, self.ask(through.doctype, ("name",), filters, size=1), place)
        rows = self.ask(through.doctype, ("name", through.field), filters, size=self.page)
        named = sorted({str(row[through.field]) for row in rows})
        found = [row for names in _portions(named) for row in self._read(feed, [["name", "in", names]])]
        return found, Place("through", rows[-1]["name"]) if len(rows) == self.page else None

    def _variants(self, feed: words.Feed, templates: Rows, place: Place) -> tuple[Rows, Place | None]:
        """The variants of the next template, a page at a time."""
        if not templates:
            return [], None
        name = templates[0]["name"]
        within = place.within if name == place.template else ""
        found = self._read(feed, [["variant_of", "=", name], ["name", ">", within]])
        if len(found) == self.page:
            return found, Place("through", place.last, name, found[-1]["name"])
        return found, Place("through", name)

    def _records(self, kind: str, found: Rows) -> tuple[Record, ...]:
        """Each in one canonical writing, with what belongs to it."""
        if kind in ("products", "prices", "stock") and found:
            {"products": self._add_words, "prices": self._add_prices, "stock": self._add_bins}[kind](found)
        return tuple(Record(one["name"], _ENCODE(one)) for one in found)

    def _add_words(self, items: Rows) -> None:
        templates = {one["name"]: one for one in self._of("Item", "name", words.TEMPLATE, [str(one["variant_of"] or "") for one in items])}
        names = [one["name"] for one in items]
        values = _by(self._of("Item Variant Attribute", "parent", ("attribute", "attribute_value", "idx"), names, parent="Item"), "parent")
        barcodes = _by(self._of("Item Barcode", "parent", ("barcode", "barcode_type", "idx"), names, parent="Item"), "parent")
        for one in items:
            one["template"] = templates.get(one["variant_of"] or "")
            one["variant_attributes"] = _in_order(values.get(one["name"], []))
            one["barcodes"] = _in_order(barcodes.get(one["name"], []))

    def _add_prices(self, items: Rows) -> None:
        enabled = {one["name"] for one in self._all("Price List", ("name", "enabled"), [words.SELLING, ["enabled", "=", 1]])}
        wanted = enabled & set(self.price_lists) if self.price_lists else enabled
        filters = [words.SELLING, ["batch_no", "is", "not set"], *([] if self.customer_prices else [["customer", "is", "not set"]])]
        names = [one["item_code"] for one in items]
        rows = [row for row in self._of("Item Price", "item_code", prices.PRICE, names, filters) if row["price_list"] in wanted]
        found, ruled = _by(rows, "item_code"), self._rules(names) if self.pricing_rules else {}
        for one in items:
            one["prices"] = found.get(one["item_code"], [])
            one["rules"] = ruled.get(one["item_code"], [])

    def _rules(self, names: Sequence[str]) -> dict[Any, Rows]:
        """Pricing rules by the item that they are for."""
        lines = self._of("Pricing Rule Item Code", "item_code", ("parent", "uom"), names, parent="Pricing Rule")
        rules = {
            one["name"]: one
            for one in self._of("Pricing Rule", "name", prices.RULE, [str(one["parent"]) for one in lines], prices.FIXED_RATES)
        }
        return _by(
            [{**rules[one["parent"]], "uom": one["uom"], "item_code": one["item_code"]} for one in lines if one["parent"] in rules],
            "item_code",
        )

    def _add_bins(self, items: Rows) -> None:
        filters = [["warehouse", "in", list(self.warehouses)]] if self.warehouses else []
        bins = _by(self._of("Bin", "item_code", words.BIN, [one["item_code"] for one in items], filters), "item_code")
        for one in items:
            one["bins"] = bins.get(one["item_code"], [])

    def _of(
        self, doctype: str, field: str, fields: Sequence[str], names: Sequence[str], filters: Sequence[Any] = (), *, parent: str = ""
    ) -> Rows:
        """Every document of a type whose `field` is one of the names. `parent` is the type that a child table belongs to."""
        read = tuple(dict.fromkeys(("name", field, *fields)))
        wanted = sorted({name for name in names if name})
        return [row for part in _portions(wanted) for row in self._all(doctype, read, [*filters, [field, "in", part]], parent=parent)]

    def _all(self, doctype: str, fields: Sequence[str], filters: list[Any], *, parent: str = "") -> Rows:
        found: Rows = []
        last, more = "", True
        while more:
            rows = self.ask(doctype, fields, [*filters, ["name", ">", last]], size=ALL, parent=parent)
            found += rows
            last, more = rows[-1]["name"] if rows else "", len(rows) == ALL
        return found


def verify(request: Inbound, secrets: Sequence[bytes]) -> int:
    """Which of the secrets signed the raw body; raises `SignatureRefused`. There is no timestamp in it.
    https://docs.frappe.io/framework/user/en/guides/integration/webhooks"""
    given = request.headers.get(SIGNATURE, "").encode("latin-1", "replace")
    if not given:
        raise SignatureRefused("there is no signature header")
    for index, secret in enumerate(secrets):
        if hmac.compare_digest(signature(secret, request.body).encode(), given):
            return index
    raise SignatureRefused("no signature matches" if secrets else "the connection has no secret")


def signature(secret: bytes, body: bytes) -> str:
    """What Frappe puts into its header for a body."""
    return base64.b64encode(hmac.digest(secret, body, "sha256")).decode()


def _feed(kind: str) -> words.Feed:
    if kind not in words.FEEDS:
        raise Rejected(f"ERPNext has no feed {kind!r}", field="kind")
    return words.FEEDS[kind]


def _resumed(cursor: str) -> Place:
    try:
        return msgspec.json.decode(cursor, type=Place)
    except ValueError as error:
        raise Rejected("the cursor is none of this feed's", field="cursor") from error


def _by(rows: Rows, field: str) -> dict[Any, Rows]:
    found: dict[Any, Rows] = {}
    for row in rows:
        found.setdefault(row[field], []).append(row)
    return found


def _in_order(rows: Rows) -> Rows:
    """Rows of a child table in their own order."""
    return sorted(rows, key=lambda row: row["idx"])


def _portions(names: Sequence[str]) -> Iterator[list[str]]:
    """Names in as many lists as addresses need."""
    portion: list[str] = []
    length = 0
    for name in names:
        size = len(quote(name)) + 9  # quotes, comma and space, escaped
        if portion and length + size > NAMES:
            yield portion
            portion, length = [], 0
        portion.append(name)
        length += size
    if portion:
        yield portion
