"""Every state change that is allowed."""

from __future__ import annotations

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.canonical import FulfilmentState, OrderState, PaymentState
from middleware.domain.transitions import TABLES, Export, OrderPayment, check
from middleware.errors import IllegalTransition

STATES: dict[str, type[StrEnum]] = {
    "state": OrderState,
    "payment_state": OrderPayment,
    "export_state": Export,
    "fulfilment_state": FulfilmentState,
    "payment": PaymentState,
}
PAID = {OrderPayment.PARTIALLY_PAID, OrderPayment.PAID, OrderPayment.PARTIALLY_REFUNDED, OrderPayment.REFUNDED, OrderPayment.DISPUTED}
CAPTURED = {
    PaymentState.PARTIALLY_CAPTURED,
    PaymentState.CAPTURED,
    PaymentState.PARTIALLY_REFUNDED,
    PaymentState.REFUNDED,
    PaymentState.DISPUTED,
}


def reachable(table: str, start: str) -> set[str]:
    found: set[str] = set()
    new = set(TABLES[table][start])
    while new:
        found |= new
        new = {state for known in new for state in TABLES[table][known]} - found
    return found


def test_every_table_is_closed_over_its_states() -> None:
    assert {name: set(table) for name, table in TABLES.items()} == {name: set(states) for name, states in STATES.items()}
    assert all(allowed <= set(STATES[name]) for name, table in TABLES.items() for allowed in table.values())
    assert not [(name, state) for name, table in TABLES.items() for state, allowed in table.items() if state in allowed]


@pytest.mark.parametrize("state", sorted(PAID))
def test_what_was_paid_never_reads_as_unpaid_again(state: str) -> None:
    assert reachable("payment_state", state) <= PAID


@pytest.mark.parametrize("state", sorted(CAPTURED))
def test_a_captured_payment_is_never_uncaptured(state: str) -> None:
    assert reachable("payment", state) <= CAPTURED


@pytest.mark.parametrize(
    ("table", "state", "leads_to"),
    [
        ("export_state", Export.EXPORTED, set()),
        ("export_state", Export.NOT_NEEDED, set()),
        ("state", OrderState.CANCELLED, set()),
        ("state", OrderState.COMPLETED, set()),
        ("fulfilment_state", FulfilmentState.DONE, set()),
    ],
)
def test_final_states_are_final(table: str, state: str, leads_to: set[str]) -> None:
    assert reachable(table, state) == leads_to


@given(st.lists(st.sampled_from(sorted(OrderPayment)), max_size=30))
def test_no_sequence_of_changes_leads_from_paid_back_to_unpaid(wanted: list[str]) -> None:
    state, was_paid = str(OrderPayment.UNPAID), False
    for becomes in wanted:
        try:
            check("payment_state", state, becomes)
        except IllegalTransition:
            continue
        state = becomes
        was_paid = was_paid or state in PAID
        assert not was_paid or state in PAID


def test_a_refusal_says_what_is_allowed() -> None:
    with pytest.raises(IllegalTransition, match=r"^state: cancelled → placed is not allowed; from cancelled: nothing$"):
        check("state", "cancelled", "placed")
    with pytest.raises(IllegalTransition, match=r"^export_state: dead → exported is not allowed; from dead: asked, not_needed$"):
        check("export_state", "dead", "exported")
