"""Which order step follows which payment state, as the merchant declares it per store; each follows once for each time it is reached.

`[stores.main.on_payment.disputed]` with `hold = "dispute"`, `stock = "keep"`; `[stores.main.on_payment.refunded]` with `to = "canceled"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.canonical import PartKind, PartState, PaymentPart
from middleware.domain.transitions import OrderPayment

WON, LOST = "dispute_won", "dispute_lost"
STATES = (*(str(one) for one in OrderPayment), WON, LOST)
STOCK = ("keep", "return")
_KEYS = {"to", "hold", "release", "stock"}


@dataclass(frozen=True, slots=True)
class Step:
    """What follows: the order state to reach, a hold to set (its reason) or to release, and what becomes of the goods."""

    to: str = ""
    hold: str = ""
    release: bool = False
    stock: str = ""


def step_for(rules: Mapping[str, Any], meaning: str) -> Step | None:
    """The declared step of a payment state, or None."""
    rule = rules.get(meaning)
    if not isinstance(rule, Mapping):
        return None
    return Step(str(rule.get("to", "")), str(rule.get("hold", "")), bool(rule.get("release")), str(rule.get("stock", "")))


def meaning(payment_state: str, aligned: str, parts: Iterable[PaymentPart]) -> str:
    """What an order's payments mean now, seeing what was last acted upon: a dispute is open, lost, or was won."""
    if payment_state == OrderPayment.DISPUTED:
        disputes = [part for part in parts if part.kind is PartKind.DISPUTE and part.counts]
        return LOST if disputes and all(part.state is PartState.LOST for part in disputes) else str(OrderPayment.DISPUTED)
    if aligned in (str(OrderPayment.DISPUTED), LOST):
        return WON
    return payment_state


def mistakes(rules: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with declared rules, a line each."""
    for state, rule in rules.items():
        if state not in STATES:
            yield f"on_payment.{state}: unknown payment state; known: {', '.join(STATES)}"
        elif not isinstance(rule, Mapping) or set(rule) - _KEYS:
            yield f"on_payment.{state}: expected a table of {', '.join(sorted(_KEYS))}"
        elif rule.get("stock", "keep") not in STOCK:
            yield f"on_payment.{state}.stock: expected one of {', '.join(STOCK)}"
        elif rule.get("hold") and rule.get("release"):
            yield f"on_payment.{state}: hold and release at once"
