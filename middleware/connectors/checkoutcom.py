"""Checkout.com: signed webhooks in; captures, voids and refunds out. https://www.checkout.com/docs/developer-resources/event-notifications"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import msgspec

from mappings import checkoutcom as words
from mappings.canonical import Message
from mappings.checkoutcom_words import EXPONENTS
from middleware.connectors._http import SUCCESS, Http, Reply
from middleware.errors import CallError, Rejected, SignatureRefused, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.wire.payment_calls import BROKEN, amount_of, answered, code, credential, key_of, minor_amount, payment_of, text_of
from middleware.wire.webhooks import translated, unreadable

LONGEST_KEY = 64
LONGEST_REFERENCE = 80


class _Data(msgspec.Struct):
    id: str = ""
    payment_id: str | None = None


class _Link(msgspec.Struct):
    href: str = ""


class _Links(msgspec.Struct):
    self: _Link | None = None


class _Event(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1)]
    type: str
    data: _Data
    created_on: str | None = None
    timestamp: str | None = None
    links: _Links | None = msgspec.field(default=None, name="_links")


_DECODE = msgspec.json.Decoder(_Event).decode


class Connector:
    """One Checkout.com account. `base_url` is the account's own, like https://abcd1234.api.checkout.com, or that of its sandbox."""

    SYSTEM = "checkoutcom"
    LANE = "payments"
    PROOF = "SDK (requests), published documentation"
    API_VERSION = "Unified Payments API"
    NATIVE_IDEMPOTENCY = ("capture_payment", "void_payment", "refund_payment")
    CREDENTIALS: Mapping[str, str] = {
        "secret_key": "secret key that may read, capture, void and refund; only what is asked of Checkout.com needs it",
        "authorization": "value of the Authorization header that the webhook sends, where one is set",
    }
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "metadata_keys": (list, ["order_uuid", "order_id"], "metadata that holds the shop's order id, beside the payment's reference"),
        "exponents": (dict, {}, "currencies whose minor unit differs from Checkout.com's list"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are the webhook's signature keys; several while one is being replaced."""
        self.connection = connection
        self.http = http
        self._keys = [secret.reveal().encode() for secret in connection.secrets]
        self._rules = words.Rules(
            {**EXPONENTS, **connection.options.get("exponents", {})},
            tuple(connection.options.get("metadata_keys", self.OPTIONS["metadata_keys"][1])),
        )

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify `Cko-Signature` over the raw body; a verified body that is no event is kept under its SHA-256.

        https://www.checkout.com/docs/developer-resources/event-notifications/receive-webhooks/configure-your-webhook-server
        """
        secret = self._verify(request)
        try:
            event = _DECODE(request.body)
        except BROKEN:
            return (unreadable(request.body, secret),)
        self._check_environment(event)
        subject = event.data.payment_id or event.data.id or event.id
        return (Delivery(event.id, event.type, subject, request.body, _when(event), secret=secret),)

    def sample_request(self, at: datetime) -> Inbound:
        """An event of a type that means nothing to us; its time is no part of what is verified."""
        host = "api.checkout.com" if self.connection.live else "api.sandbox.checkout.com"
        event = {"id": "evt_self_test", "type": "self_test", "created_on": at.isoformat(), "data": {"id": "self_test"}}
        body = msgspec.json.encode({**event, "_links": {"self": {"href": f"https://{host}/events/evt_self_test"}}})
        headers = {"cko-signature": hmac.digest(self._keys[0], body, "sha256").hex()}
        wanted = self.connection.credentials.get("authorization")
        return Inbound({**headers, **({"authorization": wanted.reveal()} if wanted else {})}, body, "", at)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one event to what it says of one payment; raises `Unreadable`, naming fields and never values."""
        return translated(words.translate, payload, self._rules)

    def capture_payment(self, effect: Effect) -> Receipt:
        """https://www.checkout.com/docs/payments/manage-payments/capture-a-payment; the result comes as payment_captured."""
        kind = "Final" if effect.payload.get("final", True) else "NonFinal"
        return self._act(effect, "captures", {"capture_type": kind, **self._amount(effect)})

    def void_payment(self, effect: Effect) -> Receipt:
        """https://www.checkout.com/docs/payments/manage-payments/void-a-payment; the result comes as payment_voided."""
        return self._act(effect, "voids", {})

    def refund_payment(self, effect: Effect) -> Receipt:
        """https://www.checkout.com/docs/payments/manage-payments/refund-a-payment; the result comes as payment_refunded."""
        capture = text_of(effect, "capture")
        return self._act(effect, "refunds", {**self._amount(effect), **({"capture_action_id": capture} if capture else {})})

    def fetch_payment(self, effect: Effect) -> Delivery:
        """The payment and its actions, as an event of ours; the delivery's id is the fingerprint of what they say."""
        payment = str(effect.payload["subject"])
        said = self._get(f"/payments/{quote(payment, safe='')}")
        actions = self._get(f"/payments/{quote(payment, safe='')}/actions")
        if not isinstance(said, Mapping) or not isinstance(actions, list):
            raise Rejected("the answer is no payment with its actions")
        digest = hashlib.sha256(msgspec.json.encode([said, actions], order="deterministic")).hexdigest()
        at = datetime.now(UTC)
        event = {"id": digest, "type": words.FETCHED, "timestamp": at.isoformat(), "data": said, "actions": actions}
        return Delivery(f"{payment}#{digest[:32]}", words.FETCHED, payment, msgspec.json.encode(event, order="deterministic"), at)

    def _act(self, effect: Effect, what: str, body: dict[str, Any]) -> Receipt:
        """Where the payment's state does not allow it the answer is 403, which says nothing of the credentials."""
        payment, reference = payment_of(effect), text_of(effect, "reference")[:LONGEST_REFERENCE]
        reply = self.http.request(
            "POST",
            f"/payments/{quote(payment, safe='')}/{what}",
            json={**body, **({"reference": reference} if reference else {})},
            headers={**self._headers(), "Cko-Idempotency-Key": key_of(effect, LONGEST_KEY)},
            accept=SUCCESS | {403},
            explain=explain,
        )
        if reply.status == 403:
            message, _ = explain(reply)
            raise Rejected(f"HTTP 403: {message or 'not allowed for this payment'}", status=403)
        return Receipt(answered(reply.json(), "action_id")["action_id"], state="accepted")

    def _get(self, path: str) -> Any:
        return self.http.request("GET", path, headers=self._headers(), explain=explain).json()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {credential(self.connection, 'secret_key')}"}

    def _amount(self, effect: Effect) -> dict[str, Any]:
        amount = amount_of(effect)
        return {"amount": minor_amount(amount, self._rules.exponents)} if amount else {}

    def _verify(self, request: Inbound) -> int:
        given = request.headers.get("cko-signature", "").encode("latin-1", "replace")
        if not any(key.strip() for key in self._keys):
            raise SignatureRefused("the connection has no signature key")
        self._check_authorization(request.headers.get("authorization", ""))
        for index, key in enumerate(self._keys):
            expected = hmac.digest(key, request.body, "sha256").hex().encode()
            if key.strip() and hmac.compare_digest(expected, given):
                return index
        raise SignatureRefused("no signature matches")

    def _check_authorization(self, given: str) -> None:
        wanted = self.connection.credentials.get("authorization")
        if wanted and not hmac.compare_digest(wanted.reveal().encode(), given.encode("latin-1", "replace")):
            raise SignatureRefused("the Authorization header is not the one that was set")

    def _check_environment(self, event: _Event) -> None:
        """An event's own address tells: https://www.checkout.com/docs/developer-resources/api/api-endpoints"""
        about = event.links.self if event.links else None
        try:
            host = urlsplit(about.href).hostname if about else None
        except ValueError:
            return
        if not host or not host.endswith(".checkout.com"):
            return
        live = "sandbox" not in host.split(".")
        if live != self.connection.live:
            raise WrongEnvironment(f"a {'live' if live else 'test'} event on a {'live' if self.connection.live else 'test'} connection")


def _when(event: _Event) -> datetime | None:
    try:
        at = datetime.fromisoformat(event.created_on or event.timestamp or "")
    except ValueError:
        return None
    return at if at.tzinfo else None


def explain(reply: Reply) -> tuple[str, str]:
    """The kind and the codes of an error. https://api-reference.checkout.com/#section/Errors"""
    try:
        said = reply.json()
    except CallError:
        return "", ""
    if not isinstance(said, Mapping):
        return "", ""
    codes = said.get("error_codes")
    return " ".join(filter(None, map(code, [said.get("error_type"), *(codes if isinstance(codes, list) else [])]))), ""
