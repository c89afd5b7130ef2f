"""Dynamics 365 Business Central over its API v2.0: items and their variants, prices and stock as feeds, webhooks as hints.

A list is followed by its own links, which name the last record of a page. A delta reads the items that changed, then those whose
variants, price lines or ledger entries did. What is deleted leaves no trace: the next full pull sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from marshmallow import ValidationError

from mappings import businesscentral as words
from mappings.businesscentral import Json
from mappings.fields import field_names
from middleware.connectors._http import SUCCESS, Http, Reply
from middleware.errors import CallError, Rejected, Unauthorized, Unreadable
from middleware.ports import Delivery, Inbound, Page, Record
from middleware.settings import Connection
from middleware.wire import businesscentral as wire
from middleware.wire.businesscentral import Place
from middleware.wire.oauth2 import ClientCredentials

AT_ONCE = 40
"""How many items one filter names: its request must stay short."""
_READ_HERE = SUCCESS | {401, 404}


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 3600


class Connector:
    """Plays list_records, decode_record, fetch_record, read. An item is known by its id, a variant by `item/variant`; an item with
    variants is only those. `connection.base_url` ends with the environment's name."""

    SYSTEM = "businesscentral"
    LANE = "catalog"
    PROOF = "simulator (facts of the published API)"
    API_VERSION = "API v2.0"
    REFUSAL_STATUS = 429  # after any other refusal the subscription is deleted
    HANDSHAKE = "validationToken"  # asked for when a subscription is made, and when it is renewed
    CREDENTIALS: Mapping[str, str] = {"client_secret": "secret of the application that Microsoft Entra knows"}
    CREDENTIAL_OF: Mapping[str, str] = {"client_id": "client_secret"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "client_id": (str, "", "client id of the application"),
        "tenant": (str, "", "id or domain of the tenant"),
        "token_url": (str, "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token", "where tokens are given"),
        "scope": (str, "https://api.businesscentral.dynamics.com/.default", "scope of the token"),
        "company": (str, "", "id of the company"),
        "currency": (str, "", "the company's own currency, which items do not say"),
        "variant_sku": (str, "{item}-{variant}", "SKU of a variant, from the item's number and the variant's code"),
        "variant_changes": (bool, True, "whether itemVariants tell lastModifiedDateTime; older versions do not"),
        "price_lines": (str, "", "path of a custom API page of price list lines; {company} is replaced"),
        "price_fields": (
            dict,
            {},
            "our word → the page's field, where it is not named as the table names it; the words: " + ", ".join(words.PRICE_FIELDS),
        ),
        "stock_lines": (str, "", "path of a custom API page of stock by location; {company} is replaced"),
        "stock_fields": (dict, {}, "the same for that page; the words: " + ", ".join(words.STOCK_FIELDS)),
        "page": (int, 100, "records of a page, 1 to 20000"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are the clientStates of the subscriptions. Raises ValueError for an option that cannot work."""
        self.connection = connection
        self.http = http
        self._option: dict[str, Any] = connection.chosen(self.OPTIONS)
        if not 1 <= self._option["page"] <= 20_000:
            raise ValueError("options.page must be 1 to 20000: the API gives no more at once")
        if not {"{item}", "{variant}"} <= set(re.findall(r"\{\w+\}", self._option["variant_sku"])):
            raise ValueError("options.variant_sku must hold {item} and {variant}")
        self._price_fields = words.PRICE_FIELDS | self._option["price_fields"]
        self._stock_fields = words.STOCK_FIELDS | self._option["stock_fields"]
        self._secrets = [secret.reveal() for secret in connection.secrets if secret.reveal().strip()]
        self._auth = ClientCredentials(self._fetch_token)

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """A page of products, prices, stock or categories. Raises what `Http.request` raises, and `Rejected` for a page that is none."""
        place = wire.resumed(cursor) if cursor else Place()
        if kind == "categories":
            rows, query = self._read(self._path("itemCategories"), place.query or self._first(since))
            return Page(tuple(map(wire.category, rows)), _cursor(0, query))
        steps = self._steps(kind, since)
        if place.step >= len(steps):
            raise Rejected("the cursor is none of this feed's", field="cursor")
        step = steps[place.step]
        if step == "items":
            rows, query = self._read(self._path(step), place.query or self._first(since, **_asked(kind)))
        else:
            found, query = self._read(self._path(step), place.query or self._first(since, **self._named(step)))
            rows = self._items(kind, *self._about(step, found))
        last = place.step + 1 == len(steps)
        return Page(self._records(kind, rows), _cursor(place.step, query) if query or last else wire.packed(Place(place.step + 1)))

    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        """None when the API does not find the record while it does find others of its list, or when the item has no such variant."""
        asked = {} if kind == "categories" else _asked(kind)
        path = self._path("itemCategories" if kind == "categories" else "items")
        own = source_id.partition("/")[0]
        if not wire.GUID.fullmatch(own):
            return None
        reply = self._get(f"{path}({own})?{urlencode(asked)}")
        if reply.status == 404:
            self._read(path, urlencode({"$top": 1, "$select": "id"}))  # raises when it is the company that is not found
            return None
        found = wire.one(reply.body)
        if kind == "categories":
            return wire.category(found)
        return next((record for record in self._records(kind, [found]) if record.source_id == source_id), None)

    def decode_record(self, kind: str, raw: bytes) -> Any:
        """Raises `Unreadable` with the names of the fields at fault."""
        sku = self._option["variant_sku"]
        try:
            record = wire.decoded(raw)
            if kind == "prices":
                return words.prices(record, sku, self._option["currency"])
            return (
                words.product(record, sku)
                if kind == "products"
                else words.stock(record, sku)
                if kind == "stock"
                else words.category(record)
            )
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None
        except (ValueError, RecursionError):
            raise Unreadable("the record is not JSON") from None

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Each notification is a hint. Its clientState is all that shows where it comes from."""
        return wire.notified(request.body, self._secrets)

    # lists

    def _steps(self, kind: str, since: datetime | None) -> list[str]:
        """The lists that a feed goes through: the items, and in a delta what else tells of a change."""
        _asked(kind)  # raises for an unknown kind
        absent = {
            "itemVariants": not self._option["variant_changes"],
            "price_lines": not (self._option["price_lines"] and self._price_fields["changed"]),
        }
        return ["items", *(step for step in words.CHANGES[kind] if since and not absent.get(step))]

    def _first(self, since: datetime | None, changed: str = "lastModifiedDateTime", **asked: str) -> str:
        filtered = {"$filter": f"{changed} ge {words.stamp(since)}"} if since else {}
        return urlencode({**asked, **filtered})

    def _named(self, step: str) -> dict[str, str]:
        return {"changed": self._price_fields["changed"]} if step == "price_lines" else {}

    def _about(self, step: str, rows: list[Json]) -> tuple[str, list[str]]:
        """By which field the items of these rows are found, and its values."""
        field, name = {"itemVariants": ("id", "itemId"), "itemLedgerEntries": ("number", "itemNumber")}.get(
            step, ("number", self._price_fields["item"])
        )
        found = {str(row.get(name) or "") for row in rows} - {""}
        if field == "id":
            return field, sorted(one for one in found if wire.GUID.fullmatch(one))
        return field, sorted(map(words.quoted, found))

    def _items(self, kind: str, field: str, values: list[str]) -> list[Json]:
        return list(self._matching(self._path("items"), field, values, **_asked(kind)))

    def _matching(self, path: str, field: str, values: list[str], **asked: str) -> Iterator[Json]:
        """Every record whose field has one of the values."""
        for start in range(0, len(values), AT_ONCE):
            query = urlencode({**asked, "$filter": " or ".join(f"{field} eq {value}" for value in values[start : start + AT_ONCE])})
            while query:
                rows, query = self._read(path, query)
                yield from rows

    def _records(self, kind: str, items: list[Json]) -> tuple[Record, ...]:
        """The sellable things of these items, each with what belongs to it. A service has no stock."""
        try:
            items = [item for item in items if kind != "stock" or item["type"] == "Inventory"]
            lines = self._lines(kind, items)
            return tuple(record for item in items for record in self._of_item(kind, item, lines))
        except (TypeError, LookupError, AttributeError, ValidationError) as error:
            raise Rejected("an item is not of the expected form", field=kind) from error

    def _of_item(self, kind: str, item: Json, lines: list[Json] | None) -> Iterator[Record]:
        for variant in sorted(item["itemVariants"], key=lambda one: str(one["code"])) or [None]:
            record: Json = {
                "item": wire.kept(item, words.ITEM_FIELDS[kind]),
                "variant": variant and wire.kept(variant, words.VARIANT_FIELDS),
            }
            if kind != "products":
                mine = None if lines is None else words.lines_of(lines, item["number"], variant["code"] if variant else "")
                if kind == "prices":
                    mine = [line for line in mine or [] if words.is_valid_price(line, item["baseUnitOfMeasureCode"])]
                record["lines"] = mine
            yield wire.record(f"{item['id']}/{variant['id']}" if variant else str(item["id"]), record)

    def _lines(self, kind: str, items: list[Json]) -> list[Json] | None:
        """The lines of the custom page that belong to these items, in a settled order; None when there is no page."""
        names = self._price_fields if kind == "prices" else self._stock_fields
        step = {"prices": "price_lines", "stock": "stock_lines"}.get(kind, "")
        if not step or not self._option[step]:
            return None
        rows = self._matching(self._path(step), names["item"], sorted({words.quoted(item["number"]) for item in items}))
        return sorted((words.renamed(row, names) for row in rows), key=wire.canonical)

    # requests

    def _path(self, step: str) -> str:
        company = self._option["company"]
        if not wire.GUID.fullmatch(company):
            raise Rejected("options.company must be the company's id", field="options.company")
        own = self._option.get(step, "")
        return "/" + own.strip("/").replace("{company}", company) if own else f"/api/v2.0/companies({company})/{step}"

    def _read(self, path: str, query: str) -> tuple[list[Json], str]:
        reply = self._get(f"{path}?{query}" if query else path)
        if reply.status == 404:
            raise Rejected(f"HTTP 404: {explain(reply)[0]}", field=path.rpartition("/")[2], status=404)
        return wire.read_page(reply.body, path, query)

    def _get(self, address: str) -> Reply:
        """Raises `Unauthorized` when a fresh token is refused too."""
        reply = self._ask(address)
        if reply.status == 401:
            self._auth.forget()
            reply = self._ask(address)
        if reply.status == 401:
            raise Unauthorized("HTTP 401: a fresh token is not accepted", status=401)
        return reply

    def _ask(self, address: str) -> Reply:
        headers = {"Prefer": f"odata.maxpagesize={self._option['page']}"}
        return self.http.request("GET", address, headers=headers, auth=self._auth, accept=_READ_HERE, explain=explain)

    def _fetch_token(self) -> tuple[str, float]:
        """https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow, another host than the API's."""
        secret = self.connection.credentials.get("client_secret")
        if not self._option["client_id"] or secret is None:
            raise Unauthorized("the connection has no client_id or no client_secret", field="client_id")
        url = urlsplit(self._option["token_url"].replace("{tenant}", self._option["tenant"]))
        body = {"grant_type": "client_credentials", "client_id": self._option["client_id"], "client_secret": secret.reveal()}
        http = Http(replace(self.connection, base_url=f"{url.scheme}://{url.netloc}", rate=""))
        try:
            reply = http.request("POST", url.path, data={**body, "scope": self._option["scope"]}, safe=True, explain=explain)
            token = msgspec.json.decode(reply.body, type=_Token)
        except Rejected as error:  # wrong credentials are told 400 or 401
            raise Unauthorized(f"no token is given: {error.reason}", status=error.http_status) from error
        except ValueError as error:
            raise Unauthorized("no token is given: the answer holds none") from error
        finally:
            http.close()
        return token.access_token, token.expires_in


def explain(reply: Reply) -> tuple[str, str]:
    """The code and the message of a refusal; those of the token's host are texts beside each other."""
    try:
        found = reply.json()
        error = found.get("error")
        told = f"{error.get('code')}: {error.get('message')}" if isinstance(error, Mapping) else str(error or "")
        return " ".join(told.split())[:200], ""
    except (AttributeError, CallError):
        return "", ""


def _asked(kind: str) -> dict[str, str]:
    if kind not in words.ITEM_FIELDS:
        raise Rejected(f"Business Central has no feed {kind!r}", field="kind")
    return {"$select": ",".join(("id", *words.ITEM_FIELDS[kind])), "$expand": "itemVariants"}


def _cursor(step: int, query: str) -> str:
    return wire.packed(Place(step, query) if query else None)
