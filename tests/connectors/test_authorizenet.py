"""The Authorize.Net connector: the signature of one real published delivery judges its rule; calls against a transport."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import authorizenet as words
from mappings.canonical import Ignored, Money, PartKind, PartState, PaymentChange, PaymentPart, PaymentState, Review
from middleware.connectors import mistakes
from middleware.connectors._http import Http
from middleware.connectors.authorizenet import Connector
from middleware.errors import Rejected, SignatureRefused, Transient, Unauthorized, Unreadable
from middleware.ports import Delivery, Effect, Inbound
from middleware.settings import Connection
from middleware.testing import secret
from tests.hostile import JSON, mutations

VECTORS = json.loads((Path(__file__).parents[1] / "payloads" / "vectors" / "authorizenet.json").read_text("utf-8"))["vectors"]
BASE = "https://apitest.authorize.example"
AT = datetime(2026, 1, 1, tzinfo=UTC)
DATE = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}


def connector(*secrets: str, live: bool = False, base: str = BASE, **options: Any) -> Connector:
    connection = Connection(
        "anet",
        "authorizenet",
        base,
        secrets=tuple(secret(one) for one in secrets),
        credentials={"login_id": secret("login"), "transaction_key": secret("key")},
        options=options,
        live=live,
    )
    return Connector(connection, Http(connection))


def sign(body: bytes, key: str = "s1") -> str:
    return "sha512=" + hmac.new(key.encode(), body, hashlib.sha512).hexdigest().upper()


def read(body: bytes, signature: str | None, *secrets: str) -> tuple[Delivery, ...]:
    headers = {} if signature is None else {"x-anet-signature": signature}
    return connector(*(secrets or ("s1",))).read(Inbound(headers, body, "", AT))


# webhooks


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_vector_is_judged_as_expected(vector: dict[str, Any]) -> None:
    body, signature = vector["body"].encode(), vector["headers"]["X-ANET-Signature"]
    if vector["expected"] == "invalid":
        with pytest.raises(SignatureRefused):
            read(body, signature, vector["secret"])
        return
    at = datetime(2017, 3, 8, 17, 35, 37, 155999, UTC)
    topic, money = "net.authorize.payment.authcapture.created", Money(1000, "USD")
    expected = Delivery("f813b98f-3552-4eeb-ba40-acb4704eeba3", topic, "60019392075", body, at)
    assert read(body, signature, vector["secret"]) == (expected,)
    capture = (PaymentPart(PartKind.CAPTURE, "60019392075", money),)
    assert connector("s1").translate(topic, body) == PaymentChange("60019392075", at, PaymentState.CAPTURED, money, capture)


@given(body=st.binary(max_size=60), data=st.data())
@settings(max_examples=500, deadline=None)
def test_only_a_signature_of_these_bytes_opens_in_either_case(body: bytes, data: st.DataObject) -> None:
    good = sign(body)
    forms = [
        good,
        good.lower(),
        good.replace("sha512", "SHA512"),
        good[:-1],
        good.removeprefix("sha512="),
        good.replace("512", "256"),
        "",
        "é",
    ]
    made, posted = data.draw(st.sampled_from(forms)), body + data.draw(st.sampled_from([b"", b"", b"\n"]))
    if made.upper() == good.upper() and posted == body:
        assert read(posted, made)[0].payload == posted
    else:
        with pytest.raises(SignatureRefused):
            read(posted, made)


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_secret_closes_the_door(blank: str) -> None:
    with pytest.raises(SignatureRefused, match="no secret"):
        read(b"{}", sign(b"{}", blank), blank)


def event(kind: str, **payload: Any) -> dict[str, Any]:
    about = {"responseCode": 1, "authAmount": 45.0, "entityName": "transaction", "id": "600", "invoiceNumber": "1001", **payload}
    base = {"notificationId": "n-1", "eventType": f"net.authorize.{kind}", "eventDate": "2026-01-01T00:00:00.0000000Z", "webhookId": "w"}
    return {**base, "payload": about}


def delivered(raw: Any, *secrets: str) -> tuple[Delivery, ...]:
    body = json.dumps(raw).encode()
    return read(body, sign(body, secrets[-1] if secrets else "s1"), *secrets)


def test_while_a_key_is_rotated_the_delivery_says_which_matched() -> None:
    assert [one.secret for one in delivered(event("payment.authorization.created"), "old", "new")] == [1]


@pytest.mark.parametrize("kind", ["payment.refund.created", "payment.void.created"])
def test_what_names_only_the_transaction_that_it_made_is_a_hint(kind: str) -> None:
    assert [(one.subject, one.hint) for one in delivered(event(kind))] == [("600", True)]
    assert [(one.subject, one.hint) for one in delivered(event(kind, id="../x"))] == [("n-1", False)]


def test_a_released_payment_is_told_and_asked_for() -> None:
    told, hint = delivered(event("payment.fraud.approved"))
    assert (told.delivery_id, told.hint) == ("n-1", False)
    assert hint == replace(told, delivery_id="n-1#hint", hint=True)


def test_events_of_customers_are_known_by_their_own_id() -> None:
    raw = event("customer.created", entityName="customerProfile", id="7")
    assert [(one.subject, one.hint) for one in delivered(raw)] == [("n-1", False)]


def test_a_verified_body_that_is_no_event_is_kept_under_its_digest() -> None:
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert read(b"{}", sign(b"{}")) == (Delivery(digest, "unreadable", digest, b"{}"),)


def test_mistakes_of_the_configuration_are_found_at_once() -> None:
    for base, live in (("https://apitest.authorize.net", True), ("https://api.authorize.net", False)):
        with pytest.raises(ValueError, match="other environment"):
            connector("s1", live=live, base=base)
    connection = Connection("anet", "authorizenet", BASE, secrets=(secret("x"),), options={"currency": "usd"})
    assert mistakes({"anet": connection}) == ["connections.anet.options.currency: expected an ISO 4217 code"]


# translation of events


def translated(raw: Any, **options: Any) -> Any:
    return connector("s1", **options).translate("x", json.dumps(raw).encode())


TOTAL = Money(4500, "USD")
CAPTURE = (PaymentPart(PartKind.CAPTURE, "600", TOTAL),)
SAID = PaymentChange("600", AT, PaymentState.PENDING, TOTAL, (), ("1001",))


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("authorization.created", {}, {"state": PaymentState.AUTHORIZED}),
        ("authorization.created", {"responseCode": 2}, {"state": PaymentState.FAILED, "outcome": "declined", "raw_code": "2"}),
        ("authorization.created", {"responseCode": 3}, {"state": PaymentState.FAILED, "outcome": "provider_error", "raw_code": "3"}),
        ("authorization.created", {"responseCode": 4}, {"review": Review.HOLD}),
        ("authorization.created", {"responseCode": 9}, {}),
        ("authorization.created", {"responseCode": None}, {}),
        ("authcapture.created", {}, {"state": PaymentState.CAPTURED, "parts": CAPTURE}),
        ("authcapture.created", {"responseCode": 2}, {"state": PaymentState.FAILED, "outcome": "declined", "raw_code": "2"}),
        ("capture.created", {}, {"state": PaymentState.CAPTURED, "parts": CAPTURE}),
        ("priorAuthCapture.created", {}, {"state": PaymentState.CAPTURED, "parts": CAPTURE, "amount": None}),
        ("fraud.held", {}, {"review": Review.HOLD}),
        ("fraud.approved", {}, {"state": None, "review": Review.APPROVE}),
        ("fraud.declined", {}, {"state": PaymentState.FAILED, "review": Review.REJECT, "outcome": "fraud_suspected"}),
        (
            "authorization.created",
            {"merchantReferenceId": "u-1"},
            {"state": PaymentState.AUTHORIZED, "order_refs": ("u-1", "1001")},
        ),
    ],
)
def test_what_an_event_says(kind: str, changes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert translated(event(f"payment.{kind}", **changes)) == replace(SAID, **expected)


def test_amounts_are_of_the_accounts_currency_and_exact() -> None:
    raw = json.dumps(event("payment.authorization.created")).replace("45.0", "0.07").encode()
    found = connector("s1", currency="CAD").translate("x", raw)
    assert isinstance(found, PaymentChange)
    assert found.amount == Money(7, "CAD")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("payment.refund.created", "it is a hint, and the transaction is asked for"),
        ("customer.subscription.created", "customers, their payment profiles and subscriptions are no payments of an order"),
        ("payment.a_new_one", "is not used"),
    ],
)
def test_what_is_not_used_says_why(kind: str, reason: str) -> None:
    assert translated(event(kind)) == Ignored(f"topic net.authorize.{kind}: {reason}")


def test_what_no_schema_accepts_names_the_field_and_no_value() -> None:
    with pytest.raises(Unreadable, match="authAmount: expected a decimal number as text") as found:
        translated(event("payment.authorization.created", authAmount="ada@example.test"))
    assert "ada" not in str(found.value)


# translation of what was fetched


def details(status: str, **changes: Any) -> dict[str, Any]:
    base = {
        "transId": "600",
        "transactionType": "authCaptureTransaction",
        "transactionStatus": status,
        "responseReasonCode": 1,
        "authAmount": 45.0,
        "settleAmount": 40.0,
        "order": {"invoiceNumber": "1001", "description": "x"},
    }
    return {**base, **changes}


def fetched(status: str, **changes: Any) -> Any:
    raw = {"eventType": "transaction.fetched", "eventDate": AT.isoformat(), "payload": details(status, **changes)}
    return translated(raw)


TAKEN = Money(4000, "USD")
TAKEN_PART = PaymentPart(PartKind.CAPTURE, "600", TAKEN)
REVERSED = PaymentPart(PartKind.CAPTURE, "600", TAKEN, False, PartState.REVERSED)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("authorizedPendingCapture", {"state": PaymentState.AUTHORIZED}),
        ("capturedPendingSettlement", {"state": PaymentState.CAPTURED, "parts": (TAKEN_PART,)}),
        ("settledSuccessfully", {"state": PaymentState.CAPTURED, "parts": (TAKEN_PART,)}),
        ("voided", {"state": PaymentState.VOIDED, "parts": (REVERSED,)}),
        ("expired", {"state": PaymentState.VOIDED, "outcome": "expired"}),
        ("returnedItem", {"state": PaymentState.FAILED, "parts": (REVERSED,), "outcome": "declined", "raw_code": "1"}),
        ("declined", {"state": PaymentState.FAILED, "outcome": "declined", "raw_code": "1"}),
        ("generalError", {"state": PaymentState.FAILED, "outcome": "provider_error", "raw_code": "1"}),
        ("failedReview", {"state": PaymentState.FAILED, "outcome": "fraud_suspected", "raw_code": "1", "review": Review.REJECT}),
        ("FDSPendingReview", {"review": Review.HOLD}),
        ("approvedReview", {"review": Review.APPROVE}),
        ("aWordOfNextYear", {}),
        (
            "chargeback",
            {
                "state": PaymentState.CAPTURED,
                "parts": (TAKEN_PART, PaymentPart(PartKind.DISPUTE, "600/chargeback", TAKEN, True, PartState.LOST)),
            },
        ),
    ],
)
def test_what_a_transactions_status_says(status: str, expected: dict[str, Any]) -> None:
    assert fetched(status) == replace(SAID, **expected)


def test_a_declined_payment_says_why() -> None:
    assert fetched("declined", responseReasonCode=8) == replace(SAID, state=PaymentState.FAILED, outcome="expired", raw_code="8")


@pytest.mark.parametrize(
    ("status", "counts", "state"),
    [
        ("refundPendingSettlement", True, PartState.PENDING),
        ("refundSettledSuccessfully", True, PartState.DONE),
        ("voided", False, PartState.FAILED),
        ("declined", False, PartState.FAILED),
        ("aWordOfNextYear", True, PartState.PENDING),
    ],
)
def test_a_refund_belongs_to_the_payment_that_it_refers_to(status: str, counts: bool, state: PartState) -> None:
    part = PaymentPart(PartKind.REFUND, "601", TAKEN, counts, state)
    found = fetched(status, transId="601", refTransId="600", transactionType="refundTransaction")
    assert found == PaymentChange("600", AT, None, None, (part,), ("1001",))


SAMPLES = [
    *(event(topic.removeprefix("net.authorize.")) for topic in words.TOPICS),
    {"eventType": "transaction.fetched", "eventDate": AT.isoformat(), "payload": details("voided", refTransId="1")},
]


@given(raw=mutations(*SAMPLES) | JSON)
@settings(max_examples=600, deadline=None)
def test_nothing_that_a_verified_sender_may_send_is_a_bug(raw: Any) -> None:
    for found in delivered(raw):
        try:
            connector("s1").translate(found.topic, found.payload)
        except Unreadable:
            continue


# calls


@pytest.fixture
def api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


OK = {"resultCode": "Ok", "message": [{"code": "I00001", "text": "Successful."}]}
URL = f"{BASE}/xml/v1/request.api"


def effect(name: str = "600") -> Effect:
    return Effect("k", "fetch_payment", name, {"subject": name})


def answer(api: responses.RequestsMock, value: Any) -> None:
    """As Authorize.Net writes it: with a byte order mark."""
    api.post(URL, body=b"\xef\xbb\xbf" + json.dumps(value).encode(), headers=DATE, content_type="application/json; charset=utf-8")


def test_a_transaction_is_asked_for_and_kept_without_card_and_person(api: responses.RequestsMock) -> None:
    payment = {"creditCard": {"cardNumber": "XXXX1111"}}
    answer(api, {"transaction": details("settledSuccessfully", payment=payment, customer={"email": "ada@example.test"}), "messages": OK})
    ours = connector("s1")
    found = ours.fetch_payment(effect())
    assert (found.subject, found.topic, found.occurred_at) == ("600", "transaction.fetched", AT)
    assert b"1111" not in found.payload and b"ada@" not in found.payload
    assert ours.translate(found.topic, found.payload) == replace(SAID, state=PaymentState.CAPTURED, parts=(TAKEN_PART,))
    assert ours.fetch_payment(effect()) == found
    asked = {"merchantAuthentication": {"name": "login", "transactionKey": "key"}, "transId": "600"}
    assert api.calls[0].request.body == json.dumps({"getTransactionDetailsRequest": asked}, separators=(",", ":")).encode()


def test_a_refund_is_about_its_payment(api: responses.RequestsMock) -> None:
    answer(api, {"transaction": details("refundPendingSettlement", refTransId="599", transactionType="refundTransaction"), "messages": OK})
    assert connector("s1").fetch_payment(effect()).subject == "599"


@pytest.mark.parametrize(
    ("messages", "kind", "words_of_it"),
    [
        ({"resultCode": "Error", "message": [{"code": "E00007", "text": "x"}]}, Unauthorized, "E00007: the credentials are not accepted"),
        ({"resultCode": "Error", "message": [{"code": "E00040", "text": "x"}]}, Rejected, "the transaction cannot be had: E00040"),
        ({"resultCode": "Error", "message": [{"code": "E00053", "text": "x"}]}, Transient, "E00053: they cannot answer now"),
        ({}, Rejected, "the transaction cannot be had: no code"),
        ([], Rejected, "the transaction cannot be had: no code"),
    ],
)
def test_a_refusal_comes_as_a_success_and_is_told_by_its_code(
    api: responses.RequestsMock, messages: Any, kind: type[Exception], words_of_it: str
) -> None:
    answer(api, {"messages": messages})
    with pytest.raises(kind, match=words_of_it):
        connector("s1").fetch_payment(effect())


@pytest.mark.parametrize("name", ["abc", "", "1 2", "1" * 31])
def test_only_numbers_are_asked_for(name: str) -> None:
    with pytest.raises(Rejected):
        connector("s1").fetch_payment(effect(name))


def test_amounts_of_answers_stay_exact(api: responses.RequestsMock) -> None:
    answer(api, {"transaction": details("settledSuccessfully", settleAmount=0.07), "messages": OK})
    found = connector("s1").fetch_payment(effect())
    assert Decimal(json.loads(found.payload)["payload"]["settleAmount"]) == Decimal("0.07")
