"""The GoCardless connector: the official SDK judges its signatures and requests, its own fixtures its reading."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gocardless_pro
import pytest
import responses
from gocardless_pro import webhooks
from gocardless_pro.errors import InvalidSignatureError
from hypothesis import given, settings
from hypothesis import strategies as st
from responses import matchers

from mappings import gocardless as words
from mappings.canonical import (
    Ignored,
    Money,
    PartKind,
    PartState,
    PaymentChange,
    PaymentPart,
    PaymentState,
    PayoutChange,
    PayoutState,
    SettledPart,
)
from middleware.connectors._http import Http
from middleware.connectors.gocardless import Connector
from middleware.errors import Refused, Rejected, SignatureRefused, UnknownOutcome, Unreadable
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.testing import secret
from tests.hostile import JSON, mutations

PAYLOADS = Path(__file__).parents[1] / "payloads"
VECTORS = json.loads((PAYLOADS / "vectors" / "gocardless.json").read_text("utf-8"))["vectors"]
BASE = "https://api-sandbox.gocardless.example"
AT = datetime(2026, 1, 1, tzinfo=UTC)
DATE = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}
SDK = gocardless_pro.Client(access_token="sandbox_token", base_url=BASE)


def connector(*secrets: str, live: bool = False, token: str = "sandbox_token", **options: Any) -> Connector:
    connection = Connection(
        "gocardless",
        "gocardless",
        BASE,
        secrets=tuple(secret(one) for one in secrets),
        credentials={"access_token": secret(token)},
        options=options,
        live=live,
    )
    return Connector(connection, Http(connection))


def fixture(name: str, method: str = "get") -> Any:
    """The body that the client's own tests answer with."""
    found = json.loads((PAYLOADS / "gocardless" / f"{name}.json").read_text("utf-8"))
    return found[method]["body"] if method in found else found


def one(name: str, **changes: Any) -> dict[str, Any]:
    return {**fixture(name)[name], **changes}


def sign(body: bytes, key: str = "s1") -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def read(body: bytes, signature: str, *secrets: str) -> tuple[Delivery, ...]:
    return connector(*(secrets or ("s1",))).read(Inbound({"webhook-signature": signature}, body, "", AT))


# webhooks


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_vector_is_judged_as_the_sdk_did(vector: dict[str, Any]) -> None:
    body, signature = vector["body"].encode(), vector["headers"]["Webhook-Signature"]
    if vector["expected"] == "invalid":
        with pytest.raises(SignatureRefused):
            read(body, signature, vector["secret"])
        return
    found = read(body, signature, vector["secret"])
    expected = [
        ("EV00VEC1", "payments.confirmed", "PM00VEC1", AT, True),
        ("EV00VEC2", "payouts.paid", "PO00VEC1", AT.replace(second=1), True),
    ]
    assert [(each.delivery_id, each.topic, each.subject, each.occurred_at, each.hint) for each in found] == expected
    assert [json.loads(each.payload) for each in found] == json.loads(body)["events"]


def sdk_accepts(body: bytes, signature: str, key: str) -> bool:
    if not signature.isascii():  # it crashes
        return False
    try:
        webhooks.parse(body, key, signature)
    except InvalidSignatureError:
        return False
    except (ValueError, KeyError, AttributeError, TypeError):  # verified, but no batch
        return True
    return True


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60)


@given(body=TEXTS, key=TEXTS, other=TEXTS, data=st.data())
@settings(max_examples=600, deadline=None)
def test_the_sdk_and_we_give_the_same_verdict_except_for_blank_secrets(body: str, key: str, other: str, data: st.DataObject) -> None:
    good = sign(body.encode(), key)
    made = data.draw(st.sampled_from([good, good, good.upper(), good[:-1], f" {good}", "", "é"]))
    sent, used = (body + data.draw(st.sampled_from(["", "", "\n"]))).encode(), data.draw(st.sampled_from([key, key, other]))
    try:
        read(sent, made, used)
        ours = True
    except Refused:
        ours = False
    assert ours == (sdk_accepts(sent, made, used) and bool(used.strip()))


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_secret_closes_the_door(blank: str) -> None:
    with pytest.raises(SignatureRefused, match="no secret"):
        read(b"{}", sign(b"{}", blank), blank)


def test_a_refusal_is_answered_as_gocardless_documents_it() -> None:
    assert Connector.REFUSAL_STATUS == 498


def event(number: int, kind: str, action: str, link: str = "", **more: Any) -> dict[str, Any]:
    links = {words.ASKED.get(kind, "mandate"): link} if link else {}
    base = {"id": f"EV{number}", "created_at": "2026-01-01T00:00:00.000Z", "resource_type": kind, "action": action, "links": links}
    return {**base, "details": {"origin": "bank", "cause": "x"}, "metadata": {}, **more}


def batch(*events: Any) -> bytes:
    return json.dumps({"events": events, "meta": {"webhook_id": "WB1"}}).encode()


def test_a_batch_of_250_is_split_and_each_event_known_by_its_own_id() -> None:
    body = batch(*(event(number, "payments", "confirmed", f"PM{number}") for number in range(250)))
    found = read(body, sign(body, "new"), "old", "new")
    assert [(each.delivery_id, each.subject, each.secret) for each in found] == [(f"EV{n}", f"PM{n}", 1) for n in range(250)]


def test_the_sdks_own_webhook_is_read() -> None:
    body = (PAYLOADS / "gocardless" / "webhook_body.json").read_bytes()
    assert [(each.delivery_id, each.topic, each.subject, each.hint) for each in read(body, sign(body))] == [
        ("EV00BD05S5VM2T", "subscriptions.created", "SB0003JJQ2MR06", False),
        ("EV00BD05TB8K63", "mandates.created", "MD000AMA19XGEC", False),
    ]


def test_a_broken_event_takes_nobody_along() -> None:
    body = batch({"id": 7}, event(1, "payments", "confirmed", "PM1"), event(2, "payments", "confirmed", "../x"))
    first, second, third = read(body, sign(body))
    assert first.topic == "unreadable"
    assert first.delivery_id == "sha256:" + hashlib.sha256(b'{"id": 7}').hexdigest()
    assert (second.delivery_id, second.hint) == ("EV1", True)
    assert (third.delivery_id, third.hint) == ("EV2", False)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"events": []}', b"\xff", b'{"events": {}}'])
def test_a_verified_body_that_is_no_batch_is_kept_under_its_digest(body: bytes) -> None:
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    assert read(body, sign(body)) == (Delivery(digest, "unreadable", digest, body),)


def test_a_token_of_the_other_environment_is_a_mistake_of_the_configuration() -> None:
    for token, live in (("sandbox_x", True), ("live_x", False)):
        with pytest.raises(ValueError, match="other environment"):
            connector("s1", live=live, token=token)


# translation of events


def translated(raw: Any) -> Any:
    return connector("s1").translate("x", json.dumps(raw).encode())


@pytest.mark.parametrize(("action", "state"), sorted(words.ACTIONS.items(), key=str))
def test_what_an_event_of_a_payment_says_by_itself(action: str, state: PaymentState | None) -> None:
    failed = {"outcome": "insufficient_funds", "raw_code": "insufficient_funds"} if action == "failed" else {}
    raw = event(1, "payments", action, "PM1", details={"cause": "insufficient_funds"}, resource_metadata={"order_id": "1001"})
    assert translated(raw) == PaymentChange("PM1", AT, state, order_refs=("1001",), **failed)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (event(1, "payments", "a_new_one", "PM1"), "events of payments: it is a hint, and what it is about is asked for"),
        (event(1, "refunds", "paid", "RF1"), "events of refunds: it is a hint, and what it is about is asked for"),
        (event(1, "mandates", "active", "MD1"), "events of mandates: a mandate is no payment; its end is seen at the payments that fail"),
        (event(1, "new_things", "made"), "events of new_things: are not used"),
    ],
)
def test_what_is_not_used_says_why(raw: Any, reason: str) -> None:
    assert translated(raw) == Ignored(reason)


# translation of what was fetched

TOTAL = Money(1000, "EUR")
CAPTURE = PaymentPart(PartKind.CAPTURE, "PM123", TOTAL)


def whole(status: str, *history: dict[str, Any], refunds: tuple[dict[str, Any], ...] = (), **changes: Any) -> dict[str, Any]:
    payment = one("payments", status=status, **changes)
    return {"resource_type": "fetched_payment", "created_at": AT.isoformat(), "payment": payment, "refunds": refunds, "events": history}


@pytest.mark.parametrize(
    ("status", "state", "parts"),
    [
        ("pending_customer_approval", PaymentState.PENDING, ()),
        ("pending_submission", PaymentState.PENDING, ()),
        ("submitted", PaymentState.PENDING, ()),
        ("a word of next year", PaymentState.PENDING, ()),
        ("confirmed", PaymentState.CAPTURED, (CAPTURE,)),
        ("paid_out", PaymentState.CAPTURED, (CAPTURE,)),
        ("cancelled", PaymentState.VOIDED, ()),
        ("customer_approval_denied", PaymentState.VOIDED, ()),
        (
            "charged_back",
            PaymentState.CAPTURED,
            (CAPTURE, PaymentPart(PartKind.DISPUTE, "PM123/chargeback", TOTAL, True, PartState.LOST)),
        ),
    ],
)
def test_what_a_payment_says(status: str, state: PaymentState, parts: tuple[PaymentPart, ...]) -> None:
    found = translated(whole(status, metadata={"order_uuid": "u-1"}))
    assert found == PaymentChange("PM123", AT, state, TOTAL, parts, ("u-1",))


def test_a_late_failure_takes_back_what_was_confirmed_and_says_why() -> None:
    history = (
        event(2, "payments", "failed", "PM123", details={"cause": "refer_to_payer"}, created_at="2026-01-02T00:00:00Z"),
        event(1, "payments", "confirmed", "PM123"),
    )
    part = PaymentPart(PartKind.CAPTURE, "PM123", TOTAL, False, PartState.REVERSED)
    expected = PaymentChange("PM123", AT, PaymentState.FAILED, TOTAL, (part,), (), "insufficient_funds", "refer_to_payer")
    assert translated(whole("failed", *history)) == expected


def test_a_chargeback_that_was_cancelled_does_not_count() -> None:
    history = (event(1, "payments", "charged_back", "PM123"), event(2, "payments", "chargeback_cancelled", "PM123"))
    won = PaymentPart(PartKind.DISPUTE, "PM123/chargeback", TOTAL, False, PartState.WON)
    assert translated(whole("paid_out", *history)) == PaymentChange("PM123", AT, PaymentState.CAPTURED, TOTAL, (CAPTURE, won))


@pytest.mark.parametrize(
    ("status", "counts", "state"),
    [
        ("submitted", True, PartState.PENDING),
        (None, True, PartState.PENDING),
        ("paid", True, PartState.DONE),
        ("cancelled", False, PartState.FAILED),
        ("bounced", False, PartState.FAILED),
        ("funds_returned", False, PartState.REVERSED),
    ],
)
def test_what_a_refund_says(status: str | None, counts: bool, state: PartState) -> None:
    part = PaymentPart(PartKind.REFUND, "RF123", Money(150, "EUR"), counts, state)
    assert translated(whole("confirmed", refunds=(one("refunds", status=status),))).parts == (CAPTURE, part)


ITEMS = fixture("payout_items", "list")["payout_items"]
PAYOUT = {"resource_type": "fetched_payout", "created_at": AT.isoformat(), "payout": one("payouts"), "items": ITEMS}
PAYOUT_STATES = {"pending": PayoutState.PENDING, "paid": PayoutState.PAID, "bounced": PayoutState.FAILED, "x": PayoutState.PENDING}


@pytest.mark.parametrize(("status", "state"), PAYOUT_STATES.items())
def test_a_payout_names_its_fee_and_its_parts(status: str, state: PayoutState) -> None:
    fee_item = {"type": "gocardless_fee", "amount": "-1.5", "links": {"payment": None}}
    given_back = {"type": "payment_refunded", "amount": "-15.0", "links": {"payment": "PM9"}}
    raw = {**PAYOUT, "payout": one("payouts", status=status), "items": [ITEMS[0], fee_item, given_back]}
    parts = (
        SettledPart("PM123", "payment_paid_out", Money(45, "EUR"), Money(0, "EUR"), Money(45, "EUR"), "PM123"),
        SettledPart("PM9", "payment_refunded", Money(-15, "EUR"), Money(0, "EUR"), Money(-15, "EUR"), "PM9"),
    )
    assert translated(raw) == PayoutChange("PO123", AT, state, TOTAL, Money(20, "EUR"), parts)


def test_what_no_schema_accepts_names_the_field_and_no_value() -> None:
    with pytest.raises(Unreadable, match=r"payment\.amount: expected a whole number of minor units") as found:
        translated(whole("confirmed", amount="ada@example.test"))
    assert "ada" not in str(found.value)


SAMPLES = [
    event(1, "payments", "failed", "PM1"),
    whole("failed", event(1, "payments", "confirmed", "PM1"), refunds=(one("refunds"),)),
    PAYOUT,
]


@given(raw=mutations(*SAMPLES) | JSON)
@settings(max_examples=600, deadline=None)
def test_nothing_that_a_verified_sender_may_send_is_a_bug(raw: Any) -> None:
    body = batch(raw)
    for found in read(body, sign(body)):
        try:
            connector("s1").translate(found.topic, found.payload)
        except Unreadable:
            continue


# calls, compared with the SDK's


@pytest.fixture
def api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.get(f"{BASE}/payments/PM123", json={"payments": one("payments", status="confirmed")}, headers=DATE)
        mock.get(f"{BASE}/refunds/RF123", json={"refunds": one("refunds")}, headers=DATE)
        mock.get(f"{BASE}/refunds", json={"refunds": [one("refunds")], "meta": {"cursors": {"after": None}}})
        mock.get(f"{BASE}/payouts/PO123", json={"payouts": one("payouts", status="paid")}, headers=DATE)
        yield mock


KEY = "refund:gocardless:1"
PART = {"minor": 300, "currency": "EUR"}


def effect(operation: str, name: str = "PM123", **payload: Any) -> Effect:
    return Effect(KEY, operation, name, {"payment": name, "subject": name, **payload})


def sent(api: responses.RequestsMock) -> tuple[str, str, Any, dict[str, str]]:
    request = api.calls[-1].request
    named = {name: str(request.headers.get(name)) for name in ("Authorization", "GoCardless-Version", "Idempotency-Key")}
    return str(request.method), str(request.url), json.loads(request.body or b"null"), named


def theirs(api: responses.RequestsMock, call: Callable[[Any], Any]) -> tuple[str, str, Any, dict[str, str]]:
    call(SDK)
    return sent(api)


def test_a_refund_names_what_all_come_to_and_is_asked_for_as_the_sdk_does(api: responses.RequestsMock) -> None:
    api.post(f"{BASE}/refunds", json={"refunds": one("refunds")}, status=201)
    ours = connector("s1")
    assert ours.refund_payment(effect("refund_payment", amount=PART, reference="R-1")) == Receipt("RF123", state="submitted")
    metadata = {"waybill": KEY, "reference": "R-1"}
    expected = {"amount": 300, "total_amount_confirmation": 450, "links": {"payment": "PM123"}, "metadata": metadata}
    assert sent(api) == theirs(api, lambda sdk: sdk.refunds.create(params=expected, headers={"Idempotency-Key": KEY}))
    ours.refund_payment(effect("refund_payment", amount=None))
    assert (sent(api)[2]["refunds"]["amount"], sent(api)[2]["refunds"]["total_amount_confirmation"]) == (850, 1000)


def test_a_repeated_refund_is_the_first_one(api: responses.RequestsMock) -> None:
    api.post(f"{BASE}/refunds", json=fixture("idempotent_creation_conflict_error"), status=409)
    assert connector("s1").refund_payment(effect("refund_payment", amount=PART)) == Receipt("PM00001078ZJJN")
    api.replace("POST", f"{BASE}/refunds", json={"error": {"errors": [{"reason": "other"}]}}, status=409)
    with pytest.raises(Rejected, match="HTTP 409: other"):
        connector("s1").refund_payment(effect("refund_payment", amount=PART))


def test_an_earlier_refund_is_found_by_our_key_on_any_page_and_not_made_again(api: responses.RequestsMock) -> None:
    mine = one("refunds", id="RF9", metadata={"waybill": KEY})
    more = matchers.query_param_matcher({"payment": "PM123", "limit": "500", "after": "c1"})
    start = matchers.query_param_matcher({"payment": "PM123", "limit": "500"})
    api.remove("GET", f"{BASE}/refunds")
    api.get(f"{BASE}/refunds", json={"refunds": [one("refunds")], "meta": {"cursors": {"after": "c1"}}}, match=[start])
    api.get(f"{BASE}/refunds", json={"refunds": [mine], "meta": {"cursors": {"after": None}}}, match=[more])
    ours = connector("s1")
    assert ours.find_operation(effect("refund_payment")) == Receipt("RF9", state="submitted")
    assert ours.refund_payment(effect("refund_payment", amount=PART)) == Receipt("RF9", state="submitted")


def test_a_cancellation_is_asked_for_as_the_sdk_does_and_never_twice(api: responses.RequestsMock) -> None:
    api.post(f"{BASE}/payments/PM123/actions/cancel", json={"payments": one("payments", status="cancelled")})
    ours = connector("s1")
    assert ours.void_payment(effect("void_payment")) == Receipt("PM123", state="cancelled")
    asked = sent(api)
    judged = theirs(api, lambda sdk: sdk.payments.cancel("PM123", headers={"Idempotency-Key": KEY}))
    assert (asked[0], asked[1], asked[3]) == (judged[0], judged[1], judged[3])
    api.replace("GET", f"{BASE}/payments/PM123", json={"payments": one("payments", status="cancelled")})
    assert ours.void_payment(effect("void_payment")) == Receipt("PM123", state="cancelled")
    assert [call.request.method for call in api.calls] == ["GET", "POST", "POST", "GET"]


def test_a_refusal_names_fields_and_not_what_gocardless_repeats(api: responses.RequestsMock) -> None:
    api.post(f"{BASE}/refunds", json=fixture("validation_failed_error"), status=422)
    with pytest.raises(Rejected) as found:
        connector("s1").refund_payment(effect("refund_payment", amount=PART))
    assert (str(found.value), found.value.field) == ("HTTP 422", "branch_code")


@pytest.mark.parametrize("answer", [{}, {"refunds": []}, {"refunds": {}}])
def test_an_answer_that_says_nothing_of_a_refund_is_an_unknown_outcome(api: responses.RequestsMock, answer: Any) -> None:
    api.post(f"{BASE}/refunds", json=answer, status=201)
    with pytest.raises(UnknownOutcome):
        connector("s1").refund_payment(effect("refund_payment", amount=PART))


@pytest.mark.parametrize("subject", ["PM123", "RF123"])
def test_a_hint_of_a_payment_or_refund_ends_in_the_whole_payment(api: responses.RequestsMock, subject: str) -> None:
    history = [event(1, "payments", "confirmed", "PM123")]
    api.get(f"{BASE}/events", json={"events": history, "meta": {"cursors": {"after": None}}})
    ours = connector("s1")
    found = ours.fetch_payment(effect("fetch_payment", subject))
    assert (found.topic, found.subject, found.occurred_at) == ("payments.fetched", "PM123", AT)
    refund = PaymentPart(PartKind.REFUND, "RF123", Money(150, "EUR"), True, PartState.PENDING)
    assert ours.translate(found.topic, found.payload) == PaymentChange("PM123", AT, PaymentState.CAPTURED, TOTAL, (CAPTURE, refund))
    assert ours.fetch_payment(effect("fetch_payment", subject)) == found


def test_a_hint_of_a_payout_ends_in_the_payout_with_its_items(api: responses.RequestsMock) -> None:
    api.get(f"{BASE}/payout_items", json={"payout_items": ITEMS, "meta": {"cursors": {"after": None}}})
    ours = connector("s1")
    found = ours.fetch_payment(effect("fetch_payment", "PO123"))
    change = ours.translate(found.topic, found.payload)
    assert isinstance(change, PayoutChange)
    assert (found.topic, change.remote_id, change.state, len(change.parts)) == ("payouts.fetched", "PO123", PayoutState.PAID, 2)


def test_a_back_fill_gives_the_events_that_webhooks_brought_oldest_first(api: responses.RequestsMock) -> None:
    newest = [event(4, "payments", "paid_out", "PM1"), event(3, "mandates", "active", "MD1")]
    oldest = [event(2, "refunds", "paid", "RF1"), event(1, "payments", "confirmed", "PM1")]
    query = {"created_at[gte]": "2026-01-01T00:00:00.000Z", "limit": "500"}
    api.get(f"{BASE}/events", json={"events": newest, "meta": {"cursors": {"after": "c1"}}}, match=[matchers.query_param_matcher(query)])
    more = matchers.query_param_matcher({**query, "after": "c1"})
    api.get(f"{BASE}/events", json={"events": oldest, "meta": {"cursors": {"after": None}}}, match=[more])
    pages = list(connector("s1").payment_events(AT))
    assert [[(each.delivery_id, each.hint) for each in page] for page in pages] == [[("EV1", True), ("EV2", True)], [("EV4", True)]]


@pytest.mark.parametrize("answer", [[], {}, {"events": {}}])
def test_a_list_that_is_none_is_rejected(api: responses.RequestsMock, answer: Any) -> None:
    api.get(f"{BASE}/events", json=answer)
    with pytest.raises(Rejected):
        list(connector("s1").payment_events(None))


@pytest.mark.parametrize("name", ["../PM1", "", "PM 1", "a" * 65])
def test_no_id_can_be_another_path(name: str) -> None:
    with pytest.raises(Rejected):
        connector("s1").fetch_payment(Effect("k", "fetch_payment", name, {"subject": name}))
