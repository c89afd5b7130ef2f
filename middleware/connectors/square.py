"""Square: webhooks signed over their address and body in; payments completed, cancelled and refunded. https://developer.squareup.com"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import msgspec

from mappings import square as words
from mappings.canonical import Message, Money
from middleware.connectors._http import Http, Reply
from middleware.errors import CallError, Rejected, SignatureRefused, UnknownOutcome, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.wire.payment_calls import BROKEN, amount_of, answered, code, credential, key_of, minor_amount, payment_of, text_of
from middleware.wire.webhooks import translated, unreadable

LONGEST_KEY = 45
LONGEST_REASON = 192
SELF_TEST_URL = "https://self-test.invalid/"


class _Data(msgspec.Struct):
    id: str = ""
    object: dict[str, Any] = {}


class _Event(msgspec.Struct):
    event_id: Annotated[str, msgspec.Meta(min_length=1)]
    type: str
    created_at: datetime
    data: _Data


class _Page(msgspec.Struct):
    payments: list[dict[str, Any]] = []
    refunds: list[dict[str, Any]] = []
    cursor: str = ""


_DECODE = msgspec.json.Decoder(_Event).decode


class Connector:
    """One Square application's webhooks and a seller's payments. `base_url` is https://connect.squareup.com, or the sandbox's."""

    SYSTEM = "square"
    LANE = "payments"
    PROOF = "SDK (signatures, requests), published OpenAPI description"
    API_VERSION = "2025-08-20"
    NATIVE_IDEMPOTENCY = ("capture_payment", "void_payment", "refund_payment")
    CREDENTIALS: Mapping[str, str] = {"access_token": "token that may read and write payments; only what is asked of Square needs it"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "notification_url": (str, "", "address of the webhook exactly as it is registered; without it our own public one"),
        "reference_fields": (list, ["reference_id"], "fields of a payment that hold the shop's order id"),
        "locations": (list, [], "locations whose payments are listed; without any, the seller's main one"),
        "exponents": (dict, {}, "currencies whose minor unit differs from ISO 4217"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are the subscription's signature keys; several while one is being replaced."""
        self.connection = connection
        self.http = http
        self._keys = [secret.reveal().encode() for secret in connection.secrets]
        self._option = connection.chosen(self.OPTIONS)
        self._rules = words.Rules(self._option["exponents"], tuple(self._option["reference_fields"]))

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify `x-square-hmacsha256-signature`; a verified body that is no event is kept under its SHA-256.

        https://developer.squareup.com/docs/webhooks/step3validate
        """
        secret = self._verify(request)
        told = request.headers.get("square-environment", "").lower()
        if told and (told == "production") != self.connection.live:
            raise WrongEnvironment(f"an event of {told[:20]!r} on a {'live' if self.connection.live else 'test'} connection")
        try:
            event = _DECODE(request.body)
        except BROKEN:
            return (unreadable(request.body, secret),)
        at = event.created_at if event.created_at.tzinfo else None
        return (Delivery(event.event_id, event.type, _subject(event), request.body, at, secret=secret),)

    def sample_request(self, at: datetime) -> Inbound:
        """An event of a type that means nothing to us; the address is signed, the time is not."""
        url = str(self._option["notification_url"] or SELF_TEST_URL)
        event = {"event_id": "self-test", "type": "self.test", "created_at": at.isoformat(), "data": {"type": "self", "id": "self-test"}}
        body = msgspec.json.encode(event)
        headers = {"x-square-hmacsha256-signature": _signature(self._keys[0], url, body).decode()}
        return Inbound({**headers, "square-environment": "Production" if self.connection.live else "Sandbox"}, body, url, at)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one event to what it says; raises `Unreadable`, naming fields and never values."""
        return translated(words.translate, payload, self._rules)

    def capture_payment(self, effect: Effect) -> Receipt:
        """Complete the payment, once; another amount than the approved one is set before. Repeating takes nothing twice.

        https://developer.squareup.com/docs/payments-api/take-payments/card-payments/delayed-capture
        """
        payment, amount = payment_of(effect), amount_of(effect)
        if amount is not None and not effect.payload.get("final", True):
            raise Rejected("Square takes a payment once: what is not taken now cannot be taken later", field="final")
        now = self._payment(payment)
        if amount is not None and self._differs(now, amount):
            if now.get("status") == "COMPLETED":
                raise Rejected("the payment is completed with another amount", field="amount")
            now = self._adjust(now, amount, effect)
        if now.get("status") != "COMPLETED":
            version = now.get("version_token")
            body = {"version_token": version} if isinstance(version, str) else {}
            now = self._object(self._call("POST", f"/v2/payments/{quote(payment, safe='')}/complete", json=body), "payment")
        return _receipt(now)

    def void_payment(self, effect: Effect) -> Receipt:
        """https://developer.squareup.com/reference/square/payments-api/cancel-payment"""
        payment = payment_of(effect)
        now = self._payment(payment)
        if now.get("status") != "CANCELED":
            now = self._object(self._call("POST", f"/v2/payments/{quote(payment, safe='')}/cancel", json={}, safe=True), "payment")
        return _receipt(now)

    def refund_payment(self, effect: Effect) -> Receipt:
        """Without an amount all of the payment. https://developer.squareup.com/reference/square/refunds-api/refund-payment"""
        payment, amount = payment_of(effect), amount_of(effect)
        value = self._money(amount) if amount else _total(self._payment(payment))
        body = {"idempotency_key": key_of(effect, LONGEST_KEY), "payment_id": payment, "amount_money": value}
        reason = text_of(effect, "reason")[:LONGEST_REASON]
        reply = self._call("POST", "/v2/refunds", json={**body, **({"reason": reason} if reason else {})})
        return _receipt(self._object(reply, "refund"))

    def fetch_payment(self, effect: Effect) -> Delivery:
        """The payment and its refunds, as an event of ours; the delivery's id is the fingerprint of what they say."""
        payment = self._payment(str(effect.payload["subject"]))
        ids = payment.get("refund_ids")
        paths = [f"/v2/refunds/{quote(str(one), safe='')}" for one in (ids if isinstance(ids, list) else [])]
        refunds = [self._object(self._call("GET", path), "refund") for path in paths]
        return _made("payment.fetched", str(payment["id"]), {"payment": payment, "refunds": refunds})

    def payment_events(self, since: datetime | None) -> Iterator[tuple[Delivery, ...]]:
        """Payments, then refunds, by the time of their last change. https://developer.squareup.com/reference/square/payments-api/list-payments"""
        for place in self._option["locations"] or [""]:
            for page in self._pages("/v2/payments", since, str(place)):
                yield tuple(_made("payment.listed", str(one.get("id")), {"payment": one}) for one in page.payments)
            for page in self._pages("/v2/refunds", since, str(place)):
                yield tuple(_made("refund.listed", str(one.get("payment_id") or one.get("id")), {"refund": one}) for one in page.refunds)

    def _pages(self, path: str, since: datetime | None, place: str) -> Iterator[_Page]:
        params = {"sort_field": "UPDATED_AT", "sort_order": "ASC", "limit": "100"}
        if since:
            params["updated_at_begin_time"] = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if place:
            params["location_id"] = place
        seen = {""}
        while True:
            try:
                page = msgspec.json.decode(self._call("GET", path, params=params).body, type=_Page)
            except BROKEN:
                raise Rejected("the list of payments is none") from None
            yield page
            if page.cursor in seen:
                if page.cursor:
                    raise Rejected("the list of payments leads back to itself")
                return
            seen.add(page.cursor)
            params["cursor"] = page.cursor

    def _verify(self, request: Inbound) -> int:
        url = str(self._option["notification_url"] or request.url)
        given = request.headers.get("x-square-hmacsha256-signature", "").encode("latin-1", "replace")
        if not any(key.strip() for key in self._keys) or not url:
            raise SignatureRefused("the connection has no signature key or no address")
        for index, key in enumerate(self._keys):
            if key.strip() and request.body and hmac.compare_digest(_signature(key, url, request.body), given):
                return index
        raise SignatureRefused("no signature matches")

    def _payment(self, payment: str) -> dict[str, Any]:
        return self._object(self._call("GET", f"/v2/payments/{quote(payment, safe='')}"), "payment")

    def _adjust(self, now: Mapping[str, Any], amount: Money, effect: Effect) -> dict[str, Any]:
        """Set what will be taken; a tip, which the total holds too, stays as it is."""
        version = {"version_token": now["version_token"]} if isinstance(now.get("version_token"), str) else {}
        tip = now.get("tip_money")
        value = minor_amount(amount, self._rules.exponents) - (int(tip.get("amount") or 0) if isinstance(tip, Mapping) else 0)
        wanted = {"amount_money": {"amount": value, "currency": amount.currency}, **version}
        body = {"idempotency_key": key_of(effect, LONGEST_KEY), "payment": wanted}
        return self._object(self._call("PUT", f"/v2/payments/{quote(payment_of(effect), safe='')}", json=body), "payment")

    def _differs(self, now: Mapping[str, Any], amount: Money) -> bool:
        value = _total(now)
        return (value["amount"], value["currency"]) != (minor_amount(amount, self._rules.exponents), amount.currency)

    def _money(self, amount: Money) -> dict[str, Any]:
        return {"amount": minor_amount(amount, self._rules.exponents), "currency": amount.currency}

    def _object(self, reply: Reply, name: str) -> dict[str, Any]:
        said = reply.json()
        found = said.get(name) if isinstance(said, Mapping) else None
        answered(found, "id", "status", otherwise=Rejected if reply.safe else UnknownOutcome)
        return dict(found or {})

    def _call(self, method: str, path: str, **request: Any) -> Reply:
        headers = {"Authorization": f"Bearer {credential(self.connection, 'access_token')}", "Square-Version": self.API_VERSION}
        return self.http.request(method, path, headers=headers, explain=explain, **request)


def _signature(key: bytes, url: str, body: bytes) -> bytes:
    return base64.b64encode(hmac.digest(key, url.encode() + body, "sha256"))


def _subject(event: _Event) -> str:
    """The payment that the event is about, where it names one."""
    inner = event.data.object.get(event.type.partition(".")[0])
    told = inner if isinstance(inner, Mapping) else {}
    disputed = told.get("disputed_payment")
    candidates = (told.get("payment_id"), disputed.get("payment_id") if isinstance(disputed, Mapping) else None, event.data.id)
    return next((one for one in candidates if isinstance(one, str) and one), event.event_id)


def _total(payment: Mapping[str, Any]) -> dict[str, Any]:
    value = payment.get("total_money") or payment.get("amount_money")
    if not isinstance(value, Mapping) or "amount" not in value or "currency" not in value:
        raise Rejected("the payment says no amount", field="amount")
    return {"amount": value["amount"], "currency": value["currency"]}


def _receipt(thing: Mapping[str, Any]) -> Receipt:
    """Raises `Rejected` when it was answered, and did not come about."""
    if thing["status"] in ("FAILED", "REJECTED"):
        raise Rejected(f"it is {thing['status']}")
    return Receipt(str(thing["id"]), state=code(thing["status"]))


def _made(kind: str, subject: str, said: Mapping[str, Any]) -> Delivery:
    digest = hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()
    at = datetime.now(UTC)
    event = {"type": kind, "event_id": digest, "created_at": at.isoformat(), "data": {"id": subject, "object": said}}
    return Delivery(f"{subject}#{digest[:32]}", kind, subject, msgspec.json.encode(event, order="deterministic"), at)


def explain(reply: Reply) -> tuple[str, str]:
    """The codes of Square's errors, and the first field at fault: their details may hold values."""
    try:
        said = reply.json()
    except CallError:
        return "", ""
    errors = said.get("errors") if isinstance(said, Mapping) else None
    known = [error for error in errors if isinstance(error, Mapping)] if isinstance(errors, list) else []
    return " ".join(filter(None, (code(error.get("code")) for error in known))), code(known[0].get("field")) if known else ""
