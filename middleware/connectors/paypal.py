"""PayPal: webhooks signed with a certificate in; captures, voids and refunds of Payments v2 out. https://developer.paypal.com/api/rest"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

import msgspec

from mappings import paypal as words
from mappings.canonical import Message
from middleware.connectors._http import SUCCESS, Http, Reply
from middleware.errors import Busy, CallError, Rejected, SignatureRefused, Stale, Unauthorized, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.wire import paypal as wire
from middleware.wire import paypal_certificates as certificates
from middleware.wire.oauth2 import ClientCredentials
from middleware.wire.payment_calls import BROKEN, amount_of, answered, code, credential, decimal_text, key_of, payment_of, text_of
from middleware.wire.webhooks import translated, unreadable

VERIFY = "/v1/notifications/verify-webhook-signature"
KEPT_FOR = timedelta(days=30)
"""How long PayPal lists events."""
NO_DECIMALS = {"HUF": 0, "JPY": 0, "TWD": 0}
"""https://developer.paypal.com/docs/reports/reference/paypal-supported-currencies"""


class _Event(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1)]
    event_type: str
    resource: dict[str, Any]
    create_time: datetime


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 3600


_DECODE = msgspec.json.Decoder(_Event).decode


class Connector:
    """One PayPal REST app. `connection.secrets` are the ids of its webhook (an id is what a signature is made for);
    `base_url` is https://api-m.paypal.com, or that of the sandbox."""

    SYSTEM = "paypal"
    LANE = "payments"
    PROOF = "SDK (vectors of the legacy one), published OpenAPI description"
    API_VERSION = "Orders v2, Payments v2"
    NATIVE_IDEMPOTENCY = ("capture_payment", "void_payment", "refund_payment")
    CREDENTIALS: Mapping[str, str] = {"client_secret": "secret of the REST app; only what is asked of PayPal needs it"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "client_id": (str, "", "client id of the REST app"),
        "intent": (str, "capture", '"authorize" where orders are authorised first: refunds and disputes are then looked up'),
        "reference_fields": (list, ["custom_id", "invoice_id"], "fields of a payment that hold the shop's order id"),
        "verify": (str, "certificate", '"api" where PayPal itself is asked about each signature, which costs a request'),
        "authority": (str, "DigiCert", "name of the public authority whose roots PayPal's certificates lead to"),
        "trusted_certificates": (str, "", "PEM file of certificates that are trusted beside that authority's"),
        "tolerance": (int, 0, "seconds that a transmission stays valid; 0: as long as PayPal repeats it"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """Raises ValueError for an intent that is none, and for a file of certificates that is none."""
        self.connection = connection
        self.http = http
        self._ids = [secret.reveal().strip() for secret in connection.secrets]
        self._option = connection.chosen(self.OPTIONS)
        for name, words_of in (("intent", ("capture", "authorize")), ("verify", ("certificate", "api"))):
            if self._option[name] not in words_of:
                raise ValueError(f"{name}: expected one of: {', '.join(words_of)}")
        self._rules = words.Rules(tuple(self._option["reference_fields"]))
        trusted = certificates.roots(self._option["authority"], self._option["trusted_certificates"])
        self._certificates = certificates.Certificates(trusted, lambda path: self.http.request("GET", path).body)
        self._auth = ClientCredentials(self._fetch_token)

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify the transmission over the raw body; a verified body that is no event is kept under its SHA-256. Raises `Busy` when
        its certificate, or PayPal's own verdict, cannot be had now."""
        if not any(self._ids):
            raise SignatureRefused("the connection has no webhook id")
        sent = certificates.transmission(request.headers)
        index = self._signer(sent, request)
        self._check_age(sent.time, request.received_at)
        if sent.sandbox == self.connection.live:
            raise WrongEnvironment(
                f"a {'test' if sent.sandbox else 'live'} event on a {'live' if self.connection.live else 'test'} connection"
            )
        return (self._delivery(request.body, index),)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one event to what it says of one payment; raises `Unreadable`, naming fields and never values."""
        return translated(words.translate, payload, self._rules)

    def capture_payment(self, effect: Effect) -> Receipt:
        """https://developer.paypal.com/docs/api/payments/v2/#authorizations_capture"""
        body: dict[str, Any] = {"final_capture": bool(effect.payload.get("final", False)), **self._amount(effect)}
        return self._made(self._post(f"/v2/payments/authorizations/{quote(payment_of(effect), safe='')}/capture", body, effect), "capture")

    def void_payment(self, effect: Effect) -> Receipt:
        """https://developer.paypal.com/docs/api/payments/v2/#authorizations_void; a second one is told that it is voided already."""
        payment = payment_of(effect)
        path = f"/v2/payments/authorizations/{quote(payment, safe='')}/void"
        reply = self._call("POST", path, json={}, safe=True, accept=SUCCESS | {422})
        if reply.status == 422 and "PREVIOUSLY_VOIDED" not in wire.issues(_object(reply)):
            message, field = explain(reply)
            raise Rejected(f"HTTP 422: {message}" if message else "HTTP 422", field=field, status=422)
        return Receipt(payment, state="VOIDED")

    def refund_payment(self, effect: Effect) -> Receipt:
        """https://developer.paypal.com/docs/api/payments/v2/#captures_refund; a payment without authorization is its own capture."""
        capture = text_of(effect, "capture") or payment_of(effect)
        texts = {"note_to_payer": text_of(effect, "reason")[:255], "custom_id": text_of(effect, "reference")[:127]}
        body = {**self._amount(effect), **{name: text for name, text in texts.items() if text}}
        return self._made(self._post(f"/v2/payments/captures/{quote(capture, safe='')}/refund", body, effect), "refund")

    def fetch_payment(self, effect: Effect) -> Delivery:
        """Ask for a capture or an authorization, for the order around it and for its disputes, as an event of ours; the delivery's
        id is the fingerprint of what they say."""
        subject = str(effect.payload["subject"])
        things = {kind: self._get(f"/v2/payments/{kind}/{quote(subject, safe='')}") for kind in ("captures", "authorizations")}
        kind, found = next(((kind, thing) for kind, thing in things.items() if isinstance(thing, Mapping)), ("", {}))
        if not kind:
            raise Rejected("PayPal knows no such payment", status=404)
        payment = words.parent(found, "authorizations") or subject
        resource = {"payment": payment, **wire.around(self._get, found, kind=kind, payment=payment)}
        at = datetime.now(UTC)
        digest = hashlib.sha256(msgspec.json.encode(resource, order="deterministic")).hexdigest()
        event = {"id": digest, "event_type": words.FETCHED, "create_time": at.isoformat(), "resource": resource}
        return Delivery(f"{payment}#{digest[:32]}", words.FETCHED, payment, msgspec.json.encode(event, order="deterministic"), at)

    def payment_events(self, since: datetime | None) -> Iterator[tuple[Delivery, ...]]:
        """Day by day, because PayPal lists the newest first. https://developer.paypal.com/docs/api/webhooks/v1/#webhooks-events_list"""
        now = datetime.now(UTC)
        start = max(since, now - KEPT_FOR) if since else now - KEPT_FOR
        while start < now:
            end = min(start + timedelta(days=1), now)
            events = [self._delivery(raw, 0) for raw in self._listed(start, end)]
            yield tuple(sorted(events, key=lambda event: event.occurred_at or start))
            start = end

    def _listed(self, start: datetime, end: datetime) -> Iterator[bytes]:
        params = [("page_size", "100"), *(("start_time", _text(start)), ("end_time", _text(end)))]
        seen = set()
        while params:
            if str(params) in seen:
                raise Rejected("the list of events leads back to itself")
            seen.add(str(params))
            events, params = wire.page(self._call("GET", wire.EVENTS, params=params).body)
            yield from events

    def _delivery(self, body: bytes, secret: int) -> Delivery:
        try:
            event = _DECODE(body)
        except BROKEN:
            return unreadable(body, secret)
        told, resource = event.event_type, event.resource
        payment = words.parent(resource, "authorizations")
        capture = words.parent(resource, "captures") or words.disputed(resource)
        subject = payment or capture or str(resource.get("id") or event.id)
        hint = told in words.OF_A_CAPTURE and not payment and self._option["intent"] == "authorize"
        at = event.create_time if event.create_time.tzinfo else None
        return Delivery(event.id, told, subject, body, at, hint=hint, secret=secret)

    def _signer(self, sent: certificates.Transmission, request: Inbound) -> int:
        """Which of the webhooks the transmission was signed for."""
        if self._option["verify"] == "certificate":
            leaf = self._certificates.leaf(sent.certificate, request.received_at)
        for index, webhook in enumerate(self._ids):
            if not webhook:
                continue
            if self._option["verify"] == "api":
                good = self._says_success(sent.question(webhook, request.body))
            else:
                good = certificates.made(leaf, sent.signature, sent.signed(webhook, request.body))
            if good:
                return index
        raise SignatureRefused("no signature matches")

    def _says_success(self, question: bytes) -> bool:
        try:
            said = self._call("POST", VERIFY, data=question, headers={"Content-Type": "application/json"}, safe=True).json()
        except Rejected:
            return False
        except CallError as error:
            raise Busy(f"the signature cannot be verified now: {error.reason}") from error
        return isinstance(said, Mapping) and said.get("verification_status") == "SUCCESS"

    def _check_age(self, time: str, now: datetime) -> None:
        tolerance = int(self._option["tolerance"])
        if tolerance <= 0:
            return
        try:
            age = (now - datetime.fromisoformat(time)).total_seconds()
        except (ValueError, TypeError):
            raise SignatureRefused("the transmission has no time") from None
        if abs(age) > tolerance:
            raise Stale(f"transmitted more than {tolerance} s ago")

    def _amount(self, effect: Effect) -> dict[str, Any]:
        amount = amount_of(effect)
        return {"amount": {"currency_code": amount.currency, "value": decimal_text(amount, NO_DECIMALS)}} if amount else {}

    def _post(self, path: str, body: dict[str, Any], effect: Effect) -> Reply:
        return self._call("POST", path, json=body, headers={"PayPal-Request-Id": key_of(effect, 64)})

    def _made(self, reply: Reply, what: str) -> Receipt:
        said = answered(reply.json(), "id", "status")
        if said["status"] in ("DECLINED", "FAILED", "CANCELLED"):
            raise Rejected(f"the {what} is {code(said['status'])}", status=reply.status)
        return Receipt(said["id"], state=code(said["status"]))

    def _get(self, path: str) -> Any:
        """None where PayPal has it not, or the app may not ask (disputes need a permission of their own)."""
        denied = {403, 404} if path.startswith("/v1/customer/disputes") else {404}
        reply = self._call("GET", path, accept=SUCCESS | denied)
        return reply.json() if reply.status in SUCCESS else None

    def _call(self, method: str, path: str, *, accept: frozenset[int] = SUCCESS, **request: Any) -> Reply:
        """Raises `Unauthorized` when a fresh token is refused too."""
        for _ in range(2):
            reply = self.http.request(method, path, auth=self._auth, accept=accept | {401}, explain=explain, **request)
            if reply.status != 401:
                return reply
            self._auth.forget()
        raise Unauthorized("HTTP 401: a fresh token is not accepted", status=401)

    def _fetch_token(self) -> tuple[str, float]:
        """https://developer.paypal.com/api/rest/authentication"""
        who = (str(self._option["client_id"]), credential(self.connection, "client_secret"))
        reply = self.http.request("POST", "/v1/oauth2/token", data={"grant_type": "client_credentials"}, auth=who, safe=True)
        try:
            token = msgspec.json.decode(reply.body, type=_Token)
        except BROKEN:
            raise Unauthorized("no token is given: the answer holds none") from None
        return token.access_token, token.expires_in


def explain(reply: Reply) -> tuple[str, str]:
    """The name of PayPal's error, its issues, and the first field at fault."""
    return wire.explained(_object(reply))


def _object(reply: Reply) -> Any:
    try:
        return reply.json()
    except CallError:
        return None


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
