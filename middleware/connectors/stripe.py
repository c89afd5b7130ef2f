"""Stripe: signed webhooks in, payment state. https://docs.stripe.com/webhooks#verify-manually"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from marshmallow import ValidationError

from mappings import stripe as words
from mappings.canonical import Message
from mappings.fields import field_names
from middleware.connectors._http import Http
from middleware.errors import Rejected, SignatureRefused, Stale, Unreadable, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound
from middleware.settings import Connection


class _Metadata(msgspec.Struct):
    correlation_id: str = ""


class _Object(msgspec.Struct):
    id: str = ""
    payment_intent: str | None = None
    metadata: _Metadata | None = None


class _Data(msgspec.Struct):
    object: _Object


class _Related(msgspec.Struct):
    id: str
    type: str


class _ThinEvent(msgspec.Struct):
    """A thin event names its object and has to be fetched: https://docs.stripe.com/event-destinations#thin-events"""

    object: Literal["v2.core.event"]
    id: str
    type: str
    livemode: bool
    related_object: _Related | None = None


class _Event(msgspec.Struct):
    id: str
    type: str
    created: Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800)]
    livemode: bool
    data: _Data | None = None


_TRACE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_DECODE = msgspec.json.Decoder(_Event).decode
_DECODE_THIN = msgspec.json.Decoder(_ThinEvent).decode


class Connector:
    """One Stripe account's webhooks."""

    SYSTEM = "stripe"
    LANE = "payments"
    PROOF = "SDK, real fake (localstripe)"
    API_VERSION = "2026-08-26.dahlia"
    REFUSAL_STATUS = 400
    CREDENTIALS: Mapping[str, str] = {"api_key": "restricted key that may read payment intents; only thin events need it"}
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
            return (self._read_thin(request.body, secret),)
        self._check_environment(event.livemode)
        subject = (event.data.object.payment_intent or event.data.object.id) if event.data else ""
        occurred_at = datetime.fromtimestamp(event.created, UTC)
        metadata = event.data.object.metadata if event.data else None
        born = metadata.correlation_id if metadata and _TRACE.fullmatch(metadata.correlation_id) else ""
        return (Delivery(event.id, event.type, subject or event.id, request.body, occurred_at, secret=secret, correlation_id=born),)

    def fetch_payment(self, effect: Effect) -> Delivery:
        """GET the payment intent, as an event of ours; the delivery's id is the fingerprint of what it says.

        https://docs.stripe.com/api/payment_intents/retrieve
        """
        if "api_key" not in self.connection.credentials:
            raise Rejected("the connection has no credential api_key", field="credentials.api_key")
        payment = str(effect.payload["subject"])
        headers = {"Authorization": f"Bearer {self.connection.credentials['api_key'].reveal()}"}
        reply = self.http.request("GET", f"/v1/payment_intents/{quote(payment, safe='')}", headers=headers)
        said = parsedate_to_datetime(reply.headers["date"]) if "date" in reply.headers else datetime.now(UTC)
        intent = reply.json()
        fingerprint = hashlib.sha256(msgspec.json.encode(intent, order="deterministic")).hexdigest()
        event = {"id": fingerprint, "type": "payment_intent.fetched", "created": int(said.timestamp()), "data": {"object": intent}}
        return Delivery(f"{payment}#{fingerprint[:32]}", "payment_intent.fetched", payment, msgspec.json.encode(event), said)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one event to what it says of one payment; raises `Unreadable`, naming fields and never values."""
        try:
            return words.translate(msgspec.json.decode(payload), self._metadata_keys, self._exponents)
        except msgspec.MsgspecError:
            raise Unreadable("the body is not JSON") from None
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None

    def _read_thin(self, body: bytes, secret: int) -> Delivery:
        try:
            event = _DECODE_THIN(body)
        except msgspec.MsgspecError:
            digest = "sha256:" + hashlib.sha256(body).hexdigest()
            return Delivery(digest, "unreadable", digest, body, secret=secret)
        self._check_environment(event.livemode)
        about = event.related_object
        is_payment = about is not None and about.type == "payment_intent"
        return Delivery(event.id, event.type, about.id if about else event.id, body, hint=is_payment, secret=secret)

    def _check_environment(self, livemode: bool) -> None:
        if livemode != self.connection.live:
            raise WrongEnvironment(f"a {'live' if livemode else 'test'} event on a {'live' if self.connection.live else 'test'} connection")

    def _verify(self, request: Inbound) -> int:
        timestamp, signatures = _parse(request.headers.get("stripe-signature", ""))
        signed = timestamp + b"." + request.body
        for index, secret in enumerate(self._secrets):  # noqa: B007 - used after the loop
            expected = hmac.digest(secret, signed, "sha256").hex().encode()
            if any(hmac.compare_digest(expected, signature) for signature in signatures):
                break
        else:
            raise SignatureRefused("no signature matches" if self._secrets else "the connection has no secret")
        if int(timestamp) < request.received_at.timestamp() - self._tolerance:
            raise Stale(f"signed at {int(timestamp)}, more than {self._tolerance} s ago")
        return index


def _parse(header: str) -> tuple[bytes, list[bytes]]:
    """`t=…,v1=…[,v1=…]` to the timestamp as it was signed and every v1 signature, as the official SDK reads it: spaces stay."""
    items = header.split(",")
    pairs = [item.partition("=")[::2] for item in items]
    times = [value for name, value in pairs if name == "t"]
    signatures = [value.encode("latin-1", "replace") for name, value in pairs if name == "v1"]
    if len(times) != 1 or not times[0].isascii() or not times[0].isdigit() or len(times[0]) > 12:
        raise SignatureRefused("the header has no single timestamp" if header else "there is no Stripe-Signature header")
    if not signatures or "v1" in items:
        raise SignatureRefused("the header has no v1 signature")
    return b"%d" % int(times[0]), signatures
