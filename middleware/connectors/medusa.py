"""Medusa over its REST admin API: variants, all of their prices, their stock by location, categories and price lists.

https://docs.medusajs.com/api/admin

Its lists are paged by number and sorted by id (`middleware.wire.offsets`). A delta of products has two parts: the variants that
changed, then all variants of the products that did. The prices of price lists are read at the beginning of a pull of prices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from marshmallow import ValidationError

from mappings import medusa as words
from mappings.fields import field_names
from middleware.connectors._http import Http, Reply
from middleware.errors import Rejected, Transient, Unreadable
from middleware.ports import Blob, Page, Record
from middleware.settings import Connection
from middleware.wire.media import fetch_own
from middleware.wire.medusa import Admin, PriceBook, identity, price_book
from middleware.wire.offsets import Listed, Place, packed, read_page, resumed
from middleware.wire.steady import steady

_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode
_ENCODE = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode
Only = Sequence[tuple[str, str]]


class Connector:
    """Plays list_records, decode_record, fetch_record, fetch_media. A variant and its prices and stock are known by the variant's
    id: a SKU may change. `raw` is what was asked for, in an order of our own; no `updated_at` is in it."""

    SYSTEM = "medusa"
    LANE = "catalog"
    PROOF = "real system (Medusa 2.21.2)"
    API_VERSION = "admin API of Medusa 2 (2.12.3 or later)"
    CREDENTIALS: Mapping[str, str] = {
        "api_key": "secret API key",
        "password": "password of the user `email`, in place of an API key",
    }
    CREDENTIAL_OF: Mapping[str, str] = {"email": "password"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "email": (str, "", "email of the user; empty: an API key"),
        "page": (int, 100, "records of a page, 2 to 1000"),
        "list_prices": (int, 200_000, "prices of price lists that may be held while prices are read"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """Raises ValueError for options that cannot be."""
        self.connection = connection
        self.http = http
        option: dict[str, Any] = connection.chosen(self.OPTIONS)
        if not 2 <= option["page"] <= 1000:
            raise ValueError("options.page must be 2 to 1000")
        self._size, self._most = option["page"], option["list_prices"]
        self._admin = Admin(self._request, connection, email=option["email"])
        self._book: PriceBook | None = None

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """A page of one of `words.FEEDS`; only products have a delta. Raises what `Http.request` raises, and `Rejected` for what is
        no list."""
        feed, place = _feed(kind), resumed(cursor)
        is_delta = since is not None and feed.has_changes
        if place.stage > is_delta:
            raise Rejected("the cursor is none of this feed's", field="cursor")
        only = [("updated_at[$gte]", words.changed_from(since))] if since and is_delta else []
        if kind == "prices" and (not cursor or self._book is None):
            self._book = price_book(self._admin, self._most)
        if place.stage:
            records, following = self._variants_of_products(kind, only, place)
        else:
            records, following = read_page(lambda skip, take: self._listed(kind, only, skip, take), place, self._size)
        if following is None and is_delta and not place.stage:
            following = Place(stage=1)
        if following is None:
            self._book = None
        return Page(records, packed(following))

    def decode_record(self, kind: str, raw: bytes) -> dict[str, Any]:
        """Pure; raises `Unreadable` with the names of the fields at fault."""
        if kind not in words.DECODERS:
            raise Unreadable(f"Medusa has no feed {kind!r}")
        try:
            return words.DECODERS[kind](_DECODE(raw))
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None
        except (ValueError, RecursionError):
            raise Unreadable("the record is not JSON") from None

    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        """The record by its id, or None when Medusa has none of that id. Of prices, all price lists are read for it."""
        found, total = self._admin.listed(_feed(kind), [("id", source_id)], 0, 2)
        if not found and not total:
            return None
        if [identity(one) for one in found] != [source_id]:
            raise Transient("the answer is about another record than the one asked for")
        book = price_book(self._admin, self._most) if kind == "prices" else None
        return _record(found[0], book)

    def fetch_media(self, reference: str) -> Blob:
        """The file at an image's address, which must lie below the connection's own address."""
        return fetch_own(self._request, self.connection.base_url, reference)

    def _request(self, method: str, path: str, **given: Any) -> Reply:
        return self.http.request(method, path, **given)

    def _variants_of_products(self, kind: str, only: Only, place: Place) -> tuple[tuple[Record, ...], Place | None]:
        """All variants of the products that changed, and where the list of those goes on."""
        variants: dict[str, list[str]] = {}

        def read(skip: int, take: int) -> Listed:
            items, total = self._admin.listed(words.CHANGED_PRODUCTS, only, skip, take)
            variants.update({identity(item): _ids(item.get("variants")) for item in items})
            return [Record(identity(item), b"") for item in items], total

        products, following = read_page(read, place, self._size)
        ids = [one for product in products for one in variants[product.source_id]]
        batches = [ids[start : start + self._size] for start in range(0, len(ids), self._size)]
        pages = [self._listed(kind, [("id[]", one) for one in batch], 0, len(batch))[0] for batch in batches]
        return tuple(record for page in pages for record in page), following

    def _listed(self, kind: str, only: Only, skip: int, take: int) -> Listed:
        items, total = self._admin.listed(_feed(kind), only, skip, take)
        return [_record(item, self._book if kind == "prices" else None) for item in items], total


def _feed(kind: str) -> words.Feed:
    if kind not in words.FEEDS:
        raise Rejected(f"Medusa has no feed {kind!r}", field="kind")
    return words.FEEDS[kind]


def _ids(variants: Any) -> list[str]:
    if not isinstance(variants, list):
        raise Rejected("a product without its variants", field="variants")
    return [identity(one) for one in variants]


def _record(item: Mapping[str, Any], book: PriceBook | None) -> Record:
    return Record(identity(item), _ENCODE(book.record(item) if book else steady(item, words.ORDERS)))
