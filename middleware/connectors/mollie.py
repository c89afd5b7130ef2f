"""Mollie: signed webhooks and the classic unsigned hint in; captures, cancellations, refunds and look-ups out.

https://docs.mollie.com/reference/webhooks · https://docs.mollie.com/reference/webhooks-new
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from mappings import mollie as words
from mappings.canonical import Message
from mappings.payment_fields import order_refs
from middleware.connectors._http import Http, Reply
from middleware.errors import Refused, Rejected, SignatureRefused, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.wire.mollie import created, decode_event, explain, is_hint, listed, next_page, payment_id, receipt
from middleware.wire.payment_calls import BROKEN
from middleware.wire.webhooks import fingerprint, json_object, said_at, sample, signer, translated, unreadable, usable

_CLASSIC = re.compile(rb"id=(tr_[A-Za-z0-9]{1,64})")
_EMBED = {"embed": "captures,refunds,chargebacks"}
_PAGE = 250


class Connector:
    """One Mollie profile's webhooks and payments."""

    SYSTEM = "mollie"
    LANE = "payments"
    PROOF = "documents only: payloads of Mollie's PHP client, signatures of its Node validator"
    API_VERSION = "v2"
    NATIVE_IDEMPOTENCY = frozenset({"capture_payment", "refund_payment"})
    CREDENTIALS: Mapping[str, str] = {"api_key": "API key (test_… or live_…); hints are fetched and money is moved with it"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "classic": (bool, True, "take the unsigned classic call (id=tr_…) as a hint: the payment is asked for"),
        "metadata_keys": (list, ["order_uuid", "order_id"], "metadata of the payment that holds the shop's order id"),
        "look_back": (int, 30, "days that a payment may still change: a back-fill reads so much more, by when payments began"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are the signing secrets of the webhook; two while one is being rotated."""
        self.connection = connection
        self.http = http
        self._keys = usable(connection.secrets)
        options = connection.chosen(self.OPTIONS)
        self._classic = bool(options["classic"])
        self._metadata_keys = tuple(options["metadata_keys"])
        self._look_back = timedelta(days=options["look_back"])
        key = connection.credentials["api_key"].reveal() if "api_key" in connection.credentials else ""
        if key.startswith(("live_", "test_")) and key.startswith("live_") != connection.live:
            raise ValueError("options: the api_key is of Mollie's other environment than the connection's `live` says")

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify `X-Mollie-Signature` over the raw body; without one only the classic call is taken, as a hint."""
        header = request.headers.get("x-mollie-signature")
        if header is None:
            return (self._read_classic(request),)
        given = [text.strip().removeprefix("sha256=") for text in header.split(",")]
        secret = signer(self._keys, request.body, given)
        try:
            event = decode_event(request.body)
        except BROKEN:
            return (unreadable(request.body, secret),)
        entity = event.embedded.entity if event.embedded else None
        if entity and entity.mode:
            self._check_environment(entity.mode)
        subject = (entity.payment_id if entity else None) or event.entityId
        hint = event.type in words.TOPICS and subject.startswith("tr_") and is_hint(entity)
        return (Delivery(event.id, event.type, subject, request.body, event.createdAt, hint=hint, secret=secret),)

    def sample_request(self, at: datetime) -> Inbound:
        """An event of a type that means nothing to us."""
        event = {"resource": "event", "id": "event_self_test", "type": "self.test", "entityId": "self_test", "createdAt": at}
        return sample("x-mollie-signature", "sha256=", event, self._keys[0], at)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one event to what it says of one payment or payout; raises `Unreadable`, naming fields and never values."""
        return translated(words.translate, payload, self._metadata_keys)

    def fetch_payment(self, effect: Effect) -> Delivery:
        """GET the payment with its captures, refunds and chargebacks. https://docs.mollie.com/reference/get-payment"""
        reply = self._call("GET", f"/v2/payments/{payment_id(effect.payload['subject'])}", params=_EMBED)
        return self._fetched(json_object(reply), said_at(reply))

    def capture_payment(self, effect: Effect) -> Receipt:
        """https://docs.mollie.com/reference/create-capture: all that is left without an amount."""
        body = {"description": str(effect.payload.get("reference") or effect.key), **_amount(effect)}
        return receipt(self._move(effect, "captures", body))

    def refund_payment(self, effect: Effect) -> Receipt:
        """https://docs.mollie.com/reference/create-refund: without an amount all of the payment, which Mollie has to be told."""
        amount = _amount(effect)
        if not amount:
            payment = json_object(self._call("GET", f"/v2/payments/{payment_id(effect.payload['payment'])}"))
            amount = {"amount": payment.get("amount")}
        words_of_it = str(effect.payload.get("reason") or effect.payload.get("reference") or effect.key)
        return receipt(self._move(effect, "refunds", {"description": words_of_it[:255], **amount}))

    def void_payment(self, effect: Effect) -> Receipt:
        """Cancel what was not authorized yet, release what was; nothing where it is over already.

        https://docs.mollie.com/reference/cancel-payment · https://docs.mollie.com/reference/release-authorization
        """
        name = payment_id(effect.payload["payment"])
        payment = json_object(self._call("GET", f"/v2/payments/{name}"))
        status = str(payment.get("status"))
        if status in ("canceled", "expired", "failed"):
            return Receipt(name, state=status)
        if words.is_captured_apart(payment):
            self._call("POST", f"/v2/payments/{name}/release-authorization", key=effect.key, safe=True)
            return Receipt(name, state="released")
        self._call("DELETE", f"/v2/payments/{name}", key=effect.key, safe=True)
        return Receipt(name, state="canceled")

    def find_operation(self, effect: Effect) -> Receipt | None:
        """The capture or refund that carries our key in its metadata: Mollie forgets idempotency keys after a while."""
        kind = "captures" if effect.operation == "capture_payment" else "refunds"
        path, query = f"/v2/payments/{payment_id(effect.payload['payment'])}/{kind}", ""
        while path:
            page = json_object(self._call("GET", f"{path}{query}"))
            for made in listed(page, kind):
                if order_refs(made.get("metadata"), ("waybill",)) == (effect.key,):
                    return receipt(made)
            path, query = next_page(page)
        return None

    def payment_events(self, since: datetime | None) -> Iterator[tuple[Delivery, ...]]:
        """Payments as they are now, oldest first. https://docs.mollie.com/reference/list-payments lists the newest first."""
        begin = since - self._look_back if since else None
        pages: list[tuple[list[dict[str, Any]], datetime]] = []
        path, query = "/v2/payments", f"?limit={_PAGE}"
        while path:
            reply = self._call("GET", f"{path}{query}")
            payments = listed(json_object(reply), "payments")
            young = [one for one in payments if begin is None or created(one) >= begin]
            pages.append((young, said_at(reply)))
            path, query = next_page(json_object(reply)) if len(young) == len(payments) else ("", "")
        for young, at in reversed(pages):
            yield tuple(self._whole(payment, at) for payment in reversed(young))

    def _whole(self, payment: dict[str, Any], at: datetime) -> Delivery:
        """A listed payment tells no captures, refunds and chargebacks: one that has some is asked for."""
        moved = any(isinstance(payment.get(name), dict) for name in ("amountRefunded", "amountChargedBack", "amountCaptured"))
        if not moved and not words.is_captured_apart(payment):
            return self._fetched(payment, at)
        return self.fetch_payment(Effect("", "fetch_payment", "", {"subject": payment.get("id")}))

    def _fetched(self, payment: dict[str, Any], at: datetime) -> Delivery:
        if payment.get("mode") in ("live", "test") and (payment["mode"] == "live") != self.connection.live:
            raise Rejected(f"a {payment['mode']} payment on a connection of the other environment")
        name, mark = payment_id(payment.get("id")), fingerprint(payment)
        event = {"id": mark, "type": "payment.fetched", "entityId": name, "createdAt": at, "_embedded": {"entity": payment}}
        return Delivery(f"{name}#{mark[:32]}", "payment.fetched", name, msgspec.json.encode(event), at)

    def _read_classic(self, request: Inbound) -> Delivery:
        if not self._classic or not self._keys:
            raise SignatureRefused("there is no X-Mollie-Signature header")
        found = _CLASSIC.fullmatch(request.body)
        if found is None:
            raise Refused("the body is neither signed nor id=tr_…")
        return Delivery("", "payment.hint", found[1].decode(), request.body, hint=True)

    def _check_environment(self, mode: str) -> None:
        if (mode == "live") != self.connection.live:
            raise WrongEnvironment(f"a {'live' if mode == 'live' else 'test'} event on a connection of the other environment")

    def _move(self, effect: Effect, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        path = f"/v2/payments/{payment_id(effect.payload['payment'])}/{kind}"
        return json_object(self._call("POST", path, key=effect.key, json={**body, "metadata": {"waybill": effect.key}}))

    def _call(self, method: str, path: str, *, key: str = "", **rest: Any) -> Reply:
        if "api_key" not in self.connection.credentials:
            raise Rejected("the connection has no credential api_key", field="credentials.api_key")
        headers = {"Authorization": f"Bearer {self.connection.credentials['api_key'].reveal()}"}
        if key:
            headers["Idempotency-Key"] = key
        return self.http.request(method, path, headers=headers, explain=explain, **rest)


def _amount(effect: Effect) -> dict[str, Any]:
    money = effect.payload.get("amount")
    return {"amount": words.amount_of(money)} if isinstance(money, Mapping) else {}
