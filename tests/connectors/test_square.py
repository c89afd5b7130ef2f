"""The Square connector: the official SDK judges its signatures, Square's published description its events and its requests."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st
from square.utils.webhooks_helper import verify_signature

from mappings import square as words
from mappings import square_words
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
from middleware.connectors.square import Connector
from middleware.errors import Refused, Rejected, SignatureRefused, Transient, Unauthorized, UnknownOutcome, Unreadable, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.testing import secret

PAYLOADS = Path(__file__).parents[1] / "payloads"
VECTORS = json.loads((PAYLOADS / "vectors" / "square.json").read_text("utf-8"))
SPEC = json.loads((PAYLOADS / "square" / "events.json").read_text("utf-8"))
REQUESTS = json.loads((PAYLOADS / "square" / "requests.json").read_text("utf-8"))
AT = datetime(2026, 1, 1, tzinfo=UTC)
HOOK = "https://shop.example.com/webhook/square"
URL = "https://connect.squareupsandbox.com"


def connector(*keys: str, live: bool = False, url: str = HOOK, **options: Any) -> Connector:
    connection = Connection(
        "square",
        "square",
        URL,
        tuple(secret(key) for key in keys),
        {"access_token": secret("EAAA-token")},
        {"notification_url": url, **options},
        live=live,
    )
    return Connector(connection, Http(connection))


def signature(body: bytes, key: str, url: str = HOOK) -> str:
    return base64.b64encode(hmac.digest(key.encode(), url.encode() + body, "sha256")).decode()


def signed(body: bytes, key: str = "key", url: str = HOOK, **headers: str) -> Inbound:
    return Inbound({"x-square-hmacsha256-signature": signature(body, key, url), **headers}, body, url, AT)


# signatures


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_every_vector_is_judged_as_expected(vector: dict[str, Any]) -> None:
    request = Inbound({name.lower(): value for name, value in vector["headers"].items()}, vector["body"].encode(), "", AT)
    ours = connector(vector["secret"], url=vector["notification_url"])
    if vector["expected"] == "invalid":
        with pytest.raises(SignatureRefused):
            ours.read(request)
        return
    at = datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)
    one = "hYy9pRFVxpDsO1FB05SunFWUe9JZY"
    assert ours.read(request) == (Delivery("13b867cf-db3d-4b1c-90b6-2f32a9d78124", "payment.updated", one, request.body, at),)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=100)
KEYS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=40)
URLS = st.sampled_from([HOOK, HOOK + "/", "http://shop.example.com/webhook/square", "https://shöp.example/x"])


def sdk_accepts(body: str, header: str, key: str, url: str) -> bool:
    return verify_signature(request_body=body, signature_header=header, signature_key=key, notification_url=url)


def we_accept(request: Inbound, key: str, url: str) -> bool:
    try:
        connector(key, url=url).read(request)
    except Refused:
        return False
    return True


@given(body=TEXT, key=KEYS, other=KEYS, url=URLS, called=URLS, data=st.data())
@settings(max_examples=600, deadline=None)
def test_the_sdk_and_we_give_the_same_verdict(body: str, key: str, other: str, url: str, called: str, data: st.DataObject) -> None:
    good = signature(body.encode(), key, url)
    header = data.draw(st.sampled_from([good, good, good, good.lower(), good[:-1], good + "=", " " + good, "", "é"]))
    posted = body + data.draw(st.sampled_from(["", "", "", " ", "\n"]))
    used, at = data.draw(st.sampled_from([key, key, key, other])), data.draw(st.sampled_from([url, url, url, called]))
    request = Inbound({"x-square-hmacsha256-signature": header}, posted.encode(), "https://our.own/url", AT)
    assert we_accept(request, used, at) == sdk_accepts(posted, header, used, at)


@pytest.mark.parametrize("keys", [("",), (" ",), ()])
def test_an_empty_key_closes_the_door(keys: tuple[str, ...]) -> None:
    with pytest.raises(SignatureRefused, match="no signature key"):
        connector(*keys).read(signed(b"{}", keys[0] if keys else ""))


def test_without_a_registered_address_it_is_our_own_public_one() -> None:
    assert len(connector("key", url="").read(signed(b"{}", url="https://w.example/webhooks/square"))) == 1
    with pytest.raises(SignatureRefused, match="no address"):
        connector("key", url="").read(signed(b"{}", url=""))


def test_while_a_key_is_replaced_either_verifies_and_the_delivery_says_which() -> None:
    assert [one.secret for key in ("old", "new") for one in connector("old", "new").read(signed(b"{}", key))] == [0, 1]


def test_where_the_sender_says_its_environment_it_must_be_ours() -> None:
    for told, live in (("Sandbox", False), ("Production", True)):
        request = signed(b"{}", **{"square-environment": told})
        assert len(connector("key", live=live).read(request)) == 1
        with pytest.raises(WrongEnvironment):
            connector("key", live=not live).read(request)


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"\xff", b'{"event_id": "\xff"}', b'{"event_id": "", "type": "x", "created_at": "2026-01-01T00:00:00Z", "data": {}}'],
)
def test_a_verified_body_that_is_no_event_is_kept_under_its_digest(body: bytes) -> None:
    (found,) = connector("key").read(signed(body))
    assert (found.topic, found.payload, found.delivery_id[:7]) == ("unreadable", body, "sha256:")
    if body.startswith(b"\xff") or b'"\xff"' in body:
        with pytest.raises(Unreadable, match="not JSON"):
            connector("key").translate("", body)


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("payment.updated", "hYy9pRFVxpDsO1FB05SunFWUe9JZY"),
        ("refund.created", "KkAkhdMsgzn59SM8A89WgKwekxLZY"),
        ("dispute.state.updated", "fbmsaEOpoARDKxiSGH1fqPuqoqFZY"),
        ("payout.paid", "po_070431e4-e351-11eb-a8bb-02420a140009"),
    ],
)
def test_a_delivery_is_about_its_payment(kind: str, subject: str) -> None:
    (found,) = connector("key").read(signed(json.dumps(SPEC["events"][kind]).encode()))
    assert (found.topic, found.subject, found.delivery_id) == (kind, subject, SPEC["events"][kind]["event_id"])


# translation


def translated(event: Any, **options: Any) -> Any:
    return connector("key", **options).translate("", json.dumps(event).encode())


def about(kind: str, **changes: Any) -> dict[str, Any]:
    """Square's own example of an event, its object changed."""
    event = json.loads(json.dumps(SPEC["events"][kind]))
    event["data"]["object"][kind.partition(".")[0]].update(changes)
    return dict(event)


def test_every_type_that_square_describes_is_mapped_or_left_aside_with_a_reason() -> None:
    assert len(SPEC["types"]) == 146
    assert set(SPEC["types"]) & set(words.READERS) == set(SPEC["events"])
    found = {kind: translated({"type": kind}) for kind in SPEC["types"] if kind not in words.READERS}
    assert [kind for kind, said in found.items() if not isinstance(said, Ignored) or "not known" in said.reason] == []
    assert translated({"type": "next.year"}) == Ignored("event next.year is not known")


def test_every_example_of_square_is_understood() -> None:
    assert [kind for kind, event in SPEC["events"].items() if not isinstance(translated(event), PaymentChange | PayoutChange)] == []


WHEN = datetime(2020, 11, 22, 21, 19, 0, 831_000, tzinfo=UTC)
ONE = "hYy9pRFVxpDsO1FB05SunFWUe9JZY"
TOTAL = Money(100, "USD")
SAID = PaymentChange(ONE, WHEN, PaymentState.CAPTURED, TOTAL, (PaymentPart(PartKind.CAPTURE, ONE, TOTAL),))


def failed(code: str | None) -> dict[str, Any]:
    return {"status": "FAILED", "card_details": {"errors": [{"code": code}] if code else None}}


@pytest.mark.parametrize("kind", ["payment.updated"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, SAID),
        ({"reference_id": "1001"}, replace(SAID, order_refs=("1001",))),
        ({"status": "APPROVED"}, replace(SAID, state=PaymentState.AUTHORIZED, parts=())),
        ({"status": "PENDING"}, replace(SAID, state=PaymentState.PENDING, parts=())),
        ({"status": "CANCELED"}, replace(SAID, state=PaymentState.VOIDED, parts=())),
        ({"status": "A_NEW_WORD"}, replace(SAID, state=PaymentState.PENDING, parts=())),
        ({"status": None}, replace(SAID, state=PaymentState.PENDING, parts=())),
        ({"risk_evaluation": {"risk_level": "HIGH"}}, replace(SAID, review=Review.HOLD)),
        (
            failed("INSUFFICIENT_FUNDS"),
            replace(SAID, state=PaymentState.FAILED, parts=(), outcome="insufficient_funds", raw_code="INSUFFICIENT_FUNDS"),
        ),
        (failed("A_NEW_CODE"), replace(SAID, state=PaymentState.FAILED, parts=(), outcome="declined", raw_code="A_NEW_CODE")),
        (failed(None), replace(SAID, state=PaymentState.FAILED, parts=(), outcome="declined")),
        (
            {"total_money": {"amount": 1099, "currency": "JPY"}},
            replace(SAID, amount=Money(1099, "JPY"), parts=(PaymentPart(PartKind.CAPTURE, ONE, Money(1099, "JPY")),)),
        ),
    ],
)
def test_what_a_payment_says(kind: str, changes: dict[str, Any], expected: PaymentChange) -> None:
    assert translated(about(kind, **changes)) == expected


REFUND = "KkAkhdMsgzn59SM8A89WgKwekxLZY_ptNBVqHYxt5gAdfcobBe4u1AZsXhoz06KTtuq9Ls24P"
REFUNDED = PaymentChange("KkAkhdMsgzn59SM8A89WgKwekxLZY", datetime(2020, 2, 6, 21, 27, 41, 846_000, tzinfo=UTC), None)


@pytest.mark.parametrize(("status", "state"), [*square_words.REFUNDS.items(), ("NEW", (PartState.PENDING, True))])
def test_what_a_refund_says(status: str, state: tuple[PartState, bool]) -> None:
    part = PaymentPart(PartKind.REFUND, REFUND, Money(1000, "USD"), state[1], state[0])
    assert translated(about("refund.created", status=status)) == replace(REFUNDED, parts=(part,))
    assert translated(about("refund.created", payment_id=None)) == Ignored("a refund of no payment")


@pytest.mark.parametrize(("word", "state"), [*square_words.DISPUTES.items(), ("NEW", PartState.UNDER_REVIEW)])
@pytest.mark.parametrize("kind", sorted(kind for kind in words.READERS if kind.startswith("dispute.")))
def test_what_a_dispute_says(kind: str, word: str, state: PartState) -> None:
    found = translated(about(kind, state=word))
    counts = state not in (PartState.WON, PartState.CLOSED)
    assert found.parts == (
        PaymentPart(PartKind.DISPUTE, found.parts[0].remote_id, Money(found.parts[0].amount.minor, "USD"), counts, state),
    )
    assert (found.remote_id, found.state, found.parts[0].amount.minor) == ("fbmsaEOpoARDKxiSGH1fqPuqoqFZY", None, 8801)
    assert translated(about(kind, disputed_payment=None)) == Ignored("a dispute about no payment")


@pytest.mark.parametrize(
    ("status", "state"),
    [("SENT", PayoutState.PENDING), ("PAID", PayoutState.PAID), ("FAILED", PayoutState.FAILED), ("NEW", PayoutState.PENDING)],
)
def test_what_a_payout_says(status: str, state: PayoutState) -> None:
    at = datetime(1970, 1, 1, 0, 20, 28, 481_000, tzinfo=UTC)
    said = PayoutChange("po_070431e4-e351-11eb-a8bb-02420a140009", at, state, Money(457, "EUR"))
    assert translated(about("payout.paid", status=status)) == said
    fees = [{"amount_money": {"amount": 40, "currency_code": "EUR"}}, {"amount_money": {"amount": 2, "currency": "EUR"}}]
    assert translated(about("payout.paid", status=status, payout_fee=fees)) == replace(said, fee=Money(42, "EUR"))


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            about("payment.updated", amount_money={"amount": "secret", "currency": "USD"}),
            r"amount_money\.amount: expected a whole number of minor units",
        ),
        (
            about("payout.paid", payout_fee=[{"amount_money": {"amount": 1, "currency": "USD"}}]),
            r"payout\.payout_fee: another currency than the payout's",
        ),
        (about("dispute.created", id="", dispute_id=""), r"dispute\.id: Missing data for required field\."),
        ({**about("payment.updated"), "data": {"object": {}}}, r"payment: Missing data for required field\."),
    ],
)
def test_what_no_schema_accepts_names_the_field_and_no_value(event: Any, text: str) -> None:
    with pytest.raises(Unreadable, match=f"^{text}$"):
        translated(event)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "id",
        "status",
        "state",
        "amount_money",
        "total_money",
        "updated_at",
        "card_details",
        "payout_fee",
        "payment_id",
        "disputed_payment",
        "refunds",
        "reference_id",
    ]
)


@given(
    kind=st.sampled_from(sorted(SPEC["events"])),
    changes=st.dictionaries(FIELDS, JSON, max_size=4),
    as_kind=st.sampled_from([*words.READERS, "x.y"]),
)
@settings(max_examples=600, deadline=None)
def test_nothing_that_square_may_sign_crashes_anything(kind: str, changes: dict[str, Any], as_kind: str) -> None:
    body = json.dumps({**about(kind, **changes), "type": as_kind}).encode()
    ours = connector("key")
    assert len(ours.read(signed(body))) == 1
    try:
        found = ours.translate(as_kind, body)
    except Unreadable:
        return
    assert isinstance(found, PaymentChange | PayoutChange | Ignored)


# operations


def effect(operation: str, **payload: Any) -> Effect:
    return Effect(f"pay:{operation}:1", operation, ONE, {"payment": ONE, **payload})


def payment(**changes: Any) -> dict[str, Any]:
    return {
        "id": ONE,
        "status": "APPROVED",
        "amount_money": {"amount": 4470, "currency": "EUR"},
        "total_money": {"amount": 4470, "currency": "EUR"},
        "version_token": "v1",
        **changes,
    }


def sent(number: int, schema: str) -> dict[str, Any]:
    """A body that was sent, once Square's own description has accepted it and knows all of its fields."""
    body = json.loads(responses.calls[number].request.body)
    if schema in REQUESTS["components"]["schemas"]:
        jsonschema.validate(body, {"$ref": f"#/components/schemas/{schema}", "components": REQUESTS["components"]})
    assert set(body) <= set(REQUESTS["fields"][schema])
    return dict(body)


@pytest.mark.parametrize("amount", [None, {"minor": 4470, "currency": "EUR"}])
@responses.activate
def test_a_payment_is_completed_whole(amount: Any) -> None:
    responses.get(f"{URL}/v2/payments/{ONE}", json={"payment": payment()})
    responses.post(f"{URL}/v2/payments/{ONE}/complete", json={"payment": payment(status="COMPLETED")})
    assert connector("key").capture_payment(effect("capture_payment", amount=amount)) == Receipt(ONE, state="COMPLETED")
    assert sent(1, "CompletePaymentRequest") == {"version_token": "v1"}
    headers = responses.calls[1].request.headers
    assert (headers["Authorization"], headers["Square-Version"]) == ("Bearer EAAA-token", "2025-08-20")


@pytest.mark.parametrize(("tip", "taken"), [({}, 3000), ({"tip_money": {"amount": 470, "currency": "EUR"}}, 2530)])
@responses.activate
def test_less_than_was_approved_is_set_before_it_is_completed(tip: dict[str, Any], taken: int) -> None:
    responses.get(f"{URL}/v2/payments/{ONE}", json={"payment": payment(**tip)})
    responses.put(f"{URL}/v2/payments/{ONE}", json={"payment": payment(version_token="v2")})
    responses.post(f"{URL}/v2/payments/{ONE}/complete", json={"payment": payment(status="COMPLETED")})
    connector("key").capture_payment(effect("capture_payment", amount={"minor": 3000, "currency": "EUR"}, final=True))
    assert sent(1, "UpdatePaymentRequest") == {
        "idempotency_key": "pay:capture_payment:1",
        "payment": {"amount_money": {"amount": taken, "currency": "EUR"}, "version_token": "v1"},
    }
    assert sent(2, "CompletePaymentRequest") == {"version_token": "v2"}


@responses.activate
def test_what_is_completed_already_is_not_taken_again() -> None:
    responses.get(f"{URL}/v2/payments/{ONE}", json={"payment": payment(status="COMPLETED")})
    assert connector("key").capture_payment(effect("capture_payment", amount={"minor": 4470, "currency": "EUR"})) == Receipt(
        ONE, state="COMPLETED"
    )
    with pytest.raises(Rejected, match="completed with another amount"):
        connector("key").capture_payment(effect("capture_payment", amount={"minor": 1, "currency": "EUR"}))
    with pytest.raises(Rejected, match="takes a payment once"):
        connector("key").capture_payment(effect("capture_payment", amount={"minor": 1, "currency": "EUR"}, final=False))
    assert {call.request.method for call in responses.calls} == {"GET"}


@pytest.mark.parametrize(("status", "calls"), [("APPROVED", 2), ("CANCELED", 1)])
@responses.activate
def test_a_void_may_be_repeated(status: str, calls: int) -> None:
    responses.get(f"{URL}/v2/payments/{ONE}", json={"payment": payment(status=status)})
    responses.post(f"{URL}/v2/payments/{ONE}/cancel", json={"payment": payment(status="CANCELED")})
    assert connector("key").void_payment(effect("void_payment")) == Receipt(ONE, state="CANCELED")
    assert len(responses.calls) == calls


@pytest.mark.parametrize(("amount", "minor"), [({"minor": 1000, "currency": "EUR"}, 1000), (None, 4470)])
@responses.activate
def test_a_refund_has_a_key_and_an_amount(amount: Any, minor: int) -> None:
    responses.get(f"{URL}/v2/payments/{ONE}", json={"payment": payment()})
    responses.post(f"{URL}/v2/refunds", json={"refund": {"id": "R1", "status": "PENDING"}})
    given_effect = replace(effect("refund_payment", amount=amount, reason="broken", reference="r-1"), key="k" * 46)
    for _ in range(2):
        assert connector("key").refund_payment(given_effect) == Receipt("R1", state="PENDING")
    first, second = sent(-1, "RefundPaymentRequest"), sent(0 if amount else 1, "RefundPaymentRequest")
    assert first == second
    assert (len(first.pop("idempotency_key")), first) == (
        45,
        {"payment_id": ONE, "amount_money": {"amount": minor, "currency": "EUR"}, "reason": "broken"},
    )


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (
            400,
            {"errors": [{"code": "REFUND_AMOUNT_INVALID", "field": "amount_money", "detail": "of ada@example.test"}]},
            Rejected,
            "HTTP 400: REFUND_AMOUNT_INVALID",
        ),
        (400, {"errors": "x"}, Rejected, "HTTP 400"),
        (401, {"errors": []}, Unauthorized, "HTTP 401: the credentials are not accepted"),
        (500, {}, UnknownOutcome, "HTTP 500"),
        (200, {"refund": {"id": "R1"}}, UnknownOutcome, "the answer has no id or status"),
        (200, {"refund": {"id": "R1", "status": "REJECTED"}}, Rejected, "it is REJECTED"),
    ],
)
@responses.activate
def test_what_square_refuses_is_said_without_a_value(status: int, body: Any, error: type[Exception], text: str) -> None:
    responses.post(f"{URL}/v2/refunds", json=body, status=status)
    with pytest.raises(error) as found:
        connector("key").refund_payment(effect("refund_payment", amount={"minor": 1000, "currency": "EUR"}))
    assert (type(found.value), str(found.value)) == (error, text)


@pytest.mark.parametrize(("status", "body", "error"), [(200, {}, Rejected), (503, {}, Transient)])
@responses.activate
def test_asking_has_no_unknown_outcome(status: int, body: Any, error: type[Exception]) -> None:
    responses.get(f"{URL}/v2/payments/{ONE}", json=body, status=status)
    with pytest.raises(error) as found:
        connector("key").void_payment(effect("void_payment"))
    assert type(found.value) is error


@responses.activate
def test_a_payment_is_fetched_with_its_refunds() -> None:
    refund = {"id": "R1", "status": "COMPLETED", "payment_id": ONE, "amount_money": {"amount": 1000, "currency": "EUR"}}
    updated = "2026-01-01T00:00:00Z"
    responses.get(
        f"{URL}/v2/payments/{ONE}",
        json={"payment": payment(status="COMPLETED", refund_ids=["R1"], updated_at=updated, reference_id="1001")},
    )
    responses.get(f"{URL}/v2/refunds/R1", json={"refund": refund})
    ours = connector("key")
    found, again = (ours.fetch_payment(Effect("k", "fetch_payment", ONE, {"subject": ONE})) for _ in range(2))
    total = Money(4470, "EUR")
    parts = (PaymentPart(PartKind.CAPTURE, ONE, total), PaymentPart(PartKind.REFUND, "R1", Money(1000, "EUR")))
    assert ours.translate(found.topic, found.payload) == PaymentChange(ONE, AT, PaymentState.CAPTURED, total, parts, ("1001",))
    assert (found.topic, found.delivery_id) == ("payment.fetched", again.delivery_id)


# back-fill


@responses.activate
def test_what_changed_is_listed_by_the_time_of_its_change_in_every_location() -> None:
    def listed(request: Any) -> tuple[int, dict[str, str], str]:
        assert set(request.params) <= set(REQUESTS["query"][request.path_url.partition("?")[0]])
        place = request.params["location_id"]
        if "refunds" in request.path_url:
            one = {"id": f"R-{place}", "status": "COMPLETED", "payment_id": ONE, "amount_money": {"amount": 1000, "currency": "EUR"}}
            return 200, {}, json.dumps({"refunds": [one]})
        page = 2 if "cursor" in request.params else 1
        return 200, {}, json.dumps({"payments": [payment(id=f"P{page}-{place}")], **({"cursor": "c"} if page == 1 else {})})

    for path in ("payments", "refunds"):
        responses.add_callback("GET", f"{URL}/v2/{path}", listed)
    ours = connector("key", locations=["A", "B"])
    pages = list(ours.payment_events(AT))
    assert [[one.subject for one in page] for page in pages] == [["P1-A"], ["P2-A"], [ONE], ["P1-B"], ["P2-B"], [ONE]]
    kinds = [type(ours.translate(one.topic, one.payload)) for page in pages for one in page]
    assert kinds == [PaymentChange] * 6
    first = responses.calls[0].request.params
    assert first == {
        "sort_field": "UPDATED_AT",
        "sort_order": "ASC",
        "limit": "100",
        "updated_at_begin_time": "2026-01-01T00:00:00.000000Z",
        "location_id": "A",
    }


@pytest.mark.parametrize(("body", "text"), [({"cursor": "c"}, "back to itself"), ({"payments": 1}, "is none")])
@responses.activate
def test_a_list_that_is_none_or_has_no_end_is_told(body: Any, text: str) -> None:
    responses.get(f"{URL}/v2/payments", json=body)
    with pytest.raises(Rejected, match=text):
        list(connector("key").payment_events(None))
