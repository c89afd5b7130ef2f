"""However a provider's events arrive, they come to the same: any order, any repetition."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import stripe
from mappings.canonical import PaymentChange, PaymentState
from middleware import inbox
from middleware.domain import payments as rules
from middleware.domain import transitions
from middleware.domain.transitions import OrderPayment
from middleware.errors import IllegalTransition
from middleware.flows import payments as flow
from middleware.models import OrderRow, PaymentRow
from middleware.runtime import Runtime
from tests.world import World, hear, place, rows

T = 1_700_000_000
TOTAL = 4470


def event(kind: str, obj: dict[str, Any], at: int) -> dict[str, Any]:
    return {
        "id": f"evt_{kind}_{obj['id']}_{at}_{obj.get('status', '')}",
        "object": "event",
        "type": kind,
        "created": T + at,
        "livemode": False,
        "data": {"object": obj},
    }


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:  # noqa: C901 - a history is a story with many turns
    """What a provider says of one payment, in its own order; several things may happen within one second."""
    clock = [0]

    def at() -> int:
        clock[0] += draw(st.integers(0, 2))
        return clock[0]

    def intent(kind: str, status: str, **more: Any) -> dict[str, Any]:
        return event(
            f"payment_intent.{kind}",
            {"id": "pi_1", "amount": TOTAL, "currency": "eur", "status": status, "metadata": {"order_uuid": "uuid-1"}, **more},
            at(),
        )

    said = [intent("created", "requires_payment_method")]
    for _ in range(draw(st.integers(0, 2))):
        clock[0] += 1
        said.append(intent("payment_failed", "requires_payment_method", last_payment_error={"code": "card_declined"}))
        clock[0] += 1  # the customer needs a moment
    if draw(st.booleans()):
        said.append(intent("requires_action", "requires_action"))
    ending = draw(st.sampled_from(["open", "canceled", "captured", "captured", "captured"]))
    authorized = draw(st.booleans())
    if authorized and ending != "open":
        said.append(intent("amount_capturable_updated", "requires_capture", amount_received=0))
    if ending == "canceled":
        said.append(intent("canceled", "canceled", amount_received=0))
    if ending != "captured":
        return said
    captured = draw(st.sampled_from([TOTAL, TOTAL, 3000])) if authorized else TOTAL
    said.append(intent("succeeded", "succeeded", amount_received=captured))
    charge = {"id": "ch_1", "amount": TOTAL, "amount_captured": captured, "currency": "eur", "captured": True, "payment_intent": "pi_1"}
    said.append(event("charge.captured" if authorized else "charge.succeeded", charge, at()))
    left = captured
    for number in range(draw(st.integers(0, 3))):
        amount = draw(st.integers(1, max(left, 1)))
        if amount > left:
            break
        refund = {"id": f"re_{number}", "amount": amount, "currency": "eur", "payment_intent": "pi_1", "charge": "ch_1"}
        said.append(event("refund.created", {**refund, "status": draw(st.sampled_from(["pending", "succeeded"]))}, at()))
        failed = draw(st.booleans())
        if failed:
            said.append(event("refund.failed", {**refund, "status": "failed"}, at()))
        else:
            left -= amount
    if draw(st.booleans()):
        dispute = {"id": "dp_1", "amount": captured, "currency": "eur", "payment_intent": "pi_1", "charge": "ch_1"}
        said.append(event("charge.dispute.created", {**dispute, "status": "needs_response"}, at()))
        if draw(st.booleans()):
            said.append(event("charge.dispute.closed", {**dispute, "status": draw(st.sampled_from(["won", "lost"]))}, at()))
    return said


@dataclass
class Memory:
    """The part of `middleware.work.Work` that the payment flow uses, in memory, with the real transition tables."""

    order_row: OrderRow
    row: PaymentRow | None = None
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    cause: Any = field(default_factory=lambda: SimpleNamespace(connection="stripe", keys=()))
    verdict: Any = field(default_factory=SimpleNamespace)
    settings: Any = field(
        default_factory=lambda: SimpleNamespace(connections={"stripe": SimpleNamespace(payment_writer="observe")}, stores={})
    )
    seen: list[str] = field(default_factory=list)

    def payment(self, connection: str, remote_id: str) -> PaymentRow | None:
        return self.row

    def order(self) -> OrderRow:
        return self.order_row

    def reconsider(self, order: Any) -> None:
        """Nothing follows here."""

    def add_payment(self, payment: PaymentRow) -> None:
        self.row = payment

    def name_order(self, order: OrderRow, keys: Sequence[str]) -> None:
        assert keys == ["payment/stripe/pi_1"]

    def move(self, order: OrderRow, what: str, becomes: str) -> None:
        if self._allowed(what, getattr(order, what), becomes):
            setattr(order, what, str(becomes))
            self.seen.append(str(becomes))

    def move_payment(self, payment: PaymentRow, becomes: str) -> None:
        if self._allowed("payment", payment.state, becomes):
            payment.state = str(becomes)

    @staticmethod
    def _allowed(table: str, was: str, becomes: str) -> bool:
        try:
            transitions.check(table, was, becomes)
        except IllegalTransition:
            return False
        return was != becomes


def played(said: Sequence[dict[str, Any]]) -> tuple[Any, ...]:
    """What the real flow makes of the events in this order; never a step back from paid to unpaid."""
    order = OrderRow(order_id="uuid-1", total_minor=TOTAL, currency="EUR", payment_state="unpaid", payments=[])
    work = Memory(order)
    for one in said:
        change = stripe.translate(one, ("order_uuid",), {})
        assert isinstance(change, PaymentChange)
        flow.record(change, work)  # type: ignore[arg-type]
    assert work.row is not None
    parts = sorted((part.kind, part.remote_id, part.amount_minor, part.counts) for part in work.row.parts)
    paid = [state in ("paid", "partially_paid", "partially_refunded", "refunded", "disputed") for state in work.seen]
    assert paid == sorted(paid)
    return order.payment_state, work.row.state, work.row.amount_minor, parts


def truth(said: Sequence[dict[str, Any]]) -> str:
    """What the order's payments come to, told from the history itself."""
    objects = [(one["type"], one["data"]["object"]) for one in said]
    captured = sum(obj["amount_received"] for kind, obj in objects if kind == "payment_intent.succeeded")
    failed = {obj["id"] for kind, obj in objects if kind == "refund.failed"}
    refunded = sum(obj["amount"] for kind, obj in objects if kind == "refund.created" and obj["id"] not in failed)
    disputes = [obj["status"] for kind, obj in objects if kind.startswith("charge.dispute")]
    if disputes and disputes[-1] != "won":
        return "disputed"
    if refunded:
        return "refunded" if refunded == captured else "partially_refunded"
    if captured:
        return "paid" if captured == TOTAL else "partially_paid"
    return {
        "payment_intent.payment_failed": "failed",
        "payment_intent.amount_capturable_updated": "authorized",
        "payment_intent.canceled": "voided",
    }.get(objects[-1][0], "pending")


@settings(max_examples=200, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_a_payment_s_events_comes_to_the_same(said: list[dict[str, Any]], chance: random.Random) -> None:
    expected = played(said)
    assert expected[0] == truth(said)
    for _ in range(5):
        shuffled = said + chance.choices(said, k=chance.randint(0, len(said)))
        chance.shuffle(shuffled)
        assert played(shuffled) == expected


@pytest.fixture
def runtime(database_url: str) -> Iterator[Runtime]:
    made = World(database_url).runtime()
    yield made
    made.close()


def test_the_database_comes_to_the_same_as_memory(runtime: Runtime) -> None:
    """Thirty histories through keep and decide, shuffled, repeated, in batches, with the order before, between or after."""
    chance = random.Random(7)
    stories: list[list[dict[str, Any]]] = []

    @settings(max_examples=30, deadline=None, database=None, derandomize=True)
    @given(histories())
    def collect(said: list[dict[str, Any]]) -> None:
        stories.append(said)

    collect()
    expected, found = [], []
    for number, said in enumerate(stories):
        expected.append(played(said))
        mine = [
            json.loads(
                json.dumps(one).replace("_1", f"_1x{number}").replace("uuid-1", f"uuid-{number}").replace('"evt_', f'"evt_{number}_')
            )
            for one in said
        ]
        jobs: list[Any] = mine + chance.choices(mine, k=2) + [None]
        chance.shuffle(jobs)
        for job in jobs:
            if job is None:
                place(runtime, f"uuid-{number}", f"m{number}", number=str(1000 + number))
            else:
                hear(runtime, json.dumps(job).encode())
            if chance.random() < 0.4:
                inbox.decide(runtime, chance.choice(["payments", "orders"]))
        while sum(inbox.decide(runtime, lane) for lane in ("payments", "orders")):
            pass
        order = rows(
            runtime,
            "SELECT o.payment_state, p.state, p.amount_minor, p.id FROM orders o JOIN payments p ON p.order_id = o.id WHERE o.order_id = :id",  # noqa: E501
            id=f"uuid-{number}",
        )
        (payment_state, state, amount, payment) = order[0]
        parts = rows(runtime, "SELECT kind, remote_id, amount_minor, counts FROM payment_parts WHERE payment_id = :id", id=payment)
        found.append(
            (
                payment_state,
                state,
                amount,
                sorted((kind, remote.replace(f"_1x{number}", "_1"), minor, counts) for kind, remote, minor, counts in parts),
            )
        )
        assert len(order) == 1
    assert found == expected
    assert rows(runtime, "SELECT state, count(*) FROM events WHERE state <> 'decided' GROUP BY 1") == []


@pytest.mark.parametrize(
    ("total", "payments", "meaning"),
    [
        (100, [], OrderPayment.UNPAID),
        (100, [(PaymentState.PENDING, 0, 0)], OrderPayment.PENDING),
        (100, [(PaymentState.FAILED, 0, 0)], OrderPayment.FAILED),
        (100, [(PaymentState.FAILED, 0, 0), (PaymentState.AUTHORIZED, 0, 0)], OrderPayment.AUTHORIZED),
        (100, [(PaymentState.FAILED, 0, 0), (PaymentState.CAPTURED, 100, 0)], OrderPayment.PAID),
        (100, [(PaymentState.CAPTURED, 60, 0)], OrderPayment.PARTIALLY_PAID),
        (100, [(PaymentState.CAPTURED, 60, 0), (PaymentState.CAPTURED, 40, 0)], OrderPayment.PAID),
        (100, [(PaymentState.CAPTURED, 120, 0)], OrderPayment.PAID),
        (100, [(PaymentState.PARTIALLY_REFUNDED, 100, 1)], OrderPayment.PARTIALLY_REFUNDED),
        (100, [(PaymentState.REFUNDED, 100, 100)], OrderPayment.REFUNDED),
        (100, [(PaymentState.CAPTURED, 100, 0), (PaymentState.DISPUTED, 100, 0)], OrderPayment.DISPUTED),
        (100, [(PaymentState.VOIDED, 0, 0)], OrderPayment.VOIDED),
    ],
)
def test_what_an_order_s_payments_come_to(total: int, payments: list[tuple[PaymentState, int, int]], meaning: OrderPayment) -> None:
    assert rules.order_payment_state(total, payments) == meaning
