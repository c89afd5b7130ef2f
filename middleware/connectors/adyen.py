"""Adyen: signed standard and platform webhooks in; capture, cancel and refund out. https://docs.adyen.com/development-resources/webhooks"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from mappings import adyen as words
from mappings.canonical import Message
from middleware.connectors._http import SUCCESS, Http, Reply
from middleware.errors import CallError, Rejected, SignatureRefused, Transient, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.wire import adyen as wire
from middleware.wire.payment_calls import BROKEN, amount_of, answered, code, credential, key_of, minor_amount, payment_of, prose, text_of
from middleware.wire.webhooks import translated

LONGEST_KEY = 64
IN_PROGRESS = "704"
"""Error code of a request whose idempotency key is being worked on: https://docs.adyen.com/development-resources/api-idempotency"""
REFUND_REASONS = {
    "fraud": "FRAUD",
    "fraudulent": "FRAUD",
    "customer request": "CUSTOMER REQUEST",
    "requested_by_customer": "CUSTOMER REQUEST",
    "return": "RETURN",
    "duplicate": "DUPLICATE",
}


class _Data(msgspec.Struct):
    id: str = ""


class _PlatformEvent(msgspec.Struct):
    type: str
    data: _Data
    environment: str = ""


_DECODE = msgspec.json.Decoder(_PlatformEvent).decode


class Connector:
    """One Adyen merchant account: its webhooks and its modifications."""

    SYSTEM = "adyen"
    LANE = "payments"
    PROOF = "SDK (signatures, requests), published OpenAPI description"
    API_VERSION = "Checkout v72, Webhooks v1"
    ANSWER = b"[accepted]"
    SIGNS_FIELDS = True
    NATIVE_IDEMPOTENCY = ("capture_payment", "void_payment", "refund_payment")
    CREDENTIALS: Mapping[str, str] = {"api_key": "API key that may capture, cancel and refund; only these need it"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "merchant_account": (str, "", "merchant account that captures, cancels and refunds are made for"),
        "captured_methods": (list, [], 'payment methods whose authorisation takes the money at once, like "ideal"; "*" for all'),
        "exponents": (dict, {}, "currencies whose minor unit differs from Adyen's list"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are HMAC keys in hex; `base_url` ends with the version, like https://checkout-test.adyen.com/v72."""
        self.connection = connection
        self.http = http
        self._keys = wire.keys_of(connection.secrets)
        self._merchant = str(connection.options.get("merchant_account", ""))
        self._rules = words.Rules(
            {**words.EXPONENTS, **connection.options.get("exponents", {})}, tuple(connection.options.get("captured_methods", ()))
        )

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify every item of a standard webhook, or the header of a platform webhook over the raw body."""
        standard = wire.items(request.body, self._keys)
        if standard is None:
            return (self._read_platform(request),)
        items, live = standard
        if live is not None:
            self._check_environment(live)
        return tuple(self._delivery(item) for item in items)

    def sample_request(self, at: datetime) -> Inbound:
        """A standard webhook; nothing in it tells the time."""
        return Inbound({}, wire.sample(self._keys[0], live=self.connection.live), "", at)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one item or platform event to what it says; raises `Unreadable`, naming fields and never values."""
        return translated(words.translate, payload, self._rules)

    def capture_payment(self, effect: Effect) -> Receipt:
        """POST a capture; the result comes as CAPTURE. https://docs.adyen.com/online-payments/capture"""
        return self._modify(effect, "captures", {"amount": self._amount(effect)})

    def void_payment(self, effect: Effect) -> Receipt:
        """POST a cancel; the result comes as CANCELLATION. https://docs.adyen.com/online-payments/cancel"""
        return self._modify(effect, "cancels", {})

    def refund_payment(self, effect: Effect) -> Receipt:
        """POST a refund; the result comes as REFUND. https://docs.adyen.com/online-payments/refund"""
        body: dict[str, Any] = {"amount": self._amount(effect)}
        if text_of(effect, "capture"):
            body["capturePspReference"] = text_of(effect, "capture")
        reason = text_of(effect, "reason")
        if reason:
            body["merchantRefundReason"] = REFUND_REASONS.get(reason.lower(), "OTHER")
        return self._modify(effect, "refunds", body)

    def _modify(self, effect: Effect, what: str, body: dict[str, Any]) -> Receipt:
        payment = payment_of(effect)
        if not self._merchant:
            raise Rejected("the connection has no merchant account", field="options.merchant_account")
        reference = text_of(effect, "reference")
        reply = self.http.request(
            "POST",
            f"/payments/{quote(payment, safe='')}/{what}",
            json={"merchantAccount": self._merchant, **body, **({"reference": reference} if reference else {})},
            headers={"X-API-Key": credential(self.connection, "api_key"), "Idempotency-Key": key_of(effect, LONGEST_KEY)},
            accept=SUCCESS | {422},
            explain=explain,
        )
        if reply.status == 422:
            raise _unprocessable(reply)
        said = answered(reply.json(), "pspReference", "status")
        return Receipt(said["pspReference"], state=code(said["status"]))

    def _amount(self, effect: Effect) -> dict[str, Any]:
        amount = amount_of(effect)
        if amount is None:
            raise Rejected("Adyen takes no capture or refund without an amount", field="amount")
        return {"value": minor_amount(amount, self._rules.exponents), "currency": amount.currency}

    def _delivery(self, item: wire.Item) -> Delivery:
        said = item.said
        if not said["eventCode"] or not said.get("pspReference"):
            digest = "sha256:" + hashlib.sha256(item.raw).hexdigest()
            return Delivery(digest, "unreadable", digest, item.raw, secret=item.secret)
        # A later copy may say more in its unsigned part; the signed part is the event.
        identity = "/".join([said.get("merchantAccountCode", ""), said["eventCode"], said["pspReference"], said["success"]])
        subject = said.get("originalReference") or said["pspReference"]
        return Delivery(identity, said["eventCode"], subject, item.raw, _when(said), secret=item.secret)

    def _read_platform(self, request: Inbound) -> Delivery:
        given = request.headers.get("hmacsignature", "")
        if not given:
            raise SignatureRefused("there is neither an item nor a HmacSignature header")
        secret = wire.matching(request.body, given.encode("latin-1", "replace"), self._keys)
        digest = hashlib.sha256(request.body).hexdigest()
        try:
            event = _DECODE(request.body)
        except BROKEN:
            return Delivery(f"sha256:{digest}", "unreadable", f"sha256:{digest}", request.body, secret=secret)
        if event.environment in ("test", "live"):
            self._check_environment(event.environment == "live")
        identity = f"{event.type}/{event.data.id}/{digest[:32]}"
        return Delivery(identity, event.type, event.data.id or identity, request.body, secret=secret)

    def _check_environment(self, live: bool) -> None:
        if live != self.connection.live:
            raise WrongEnvironment(f"a {'live' if live else 'test'} event on a {'live' if self.connection.live else 'test'} connection")


def _when(said: Mapping[str, Any]) -> datetime | None:
    """The item's eventDate, where it is one; it is not signed."""
    try:
        at = datetime.fromisoformat(said["eventDate"])
    except (KeyError, TypeError, ValueError):
        return None
    return at if at.tzinfo else None


def _unprocessable(reply: Reply) -> CallError:
    said = _error(reply)
    if said.get("errorCode") == IN_PROGRESS:
        return Transient("HTTP 422: the same request is still being worked on", status=reply.status)
    message, field = explain(reply)
    return Rejected(f"HTTP 422: {message}" if message else "HTTP 422", field=field, status=reply.status)


def explain(reply: Reply) -> tuple[str, str]:
    """Adyen's error: its code, its kind and its sentence where that holds words only."""
    said = _error(reply)
    number = said.get("errorCode")
    known = [number if isinstance(number, str) and number.isalnum() and len(number) < 12 else "", code(said.get("errorType"))]
    return " ".join(filter(None, [*known, prose(said.get("message"))])), ""


def _error(reply: Reply) -> Mapping[str, Any]:
    try:
        said = reply.json()
    except CallError:
        return {}
    return said if isinstance(said, Mapping) else {}
