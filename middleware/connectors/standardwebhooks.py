"""Any sender of Standard Webhooks (Svix, too), understood by a table in the configuration.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from marshmallow import ValidationError

from mappings import standardwebhooks as words
from mappings.canonical import Message
from mappings.fields import field_names
from middleware.connectors._http import Http
from middleware.errors import Unreadable, WrongEnvironment
from middleware.ports import Delivery, Inbound
from middleware.settings import Connection
from middleware.wire.standard_webhooks import key_of, signed, verify
from middleware.wire.webhooks import exact_json, unreadable


class Connector:
    """One sender's webhooks."""

    SYSTEM = "standardwebhooks"
    LANE = "payments"
    PROOF = "SDK"
    API_VERSION = "1.0"
    REFUSAL_STATUS = 400
    CREDENTIALS: Mapping[str, str] = {}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "topics": (dict, {}, f"what the sender's topics mean, each one of: {', '.join(words.WORDS)}"),
        "paths": (dict, {}, f"jmespaths of the body's parts where they differ from: {words.PATHS}"),
        "outcomes": (dict, {}, "the sender's codes of failed payments → ours"),
        "unit": (str, "major", "whether amounts are in major units (44.70) or whole minor units (4470)"),
        "exponents": (dict, {}, "currencies whose minor unit at this sender differs from ISO 4217's"),
        "tolerance": (int, 300, "seconds that a signature stays valid, before and after"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are `whsec_…`; several while one is being rotated. Raises ValueError for a table that cannot be."""
        self.connection = connection
        self.http = http
        options = connection.chosen(self.OPTIONS)
        self._keys = [key_of(secret) for secret in connection.secrets]
        self._tolerance = int(options["tolerance"])
        self._table = words.table_of(options)

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify; headers may be called svix-… as well. The message's id is the delivery's."""
        message_id, secret = verify(replace(request, headers=_standard(request.headers)), self._keys, self._tolerance)
        try:
            raw = exact_json(request.body)
            topic, live, subject = (words.found(raw, self._table, name) for name in ("topic", "live", "id"))
        except (ValueError, ValidationError):
            topic, live, subject = None, None, None
        if not isinstance(topic, str):
            return (replace(unreadable(request.body, secret), delivery_id=message_id),)
        if isinstance(live, bool) and live != self.connection.live:
            raise WrongEnvironment(f"a {'live' if live else 'test'} event on a connection of the other environment")
        signed_at = datetime.fromtimestamp(int(_standard(request.headers)["webhook-timestamp"]), UTC)
        about = str(subject) if isinstance(subject, str | int) and subject != "" else message_id
        return (Delivery(message_id, topic, about, request.body, signed_at, secret=secret),)

    def sample_request(self, at: datetime) -> Inbound:
        """An event of a topic that no table knows."""
        body = msgspec.json.encode({"type": "self.test", "timestamp": at})
        return Inbound(signed("msg_self_test", at, body, self._keys[0]), body, "", at)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one event by the table; raises `Unreadable`, naming paths and never values."""
        try:
            return words.translate(exact_json(payload), self._table)
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None
        except ValueError:
            raise Unreadable("the body is not JSON") from None


def _standard(headers: Mapping[str, str]) -> Mapping[str, str]:
    if "webhook-id" in headers:
        return headers
    return {
        **headers,
        **{f"webhook-{name}": headers[f"svix-{name}"] for name in ("id", "timestamp", "signature") if f"svix-{name}" in headers},
    }
