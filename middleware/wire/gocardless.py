"""GoCardless' envelopes: batches of events, pages with cursors, refusals. https://developer.gocardless.com/api-reference#api-usage"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from mappings.gocardless import ASKED
from middleware.errors import CallError, Rejected
from middleware.ports import Delivery, Receipt
from middleware.wire.payment_calls import BROKEN, code
from middleware.wire.webhooks import Answer, json_object, unreadable

_ID = re.compile(r"[A-Za-z0-9]{1,64}")


class _Event(msgspec.Struct):
    id: str
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]
    resource_type: str
    action: str
    links: dict[str, str | None] | None = None


class _Batch(msgspec.Struct):
    events: list[msgspec.Raw]


_DECODE_BATCH = msgspec.json.Decoder(_Batch).decode
_DECODE = msgspec.json.Decoder(_Event).decode


def deliveries(body: bytes, secret: int) -> tuple[Delivery, ...]:
    """Every event of a batch as a delivery of its own; what is none is kept under its digest."""
    try:
        events = _DECODE_BATCH(body).events
    except BROKEN:
        events = []
    return tuple(_delivery(bytes(raw), secret) for raw in events) or (unreadable(body, secret),)


def _delivery(raw: bytes, secret: int) -> Delivery:
    try:
        event = _DECODE(raw)
    except BROKEN:
        return unreadable(raw, secret)
    kind = event.resource_type
    subject = (event.links or {}).get(ASKED.get(kind, kind.removesuffix("s"))) or ""
    hint = kind in ASKED and bool(_ID.fullmatch(subject))
    return Delivery(event.id, f"{kind}.{event.action}", subject or event.id, raw, event.created_at, hint=hint, secret=secret)


def id_of(value: object) -> str:
    """An id for a path; raises `Rejected` for what could be another path."""
    text = str(value)
    if not _ID.fullmatch(text):
        raise Rejected("what was asked for is no id of GoCardless'", field="payment")
    return text


def enclosed(reply: Answer, name: str) -> dict[str, Any]:
    """The one object of an answer."""
    found = json_object(reply).get(name)
    if not isinstance(found, dict):
        raise Rejected(f"the answer holds no {name}", field=name)
    return found


def pages(get: Callable[[Mapping[str, Any]], Answer], name: str, query: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The pages of a list, by their cursors."""
    after = ""
    while True:
        answer = json_object(get({**query, "limit": 500, **({"after": after} if after else {})}))
        listed, meta = answer.get(name), answer.get("meta")
        if not isinstance(listed, list):
            raise Rejected(f"the answer has no list of {name}", field=name)
        yield listed
        cursors = meta.get("cursors") if isinstance(meta, dict) else None
        following = cursors.get("after") if isinstance(cursors, dict) else None
        if not following or following == after or not listed:
            return
        after = str(following)


def made_before(reply: Answer) -> Receipt | None:
    """What an earlier request with the same key made, in a refusal that says so."""
    for error in _errors(reply):
        links = error.get("links")
        if error.get("reason") == "idempotent_creation_conflict" and isinstance(links, dict) and links.get("conflicting_resource_id"):
            return Receipt(str(links["conflicting_resource_id"]))
    return None


def explain(reply: Answer) -> tuple[str, str]:
    """The type and the reasons or fields; messages may repeat values. https://developer.gocardless.com/api-reference#api-usage-errors"""
    errors = _errors(reply)
    reasons = [reason for error in errors if (reason := code(error.get("reason")))]
    named = [field for error in errors if (field := code(error.get("field")))]
    return " ".join(reasons[:3]), named[0] if named else ""


def _errors(reply: Answer) -> list[dict[str, Any]]:
    try:
        said = reply.json()
    except CallError:
        return []
    error = said.get("error") if isinstance(said, dict) else None
    listed = error.get("errors") if isinstance(error, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
