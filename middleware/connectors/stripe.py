"""Stripe: signed webhooks in, payment state. https://docs.stripe.com/webhooks#verify-manually"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from marshmallow import ValidationError

from mappings import stripe as words
from mappings.canonical import Message
from mappings.fields import field_names
from middleware.connectors._http import Http
from middleware.errors import SignatureRefused, Stale, Unreadable, WrongEnvironment
from middleware.ports import Delivery, Inbound
from middleware.settings import Connection


class _Object(msgspec.Struct):
    id: str = ""
    payment_intent: str | None = None


class _Data(msgspec.Struct):
    object: _Object


class _Event(msgspec.Struct):
    id: str
    type: str
    created: int
    livemode: bool
    data: _Data | None = None


_DECODE = msgspec.json.Decoder(_Event).decode


class Connector:
    """One Stripe account's webhooks."""

    SYSTEM = "stripe"
    LANE = "payments"
    PROOF = "SDK, real fake (localstripe)"
    API_VERSION = "2026-08-26.dahlia"
    REFUSAL_STATUS = 400
    CREDENTIALS: Mapping[str, str] = {}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "tolerance": (int, 300, "seconds that a signature stays valid"),
        "metadata_keys": (list, ["order_uuid", "order_id"], "metadata of the payment intent that holds the shop's order id"),
        "exponents": (dict, {"ISK": 2, "UGX": 2}, "currencies whose minor unit at this account differs from Stripe's list"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are the endpoint's signing secrets; several while one is being rotated."""
        self.connection = connection
        self.http = http
        self._secrets = [secret.reveal().encode() for secret in connection.secrets if secret.reveal().strip()]
        options = {name: connection.options.get(name, default) for name, (_, default, _) in self.OPTIONS.items()}
        self._tolerance = int(options["tolerance"])
        self._metadata_keys = tuple(options["metadata_keys"])
        self._exponents = dict(options["exponents"])

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify `Stripe-Signature` over the raw body; a verified body that is no event is kept under its SHA-256."""
        secret = self._verify(request)
        try:
            event = _DECODE(request.body)
        except msgspec.MsgspecError:
            digest = "sha256:" + hashlib.sha256(request.body).hexdigest()
            return (Delivery(digest, "unreadable", digest, request.body, secret=secret),)
        if event.livemode != self.connection.live:
            raise WrongEnvironment(f"a {'live' if event.livemode else 'test'} event on a {'live' if self.connection.live else 'test'} connection")
        subject = (event.data.object.payment_intent or event.data.object.id) if event.data else ""
        occurred_at = datetime.fromtimestamp(event.created, UTC)
        return (Delivery(event.id, event.type, subject or event.id, request.body, occurred_at, secret=secret),)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one event to what it says of one payment; raises `Unreadable`, naming fields and never values."""
        try:
            return words.translate(msgspec.json.decode(payload), self._metadata_keys, self._exponents)
        except msgspec.MsgspecError:
            raise Unreadable("the body is not JSON") from None
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None

    def _verify(self, request: Inbound) -> int:
        timestamp, signatures = _parse(request.headers.get("stripe-signature", ""))
        signed = timestamp + b"." + request.body
        for index, secret in enumerate(self._secrets):
            expected = hmac.digest(secret, signed, "sha256").hex().encode()
            if any(hmac.compare_digest(expected, signature) for signature in signatures):
                break
        else:
            raise SignatureRefused("no signature matches" if self._secrets else "the connection has no secret")
        if int(timestamp) < request.received_at.timestamp() - self._tolerance:
            raise Stale(f"signed at {int(timestamp)}, more than {self._tolerance} s ago")
        return index


def _parse(header: str) -> tuple[bytes, list[bytes]]:
    """`t=…,v1=…[,v1=…]` to the timestamp as it was signed and every v1 signature, read as the official SDK does; spaces are not stripped."""
    items = header.split(",")
    pairs = [item.partition("=")[::2] for item in items]
    times = [value for name, value in pairs if name == "t"]
    signatures = [value.encode("latin-1", "replace") for name, value in pairs if name == "v1"]
    if len(times) != 1 or not times[0].isascii() or not times[0].isdigit() or len(times[0]) > 12:
        raise SignatureRefused("the header has no single timestamp" if header else "there is no Stripe-Signature header")
    if not signatures or "v1" in items:
        raise SignatureRefused("the header has no v1 signature")
    return b"%d" % int(times[0]), signatures
