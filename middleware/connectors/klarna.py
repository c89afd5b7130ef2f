"""Klarna: signed webhooks of its network and unsigned pushes of its checkout in; captures, cancellations, refunds and look-ups out.

https://docs.klarna.com/api/ordermanagement · https://docs.klarna.com/api/kn/klarna-notifications-api
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

import msgspec

from mappings import klarna as words
from mappings.canonical import Message
from middleware.connectors._http import SUCCESS, Http, Reply
from middleware.errors import Refused, Rejected, SignatureRefused, UnknownOutcome, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.wire import klarna as wire
from middleware.wire.payment_calls import BROKEN, amount_of, minor_amount
from middleware.wire.webhooks import fingerprint, json_object, said_at, sample, translated, unreadable


class _Metadata(msgspec.Struct):
    event_type: str
    event_id: str
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)]
    live: bool | None = None


class _About(msgspec.Struct):
    payment_request_id: str = ""


class _Event(msgspec.Struct):
    metadata: _Metadata
    payload: _About


_DECODE = msgspec.json.Decoder(_Event).decode
_KEYS = uuid.UUID("7f3c1c44-0f53-4d0c-9d0f-7a1f0a5b9c11")
"""Namespace of our idempotency keys, which Klarna wants as UUIDs."""
_NOTHING_TO_ACKNOWLEDGE = frozenset({400, 403, 404, 409})


class Connector:
    """One Klarna account's webhooks and orders."""

    SYSTEM = "klarna"
    LANE = "payments"
    PROOF = "documents only: whether signatures are hex or base64 is not documented, both are taken"
    API_VERSION = "v1"
    REFUSAL_STATUS = 400
    NATIVE_IDEMPOTENCY = frozenset({"capture_payment", "refund_payment"})
    CREDENTIALS: Mapping[str, str] = {
        "username": "API user of order management; pushed orders are fetched and money is moved with it",
        "password": "its password",
    }
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "classic": (bool, True, "take the unsigned push of the checkout (?klarna_order_id=…) as a hint: the order is asked for"),
        "acknowledge": (bool, True, "acknowledge an order that was asked for, which ends its pushes"),
        "states": (dict, {}, 'what states of payment requests mean where it differs from ours, for example {COMPLETED = "authorized"}'),
        "exponents": (dict, {}, "currencies whose minor unit at this account differs from ISO 4217's"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are signing keys, each as `krn:…=key` (its id and the key) or the key alone."""
        self.connection = connection
        self.http = http
        self._keys = wire.named_keys(connection.secrets)
        options = connection.chosen(self.OPTIONS)
        self._classic, self._acknowledge = bool(options["classic"]), bool(options["acknowledge"])
        self._states, self._exponents = dict(options["states"]), dict(options["exponents"])
        words.check_states(self._states)

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify `Klarna-Signature` over the raw body; without one only a push is taken, as a hint."""
        if "klarna-signature" not in request.headers:
            return (self._read_push(request),)
        secret = wire.verify(request, self._keys)
        try:
            event = _DECODE(request.body)
        except BROKEN:
            return (unreadable(request.body, secret),)
        about = event.metadata
        if about.live is not None and about.live != self.connection.live:
            raise WrongEnvironment(f"a {'live' if about.live else 'test'} event on a connection of the other environment")
        subject = event.payload.payment_request_id or about.event_id
        return (Delivery(about.event_id, about.event_type, subject, request.body, about.occurred_at, secret=secret),)

    def sample_request(self, at: datetime) -> Inbound:
        """An event of a type that means nothing to us."""
        about = {"event_type": "self.test", "event_id": "self-test", "occurred_at": at, "live": self.connection.live}
        name, key = self._keys[0]
        made = sample("klarna-signature", "", {"metadata": about, "payload": {}}, key, at)
        return replace(made, headers={**made.headers, "klarna-signing-key-id": name})

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one event or answer to what it says of one payment; raises `Unreadable`, naming fields and never values."""
        return translated(words.translate, payload, self._exponents, self._states)

    def fetch_payment(self, effect: Effect) -> Delivery:
        """GET the order, and acknowledge it. https://docs.klarna.com/api/ordermanagement (get order details)"""
        name = wire.id_of(effect.payload["subject"])
        reply = self._call("GET", f"/orders/{name}")
        order, at = words.kept(json_object(reply)), said_at(reply)
        if self._acknowledge:  # repeating it does nothing, and orders of Klarna Payments have nothing to acknowledge
            accept = SUCCESS | _NOTHING_TO_ACKNOWLEDGE
            self._call("POST", f"/orders/{name}/acknowledge", key=f"acknowledge:{name}", safe=True, accept=accept)
        mark = fingerprint(order)
        event = {"metadata": {"event_type": words.FETCHED, "event_id": mark, "occurred_at": at}, "payload": order}
        return Delivery(f"{name}#{mark[:32]}", words.FETCHED, name, msgspec.json.encode(event), at)

    def capture_payment(self, effect: Effect) -> Receipt:
        """Capture a part, or all that is still authorized. https://docs.klarna.com/api/ordermanagement (create capture)"""
        name = wire.id_of(effect.payload["payment"])
        amount = self._amount(effect)
        if amount is None:
            amount = self._whole_number(self._order(name), "remaining_authorized_amount")
        return self._move(effect, name, "capture", {"captured_amount": amount})

    def refund_payment(self, effect: Effect) -> Receipt:
        """Refund a part, or all that was captured and not refunded. https://docs.klarna.com/api/ordermanagement (create refund)"""
        name = wire.id_of(effect.payload["payment"])
        amount = self._amount(effect)
        if amount is None:
            order = self._order(name)
            amount = self._whole_number(order, "captured_amount") - self._whole_number(order, "refunded_amount")
        said = {"description": str(effect.payload["reason"])[:255]} if effect.payload.get("reason") else {}
        return self._move(effect, name, "refund", {"refunded_amount": amount, **said})

    def void_payment(self, effect: Effect) -> Receipt:
        """Cancel the order, or release what is left of it once something was captured; nothing where it is over already."""
        name = wire.id_of(effect.payload["payment"])
        order = self._order(name)
        status = str(order.get("status"))
        if status in ("CANCELLED", "EXPIRED", "CLOSED"):
            return Receipt(name, state=status)
        action = "release-remaining-authorization" if order.get("captured_amount") else "cancel"
        self._call("POST", f"/orders/{name}/{action}", key=effect.key, safe=True)
        return Receipt(name, state="RELEASED" if action.startswith("release") else "CANCELLED")

    def _read_push(self, request: Inbound) -> Delivery:
        if not self._classic or not self._keys:
            raise SignatureRefused("there is no Klarna-Signature header")
        order = wire.pushed_order(request)
        if not order:
            raise Refused("the request is neither signed nor a push of an order")
        return Delivery("", "order.push", order, msgspec.json.encode({"order_id": order}), hint=True)

    def _order(self, name: str) -> dict[str, Any]:
        return json_object(self._call("GET", f"/orders/{name}"))

    def _amount(self, effect: Effect) -> int | None:
        money = amount_of(effect)
        return minor_amount(money, self._exponents) if money else None

    def _whole_number(self, order: Mapping[str, Any], name: str) -> int:
        found = order.get(name)
        if not isinstance(found, int) or isinstance(found, bool):
            raise Rejected("the order does not name its amounts", field=name)
        return found

    def _move(self, effect: Effect, name: str, kind: str, asked: dict[str, Any]) -> Receipt:
        """The answer has no body: the id is in a header of its own and at the end of Location."""
        reference = str(effect.payload.get("reference") or "")[:255]
        body = {**asked, **({"reference": reference} if reference else {})}
        reply = self._call("POST", f"/orders/{name}/{kind}s", key=effect.key, json=body)
        made = reply.headers.get(f"{kind}-id") or reply.headers.get("location", "").rstrip("/").rpartition("/")[2]
        if not made:
            raise UnknownOutcome("the answer names no id", status=reply.status)
        return Receipt(made)

    def _call(self, method: str, path: str, *, key: str = "", accept: frozenset[int] = SUCCESS, **rest: Any) -> Reply:
        found = self.connection.credentials
        if "username" not in found or "password" not in found:
            raise Rejected("the connection has no credentials username and password", field="credentials.username")
        headers = {"Klarna-Idempotency-Key": str(uuid.uuid5(_KEYS, key))} if key else {}
        auth = (found["username"].reveal(), found["password"].reveal())
        path = f"/ordermanagement/v1{path}"
        reply = self.http.request(method, path, headers=headers, auth=auth, accept=accept | {403}, explain=wire.explain, **rest)
        if reply.status == 403 and 403 not in accept:
            raise wire.forbidden(reply)
        return reply
