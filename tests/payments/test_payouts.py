"""Payouts and fraud checks: what a provider says of them is kept in whatever order it comes, and a check may hold an order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mappings.canonical import Money, PaymentChange, PaymentState, PayoutChange, PayoutState, Review, SettledPart
from middleware import inbox, routes
from middleware.domain.keys import keys_of
from middleware.runtime import Runtime
from middleware.work import Cause, Work
from tests.world import World, place, rows

AT = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)


@pytest.fixture
def runtime(database_url: str) -> Iterator[Runtime]:
    made = World(database_url, store={"export_when": "paid"}).runtime()
    yield made
    made.close()


def say(runtime: Runtime, *messages: Any) -> None:
    for message in messages:
        with runtime.sessions.begin() as session:
            work = Work(session, runtime.settings, runtime.vault, runtime.now())
            keys = keys_of(message, "stripe", runtime.settings)
            payments = [("stripe", message.remote_id)] if isinstance(message, PaymentChange) else []
            work.load(keys, payments)
            work.begin(Cause("stripe", "event", keys, 1))
            routes.follow(message, work)
            work.flush()


def euro(cents: int) -> Money:
    return Money(cents, "EUR")


PART = SettledPart("txn_1", "charge", euro(4470), euro(130), euro(4340), "pi_1")
PENDING = PayoutChange("po_1", AT, PayoutState.PENDING, euro(4340))
PAID = PayoutChange("po_1", AT + timedelta(days=2), PayoutState.PAID, euro(4340), euro(130), (PART,))


@pytest.mark.parametrize("order", list(itertools.permutations([PENDING, PAID, PENDING])))
def test_a_payout_ends_the_same_in_any_order(runtime: Runtime, order: tuple[PayoutChange, ...]) -> None:
    say(runtime, *order)
    assert rows(runtime, "SELECT remote_id, state, amount_minor, fee_minor, currency FROM payouts") == [("po_1", "paid", 4340, 130, "EUR")]
    assert rows(runtime, "SELECT payout, payment_ref, gross_minor, fee_minor, net_minor FROM payout_parts") == [
        ("po_1", "pi_1", 4470, 130, 4340)
    ]


def test_a_payout_that_comes_back_failed(runtime: Runtime) -> None:
    failed = PayoutChange("po_1", PAID.occurred_at, PayoutState.FAILED, euro(4340))
    say(runtime, PAID, failed, PENDING)
    assert rows(runtime, "SELECT state FROM payouts") == [("failed",)]


def paid(review: Review | None, at: int) -> PaymentChange:
    state = PaymentState.CAPTURED if review is None else None
    return PaymentChange("pi_1", AT + timedelta(seconds=at), state, euro(4470), (), ("uuid-1",), review=review)


def test_a_fraud_check_holds_an_order_and_lets_it_go(runtime: Runtime) -> None:
    place(runtime, "uuid-1")
    inbox.decide(runtime, "orders")
    say(runtime, paid(Review.HOLD, 1), PaymentChange("pi_1", AT, PaymentState.AUTHORIZED, euro(4470), (), ("uuid-1",)))
    assert rows(runtime, "SELECT export_state, waits FROM orders") == [("held", "a fraud check holds its payment")]
    say(runtime, paid(Review.APPROVE, 5), paid(Review.HOLD, 2))
    assert rows(runtime, "SELECT export_state FROM orders") == [("asked",)]
    assert rows(runtime, "SELECT was, becomes FROM transitions WHERE thing = 'review of pi_1' ORDER BY id") == [
        ("", "hold"),
        ("hold", "approve"),
    ]


def test_a_rejected_payment_is_never_exported(runtime: Runtime) -> None:
    place(runtime, "uuid-1")
    inbox.decide(runtime, "orders")
    say(runtime, PaymentChange("pi_1", AT, PaymentState.CAPTURED, euro(4470), (), ("uuid-1",)), paid(Review.REJECT, 1))
    [(state, waits)] = rows(runtime, "SELECT export_state, waits FROM orders")
    assert (state, waits.partition(":")[0]) == ("held", "a fraud check rejected its payment")
