"""Stripe: signed webhooks in, payment state. https://docs.stripe.com/webhooks#verify-manually"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import msgspec

from mappings import stripe as words
from mappings.canonical import Message, Money
from middleware.connectors._http import Http, Reply
from middleware.errors import Rejected, SignatureRefused, Stale, UnknownOutcome, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.wire.payment_calls import BROKEN
from middleware.wire.webhooks import translated, unreadable


class _Metadata(msgspec.Struct):
    correlation_id: str = ""


class _Object(msgspec.Struct):
    id: str = ""
    payment_intent: str | None = None
    charge: Any = None
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


class _EventPage(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool = False


_TRACE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_DECODE = msgspec.json.Decoder(_Event).decode
_DECODE_PAGE = msgspec.json.Decoder(_EventPage).decode
_DECODE_THIN = msgspec.json.Decoder(_ThinEvent).decode


class Connector:
    """One Stripe account's webhooks."""

    SYSTEM = "stripe"
    LANE = "payments"
    PROOF = "SDK, real fake (localstripe)"
    API_VERSION = "2026-08-26.dahlia"
    REFUSAL_STATUS = 400
    NATIVE_IDEMPOTENCY = frozenset({"capture_payment", "refund_payment"})
    CREDENTIALS: Mapping[str, str] = {
        "api_key": "restricted key: reads payment intents, charges and events; writes intents and refunds only for operations of ours"
    }
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
        options = connection.chosen(self.OPTIONS)
        self._tolerance = int(options["tolerance"])
        self._metadata_keys = tuple(options["metadata_keys"])
        self._exponents = dict(options["exponents"])

    def read(self, request: Inbound) -> tuple[Delivery, ...]:
        """Verify `Stripe-Signature` over the raw body; a verified body that is no event is kept under its SHA-256."""
        secret = self._verify(request)
        try:
            event = _DECODE(request.body)
        except BROKEN:
            return (self._read_thin(request.body, secret),)
        self._check_environment(event.livemode)
        return (self._delivery(event, request.body, secret),)

    def fetch_payment(self, effect: Effect) -> Delivery:
        """GET the payment intent with its refunds, as an event of ours; the delivery's id is the fingerprint of what it says.

        https://docs.stripe.com/api/payment_intents/retrieve
        """
        payment = str(effect.payload["subject"])
        reply = self._call("GET", _intent_path(payment) + "?" + urlencode({"expand[]": "latest_charge.refunds"}))
        said = parsedate_to_datetime(reply.headers["date"]) if "date" in reply.headers else datetime.now(UTC)
        intent = reply.json()
        fingerprint = hashlib.sha256(msgspec.json.encode(intent, order="deterministic")).hexdigest()
        event = {"id": fingerprint, "type": "payment_intent.fetched", "created": int(said.timestamp()), "data": {"object": intent}}
        return Delivery(f"{payment}#{fingerprint[:32]}", "payment_intent.fetched", payment, msgspec.json.encode(event), said)

    def capture_payment(self, effect: Effect) -> Receipt:
        """https://docs.stripe.com/api/payment_intents/capture; the capture has the intent's id, as in Stripe's own events."""
        form = {"amount_to_capture": self._minor(effect)} if effect.payload["amount"] else {}
        intent = self._call("POST", _intent_path(str(effect.payload["payment"])) + "/capture", form, key=effect.key).json()
        return Receipt(str(intent["id"]), state=str(intent["status"]))

    def void_payment(self, effect: Effect) -> Receipt:
        """https://docs.stripe.com/api/payment_intents/cancel; one that is cancelled already is as good."""
        path = _intent_path(str(effect.payload["payment"]))
        try:
            intent = self._call("POST", path + "/cancel", {}, key=effect.key).json()
        except Rejected:
            intent = self._call("GET", path).json()
            if intent.get("status") != "canceled":
                raise
        return Receipt(str(intent["id"]), state=str(intent["status"]))

    def refund_payment(self, effect: Effect) -> Receipt:
        """https://docs.stripe.com/api/refunds/create"""
        form = {"payment_intent": str(effect.payload["payment"]), "metadata[reference]": effect.key}
        form |= {"amount": self._minor(effect)} if effect.payload["amount"] else {}
        refund = self._call("POST", "/v1/refunds", form, key=effect.key).json()
        return Receipt(str(refund["id"]), state=str(refund.get("status") or ""))

    def payment_events(self, since: datetime | None) -> Iterator[tuple[Delivery, ...]]:
        """Events of the last 30 days at most, newest first, exactly as the webhook had them: https://docs.stripe.com/api/events/list"""
        query: dict[str, Any] = {"limit": 100, **({"created[gte]": int(since.timestamp())} if since else {})}
        while True:
            try:
                page = _DECODE_PAGE(self._call("GET", "/v1/events?" + urlencode(query)).body)
                events = [(_DECODE(raw), bytes(raw)) for raw in page.data]
            except (ValueError, RecursionError) as error:
                raise Rejected("the list of events is none", field="events") from error
            for event, _ in events:
                self._check_environment(event.livemode)
            yield tuple(self._delivery(event, raw, 0) for event, raw in events)
            if not page.has_more or not events:
                return
            query["starting_after"] = events[-1][0].id

    def sample_request(self, at: datetime) -> Inbound:
        """An event of a topic that means nothing to us."""
        seconds = int(at.timestamp())
        event = {"id": "evt_self_test", "object": "event", "type": "self_test", "created": seconds, "livemode": self.connection.live}
        body = msgspec.json.encode({**event, "data": {"object": {"id": "self_test"}}})
        digest = hmac.digest(self._secrets[0], b"%d." % seconds + body, "sha256").hex()
        return Inbound({"stripe-signature": f"t={seconds},v1={digest}"}, body, "", at)

    def translate(self, topic: str, payload: bytes) -> Message:
        """Pure: one event to what it says of one payment; raises `Unreadable`, naming fields and never values."""
        return translated(words.translate, payload, self._metadata_keys, self._exponents)

    def _delivery(self, event: _Event, raw: bytes, secret: int) -> Delivery:
        subject = _subject(event.data.object) if event.data else ""
        occurred_at = datetime.fromtimestamp(event.created, UTC)
        metadata = event.data.object.metadata if event.data else None
        born = metadata.correlation_id if metadata and _TRACE.fullmatch(metadata.correlation_id) else ""
        return Delivery(event.id, event.type, subject or event.id, raw, occurred_at, secret=secret, correlation_id=born)

    def _minor(self, effect: Effect) -> str:
        """The amount in Stripe's minor units."""
        amount = effect.payload["amount"]
        assert isinstance(amount, Mapping)
        return str(words.minor(Money(int(amount["minor"]), str(amount["currency"])), self._exponents))

    def _call(self, method: str, path: str, form: Mapping[str, str] | None = None, *, key: str = "") -> Reply:
        """Raises what `Http.request` raises, `UnknownOutcome` for a request whose first attempt is still under way over there."""
        if "api_key" not in self.connection.credentials:
            raise Rejected("the connection has no credential api_key", field="credentials.api_key")
        headers = {"Authorization": f"Bearer {self.connection.credentials['api_key'].reveal()}", "Stripe-Version": self.API_VERSION}
        headers |= {"Idempotency-Key": key} if key else {}
        try:
            return self.http.request(method, path, data=form, headers=headers, explain=_explain)
        except Rejected as error:
            if error.http_status == 409:
                raise UnknownOutcome(error.reason, status=409) from error
            raise

    def _read_thin(self, body: bytes, secret: int) -> Delivery:
        try:
            event = _DECODE_THIN(body)
        except BROKEN:
            return unreadable(body, secret)
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


def _subject(obj: _Object) -> str:
    """The payment that an object is about: an intent, a charge without one, or itself."""
    return obj.payment_intent or (obj.charge if isinstance(obj.charge, str) else "") or obj.id


def _intent_path(payment: str) -> str:
    return f"/v1/payment_intents/{quote(payment, safe='')}"


def _explain(reply: Reply) -> tuple[str, str]:
    """The code of an error and the parameter at fault: https://docs.stripe.com/api/errors. Its message may repeat values."""
    error = reply.json().get("error") or {}
    return " ".join(str(error[name]) for name in ("type", "code", "decline_code") if error.get(name)), str(error.get("param") or "")


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
