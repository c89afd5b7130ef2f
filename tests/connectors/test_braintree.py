"""The Braintree connector, judged by the official SDK: its signatures, its sample notifications, the requests that it would send."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import braintree as words
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
    Review,
)
from middleware.connectors._http import Http
from middleware.connectors.braintree import Connector
from middleware.errors import OnHold, Refused, Rejected, SignatureRefused, UnknownOutcome, Unreadable
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.testing import secret
from middleware.wire import braintree as wire
from tests.hostile import JSON, mutations

with warnings.catch_warnings():  # the SDK deprecates parts of itself while it is imported
    warnings.simplefilter("ignore", DeprecationWarning)
    import braintree
    from braintree.exceptions.invalid_challenge_error import InvalidChallengeError
    from braintree.exceptions.invalid_signature_error import InvalidSignatureError
    from braintree.util.xml_util import XmlUtil

PAYLOADS = Path(__file__).parents[1] / "payloads"
VECTORS = json.loads((PAYLOADS / "vectors" / "braintree.json").read_text("utf-8"))["vectors"]
AT = datetime(2026, 1, 1, tzinfo=UTC)
BASE = "https://api.sandbox.braintreegateway.example"
PUBLIC, PRIVATE = "bt_public_key", "bt_private_key"


def connector(*secrets: str, live: bool = False, base: str = BASE, **options: Any) -> Connector:
    connection = Connection(
        "braintree",
        "braintree",
        base,
        secrets=tuple(secret(one) for one in secrets),
        credentials={"public_key": secret(PUBLIC), "private_key": secret(PRIVATE)},
        options={"merchant_id": "m1", **options},
        live=live,
    )
    return Connector(connection, Http(connection))


def gateway(public: str = PUBLIC, private: str = PRIVATE, **more: Any) -> braintree.BraintreeGateway:
    configuration = braintree.Configuration(braintree.Environment.Sandbox, "m1", public, private, **more)
    return braintree.BraintreeGateway(configuration)


def posted(form: dict[str, str]) -> Inbound:
    return Inbound({"content-type": "application/x-www-form-urlencoded"}, urlencode(form).encode(), "", AT)


def sign(payload: bytes, private: str = PRIVATE) -> str:
    return hmac.new(hashlib.sha1(private.encode()).digest(), payload, "sha1").hexdigest()


# signatures


@pytest.mark.parametrize("vector", [one for one in VECTORS if "form" in one], ids=lambda vector: vector["name"])
def test_every_vector_is_judged_as_the_sdk_did(vector: dict[str, Any]) -> None:
    pair = f"{vector['secret']['public_key']}:{vector['secret']['private_key']}"
    if vector["expected"] == "invalid":
        with pytest.raises(SignatureRefused):
            connector(pair).read(posted(vector["form"]))
        return
    (found,) = connector(pair).read(posted(vector["form"]))
    assert (found.delivery_id, found.payload) == (
        "sha256:" + hashlib.sha256(vector["form"]["bt_payload"].encode()).hexdigest(),
        base64.b64decode(vector["form"]["bt_payload"]),
    )


@pytest.mark.parametrize("vector", [one for one in VECTORS if "query" in one], ids=lambda vector: vector["name"])
def test_a_challenge_is_answered_as_the_sdk_does(vector: dict[str, Any]) -> None:
    assert connector(PRIVATE).greet(vector["query"]["bt_challenge"]) == vector["expected_body"]


@given(challenge=st.text("0123456789abcdefg\n", max_size=40) | st.text("0123456789abcdef", min_size=20, max_size=32))
@settings(max_examples=500, deadline=None)
def test_the_sdk_and_we_answer_the_same_challenges(challenge: str) -> None:
    try:
        theirs = gateway().webhook_notification.verify(challenge)
    except InvalidChallengeError:
        theirs = ""
    if challenge.endswith("\n"):
        theirs = ""  # stricter: for the SDK a line end is no letter too many
    assert connector(PRIVATE).greet(challenge) == theirs


@pytest.mark.parametrize("end", ["", "\n"])
def test_what_a_challenge_had_signed_is_no_notification(end: str) -> None:
    challenge = "20f9f8ed05f77439fe955c977e4c8a53"
    signature = connector(PRIVATE).greet(challenge)
    assert sdk_accepts(signature, challenge, PUBLIC, PRIVATE), "the SDK takes it; ours is stricter"
    with pytest.raises(SignatureRefused, match="challenge"):
        connector(PRIVATE).read(posted({"bt_signature": signature, "bt_payload": challenge + end}))


def test_without_a_key_no_challenge_is_answered() -> None:
    assert connector().greet("20f9f8ed05f77439fe955c977e4c8a53") == ""


def sdk_accepts(signature: str, payload: str, public: str, private: str) -> bool:
    try:
        gateway(public, private).webhook_notification.parse(signature, payload)
    except (InvalidSignatureError, UnicodeEncodeError):
        return False
    except Exception:  # verified, but no notification
        return True
    return True


def ours_accepts(signature: str, payload: str, public: str, private: str) -> bool:
    try:
        connector(f"{public}:{private}").read(posted({"bt_signature": signature, "bt_payload": payload}))
    except Refused:
        return False
    return True


KEYS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
TEXTS = st.binary(max_size=40).map(lambda data: base64.encodebytes(data).decode()) | st.text("AZaz09+/=\n -é", max_size=20)


@given(payload=TEXTS, public=KEYS, private=KEYS, other=KEYS, data=st.data())
@settings(max_examples=600, deadline=None)
def test_the_sdk_and_we_give_the_same_verdict(payload: str, public: str, private: str, other: str, data: st.DataObject) -> None:
    good = sign(payload.encode(), private)
    made = data.draw(st.sampled_from([good, good, good.upper(), good[:-1], "", "é", sign(payload.encode() + b"\n", private)]))
    form = ["{p}|{s}", "x|00&{p}|{s}", "{p}|00&{p}|{s}", "{s}", "&{p}|{s}&", "{P}|{s}", "{p}|{s}&x"]
    signature = data.draw(st.sampled_from(form)).format(p=public, P=public + "x", s=made)
    sent = data.draw(st.sampled_from([payload, payload, payload.rstrip("\n"), payload + "A"]))
    used = data.draw(st.sampled_from([private, private, other]))
    assert ours_accepts(signature, sent, public, used) == sdk_accepts(signature, sent, public, used)


def test_what_crashes_the_sdk_is_refused() -> None:
    assert not ours_accepts(f"{PUBLIC}|00|11", "AA==", PUBLIC, PRIVATE)


@pytest.mark.parametrize("blank", ["", " ", ":", "p:", ":x", " : "])
def test_a_blank_secret_closes_the_door(blank: str) -> None:
    form = {"bt_signature": f"{PUBLIC}|{sign(b'AA==', blank.partition(':')[2])}", "bt_payload": "AA=="}
    with pytest.raises(SignatureRefused, match="no secret"):
        connector(blank).read(posted(form))


def test_a_private_key_alone_goes_with_the_public_one_of_the_credentials_and_several_may_be_there() -> None:
    form = {"bt_signature": f"{PUBLIC}|{sign(b'AA==')}", "bt_payload": "AA=="}
    assert [one.secret for one in connector("other:key", PRIVATE).read(posted(form))] == [1]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"\xff", b"bt_payload=AA", b"bt_signature=a&bt_signature=b&bt_payload=c", b"&".join([b"a=b"] * 30)]
)
def test_what_is_no_signed_form_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureRefused):
        connector(PRIVATE).read(Inbound({}, body, "", AT))


def notified(xml: str) -> tuple[Delivery, ...]:
    payload = base64.encodebytes(xml.encode()).decode()
    return connector(PRIVATE).read(posted({"bt_signature": f"{PUBLIC}|{sign(payload.encode())}", "bt_payload": payload}))


@pytest.mark.parametrize(
    "xml",
    [
        "no xml",
        "<x/>",
        "<notification/>",
        "<notification><kind>check</kind><timestamp>soon</timestamp><subject><check>true</check></subject></notification>",
        '<!DOCTYPE n [<!ENTITY a "b">]><notification><kind>&a;</kind></notification>',
        "<notification>" + "<a>" * 60 + "</a>" * 60 + "</notification>",
    ],
)
def test_a_verified_body_that_is_no_notification_is_kept_under_its_digest(xml: str) -> None:
    (found,) = notified(xml)
    assert (found.topic, found.delivery_id) == ("unreadable", "sha256:" + hashlib.sha256(found.payload).hexdigest())


def test_an_address_of_the_other_environment_is_a_mistake_of_the_configuration() -> None:
    for base, live in (("https://api.sandbox.braintreegateway.com", True), ("https://api.braintreegateway.com", False)):
        with pytest.raises(ValueError, match="other environment"):
            connector(PRIVATE, live=live, base=base)


# translation of the SDK's own samples


def sample(kind: str) -> Delivery:
    made = gateway().webhook_testing.sample_notification(kind, "my_id")
    (found,) = connector(PRIVATE).read(posted({"bt_signature": made["bt_signature"], "bt_payload": made["bt_payload"].decode()}))
    return found


def translated(found: Delivery) -> Any:
    return connector(PRIVATE).translate(found.topic, found.payload)


KINDS = sorted(
    value for name, value in vars(braintree.WebhookNotification.Kind).items() if not name.startswith("_") and isinstance(value, str)
)


@pytest.fixture(autouse=True)
def _quiet_sdk() -> Iterator[None]:
    """The SDK's generator uses a deprecated clock on newer Pythons."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_that_the_sdk_knows_is_used_a_hint_or_ignored_on_purpose(kind: str) -> None:
    found = sample(kind)
    assert found.topic == kind
    known = {*words.TOPICS, *words.HINTS, *words.IGNORED, "transaction_reviewed"}
    assert kind in known
    assert found.hint == (kind in words.HINTS)
    assert "4111" not in str(translated(found))


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("transaction_settled", "my_id"),
        ("transaction_disbursed", "my_id"),
        ("transaction_retried", "my_id"),
        ("refund_failed", "my_id"),
        ("local_payment_completed", "1"),
        ("local_payment_funded", "1"),
        ("transaction_reviewed", "my_id"),
        ("disbursement", "my_id"),
        ("dispute_opened", "my_id"),
    ],
)
def test_what_a_sample_is_about(kind: str, subject: str) -> None:
    assert sample(kind).subject == subject


def notes(kind: str) -> dict[str, Any]:
    return dict(wire.read_xml(sample(kind).payload)[1])


@pytest.mark.parametrize(
    ("kind", "counts", "state"),
    [
        ("dispute_opened", True, PartState.OPENED),
        ("dispute_under_review", True, PartState.UNDER_REVIEW),
        ("dispute_disputed", True, PartState.UNDER_REVIEW),
        ("dispute_accepted", True, PartState.LOST),
        ("dispute_auto_accepted", True, PartState.LOST),
        ("dispute_expired", True, PartState.LOST),
        ("dispute_lost", True, PartState.LOST),
        ("dispute_won", False, PartState.WON),
    ],
)
def test_what_a_dispute_says(kind: str, counts: bool, state: PartState) -> None:
    found = sample(kind)
    part = PaymentPart(PartKind.DISPUTE, "my_id", Money(10000, "USD"), counts, state)
    payment = notes(kind)["subject"]["dispute"]["transaction"]["id"]
    assert translated(found) == PaymentChange(payment, found.occurred_at, None, None, (part,))


@pytest.mark.parametrize(("kind", "state"), [("disbursement", PayoutState.PAID), ("disbursement_exception", PayoutState.FAILED)])
def test_what_a_disbursement_says(kind: str, state: PayoutState) -> None:
    found = sample(kind)
    assert translated(found) == PayoutChange("my_id", found.occurred_at, state, Money(10000, "USD"))


def test_a_review_says_what_the_options_make_of_its_decision() -> None:
    found = sample("transaction_reviewed")
    assert translated(found) == Ignored("the decision of the review is a word that options.decisions does not know")
    ours = connector(PRIVATE, decisions={"a smart decision": "approve"})
    assert ours.translate(found.topic, found.payload) == PaymentChange("my_id", found.occurred_at, None, review=Review.APPROVE)
    rejected = found.payload.replace(b"a smart decision", b"Rejected")
    assert connector(PRIVATE).translate(found.topic, rejected) == PaymentChange("my_id", found.occurred_at, None, review=Review.REJECT)
    with pytest.raises(ValueError, match="decisions"):
        connector(PRIVATE, decisions={"ok": "maybe"})


@pytest.mark.parametrize("kind", KINDS)
def test_our_reading_of_xml_is_the_sdks(kind: str) -> None:
    body = sample(kind).payload
    root, value = wire.read_xml(body)
    assert same({root: value}, XmlUtil.dict_from_xml(body))


def same(ours: Any, theirs: Any) -> bool:
    """The SDK's numbers, dates and booleans are text here; what comes twice is a list there and the last one here."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return set(ours) == set(theirs) and all(same(ours[name], theirs[name]) for name in ours)
    if isinstance(theirs, list) and isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(theirs, str):
        return ours == theirs.strip()
    return isinstance(ours, str) or ours is None or theirs in ("", None)


# what is fetched


def transaction(name: str = "t1", status: str = "settled", **changes: Any) -> dict[str, Any]:
    base = {"id": name, "status": status, "type": "sale", "amount": "100.00", "currency_iso_code": "EUR", "order_id": "1001"}
    return {**base, **changes}


def fetched(sale: dict[str, Any], *related: dict[str, Any]) -> Any:
    event = {"kind": "transaction_fetched", "timestamp": AT.isoformat(), "subject": {"transaction": sale, "related": list(related)}}
    return connector(PRIVATE).translate("transaction_fetched", json.dumps(event).encode())


TOTAL = Money(10000, "EUR")


@pytest.mark.parametrize(
    ("status", "more", "state", "outcome", "code"),
    [
        ("authorizing", {}, PaymentState.PENDING, "", ""),
        ("authorized", {}, PaymentState.AUTHORIZED, "", ""),
        ("voided", {}, PaymentState.VOIDED, "", ""),
        ("authorization_expired", {}, PaymentState.VOIDED, "expired", ""),
        ("a_word_of_next_year", {}, PaymentState.PENDING, "", ""),
        ("processor_declined", {"processor_response_code": "2001"}, PaymentState.FAILED, "insufficient_funds", "2001"),
        ("processor_declined", {"processor_response_code": "2046"}, PaymentState.FAILED, "declined", "2046"),
        ("processor_declined", {"processor_response_code": "3000"}, PaymentState.FAILED, "provider_error", "3000"),
        (
            "gateway_rejected",
            {"gateway_rejection_reason": "three_d_secure"},
            PaymentState.FAILED,
            "authentication_failed",
            "three_d_secure",
        ),
        ("gateway_rejected", {"gateway_rejection_reason": "duplicate"}, PaymentState.FAILED, "declined", "duplicate"),
        ("failed", {}, PaymentState.FAILED, "provider_error", ""),
        ("settlement_declined", {}, PaymentState.FAILED, "declined", ""),
    ],
)
def test_what_a_sale_says_that_took_no_money(status: str, more: dict[str, Any], state: PaymentState, outcome: str, code: str) -> None:
    expected = PaymentChange("t1", AT, state, TOTAL, (), ("1001",), outcome, code)
    assert fetched(transaction(status=status, **more)) == expected


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("submitted_for_settlement", PartState.PENDING),
        ("settling", PartState.PENDING),
        ("settlement_pending", PartState.PENDING),
        ("settlement_confirmed", PartState.PENDING),
        ("settled", PartState.DONE),
    ],
)
def test_what_a_sale_says_that_took_money(status: str, state: PartState) -> None:
    part = PaymentPart(PartKind.CAPTURE, "t1", TOTAL, True, state)
    assert fetched(transaction(status=status)) == PaymentChange("t1", AT, PaymentState.CAPTURED, TOTAL, (part,), ("1001",))


def test_partial_settlements_refunds_and_disputes_are_parts_by_their_own_ids() -> None:
    dispute = {"id": "d1", "amount": "5.00", "currency_iso_code": "EUR", "status": "open", "kind": "retrieval"}
    found = fetched(
        transaction(status="settlement_pending", custom_fields={"order_uuid": "u-1"}),
        transaction("t2", "settled", amount="30.00", disputes=[dispute]),
        transaction("t3", "submitted_for_settlement", amount="20.00"),
        transaction("r1", "settled", type="credit", amount="10.00"),
        transaction("r2", "processor_declined", type="credit", amount="1.00"),
    )
    parts = (
        PaymentPart(PartKind.CAPTURE, "t2", Money(3000, "EUR"), True, PartState.DONE),
        PaymentPart(PartKind.CAPTURE, "t3", Money(2000, "EUR"), True, PartState.PENDING),
        PaymentPart(PartKind.REFUND, "r1", Money(1000, "EUR"), True, PartState.DONE),
        PaymentPart(PartKind.REFUND, "r2", Money(100, "EUR"), False, PartState.FAILED),
        PaymentPart(PartKind.DISPUTE, "d1", Money(500, "EUR"), False, PartState.OPENED),
    )
    assert found == PaymentChange("t1", AT, PaymentState.CAPTURED, TOTAL, parts, ("1001", "u-1"))


def test_what_no_schema_accepts_names_the_field_and_no_value() -> None:
    with pytest.raises(Unreadable, match="amount: expected a decimal number as text") as found:
        fetched(transaction(amount="ada@example.test"))
    assert "ada" not in str(found.value)


SAMPLE = {
    "kind": "transaction_fetched",
    "timestamp": AT.isoformat(),
    "subject": {"transaction": transaction(), "related": [transaction("t2")]},
}


@given(raw=mutations(SAMPLE) | JSON)
@settings(max_examples=300, deadline=None)
def test_no_answer_is_a_bug(raw: Any) -> None:
    try:
        connector(PRIVATE).translate("transaction_fetched", json.dumps(raw).encode("utf-8", "surrogatepass"))
    except Unreadable:
        return


@given(kind=st.sampled_from(KINDS), cut=st.integers(0, 2000), length=st.integers(0, 60), filling=st.text("<>/ab1-. ", max_size=20))
@settings(max_examples=500, deadline=None)
def test_nothing_that_a_verified_sender_may_send_is_a_bug(kind: str, cut: int, length: int, filling: str) -> None:
    xml = gateway().webhook_testing.sample_notification(kind, "x")["bt_payload"]
    body = base64.b64decode(xml).decode()
    (found,) = notified(body[:cut] + filling + body[cut + length :])
    try:
        translated(found)
    except Unreadable:
        return


# calls, compared with the SDK's


class Recorder:
    """The SDK's transport: keeps what it would send and answers with a transaction."""

    sent: list[tuple[str, str, str]] = []  # noqa: RUF012 - one for all instances on purpose

    def __init__(self, config: Any, environment: Any) -> None:
        self.config = config

    def http_do(self, verb: str, path: str, headers: dict[str, str], body: str) -> tuple[int, str]:
        Recorder.sent.append((verb, path[path.index("/merchants") :], body or ""))
        return 200, xml_of(transaction())


def xml_of(value: dict[str, Any], root: str = "transaction") -> str:
    """An answer as Braintree writes it: names with dashes, lists typed."""

    def node(name: str, inner: Any) -> str:
        tag = name.replace("_", "-")
        if isinstance(inner, dict):
            return f"<{tag}>{''.join(node(key, one) for key, one in inner.items())}</{tag}>"
        if isinstance(inner, list):
            return f'<{tag} type="array">{"".join(node("item", one) for one in inner)}</{tag}>'
        return f"<{tag}>{inner}</{tag}>"

    return node(root, value)


@pytest.fixture
def api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def put(api: responses.RequestsMock, value: dict[str, Any], method: str = "GET", path: str = "", **more: Any) -> None:
    name = f"/merchants/m1/transactions/{path or value['id']}"
    api.add(method, f"{BASE}{name}", body=xml_of(value), headers={"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, **more)


def sent(api: responses.RequestsMock, index: int = -1) -> tuple[str, str, str]:
    request = api.calls[index].request
    assert request.headers["X-ApiVersion"] == braintree.Configuration.api_version()
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(f"{PUBLIC}:{PRIVATE}".encode()).decode()
    return str(request.method), str(request.url).removeprefix(BASE), (request.body or b"").decode()  # type: ignore[union-attr]


def theirs(call: Callable[[Any], Any]) -> tuple[str, str, str]:
    call(gateway(http_strategy=Recorder).transaction)
    return Recorder.sent[-1]


KEY = "capture:braintree:1"
MARK = "R & <1>#" + hashlib.sha256(KEY.encode()).hexdigest()[:16]
PART = {"minor": 1050, "currency": "EUR"}


def effect(operation: str, **payload: Any) -> Effect:
    return Effect(KEY, operation, "t1", {"payment": "t1", "subject": "t1", "reference": "R & <1>", **payload})


def test_all_at_once_is_submitted_as_the_sdk_does(api: responses.RequestsMock) -> None:
    put(api, transaction(status="submitted_for_settlement"), "PUT", "t1/submit_for_settlement")
    ours = connector(PRIVATE)
    assert ours.capture_payment(effect("capture_payment", amount=None, final=True)) == Receipt("t1", state="submitted_for_settlement")
    assert sent(api) == theirs(lambda sdk: sdk.submit_for_settlement("t1"))
    put(api, transaction(status="authorized"))
    ours.capture_payment(effect("capture_payment", amount=PART, final=True))
    assert sent(api) == theirs(lambda sdk: sdk.submit_for_settlement("t1", "10.50"))


def test_a_part_is_a_partial_settlement_and_the_last_one_says_so(api: responses.RequestsMock) -> None:
    put(api, transaction("t2", "submitted_for_settlement"), "POST", "t1/submit_for_partial_settlement")
    ours = connector(PRIVATE)
    assert ours.capture_payment(effect("capture_payment", amount=PART, final=False)) == Receipt("t2", state="submitted_for_settlement")
    assert sent(api) == theirs(lambda sdk: sdk.submit_for_partial_settlement("t1", "10.50", {"order_id": MARK}))
    put(api, transaction(status="settlement_pending", partial_settlement_transaction_ids=["t2"]))
    ours.capture_payment(effect("capture_payment", amount=PART, final=True))
    assert sent(api) == theirs(lambda sdk: sdk.submit_for_partial_settlement("t1", "10.50", {"order_id": MARK, "final_capture": True}))


def test_a_refund_is_asked_for_as_the_sdk_does(api: responses.RequestsMock) -> None:
    put(api, transaction("r1", type="credit"), "POST", "t2/refund")
    put(api, transaction("r2", type="credit"), "POST", "t1/refund")
    ours = connector(PRIVATE)
    assert ours.refund_payment(effect("refund_payment", capture="t2", amount=PART, reason="x")) == Receipt("r1", state="settled")
    assert sent(api) == theirs(lambda sdk: sdk.refund("t2", {"amount": "10.50", "order_id": MARK}))
    assert ours.refund_payment(effect("refund_payment", capture="", amount=None, reason="x")) == Receipt("r2", state="settled")
    assert sent(api) == theirs(lambda sdk: sdk.refund("t1", {"amount": None, "order_id": MARK}))
    keyed = connector(PRIVATE, request_keys=True)
    keyed.refund_payment(effect("refund_payment", capture="", amount=PART, reason="x"))
    assert sent(api) == theirs(lambda sdk: sdk.refund("t1", {"amount": "10.50", "order_id": MARK, "api_request_key": KEY}))


def test_a_void_is_asked_for_as_the_sdk_does_and_never_twice(api: responses.RequestsMock) -> None:
    put(api, transaction(status="authorized"))
    put(api, transaction(status="voided"), "PUT", "t1/void")
    assert connector(PRIVATE).void_payment(effect("void_payment")) == Receipt("t1", state="voided")
    assert sent(api) == theirs(lambda sdk: sdk.void("t1"))
    api.replace("GET", f"{BASE}/merchants/m1/transactions/t1", body=xml_of(transaction(status="voided")))
    assert connector(PRIVATE).void_payment(effect("void_payment")) == Receipt("t1", state="voided")
    assert [call.request.method for call in api.calls] == ["GET", "PUT", "GET"]


def refusal(code: str, more: str = "") -> str:
    error = f"<error><code>{code}</code><attribute type='symbol'>base</attribute><message>ada@example.test</message></error>"
    return (
        f"<api-error-response><errors><transaction><errors type='array'>{error}</errors></transaction></errors>{more}</api-error-response>"
    )


def test_a_refund_before_it_is_settled_waits(api: responses.RequestsMock) -> None:
    api.post(f"{BASE}/merchants/m1/transactions/t1/refund", body=refusal("91506"), status=422)
    with pytest.raises(OnHold, match="not yet"):
        connector(PRIVATE).refund_payment(effect("refund_payment", amount=PART))


def test_a_refusal_names_codes_and_fields_and_no_words_of_theirs(api: responses.RequestsMock) -> None:
    api.post(f"{BASE}/merchants/m1/transactions/t1/refund", body=refusal("91512"), status=422)
    with pytest.raises(Rejected, match="HTTP 422: 91512") as found:
        connector(PRIVATE).refund_payment(effect("refund_payment", amount=PART))
    assert (found.value.field, "ada" in str(found.value)) == ("base", False)
    declined = "<api-error-response><errors/><transaction><status>processor_declined</status></transaction></api-error-response>"
    api.replace("POST", f"{BASE}/merchants/m1/transactions/t1/refund", body=declined, status=422)
    with pytest.raises(Rejected, match="the transaction is processor_declined"):
        connector(PRIVATE).refund_payment(effect("refund_payment", amount=PART))


@pytest.mark.parametrize(
    "answer", ["", "<html>", "<transaction/>", "<transaction><id>../x</id></transaction>", "<other><id>1</id></other>"]
)
def test_an_answer_that_says_nothing_is_an_unknown_outcome_of_what_moves_money(api: responses.RequestsMock, answer: str) -> None:
    api.post(f"{BASE}/merchants/m1/transactions/t1/refund", body=answer, status=201)
    api.get(f"{BASE}/merchants/m1/transactions/t1", body=answer)
    with pytest.raises(UnknownOutcome):
        connector(PRIVATE).refund_payment(effect("refund_payment", amount=PART))
    with pytest.raises(Rejected):
        connector(PRIVATE).fetch_payment(effect("fetch_payment"))


def test_an_earlier_attempt_is_found_by_its_mark(api: responses.RequestsMock) -> None:
    put(api, transaction(status="settlement_pending", partial_settlement_transaction_ids=["t2", "t3"], refund_ids=["r1"]))
    put(api, transaction("t2", "settling", order_id="another"))
    put(api, transaction("t3", "settling", order_id=MARK.replace("&", "&amp;").replace("<", "&lt;")))
    put(api, transaction("r1", order_id="another"))
    ours = connector(PRIVATE)
    assert ours.find_operation(effect("capture_payment")) == Receipt("t3", state="settling")
    assert ours.find_operation(effect("refund_payment")) is None


@pytest.mark.parametrize(
    ("status", "expected"), [("authorized", None), ("submitted_for_settlement", Receipt("t1", state="submitted_for_settlement"))]
)
def test_all_at_once_is_found_by_the_status_of_the_sale(api: responses.RequestsMock, status: str, expected: Receipt | None) -> None:
    put(api, transaction(status=status))
    assert connector(PRIVATE).find_operation(effect("capture_payment", amount=None)) == expected
    assert connector(PRIVATE).find_operation(effect("capture_payment", amount=PART, final=True)) == expected
    assert connector(PRIVATE).find_operation(effect("capture_payment", amount=PART, final=False)) is None


def test_a_refund_of_a_partial_settlement_leads_to_the_whole_sale(api: responses.RequestsMock) -> None:
    put(api, transaction("r1", type="credit", refunded_transaction_id="t2", credit_card={"number": "4111111111111111"}))
    put(api, transaction("t2", amount="30.00", authorized_transaction_id="t1", refund_ids=["r1"]))
    put(api, transaction("t1", "settlement_pending", partial_settlement_transaction_ids=["t2"], customer={"email": "ada@example.test"}))
    ours = connector(PRIVATE)
    found = ours.fetch_payment(Effect(KEY, "fetch_payment", "r1", {"subject": "r1"}))
    assert (found.subject, found.topic, found.occurred_at) == ("t1", "transaction_fetched", AT)
    assert b"4111" not in found.payload and b"ada" not in found.payload
    parts = (
        PaymentPart(PartKind.CAPTURE, "t2", Money(3000, "EUR"), True, PartState.DONE),
        PaymentPart(PartKind.REFUND, "r1", TOTAL, True, PartState.DONE),
    )
    assert ours.translate(found.topic, found.payload) == PaymentChange("t1", AT, PaymentState.CAPTURED, TOTAL, parts, ("1001",))
    assert ours.fetch_payment(effect("fetch_payment")).delivery_id == found.delivery_id


def test_a_back_fill_searches_every_time_as_the_sdk_would_and_gives_each_sale_once(api: responses.RequestsMock) -> None:
    results = xml_of({"page_size": 50, "ids": ["t2", "t1"]}, "search_results")
    api.post(f"{BASE}/merchants/m1/transactions/advanced_search_ids", body=results)
    put(api, transaction("t1"))
    put(api, transaction("t2", refunded_transaction_id="t1", type="credit"))
    pages = list(connector(PRIVATE).payment_events(AT))
    assert [[one.subject for one in page] for page in pages] == [["t1"]]
    name = braintree.TransactionSearch.created_at
    with pytest.raises(Exception):  # noqa: B017 - the recorder answers no search; what was sent counts
        theirs(lambda sdk: sdk.search([name >= AT.replace(tzinfo=None)]))
    assert sent(api, 0) == Recorder.sent[-1]
    searches = [str(call.request.body) for call in api.calls if "advanced_search_ids" in str(call.request.url)]
    assert len(set(searches)) == len(searches) == 7


def test_without_its_merchant_nothing_is_sent() -> None:
    with pytest.raises(Rejected, match="merchant_id"):
        connector(PRIVATE, merchant_id="").fetch_payment(effect("fetch_payment"))


@pytest.mark.parametrize("name", ["../t1", "", "t 1", "a" * 65])
def test_no_id_can_be_another_path(name: str) -> None:
    with pytest.raises(Rejected):
        connector(PRIVATE).fetch_payment(Effect("k", "fetch_payment", name, {"subject": name}))
