"""Razorpay: signed webhooks in; captures, refunds, look-ups and back-fill out. https://razorpay.com/docs/webhooks/validate-test"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from mappings import razorpay as words
from mappings.canonical import Message
from middleware.connectors._http import Http, Reply
from middleware.errors import CallError, Rejected, UnknownOutcome
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.wire.payment_calls import BROKEN, amount_of, code, minor_amount
from middleware.wire.webhooks import fingerprint, json_object, said_at, sample, signer, translated, unreadable, usable


class _Identified(msgspec.Struct):
    id: str = ""
    payment_id: str = ""


class _Holder(msgspec.Struct):
    entity: _Identified


class _Payload(msgspec.Struct):
    payment: _Holder | None = None
    refund: _Holder | None = None
    dispute: _Holder | None = None
    settlement: _Holder | None = None


class _Event(msgspec.Struct):
    event: str
    created_at: Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800)]
    payload: _Payload


_DECODE = msgspec.json.Decoder(_Event).decode
_ID = re.compile(r"[A-Za-z0-9_]{1,64}")
_PAGE = 100


class Connector:
    """One Razorpay account's webhooks and payments."""

    SYSTEM = "razorpay"
    LANE = "payments"
    PROOF = "SDK: its signatures, the requests that it would send"
    API_VERSION = "v1"
    NATIVE_IDEMPOTENCY = frozenset({"refund_payment"})
    CREDENTIALS: Mapping[str, str] = {
        "key_id": "API key id (rzp_live_… or rzp_test_…)",
        "key_secret": "secret of the API key; it is not the webhook's",
    }
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "notes_keys": (list, ["order_uuid", "order_id"], "notes of the payment or its order that hold the shop's order id"),
        "exponents": (dict, {}, "currencies whose minor unit at this account differs from ISO 4217's"),
        "look_back": (int, 30, "days that a payment may still change: a back-fill reads so much more, by when payments began"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are the webhook's secrets: old events are sent again under the one before the rotation."""
        self.connection = connection
        self.http = http
        self._keys = usable(connection.secrets)
        options = connection.chosen(self.OPTIONS)
        self._notes_keys, self._exponents = tuple(options["notes_keys"]), dict(options["exponents"])
        self._look_back = timedelta(days=options["look_back"])
        key = connection.credentials["key_id"].reveal() if "key_id" in connection.credentials else ""
        if key.startswith("rzp_") and key.startswith("rzp_live_") != connection.live:
            raise ValueError("options: the key_id is of Razorpay's other environment than the connection's `live` says")

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify `X-Razorpay-Signature` over the raw body; the event's id is in a header, else it is the body's SHA-256."""
        secret = signer(self._keys, request.body, [request.headers.get("x-razorpay-signature", "")])
        name = request.headers.get("x-razorpay-event-id", "")
        try:
            event = _DECODE(request.body)
        except BROKEN:
            return (unreadable(request.body, secret),)
        name = name or "sha256:" + hashlib.sha256(request.body).hexdigest()
        occurred_at = datetime.fromtimestamp(event.created_at, UTC)
        return (Delivery(name, event.event, _subject(event.payload) or name, request.body, occurred_at, secret=secret),)

    def sample_request(self, at: datetime) -> Inbound:
        """An event of a name that means nothing to us."""
        event = {"entity": "event", "event": "self.test", "payload": {}, "created_at": int(at.timestamp())}
        return sample("x-razorpay-signature", "", event, self._keys[0], at)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one event to what it says of one payment or settlement; raises `Unreadable`, naming fields and never values."""
        return translated(words.translate, payload, self._notes_keys, self._exponents)

    def fetch_payment(self, effect: Effect) -> Delivery:
        """GET the payment and its refunds. https://razorpay.com/docs/api/payments/fetch-with-id"""
        name = _id(effect.payload["subject"])
        reply = self._call("GET", f"/v1/payments/{name}")
        return self._fetched(json_object(reply), said_at(reply))

    def capture_payment(self, effect: Effect) -> Receipt:
        """Capture all that was authorized, which Razorpay wants named. https://razorpay.com/docs/api/payments/capture"""
        name, money = _id(effect.payload["payment"]), amount_of(effect)
        if money:
            asked = {"amount": minor_amount(money, self._exponents), "currency": money.currency}
        else:
            payment = json_object(self._call("GET", f"/v1/payments/{name}"))
            asked = {"amount": payment.get("amount"), "currency": payment.get("currency")}
        return _receipt(self._call("POST", f"/v1/payments/{name}/capture", json=asked))

    def refund_payment(self, effect: Effect) -> Receipt:
        """Refund a part, or all without an amount. https://razorpay.com/docs/api/refunds/create-normal"""
        money = amount_of(effect)
        amount = {"amount": minor_amount(money, self._exponents)} if money else {}
        notes = {name: str(effect.payload[name])[:255] for name in ("reason", "reference") if effect.payload.get(name)}
        # The header takes ten letters or more of a small alphabet.
        headers = {"X-Refund-Idempotency": hashlib.sha256(effect.key.encode()).hexdigest()[:40]}
        path = f"/v1/payments/{_id(effect.payload['payment'])}/refund"
        return _receipt(self._call("POST", path, headers, json={**amount, "notes": notes}))

    def find_operation(self, effect: Effect) -> Receipt | None:
        """A payment is captured once or not at all; refunds have keys of their own."""
        name = _id(effect.payload["payment"])
        status = json_object(self._call("GET", f"/v1/payments/{name}")).get("status")
        is_done = effect.operation == "capture_payment" and status in ("captured", "refunded")
        return Receipt(name, state=str(status)) if is_done else None

    def payment_events(self, since: datetime | None) -> Iterator[tuple[Delivery, ...]]:
        """Payments as they are now, oldest first. https://razorpay.com/docs/api/payments/fetch-all-payments lists the newest first;
        a fixed end keeps new ones from moving the pages."""
        now = datetime.now(UTC)
        begin = {"from": int((since - self._look_back).timestamp())} if since else {}
        pages: list[tuple[list[Any], datetime]] = []
        while not pages or len(pages[-1][0]) == _PAGE:
            window = {**begin, "to": int(now.timestamp()), "count": _PAGE, "skip": len(pages) * _PAGE}
            reply = self._call("GET", "/v1/payments", params=window)
            pages.append((_items(reply), said_at(reply)))
        for payments, at in reversed(pages):
            yield tuple(self._fetched(payment, at) for payment in reversed(payments))

    def _fetched(self, payment: dict[str, Any], at: datetime) -> Delivery:
        name = _id(payment.get("id"))
        refunds: list[Any] = []
        if payment.get("amount_refunded"):
            refunds = _items(self._call("GET", f"/v1/payments/{name}/refunds", params={"count": _PAGE}))
        payload = {"payment": {"entity": payment}, "refunds": {"entity": refunds}}
        event = {"event": "payment.fetched", "created_at": int(at.timestamp()), "payload": payload}
        return Delivery(f"{name}#{fingerprint(payload)[:32]}", "payment.fetched", name, msgspec.json.encode(event), at)

    def _call(self, method: str, path: str, headers: Mapping[str, str] | None = None, **rest: Any) -> Reply:
        try:
            auth = tuple(self.connection.credentials[name].reveal() for name in ("key_id", "key_secret"))
        except KeyError as missing:
            raise Rejected(f"the connection has no credential {missing.args[0]}", field=f"credentials.{missing.args[0]}") from None
        try:
            return self.http.request(method, path, headers=headers, auth=(auth[0], auth[1]), explain=_explain, **rest)
        except Rejected as error:
            if error.http_status == 409:  # the first request with this key is still under way
                raise UnknownOutcome(error.reason, status=409) from error
            raise


def _subject(payload: _Payload) -> str:
    for holder in (payload.refund, payload.dispute):
        if holder and holder.entity.payment_id:
            return holder.entity.payment_id
    holder = payload.payment or payload.settlement
    return holder.entity.id if holder else ""


def _id(value: object) -> str:
    text = str(value)
    if not _ID.fullmatch(text):
        raise Rejected("what was asked for is no id of Razorpay's", field="payment")
    return text


def _items(reply: Reply) -> list[Any]:
    items = json_object(reply).get("items")
    if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
        raise Rejected("the answer is no list", field="items")
    return items


def _receipt(reply: Reply) -> Receipt:
    made = json_object(reply)
    if not isinstance(made.get("id"), str):
        raise UnknownOutcome("the answer names no id")
    return Receipt(made["id"], state=str(made.get("status") or ""))


def _explain(reply: Reply) -> tuple[str, str]:
    """The code, reason and field; the description may repeat values. https://razorpay.com/docs/errors"""
    try:
        said = reply.json()
    except CallError:
        return "", ""
    error = said.get("error") if isinstance(said, dict) else None
    if not isinstance(error, dict):
        return "", ""
    named = [code(error.get(name)) for name in ("code", "reason")]
    return " ".join(filter(None, named)), code(error.get("field"))
