"""The Adyen connector: the official SDK judges its signatures, Adyen's published descriptions its events and its requests."""

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
from Adyen.util import generate_notification_sig, generate_payload_sig, is_valid_hmac_notification, is_valid_hmac_payload
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import adyen as words
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
from middleware.connectors.adyen import Connector
from middleware.errors import Refused, Rejected, SignatureRefused, Transient, Unauthorized, UnknownOutcome, Unreadable, WrongEnvironment
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.testing import secret

PAYLOADS = Path(__file__).parents[1] / "payloads"
VECTORS = json.loads((PAYLOADS / "vectors" / "adyen.json").read_text("utf-8"))
SPEC = json.loads((PAYLOADS / "adyen" / "webhooks.json").read_text("utf-8"))
REQUESTS = json.loads((PAYLOADS / "adyen" / "requests.json").read_text("utf-8"))
KEY = VECTORS["vectors"][0]["secret"]
AT = datetime(2026, 1, 1, tzinfo=UTC)
URL = "https://checkout.example/v72"


def connector(*keys: str, live: bool = False, **options: Any) -> Connector:
    connection = Connection(
        "adyen",
        "adyen",
        URL,
        tuple(secret(key) for key in keys),
        {"api_key": secret("AQE-key")},
        {"merchant_account": "ShopEU", **options},
        live=live,
    )
    return Connector(connection, Http(connection))


def inbound(body: bytes, headers: dict[str, str] | None = None) -> Inbound:
    return Inbound(headers or {}, body, "", AT)


def item(**changes: Any) -> dict[str, Any]:
    return {
        "pspReference": "8836183819713023",
        "merchantAccountCode": "ShopEU",
        "merchantReference": "1001",
        "amount": {"value": 4470, "currency": "EUR"},
        "eventCode": "AUTHORISATION",
        "success": "true",
        "eventDate": "2026-01-01T01:00:00+01:00",
        "paymentMethod": "visa",
        "reason": "033899:1111:03/2030",
        **changes,
    }


def signed(what: dict[str, Any], key: str = KEY) -> dict[str, Any]:
    return {**what, "additionalData": {**what.get("additionalData", {}), "hmacSignature": generate_notification_sig(what, key).decode()}}


def notice(*items: dict[str, Any], live: Any = "false") -> bytes:
    return json.dumps({"live": live, "notificationItems": [{"NotificationRequestItem": one} for one in items]}).encode()


# signatures


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_every_vector_is_judged_as_expected(vector: dict[str, Any]) -> None:
    request = inbound(vector["body"].encode(), {name.lower(): value for name, value in vector["headers"].items()})
    if vector["expected"] == "invalid":
        with pytest.raises(SignatureRefused):
            connector(vector["secret"]).read(request)
        return
    assert len(connector(vector["secret"]).read(request)) == 1


def test_each_item_of_a_batch_is_a_delivery_of_its_own() -> None:
    first, second = signed(item()), signed(item(eventCode="CAPTURE", pspReference="C1", originalReference="8836183819713023"))
    found = connector(KEY).read(inbound(notice(first, second)))
    assert found == (
        Delivery(
            "ShopEU/AUTHORISATION/8836183819713023/true",
            "AUTHORISATION",
            "8836183819713023",
            json.dumps(first).encode(),
            datetime(2026, 1, 1, tzinfo=UTC),
        ),
        Delivery("ShopEU/CAPTURE/C1/true", "CAPTURE", "8836183819713023", json.dumps(second).encode(), datetime(2026, 1, 1, tzinfo=UTC)),
    )


@pytest.mark.parametrize(
    "bad",
    [item(), {**signed(item()), "success": "false"}, {**item(), "additionalData": {}}, {**item(), "additionalData": {"hmacSignature": ""}}],
)
def test_one_item_that_is_not_signed_refuses_the_whole_batch(bad: dict[str, Any]) -> None:
    """The SDK looks at the first item only."""
    with pytest.raises(SignatureRefused):
        connector(KEY).read(inbound(notice(signed(item()), bad)))


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(SignatureRefused, match="nothing is signed"):
        connector(KEY).read(inbound(notice()))


def test_while_a_key_is_rotated_either_verifies_and_the_delivery_says_which() -> None:
    found = connector("AB" * 32, KEY).read(inbound(notice(signed(item()), signed(item(pspReference="2"), "AB" * 32))))
    assert [delivery.secret for delivery in found] == [1, 0]


@pytest.mark.parametrize("key", ["", "  ", "not hex", "ABC"])
def test_a_key_that_is_none_closes_the_door(key: str) -> None:
    empty = base64.b64encode(hmac.digest(b"", b"8836183819713023::ShopEU:1001:4470:EUR:AUTHORISATION:true", "sha256")).decode()
    with pytest.raises(SignatureRefused, match="no HMAC key"):
        connector(key).read(inbound(notice({**item(), "additionalData": {"hmacSignature": empty}})))


@pytest.mark.parametrize("live", ["false", False, "true", True])
def test_a_test_event_on_a_live_connection_is_refused_and_the_reverse(live: str | bool) -> None:
    body = notice(signed(item()), live=live)
    says_live = live in ("true", True)
    assert len(connector(KEY, live=says_live).read(inbound(body))) == 1
    with pytest.raises(WrongEnvironment):
        connector(KEY, live=not says_live).read(inbound(body))


def test_no_byte_of_a_samples_item_can_be_another_one_and_the_door_stays_shut() -> None:
    good = connector(KEY).sample_request(AT)
    for place in range(good.body.index(b'"notificationItems'), len(good.body)):
        changed = good.body[:place] + bytes([good.body[place] ^ 1]) + good.body[place + 1 :]
        with pytest.raises(Refused):
            connector(KEY).read(inbound(changed))


def platform(body: bytes, key: str = KEY) -> Inbound:
    return inbound(body, {"hmacsignature": generate_payload_sig(body, key).decode()})


def test_a_platform_event_is_verified_over_its_bytes() -> None:
    body = b'{"type": "balancePlatform.transfer.updated", "environment": "test", "data": {"id": "T1"}}'
    (found,) = connector(KEY).read(platform(body))
    assert (found.topic, found.subject, found.payload) == ("balancePlatform.transfer.updated", "T1", body)
    assert found.delivery_id.startswith("balancePlatform.transfer.updated/T1/")
    with pytest.raises(SignatureRefused):
        connector(KEY).read(inbound(body + b" ", dict(platform(body).headers)))
    with pytest.raises(WrongEnvironment):
        connector(KEY, live=True).read(platform(body))


def test_a_verified_body_that_is_no_event_is_kept_under_its_digest() -> None:
    digest = "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    assert connector(KEY).read(platform(b"[]")) == (Delivery(digest, "unreadable", digest, b"[]"),)
    (found,) = connector(KEY).read(inbound(notice(signed(item(eventCode="")))))
    assert found.topic == "unreadable"
    (found,) = connector(KEY).read(platform(b'{"type": "\xff"}'))
    assert found.topic == "unreadable"


def test_bytes_that_are_no_text_are_refused_and_unreadable() -> None:
    with pytest.raises(SignatureRefused):
        connector(KEY).read(inbound(notice(signed(item())).replace(b"ShopEU", b"\xff")))
    with pytest.raises(Unreadable, match="not JSON"):
        connector(KEY).translate("", b'{"eventCode": "\xff"}')


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
KEYS = st.binary(min_size=1, max_size=40).map(lambda key: key.hex())
ITEMS = st.fixed_dictionaries(
    {
        "amount": st.fixed_dictionaries({"value": st.integers(-(2**60), 2**60) | TEXT, "currency": TEXT}),
        "eventCode": TEXT,
        "success": TEXT,
    },
    optional={name: TEXT for name in ("pspReference", "originalReference", "merchantAccountCode", "merchantReference", "reason")},
)


def sdk_accepts(what: dict[str, Any], key: str) -> bool:
    """The SDK raises, or answers None, where a signature is missing or no text."""
    try:
        return is_valid_hmac_notification({"notificationItems": [{"NotificationRequestItem": what}]}, key) is True
    except (KeyError, ValueError, TypeError):
        return False


def we_accept(request: Inbound, key: str) -> bool:
    try:
        connector(key).read(request)
    except Refused:
        return False
    return True


@given(what=ITEMS, key=KEYS, other=KEYS, data=st.data())
@settings(max_examples=600, deadline=None)
def test_the_sdk_and_we_give_the_same_verdict_on_items(what: dict[str, Any], key: str, other: str, data: st.DataObject) -> None:
    good = generate_notification_sig(what, key).decode()
    given_signature = data.draw(st.sampled_from([good, good, good, good.lower(), good[:-1], good + "=", "", "é", " " + good]))
    sent = {**what, "additionalData": {"hmacSignature": given_signature}}
    field = data.draw(
        st.sampled_from(["", "", "", "pspReference", "originalReference", "reason", "eventCode", "success", "additionalData"])
    )
    if field and data.draw(st.booleans()):
        sent.pop(field, None)
    elif field and field != "additionalData":
        sent[field] = data.draw(TEXT)
    used = data.draw(st.sampled_from([key, key, key.upper(), other]))
    theirs, ours = sdk_accepts(sent, used), we_accept(inbound(notice(sent)), used)
    if {"eventCode", "success"} <= set(sent):
        assert ours == theirs
    else:
        assert not ours, "stricter: an event without its code or its verdict is none"


@given(body=st.binary(max_size=200).filter(lambda body: b"notificationItems" not in body), key=KEYS, other=KEYS, data=st.data())
@settings(max_examples=600, deadline=None)
def test_the_sdk_and_we_give_the_same_verdict_on_headers(body: bytes, key: str, other: str, data: st.DataObject) -> None:
    good = generate_payload_sig(body, key).decode()
    header = data.draw(st.sampled_from([good, good, good.lower(), good[:-1], good + "=", "", "x"]))
    posted = body + data.draw(st.sampled_from([b"", b"", b" ", b"\n"]))
    used = data.draw(st.sampled_from([key, key, key.upper(), other]))
    assert we_accept(inbound(posted, {"hmacsignature": header}), used) == is_valid_hmac_payload(header, used, posted)


@pytest.mark.parametrize("value", [10.5, 10.0, True, None, [1], {"a": 1}])
def test_an_amount_that_is_no_whole_number_is_refused_though_the_sdk_would_sign_it(value: Any) -> None:
    assert not we_accept(inbound(notice(signed(item(amount={"value": value, "currency": "EUR"})))), KEY)


# translation

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
PAYMENT = "9913140798220028"


def translated(what: dict[str, Any], **options: Any) -> Any:
    return connector(KEY, **options).translate(what.get("eventCode", ""), json.dumps(what).encode())


def spec_item(code: str, **changes: Any) -> dict[str, Any]:
    """Adyen's own example of an event, or its shape where the description has none."""
    return {**item(pspReference="P2", originalReference=PAYMENT, eventCode=code), **SPEC["items"].get(code, {}), **changes}


def test_every_event_code_that_adyen_describes_is_mapped_or_left_aside_with_a_reason() -> None:
    known = set(words.READERS) | set(words.IGNORED)
    assert len(SPEC["codes"]) == 48
    assert known - set(SPEC["codes"]) == {"DISPUTE_OPENED_WITH_CHARGEBACK"}
    assert set(SPEC["codes"]) - known == set()
    assert not set(words.READERS) & set(words.IGNORED)
    assert [code for code in words.IGNORED if translated(spec_item(code)) != Ignored(words.IGNORED[code])] == []


SAID = PaymentChange("8836183819713023", WHEN, PaymentState.AUTHORIZED, Money(4470, "EUR"), order_refs=("1001",))
REFUSED = replace(SAID, state=PaymentState.FAILED, outcome="declined")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, SAID),
        ({"additionalData": {"fraudManualReview": "true"}}, replace(SAID, review=Review.HOLD)),
        ({"success": "false", "reason": "Refused"}, replace(REFUSED, raw_code="Refused")),
        (
            {"success": "false", "reason": "Not enough balance"},
            replace(REFUSED, outcome="insufficient_funds", raw_code="Not enough balance"),
        ),
        (
            {"success": "false", "reason": "3D Not Authenticated"},
            replace(REFUSED, outcome="authentication_failed", raw_code="3D Not Authenticated"),
        ),
        ({"success": "false", "reason": "FRAUD"}, replace(REFUSED, outcome="fraud_suspected", raw_code="FRAUD")),
        ({"success": "false", "reason": "A word of next year"}, replace(REFUSED, raw_code="A word of next year")),
        ({"success": "false", "reason": "033899:1111:03/2030"}, REFUSED),
        ({"success": "false", "reason": None}, REFUSED),
        ({"amount": {"value": 0, "currency": "EUR"}}, Ignored("a card was checked; no money was authorised")),
        ({"amount": {"value": 109900, "currency": "ISK"}}, replace(SAID, amount=Money(1099, "ISK"))),
        ({"amount": {"value": 109900, "currency": "CLP"}}, replace(SAID, amount=Money(1099, "CLP"))),
        ({"amount": {"value": 1099, "currency": "CVE"}}, replace(SAID, amount=Money(109900, "CVE"))),
        ({"amount": {"value": 1099, "currency": "JPY"}}, replace(SAID, amount=Money(1099, "JPY"))),
        ({"amount": {"value": 1099, "currency": "KWD"}}, replace(SAID, amount=Money(1099, "KWD"))),
        ({"merchantReference": ""}, replace(SAID, order_refs=())),
    ],
)
def test_what_an_authorisation_says(changes: dict[str, Any], expected: Any) -> None:
    assert translated(item(**changes)) == expected


@pytest.mark.parametrize("methods", [["ideal"], ["*"]])
def test_an_account_may_say_which_methods_take_the_money_at_once(methods: list[str]) -> None:
    taken = replace(SAID, state=PaymentState.CAPTURED, parts=(PaymentPart(PartKind.CAPTURE, SAID.remote_id, Money(4470, "EUR")),))
    assert translated(item(paymentMethod="ideal"), captured_methods=methods) == taken
    assert translated(item(paymentMethod="mc"), captured_methods=["ideal"]) == SAID


HEARD = PaymentChange(PAYMENT, datetime(2021, 1, 1, tzinfo=UTC), None, order_refs=("YOUR_MERCHANT_REFERENCE",))
TEN = Money(1000, "EUR")


def part(kind: PartKind, state: PartState, counts: bool) -> tuple[PaymentPart, ...]:
    return (PaymentPart(kind, "QFQTPCQ8HXSKGK82", TEN, counts, state),)


@pytest.mark.parametrize(
    ("code", "kind", "state", "counts"),
    [
        ("CAPTURE", PartKind.CAPTURE, PartState.DONE, True),
        ("CAPTURE_FAILED", PartKind.CAPTURE, PartState.FAILED, False),
        ("REFUND_FAILED", PartKind.REFUND, PartState.FAILED, False),
        ("REFUNDED_REVERSED", PartKind.REFUND, PartState.REVERSED, False),
        ("POSTPONED_REFUND", PartKind.REFUND, PartState.PENDING, False),
        ("NOTIFICATION_OF_CHARGEBACK", PartKind.DISPUTE, PartState.OPENED, True),
        ("REQUEST_FOR_INFORMATION", PartKind.DISPUTE, PartState.EVIDENCE_REQUIRED, True),
        ("CHARGEBACK", PartKind.DISPUTE, PartState.OPENED, True),
    ],
)
def test_what_adyens_examples_say_of_a_part(code: str, kind: PartKind, state: PartState, counts: bool) -> None:
    assert translated(spec_item(code)) == replace(HEARD, parts=part(kind, state, counts))


@pytest.mark.parametrize("code", sorted(words.DISPUTES))
def test_every_stage_of_a_dispute_is_the_same_part(code: str) -> None:
    found = translated(spec_item(code, originalReference=PAYMENT, pspReference="D1", amount={"value": 1000, "currency": "EUR"}))
    assert found.parts == (PaymentPart(PartKind.DISPUTE, "D1", TEN, words.DISPUTES[code] is not PartState.WON, words.DISPUTES[code]),)
    assert (found.remote_id, found.state) == (PAYMENT, None)


@pytest.mark.parametrize(("success", "state", "counts"), [("true", PartState.DONE, True), ("false", PartState.FAILED, False)])
@pytest.mark.parametrize("code", ["REFUND", "REFUND_WITH_DATA", "CAPTURE"])
def test_a_modification_that_is_refused_counts_for_nothing(code: str, success: str, state: PartState, counts: bool) -> None:
    kind = PartKind.CAPTURE if code == "CAPTURE" else PartKind.REFUND
    found = translated(spec_item(code, success=success, merchantReference="YOUR_MERCHANT_REFERENCE"))
    assert found == replace(HEARD, parts=part(kind, state, counts))


def test_what_ends_an_authorisation() -> None:
    voided = replace(HEARD, state=PaymentState.VOIDED)
    assert translated(spec_item("CANCELLATION")) == voided
    assert translated(spec_item("CANCEL_OR_REFUND")) == voided
    assert translated(spec_item("TECHNICAL_CANCEL")).state is PaymentState.VOIDED
    expired = translated({key: value for key, value in spec_item("EXPIRE").items() if key != "originalReference"})
    assert (expired.remote_id, expired.state) == ("QFQTPCQ8HXSKGK82", PaymentState.VOIDED)
    refunded = translated(spec_item("CANCEL_OR_REFUND", additionalData={"modification.action": "refund"}))
    assert refunded == replace(HEARD, parts=part(PartKind.REFUND, PartState.DONE, True))
    unsaid = translated(spec_item("CANCEL_OR_REFUND", additionalData=None))
    assert unsaid == Ignored("it does not say whether it cancelled or refunded")
    offer = replace(HEARD, remote_id="QFQTPCQ8HXSKGK82", state=PaymentState.FAILED, amount=TEN, outcome="expired")
    assert translated(spec_item("OFFER_CLOSED")) == offer


def test_an_adjusted_authorisation_has_the_new_amount() -> None:
    assert translated(spec_item("AUTHORISATION_ADJUSTMENT")) == replace(HEARD, state=PaymentState.AUTHORIZED, amount=TEN)


@pytest.mark.parametrize(("code", "review"), list(words.REVIEWS.items()))
def test_a_fraud_check_is_a_review(code: str, review: Review) -> None:
    assert translated(spec_item(code)) == replace(HEARD, review=review)


@pytest.mark.parametrize("code", [*sorted(words.VOIDS), "AUTHORISATION_ADJUSTMENT", "CHARGEBACK", "CAPTURE_FAILED", "MANUAL_REVIEW_ACCEPT"])
def test_what_did_not_succeed_changes_nothing(code: str) -> None:
    assert translated(spec_item(code, success="false")) == Ignored(f"a {code} that did not succeed changes nothing")


@pytest.mark.parametrize("code", ["CAPTURE", "REFUND", "CANCELLATION", "SECOND_CHARGEBACK"])
def test_a_modification_that_names_no_payment_is_shown_to_a_person(code: str) -> None:
    with pytest.raises(Unreadable, match=r"^originalReference: which payment it belongs to is not said$"):
        translated(spec_item(code, originalReference=""))


def test_what_no_schema_accepts_names_the_field_and_no_value() -> None:
    with pytest.raises(Unreadable, match=r"^amount\.value: expected a whole number of minor units$"):
        translated(item(amount={"value": "secret-amount", "currency": "EUR"}))
    with pytest.raises(Unreadable, match=r"^amount: finer than the currency's minor unit$"):
        translated(item(amount={"value": 105, "currency": "ISK"}))


def transfer(**changes: Any) -> dict[str, Any]:
    data = {"id": "T1", "category": "bank", "direction": "outgoing", "type": "bankTransfer", "amount": {"value": -10000, "currency": "EUR"}}
    return {
        "type": "balancePlatform.transfer.updated",
        "timestamp": "2026-01-01T01:00:00+01:00",
        "data": {**data, "status": "booked", **changes},
    }


@pytest.mark.parametrize("status", ["received", "authorised", "booked", "returned", "failed", "new"])
def test_a_transfer_to_the_merchants_bank_is_a_payout(status: str) -> None:
    states = {"booked": PayoutState.PAID, "returned": PayoutState.FAILED, "failed": PayoutState.FAILED}
    assert translated(transfer(status=status)) == PayoutChange("T1", WHEN, states.get(status, PayoutState.PENDING), Money(10000, "EUR"))


def test_other_platform_events_are_left_aside() -> None:
    assert translated(transfer(category="internal")) == Ignored("a transfer that is no payout to a bank")
    assert translated({"type": "balancePlatform.report.created"}) == Ignored("this platform event is about no payout")
    with pytest.raises(Unreadable, match="timestamp: no time is given"):
        translated({**transfer(), "timestamp": None})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from([*item(), "originalReference", "additionalData"])


@given(
    code=st.sampled_from([*SPEC["codes"], "DISPUTE_OPENED_WITH_CHARGEBACK", "NEXT_YEARS"]),
    changes=st.dictionaries(FIELDS, JSON, max_size=3),
    dropped=st.sets(FIELDS, max_size=2),
    date=st.sampled_from(["2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]),
)
@settings(max_examples=500, deadline=None)
def test_nothing_that_adyen_may_sign_crashes_the_translation(code: str, changes: dict[str, Any], dropped: set[str], date: str) -> None:
    sent = {key: value for key, value in {**spec_item(code), "eventDate": date, **changes}.items() if key not in dropped}
    try:
        found = translated(sent)
    except Unreadable:
        return
    assert isinstance(found, PaymentChange | PayoutChange | Ignored)


@given(
    changes=st.dictionaries(st.sampled_from(["id", "category", "direction", "amount", "status", "updatedAt"]), JSON, max_size=3),
    outer=st.dictionaries(st.sampled_from(["type", "data", "timestamp", "eventCode", "environment"]), JSON, max_size=2),
)
@settings(max_examples=500, deadline=None)
def test_no_platform_event_crashes_anything(changes: dict[str, Any], outer: dict[str, Any]) -> None:
    body = json.dumps({**transfer(**changes), **outer}).encode()
    try:
        assert len(connector(KEY).read(platform(body))) == 1
        found = connector(KEY).translate("", body)
    except (Unreadable, Refused):
        return
    assert isinstance(found, PayoutChange | PaymentChange | Ignored)


# operations

PSP = "8836183819713023"


def effect(operation: str, **payload: Any) -> Effect:
    return Effect("pay:" + operation + ":1", operation, PSP, {"payment": PSP, **payload})


def sent_request(call: Any, template: str) -> dict[str, Any]:
    """The body that was sent, once Adyen's own description of the request has accepted it and knows all of its fields."""
    body = json.loads(call.request.body)
    name = REQUESTS["paths"][template]
    schema = {"$ref": f"#/components/schemas/{name}", "components": REQUESTS["components"]}
    jsonschema.validate(body, schema)
    assert set(body) <= set(REQUESTS["components"]["schemas"][name]["properties"])
    return body


EUR = {"minor": 3000, "currency": "EUR"}


@pytest.mark.parametrize(
    ("operation", "word", "payload", "expected"),
    [
        (
            "capture_payment",
            "captures",
            {"amount": EUR, "reference": "cap-1"},
            {"amount": {"value": 3000, "currency": "EUR"}, "reference": "cap-1"},
        ),
        ("capture_payment", "captures", {"amount": {"minor": 1099, "currency": "ISK"}}, {"amount": {"value": 109900, "currency": "ISK"}}),
        ("void_payment", "cancels", {}, {}),
        ("refund_payment", "refunds", {"amount": EUR, "capture": "", "reason": ""}, {"amount": {"value": 3000, "currency": "EUR"}}),
        (
            "refund_payment",
            "refunds",
            {"amount": EUR, "capture": "CAP", "reason": "duplicate", "reference": "r-1"},
            {
                "amount": {"value": 3000, "currency": "EUR"},
                "capturePspReference": "CAP",
                "merchantRefundReason": "DUPLICATE",
                "reference": "r-1",
            },
        ),
        (
            "refund_payment",
            "refunds",
            {"amount": EUR, "reason": "the vase was broken"},
            {"amount": {"value": 3000, "currency": "EUR"}, "merchantRefundReason": "OTHER"},
        ),
    ],
)
@responses.activate
def test_a_modification_is_asked_for_as_adyen_describes_it(
    operation: str, word: str, payload: dict[str, Any], expected: dict[str, Any]
) -> None:
    responses.post(f"{URL}/payments/{PSP}/{word}", json={"pspReference": "M1", "status": "received"}, status=201)
    assert getattr(connector(KEY), operation)(effect(operation, **payload)) == Receipt("M1", state="received")
    call = responses.calls[0]
    assert sent_request(call, f"/payments/{{paymentPspReference}}/{word}") == {"merchantAccount": "ShopEU", **expected}
    assert (call.request.headers["X-API-Key"], call.request.headers["Idempotency-Key"]) == ("AQE-key", f"pay:{operation}:1")


@responses.activate
def test_a_long_key_is_its_digest_every_time() -> None:
    responses.post(f"{URL}/payments/{PSP}/cancels", json={"pspReference": "M1", "status": "received"}, status=201)
    for _ in range(2):
        connector(KEY).void_payment(replace(effect("void_payment"), key="k" * 65))
    keys = {call.request.headers["Idempotency-Key"] for call in responses.calls}
    assert [len(key) for key in keys] == [64]


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (
            422,
            {"status": 422, "errorCode": "167", "message": "Original pspReference required for this operation", "errorType": "validation"},
            Rejected,
            "HTTP 422: 167 validation Original pspReference required for this operation",
        ),
        (422, {"errorCode": "101", "message": "Invalid card 4111111111111111 of ada@example.test"}, Rejected, "HTTP 422: 101"),
        (
            422,
            {"errorCode": "704", "message": "request already processed or in progress"},
            Transient,
            "HTTP 422: the same request is still being worked on",
        ),
        (422, [], Rejected, "HTTP 422"),
        (400, {"errorCode": "702", "errorType": "validation"}, Rejected, "HTTP 400: 702 validation"),
        (401, {}, Unauthorized, "HTTP 401: the credentials are not accepted"),
        (500, {}, UnknownOutcome, "HTTP 500"),
        (201, {"status": "received"}, UnknownOutcome, "the answer has no pspReference or status"),
    ],
)
@responses.activate
def test_what_adyen_refuses_is_said_without_a_value(status: int, body: Any, error: type[Exception], text: str) -> None:
    responses.post(f"{URL}/payments/{PSP}/cancels", json=body, status=status)
    with pytest.raises(error) as found:
        connector(KEY).void_payment(effect("void_payment"))
    assert (type(found.value), str(found.value)) == (error, text)


def test_what_cannot_be_asked_is_not_asked() -> None:
    with pytest.raises(Rejected, match="without an amount"):
        connector(KEY).capture_payment(effect("capture_payment", amount=None))
    with pytest.raises(Rejected, match="no merchant account"):
        connector(KEY, merchant_account="").void_payment(effect("void_payment"))
    with pytest.raises(Rejected, match="no payment is named"):
        connector(KEY).void_payment(replace(effect("void_payment"), payload={}))
