"""What may still be captured, voided or refunded of a payment: rules over what it came to and what is on its way."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.canonical import Money, PaymentState

CAPTURABLE = frozenset({PaymentState.AUTHORIZED, PaymentState.PARTIALLY_CAPTURED})
VOIDABLE = frozenset({PaymentState.AUTHORIZED, PaymentState.PENDING, PaymentState.REQUIRES_ACTION})


class NotPossible(ValueError):
    """Why an operation is not asked for; one line for the person who wanted it."""


@dataclass(frozen=True, slots=True)
class Balance:
    """A payment's figures in minor units of `currency`: `asked` is what operations of the same kind on their way may still move."""

    state: PaymentState
    currency: str
    amount: int
    captured: int
    refunded: int
    asked: int = 0


def capture(balance: Balance, amount: Money | None) -> Money:
    """The amount of a capture (None: all that is left); raises `NotPossible`."""
    if balance.state not in CAPTURABLE:
        raise NotPossible(f"the payment is {balance.state}: only an authorized one can be captured")
    return _within(balance, amount, balance.amount - balance.captured - balance.asked, "to capture")


def refund(balance: Balance, amount: Money | None) -> Money:
    """The amount of a refund (None: all that is left); raises `NotPossible`."""
    if not balance.captured:
        raise NotPossible(f"the payment is {balance.state}: nothing was taken that could be given back")
    return _within(balance, amount, balance.captured - balance.refunded - balance.asked, "to refund")


def void(balance: Balance) -> None:
    """Whether a payment can be voided; raises `NotPossible`."""
    if balance.state not in VOIDABLE:
        raise NotPossible(f"the payment is {balance.state}: only what was not taken can be released")


def _within(balance: Balance, amount: Money | None, left: int, what: str) -> Money:
    if amount is not None and amount.currency != balance.currency:
        raise NotPossible(f"the payment is in {balance.currency}, not in {amount.currency}")
    wanted = left if amount is None else amount.minor
    if wanted <= 0:
        raise NotPossible(f"nothing is left {what}" if amount is None else "the amount must be more than zero")
    if wanted > left:
        raise NotPossible(f"only {Money(max(left, 0), balance.currency)} is left {what}, counting what is on its way")
    return Money(wanted, balance.currency)
