"""Tryton's products, prices and stock in our words: steps and spans of price lists, units, and what a record may lack."""

from datetime import date
from decimal import Decimal

import pytest
from marshmallow import ValidationError

from mappings import tryton_feeds, tryton_prices
from mappings.tryton_prices import ONE, Line, Span, offers, spans, steps

TODAY = date(2026, 11, 22)
MAY, JUNE = date(2027, 5, 1), date(2027, 6, 1)
LAST_OF_APRIL, LAST_OF_MAY = date(2027, 4, 30), date(2027, 5, 31)
PRODUCT = {"id": 7, "code": "TS-RED", "active": True, "type": "goods", "template": {"id": 3, "code": "TS", "name": "Shirt", "active": True}}
STOCK = {"id": 7, "code": "TS-RED", "factors": [1, 1], "warehouses": {}}


def line(quantity=None, start=None, end=None, product=None):
    return Line(1, product, quantity and Decimal(quantity), start, end)


def test_a_price_may_change_at_each_quantity_of_a_line_in_the_sales_unit() -> None:
    assert steps([line(), line("24"), line("5"), line("24")], ONE) == [1, 5, 24]
    assert steps([line("24"), line("6")], Decimal(1) / Decimal(12)) == [Decimal("0.5"), 1, 2]


def test_a_price_may_change_where_a_line_begins_and_after_it_ends() -> None:
    assert spans([], TODAY) == [Span()]
    assert spans([line(start=MAY, end=LAST_OF_MAY), line(start=JUNE)], TODAY) == [
        Span(None, LAST_OF_APRIL),
        Span(MAY, LAST_OF_MAY),
        Span(JUNE, None),
    ]


def test_what_is_over_is_left_out_and_what_never_ends_stays() -> None:
    over = line(start=date(2020, 1, 1), end=date(2020, 1, 31))
    assert spans([over], TODAY) == [Span(date(2020, 2, 1), None)]
    assert spans([line(end=date.max)], TODAY) == [Span()]


def test_steps_and_spans_that_change_nothing_are_one_offer() -> None:
    before, then = Span(None, LAST_OF_APRIL), Span(MAY, None)
    asked = {(before, ONE): Decimal(9), (before, Decimal(5)): Decimal(9), (then, ONE): Decimal(9), (then, Decimal(5)): Decimal(8)}
    assert offers(asked) == [
        {"amount": "9", "min_quantity": "1", "valid_from": None, "valid_to": None},
        {"amount": "8", "min_quantity": "5", "valid_from": "2027-05-01", "valid_to": None},
    ]


def test_a_list_without_a_price_makes_no_offer() -> None:
    assert offers({(Span(), ONE): None}) == []
    assert offers({(Span(), ONE): None, (Span(), Decimal(5)): Decimal(3)}) == [
        {"amount": "3", "min_quantity": "5", "valid_from": None, "valid_to": None}
    ]


def test_stock_is_counted_in_the_unit_that_is_sold() -> None:
    raw = STOCK | {"factors": [1, 12], "warehouses": {"WH": {"quantity": Decimal("30.0"), "forecast": 0, "reserved": 6}}}
    level = {"on_hand": Decimal("2.5"), "available": Decimal(2)}
    assert tryton_feeds.stock(raw, "reserved") == {"sku": "TS-RED", **level, "locations": {"WH": level}}


def test_of_two_identifiers_of_a_type_the_first_counts() -> None:
    raw = PRODUCT | {"identifiers": [{"type": "ean", "code": "1"}, {"type": "ean", "code": "2"}, {"type": None, "code": "3"}]}
    assert tryton_feeds.product(raw, ())["identifiers"] == {"ean": "1", "": "3"}


def test_attributes_are_plain_values() -> None:
    typed = {
        "weight": {"__class__": "Decimal", "decimal": "1.50"},
        "since": {"__class__": "date", "year": 2026, "month": 11, "day": 22},
        "brand": {"name": "Acme", "id": 1, "__name__": "product.brand"},
        "tags": [{"name": "a"}, {"name": "b"}],
    }
    paths = ("weight", "since", "brand.name", "brand", "tags.name", "nothing.at.all")
    assert tryton_feeds.product(PRODUCT | typed, paths)["attributes"] == {
        "weight": Decimal("1.50"),
        "since": "2026-11-22",
        "brand.name": "Acme",
        "brand": {"name": "Acme", "id": 1},
        "tags.name": ["a", "b"],
        "nothing.at.all": None,
    }


@pytest.mark.parametrize("wrong", [None, [], {}, {"id": 1}, {"id": [], "code": "a@example.test"}, PRODUCT | {"template": "x"}])
def test_what_is_no_record_names_its_fields(wrong) -> None:
    for read in (
        lambda raw: tryton_feeds.product(raw, ()),
        lambda raw: tryton_feeds.stock(raw, "reserved"),
        tryton_feeds.category,
        tryton_feeds.price_list,
        tryton_prices.prices,
    ):
        with pytest.raises(ValidationError) as raised:
            read(wrong)
        assert "@" not in str(raised.value.messages)


def test_an_attribute_that_is_no_decimal_is_named() -> None:
    with pytest.raises(ValidationError) as raised:
        tryton_feeds.product(PRODUCT | {"weight": {"__class__": "Decimal", "decimal": "heavy"}}, ("weight",))
    assert list(raised.value.messages) == ["attributes"]
