"""Authorize.Net: signed webhooks in; transactions are asked for. https://developer.authorize.net/api/reference/features/webhooks.html"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

import msgspec
from marshmallow import ValidationError

from mappings import authorizenet as words
from mappings.canonical import Message
from mappings.fields import field_names
from mappings.money import is_currency
from middleware.connectors._http import Http
from middleware.errors import Rejected, Transient, Unauthorized, Unreadable
from middleware.ports import Delivery, Effect, Inbound
from middleware.settings import Connection
from middleware.wire.payment_calls import BROKEN, code
from middleware.wire.webhooks import exact_json, fingerprint, json_object, said_at, sample, signer, unreadable, usable


class _About(msgspec.Struct):
    id: str | int = ""
    entity: str = msgspec.field(name="entityName", default="transaction")


class _Event(msgspec.Struct):
    notification: str = msgspec.field(name="notificationId")
    type: str = msgspec.field(name="eventType")
    date: Annotated[datetime, msgspec.Meta(tz=True)] = msgspec.field(name="eventDate")
    payload: _About


_DECODE = msgspec.json.Decoder(_Event).decode
_ID = re.compile(r"[0-9]{1,30}")
_BAD_CREDENTIALS = frozenset({"E00005", "E00006", "E00007", "E00008"})
_BUSY = frozenset({"E00001", "E00053", "E00104"})


class Connector:
    """One Authorize.Net merchant's webhooks."""

    SYSTEM = "authorizenet"
    LANE = "payments"
    PROOF = "documents only: the signature of one real delivery that was published"
    API_VERSION = "v1"
    CREDENTIALS: Mapping[str, str] = {
        "login_id": "API login id; refunds, voids and released payments are asked for with it",
        "transaction_key": "its transaction key; it is not the webhooks' signature key",
    }
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "currency": (str, "USD", "the account's currency: no event names one"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are signature keys, as text: they are not decoded from hex."""
        self.connection = connection
        self.http = http
        self._keys = usable(connection.secrets)
        self._currency = str(connection.options.get("currency", self.OPTIONS["currency"][1]))
        if not is_currency(self._currency):
            raise ValueError("currency: expected an ISO 4217 code")
        if "authorize.net" in connection.base_url and ("apitest." in connection.base_url) == connection.live:
            raise ValueError("options: base_url is of Authorize.Net's other environment than the connection's `live` says")

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify `X-ANET-Signature` over the raw body, in hex of either case. A released payment does not say what became of it: a hint
        goes with it."""
        kind, _, given = request.headers.get("x-anet-signature", "").partition("=")
        secret = signer(self._keys, request.body, [given.lower()] if kind.lower() == "sha512" else [], "sha512")
        try:
            event = _DECODE(request.body)
        except BROKEN:
            return (unreadable(request.body, secret),)
        about = str(event.payload.id)
        transaction = about if event.payload.entity == "transaction" and _ID.fullmatch(about) else ""
        subject, hint = transaction or event.notification, bool(transaction) and event.type in words.HINTS
        found = Delivery(event.notification, event.type, subject, request.body, event.date, hint=hint, secret=secret)
        if transaction and event.type == f"{words.PREFIX}fraud.approved":
            return found, replace(found, delivery_id=f"{event.notification}#hint", hint=True)
        return (found,)

    def sample_request(self, at: datetime) -> Inbound:
        """An event of a type that means nothing to us."""
        event = {"notificationId": "self-test", "eventType": "self.test", "eventDate": at, "payload": {"entityName": "self_test"}}
        return sample("x-anet-signature", "sha512=", event, self._keys[0], at, algorithm="sha512")

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one event or answer to what it says of one payment; raises `Unreadable`, naming fields and never values."""
        try:
            return words.translate(exact_json(payload), self._currency)
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None
        except ValueError:
            raise Unreadable("the body is not JSON") from None

    def fetch_payment(self, effect: Effect) -> Delivery:
        """Ask for a transaction's details. https://developer.authorize.net/api/reference/index.html#transaction-reporting-get-transaction-details"""
        name = str(effect.payload["subject"])
        if not _ID.fullmatch(name):
            raise Rejected("what was asked for is no id of a transaction", field="payment")
        # Their JSON is read as XML: the order of the fields counts.
        asked = {"getTransactionDetailsRequest": {"merchantAuthentication": self._credentials(), "transId": name}}
        reply = self.http.request("POST", "/xml/v1/request.api", json=asked, safe=True)
        details, at = _details(json_object(reply)), said_at(reply)
        about, mark = str(details.get("refTransId") or name), fingerprint(details)
        event = {"notificationId": mark, "eventType": words.FETCHED, "eventDate": at, "payload": details}
        return Delivery(f"{name}#{mark[:32]}", words.FETCHED, about, msgspec.json.encode(event), at)

    def _credentials(self) -> dict[str, str]:
        found = self.connection.credentials
        for name in self.CREDENTIALS:
            if name not in found:
                raise Rejected(f"the connection has no credential {name}", field=f"credentials.{name}")
        return {"name": found["login_id"].reveal(), "transactionKey": found["transaction_key"].reveal()}


def _details(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The transaction in an answer, without cards and persons; refusals come with HTTP 200."""
    messages, details = answer.get("messages"), answer.get("transaction")
    if isinstance(messages, dict) and messages.get("resultCode") == "Ok" and isinstance(details, dict):
        return {name: details[name] for name in words.KEPT if name in details}
    listed = messages.get("message") if isinstance(messages, dict) else None
    told = [code(one.get("code")) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    codes = [one for one in told if one]
    if _BAD_CREDENTIALS & set(codes):
        raise Unauthorized(f"{codes[0]}: the credentials are not accepted")
    if _BUSY & set(codes):
        raise Transient(f"{codes[0]}: they cannot answer now")
    raise Rejected(f"the transaction cannot be had: {' '.join(codes) or 'no code'}", field="payment")
