"""How the simulated Akeneo tells of a change: two flavours of events, each with its body and its signature.

https://api.akeneo.com/events-api/overview.html · https://api.akeneo.com/event-platform/concepts.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

from middleware.simulators.akeneo_catalog import PERSON, Change, Json
from middleware.simulators.signatures import Sign


class Flavour(StrEnum):
    """The Events API of 5.0 to 7.0, or the Event Platform of SaaS."""

    EVENTS_API = "events-api"
    EVENT_PLATFORM = "event-platform"


def events_api(change: Change, event_id: str, at: datetime, source: str) -> Json:
    """The whole resource; what was removed is only named."""
    event = {
        "action": f"{change.thing}.{change.deed}",
        "event_id": event_id,
        "event_datetime": at.isoformat(timespec="seconds"),
        "author": change.author,
        "author_type": _kind_of(change.author),
        "pim_source": source,
        "data": {"resource": change.resource},
    }
    return {"events": [event]}


def event_platform(change: Change, event_id: str, at: datetime, source: str) -> Json:
    """A CloudEvent that only names the resource; "removed" is "deleted" here."""
    deed = "deleted" if change.deed == "removed" else change.deed
    named = {name: change.resource[name] for name in ("uuid", "code") if name in change.resource}
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "akeneo-event-platform",
        "type": f"com.akeneo.pim.v1.{change.thing.replace('_', '-')}.{deed}",
        "subject": "0190fe8a-6213-76ce-8a9f-ba36a5ef555a",
        "datacontenttype": "application/json",
        "time": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": {change.thing: named, "author": {"identifier": change.author, "type": _kind_of(change.author)}},
    }


def _kind_of(author: str) -> str:
    return "ui" if author == PERSON else "api"


def sign_events_api(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """https://api.akeneo.com/events-api/security.html"""
    mac = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return {"X-Akeneo-Request-Signature": mac.hexdigest(), "X-Akeneo-Request-Timestamp": str(timestamp)}


def sign_event_platform(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """https://api.akeneo.com/event-platform/concepts.html#hmac-signature-for-webhook-payloads"""
    mac = hmac.new(secret.encode(), body, hashlib.sha256)
    return {"X-AKENEO-SIGNATURE-PRIMARY": mac.hexdigest(), "X-AKENEO-SIGNATURE-ALGORITHM": "HmacSHA256"}


EVENTS: dict[Flavour, Callable[[Change, str, datetime, str], Json]] = {
    Flavour.EVENTS_API: events_api,
    Flavour.EVENT_PLATFORM: event_platform,
}
SIGNS: dict[Flavour, Sign] = {Flavour.EVENTS_API: sign_events_api, Flavour.EVENT_PLATFORM: sign_event_platform}
