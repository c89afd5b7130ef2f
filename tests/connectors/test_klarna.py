"""The Klarna connector: there is no official verifier, so that the documented rule is tried in both encodings; calls against a
transport."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.canonical import Ignored, Money, PartKind, PartState, PaymentChange, PaymentPart, PaymentState, Review
from middleware.connectors._http import Http
from middleware.connectors.klarna import Connector
from middleware.errors import Refused, Rejected, SignatureRefused, Unauthorized, UnknownOutcome, Unreadable, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.testing import secret
from tests.hostile import JSON, mutations

VECTORS = json.loads((Path(__file__).parents[1] / "payloads" / "vectors" / "klarna.json").read_text("utf-8"))["vectors"]
BASE = "https://api.klarna.example"
OURS = "https://waybill.example/webhooks/klarna"
AT = datetime(2026, 1, 1, tzinfo=UTC)
DATE = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}
ORDER = "f3392f8b-6116-4073-ab96-e330819e2c07"
KEY_ID = "krn:partner:global:notification:signing-key:49bcd37b"


def connector(*secrets: str, live: bool = False, **options: Any) -> Connector:
    connection = Connection(
        "klarna",
        "klarna",
        BASE,
        secrets=tuple(secret(one) for one in secrets),
        credentials={"username": secret("K1"), "password": secret("p")},
        options=options,
        live=live,
    )
    return Connector(connection, Http(connection))


def signature(body: bytes, key: str = "s1", encoding: str = "hex") -> str:
    made = hmac.new(key.encode(), body, hashlib.sha256).digest()
    return made.hex() if encoding == "hex" else base64.b64encode(made).decode()


def read(body: bytes, signed: str | None, *secrets: str, named: str = KEY_ID, url: str = OURS, **options: Any) -> tuple[Delivery, ...]:
    headers = {} if signed is None else {"klarna-signature": signed, "klarna-signing-key-id": named}
    return connector(*(secrets or ("s1",)), **options).read(Inbound(headers, body, url, AT))


# webhooks


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_every_vector_is_judged_as_expected_in_either_encoding(vector: dict[str, Any], encoding: str) -> None:
    ((name, key),) = vector["secret"].items()
    body, given_hex = vector["body"].encode(), vector["headers"]["Klarna-Signature"]
    signed = given_hex if encoding == "hex" else base64.b64encode(bytes.fromhex(given_hex)).decode()
    named = vector["headers"]["Klarna-Signing-Key-Id"]
    if vector["expected"] == "invalid":
        with pytest.raises(SignatureRefused):
            read(body, signed, f"{name}={key}", named=named)
        return
    expected = Delivery(
        "d9f9b1a0-4b6a-4a39-8a3d-5d8d2b1f0001", "payment.request.state-change.authorized", "krn:payment:eu1:request:1", body, AT
    )
    assert read(body, signed, f"{name}={key}", named=named) == (expected,)
    change = PaymentChange("krn:payment:eu1:request:1", AT, PaymentState.AUTHORIZED, order_refs=("DRUPAL-1001",))
    assert connector("s1").translate(expected.topic, body) == change


@given(body=st.binary(max_size=60), encoding=st.sampled_from(["hex", "base64"]), data=st.data())
@settings(max_examples=500, deadline=None)
def test_only_a_signature_of_these_bytes_opens(body: bytes, encoding: str, data: st.DataObject) -> None:
    good = signature(body, "s1", encoding)
    other = good[:-1] + ("0" if good[-1] != "0" else "1")
    made = data.draw(st.sampled_from([good, good, good[:-1], f" {good}", "", "é", good + "=", other]))
    posted = body + data.draw(st.sampled_from([b"", b"", b"\n"]))
    if made == good and posted == body:
        assert read(posted, made)[0].payload == posted
    else:
        with pytest.raises(SignatureRefused):
            read(posted, made)


def test_a_named_key_counts_only_for_requests_that_name_it_and_the_delivery_says_which_matched() -> None:
    signed = signature(b"{}", "new")
    assert [one.secret for one in read(b"{}", signed, "krn:old=old", f"{KEY_ID}=new")] == [1]
    with pytest.raises(SignatureRefused, match="no signature matches"):
        read(b"{}", signed, f"{KEY_ID}=new", named="krn:other")


@pytest.mark.parametrize("blank", ["", " ", "krn:a=", "krn:a", "krn:a= "])
def test_a_blank_secret_closes_the_door_for_pushes_too(blank: str) -> None:
    key = blank.partition("=")[2] if blank.startswith("krn") else blank
    with pytest.raises(SignatureRefused, match="no secret"):
        read(b"{}", signature(b"{}", key), blank, named="krn:a")
    with pytest.raises(SignatureRefused):
        read(b"", None, blank, url=f"{OURS}?klarna_order_id={ORDER}")


def event(kind: str, payload: Any, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"event_type": kind, "event_id": "e-1", "occurred_at": "2026-01-01T00:00:00Z", **metadata}, "payload": payload}


def test_an_event_of_the_other_environment_is_refused() -> None:
    body = json.dumps(event("x", {}, live=True)).encode()
    with pytest.raises(WrongEnvironment):
        read(body, signature(body))
    assert read(body, signature(body), live=True)[0].topic == "x"


def test_a_verified_body_that_is_no_event_is_kept_under_its_digest() -> None:
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert read(b"{}", signature(b"{}")) == (Delivery(digest, "unreadable", digest, b"{}"),)


PUSH = (Delivery("", "order.push", ORDER, json.dumps({"order_id": ORDER}, separators=(",", ":")).encode(), hint=True),)


def test_a_push_is_a_hint_of_the_order_that_its_address_names() -> None:
    assert read(b"", None, url=f"{OURS}?a=b&klarna_order_id={ORDER}") == PUSH


def test_a_fraud_notification_is_a_hint_of_the_order_that_its_body_names() -> None:
    assert read(json.dumps({"order_id": ORDER, "event_type": "FRAUD_RISK_ACCEPTED"}).encode(), None) == PUSH


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b""),
        ("klarna_order_id=", b""),
        ("klarna_order_id=../x", b""),
        (f"klarna_order_id={ORDER}&klarna_order_id=other", b""),
        (f"klarna_order_id={ORDER}", b'{"order_id": "other"}'),
        (f"klarna_order_id={ORDER}", b"no json"),
        ("", b'{"order_id": 7}'),
        ("&".join(["a=b"] * 30), b""),
    ],
)
def test_what_is_neither_signed_nor_a_push_is_refused(query: str, body: bytes) -> None:
    with pytest.raises(Refused):
        read(body, None, url=f"{OURS}?{query}")


def test_pushes_may_be_turned_off() -> None:
    with pytest.raises(SignatureRefused):
        read(b"", None, url=f"{OURS}?klarna_order_id={ORDER}", classic=False)


# translation


def translated(raw: Any, **options: Any) -> Any:
    return connector("s1", **options).translate("x", json.dumps(raw).encode())


@pytest.mark.parametrize(
    ("word", "state", "outcome", "code"),
    [
        ("SUBMITTED", PaymentState.PENDING, "", ""),
        ("IN_PROGRESS", PaymentState.REQUIRES_ACTION, "", ""),
        ("COMPLETED", PaymentState.PENDING, "", ""),
        ("AUTHORIZED", PaymentState.AUTHORIZED, "", ""),
        ("DECLINED", PaymentState.FAILED, "declined", "DECLINED"),
        ("CANCELED", PaymentState.VOIDED, "cancelled", ""),
        ("EXPIRED", PaymentState.VOIDED, "expired", ""),
        ("A_WORD_OF_NEXT_YEAR", PaymentState.PENDING, "", ""),
    ],
)
def test_what_a_payment_request_says_by_its_state_or_its_topic(word: str, state: PaymentState, outcome: str, code: str) -> None:
    topic = f"payment.request.state-change.{word.lower().replace('_', '-')}"
    about = {"payment_request_id": "krn:1", "payment_request_reference": "1001"}
    expected = PaymentChange("krn:1", AT, state, None, (), ("1001",), outcome, code)
    assert translated(event(topic, {**about, "state": word})) == expected
    assert translated(event(topic, about)) == expected


def test_an_account_may_say_what_its_words_mean() -> None:
    raw = event("payment.request.state-change.completed", {"payment_request_id": "krn:1", "state": "COMPLETED"})
    assert translated(raw, states={"COMPLETED": "authorized"}).state is PaymentState.AUTHORIZED
    with pytest.raises(ValueError, match="states"):
        connector("s1", states={"COMPLETED": "paid"})


def test_what_is_not_used_says_so() -> None:
    assert translated(event("payment.dispute.created", {})) == Ignored("topic payment.dispute.created is not used")


SHOWN: dict[str, Any] = {
    "order_id": ORDER,
    "status": "AUTHORIZED",
    "fraud_status": "ACCEPTED",
    "order_amount": 10000,
    "original_order_amount": 10000,
    "captured_amount": 0,
    "refunded_amount": 0,
    "remaining_authorized_amount": 10000,
    "purchase_currency": "EUR",
    "merchant_reference1": "10001",
    "merchant_reference2": "501",
    "klarna_reference": "K4MADNY",
    "billing_address": {"email": "ada@example.test"},
    "captures": [],
    "refunds": [],
}
TOTAL = Money(10000, "EUR")
SAID = PaymentChange(ORDER, AT, PaymentState.AUTHORIZED, TOTAL, (), ("10001", "501"), review=Review.APPROVE)
CAPTURES = [{"capture_id": "c1", "captured_amount": 3000}, {"capture_id": "c2", "captured_amount": 2000}]
REFUNDS = [{"refund_id": "r1", "refunded_amount": 500}, {"refunded_amount": 100}]
PARTS = (
    PaymentPart(PartKind.CAPTURE, "c1", Money(3000, "EUR"), True, PartState.DONE),
    PaymentPart(PartKind.CAPTURE, "c2", Money(2000, "EUR"), True, PartState.DONE),
    PaymentPart(PartKind.REFUND, "r1", Money(500, "EUR"), True, PartState.DONE),
    PaymentPart(PartKind.REFUND, f"{ORDER}/refund2", Money(100, "EUR"), True, PartState.DONE),
)
MOVED = {"captures": CAPTURES, "refunds": REFUNDS}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"status": "A_WORD_OF_NEXT_YEAR"}, {"state": PaymentState.PENDING}),
        ({"status": "PART_CAPTURED", **MOVED}, {"parts": PARTS}),
        ({"status": "CAPTURED", **MOVED}, {"state": PaymentState.CAPTURED, "parts": PARTS}),
        ({"status": "CLOSED", **MOVED}, {"state": PaymentState.CAPTURED, "parts": PARTS}),
        ({"status": "CLOSED"}, {"state": PaymentState.VOIDED}),
        ({"status": "CANCELLED"}, {"state": PaymentState.VOIDED, "outcome": "cancelled"}),
        ({"status": "EXPIRED"}, {"state": PaymentState.VOIDED, "outcome": "expired"}),
        ({"fraud_status": "PENDING"}, {"state": PaymentState.PENDING, "review": Review.HOLD}),
        ({"fraud_status": "REJECTED"}, {"review": Review.REJECT}),
        ({"fraud_status": "A_NEW_ONE"}, {"review": None}),
        ({"merchant_reference2": None}, {"order_refs": ("10001",)}),
    ],
)
def test_what_an_order_says(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    fields = {name: getattr(SAID, name) for name in SAID.__slots__}
    assert translated(event("order.fetched", {**SHOWN, **changes})) == PaymentChange(**{**fields, **expected})


def test_what_no_schema_accepts_names_the_field_and_no_value() -> None:
    with pytest.raises(Unreadable, match="order_amount: expected a whole number of minor units") as found:
        translated(event("order.fetched", {**SHOWN, "order_amount": "ada@example.test"}))
    assert "ada" not in str(found.value)


SAMPLES = [
    event("payment.request.state-change.authorized", {"payment_request_id": "krn:1", "state": "AUTHORIZED"}),
    event("order.fetched", {**SHOWN, **MOVED}),
]


@given(raw=mutations(*SAMPLES) | JSON)
@settings(max_examples=500, deadline=None)
def test_nothing_that_a_verified_sender_may_send_is_a_bug(raw: Any) -> None:
    body = json.dumps(raw).encode()
    (found,) = read(body, signature(body))
    try:
        connector("s1").translate(found.topic, body)
    except Unreadable:
        return


@given(query=st.text(max_size=80), body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=300, deadline=None)
def test_no_unsigned_request_is_a_bug(query: str, body: bytes) -> None:
    try:
        assert read(body, None, url=f"{OURS}?{query}")[0].hint
    except Refused:
        return


# calls


@pytest.fixture
def api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


ORDERS = f"{BASE}/ordermanagement/v1/orders/{ORDER}"
KEY = "capture:klarna:1"
PART = {"minor": 1050, "currency": "EUR"}


def effect(operation: str, **payload: Any) -> Effect:
    return Effect(KEY, operation, ORDER, {"payment": ORDER, "subject": ORDER, **payload})


def sent(api: responses.RequestsMock) -> tuple[str, str, Any]:
    request = api.calls[-1].request
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"K1:p").decode()
    return str(request.method), str(request.url), json.loads(request.body or b"null")


@pytest.mark.parametrize("status", [204, 404, 403])
def test_a_pushed_order_is_fetched_acknowledged_and_kept_without_persons(api: responses.RequestsMock, status: int) -> None:
    api.get(ORDERS, json={**SHOWN, **MOVED, "status": "PART_CAPTURED"}, headers=DATE)
    api.post(f"{ORDERS}/acknowledge", status=status)
    ours = connector("s1")
    found = ours.fetch_payment(effect("fetch_payment"))
    assert (found.subject, found.topic, found.occurred_at) == (ORDER, "order.fetched", AT)
    assert b"ada@" not in found.payload
    change = ours.translate(found.topic, found.payload)
    assert isinstance(change, PaymentChange)
    assert (change.state, change.parts) == (PaymentState.AUTHORIZED, PARTS)
    assert ours.fetch_payment(effect("fetch_payment")) == found


def test_acknowledging_may_be_left_to_the_shop(api: responses.RequestsMock) -> None:
    api.get(ORDERS, json=SHOWN, headers=DATE)
    connector("s1", acknowledge=False).fetch_payment(effect("fetch_payment"))
    assert len(api.calls) == 1


def test_a_capture_is_sent_under_a_key_that_is_a_uuid_and_always_the_same(api: responses.RequestsMock) -> None:
    api.post(f"{ORDERS}/captures", status=201, headers={"Capture-Id": "c9", "Location": f"{ORDERS}/captures/c9"})
    ours = connector("s1")
    assert ours.capture_payment(effect("capture_payment", amount=PART, reference="R-1")) == Receipt("c9")
    assert sent(api) == ("POST", f"{ORDERS}/captures", {"captured_amount": 1050, "reference": "R-1"})
    ours.capture_payment(effect("capture_payment", amount=PART, reference="R-1"))
    first, second = (uuid.UUID(call.request.headers["Klarna-Idempotency-Key"]) for call in api.calls)
    assert first == second


def test_without_an_amount_all_that_is_left_is_taken_or_given_back(api: responses.RequestsMock) -> None:
    api.get(ORDERS, json={**SHOWN, "captured_amount": 5000, "refunded_amount": 600, "remaining_authorized_amount": 4000})
    api.post(f"{ORDERS}/captures", status=201, headers={"Location": f"{ORDERS}/captures/c9"})
    api.post(f"{ORDERS}/refunds", status=201, headers={"Refund-Id": "r9"})
    ours = connector("s1")
    assert ours.capture_payment(effect("capture_payment", amount=None)) == Receipt("c9")
    assert sent(api)[2] == {"captured_amount": 4000}
    assert ours.refund_payment(effect("refund_payment", amount=None, reason="damaged")) == Receipt("r9")
    assert sent(api)[2] == {"refunded_amount": 4400, "description": "damaged"}


def test_an_answer_that_names_no_id_is_an_unknown_outcome(api: responses.RequestsMock) -> None:
    api.post(f"{ORDERS}/captures", status=201)
    with pytest.raises(UnknownOutcome):
        connector("s1").capture_payment(effect("capture_payment", amount=PART))


@pytest.mark.parametrize(
    ("changes", "action", "state"),
    [
        ({}, "cancel", "CANCELLED"),
        ({"captured_amount": 100}, "release-remaining-authorization", "RELEASED"),
        ({"status": "CANCELLED"}, "", "CANCELLED"),
        ({"status": "EXPIRED"}, "", "EXPIRED"),
    ],
)
def test_a_void_does_what_the_order_needs_and_nothing_twice(
    api: responses.RequestsMock, changes: dict[str, Any], action: str, state: str
) -> None:
    api.get(ORDERS, json={**SHOWN, **changes})
    if action:
        api.post(f"{ORDERS}/{action}", status=204)
    assert connector("s1").void_payment(effect("void_payment")) == Receipt(ORDER, state=state)


def test_a_refusal_names_the_code_and_not_what_klarna_repeats(api: responses.RequestsMock) -> None:
    said = {"error_code": "CAPTURE_NOT_ALLOWED", "error_messages": ["ada@example.test"], "correlation_id": "1"}
    api.post(f"{ORDERS}/captures", json=said, status=403)
    api.post(f"{ORDERS}/refunds", json={**said, "error_code": "REFUND_NOT_ALLOWED"}, status=400)
    with pytest.raises(Rejected) as found:
        connector("s1").refund_payment(effect("refund_payment", amount=PART))
    assert str(found.value) == "HTTP 400: REFUND_NOT_ALLOWED"
    with pytest.raises(Rejected) as forbidden:
        connector("s1").capture_payment(effect("capture_payment", amount=PART))
    assert str(forbidden.value) == "HTTP 403: CAPTURE_NOT_ALLOWED"
    api.replace("POST", f"{ORDERS}/captures", status=403)
    with pytest.raises(Unauthorized):
        connector("s1").capture_payment(effect("capture_payment", amount=PART))


@pytest.mark.parametrize("answer", [[], {}, {"remaining_authorized_amount": "1"}])
def test_an_order_that_names_no_amounts_is_rejected(api: responses.RequestsMock, answer: Any) -> None:
    api.get(ORDERS, json=answer)
    with pytest.raises(Rejected):
        connector("s1").capture_payment(effect("capture_payment", amount=None))


@pytest.mark.parametrize("name", ["../x", "", "a b", "a" * 65])
def test_no_id_can_be_another_path(name: str) -> None:
    with pytest.raises(Rejected):
        connector("s1").fetch_payment(Effect("k", "fetch_payment", name, {"subject": name}))
