"""Akeneo PIM over its REST API v1: every list as a feed, both flavours of its events as hints. https://api.akeneo.com/

Products and product models are paged by a cursor that nothing shifts. The other lists are paged by number: after each page the
one before it is looked at again, and when its end has moved, the list is read anew from its first page.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import msgspec
from marshmallow import ValidationError

from mappings import akeneo as words
from mappings.fields import field_names
from middleware.connectors._http import SUCCESS, Http, Reply
from middleware.errors import CallError, Rejected, Unauthorized, Unreadable
from middleware.ports import Blob, Delivery, Inbound, Page, Record
from middleware.settings import Connection
from middleware.wire.akeneo import Place, Walk, packed, read_page, resumed, verify
from middleware.wire.oauth2 import ClientCredentials

API = "/api/rest/v1/"
TOKEN = "/api/oauth/v1/token"  # noqa: S105 - a path
RESTARTS = 5
"""How often a list that changes while it is read is read anew before the run is given up."""
_READ_HERE = SUCCESS | {401, 403, 413}


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 3600


class _Envelope(msgspec.Struct):
    """A request of the Events API: https://api.akeneo.com/events-api/more-about-events.html"""

    events: list[msgspec.Raw]


_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode
_DECODE_ENVELOPE = msgspec.json.Decoder(_Envelope).decode
_DECODE_TOKEN = msgspec.json.Decoder(_Token).decode


class Connector:
    """Plays list_records, decode_record, fetch_record, fetch_media, read.

    `connection.time_zone` is that of the PIM's server (UTC on SaaS)."""

    SYSTEM = "akeneo"
    LANE = "catalog"
    PROOF = "simulator (facts of the published API)"
    API_VERSION = "REST v1 (7.0, SaaS)"
    CREDENTIALS: Mapping[str, str] = {
        "client_secret": "secret of the PIM's connection",
        "password": "password of the user that the PIM made for the connection",
    }
    CREDENTIAL_OF: Mapping[str, str] = {"client_id": "client_secret", "username": "password"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "client_id": (str, "", "client id of the PIM's connection"),
        "username": (str, "", "user that the PIM made for the connection"),
        "channel": (str, "", "channel whose values are read; empty: of all, and a value that differs by channel is {channel: …}"),
        "locales": (list, [], "locales whose values are read; empty: all"),
        "page": (int, 100, "records of a page, 1 to 100"),
        "identifier": (str, "sku", "attribute that is the products' identifier"),
        "author": (str, "", "author of our own changes in events (user name or client id); those are skipped"),
        "tolerance": (int, 300, "seconds that a signature with a timestamp (Events API) stays valid; 0: for ever"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are those that events are signed with. Raises ValueError for an unknown time zone."""
        self.connection = connection
        self.http = http
        self._option: dict[str, Any] = connection.chosen(self.OPTIONS)
        if not 1 <= self._option["page"] <= 100:
            raise ValueError("options.page must be 1 to 100: the PIM gives no more at once")
        try:
            self._zone = ZoneInfo(connection.time_zone)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"time_zone {connection.time_zone!r} is not known") from error
        self._secrets = [secret.reveal().encode() for secret in connection.secrets if secret.reveal().strip()]
        self._auth = ClientCredentials(self._fetch_token)

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """A page of one of `words.FEEDS`; options, locales and channels are always read whole. A product is known by its uuid, an
        option by `attribute/code`, anything else by its code. `raw` is the exact slice of the page: its `_links` follow from the
        PIM's address alone. Raises what `Http.request` raises, and `Rejected` for a page that is none."""
        feed = words.FEEDS.get(kind)
        if feed is None:
            raise Rejected(f"Akeneo has no feed {kind!r}", field="kind")
        if kind == "options":
            return self._options(cursor)
        records, following = self._page(feed.path, resumed(cursor, Place) if cursor else self._first(feed, since))
        return Page(records, packed(following))

    def decode_record(self, kind: str, raw: bytes) -> dict[str, Any]:
        """Products and product models with flat values (`words.flat`), anything else as it is. Raises `Unreadable` with the
        names of the fields at fault."""
        options = {"channel": self._option["channel"], "locales": self._option["locales"]}
        try:
            record = _DECODE(raw)
            if kind == "products":
                return words.product(record, **options, identifier=self._option["identifier"])
            return words.product_model(record, **options) if kind == "product_models" else words.entity(record)
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None
        except (ValueError, RecursionError):  # msgspec's, and Python's for broken UTF-8
            raise Unreadable("the record is not JSON") from None

    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        """One record by its id; None when the PIM answers 404."""
        feed = words.FEEDS.get(kind)
        if feed is None:
            raise Rejected(f"Akeneo has no feed {kind!r}", field="kind")
        attribute, _, code = source_id.rpartition("/") if kind == "options" else ("", "", source_id)
        path = feed.path.format(attribute=quote(attribute, safe=""))
        reply = self._found(f"{API}{path}/{quote(code, safe='')}")
        return Record(source_id, reply.body) if reply else None

    def fetch_media(self, reference: str) -> Blob:
        """A media file by its code, as values of file and image attributes hold it."""
        reply = self._found(f"{API}media-files/{quote(reference)}/download")
        if reply is None:
            raise Rejected(f"the PIM has no media file {reference}")
        name = reference.rpartition("/")[2]
        # The PIM puts a digest in front of the name that the file had.
        return Blob(name.partition("_")[2] or name, reply.body, reply.headers.get("content-type", ""))

    def sample_request(self, at: datetime) -> Inbound:
        """An empty request of the Events API."""
        timestamp, body = str(int(at.timestamp())), b'{"events":[{"action":"self.test"}]}'
        digest = hmac.new(self._secrets[0], timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        return Inbound({"x-akeneo-request-timestamp": timestamp, "x-akeneo-request-signature": digest}, body, "", at)

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify the Events API's or the Event Platform's signature over the raw body; each event is a hint of its product or
        product model, except those of our own author."""
        secret = verify(request, self._secrets, self._option["tolerance"])
        try:
            sent = [bytes(event) for event in _DECODE_ENVELOPE(request.body).events]
        except (ValueError, RecursionError):
            sent = [request.body]
        found = [(raw, _event(raw)) for raw in sent]
        own = self._option["author"]
        return tuple(_delivery(raw, event, secret) for raw, event in found if not own or event.author != own)

    # lists

    def _first(self, feed: words.Feed, since: datetime | None = None, **search: Any) -> Place:
        wanted: dict[str, Any] = {"limit": self._option["page"]}
        if feed.has_values:
            wanted["pagination_type"] = "search_after"
            wanted |= {"scope": self._option["channel"]} if self._option["channel"] else {}
            wanted |= {"locales": ",".join(self._option["locales"])} if self._option["locales"] else {}
        if since and feed.dates is not words.Dates.NONE:
            search["updated"] = [{"operator": ">", "value": words.updated_after(since, feed.dates, self._zone)}]
        query = urlencode(wanted | ({"search": json.dumps(search, separators=(",", ":"))} if search else {}))
        return Place(query) if feed.has_values else Place(query, first=query)

    def _page(self, path: str, place: Place) -> tuple[tuple[Record, ...], Place | None]:
        """A page of a list, and where the list goes on."""
        records, query = self._read(path, place.query)
        if not place.first:  # paged by a cursor
            return records, Place(query) if query else None
        if place.before and _last(self._read(path, place.before)[0]) != place.last:
            if place.restarts == RESTARTS:
                raise Rejected(f"the list changed {RESTARTS + 1} times while it was read", field=path)
            return records, Place(place.first, place.first, restarts=place.restarts + 1)
        following = Place(query, place.first, place.query, _last(records), place.restarts)
        return records, following if query else None

    def _options(self, cursor: str) -> Page:
        """The options of all attributes that have some, attribute by attribute."""
        attributes = words.FEEDS["attributes"]
        kinds = [{"operator": "IN", "value": words.SELECTS}]
        walk = resumed(cursor, Walk) if cursor else Walk(more=self._first(attributes, type=kinds))
        if not walk.attributes and walk.more:
            found, more = self._page(attributes.path, walk.more)
            walk = Walk([one.source_id for one in found], more)
        if not walk.attributes:
            return Page((), packed(walk if walk.more else None))
        feed, (attribute, *others) = words.FEEDS["options"], walk.attributes
        place: Place | None
        try:
            records, place = self._page(feed.path.format(attribute=quote(attribute, safe="")), walk.place or self._first(feed))
        except Rejected as error:
            if error.http_status != 404:
                raise
            records, place = (), None  # the attribute was deleted meanwhile, and its options with it
        rest = Walk(walk.attributes, walk.more, place) if place else Walk(others, walk.more)
        return Page(records, packed(rest if rest.attributes or rest.more else None))

    def _read(self, path: str, query: str) -> tuple[tuple[Record, ...], str]:
        body = self._get(f"{API}{path}?{query}").body
        return read_page(body, f"{self.connection.base_url.rstrip('/')}{API}{path}", query)

    # requests

    def _get(self, address: str) -> Reply:
        """Raises `Unauthorized` when a fresh token is refused too, or when the PIM says that something is not allowed; a 403
        without its words comes from a gateway, which finds the request too large, as 413 does."""
        reply = self._ask(address)
        if reply.status == 401:
            self._auth.forget()
            reply = self._ask(address)
        if reply.status in SUCCESS:
            return reply
        message = explain(reply)[0]
        if reply.status == 401 or (reply.status == 403 and message):
            raise Unauthorized(f"HTTP {reply.status}: {message or 'a fresh token is not accepted'}", status=reply.status)
        raise Rejected(f"HTTP {reply.status}: the request is too large", field="options.page", status=reply.status)

    def _found(self, address: str) -> Reply | None:
        try:
            return self._get(address)
        except Rejected as error:
            if error.http_status != 404:
                raise
            return None

    def _ask(self, address: str) -> Reply:
        return self.http.request("GET", address, auth=self._auth, accept=_READ_HERE, explain=explain)

    def _fetch_token(self) -> tuple[str, float]:
        """https://api.akeneo.com/documentation/authentication.html#token-generation; always with the password: a refresh token
        would be one more thing that may have ended."""
        given = {name: secret.reveal() for name, secret in self.connection.credentials.items()}
        missing = [
            *(name for name in self.CREDENTIAL_OF if not self._option[name]),
            *(name for name in self.CREDENTIALS if name not in given),
        ]
        if missing:
            raise Unauthorized(f"the connection has no {', no '.join(missing)}", field=missing[0])
        body = {"grant_type": "password", "username": self._option["username"], "password": given["password"]}
        client = (self._option["client_id"], given["client_secret"])
        try:
            token = _DECODE_TOKEN(self.http.request("POST", TOKEN, json=body, auth=client, safe=True, explain=explain).body)
        except Rejected as error:  # wrong credentials are told 422
            raise Unauthorized(f"the PIM gives no token: {error.reason}", status=error.http_status) from error
        except ValueError as error:
            raise Unauthorized("the PIM gives no token: its answer holds none") from error
        return token.access_token, token.expires_in


def explain(reply: Reply) -> tuple[str, str]:
    """The message of a refusal, and the property of its first error: https://api.akeneo.com/documentation/responses.html"""
    try:
        found = reply.json()
        errors = found.get("errors") or [{}]
        return " ".join(str(found.get("message", "")).split())[:200], str(errors[0].get("property", ""))
    except (AttributeError, LookupError, TypeError, CallError):
        return "", ""


def _event(raw: bytes) -> words.Event:
    try:
        return words.event(_DECODE(raw))
    except (ValueError, RecursionError):
        return words.event(None)


def _delivery(raw: bytes, event: words.Event, secret: int) -> Delivery:
    event_id = event.event_id or "sha256:" + hashlib.sha256(raw).hexdigest()
    return Delivery(event_id, event.topic, event.subject, raw, event.occurred_at, hint=True, secret=secret)


def _last(records: tuple[Record, ...]) -> str:
    return records[-1].source_id if records else ""
