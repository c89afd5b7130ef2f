"""Money is counted in minor units; a unit price is rounded once."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.canonical import Money, UnitPrice

CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD", "CLF"])


@given(st.integers(-(10**15), 10**15), CURRENCIES)
def test_an_amount_survives_the_way_to_text_and_back(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.of(str(money.amount), currency) == money


@pytest.mark.parametrize(
    ("amount", "currency", "money"),
    [
        ("44.70", "EUR", Money(4470, "EUR")),
        ("44.700000", "EUR", Money(4470, "EUR")),
        ("100", "JPY", Money(100, "JPY")),
        ("1.234", "KWD", Money(1234, "KWD")),
        ("0.0001", "CLF", Money(1, "CLF")),
        ("-0.01", "EUR", Money(-1, "EUR")),
    ],
)
def test_an_amount_has_its_currency_s_decimals(amount: str, currency: str, money: Money) -> None:
    assert Money.of(amount, currency) == money


@pytest.mark.parametrize(("amount", "currency"), [("0.001", "EUR"), ("0.5", "JPY"), ("0.0001", "KWD")])
def test_an_amount_finer_than_its_currency_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match=f"^{amount} {currency} is finer than the currency's minor unit$"):
        Money.of(amount, currency)


@pytest.mark.parametrize(
    ("unit", "quantity", "currency", "minor"),
    [
        ("0.005", "1", "EUR", 1),
        ("0.0049", "1", "EUR", 0),
        ("-0.005", "1", "EUR", -1),
        ("1.115", "3", "EUR", 335),
        ("0.333333", "3", "EUR", 100),
        ("0.5", "1", "JPY", 1),
        ("1.0005", "1", "KWD", 1001),
        ("19.99", "0.125", "EUR", 250),
    ],
)
def test_a_unit_price_is_rounded_once_half_up_after_it_was_multiplied(unit: str, quantity: str, currency: str, minor: int) -> None:
    assert UnitPrice(Decimal(unit), currency).times(Decimal(quantity)) == Money(minor, currency)


@given(st.integers(0, 10**9), st.integers(1, 1000), CURRENCIES)
def test_a_price_in_whole_minor_units_multiplies_exactly(minor: int, quantity: int, currency: str) -> None:
    unit = UnitPrice(Money(minor, currency).amount, currency)
    assert unit.times(Decimal(quantity)) == Money(minor * quantity, currency)


def test_currencies_are_not_added_up() -> None:
    with pytest.raises(ValueError, match=r"^cannot add USD to EUR$"):
        Money(1, "EUR") + Money(1, "USD")
