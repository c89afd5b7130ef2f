"""Vendure over its GraphQL admin API: variants, their prices by channel, their stock by location, collections.

https://docs.vendure.io/reference/graphql-api/admin/queries

Its lists are paged by number and sorted by id (`middleware.wire.offsets`). A delta of products has two parts: the variants that
changed, then all variants of the products that did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from marshmallow import ValidationError

from mappings import vendure as words
from mappings import vendure_queries as queries
from mappings.fields import field_names
from middleware.connectors._http import Http, Reply
from middleware.errors import Rejected, Transient, Unreadable
from middleware.ports import Blob, Page, Record
from middleware.settings import Connection
from middleware.wire.media import fetch_own
from middleware.wire.offsets import Listed, Place, packed, read_page, read_whole, resumed
from middleware.wire.steady import steady
from middleware.wire.vendure import Questions

_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode
_ENCODE = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode
PRODUCTS_AT_ONCE = 20
"""Products whose variants are asked for together."""


class Connector:
    """Plays list_records, decode_record, fetch_record, fetch_media. A variant and its prices and stock are known by the variant's
    id: a SKU may change. `raw` is what was asked for, in an order of our own; no `updatedAt` is in it."""

    SYSTEM = "vendure"
    LANE = "catalog"
    PROOF = "real system (Vendure 3.7.1)"
    API_VERSION = "admin API of Vendure 3"
    CREDENTIALS: Mapping[str, str] = {
        "password": "password of the administrator `username`",
        "api_key": "API key of an administrator, in place of username and password",
    }
    CREDENTIAL_OF: Mapping[str, str] = {"username": "password"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "username": (str, "", "identifier of the administrator; may read catalog, channels and settings"),
        "path": (str, "/admin-api", "where the admin API lies below base_url"),
        "channel": (str, "", "token of the channel that is read, always whole; empty: the default channel, which has everything"),
        "price_channels": (list, [], "tokens of further channels whose prices are read; a price's `list` is then the channel's code"),
        "page": (int, 100, "records of a page, 2 to 1000, and not more than the server's adminListQueryLimit"),
        "lookback": (
            int,
            0,
            "seconds that a delta begins earlier: a server on PostgreSQL with a clock west of UTC needs its offset (New York: 18000)",
        ),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """Raises ValueError for options that cannot be."""
        self.connection = connection
        self.http = http
        option: dict[str, Any] = connection.chosen(self.OPTIONS)
        if mistake := _mistake(option):
            raise ValueError(mistake)
        self._channel, self._channels, self._size = option["channel"], option["price_channels"], option["page"]
        self._lookback = timedelta(seconds=option["lookback"])
        self._questions = Questions(self._request, connection, path=option["path"], username=option["username"])

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """A page of one of `queries.FEEDS`; stock and categories are always read whole, as is what lies in a channel of its own.
        Raises what `Http.request` raises, and `Rejected` for what is no list."""
        feed, place = _feed(kind), resumed(cursor)
        delta = feed.changes if since and self._has_delta(kind) else ()
        if place.stage >= max(len(delta), 1):
            raise Rejected("the cursor is none of this feed's", field="cursor")
        changed = {"updatedAt": {"after": queries.changed_after(since - self._lookback)}} if since and delta else {}
        if place.stage:
            records, following = self._variants_of_products(kind, changed, place)
        else:
            records, following = read_page(lambda skip, take: self._listed(kind, changed, skip, take), place, self._size)
        if following is None and place.stage + 1 < len(delta):
            following = Place(stage=place.stage + 1)
        return Page(records, packed(following))

    def decode_record(self, kind: str, raw: bytes) -> dict[str, Any]:
        """Pure; raises `Unreadable` with the names of the fields at fault."""
        if kind not in words.DECODERS:
            raise Unreadable(f"Vendure has no feed {kind!r}")
        try:
            return words.DECODERS[kind](_DECODE(raw))
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None
        except (ValueError, RecursionError):
            raise Unreadable("the record is not JSON") from None

    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        """The record by its id, or None when the channel has none of that id."""
        records, total = self._listed(kind, {"id": {"eq": source_id}}, 0, 2)
        if [one.source_id for one in records] == [source_id]:
            return records[0]
        if records or total:
            raise Transient("the answer is about another record than the one asked for")
        return None

    def fetch_media(self, reference: str) -> Blob:
        """The file at an asset's address, which must lie below the connection's own address."""
        return fetch_own(self._request, self.connection.base_url, reference)

    def _request(self, method: str, path: str, **given: Any) -> Reply:
        return self.http.request(method, path, **given)

    def _has_delta(self, kind: str) -> bool:
        """A variant that enters a channel, and the price that it gets there, does not touch its `updatedAt`."""
        return not self._channel and not (kind == "prices" and self._channels)

    def _variants_of_products(self, kind: str, changed: Mapping[str, Any], place: Place) -> tuple[tuple[Record, ...], Place | None]:
        """All variants of the products that changed, and where the list of those goes on."""

        def read(skip: int, take: int) -> Listed:
            items, total, _ = self._asked(queries.PRODUCTS, changed, skip, take)
            return [Record(_id(item), b"") for item in items], total

        products, following = read_page(read, place, min(self._size, PRODUCTS_AT_ONCE))
        wanted = {"productId": {"in": [one.source_id for one in products]}}
        records = read_whole(lambda skip, take: self._listed(kind, wanted, skip, take), self._size) if products else ()
        return tuple(records), following

    def _listed(self, kind: str, only: Mapping[str, Any], skip: int, take: int) -> Listed:
        feed = _feed(kind)
        items, total, data = self._asked(feed, only, skip, take, queries.CHANNEL if kind == "prices" else "")
        if kind == "prices":
            items = self._priced(items, data)
        return [Record(_id(item), _ENCODE(steady(item, words.ORDERS))) for item in items], total

    def _asked(
        self, feed: queries.Feed, only: Mapping[str, Any], skip: int, take: int, besides: str = "", channel: str = ""
    ) -> tuple[Sequence[Any], int, Mapping[str, Any]]:
        options = {"skip": skip, "take": take, "sort": {"id": "ASC"}, "filter": only}
        data = self._questions.ask(queries.listing(feed, besides), {"options": options}, channel or self._channel)
        found = data.get("list")
        items, total = (found.get("items"), found.get("totalItems")) if isinstance(found, Mapping) else (None, None)
        if not isinstance(items, list) or not isinstance(total, int):
            raise Rejected("the answer is no list of records", field=feed.query)
        return items, total, data

    def _priced(self, items: Sequence[Any], data: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The prices of these variants in every channel that is read."""
        feed, ids = queries.FEEDS["prices"], [_id(item) for item in items]
        found = {_id(item): {"id": item["id"], "sku": item.get("sku"), **_terms(data, own=True, prices=item)} for item in items}
        for channel in self._channels if ids else ():
            others, _, terms = self._asked(feed, {"id": {"in": ids}}, 0, len(ids), queries.CHANNEL, channel)
            for item in others:
                if _id(item) in found:
                    found[_id(item)]["channels"].extend(_terms(terms, own=False, prices=item)["channels"])
        return list(found.values())


def _feed(kind: str) -> queries.Feed:
    if kind not in queries.FEEDS:
        raise Rejected(f"Vendure has no feed {kind!r}", field="kind")
    return queries.FEEDS[kind]


def _terms(data: Mapping[str, Any], *, own: bool, prices: Any) -> dict[str, Any]:
    """The prices of one variant in one channel, with what the channel says of them."""
    try:
        precision = words.require(data, "globalSettings", "serverConfig", "moneyStrategyPrecision")
        code = "" if own else words.require(data, "activeChannel", "code")
        tax_included = words.require(data, "activeChannel", "pricesIncludeTax")
    except ValidationError as error:
        raise Rejected("the answer says not how prices are to be read", field="; ".join(field_names(error.messages))) from None
    return {"precision": precision, "channels": [{"code": code, "tax_included": tax_included, "prices": prices.get("prices")}]}


def _id(item: Any) -> str:
    found = item.get("id") if isinstance(item, Mapping) else None
    if not isinstance(found, str) or not found:
        raise Rejected("a record without an id", field="id")
    return found


def _mistake(option: Mapping[str, Any]) -> str:
    if not 2 <= option["page"] <= 1000:
        return "options.page must be 2 to 1000"
    if option["lookback"] < 0:
        return "options.lookback must not be negative"
    if not option["path"].startswith("/"):
        return "options.path must begin with /"
    return "" if all(isinstance(one, str) and one for one in option["price_channels"]) else "options.price_channels must be tokens"
