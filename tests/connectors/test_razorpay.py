"""The Razorpay connector: the official SDK judges its signatures and its requests; what is translated has the documents' shapes."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import razorpay
import responses
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.canonical import Ignored, Money, PartKind, PartState, PaymentChange, PaymentPart, PaymentState, PayoutChange, PayoutState
from middleware.connectors._http import Http
from middleware.connectors.razorpay import Connector
from middleware.errors import Refused, Rejected, SignatureRefused, UnknownOutcome, Unreadable
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.testing import secret
from tests.hostile import JSON, mutations

VECTORS = json.loads((Path(__file__).parents[1] / "payloads" / "vectors" / "razorpay.json").read_text("utf-8"))["vectors"]
BASE = "https://api.razorpay.example"
NOW = 1767225597
AT = datetime.fromtimestamp(NOW, UTC)
SDK = razorpay.Client(auth=("rzp_test_key", "key-secret"), base_url=BASE)


def connector(*secrets: str, live: bool = False, key: str = "rzp_test_key", **options: Any) -> Connector:
    connection = Connection(
        "razorpay",
        "razorpay",
        BASE,
        secrets=tuple(secret(one) for one in secrets),
        credentials={"key_id": secret(key), "key_secret": secret("key-secret")},
        options=options,
        live=live,
    )
    return Connector(connection, Http(connection))


def sign(body: bytes, key: str = "s1") -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def read(body: bytes, signature: str | None, *secrets: str, event_id: str = "evt_1") -> tuple[Delivery, ...]:
    headers = {"x-razorpay-event-id": event_id} if event_id else {}
    if signature is not None:
        headers["x-razorpay-signature"] = signature
    return connector(*(secrets or ("s1",))).read(Inbound(headers, body, "", AT))


# webhooks


@pytest.mark.parametrize("vector", [one for one in VECTORS if "headers" in one], ids=lambda vector: vector["name"])
def test_every_vector_is_judged_as_the_sdk_did(vector: dict[str, Any]) -> None:
    body, headers = vector["body"].encode(), {name.lower(): value for name, value in vector["headers"].items()}
    ours = connector(vector["secret"])
    if vector["expected"] == "invalid":
        with pytest.raises(SignatureRefused):
            ours.read(Inbound(headers, body, "", AT))
        return
    assert ours.read(Inbound(headers, body, "", AT)) == (Delivery("GfBAkQ1VecTor1", "payment.captured", "pay_DESlfW9H8K9uqM", body, AT),)
    part = (PaymentPart(PartKind.CAPTURE, "pay_DESlfW9H8K9uqM", Money(44700, "INR")),)
    change = PaymentChange("pay_DESlfW9H8K9uqM", AT, PaymentState.CAPTURED, Money(44700, "INR"), part, ("1001",))
    assert connector(vector["secret"], notes_keys=["drupal_order"]).translate("payment.captured", body) == change


def sdk_accepts(body: str, signature: str, key: str) -> bool:
    try:
        return bool(SDK.utility.verify_webhook_signature(body, signature, key))
    except (razorpay.errors.SignatureVerificationError, TypeError):  # it crashes on letters beyond ASCII
        return False


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60)


@given(body=TEXTS, key=TEXTS, other=TEXTS, data=st.data())
@settings(max_examples=600, deadline=None)
def test_the_sdk_and_we_give_the_same_verdict_except_for_blank_secrets(body: str, key: str, other: str, data: st.DataObject) -> None:
    good = sign(body.encode(), key)
    made = data.draw(st.sampled_from([good, good, good.upper(), good[:-1], f" {good}", "", "é"]))
    sent, used = body + data.draw(st.sampled_from(["", "", "\n"])), data.draw(st.sampled_from([key, key, other]))
    try:
        read(sent.encode(), made, used)
        ours = True
    except Refused:
        ours = False
    assert ours == (sdk_accepts(sent, made, used) and bool(used.strip()))


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_secret_closes_the_door(blank: str) -> None:
    with pytest.raises(SignatureRefused, match="no secret"):
        read(b"{}", sign(b"{}", blank), blank)


def event(kind: str, **entities: Any) -> dict[str, Any]:
    payload = {name: {"entity": entity} for name, entity in entities.items()}
    return {"entity": "event", "account_id": "acc_1", "event": kind, "contains": [*entities], "payload": payload, "created_at": NOW}


def test_after_a_rotation_events_of_before_still_verify_and_the_delivery_says_by_which() -> None:
    body = json.dumps(event("x")).encode()
    assert [one.secret for one in read(body, sign(body, "old"), "new", "old")] == [1]


def test_without_the_header_an_event_is_known_by_its_digest() -> None:
    body = json.dumps(event("x")).encode()
    assert read(body, sign(body), event_id="")[0].delivery_id == "sha256:" + hashlib.sha256(body).hexdigest()


def test_a_verified_body_that_is_no_event_is_kept_under_its_digest() -> None:
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert read(b"{}", sign(b"{}")) == (Delivery(digest, "unreadable", digest, b"{}"),)


def test_a_key_of_the_other_environment_is_a_mistake_of_the_configuration() -> None:
    for key, live in (("rzp_test_1", True), ("rzp_live_1", False)):
        with pytest.raises(ValueError, match="other environment"):
            connector("s1", live=live, key=key)


# translation

TOTAL = Money(50000, "INR")
PAYMENT: dict[str, Any] = {
    "id": "pay_1",
    "entity": "payment",
    "amount": 50000,
    "currency": "INR",
    "status": "authorized",
    "order_id": "order_1",
    "method": "card",
    "amount_refunded": 0,
    "refund_status": None,
    "captured": False,
    "card": {"last4": "1111"},
    "email": "ada@example.test",
    "notes": {"order_id": "1001"},
    "error_code": None,
    "error_reason": None,
}
REFUND: dict[str, Any] = {"id": "rfnd_1", "entity": "refund", "amount": 4000, "currency": "INR", "payment_id": "pay_1", "notes": []}
DISPUTE: dict[str, Any] = {
    "id": "disp_1",
    "payment_id": "pay_1",
    "amount": 5000,
    "currency": "INR",
    "amount_deducted": 0,
    "phase": "chargeback",
    "status": "open",
}
ORDER = {"id": "order_1", "receipt": "R-1001", "notes": {"order_uuid": "u-1"}, "amount": 50000, "status": "paid"}
SETTLEMENT = {"id": "setl_1", "entity": "settlement", "amount": 9973635, "status": "processed", "fees": 471699, "tax": 42070, "utr": "1"}
SAID = PaymentChange("pay_1", AT, None, None, (), ("1001",))


def said(**changes: Any) -> PaymentChange:
    return PaymentChange(**{**{name: getattr(SAID, name) for name in SAID.__slots__}, **changes})


def translated(kind: str, **entities: Any) -> Any:
    return connector("s1").translate(kind, json.dumps(event(kind, **entities)).encode())


CAPTURED = {"state": PaymentState.CAPTURED, "amount": TOTAL, "parts": (PaymentPart(PartKind.CAPTURE, "pay_1", TOTAL),)}


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("payment.authorized", {}, {"state": PaymentState.AUTHORIZED, "amount": TOTAL}),
        ("payment.authorized", {"status": "created"}, {"state": PaymentState.PENDING, "amount": TOTAL}),
        ("payment.authorized", {"status": "a word of next year"}, {"state": PaymentState.PENDING, "amount": TOTAL}),
        ("payment.captured", {"status": "captured"}, CAPTURED),
        ("payment.captured", {"status": "refunded"}, CAPTURED),
        (
            "payment.failed",
            {"status": "failed", "error_code": "BAD_REQUEST_ERROR", "error_reason": "insufficient_funds"},
            {"state": PaymentState.FAILED, "amount": TOTAL, "outcome": "insufficient_funds", "raw_code": "insufficient_funds"},
        ),
        (
            "payment.failed",
            {"status": "failed", "error_code": "GATEWAY_ERROR", "error_reason": "a_new_one"},
            {"state": PaymentState.FAILED, "amount": TOTAL, "outcome": "provider_error", "raw_code": "a_new_one"},
        ),
        ("payment.failed", {"status": "failed"}, {"state": PaymentState.FAILED, "amount": TOTAL, "outcome": "declined"}),
        ("payment.authorized", {"notes": []}, {"state": PaymentState.AUTHORIZED, "amount": TOTAL, "order_refs": ()}),
    ],
)
def test_what_a_payment_says(kind: str, changes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert translated(kind, payment={**PAYMENT, **changes}) == said(**expected)


def test_a_paid_order_names_the_merchants_receipt() -> None:
    found = translated("order.paid", payment={**PAYMENT, "status": "captured"}, order=ORDER)
    assert found == said(**CAPTURED, order_refs=("1001", "u-1", "R-1001"))


@pytest.mark.parametrize(
    ("kind", "status", "counts", "state"),
    [
        ("refund.created", "pending", True, PartState.PENDING),
        ("refund.created", "processed", True, PartState.DONE),
        ("refund.created", None, True, PartState.PENDING),
        ("refund.processed", "processed", True, PartState.DONE),
        ("refund.failed", "failed", False, PartState.FAILED),
        ("refund.speed_changed", "processed", True, PartState.DONE),
        ("refund.speed_changed", "a word of next year", True, PartState.PENDING),
    ],
)
def test_what_a_refund_says(kind: str, status: str | None, counts: bool, state: PartState) -> None:
    part = PaymentPart(PartKind.REFUND, "rfnd_1", Money(4000, "INR"), counts, state)
    assert translated(kind, refund={**REFUND, "status": status}, payment=PAYMENT) == said(parts=(part,))


@pytest.mark.parametrize(
    ("word", "phase", "counts", "state"),
    [
        ("created", "chargeback", True, PartState.OPENED),
        ("created", "retrieval", False, PartState.OPENED),
        ("action_required", "chargeback", True, PartState.EVIDENCE_REQUIRED),
        ("under_review", "pre_arbitration", True, PartState.UNDER_REVIEW),
        ("won", "chargeback", False, PartState.WON),
        ("lost", "chargeback", True, PartState.LOST),
        ("closed", "chargeback", False, PartState.CLOSED),
    ],
)
def test_what_a_dispute_says(word: str, phase: str, counts: bool, state: PartState) -> None:
    part = PaymentPart(PartKind.DISPUTE, "disp_1", Money(5000, "INR"), counts, state)
    assert translated(f"payment.dispute.{word}", dispute={**DISPUTE, "phase": phase}, payment=PAYMENT) == said(parts=(part,))


def test_a_settlement_is_a_payout_with_its_fees() -> None:
    expected = PayoutChange("setl_1", AT, PayoutState.PAID, Money(9973635, "INR"), Money(471699, "INR"))
    assert translated("settlement.processed", settlement=SETTLEMENT) == expected


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("payment_link.paid", "the payment of the link has events of its own"),
        ("invoice.paid", "the payment of the invoice has events of its own"),
        ("payment.downtime.started", "it is about a bank, not a payment"),
        ("a.new.one", "is not used"),
    ],
)
def test_what_is_not_used_says_why(kind: str, reason: str) -> None:
    assert translated(kind) == Ignored(f"topic {kind}: {reason}")


def test_amounts_follow_the_exponents_of_the_account() -> None:
    yen = json.dumps(event("payment.authorized", payment={**PAYMENT, "currency": "JPY", "amount": 500})).encode()
    plain, own = connector("s1").translate("x", yen), connector("s1", exponents={"JPY": 2}).translate("x", yen)
    assert isinstance(plain, PaymentChange)
    assert isinstance(own, PaymentChange)
    assert (plain.amount, own.amount) == (Money(500, "JPY"), Money(5, "JPY"))


def test_what_no_schema_accepts_names_the_field_and_no_value() -> None:
    with pytest.raises(Unreadable, match="amount: expected a whole number of minor units") as found:
        translated("payment.authorized", payment={**PAYMENT, "amount": "ada@example.test"})
    assert "ada" not in str(found.value)
    with pytest.raises(Unreadable, match=r"payload\.refund\.entity: expected an object"):
        translated("refund.created", payment=PAYMENT)


SAMPLES = [
    event("payment.captured", payment={**PAYMENT, "status": "captured"}),
    event("payment.failed", payment={**PAYMENT, "status": "failed"}),
    event("refund.created", refund=REFUND, payment=PAYMENT),
    event("payment.dispute.created", dispute=DISPUTE),
    event("order.paid", payment=PAYMENT, order=ORDER),
    event("settlement.processed", settlement=SETTLEMENT),
    event("payment.fetched", payment=PAYMENT, refunds=[REFUND]),
]


@given(raw=mutations(*SAMPLES) | JSON)
@settings(max_examples=600, deadline=None)
def test_nothing_that_a_verified_sender_may_send_is_a_bug(raw: Any) -> None:
    body = json.dumps(raw).encode()
    (found,) = read(body, sign(body))
    try:
        connector("s1").translate(found.topic, body)
    except Unreadable:
        return


# calls, compared with the SDK's


@pytest.fixture
def api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


KEY = "refund:razorpay:1"
PART = {"minor": 4000, "currency": "INR"}
DATE = {"Date": "Wed, 31 Dec 2025 23:59:57 GMT"}


def effect(operation: str, **payload: Any) -> Effect:
    return Effect(KEY, operation, "pay_1", {"payment": "pay_1", "subject": "pay_1", **payload})


def sent(api: responses.RequestsMock) -> tuple[str, str, Any, str]:
    request = api.calls[-1].request
    return str(request.method), str(request.url), json.loads(request.body or b"null"), str(request.headers["Authorization"])


def theirs(api: responses.RequestsMock, call: Callable[[Any], Any]) -> tuple[str, str, Any, str]:
    call(SDK.payment)
    return sent(api)


def test_a_capture_is_asked_for_as_the_sdk_does(api: responses.RequestsMock) -> None:
    api.get(f"{BASE}/v1/payments/pay_1", json=PAYMENT)
    api.post(f"{BASE}/v1/payments/pay_1/capture", json={**PAYMENT, "status": "captured"})
    assert connector("s1").capture_payment(effect("capture_payment", amount=PART)) == Receipt("pay_1", state="captured")
    assert sent(api) == theirs(api, lambda sdk: sdk.capture("pay_1", 4000, {"currency": "INR"}))
    connector("s1").capture_payment(effect("capture_payment", amount=None))
    assert sent(api)[2] == {"amount": 50000, "currency": "INR"}


def test_a_refund_is_asked_for_as_the_sdk_does_under_a_key_of_ours(api: responses.RequestsMock) -> None:
    api.post(f"{BASE}/v1/payments/pay_1/refund", json={**REFUND, "status": "pending"})
    asked = effect("refund_payment", capture="", amount=PART, reason="damaged", reference="R-1")
    assert connector("s1").refund_payment(asked) == Receipt("rfnd_1", state="pending")
    key = api.calls[-1].request.headers["X-Refund-Idempotency"]
    notes = {"reason": "damaged", "reference": "R-1"}
    assert sent(api) == theirs(api, lambda sdk: sdk.refund("pay_1", {"amount": 4000, "notes": notes}))
    connector("s1").refund_payment(effect("refund_payment", amount=None))
    assert sent(api)[2] == {"notes": {}}
    assert api.calls[-1].request.headers["X-Refund-Idempotency"] == key
    assert len(key) == 40


def test_a_refusal_names_code_and_field_and_not_what_razorpay_repeats(api: responses.RequestsMock) -> None:
    error = {"code": "BAD_REQUEST_ERROR", "description": "ada@example.test", "reason": "input_validation_failed", "field": "amount"}
    api.post(f"{BASE}/v1/payments/pay_1/capture", json={"error": error}, status=400)
    with pytest.raises(Rejected, match="HTTP 400: BAD_REQUEST_ERROR input_validation_failed") as found:
        connector("s1").capture_payment(effect("capture_payment", amount=PART))
    assert (found.value.field, "ada" in str(found.value)) == ("amount", False)


def test_a_request_whose_first_attempt_is_still_under_way_is_an_unknown_outcome(api: responses.RequestsMock) -> None:
    api.post(f"{BASE}/v1/payments/pay_1/refund", json={"error": {"code": "BAD_REQUEST_ERROR"}}, status=409)
    with pytest.raises(UnknownOutcome):
        connector("s1").refund_payment(effect("refund_payment", amount=PART))


def test_an_answer_that_says_nothing_is_an_unknown_outcome_of_what_moves_money(api: responses.RequestsMock) -> None:
    api.post(f"{BASE}/v1/payments/pay_1/capture", json={})
    api.post(f"{BASE}/v1/payments/pay_1/refund", json=[])
    with pytest.raises(UnknownOutcome):
        connector("s1").capture_payment(effect("capture_payment", amount=PART))
    with pytest.raises(UnknownOutcome):
        connector("s1").refund_payment(effect("refund_payment", amount=PART))


@pytest.mark.parametrize(("status", "expected"), [("authorized", None), ("captured", Receipt("pay_1", state="captured")), ("failed", None)])
def test_whether_a_capture_was_made_is_seen_at_the_payment(api: responses.RequestsMock, status: str, expected: Receipt | None) -> None:
    api.get(f"{BASE}/v1/payments/pay_1", json={**PAYMENT, "status": status})
    assert connector("s1").find_operation(effect("capture_payment")) == expected


def test_a_fetch_tells_the_payment_with_its_refunds(api: responses.RequestsMock) -> None:
    api.get(f"{BASE}/v1/payments/pay_1", json={**PAYMENT, "status": "captured", "amount_refunded": 4000}, headers=DATE)
    api.get(f"{BASE}/v1/payments/pay_1/refunds", json={"entity": "collection", "items": [{**REFUND, "status": "processed"}]})
    ours = connector("s1")
    found = ours.fetch_payment(effect("fetch_payment"))
    assert (found.subject, found.topic, found.occurred_at) == ("pay_1", "payment.fetched", AT)
    refund = PaymentPart(PartKind.REFUND, "rfnd_1", Money(4000, "INR"), True, PartState.DONE)
    assert ours.translate(found.topic, found.payload) == said(**{**CAPTURED, "parts": (*CAPTURED["parts"], refund)})  # type: ignore[misc]
    assert ours.fetch_payment(effect("fetch_payment")) == found


def test_a_back_fill_reads_pages_from_a_window_and_gives_the_oldest_first(api: responses.RequestsMock) -> None:
    first = [{**PAYMENT, "id": f"pay_{number}"} for number in range(101, 1, -1)]
    api.get(f"{BASE}/v1/payments", json={"items": first}, headers=DATE)
    api.get(f"{BASE}/v1/payments", json={"items": [PAYMENT]}, headers=DATE)
    pages = list(connector("s1", look_back=1).payment_events(AT))
    assert [one.subject for page in pages for one in page] == [f"pay_{number}" for number in range(1, 102)]
    queries = [call.request.params for call in api.calls]  # type: ignore[union-attr]
    begin = str(NOW - 86400)
    assert [(query["from"], query["skip"], query["count"]) for query in queries] == [(begin, "0", "100"), (begin, "100", "100")]
    assert queries[0]["to"] == queries[1]["to"]


def test_an_amount_finer_than_the_accounts_unit_is_rejected() -> None:
    with pytest.raises(Rejected, match="no unit that small"):
        connector("s1", exponents={"INR": 0}).capture_payment(effect("capture_payment", amount={"minor": 4001, "currency": "INR"}))


@pytest.mark.parametrize("name", ["../pay_1", "", "pay 1", "a" * 65])
def test_no_id_can_be_another_path(name: str) -> None:
    with pytest.raises(Rejected):
        connector("s1").fetch_payment(Effect("k", "fetch_payment", name, {"subject": name}))
