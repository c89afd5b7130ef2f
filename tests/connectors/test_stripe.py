"""The Stripe connector: the official SDK judges its signatures, the simulator's and Stripe's own fixtures its translation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings.canonical import Ignored, Money, Outcome, PartKind, PartState, PaymentChange, PaymentPart, PaymentState
from middleware.connectors._http import Http
from middleware.connectors.stripe import Connector
from middleware.errors import Refused, SignatureRefused, Stale, Unreadable, WrongEnvironment
from middleware.ports import Delivery, Inbound
from middleware.settings import Connection
from middleware.simulators.stripe import StripeSimulator
from middleware.testing import secret
from tests.world import STRIPE_SECRET, sign_stripe

PAYLOADS = Path(__file__).parents[1] / "payloads"
VECTORS = json.loads((PAYLOADS / "vectors" / "stripe.json").read_text("utf-8"))
NOW = VECTORS["frozen_now_unix"]
AT = datetime.fromtimestamp(NOW, UTC)


def connector(*secrets: str, live: bool = False, **options: Any) -> Connector:
    connection = Connection("stripe", "stripe", secrets=tuple(secret(value) for value in secrets), live=live, options=options)
    return Connector(connection, Http(connection))


def judge(body: bytes, header: str, *secrets: str) -> bool:
    try:
        connector(*secrets)._verify(Inbound({"stripe-signature": header}, body, "", AT))
    except Refused:
        return False
    return True


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The official SDK with its clock at `NOW`: (body, header, secret) → whether it accepts."""
    monkeypatch.setattr("stripe._webhook.time", SimpleNamespace(time=lambda: NOW))

    def accepts(body: str, header: str, key: str) -> bool:
        try:
            return stripe.WebhookSignature.verify_header(body, header, key, tolerance=300)
        except stripe.SignatureVerificationError:
            return False

    return accepts


# signatures


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_every_vector_is_judged_as_expected(vector: dict[str, Any]) -> None:
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    request = Inbound(headers, vector["body"].encode(), "", AT)
    if vector["expected"] == "invalid":
        with pytest.raises(Refused):
            connector(vector["secret"]).read(request)
        return
    assert connector(vector["secret"]).read(request) == (
        Delivery(
            "evt_1VecA000000000000000001",
            "payment_intent.succeeded",
            "pi_3VecA0000000000000001",
            request.body,
            datetime.fromtimestamp(1767225597, UTC),
        ),
    )


@pytest.mark.parametrize(
    ("metadata", "expected"), [({"correlation_id": "cart-7f"}, "cart-7f"), ({"correlation_id": "a b"}, ""), ({}, ""), (None, "")]
)
def test_the_correlation_id_of_the_storefront_comes_back_with_the_payment(metadata: dict[str, str] | None, expected: str) -> None:
    event = {"id": "evt_1", "type": "t", "created": 1, "livemode": False, "data": {"object": {"id": "pi_1", "metadata": metadata}}}
    body = json.dumps(event).encode()
    headers = sign_stripe(body, at=NOW)
    assert [d.correlation_id for d in connector(STRIPE_SECRET).read(Inbound(headers, body, "", AT))] == [expected]


@pytest.mark.parametrize(
    ("about", "subject"),
    [
        ({"payment_intent": "pi_1", "charge": "ch_1"}, "pi_1"),
        ({"payment_intent": None, "charge": "ch_1"}, "ch_1"),
        ({"charge": {"id": "ch_1"}}, "prv_1"),
        ({}, "prv_1"),
    ],
)
def test_what_is_about_a_payment_has_that_payment_as_its_subject(about: dict[str, Any], subject: str) -> None:
    event = {"id": "evt_1", "type": "review.opened", "created": 1, "livemode": False, "data": {"object": {"id": "prv_1", **about}}}
    body = json.dumps(event).encode()
    assert [d.subject for d in connector(STRIPE_SECRET).read(Inbound(sign_stripe(body, at=NOW), body, "", AT))] == [subject]


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=200)
SECRETS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=40).map(
    lambda text: f"whsec_{text}"
) | st.sampled_from(["", " ", "\t\n"])
TIMES = st.sampled_from([NOW, NOW - 299, NOW - 300, NOW - 301, NOW + 3600, 0, 1]) | st.integers(0, 10**11)
ITEMS = st.sampled_from(["v0=00", "v1=", "v1=00", "t=", "x", "=", " v1=00", "", "t=abc", "t=-1", "v1", "t", "v1=a=b"])


@given(body=TEXT, key=SECRETS, other=SECRETS, at=TIMES, extra=st.lists(ITEMS, max_size=2), data=st.data())
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_sdk_and_we_give_the_same_verdict(
    sdk: Any, body: str, key: str, other: str, at: int, extra: list[str], data: st.DataObject
) -> None:
    good = stripe.WebhookSignature.generate_signature_header(body, key, at).partition(",")[2]
    time = data.draw(st.sampled_from([f"t={at}", f"t={at}", f"t={at + 1}", f"t=0{at}", f"t= {at}"]))
    signature = data.draw(st.sampled_from([good, good, good.upper(), good[:-1], good + "0", good.replace("v1", "v0")]))
    header = ",".join(data.draw(st.permutations([time, signature, *extra])))
    posted = body + data.draw(st.sampled_from(["", "", "", " ", "\n"]))
    used = data.draw(st.sampled_from([key, key, key, other]))
    theirs, ours = sdk(posted, header, used), judge(posted.encode(), header, used)
    if is_odd(header):
        assert theirs or not ours, "stricter is allowed, looser never"
    else:
        assert ours == theirs


def is_odd(header: str) -> bool:
    """Where ours is stricter on purpose: not exactly one timestamp of plain digits (Stripe sends nothing else)."""
    times = [item[2:] for item in header.split(",") if item.startswith("t=")]
    return len(times) != 1 or not (times[0].isascii() and times[0].isdigit()) or len(times[0]) > 12


def test_a_header_that_crashes_the_sdk_is_refused() -> None:
    assert not judge(b"{}", f"t={NOW},v1=Ä", "whsec_1")


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_an_empty_secret_closes_the_door(empty: str) -> None:
    header = stripe.WebhookSignature.generate_signature_header("{}", empty, NOW)
    with pytest.raises(SignatureRefused, match="no secret"):
        connector(empty)._verify(Inbound({"stripe-signature": header}, b"{}", "", AT))


def test_while_a_secret_is_rotated_either_verifies_and_the_delivery_says_which() -> None:
    body = json.dumps(
        {"id": "evt_1", "type": "payment_intent.created", "created": NOW, "livemode": False, "data": {"object": {"id": "pi_1"}}}
    )
    header = stripe.WebhookSignature.generate_signature_header(body, "whsec_new", NOW)
    request = Inbound({"stripe-signature": header}, body.encode(), "", AT)
    assert [delivery.secret for delivery in connector("whsec_old", "whsec_new").read(request)] == [1]


def test_an_old_delivery_is_stale_and_says_since_when() -> None:
    header = stripe.WebhookSignature.generate_signature_header("{}", "whsec_1", NOW - 301)
    with pytest.raises(Stale, match=f"signed at {NOW - 301}, more than 300 s ago"):
        connector("whsec_1").read(Inbound({"stripe-signature": header}, b"{}", "", AT))


def signed(body: bytes) -> Inbound:
    return Inbound({"stripe-signature": stripe.WebhookSignature.generate_signature_header(body.decode(), "whsec_1", NOW)}, body, "", AT)


def test_a_test_event_on_a_live_connection_is_refused_and_the_reverse() -> None:
    for event_live, live in ((False, True), (True, False)):
        body = json.dumps({"id": "evt_1", "type": "x", "created": NOW, "livemode": event_live}).encode()
        with pytest.raises(WrongEnvironment):
            connector("whsec_1", live=live).read(signed(body))


def test_a_verified_body_that_is_no_event_is_kept_under_its_digest() -> None:
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert connector("whsec_1").read(signed(b"{}")) == (Delivery(digest, "unreadable", digest, b"{}"),)


# translation

ORDER = "b1b93135-bb19-471d-b87d-95dfd5e73ab7"
WHEN = datetime.fromtimestamp(NOW, UTC)


def event(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"id": "evt_1", "type": kind, "created": NOW, "livemode": False, "data": {"object": obj}}).encode()


def translated(kind: str, obj: dict[str, Any], **options: Any) -> Any:
    return connector("whsec_1", **options).translate(kind, event(kind, obj))


def fixture(name: str, **changes: Any) -> dict[str, Any]:
    """Stripe's own example of the object (the fixtures of its OpenAPI description)."""
    return {**json.loads((PAYLOADS / "stripe" / f"{name}.json").read_text("utf-8")), **changes}


INTENT = "pi_1PgafyB7WZ01zgkWSjxsAJo3"
TOTAL = Money(1099, "USD")
SAID = PaymentChange(INTENT, WHEN, PaymentState.PENDING, TOTAL)
CAPTURE = (PaymentPart(PartKind.CAPTURE, INTENT, TOTAL),)


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("payment_intent.created", {}, SAID),
        ("payment_intent.processing", {"status": "processing"}, SAID),
        ("payment_intent.requires_action", {"status": "requires_action"}, replace(SAID, state=PaymentState.REQUIRES_ACTION)),
        ("payment_intent.amount_capturable_updated", {"status": "requires_capture"}, replace(SAID, state=PaymentState.AUTHORIZED)),
        ("payment_intent.partially_funded", {"status": "requires_action"}, replace(SAID, state=PaymentState.REQUIRES_ACTION)),
        (
            "payment_intent.succeeded",
            {"status": "succeeded", "amount_received": 1099},
            replace(SAID, state=PaymentState.CAPTURED, parts=CAPTURE),
        ),
        (
            "payment_intent.succeeded",
            {"status": "succeeded", "amount_received": 500, "metadata": {"order_uuid": ORDER, "order_id": "7", "note": "x"}},
            replace(
                SAID,
                state=PaymentState.CAPTURED,
                parts=(PaymentPart(PartKind.CAPTURE, INTENT, Money(500, "USD")),),
                order_refs=(ORDER, "7"),
            ),
        ),
        ("payment_intent.canceled", {"status": "canceled"}, replace(SAID, state=PaymentState.VOIDED, outcome=Outcome.CANCELLED)),
        (
            "payment_intent.canceled",
            {"status": "canceled", "cancellation_reason": "automatic"},
            replace(SAID, state=PaymentState.VOIDED, outcome=Outcome.EXPIRED),
        ),
        ("payment_intent.succeeded", {"status": "a word of next year"}, SAID),
        (
            "payment_intent.payment_failed",
            {"last_payment_error": {"code": "card_declined", "decline_code": "insufficient_funds"}},
            replace(SAID, state=PaymentState.FAILED, outcome="insufficient_funds", raw_code="insufficient_funds"),
        ),
        (
            "payment_intent.payment_failed",
            {"last_payment_error": {"code": "a_new_code"}},
            replace(SAID, state=PaymentState.FAILED, outcome="declined", raw_code="a_new_code"),
        ),
    ],
)
def test_what_an_intent_says(kind: str, changes: dict[str, Any], expected: PaymentChange) -> None:
    assert translated(kind, fixture("payment_intent", **changes)) == expected


@pytest.mark.parametrize(
    ("currency", "amount", "options", "expected"),
    [
        ("jpy", 1099, {}, Money(1099, "JPY")),
        ("kwd", 1090, {}, Money(1090, "KWD")),
        ("isk", 109900, {}, Money(1099, "ISK")),
        ("isk", 1099, {"exponents": {"ISK": 0}}, Money(1099, "ISK")),
        ("mga", 1099, {}, Money(109900, "MGA")),
    ],
)
def test_amounts_have_the_minor_unit_that_stripe_gives_the_currency(
    currency: str, amount: int, options: dict[str, Any], expected: Money
) -> None:
    assert translated("payment_intent.created", fixture("payment_intent", currency=currency, amount=amount), **options).amount == expected


def test_what_is_no_payment_of_ours_is_ignored_with_its_reason() -> None:
    assert translated("customer.created", {"id": "cus_1"}) == Ignored("Stripe's own customers; no money moved")
    assert translated("next_year.created", {"id": "x"}) == Ignored("topic next_year.created is not known")
    orphan = fixture("refund", charge=None)
    assert translated("refund.created", orphan) == Ignored("topic refund.created belongs to no payment")


def test_what_no_schema_accepts_names_the_field_and_no_value() -> None:
    with pytest.raises(Unreadable, match="amount: expected a whole number") as found:
        translated("payment_intent.created", fixture("payment_intent", amount="secret-amount"))
    assert "secret-amount" not in str(found.value)


@pytest.fixture
def simulator() -> Iterator[StripeSimulator]:
    with StripeSimulator(secret="whsec_1", clock=lambda: NOW, seed=1) as started:
        yield started


def test_a_payments_whole_life_is_understood(simulator: StripeSimulator) -> None:
    intent = simulator.create_intent(5000, "EUR", {"order_uuid": ORDER})
    simulator.require_action(intent)
    simulator.authorize(intent)
    simulator.capture(intent, 3000)
    refund = simulator.refund(intent, 1000)
    dispute = simulator.dispute(intent, 2000)
    simulator.close_dispute(dispute, won=True)
    ours = connector("whsec_1")
    found = [ours.translate(event["type"], json.dumps(event).encode()) for event in simulator.events]
    capture = PaymentPart(PartKind.CAPTURE, intent, Money(3000, "EUR"))
    given_back = PaymentPart(PartKind.REFUND, refund, Money(1000, "EUR"))
    disputed = PaymentPart(PartKind.DISPUTE, dispute, Money(2000, "EUR"), state=PartState.EVIDENCE_REQUIRED)
    heard = PaymentChange(intent, WHEN, None)
    said = PaymentChange(intent, WHEN, PaymentState.PENDING, Money(5000, "EUR"))
    over = replace(disputed, counts=False, state=PartState.WON)
    expected = [
        said,
        replace(said, state=PaymentState.REQUIRES_ACTION),
        heard,
        replace(said, state=PaymentState.AUTHORIZED),
        replace(heard, parts=(capture,)),
        replace(said, state=PaymentState.CAPTURED, parts=(capture,)),
        replace(heard, parts=(given_back,)),
        replace(heard, parts=(given_back, capture)),
        replace(heard, parts=(disputed,)),
        replace(heard, parts=(disputed,)),
        replace(heard, parts=(over,)),
        replace(heard, parts=(over,)),
    ]
    assert [replace(change, order_refs=()) for change in found] == expected
