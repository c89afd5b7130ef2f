"""Pimcore over DataHub's GraphQL: the objects of a class as products, those of another as categories, assets as files.

A listing pages by an offset, which a change shifts; so every page asks for the ids above the last one instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from marshmallow import ValidationError

from mappings import pimcore as words
from mappings.fields import field_names
from mappings.pimcore import NAME, Json, Reading
from middleware.connectors._http import Http
from middleware.errors import Rejected, Unauthorized, Unreadable
from middleware.ports import Blob, Page, Record
from middleware.settings import Connection
from middleware.wire import pimcore as wire

DEEPEST = 5
"""How many levels of children are followed below an object that changed."""
_NAMES = ("class", "sku", "name", "description", "category_class", "category_field", "category_name")


class Connector:
    """Plays list_records, decode_record, fetch_record, fetch_media. An object is known by its id. One that has children or variants of
    its class is no product itself; a change of it is a change of those below, which inherit from it."""

    SYSTEM = "pimcore"
    LANE = "catalog"
    PROOF = "simulator (facts of DataHub's source and documents)"
    API_VERSION = "DataHub GraphQL (1.7 and later)"
    CREDENTIALS: Mapping[str, str] = {"key": "API key of the DataHub configuration"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "endpoint": (str, "/pimcore-graphql-webservices/{configuration}", "path of the endpoint"),
        "configuration": (str, "", "name of the DataHub configuration"),
        "prefix": (str, "", 'what the columns of objects begin with: "" since Pimcore 11, "o_" before'),
        "class": (str, "Product", "class of the products"),
        "sku": (str, "sku", "its field with the SKU"),
        "name": (str, "name", "its field with the name; empty: none"),
        "description": (str, "description", "its field with the description; empty: none"),
        "languages": (list, [], "languages in which name and description are read too; the fields must be localized"),
        "attributes": (
            dict,
            {},
            'our name → what is read for it, a selection of GraphQL like "color" or "brand { ... on object_Brand { name } }"',
        ),
        "media": (list, [], 'selections of GraphQL with files, like "image { id fullpath }" or "gallery { image { id fullpath } }"'),
        "category_class": (str, "", "class of the categories; empty: none are read"),
        "category_field": (str, "categories", "field of the products that leads to their categories"),
        "category_name": (str, "name", "field with a category's name"),
        "unpublished": (bool, True, 'whether unpublished objects are read, as inactive; the schema must have the column "published"'),
        "page": (int, 100, "objects of a page"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """Raises ValueError for an option that cannot stand in a query."""
        self.connection = connection
        self.http = http
        self._option: dict[str, Any] = connection.chosen(self.OPTIONS)
        option = self._option
        for name in _NAMES:
            if (option[name] or name in ("class", "sku")) and not NAME.fullmatch(option[name]):
                raise ValueError(f"options.{name} must be a name of GraphQL")
        if option["page"] < 1:
            raise ValueError("options.page must be at least 1")
        if option["prefix"] not in ("", "o_"):
            raise ValueError('options.prefix must be "" or "o_"')
        if not all(isinstance(one, str) and one.replace("_", "").replace("-", "").isalnum() for one in option["languages"]):
            raise ValueError("options.languages must be codes of languages")
        self._readings = dict(self._reading())

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """A page of products or categories: everything, or what changed since, with all below it. Raises what `Http.request` raises,
        `Rejected` for a query that DataHub refuses and for an answer that is no listing, `Transient` for an error that it hides."""
        reading = self._read_as(kind)
        if not (cursor or "0").isdecimal():
            raise Rejected("the cursor is none of this feed's", field="cursor")
        after = int(cursor or 0)
        wanted: Json = {f"{self._option['prefix']}id": {"$gt": str(after)}}
        if since:
            wanted[f"{self._option['prefix']}modificationDate"] = {"$gte": str(int(since.timestamp()))}
        nodes, total = self._ask(reading, above=after, filter=json.dumps(wanted))
        is_last = total <= self._option["page"]
        if not nodes and not is_last:
            raise Rejected("a whole page of objects may not be read", field="workspaces")
        try:
            following = "" if is_last else str(words.number_of(nodes[-1]))
            found = self._with_those_below(reading, nodes) if since and kind == "products" else nodes
            return Page(self._records(kind, reading, found), following)
        except (TypeError, LookupError, ValueError, AttributeError) as error:
            raise Rejected("an object is not of the expected form", field=kind) from error

    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        """None when the listing has no such object, or when it has children now, so that it is no product."""
        reading = self._read_as(kind)
        if not (source_id.isascii() and source_id.isdecimal()):
            return None
        nodes, total = self._ask(reading, ids=source_id)
        if total and not nodes:
            raise Rejected("the object may not be read", field="workspaces")
        try:
            return next(iter(self._records(kind, reading, nodes)), None)
        except (TypeError, LookupError, ValueError, AttributeError) as error:
            raise Rejected("an object is not of the expected form", field=kind) from error

    def fetch_media(self, reference: str) -> Blob:
        """The asset that a record's `media` names, by the id before its path. The configuration must let assets be read."""
        number = reference.partition("/")[0]
        if not (number.isascii() and number.isdecimal()):
            raise Rejected("the reference does not begin with an id", field=reference[:200])
        asked = "query($id: Int) { getAsset(id: $id) { mimetype data } }"
        return wire.blob(self._post(asked, {"id": int(number)}), reference)

    def decode_record(self, kind: str, raw: bytes) -> Any:
        """Raises `Unreadable` with the names of the fields at fault."""
        try:
            record = wire.decoded(raw)
            return words.category(record) if kind == "categories" else words.product(record)
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None
        except (ValueError, RecursionError):
            raise Unreadable("the record is not JSON") from None

    def _reading(self) -> list[tuple[str, Reading]]:
        option = self._option
        category, related = option["category_class"], option["category_field"]
        common: dict[str, Any] = {"languages": option["languages"], "unpublished": option["unpublished"]}
        names = {word: option[word] for word in ("sku", "name", "description")}
        linked = (related, category) if category and related else None
        products = Reading(option["class"], names, attributes=option["attributes"], media=option["media"], categories=linked, **common)
        categories = [("categories", Reading(category, {"name": option["category_name"]}, **common))] if category else []
        return [("products", products), *categories]

    def _read_as(self, kind: str) -> Reading:
        if kind not in self._readings:
            raise Rejected(f"Pimcore has no feed {kind!r}, or no option names its class", field="kind")
        return self._readings[kind]

    def _with_those_below(self, reading: Reading, nodes: list[Json]) -> list[Json]:
        """These objects and all below them, each once."""
        found = {words.number_of(node): node for node in nodes}
        level = nodes
        for _ in range(DEEPEST):
            wanted = sorted({child for node in level for child in words.children_of(node)} - found.keys())
            if not wanted:
                return list(found.values())
            level, size = [], self._option["page"]
            for start in range(0, len(wanted), size):
                level += self._ask(reading, ids=",".join(map(str, wanted[start : start + size])))[0]
            found |= {words.number_of(node): node for node in level}
        raise Rejected(f"objects are nested more than {DEEPEST} deep", field="children")

    def _records(self, kind: str, reading: Reading, nodes: list[Json]) -> tuple[Record, ...]:
        kept = nodes if kind == "categories" else [node for node in nodes if not words.children_of(node)]
        return tuple(Record(str(words.number_of(node)), wire.canonical(words.shaped(node, reading))) for node in kept)

    def _ask(self, reading: Reading, *, above: int = 0, **wanted: str) -> tuple[list[Json], int]:
        query = words.query(reading).replace("{sort}", f"{self._option['prefix']}id")
        return wire.page(self._post(query, {"first": self._option["page"], **wanted}), above)

    def _post(self, query: str, variables: Json) -> bytes:
        key = self.connection.credentials.get("key")
        if key is None:
            raise Unauthorized("the connection has no key", field="key")
        path = self._option["endpoint"].replace("{configuration}", quote(self._option["configuration"], safe=""))
        headers = {"X-API-Key": key.reveal()}
        return self.http.request("POST", path, json={"query": query, "variables": variables}, headers=headers, safe=True).body
