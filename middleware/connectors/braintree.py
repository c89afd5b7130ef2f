"""Braintree: signed webhooks in; settlements, voids, refunds, look-ups and searches out, over the XML interface of its SDKs.

https://developer.paypal.com/braintree/docs/guides/webhooks · there is no webhook for authorized, captured, voided or refunded cards:
a poll of `payment_events` finds those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from marshmallow import ValidationError

from mappings import braintree as words
from mappings.canonical import Message, PaymentState
from mappings.fields import field_names
from middleware.connectors._http import Http, Reply
from middleware.errors import Rejected, Unreadable
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.wire import braintree as wire
from middleware.wire import braintree_answers as answers
from middleware.wire.webhooks import fingerprint, said_at, unreadable

_TIMES = ("created_at", "authorized_at", "submitted_for_settlement_at", "settled_at", "voided_at", "failed_at", "authorization_expired_at")
_PAGE = 50


class Connector:
    """One Braintree merchant's webhooks and transactions."""

    SYSTEM = "braintree"
    LANE = "payments"
    PROOF = "SDK: its signatures, its sample notifications, the requests that it would send"
    API_VERSION = "6"
    HANDSHAKE = "bt_challenge"
    CREDENTIALS: Mapping[str, str] = {
        "public_key": "public key of the API user; webhooks are signed for it too",
        "private_key": "private key of the API user; hints are fetched and money is moved with it",
    }
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "merchant_id": (str, "", "merchant id, the account in the address of every call"),
        "order_fields": (
            list,
            ["order_uuid", "order_id"],
            "custom fields that hold the shop's order id; the order id of the sale always counts",
        ),
        "decisions": (
            dict,
            {
                "accept": "approve",
                "accepted": "approve",
                "approve": "approve",
                "approved": "approve",
                "reject": "reject",
                "rejected": "reject",
            },
            "what the decisions of fraud reviews mean: hold, approve or reject",
        ),
        "request_keys": (bool, False, "send our keys as api_request_key too, which the SDKs know since 4.48; look-ups do without"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """`connection.secrets` are `public key:private key` each, or the private key that goes with the credential public_key."""
        self.connection = connection
        self.http = http
        options = connection.chosen(self.OPTIONS)
        self._public = connection.credentials["public_key"].reveal() if "public_key" in connection.credentials else ""
        self._pairs = wire.key_pairs(connection.secrets, self._public)
        self._merchant = str(options["merchant_id"])
        self._order_fields, self._decisions = tuple(options["order_fields"]), dict(options["decisions"])
        self._request_keys = bool(options["request_keys"])
        words.check_decisions(self._decisions)
        if connection.base_url and ("sandbox" in connection.base_url) == connection.live and "braintreegateway" in connection.base_url:
            raise ValueError("options: base_url is of Braintree's other environment than the connection's `live` says")

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify `bt_signature` over `bt_payload` as posted. There is no event id: the payload's SHA-256 is the delivery's."""
        signature, payload = wire.signed_form(request.body)
        secret = wire.verify(signature, payload, self._pairs)
        try:
            body = wire.decoded(payload)
            note = answers.notification(body)
            subject = words.subject_of(note)
            kind, at = str(note["kind"]), datetime.fromisoformat(str(note["timestamp"])).astimezone(UTC)
        except (ValueError, KeyError, OverflowError, ValidationError):
            return (unreadable(payload.encode(), secret),)
        digest = "sha256:" + hashlib.sha256(payload.encode()).hexdigest()
        hint = kind in words.HINTS and bool(subject)
        return (Delivery(digest, kind, subject or digest, body, at, hint=hint, secret=secret),)

    def greet(self, token: str) -> str:
        """Answer the challenge with which a webhook is set up, by the first key pair."""
        return wire.greeting(token, self._pairs)

    def sample_request(self, at: datetime) -> Inbound:
        """The notification with which Braintree tests a webhook."""
        body = wire.write_xml({"notification": {"timestamp": at, "kind": "check", "subject": {"check": True}}})
        return Inbound({"content-type": "application/x-www-form-urlencoded"}, wire.form(body, self._pairs[0]), "", at)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one notification or answer to what it says; raises `Unreadable`, naming fields and never values."""
        try:
            raw = msgspec.json.decode(payload) if topic == "transaction_fetched" else answers.notification(payload)
            return words.translate(raw, self._order_fields, self._decisions)
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None
        except ValueError:  # msgspec's too
            raise Unreadable("the body is no notification") from None

    def fetch_payment(self, effect: Effect) -> Delivery:
        """GET the sale that a transaction belongs to, with its partial settlements and refunds."""
        sale, at = self._find(answers.id_of(effect.payload["subject"]))
        for _ in range(3):  # a refund of a partial settlement of a sale
            above = sale.get("refunded_transaction_id") or sale.get("authorized_transaction_id")
            if not above:
                break
            sale, at = self._find(answers.id_of(above))
        related = self._related(sale)
        name, mark = str(sale["id"]), fingerprint([sale, related])
        subject = {"transaction": sale, "related": related}
        event = {"kind": "transaction_fetched", "timestamp": at, "subject": subject}
        return Delivery(f"{name}#{mark[:32]}", "transaction_fetched", name, msgspec.json.encode(event), at)

    def capture_payment(self, effect: Effect) -> Receipt:
        """Submit for settlement: all at once, or a part as a transaction of its own while more may follow.

        https://developer.paypal.com/braintree/docs/reference/request/transaction/submit-for-partial-settlement
        """
        payment, money, final = answers.id_of(effect.payload["payment"]), effect.payload.get("amount"), bool(effect.payload.get("final"))
        amount = words.amount_of(money) if isinstance(money, Mapping) else None
        if amount is None or (final and not answers.ids_of(self._find(payment)[0], "partial_settlement_transaction_ids")):
            return self._move("PUT", payment, "submit_for_settlement", {"amount": amount, **self._key(effect)})
        last = {"final_capture": True} if final else {}
        asked = {"amount": amount, "order_id": _mark(effect), **last, **self._key(effect)}
        return self._move("POST", payment, "submit_for_partial_settlement", asked)

    def refund_payment(self, effect: Effect) -> Receipt:
        """Refund a settled transaction, or the partial settlement that `capture` names; one that is not settled yet is waited for.

        https://developer.paypal.com/braintree/docs/reference/request/transaction/refund
        """
        money = effect.payload.get("amount")
        amount = words.amount_of(money) if isinstance(money, Mapping) else None
        asked = {"amount": amount, "order_id": _mark(effect), **self._key(effect)}
        return self._move("POST", answers.id_of(effect.payload.get("capture") or effect.payload["payment"]), "refund", asked)

    def void_payment(self, effect: Effect) -> Receipt:
        """https://developer.paypal.com/braintree/docs/reference/request/transaction/void; nothing where it is void already."""
        payment = answers.id_of(effect.payload["payment"])
        status = str(self._find(payment)[0].get("status"))
        if words.STATUSES.get(status) in (PaymentState.VOIDED, PaymentState.FAILED):
            return Receipt(payment, state=status)
        return self._move("PUT", payment, "void", {}, safe=True)

    def find_operation(self, effect: Effect) -> Receipt | None:
        """What an earlier attempt made: the transaction that carries our mark as its order id, or, for all at once, the sale itself."""
        payment = answers.id_of(effect.payload["payment"])
        above = payment if effect.operation == "capture_payment" else answers.id_of(effect.payload.get("capture") or payment)
        sale, _ = self._find(above)
        kind = "partial_settlement_transaction_ids" if effect.operation == "capture_payment" else "refund_ids"
        for name in answers.ids_of(sale, kind):
            made, _ = self._find(name)
            if made.get("order_id") == _mark(effect):
                return Receipt(name, state=str(made.get("status")))
        at_once = effect.operation == "capture_payment" and (not effect.payload.get("amount") or effect.payload.get("final"))
        whole = at_once and not answers.ids_of(sale, kind) and words.is_captured(sale.get("status"))
        return Receipt(above, state=str(sale.get("status"))) if whole else None

    def payment_events(self, since: datetime | None) -> Iterator[tuple[Delivery, ...]]:
        """Sales of which something happened since, as they are now, oldest first.

        https://developer.paypal.com/braintree/docs/reference/request/transaction/search
        """
        searches = [{"search": {name: {"min": since}}} for name in _TIMES] if since else [{"search": {}}]
        found: dict[str, None] = {}
        for search in searches:
            found.update(dict.fromkeys(reversed(self._search(search))))
        names, seen = list(found), set[str]()
        for begin in range(0, len(names), _PAGE):
            page = [self.fetch_payment(Effect("", "fetch_payment", name, {"subject": name})) for name in names[begin : begin + _PAGE]]
            new = {one.delivery_id: one for one in page if one.delivery_id not in seen}
            seen |= set(new)
            yield tuple(new.values())

    def _search(self, search: Mapping[str, Any]) -> Sequence[str]:
        reply = self._call("POST", "/transactions/advanced_search_ids", search, safe=True)
        root, value = answers.answer(reply)
        if root != "search_results" or not isinstance(value, dict):
            raise Rejected("the answer is no search result")
        return answers.ids_of(value, "ids")

    def _find(self, name: str) -> tuple[dict[str, Any], datetime]:
        """A transaction without its cards and persons, and when it was said."""
        reply = self._call("GET", f"/transactions/{name}")
        return answers.transaction(reply), said_at(reply)

    def _related(self, sale: Mapping[str, Any]) -> list[dict[str, Any]]:
        settlements = [self._find(name)[0] for name in answers.ids_of(sale, "partial_settlement_transaction_ids")]
        refunds = [name for one in (sale, *settlements) for name in answers.ids_of(one, "refund_ids")]
        return settlements + [self._find(name)[0] for name in refunds]

    def _move(self, method: str, payment: str, action: str, asked: Mapping[str, Any], *, safe: bool = False) -> Receipt:
        body = {"transaction": asked} if asked else {}
        reply = self._call(method, f"/transactions/{payment}/{action}", body, safe=safe, accept=frozenset({200, 201, 422}))
        root, value = answers.answer(reply)
        if root == "api_error_response":
            raise answers.refusal(value)
        made = answers.transaction(reply)
        return Receipt(str(made["id"]), state=str(made.get("status")))

    def _key(self, effect: Effect) -> dict[str, str]:
        return {"api_request_key": effect.key} if self._request_keys else {}

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **rest: Any) -> Reply:
        if not self._merchant:
            raise Rejected("the connection has no option merchant_id", field="options.merchant_id")
        if "private_key" not in self.connection.credentials:
            raise Rejected("the connection has no credential private_key", field="credentials.private_key")
        auth = (self._public, self.connection.credentials["private_key"].reveal())
        headers = {"Accept": "application/xml", "Content-Type": "application/xml", "X-ApiVersion": self.API_VERSION}
        data = wire.write_xml(body) if body else None
        return self.http.request(method, f"/merchants/{self._merchant}{path}", headers=headers, auth=auth, data=data, **rest)


def _mark(effect: Effect) -> str:
    """The order id of a partial settlement or refund: our reference, and what finds it again."""
    digest = hashlib.sha256(effect.key.encode()).hexdigest()[:16]
    return f"{str(effect.payload.get('reference') or '')[:200]}#{digest}"
