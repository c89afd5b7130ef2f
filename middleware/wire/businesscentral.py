"""Business Central's pages (OData v4), the places where a list is read on, and the notifications of its webhooks.

https://learn.microsoft.com/dynamics365/business-central/dev-itpro/api-reference/v2.0/dynamics-subscriptions
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from middleware.errors import Rejected, SignatureRefused
from middleware.ports import Delivery, Record

_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode
_ENCODE = msgspec.json.Encoder(order="sorted", decimal_format="number").encode
GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

canonical = _ENCODE
decoded = _DECODE


class Place(msgspec.Struct, omit_defaults=True):
    """Where a feed goes on: which list of its walk, and the query of that list's next page ("": its first)."""

    step: int = 0
    query: str = ""


def packed(place: Place | None) -> str:
    """A place as the cursor of a page; no place is the end."""
    return msgspec.json.encode(place).decode() if place else ""


def resumed(cursor: str) -> Place:
    """The place that a cursor holds; raises `Rejected`."""
    try:
        return msgspec.json.decode(cursor, type=Place)
    except ValueError as error:
        raise Rejected("the cursor is none of this feed's", field="cursor") from error


def read_page(body: bytes, path: str, query: str) -> tuple[list[dict[str, Any]], str]:
    """The objects of the page that `path` gave for `query`, and the query of the next one: "" after the last. Raises `Rejected` for
    what is no page, and for a link that does not lead on in the same list."""
    try:
        page = _DECODE(body)
        rows, link = page["value"], page.get("@odata.nextLink")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise Rejected("the answer is no list of records", field="value") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Rejected("the answer is no list of records", field="value")
    return rows, _following(link, path, query) if link else ""


def one(body: bytes) -> dict[str, Any]:
    """The object that is the whole answer; raises `Rejected`."""
    try:
        found = _DECODE(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Rejected("the answer is no record")
    return found


def kept(row: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """What a record keeps of a row."""
    return {name: row[name] for name in names if name in row}


def record(source_id: str, content: Mapping[str, Any]) -> Record:
    """The same bytes for the same content."""
    return Record(source_id, _ENCODE(content))


def category(row: Mapping[str, Any]) -> Record:
    """An item category by its id; raises `Rejected`."""
    if not isinstance(row.get("id"), str):
        raise Rejected("a category has no id", field="id")
    return record(row["id"], kept(row, ("code", "displayName")))


def _following(link: object, path: str, query: str) -> str:
    """Only the link's query is used, at our own address: the token goes nowhere else. `$skiptoken` names the last record of the
    page; `$skip` would count, and lose what moves meanwhile."""
    try:
        target = urlsplit(str(link))
        names = parse_qs(target.query, keep_blank_values=True)
    except ValueError:
        target, names = urlsplit(""), {}
    if "$skiptoken" not in names or "$skip" in names or target.path.rpartition("/")[2] != path.rpartition("/")[2]:
        raise Rejected("the link to the next page leads elsewhere", field="@odata.nextLink")
    if target.query == query:
        raise Rejected("the link to the next page leads to the page itself", field="@odata.nextLink")
    return target.query


class _Notification(msgspec.Struct, rename="camel"):
    subscription_id: str
    resource: str
    change_type: str
    client_state: str = ""
    last_modified_date_time: str = ""


class _Notifications(msgspec.Struct):
    value: list[_Notification]


def notified(body: bytes, secrets: Sequence[str]) -> tuple[Delivery, ...]:
    """The notifications of one request as hints; every one must carry the secret that was given as `clientState` when it was
    subscribed to. Raises `SignatureRefused`."""
    try:
        found = msgspec.json.decode(body, type=_Notifications).value
    except (ValueError, RecursionError) as error:
        raise SignatureRefused("the body is no list of notifications") from error
    for index, secret in enumerate(secrets):
        if found and all(hmac.compare_digest(one.client_state.encode(), secret.encode()) for one in found):
            return tuple(_hint(one, index) for one in found)
    raise SignatureRefused("no clientState matches" if secrets else "the connection has no secret")


def _hint(one: _Notification, secret: int) -> Delivery:
    """A change of a resource at a time is one event, however often it is told. The payload does not keep the secret."""
    payload = msgspec.json.encode({"resource": one.resource, "changeType": one.change_type})
    known = f"{one.subscription_id}:{one.resource}:{one.change_type}:{one.last_modified_date_time}"
    event_id = "sha256:" + hashlib.sha256(known.encode()).hexdigest() if one.last_modified_date_time else ""
    return Delivery(event_id, f"resource.{one.change_type}"[:100], one.resource[-200:] or "unknown", payload, hint=True, secret=secret)
