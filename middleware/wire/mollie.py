"""Mollie's envelopes: the event that a webhook holds, lists and their links, refusals. https://docs.mollie.com/reference/pagination"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from middleware.errors import CallError, Rejected, UnknownOutcome
from middleware.ports import Receipt
from middleware.wire.payment_calls import code, prose
from middleware.wire.webhooks import Answer


class _Parts(msgspec.Struct):
    captures: list[Any] | None = None


class Entity(msgspec.Struct):
    """What the door has to know of the object that an event encloses."""

    mode: str | None = None
    payment_id: str | None = msgspec.field(name="paymentId", default=None)
    capture_mode: str | None = msgspec.field(name="captureMode", default=None)
    authorized_at: str | None = msgspec.field(name="authorizedAt", default=None)
    status: str | None = None
    parts: _Parts | None = msgspec.field(name="_embedded", default=None)


class _Enclosed(msgspec.Struct):
    entity: Entity | None = None


class Event(msgspec.Struct):
    """https://docs.mollie.com/reference/webhooks-new"""

    id: str
    type: str
    entityId: str
    createdAt: Annotated[datetime, msgspec.Meta(tz=True)]
    embedded: _Enclosed | None = msgspec.field(name="_embedded", default=None)


decode_event = msgspec.json.Decoder(Event).decode
_ID = re.compile(r"[A-Za-z0-9_]{1,64}")


def is_hint(entity: Entity | None) -> bool:
    """Whether an event of a payment has to be asked for: it names its object only, or it says paid without the captures."""
    if entity is None:
        return True
    apart = entity.capture_mode == "manual" or bool(entity.authorized_at)
    return apart and entity.status == "paid" and not (entity.parts and entity.parts.captures)


def payment_id(value: object) -> str:
    """A path's id; raises `Rejected` for what could be another path."""
    text = str(value)
    if not _ID.fullmatch(text):
        raise Rejected("what was asked for is no id of Mollie's", field="payment")
    return text


def listed(page: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """The objects of a list."""
    enclosed = page.get("_embedded")
    listed = enclosed.get(kind) if isinstance(enclosed, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise Rejected(f"the answer has no list of {kind}", field=f"_embedded.{kind}")
    return listed


def next_page(page: Mapping[str, Any]) -> tuple[str, str]:
    """Path and query of the next page; only those of Mollie's link are followed, never its host."""
    links = page.get("_links")
    link = links.get("next") if isinstance(links, dict) else None
    if not isinstance(link, dict):
        return "", ""
    parts = urlsplit(str(link.get("href")))
    if not parts.path.startswith("/v2/") or not parts.query:
        raise Rejected("the link to the next page leads elsewhere", field="_links.next")
    return parts.path, f"?{parts.query}"


def created(payment: Mapping[str, Any]) -> datetime:
    """When a listed payment began."""
    try:
        return datetime.fromisoformat(str(payment.get("createdAt"))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Rejected("a listed payment does not say when it began", field="createdAt") from None


def receipt(made: Mapping[str, Any]) -> Receipt:
    """What a made capture or refund is called."""
    if not isinstance(made.get("id"), str):
        raise UnknownOutcome("the answer names no id")
    return Receipt(made["id"], state=str(made.get("status") or ""))


def explain(reply: Answer) -> tuple[str, str]:
    """Mollie's own title and field; its detail may repeat values. https://docs.mollie.com/reference/handling-errors"""
    try:
        said = reply.json()
    except CallError:
        return "", ""
    if not isinstance(said, dict):
        return "", ""
    return prose(said.get("title")), code(said.get("field"))
