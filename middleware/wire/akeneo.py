"""Akeneo's pages (records as exact slices, the link to the next page, the places where a list is read on) and its signatures.

Pages: https://api.akeneo.com/documentation/pagination.html
Signatures: https://api.akeneo.com/events-api/security.html and
https://api.akeneo.com/event-platform/concepts.html#hmac-signature-for-webhook-payloads
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from middleware.errors import Rejected, SignatureRefused, Stale
from middleware.ports import Inbound, Record

T = TypeVar("T")
_EVENTS_API = ("x-akeneo-request-signature",)
_EVENT_PLATFORM = ("x-akeneo-signature-primary", "x-akeneo-signature-secondary")
_PORTS = {"http": 80, "https": 443}


class Place(msgspec.Struct, omit_defaults=True):
    """Where a list is read on. `before` and `last` are the page before it and the id which that ended with, `first` its
    beginning; only lists that are paged by number need them."""

    query: str
    first: str = ""
    before: str = ""
    last: str = ""
    restarts: int = 0


class Walk(msgspec.Struct, omit_defaults=True):
    """Where the options are read on: the attributes whose options still come, where the list of attributes goes on, and the
    place in the options of the first of them."""

    attributes: list[str] = []
    more: Place | None = None
    place: Place | None = None


def packed(place: Place | Walk | None) -> str:
    """A place as the cursor of a page; no place is the end."""
    return msgspec.json.encode(place).decode() if place else ""


def resumed(cursor: str, kind: type[T]) -> T:
    """The place that a cursor holds; raises `Rejected`."""
    try:
        return msgspec.json.decode(cursor, type=kind)
    except ValueError as error:
        raise Rejected("the cursor is none of this feed's", field="cursor") from error


class _Link(msgspec.Struct):
    href: str


class _Links(msgspec.Struct):
    next: _Link | None = None


class _Items(msgspec.Struct):
    items: list[msgspec.Raw]


class _List(msgspec.Struct):
    links: _Links = msgspec.field(name="_links")
    embedded: _Items = msgspec.field(name="_embedded")


class _Named(msgspec.Struct):
    uuid: str = ""
    code: str = ""
    attribute: str = ""


_LIST = msgspec.json.Decoder(_List)
_NAMED = msgspec.json.Decoder(_Named)


def read_page(body: bytes, address: str, query: str) -> tuple[tuple[Record, ...], str]:
    """The records of the page that `address` gave for `query`, and the query of the next page: "" after the last. Raises
    `Rejected` for what is no page, and for a link that does not lead on in the same list."""
    try:
        page = _LIST.decode(body)
        records = tuple(_record(bytes(raw)) for raw in page.embedded.items)
    except (ValueError, RecursionError) as error:
        raise Rejected("the answer is no list of records", field="_embedded.items") from error
    return records, _following(address, query, page.links.next.href) if page.links.next else ""


def _record(raw: bytes) -> Record:
    """A product is known by its uuid, an option by `attribute/code`, anything else by its code."""
    named = _NAMED.decode(raw)
    source_id = named.uuid or (f"{named.attribute}/{named.code}" if named.attribute and named.code else named.code)
    if not source_id:
        raise ValueError("a record without uuid and code")
    return Record(source_id, raw)


def _following(address: str, query: str, href: str) -> str:
    """Our token goes along a link: it is followed only to the same list of the same PIM."""
    try:
        leads_on = _target(urljoin(address, href)) == _target(address)
        following = urlsplit(href).query
    except ValueError:
        leads_on, following = False, ""
    if not leads_on or not following:
        raise Rejected("the link to the next page leads elsewhere", field="_links.next.href")
    if following == query:
        raise Rejected("the link to the next page leads to the page itself", field="_links.next.href")
    return following


def _target(address: str) -> tuple[str, str, int | None, str]:
    """Scheme, host, port and path; credentials in an address lead nowhere. Raises ValueError."""
    parts = urlsplit(address)
    if "@" in parts.netloc:
        raise ValueError("an address with credentials")
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme), parts.path


def verify(request: Inbound, secrets: Sequence[bytes], tolerance: int) -> int:
    """Which of the secrets signed the raw body, by the Events API's signature, else by one of the Event Platform's. Only the
    first has a timestamp, which may be `tolerance` seconds old (0: any age). Raises `SignatureRefused` and `Stale`."""
    signatures = _given(request, _EVENTS_API)
    timestamp = _timestamp(request) if signatures else None
    if timestamp is None:
        signatures = _given(request, _EVENT_PLATFORM)
        if request.headers.get("x-akeneo-signature-algorithm", "HmacSHA256") != "HmacSHA256":
            raise SignatureRefused("the signature's algorithm is not HmacSHA256")
    if not signatures:
        raise SignatureRefused("there is no signature header")
    signed = request.body if timestamp is None else timestamp.encode() + b"." + request.body
    for index, secret in enumerate(secrets):  # noqa: B007 - used after the loop
        expected = hmac.new(secret, signed, hashlib.sha256).hexdigest().encode()
        if any(hmac.compare_digest(expected, signature) for signature in signatures):
            break
    else:
        raise SignatureRefused("no signature matches" if secrets else "the connection has no secret")
    if timestamp and 0 < tolerance < request.received_at.timestamp() - int(timestamp):
        raise Stale(f"signed at {int(timestamp)}, more than {tolerance} s ago")
    return index


def _given(request: Inbound, names: Sequence[str]) -> list[bytes]:
    return [request.headers[name].encode("latin-1", "replace") for name in names if request.headers.get(name)]


def _timestamp(request: Inbound) -> str:
    """The timestamp as it was signed."""
    text = request.headers.get("x-akeneo-request-timestamp", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise SignatureRefused("the signature has no timestamp")
    return text
