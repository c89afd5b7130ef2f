"""Captures, voids and refunds at a provider over real HTTP: each happens once, never more than is left, and what was missed is fetched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.canonical import Money, PaymentState
from middleware import inbox, outbox, sweep
from middleware.domain import money_moves as rules
from middleware.domain.money_moves import Balance, NotPossible
from middleware.payments import asking
from middleware.payments.asking import NotAsked
from middleware.runtime import Runtime
from middleware.settings import Connection
from middleware.simulators.faults import Fault, FaultKind
from middleware.simulators.stripe import StripeSimulator
from middleware.testing import secret
from tests.world import STRIPE_SECRET, World, connections, hear, place, rows

TOTAL = 4470


@dataclass
class Till:
    """Waybill, and the provider as it is."""

    runtime: Runtime
    stripe: StripeSimulator

    def authorized(self, order: str) -> str:
        """A placed order with an authorized payment, known to Waybill; returns the provider's id."""
        place(self.runtime, order, f"m-{order}")
        payment = self.stripe.create_intent(TOTAL, "eur", {"order_uuid": order})
        self.stripe.authorize(payment)
        self.tell()
        return payment

    def tell(self) -> None:
        """The provider's webhooks arrive."""
        for event in self.stripe.events:
            hear(self.runtime, json.dumps(event).encode())
        self.decide()

    def decide(self) -> None:
        for lane in ("orders", "payments"):
            while inbox.decide(self.runtime, lane):
                pass

    def work(self) -> None:
        """Make the calls, and decide what they brought."""
        for _ in range(6):
            rows(self.runtime, "UPDATE calls SET due_at = now() - interval '1 s' WHERE state IN ('pending', 'retry', 'unknown')")
            outbox.make(self.runtime, "payments")
            self.decide()

    def ours(self, payment: str) -> tuple[str, int, int]:
        """State, captured and refunded as Waybill has them."""
        query = (
            "SELECT p.state, coalesce(sum(t.amount_minor) FILTER (WHERE t.kind = 'capture' AND t.counts), 0),"
            " coalesce(sum(t.amount_minor) FILTER (WHERE t.kind = 'refund' AND t.counts), 0)"
            " FROM payments p LEFT JOIN payment_parts t ON t.payment_id = p.id WHERE p.remote_id = :id GROUP BY p.id"
        )
        [(state, captured, refunded)] = rows(self.runtime, query, id=payment)
        return state, int(captured), int(refunded)

    def theirs(self, payment: str) -> tuple[int, int]:
        """Captured and refunded at the provider."""
        intent = self.stripe.intent(payment)
        charge = self.stripe._objects[intent["latest_charge"]]
        return charge["amount_captured"], charge["amount_refunded"]

    def ask(self, what: str, payment: str, cents: int | None = None) -> str:
        return asking.ask(self.runtime, "stripe", payment, what, amount=Money(cents, "EUR") if cents else None)


@pytest.fixture
def till(database_url: str) -> Iterator[Till]:
    with StripeSimulator(secret=STRIPE_SECRET, seed=1) as stripe:
        credentials = {"api_key": secret("sk_test_simulated")}
        api = Connection("stripe", "stripe", stripe.url, (secret(STRIPE_SECRET),), credentials, timeout=1, deadline=2, poll=1)
        runtime = World(database_url, connections={**connections(), "stripe": api}, store={"erp": ""}).runtime()
        yield Till(runtime, stripe)
        runtime.close()


def test_a_part_is_captured_and_a_part_of_that_given_back(till: Till) -> None:
    payment = till.authorized("uuid-1")
    till.ask("capture", payment, 3000)
    till.work()
    assert (till.ours(payment), till.theirs(payment)) == (("partially_captured", 3000, 0), (3000, 0))
    till.ask("refund", payment, 1000)
    till.work()
    assert (till.ours(payment), till.theirs(payment)) == (("partially_refunded", 3000, 1000), (3000, 1000))
    till.tell()  # the webhooks say the same
    assert till.ours(payment) == ("partially_refunded", 3000, 1000)
    till.ask("refund", payment)
    till.work()
    assert (till.ours(payment), till.theirs(payment)) == (("refunded", 3000, 3000), (3000, 3000))


def test_a_refund_that_was_made_elsewhere_is_known_when_the_payment_is_asked_for_again(till: Till) -> None:
    payment = till.authorized("uuid-1")
    till.ask("capture", payment)
    till.work()
    till.stripe.refund(payment, 700)  # no webhook of it arrives
    assert (till.ours(payment), till.theirs(payment)) == (("captured", TOTAL, 0), (TOTAL, 700))
    till.ask("refund", payment, 300)
    till.work()
    assert (till.ours(payment), till.theirs(payment)) == (("partially_refunded", TOTAL, 1000), (TOTAL, 1000))


@pytest.mark.parametrize("kind", [FaultKind.LOST_REPLY, FaultKind.RESET_AFTER, FaultKind.ERROR_AFTER])
def test_a_refund_whose_answer_is_lost_happens_once(till: Till, kind: FaultKind) -> None:
    payment = till.authorized("uuid-1")
    till.ask("capture", payment)
    till.work()
    till.stripe.faults.add(Fault(kind, "POST", "/v1/refunds", times=1, seconds=3))
    till.ask("refund", payment, 500)
    till.work()
    assert (till.ours(payment), till.theirs(payment)) == (("partially_refunded", TOTAL, 500), (TOTAL, 500))
    assert rows(till.runtime, "SELECT state, attempts > 1 FROM calls WHERE operation = 'refund_payment'") == [("done", True)]


def test_more_than_is_left_is_not_asked_for_counting_what_is_on_its_way(till: Till) -> None:
    payment = till.authorized("uuid-1")
    with pytest.raises(NotAsked, match="nothing was taken that could be given back"):
        till.ask("refund", payment)
    till.ask("capture", payment)
    with pytest.raises(NotAsked, match="nothing is left to capture"):
        till.ask("capture", payment)
    till.work()
    till.ask("refund", payment, 4000)
    with pytest.raises(NotAsked, match=r"only 4\.70 EUR is left to refund, counting what is on its way"):
        till.ask("refund", payment, 500)
    with pytest.raises(NotAsked, match="only what was not taken can be released"):
        till.ask("void", payment)
    with pytest.raises(NotAsked, match="has no payment pi_nobody here"):
        till.ask("refund", "pi_nobody")


def test_a_hold_is_released_once_even_when_it_was_released_already(till: Till) -> None:
    payment = till.authorized("uuid-1")
    till.ask("void", payment)
    till.stripe.cancel(payment)
    till.work()
    assert till.ours(payment) == ("voided", 0, 0)
    assert rows(till.runtime, "SELECT state FROM calls WHERE operation = 'void_payment'") == [("done",)]


def test_what_the_provider_refuses_is_written_down(till: Till) -> None:
    payment = till.authorized("uuid-1")
    till.ask("capture", payment)
    till.stripe.cancel(payment)
    till.work()
    found = rows(till.runtime, "SELECT becomes, detail FROM transitions WHERE thing = :thing ORDER BY id", thing=f"capture of {payment}")
    assert found == [("asked", "44.70 EUR"), ("rejected", "HTTP 400: invalid_request_error payment_intent_unexpected_state")]


def test_a_provider_that_cannot_is_said_to(till: Till) -> None:
    with pytest.raises(NotAsked, match="demo_erp cannot refund payments here"):
        asking.ask(till.runtime, "erp", "x", "refund")


def test_what_the_webhooks_missed_is_fetched_and_what_they_brought_is_known(till: Till) -> None:
    payment = till.authorized("uuid-1")
    till.stripe.capture(payment, 2000)
    till.stripe.refund(payment, 500)  # no webhook of these arrives
    known = len(till.stripe.events) - 4
    found = sweep.poll(till.runtime, "stripe", at_once=True)
    assert found is not None
    assert (found.new, found.failure) == (4, "")
    assert known > 0
    till.decide()
    assert till.ours(payment) == ("partially_refunded", 2000, 500)
    again = sweep.poll(till.runtime, "stripe", at_once=True)
    assert again is not None and again.new == 0
    till.tell()
    assert till.ours(payment) == ("partially_refunded", 2000, 500)


def test_events_of_another_environment_end_the_back_fill(till: Till) -> None:
    till.authorized("uuid-1")
    live = replace(till.runtime.settings.connections["stripe"], live=True)
    connector = type(till.runtime.connector("stripe"))(live, till.runtime.connector("stripe").http)
    with pytest.raises(Exception, match="a test event on a live connection"):
        list(connector.payment_events(None))


AMOUNTS = st.integers(0, 500)


@given(
    amount=AMOUNTS,
    captured=AMOUNTS,
    refunded=AMOUNTS,
    asked=AMOUNTS,
    wanted=st.one_of(st.none(), AMOUNTS),
    state=st.sampled_from(PaymentState),
)
def test_no_more_is_ever_moved_than_there_is(
    amount: int, captured: int, refunded: int, asked: int, wanted: int | None, state: PaymentState
) -> None:
    balance = Balance(state, "EUR", amount, captured, refunded, asked)
    money = None if wanted is None else Money(wanted, "EUR")
    for rule, limit in ((rules.capture, amount - captured - asked), (rules.refund, captured - refunded - asked)):
        try:
            moved = rule(balance, money)
        except NotPossible:
            continue
        assert 0 < moved.minor <= limit
        assert money is None or moved == money


def test_another_currency_is_refused() -> None:
    with pytest.raises(NotPossible, match="the payment is in EUR, not in USD"):
        rules.refund(Balance(PaymentState.CAPTURED, "EUR", 100, 100, 0), Money(1, "USD"))
