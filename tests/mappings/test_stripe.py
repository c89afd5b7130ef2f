"""Stripe's words: every type of event, every decline code and every state, over the objects of its own description."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from mappings import stripe, stripe_words
from mappings.canonical import (
    Ignored,
    Money,
    Outcome,
    PartKind,
    PartState,
    PaymentChange,
    PaymentPart,
    PaymentState,
    PayoutChange,
    PayoutState,
    Review,
)

PAYLOADS = Path(__file__).parents[1] / "payloads" / "stripe"
WORDS = json.loads((PAYLOADS / "words.json").read_text("utf-8"))
SECONDS = 1_767_225_600
WHEN = datetime.fromtimestamp(SECONDS, UTC)
INTENT, CHARGE = "pi_1PgafyB7WZ01zgkWSjxsAJo3", "ch_1PgafuB7WZ01zgkWXYmPNZs8"
HEARD = PaymentChange(INTENT, WHEN, None)
ISK = {"ISK": 2, "UGX": 2}


def fixture(name: str, **changes: Any) -> dict[str, Any]:
    return {**json.loads((PAYLOADS / f"{name}.json").read_text("utf-8")), **changes}


def event(kind: str, obj: Any) -> dict[str, Any]:
    return {"id": "evt_1", "type": kind, "created": SECONDS, "livemode": False, "data": {"object": obj}}


def translated(kind: str, obj: Any) -> Any:
    return stripe.translate(event(kind, obj), ["order_id"], ISK)


OBJECTS = {
    "payment_intent": "payment_intent",
    "charge.dispute": "dispute",
    "charge.refund.": "refund",
    "charge": "charge",
    "refund": "refund",
    "review": "review",
    "radar": "early_fraud_warning",
    "payout": "payout",
}


def object_of(kind: str) -> dict[str, Any]:
    """Stripe's own example of what an event of this type is about."""
    return fixture(next((name for start, name in OBJECTS.items() if kind.startswith(start)), "payout"))


@pytest.mark.parametrize("kind", WORDS["events"])
def test_every_type_of_event_is_mapped_or_left_aside_with_a_reason(kind: str) -> None:
    found = translated(kind, object_of(kind))
    if kind in stripe.TOPICS:
        assert isinstance(found, PaymentChange | PayoutChange)
    else:
        assert found == Ignored(stripe_words.IGNORED[kind.partition(".")[0]])


def test_no_word_of_ours_is_unknown_to_stripe() -> None:
    families = {kind.partition(".")[0] for kind in WORDS["events"]}
    assert set(stripe_words.IGNORED) - families == {"v1", "v2"}
    assert set(stripe.TOPICS) - set(WORDS["events"]) == {"payment_intent.fetched"}
    assert set(stripe_words.OUTCOMES) <= {*WORDS["decline_codes"], *WORDS["error_codes"], *WORDS["charge_reasons"]}


@pytest.mark.parametrize("code", WORDS["decline_codes"])
def test_every_documented_decline_code_has_its_outcome(code: str) -> None:
    failed = fixture("payment_intent", last_payment_error={"type": "card_error", "code": "card_declined", "decline_code": code})
    found = translated("payment_intent.payment_failed", failed)
    assert (found.state, found.raw_code) == (PaymentState.FAILED, code)
    assert found.outcome == stripe_words.OUTCOMES[code]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("do_not_honor", Outcome.DECLINED),
        ("insufficient_funds", Outcome.INSUFFICIENT_FUNDS),
        ("stolen_card", Outcome.FRAUD_SUSPECTED),
        ("online_or_offline_pin_required", Outcome.AUTHENTICATION_REQUIRED),
        ("payment_intent_authentication_failure", Outcome.AUTHENTICATION_FAILED),
        ("expired_card", Outcome.EXPIRED),
        ("incorrect_cvc", Outcome.INVALID_DETAILS),
        ("withdrawal_count_limit_exceeded", Outcome.LIMIT_EXCEEDED),
        ("payment_method_customer_decline", Outcome.CANCELLED),
        ("issuer_not_available", Outcome.PROVIDER_ERROR),
        ("a_code_of_next_year", Outcome.DECLINED),
    ],
)
def test_an_error_code_alone_says_why_too(code: str, outcome: Outcome) -> None:
    failed = translated("payment_intent.payment_failed", fixture("payment_intent", last_payment_error={"code": code}))
    assert (failed.outcome, failed.raw_code) == (outcome, code)


def test_what_is_no_code_is_not_kept_as_one() -> None:
    failed = translated("payment_intent.payment_failed", fixture("payment_intent", last_payment_error={"code": "4242 4242 4242 4242"}))
    assert (failed.outcome, failed.raw_code) == (Outcome.DECLINED, "")


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        (None, Outcome.CANCELLED),
        ("abandoned", Outcome.CANCELLED),
        ("requested_by_customer", Outcome.CANCELLED),
        ("automatic", Outcome.EXPIRED),
        ("expired", Outcome.EXPIRED),
        ("fraudulent", Outcome.FRAUD_SUSPECTED),
        ("failed_invoice", Outcome.DECLINED),
    ],
)
def test_a_cancelled_intent_says_why(reason: str | None, outcome: Outcome) -> None:
    found = translated("payment_intent.canceled", fixture("payment_intent", status="canceled", cancellation_reason=reason))
    assert found == PaymentChange(INTENT, WHEN, PaymentState.VOIDED, Money(1099, "USD"), outcome=outcome)


def test_an_intent_that_was_asked_for_brings_its_refunds() -> None:
    refunds = {"data": [fixture("refund", payment_intent=INTENT), fixture("refund", id="re_2")]}
    charge = fixture("charge", payment_intent=INTENT, captured=True, amount_captured=900, refunds=refunds)
    found = translated("payment_intent.fetched", fixture("payment_intent", status="succeeded", amount_received=900, latest_charge=charge))
    refunded = PaymentPart(PartKind.REFUND, "re_1Pgc72B7WZ01zgkWqPvrRrPE", Money(100, "USD"))
    captured = PaymentPart(PartKind.CAPTURE, INTENT, Money(900, "USD"))
    assert found == PaymentChange(INTENT, WHEN, PaymentState.CAPTURED, Money(1099, "USD"), (refunded, captured))


# charges

CHARGES = ["charge.succeeded", "charge.captured", "charge.updated", "charge.refunded", "charge.pending", "charge.failed"]


@pytest.mark.parametrize("kind", CHARGES)
def test_a_charge_of_an_intent_tells_of_parts_and_nothing_else(kind: str) -> None:
    refunds = {"data": [fixture("refund", payment_intent=INTENT), fixture("refund", id="re_2", status="failed")]}
    taken = fixture("charge", payment_intent=INTENT, captured=True, amount_captured=80, refunds=refunds)
    parts = (
        PaymentPart(PartKind.REFUND, "re_1Pgc72B7WZ01zgkWqPvrRrPE", Money(100, "USD")),
        PaymentPart(PartKind.REFUND, "re_2", Money(100, "USD"), counts=False, state=PartState.FAILED),
        PaymentPart(PartKind.CAPTURE, INTENT, Money(80, "USD")),
    )
    assert translated(kind, fixture("charge", payment_intent=INTENT)) == HEARD
    assert translated(kind, taken) == replace(HEARD, parts=parts)


ALONE = PaymentChange(CHARGE, WHEN, PaymentState.PENDING, Money(100, "USD"))
TAKEN = (PaymentPart(PartKind.CAPTURE, CHARGE, Money(100, "USD")),)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "pending"}, ALONE),
        ({"status": "a word of next year"}, ALONE),
        ({"status": "succeeded"}, replace(ALONE, state=PaymentState.AUTHORIZED)),
        (
            {"status": "succeeded", "captured": True, "amount_captured": 100},
            replace(ALONE, state=PaymentState.CAPTURED, parts=TAKEN),
        ),
        (
            {"status": "failed", "failure_code": "card_declined"},
            replace(ALONE, state=PaymentState.FAILED, outcome=Outcome.DECLINED, raw_code="card_declined"),
        ),
        (
            {"status": "failed", "failure_code": "card_declined", "outcome": {"reason": "highest_risk_level"}},
            replace(ALONE, state=PaymentState.FAILED, outcome=Outcome.FRAUD_SUSPECTED, raw_code="highest_risk_level"),
        ),
    ],
)
def test_a_charge_without_an_intent_is_the_payment(changes: dict[str, Any], expected: PaymentChange) -> None:
    assert translated("charge.updated", fixture("charge", **changes)) == expected


def test_an_authorization_that_ran_out_is_voided() -> None:
    over = PaymentChange(INTENT, WHEN, PaymentState.VOIDED, outcome=Outcome.EXPIRED)
    assert translated("charge.expired", fixture("charge", payment_intent=INTENT)) == over


# parts


@pytest.mark.parametrize("kind", ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"])
@pytest.mark.parametrize(
    ("status", "state", "counts"),
    [
        ("succeeded", PartState.DONE, True),
        ("pending", PartState.PENDING, True),
        ("requires_action", PartState.PENDING, True),
        ("failed", PartState.FAILED, False),
        ("canceled", PartState.FAILED, False),
        (None, PartState.DONE, True),
        ("a word of next year", PartState.PENDING, True),
    ],
)
def test_what_a_refund_says(kind: str, status: str | None, state: PartState, counts: bool) -> None:
    part = PaymentPart(PartKind.REFUND, "re_1Pgc72B7WZ01zgkWqPvrRrPE", Money(100, "USD"), counts, state)
    assert translated(kind, fixture("refund", status=status, payment_intent=INTENT)) == replace(HEARD, parts=(part,))
    assert translated(kind, fixture("refund", status=status)) == replace(HEARD, remote_id=CHARGE, parts=(part,))


@pytest.mark.parametrize("kind", [kind for kind in WORDS["events"] if kind.startswith("charge.dispute.")])
@pytest.mark.parametrize(
    ("status", "state", "counts"),
    [
        ("needs_response", PartState.EVIDENCE_REQUIRED, True),
        ("under_review", PartState.UNDER_REVIEW, True),
        ("won", PartState.WON, False),
        ("lost", PartState.LOST, True),
        ("prevented", PartState.CLOSED, False),
        ("warning_needs_response", PartState.EVIDENCE_REQUIRED, True),
        ("warning_under_review", PartState.UNDER_REVIEW, True),
        ("warning_closed", PartState.CLOSED, False),
        ("appeal_needs_response", PartState.EVIDENCE_REQUIRED, True),
        ("appeal_under_review", PartState.UNDER_REVIEW, True),
        ("a word of next year", PartState.OPENED, True),
    ],
)
def test_what_a_dispute_says(kind: str, status: str, state: PartState, counts: bool) -> None:
    part = PaymentPart(PartKind.DISPUTE, "dp_1Pgc71B7WZ01zgkWMevJiAUx", Money(1000, "USD"), counts, state)
    assert translated(kind, fixture("dispute", status=status, payment_intent=INTENT)) == replace(HEARD, parts=(part,))


# reviews and payouts


@pytest.mark.parametrize(
    ("reason", "review"),
    [
        ("approved", Review.APPROVE),
        ("refunded", Review.REJECT),
        ("refunded_as_fraud", Review.REJECT),
        ("disputed", Review.REJECT),
        ("canceled", Review.REJECT),
        ("payment_never_settled", Review.REJECT),
        ("acknowledged", Review.HOLD),
        ("redacted", Review.HOLD),
        ("a word of next year", Review.HOLD),
    ],
)
def test_a_review_holds_until_somebody_approves(reason: str, review: Review) -> None:
    assert translated("review.opened", fixture("review", payment_intent=INTENT)) == replace(HEARD, review=Review.HOLD)
    closed = fixture("review", payment_intent=INTENT, closed_reason=reason)
    assert translated("review.closed", closed) == replace(HEARD, review=review)


@pytest.mark.parametrize("kind", ["radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"])
def test_a_warning_of_fraud_holds_while_something_can_be_done(kind: str) -> None:
    warning = fixture("early_fraud_warning", payment_intent=INTENT)
    assert translated(kind, warning) == replace(HEARD, review=Review.HOLD)
    assert translated(kind, fixture("early_fraud_warning")) == replace(HEARD, remote_id="ch_1234", review=Review.HOLD)
    assert translated(kind, {**warning, "actionable": False}) == Ignored("the charge of this warning is given back or disputed already")


@pytest.mark.parametrize("kind", [kind for kind in WORDS["events"] if kind.startswith("payout.")])
@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", PayoutState.PENDING),
        ("in_transit", PayoutState.PENDING),
        ("paid", PayoutState.PAID),
        ("failed", PayoutState.FAILED),
        ("canceled", PayoutState.CANCELLED),
        ("a word of next year", PayoutState.PENDING),
    ],
)
def test_what_a_payout_says(kind: str, status: str, state: PayoutState) -> None:
    expected = PayoutChange("po_1Pgc79B7WZ01zgkWu1KToYf4", WHEN, state, Money(1100, "USD"))
    assert translated(kind, fixture("payout", status=status)) == expected


# anything

JUNK = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just([]) | st.just({})
ANYTHING = JUNK | st.lists(JUNK, max_size=2) | st.dictionaries(st.text(max_size=8), JUNK, max_size=2)


@given(kind=st.sampled_from(sorted(stripe.TOPICS)), data=st.data())
@settings(max_examples=800, deadline=None)
def test_nothing_that_stripe_may_send_crashes(kind: str, data: st.DataObject) -> None:
    obj = object_of(kind)
    changes = data.draw(st.dictionaries(st.sampled_from([*obj, "metadata", "refunds", "last_payment_error"]), ANYTHING, max_size=4))
    currency = data.draw(st.sampled_from([{}, {"currency": "isk"}, {"currency": "mga"}, {"currency": "clf"}]))
    raw = data.draw(st.sampled_from([event(kind, {**obj, **currency, **changes})] * 6 + [{}, event(kind, None), event(kind, [])]))
    try:
        found = stripe.translate(raw, ["order_id"], ISK)
    except ValidationError:
        return
    assert isinstance(found, PaymentChange | PayoutChange | Ignored)
