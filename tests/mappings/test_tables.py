"""A merchant's table: what a record wants, and the plain reason of each broken one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.rules import Kind
from mappings.table_files import TableMistake, read
from mappings.tables import apply
from mappings.wanted import Of, Reject, Thing, Wanted

RAW = {
    "connection": "pim",
    "kind": "products",
    "shop": "shop",
    "sku": "identifier",
    "product": "parent || identifier",
    "fields": [
        {"to": "title", "from": "values.name.en_US", "of": "product", "required": True},
        {"to": "body", "from": "values.text", "of": "product"},
        {"to": "price", "from": "values.price.EUR", "type": "price", "currency": "'EUR'", "required": True},
        {"to": "list_price", "from": "values.list.amount", "type": "price", "currency": "values.list.currency"},
        {"to": "field_stock", "from": "stock", "type": "integer", "default": 0},
        {"to": "field_weight", "from": "weight", "type": "decimal"},
        {"to": "status", "from": "enabled", "type": "boolean", "default": True},
        {"to": "field_color", "from": "values.color", "options": {"r": "red"}},
    ],
}
TABLE = read("catalog", RAW)
GOOD: dict[str, Any] = {
    "identifier": "S1",
    "parent": "shirt",
    "enabled": True,
    "stock": "12",
    "weight": "0.50",
    "values": {"name": {"en_US": "Shirt"}, "price": {"EUR": "19.90"}, "color": "r"},
}


def changed(**changes: Any) -> dict[str, Any]:
    record = json.loads(json.dumps(GOOD))
    for path, value in changes.items():
        where, *rest = path.split("__")
        target = record
        for step in rest:
            target, where = target[where], step
        target[where] = value
    return record


def test_a_record_wants_a_product_and_a_variation() -> None:
    variation = {
        "price": {"number": "19.9", "currency_code": "EUR"},
        "field_stock": 12,
        "field_weight": "0.5",
        "status": True,
        "field_color": "red",
    }
    product = Thing(Of.PRODUCT, "shirt", {"title": "Shirt"})
    assert apply(TABLE, GOOD) == Wanted(Thing(Of.VARIATION, "S1", variation, parent="shirt"), (product,))


def test_defaults_stand_for_what_is_not_there() -> None:
    found = apply(TABLE, changed(stock=None, weight="", enabled=None))
    assert isinstance(found, Wanted)
    assert (found.main.fields["field_stock"], "field_weight" in found.main.fields) == (0, False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"identifier": None}, "identifier is missing"),
        ({"identifier": "  "}, "identifier is no code:   "),
        ({"identifier": ["S1"]}, "identifier is no code: ['S1']"),
        (
            {"identifier": "x" * 129},
            "identifier is longer than 128 characters or holds control characters: " + "x" * 60 + "… (129 characters)",
        ),
        ({"identifier": "S\n1"}, "identifier is longer than 128 characters or holds control characters: S\n1"),
        ({"values__name": {}}, "values.name.en_US is missing"),
        ({"values__name": {"en_US": ""}}, "values.name.en_US is missing"),
        ({"values__name": {"en_US": {"deep": 1}}}, "values.name.en_US is no text: {'deep': 1}"),
        ({"values__name": {"en_US": True}}, "values.name.en_US is no text: True"),
        ({"values__name": {"en_US": "bro\ufffdken"}}, "values.name.en_US holds broken characters"),
        ({"values__name": {"en_US": "nul\0"}}, "values.name.en_US holds broken characters"),
        ({"values__name": {"en_US": "half \ud800"}}, "values.name.en_US holds broken characters"),
        ({"values__name": {"en_US": "bell \a"}}, "values.name.en_US holds broken characters"),
        (
            {"values__name": {"en_US": "<b>Shirt</b>"}},
            'values.name.en_US holds markup: give the field type = "html", or take the markup out: <b>Shirt</b>',
        ),
        ({"values__text": "x" * 100_001}, "values.text is longer than 100000 characters: " + "x" * 60 + "… (100001 characters)"),
        ({"values__price": None}, "values.price.EUR is missing"),
        ({"values__price": {"EUR": "-1"}}, "values.price.EUR is negative: -1"),
        ({"values__price": {"EUR": "19.999"}}, "values.price.EUR is finer than EUR allows: 19.999"),
        ({"values__price": {"EUR": "0.123456789"}}, "values.price.EUR is finer than EUR allows: 0.123456789"),
        ({"values__price": {"EUR": "free"}}, "values.price.EUR is no number: free"),
        ({"values__price": {"EUR": 19.9}}, "values.price.EUR is no exact number: 19.9"),
        ({"values__price": {"EUR": "NaN"}}, "values.price.EUR is out of range: NaN"),
        ({"values__price": {"EUR": "Infinity"}}, "values.price.EUR is out of range: Infinity"),
        ({"values__price": {"EUR": "1e15"}}, "values.price.EUR is out of range: 1e15"),
        ({"values__price": {"EUR": True}}, "values.price.EUR is no exact number: True"),
        ({"values__list": {"amount": "5", "currency": "euro"}}, "values.list.currency is no currency code: euro"),
        ({"values__list": {"amount": "5"}}, "values.list.currency is no currency code"),
        ({"values__list": {"amount": "5.5", "currency": "JPY"}}, "values.list.amount is finer than JPY allows: 5.5"),
        ({"stock": "1.5"}, "stock is no whole number: 1.5"),
        ({"stock": "many"}, "stock is no number: many"),
        ({"stock": {}}, "stock is no number: {}"),
        ({"weight": "heavy"}, "weight is no number: heavy"),
        ({"enabled": "perhaps"}, "enabled is neither true nor false: perhaps"),
        ({"values__color": "green"}, "values.color is no known option: green"),
        ({"values": "nothing"}, "values.name.en_US is missing"),
    ],
)
def test_a_broken_record_is_refused_with_its_attribute_and_rule(changes: dict[str, Any], reason: str) -> None:
    found = apply(TABLE, changed(**changes))
    assert isinstance(found, Reject)
    assert str(found) == reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.decimals(allow_nan=True).map(lambda d: d),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(record=JSON, name=JSON, price=JSON, stock=JSON)
def test_nothing_that_a_source_may_send_is_a_crash(record: Any, name: Any, price: Any, stock: Any) -> None:
    mixed = {"identifier": "S1", "values": {"name": {"en_US": name}, "price": {"EUR": price}}, "stock": stock, "weight": record}
    for one in (record, mixed):
        found = apply(TABLE, one)
        assert isinstance(found, Wanted | Reject)


@given(amount=st.decimals(min_value=0, max_value=999_999, places=2))
def test_a_price_keeps_its_value(amount: Decimal) -> None:
    found = apply(TABLE, changed(values__price={"EUR": str(amount)}))
    assert isinstance(found, Wanted)
    assert Decimal(found.main.fields["price"]["number"]) == amount


def test_every_mistake_of_a_table_is_said_at_once() -> None:
    with pytest.raises(TableMistake) as found:
        read(
            "wrong",
            {
                "kind": "products",
                "sku": "[broken",
                "fields": [
                    {"to": "title"},
                    {"to": "price", "from": "price", "type": "price"},
                    {"to": "x", "from": "x", "type": "colour"},
                    {"to": "y", "from": "y("},
                    {"to": "y", "from": "z"},
                ],
            },
        )
    assert found.value.mistakes == [
        "connection: missing; expected a text",
        "shop: missing; expected a text",
        "sku: '[broken' is no jmespath (IncompleteExpressionError)",
        "fields[0]: expected to = 'field' and from = 'attribute'",
        "fields[1].currency: missing; a price needs one (a jmespath, or a code in single quotes)",
        f"fields[2].type: 'colour'; expected one of {', '.join(Kind)}",
        "fields[3].from: 'y(' is no jmespath (IncompleteExpressionError)",
    ]


def test_a_field_is_fed_once() -> None:
    fields = [{"to": "y", "from": "y"}, {"to": "y", "from": "z"}]
    with pytest.raises(TableMistake, match="fields: y of the variation is fed twice"):
        read("twice", {**RAW, "fields": fields})
