"""The Mollie connector: signatures as Mollie's Node validator judged them, translation of its PHP client's examples, calls against a
transport that answers as told."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st
from responses import matchers

from mappings.canonical import Ignored, Money, PartKind, PartState, PaymentChange, PaymentPart, PaymentState, PayoutChange, PayoutState
from middleware.connectors._http import Http
from middleware.connectors.mollie import Connector
from middleware.errors import Refused, Rejected, SignatureRefused, UnknownOutcome, Unreadable, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.testing import secret
from tests.hostile import JSON, mutations

PAYLOADS = Path(__file__).parents[1] / "payloads"
VECTORS = json.loads((PAYLOADS / "vectors" / "mollie.json").read_text("utf-8"))["vectors"]
AT = datetime(2026, 1, 1, tzinfo=UTC)
BASE = "https://api.mollie.example"
PAYMENT = "tr_7UhSN1zuXS"
ORDER = "b1b93135-bb19-471d-b87d-95dfd5e73ab7"


def connector(*secrets: str, live: bool = False, key: str = "test_key", **options: Any) -> Connector:
    connection = Connection(
        "mollie",
        "mollie",
        BASE,
        secrets=tuple(secret(one) for one in secrets),
        credentials={"api_key": secret(key)},
        options=options,
        live=live,
    )
    return Connector(connection, Http(connection))


def example(name: str, **changes: Any) -> dict[str, Any]:
    return {**json.loads((PAYLOADS / "mollie" / f"{name}.json").read_text("utf-8")), **changes}


def sign(body: bytes, key: str = "s1") -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def read(body: bytes, header: str | None = None, *secrets: str, **options: Any) -> tuple[Delivery, ...]:
    headers = {} if header is None else {"x-mollie-signature": header}
    return connector(*(secrets or ("s1",)), **options).read(Inbound(headers, body, "", AT))


# webhooks


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_vector_is_judged_as_mollies_validator_did(vector: dict[str, Any]) -> None:
    body = vector["body"].encode()
    if vector["expected"] == "invalid":
        with pytest.raises(SignatureRefused, match="no signature matches"):
            read(body, vector["headers"]["X-Mollie-Signature"], vector["secret"])
        return
    found = read(body, vector["headers"].get("X-Mollie-Signature"), vector["secret"])
    if vector["expected"] == "legacy":
        assert found == (Delivery("", "payment.hint", "tr_5B8cwPMGnU6qLbRvo7qEZo", body, hint=True),)
    else:
        assert found == (Delivery("event_GvJ8WHrp5isUdRub9CJyH", "payment.paid", "tr_5B8cwPMGnU6qLbRvo7qEZo", body, AT),)


@given(body=st.binary(max_size=100), key=st.text(max_size=20), other=st.text(max_size=20), data=st.data())
@settings(max_examples=500, deadline=None)
def test_only_a_signature_of_these_bytes_by_one_of_the_secrets_opens(body: bytes, key: str, other: str, data: st.DataObject) -> None:
    good = sign(body, key) if key.isascii() else hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    signing = [good, f"sha256={good}", f"00,sha256={good}", f"{good}, 00"]
    made = data.draw(st.sampled_from([*signing, good.upper(), good[:-1], "", "sha256="]))
    posted = body + data.draw(st.sampled_from([b"", b"", b"\n"]))
    used = data.draw(st.sampled_from([key, key, other]))
    is_signed = made in signing and posted == body and used == key
    if is_signed and used.strip():
        assert read(posted, made, used)[0].payload == posted
    elif not is_signed and used != key and used.strip() and sign(posted, used) == good:
        return
    else:
        with pytest.raises(SignatureRefused):
            read(posted, made, used)


def event(kind: str, entity: dict[str, Any] | None, **changes: Any) -> bytes:
    enclosed = {} if entity is None else {"_embedded": {"entity": entity}}
    base = {"resource": "event", "id": "event_1", "type": kind, "entityId": "tr_1", "createdAt": "2026-01-01T00:00:00.0Z"}
    return json.dumps({**base, **enclosed, **changes}).encode()


def test_while_a_secret_is_rotated_both_signatures_come_joined_and_the_delivery_says_which_matched() -> None:
    body = event("payment.paid", example("payment"))
    header = f"sha256={sign(body, 'old')},sha256={sign(body, 'new')}"
    assert [one.secret for one in read(body, header, "other", "new")] == [1]


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_secret_closes_the_door_for_hints_too(blank: str) -> None:
    with pytest.raises(SignatureRefused, match="no secret"):
        read(b"{}", sign(b"{}", blank), blank)
    with pytest.raises(SignatureRefused):
        read(b"id=tr_1", None, blank)


def test_an_event_that_names_its_payment_only_is_a_hint_and_so_is_paid_without_its_captures() -> None:
    simple = event("payment.paid", None)
    assert read(simple, sign(simple)) == (Delivery("event_1", "payment.paid", "tr_1", simple, AT, hint=True),)
    apart = event("payment.paid", example("payment", status="paid", captureMode="manual"))
    assert read(apart, sign(apart))[0].hint
    whole = event("payment.paid", example("payment", status="paid", captureMode="manual", _embedded={"captures": [example("capture")]}))
    assert not read(whole, sign(whole))[0].hint
    payout = event("payout.completed", None, entityId="po_1")
    assert not read(payout, sign(payout))[0].hint


def test_the_events_of_a_part_are_of_its_payments_subject() -> None:
    body = event("refund.refunded", example("refund", mode="test"), entityId="re_1")
    assert [(one.subject, one.hint) for one in read(body, sign(body))] == [(PAYMENT, False)]


@pytest.mark.parametrize(("mode", "live"), [("test", True), ("live", False)])
def test_an_event_of_the_other_environment_is_refused(mode: str, live: bool) -> None:
    body = event("payment.paid", example("payment", mode=mode))
    with pytest.raises(WrongEnvironment):
        read(body, sign(body), live=live, key="k")


def test_a_key_of_the_other_environment_is_a_mistake_of_the_configuration() -> None:
    with pytest.raises(ValueError, match="other environment"):
        connector("s1", live=True, key="test_key")


@pytest.mark.parametrize("body", [b"id=re_1", b"id=tr_1&id=tr_2", b"id=tr_../x", b"", b"id=", b"{}", b"id=tr_" + b"1" * 65, b"\xff"])
def test_what_is_neither_signed_nor_a_classic_call_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        read(body)


def test_classic_calls_may_be_turned_off() -> None:
    with pytest.raises(SignatureRefused):
        read(b"id=tr_1", None, "s1", classic=False)


def test_a_verified_body_that_is_no_event_is_kept_under_its_digest() -> None:
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert read(b"{}", sign(b"{}")) == (Delivery(digest, "unreadable", digest, b"{}"),)


# translation


def translated(kind: str, entity: dict[str, Any] | None) -> Any:
    return connector("s1").translate(kind, event(kind, entity))


TOTAL = Money(2000, "EUR")
SAID = PaymentChange(PAYMENT, AT, PaymentState.PENDING, TOTAL, order_refs=("1234",))
CAPTURE = PaymentPart(PartKind.CAPTURE, "cpt_mNepDkEtco6ah3QNPUGYH", Money(3595, "EUR"), True, PartState.DONE)
REFUND = PaymentPart(PartKind.REFUND, "re_4qqhO89gsT", Money(595, "EUR"), True, PartState.PENDING)
DISPUTE = PaymentPart(PartKind.DISPUTE, "chb_ls7ahg", Money(4338, "USD"), True, PartState.OPENED)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"status": "pending"}, {}),
        ({"status": "a word of next year"}, {}),
        ({"status": "authorized"}, {"state": PaymentState.AUTHORIZED}),
        ({"status": "canceled"}, {"state": PaymentState.VOIDED, "outcome": "cancelled"}),
        ({"status": "expired"}, {"state": PaymentState.VOIDED, "outcome": "expired"}),
        ({"status": "failed"}, {"state": PaymentState.FAILED, "outcome": "declined"}),
        (
            {"status": "failed", "details": {"failureReason": "insufficient_funds"}},
            {"state": PaymentState.FAILED, "outcome": "insufficient_funds", "raw_code": "insufficient_funds"},
        ),
        (
            {"status": "failed", "details": {"failureReason": "a_new_one"}},
            {"state": PaymentState.FAILED, "outcome": "declined", "raw_code": "a_new_one"},
        ),
        ({"status": "paid"}, {"state": PaymentState.CAPTURED, "parts": (PaymentPart(PartKind.CAPTURE, PAYMENT, TOTAL),)}),
        ({"status": "paid", "captureMode": "manual"}, {"state": PaymentState.CAPTURED}),
        ({"status": "paid", "authorizedAt": "2026-01-01T00:00:00Z"}, {"state": PaymentState.CAPTURED}),
        (
            {
                "status": "paid",
                "captureMode": "manual",
                "_embedded": {"captures": [example("capture")], "refunds": [example("refund")], "chargebacks": [example("chargeback")]},
            },
            {"state": PaymentState.CAPTURED, "parts": (CAPTURE, REFUND, DISPUTE)},
        ),
        ({"metadata": {"order_uuid": ORDER, "order_id": 7, "x": "y"}}, {"order_refs": (ORDER, "7")}),
        ({"metadata": f'{{"order_uuid":"{ORDER}"}}'}, {"order_refs": (ORDER,)}),
        ({"metadata": "free text"}, {"order_refs": ()}),
        ({"metadata": None}, {"order_refs": ()}),
        ({"amount": {"currency": "JPY", "value": "44"}}, {"amount": Money(44, "JPY")}),
        ({"amount": {"currency": "ISK", "value": "44.00"}}, {"amount": Money(44, "ISK")}),
    ],
)
def test_what_a_payment_says(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    fields = {name: getattr(SAID, name) for name in ("remote_id", "occurred_at", "state", "amount", "order_refs")}
    assert translated("payment.paid", example("payment", id=PAYMENT, **changes)) == PaymentChange(**{**fields, **expected})


@pytest.mark.parametrize(
    ("kind", "status", "counts", "state"),
    [
        ("refund.queued", "queued", True, PartState.PENDING),
        ("refund.pending", "pending", True, PartState.PENDING),
        ("refund.processing", "processing", True, PartState.PENDING),
        ("refund.refunded", "refunded", True, PartState.DONE),
        ("refund.failed", "failed", False, PartState.FAILED),
        ("refund.canceled", "canceled", False, PartState.FAILED),
        ("refund.pending", "a word of next year", True, PartState.PENDING),
    ],
)
def test_what_a_refund_says(kind: str, status: str, counts: bool, state: PartState) -> None:
    part = PaymentPart(PartKind.REFUND, "re_4qqhO89gsT", Money(595, "EUR"), counts, state)
    assert translated(kind, example("refund", status=status)) == PaymentChange(PAYMENT, AT, None, None, (part,))


@pytest.mark.parametrize(
    ("kind", "status", "counts", "state"),
    [
        ("capture.succeeded", "succeeded", True, PartState.DONE),
        ("capture.succeeded", None, True, PartState.DONE),
        ("capture.succeeded", "pending", False, PartState.PENDING),
        ("capture.failed", "failed", False, PartState.FAILED),
    ],
)
def test_what_a_capture_says(kind: str, status: str | None, counts: bool, state: PartState) -> None:
    part = PaymentPart(PartKind.CAPTURE, "cpt_mNepDkEtco6ah3QNPUGYH", Money(3595, "EUR"), counts, state)
    assert translated(kind, example("capture", status=status)) == PaymentChange(PAYMENT, AT, None, None, (part,))


def test_a_chargeback_is_a_dispute_until_it_is_reversed() -> None:
    won = PaymentPart(PartKind.DISPUTE, "chb_ls7ahg", Money(4338, "USD"), False, PartState.WON)
    assert translated("chargeback.received", example("chargeback")) == PaymentChange(PAYMENT, AT, None, None, (DISPUTE,))
    assert translated("chargeback.reversed", example("chargeback")) == PaymentChange(PAYMENT, AT, None, None, (won,))
    again = example("chargeback", reversedAt="2023-03-15T00:00:00Z")
    assert translated("chargeback.received", again) == PaymentChange(PAYMENT, AT, None, None, (won,))


@pytest.mark.parametrize(
    ("kind", "status", "state"),
    [
        ("payout.initiated", "initiated", PayoutState.PENDING),
        ("payout.processing-at-bank", "processing-at-bank", PayoutState.PENDING),
        ("payout.completed", "completed", PayoutState.PAID),
        ("payout.canceled", "canceled", PayoutState.CANCELLED),
        ("payout.failed", "failed", PayoutState.FAILED),
    ],
)
def test_what_a_payout_says(kind: str, status: str, state: PayoutState) -> None:
    assert translated(kind, example("payout", status=status)) == PayoutChange("po_4KgGJJSZpH", AT, state, Money(10000, "EUR"))


def test_what_is_not_used_says_why() -> None:
    assert translated("payment-link.paid", {}) == Ignored("topic payment-link.paid: the payment of the link has events of its own")
    assert translated("profile.verified", {}) == Ignored("topic profile.verified: is not used")
    assert translated("refund.refunded", None) == Ignored("topic refund.refunded names its object only")
    assert translated("refund.refunded", example("refund", paymentId=None)) == Ignored("it belongs to no payment")


def test_what_no_schema_accepts_names_the_field_and_no_value() -> None:
    with pytest.raises(Unreadable, match="amount: expected a decimal number as text") as found:
        translated("payment.paid", example("payment", amount={"currency": "EUR", "value": "ada@example.test"}))
    assert "ada" not in str(found.value)
    with pytest.raises(Unreadable, match="finer than the currency"):
        translated("payment.paid", example("payment", amount={"currency": "JPY", "value": "44.10"}))


WHOLE = json.loads(
    event(
        "payment.paid", example("payment", _embedded={"captures": [example("capture")], "refunds": [example("refund")], "chargebacks": []})
    )
)
REFUNDED = json.loads(event("refund.refunded", example("refund")))
PAID_OUT = json.loads(event("payout.completed", example("payout")))


@given(raw=mutations(WHOLE, REFUNDED, PAID_OUT) | JSON)
@settings(max_examples=500, deadline=None)
def test_nothing_that_a_verified_sender_may_send_is_a_bug(raw: Any) -> None:
    body = json.dumps(raw).encode("utf-8", "surrogatepass")
    try:
        read(body, sign(body))
    except WrongEnvironment:
        return
    try:
        connector("s1").translate("payment.paid", body)
    except Unreadable:
        return


# calls


@pytest.fixture
def api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


DATE = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}
KEY = "refund:mollie:1"


def effect(operation: str, **payload: Any) -> Effect:
    return Effect(KEY, operation, PAYMENT, {"payment": PAYMENT, "subject": PAYMENT, **payload})


def sent(api: responses.RequestsMock, index: int = -1) -> tuple[str, str, Any, str]:
    request = api.calls[index].request
    body = json.loads(request.body) if request.body else None
    return str(request.method), str(request.url).removeprefix(BASE), body, str(request.headers.get("Idempotency-Key", ""))


def test_a_hint_ends_in_a_fetch_that_tells_captures_refunds_and_chargebacks(api: responses.RequestsMock) -> None:
    whole = example("payment", id=PAYMENT, status="paid", _embedded={"captures": [], "refunds": [example("refund")], "chargebacks": []})
    query = matchers.query_param_matcher({"embed": "captures,refunds,chargebacks"})
    api.get(f"{BASE}/v2/payments/{PAYMENT}", json=whole, headers=DATE, match=[query])
    mollie = connector("s1")
    first, again = mollie.fetch_payment(effect("fetch_payment")), mollie.fetch_payment(effect("fetch_payment"))
    assert first == again
    assert (first.topic, first.subject, first.occurred_at) == ("payment.fetched", PAYMENT, AT)
    parts = (PaymentPart(PartKind.CAPTURE, PAYMENT, TOTAL), REFUND)
    expected = PaymentChange(PAYMENT, AT, PaymentState.CAPTURED, TOTAL, parts, ("1234",))
    assert mollie.translate(first.topic, first.payload) == expected
    assert api.calls[0].request.headers["Authorization"] == "Bearer test_key"


def test_a_fetched_payment_of_the_other_environment_is_rejected(api: responses.RequestsMock) -> None:
    api.get(f"{BASE}/v2/payments/{PAYMENT}", json=example("payment", mode="live"))
    with pytest.raises(Rejected, match="other environment"):
        connector("s1").fetch_payment(effect("fetch_payment"))


@pytest.mark.parametrize("name", ["tr_1/../x", "", "tr 1", "a" * 65])
def test_no_id_can_be_another_path(name: str) -> None:
    with pytest.raises(Rejected):
        connector("s1").fetch_payment(Effect("k", "fetch_payment", name, {"subject": name}))


def test_a_capture_is_sent_once_under_our_key(api: responses.RequestsMock) -> None:
    api.post(f"{BASE}/v2/payments/{PAYMENT}/captures", json=example("capture", status="pending"), status=201)
    part = {"minor": 1050, "currency": "EUR"}
    asked = effect("capture_payment", amount=part, final=False, reference="Order 1234")
    assert connector("s1").capture_payment(asked) == Receipt("cpt_mNepDkEtco6ah3QNPUGYH", state="pending")
    body = {"description": "Order 1234", "amount": {"currency": "EUR", "value": "10.50"}, "metadata": {"waybill": KEY}}
    assert sent(api) == ("POST", f"/v2/payments/{PAYMENT}/captures", body, KEY)


def test_a_capture_without_an_amount_takes_all_that_is_left(api: responses.RequestsMock) -> None:
    api.post(f"{BASE}/v2/payments/{PAYMENT}/captures", json=example("capture"), status=201)
    connector("s1").capture_payment(effect("capture_payment", amount=None, final=True, reference=""))
    assert sent(api)[2] == {"description": KEY, "metadata": {"waybill": KEY}}


def test_a_refund_names_its_amount_always(api: responses.RequestsMock) -> None:
    api.get(f"{BASE}/v2/payments/{PAYMENT}", json=example("payment"))
    api.post(f"{BASE}/v2/payments/{PAYMENT}/refunds", json=example("refund"), status=201)
    mollie = connector("s1")
    asked = effect("refund_payment", capture="", amount={"minor": 44, "currency": "JPY"}, reason="damaged", reference="R-1")
    assert mollie.refund_payment(asked) == Receipt("re_4qqhO89gsT", state="pending")
    assert sent(api)[2:] == ({"description": "damaged", "amount": {"currency": "JPY", "value": "44"}, "metadata": {"waybill": KEY}}, KEY)
    mollie.refund_payment(effect("refund_payment", capture="", amount=None, reason="", reference="R-1"))
    assert sent(api)[2]["amount"] == {"value": "20.00", "currency": "EUR"}


def test_a_refusal_names_the_field_and_not_what_mollie_repeats(api: responses.RequestsMock) -> None:
    refusal = {"status": 422, "title": "Unprocessable Entity", "detail": "ada@example.test is too high", "field": "amount"}
    api.post(f"{BASE}/v2/payments/{PAYMENT}/captures", json=refusal, status=422)
    with pytest.raises(Rejected, match="HTTP 422: Unprocessable Entity") as found:
        connector("s1").capture_payment(effect("capture_payment", amount=None))
    assert (found.value.field, "ada" in str(found.value)) == ("amount", False)


def test_an_answer_that_says_nothing_of_a_capture_is_an_unknown_outcome(api: responses.RequestsMock) -> None:
    api.post(f"{BASE}/v2/payments/{PAYMENT}/captures", json=[], status=201)
    api.post(f"{BASE}/v2/payments/{PAYMENT}/refunds", json={}, status=201)
    with pytest.raises(UnknownOutcome):
        connector("s1").capture_payment(effect("capture_payment", amount=None))
    with pytest.raises(UnknownOutcome):
        connector("s1").refund_payment(effect("refund_payment", amount={"minor": 1, "currency": "EUR"}))


@pytest.mark.parametrize(
    ("changes", "calls", "state"),
    [
        ({"status": "open"}, [("DELETE", "")], "canceled"),
        ({"status": "authorized", "captureMode": "manual"}, [("POST", "/release-authorization")], "released"),
        ({"status": "canceled"}, [], "canceled"),
        ({"status": "expired"}, [], "expired"),
    ],
)
def test_a_void_does_what_the_state_needs_and_nothing_twice(
    api: responses.RequestsMock, changes: dict[str, Any], calls: list[tuple[str, str]], state: str
) -> None:
    api.get(f"{BASE}/v2/payments/{PAYMENT}", json=example("payment", **changes))
    for method, path in calls:
        api.add(method, f"{BASE}/v2/payments/{PAYMENT}{path}", status=202, body=b"")
    assert connector("s1").void_payment(effect("void_payment")) == Receipt(PAYMENT, state=state)
    assert [call.request.headers.get("Idempotency-Key") for call in api.calls] == [None, *(KEY for _ in calls)]


def test_what_an_earlier_attempt_made_is_found_by_our_key_on_any_page(api: responses.RequestsMock) -> None:
    more = {"next": {"href": f"https://api.mollie.com/v2/payments/{PAYMENT}/captures?from=cpt_2&limit=1", "type": "application/hal+json"}}
    first = example("capture-list", _links=more)
    mine = copy.deepcopy(first)
    mine["_embedded"]["captures"][0] |= {"metadata": {"waybill": KEY}, "id": "cpt_2", "status": "succeeded"}
    api.get(f"{BASE}/v2/payments/{PAYMENT}/captures", json=first, match=[matchers.query_param_matcher({})])
    api.get(
        f"{BASE}/v2/payments/{PAYMENT}/captures",
        json={**mine, "_links": {}},
        match=[matchers.query_param_matcher({"from": "cpt_2", "limit": "1"})],
    )
    assert connector("s1").find_operation(effect("capture_payment")) == Receipt("cpt_2", state="succeeded")


def test_what_was_never_made_is_not_found(api: responses.RequestsMock) -> None:
    api.get(f"{BASE}/v2/payments/{PAYMENT}/refunds", json={"_embedded": {"refunds": [example("refund")]}, "_links": {"next": None}})
    assert connector("s1").find_operation(effect("refund_payment")) is None


@pytest.mark.parametrize("href", ["https://evil.example/", "/v2/payments", None, 7])
def test_a_link_that_leads_elsewhere_is_not_followed(api: responses.RequestsMock, href: object) -> None:
    api.get(f"{BASE}/v2/payments/{PAYMENT}/refunds", json={"_embedded": {"refunds": []}, "_links": {"next": {"href": href}}})
    with pytest.raises(Rejected, match="leads elsewhere"):
        connector("s1").find_operation(effect("refund_payment"))


def test_a_back_fill_gives_payments_oldest_first_and_asks_for_those_that_moved(api: responses.RequestsMock) -> None:
    def one(name: str, day: int, **changes: Any) -> dict[str, Any]:
        return example("payment", id=name, createdAt=f"2026-01-{day:02}T00:00:00+00:00", **changes)

    refunded = one("tr_4", 28, status="paid", amountRefunded={"currency": "EUR", "value": "5.95"})
    more = {"next": {"href": "https://api.mollie.com/v2/payments?from=tr_3&limit=250"}}
    first = {"_embedded": {"payments": [one("tr_5", 29), refunded]}, "_links": more}
    last = {"_embedded": {"payments": [one("tr_3", 27), one("tr_2", 1)]}, "_links": more}
    api.get(f"{BASE}/v2/payments", json=first, headers=DATE, match=[matchers.query_param_matcher({"limit": "250"})])
    api.get(f"{BASE}/v2/payments", json=last, headers=DATE, match=[matchers.query_param_matcher({"from": "tr_3", "limit": "250"})])
    api.get(f"{BASE}/v2/payments/tr_4", json=refunded, headers=DATE)
    pages = list(connector("s1", look_back=2).payment_events(datetime(2026, 1, 29, tzinfo=UTC)))
    assert [[one.subject for one in page] for page in pages] == [["tr_3"], ["tr_4", "tr_5"]]


@pytest.mark.parametrize("answer", [[], {}, {"_embedded": {"payments": [1]}}, {"_embedded": {"payments": [{}]}}])
def test_a_list_that_is_none_is_rejected(api: responses.RequestsMock, answer: Any) -> None:
    api.get(f"{BASE}/v2/payments", json=answer)
    with pytest.raises(Rejected):
        list(connector("s1").payment_events(AT))
