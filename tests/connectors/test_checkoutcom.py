"""The Checkout.com connector: no SDK of theirs verifies a webhook, so vectors of the documented algorithm and shapes judge it."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import checkoutcom as words
from mappings import checkoutcom_words
from mappings.canonical import Ignored, Money, PartKind, PartState, PaymentChange, PaymentPart, PaymentState, Review
from middleware.connectors._http import Http
from middleware.connectors.checkoutcom import Connector
from middleware.errors import Refused, Rejected, SignatureRefused, Transient, Unauthorized, UnknownOutcome, Unreadable, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.testing import secret

PAYLOADS = Path(__file__).parents[1] / "payloads"
VECTORS = json.loads((PAYLOADS / "vectors" / "checkoutcom.json").read_text("utf-8"))
EVENTS = json.loads((PAYLOADS / "checkoutcom" / "events.json").read_text("utf-8"))
AT = datetime(2026, 1, 1, tzinfo=UTC)
URL = "https://abcd1234.api.sandbox.checkout.com"
PAY = "pay_gcpqzqbb4sze3bmgtwj7rtbzkm"
ACT = "act_rgp3x7yhcwoebkvnccap2gst6u"


def connector(*keys: str, live: bool = False, authorization: str = "", **options: Any) -> Connector:
    credentials = {"secret_key": secret("sk_sbox_key"), **({"authorization": secret(authorization)} if authorization else {})}
    connection = Connection("cko", "checkoutcom", URL, tuple(secret(key) for key in keys), credentials, options, live=live)
    return Connector(connection, Http(connection))


def signature(body: bytes, key: str) -> str:
    return hmac.digest(key.encode(), body, "sha256").hex()


def signed(body: bytes, key: str = "key", **headers: str) -> Inbound:
    return Inbound({"cko-signature": signature(body, key), **headers}, body, "", AT)


def accepts(request: Inbound, *keys: str) -> bool:
    try:
        connector(*keys).read(request)
    except Refused:
        return False
    return True


# signatures


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_every_vector_is_judged_as_expected(vector: dict[str, Any]) -> None:
    request = Inbound({name.lower(): value for name, value in vector["headers"].items()}, vector["body"].encode(), "", AT)
    ours = connector(vector["secret"], live=True)
    if vector["expected"] == "invalid":
        with pytest.raises(SignatureRefused):
            ours.read(request)
        return
    assert ours.read(request) == (Delivery("evt_az5sblvku4ge3dwpztvyizgcau", "payment_captured", PAY, request.body, AT),)


KEYS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=40)


@given(body=st.binary(max_size=200), key=KEYS, other=KEYS, data=st.data())
@settings(max_examples=600, deadline=None)
def test_the_documented_algorithm_and_we_give_the_same_verdict(body: bytes, key: str, other: str, data: st.DataObject) -> None:
    good = signature(body, key)
    header = data.draw(st.sampled_from([good, good, good, good.upper(), good[:-1], good + "0", " " + good, "sha256=" + good, "", "é"]))
    posted = body + data.draw(st.sampled_from([b"", b"", b" ", b"\n"]))
    used = data.draw(st.sampled_from([key, key, key, other]))
    assert accepts(Inbound({"cko-signature": header}, posted, "", AT), used) == (header == signature(posted, used))


@pytest.mark.parametrize("keys", [("",), (" ", "\t"), ()])
def test_an_empty_key_closes_the_door(keys: tuple[str, ...]) -> None:
    with pytest.raises(SignatureRefused, match="no signature key"):
        connector(*keys).read(signed(b"{}", keys[0] if keys else ""))


def test_while_a_key_is_replaced_either_verifies_and_the_delivery_says_which() -> None:
    assert [one.secret for key in ("old", "new") for one in connector("old", "new").read(signed(b"{}", key))] == [0, 1]


@pytest.mark.parametrize(("given_header", "accepted"), [("Bearer set", True), ("Bearer other", False), ("", False), ("é", False)])
def test_where_an_authorization_is_set_it_must_come_too(given_header: str, accepted: bool) -> None:
    ours = connector("key", authorization="Bearer set")
    request = signed(b"{}", authorization=given_header)
    if accepted:
        assert len(ours.read(request)) == 1
        return
    with pytest.raises(SignatureRefused, match="Authorization"):
        ours.read(request)


@pytest.mark.parametrize(
    ("href", "tells"),
    [
        ("https://api.sandbox.checkout.com/workflows/events/evt_1", False),
        ("https://abcd1234.api.sandbox.checkout.com/workflows/events/evt_1", False),
        ("https://abcd1234.api.checkout.com/workflows/events/evt_1", True),
        ("https://[", None),
        ("https://elsewhere.example/x", None),
        ("", None),
    ],
)
def test_a_test_event_on_a_live_connection_is_refused_and_the_reverse(href: str, tells: bool | None) -> None:
    body = json.dumps({"id": "evt_1", "type": "x", "data": {"id": PAY}, "_links": {"self": {"href": href}}}).encode()
    for live in (True, False):
        if tells in (live, None):
            assert len(connector("key", live=live).read(signed(body))) == 1
        else:
            with pytest.raises(WrongEnvironment):
                connector("key", live=live).read(signed(body))


@pytest.mark.parametrize("body", [b"{}", b"[]", b"\xff", b'{"id": "\xff"}', b'{"id": "", "type": "x", "data": {}}'])
def test_a_verified_body_that_is_no_event_is_kept_under_its_digest(body: bytes) -> None:
    (found,) = connector("key").read(signed(body))
    assert (found.topic, found.payload, found.delivery_id[:7]) == ("unreadable", body, "sha256:")
    if body.startswith(b"\xff") or b'"\xff"' in body:
        with pytest.raises(Unreadable, match="not JSON"):
            connector("key").translate("", body)


def test_a_dispute_is_about_its_payment() -> None:
    (found,) = connector("key").read(signed(json.dumps(event("dispute_evidence_required")).encode()))
    assert (found.subject, found.occurred_at) == (PAY, AT)


# translation


def event(kind: str, data: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """An event in the shape that Checkout.com documents for its kind."""
    shape = EVENTS["shapes"]["dispute" if kind.startswith("dispute_") else "action" if kind in checkoutcom_words.PARTS else "payment"]
    return {
        "id": "evt_1",
        "type": kind,
        "version": "1.0.29",
        "created_on": "2026-01-01T00:00:00.0000000Z",
        "data": {**shape, **(data or {})},
        **changes,
    }


def translated(what: Any, **options: Any) -> Any:
    return connector("key", **options).translate("", json.dumps(what).encode())


TOTAL = Money(4470, "EUR")
SAID = PaymentChange(PAY, AT, PaymentState.AUTHORIZED, TOTAL, order_refs=("1001",))
FAILED = replace(SAID, state=PaymentState.FAILED, outcome="declined")


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (event("payment_approved"), SAID),
        (event("payment_approved", created_on=None, timestamp="2026-01-01T00:00:00.0000000Z"), SAID),
        (event("payment_approved", {"risk": {"flagged": True}}), replace(SAID, review=Review.HOLD)),
        (event("payment_approved", {"amount": 0}), Ignored("a card was checked; no money was authorised")),
        (
            event("payment_approved", {"metadata": {"order_id": 7, "order_uuid": "u-1", "x": 1}}),
            replace(SAID, order_refs=("1001", "u-1", "7")),
        ),
        (event("payment_approved", {"reference": None, "metadata": None}), replace(SAID, order_refs=())),
        (event("payment_pending"), replace(SAID, state=PaymentState.PENDING)),
        (event("payment_pending", _links={"redirect": {"href": "https://x"}}), replace(SAID, state=PaymentState.REQUIRES_ACTION)),
        (event("payment_compliance_review"), replace(SAID, state=None, amount=None, review=Review.HOLD)),
        (event("payment_declined", {"response_code": "20005"}), replace(FAILED, raw_code="20005")),
        (event("payment_declined", {"response_code": "20051"}), replace(FAILED, outcome="insufficient_funds", raw_code="20051")),
        (event("payment_declined", {"response_code": "ada@example.test"}), FAILED),
        (event("payment_declined", {"response_code": None}), FAILED),
        (event("payment_voided"), replace(SAID, state=PaymentState.VOIDED, amount=None)),
        (event("payment_voided", {"balances": {"available_to_capture": 0}}), replace(SAID, state=PaymentState.VOIDED, amount=None)),
        (event("payment_voided", {"balances": {"available_to_capture": 10}}), replace(SAID, state=None, amount=None)),
        (event("payment_expired"), replace(SAID, state=PaymentState.VOIDED, amount=None, outcome="expired")),
        (event("payment_canceled"), replace(SAID, state=PaymentState.VOIDED, amount=None, outcome="cancelled")),
        (
            event("payment_authorization_incremented", {"amount": 500, "balances": {"total_authorized": 4970}}),
            replace(SAID, amount=Money(4970, "EUR")),
        ),
        (event("payment_authorization_incremented", {"amount": 500}), replace(SAID, amount=None)),
    ],
)
def test_what_is_said_of_a_payment(what: Any, expected: Any) -> None:
    assert translated(what) == expected


@pytest.mark.parametrize("kind", sorted(checkoutcom_words.PARTS))
def test_every_capture_and_refund_is_a_part_by_its_own_id(kind: str) -> None:
    state, counts = checkoutcom_words.PARTS[kind]
    part = PaymentPart(PartKind.CAPTURE if "capture" in kind else PartKind.REFUND, ACT, Money(3000, "EUR"), counts, state)
    assert translated(event(kind, {"amount": 3000})) == replace(SAID, state=None, amount=None, parts=(part,))
    with pytest.raises(Unreadable, match=r"^data\.action_id: Missing"):
        translated(event(kind, {"action_id": None}))


@pytest.mark.parametrize("kind", sorted(checkoutcom_words.DISPUTES))
def test_every_stage_of_a_dispute_is_the_same_part(kind: str) -> None:
    state = checkoutcom_words.DISPUTES[kind]
    part = PaymentPart(PartKind.DISPUTE, "dsp_9rjdlsd4epepfjyyf9vl", TOTAL, state not in (PartState.WON, PartState.CLOSED), state)
    assert translated(event(kind)) == replace(SAID, state=None, amount=None, parts=(part,))
    assert translated(event(kind, {"payment_id": None})) == Ignored("a dispute about no payment")


def test_every_type_that_is_documented_is_mapped_or_left_aside_with_a_reason() -> None:
    found = {kind: translated({"type": kind}) for kind in EVENTS["types"] if kind not in words.READERS}
    assert [kind for kind, said in found.items() if not isinstance(said, Ignored) or "not known" in said.reason] == []
    assert set(words.READERS) - set(EVENTS["types"]) == {words.FETCHED}
    assert translated({"type": "payment_next_year"}) == Ignored("event payment_next_year is not known")


@pytest.mark.parametrize(
    ("amount", "currency", "options", "expected"),
    [
        (1099, "JPY", {}, Money(1099, "JPY")),
        (1090, "KWD", {}, Money(1090, "KWD")),
        (109900, "CLP", {}, Money(1099, "CLP")),
        (1099, "CLP", {"exponents": {"CLP": 0}}, Money(1099, "CLP")),
    ],
)
def test_amounts_have_the_minor_unit_that_checkoutcom_gives_the_currency(
    amount: int, currency: str, options: dict[str, Any], expected: Money
) -> None:
    assert translated(event("payment_approved", {"amount": amount, "currency": currency}), **options).amount == expected


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (event("payment_approved", {"amount": "secret"}), r"data\.amount: expected a whole number of minor units"),
        (event("payment_approved", created_on=None), "timestamp: no time is given"),
        (event("payment_approved", {"currency": "CLP", "amount": 150}), "amount: finer than the currency's minor unit"),
    ],
)
def test_what_no_schema_accepts_names_the_field_and_no_value(what: Any, text: str) -> None:
    with pytest.raises(Unreadable, match=f"^{text}$"):
        translated(what)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "id",
        "action_id",
        "payment_id",
        "reference",
        "amount",
        "currency",
        "response_code",
        "balances",
        "risk",
        "metadata",
        "status",
        "_links",
    ]
)
OUTER = st.sampled_from(["created_on", "timestamp", "actions", "_links", "data"])


@given(
    kind=st.sampled_from([*words.READERS, "x"]),
    data=st.dictionaries(FIELDS, JSON, max_size=4),
    outer=st.dictionaries(OUTER, JSON, max_size=2),
)
@settings(max_examples=600, deadline=None)
def test_nothing_that_checkoutcom_may_sign_crashes_anything(kind: str, data: dict[str, Any], outer: dict[str, Any]) -> None:
    body = json.dumps({**event(kind, data), **outer}).encode()
    ours = connector("key")
    assert len(ours.read(signed(body))) == 1
    try:
        found = ours.translate(kind, body)
    except Unreadable:
        return
    assert isinstance(found, PaymentChange | Ignored)


# operations


def effect(operation: str, **payload: Any) -> Effect:
    return Effect(f"pay:{operation}:1", operation, PAY, {"payment": PAY, **payload})


EUR = {"minor": 3000, "currency": "EUR"}


@pytest.mark.parametrize(
    ("operation", "path", "payload", "expected"),
    [
        ("capture_payment", "captures", {"amount": None, "final": True}, {"capture_type": "Final"}),
        (
            "capture_payment",
            "captures",
            {"amount": EUR, "final": False, "reference": "c-1"},
            {"capture_type": "NonFinal", "amount": 3000, "reference": "c-1"},
        ),
        ("capture_payment", "captures", {"amount": {"minor": 1099, "currency": "CLP"}}, {"capture_type": "Final", "amount": 109900}),
        ("void_payment", "voids", {"reference": "v-1"}, {"reference": "v-1"}),
        ("refund_payment", "refunds", {"amount": None, "capture": ""}, {}),
        (
            "refund_payment",
            "refunds",
            {"amount": EUR, "capture": ACT, "reason": "broken", "reference": "r-1"},
            {"amount": 3000, "capture_action_id": ACT, "reference": "r-1"},
        ),
    ],
)
@responses.activate
def test_an_action_is_asked_for_as_it_is_documented(operation: str, path: str, payload: dict[str, Any], expected: dict[str, Any]) -> None:
    responses.post(f"{URL}/payments/{PAY}/{path}", json={"action_id": ACT, "reference": "x"}, status=202)
    assert getattr(connector("key"), operation)(effect(operation, **payload)) == Receipt(ACT, state="accepted")
    sent = responses.calls[0].request
    assert json.loads(sent.body) == expected
    assert set(expected) <= set(EVENTS["fields"][path])
    assert (sent.headers["Authorization"], sent.headers["Cko-Idempotency-Key"]) == ("Bearer sk_sbox_key", f"pay:{operation}:1")


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (
            422,
            {"error_type": "request_invalid", "error_codes": ["amount_exceeds_balance", "of ada@example.test"]},
            Rejected,
            "HTTP 422: request_invalid amount_exceeds_balance",
        ),
        (403, b"", Rejected, "HTTP 403: not allowed for this payment"),
        (
            403,
            {"error_type": "processing_error", "error_codes": ["void_not_allowed"]},
            Rejected,
            "HTTP 403: processing_error void_not_allowed",
        ),
        (404, b"", Rejected, "HTTP 404"),
        (401, b"", Unauthorized, "HTTP 401: the credentials are not accepted"),
        (500, b"", UnknownOutcome, "HTTP 500"),
        (202, {"reference": "x"}, UnknownOutcome, "the answer has no action_id"),
    ],
)
@responses.activate
def test_what_is_refused_is_said_without_a_value(status: int, body: Any, error: type[Exception], text: str) -> None:
    responses.post(f"{URL}/payments/{PAY}/voids", body=body if isinstance(body, bytes) else json.dumps(body), status=status)
    with pytest.raises(error) as found:
        connector("key").void_payment(effect("void_payment"))
    assert (type(found.value), str(found.value)) == (error, text)


def test_an_account_that_only_listens_needs_no_secret_key() -> None:
    connection = Connection("cko", "checkoutcom", URL, (secret("key"),))
    with pytest.raises(Rejected, match="no credential secret_key"):
        Connector(connection, Http(connection)).void_payment(effect("void_payment"))


def serve(status: str, actions: Any, **more: Any) -> None:
    said = {"id": PAY, "status": status, "amount": 4470, "currency": "EUR", "reference": "1001", **more}
    responses.get(f"{URL}/payments/{PAY}", json=said)
    responses.get(f"{URL}/payments/{PAY}/actions", json=actions)


def fetched() -> Delivery:
    return connector("key").fetch_payment(Effect("k", "fetch_payment", PAY, {"subject": PAY}))


def action(kind: str, one: str, amount: int, approved: bool | None = True, **more: Any) -> dict[str, Any]:
    return {"id": one, "type": kind, "amount": amount, **({} if approved is None else {"approved": approved}), **more}


@responses.activate
def test_a_payment_is_fetched_with_its_actions() -> None:
    listed = [
        action("Refund", "act_4", 1000),
        action("Refund", "act_5", 10, None),
        action("Capture", "act_3", 1470, False),
        action("Capture", "act_6", 70, None),
        action("Capture", "act_2", 3000),
        action("Authorization", "act_1", 4470),
    ]
    serve("Partially Refunded", listed)
    found, again = fetched(), fetched()
    parts = (
        PaymentPart(PartKind.REFUND, "act_4", Money(1000, "EUR")),
        PaymentPart(PartKind.REFUND, "act_5", Money(10, "EUR"), True, PartState.PENDING),
        PaymentPart(PartKind.CAPTURE, "act_3", Money(1470, "EUR"), False, PartState.FAILED),
        PaymentPart(PartKind.CAPTURE, "act_6", Money(70, "EUR"), False, PartState.PENDING),
        PaymentPart(PartKind.CAPTURE, "act_2", Money(3000, "EUR")),
    )
    expected = PaymentChange(PAY, found.occurred_at, PaymentState.CAPTURED, TOTAL, parts, ("1001",))
    assert connector("key").translate(found.topic, found.payload) == expected
    assert (found.subject, found.delivery_id) == (PAY, again.delivery_id)


@pytest.mark.parametrize(
    ("status", "more", "state"),
    [
        ("Pending", {}, PaymentState.PENDING),
        ("Pending", {"_links": {"redirect": {"href": "x"}}}, PaymentState.REQUIRES_ACTION),
        ("A New Word", {}, PaymentState.PENDING),
        *((word, {}, state) for word, state in checkoutcom_words.STATUSES.items()),
    ],
)
@responses.activate
def test_what_a_fetched_payments_status_means(status: str, more: dict[str, Any], state: PaymentState) -> None:
    serve(status, [action("Authorization", "act_1", 4470, False, response_code="20051")], **more)
    found = fetched()
    change = connector("key").translate(found.topic, found.payload)
    failed = state is PaymentState.FAILED
    assert (change.state, change.outcome, change.raw_code) == (state, "insufficient_funds" if failed else "", "20051" if failed else "")


@pytest.mark.parametrize(("status", "body", "error"), [(404, b"", Rejected), (503, b"", Transient), (200, b"[]", Rejected)])
@responses.activate
def test_a_payment_that_cannot_be_had_is_told(status: int, body: bytes, error: type[Exception]) -> None:
    responses.get(f"{URL}/payments/{PAY}", body=body, status=status)
    responses.get(f"{URL}/payments/{PAY}/actions", body=body, status=status)
    with pytest.raises(error) as found:
        fetched()
    assert type(found.value) is error
