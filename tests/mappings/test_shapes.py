"""What counts as a changed shape: never what could be chance."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from mappings.attributes import used_paths
from mappings.shapes import Drift, counted, drifts, is_back, merged

PATHS = {"a": ("a",), "v.b": ("v", "b")}


def records(count: int, share: float, seed: int) -> list[dict[str, object]]:
    chance = random.Random(seed)
    return [{"a": "x" if chance.random() < share else None, "v": {"b": 1} if chance.random() < share else {}} for _ in range(count)]


@given(share=st.floats(0.02, 0.98), before=st.integers(0, 400), page=st.integers(1, 60), seed=st.integers(0, 10**6))
def test_what_is_missing_as_often_as_before_is_no_drift(share: float, before: int, page: int, seed: int) -> None:
    known = counted(records(before, share, seed), PATHS)
    new = records(page, share, seed + 1)
    assert drifts(known, counted(new, PATHS), new) == []


@given(before=st.integers(60, 400), page=st.integers(15, 60))
def test_what_was_always_there_and_is_gone_is_a_drift(before: int, page: int) -> None:
    known = counted([{"a": "x", "v": {"b": 1}}] * before, PATHS)
    new = [{"A": "x", "v": {"c": "text"}}] * page
    assert drifts(known, counted(new, PATHS), new) == [Drift("a", "vanished; A may be its new name"), Drift("v.b", "vanished")]


def test_a_type_comes_back() -> None:
    assert is_back({"text": 50, "null": 5}, {"text": 3, "null": 4})
    assert not is_back({"text": 50}, {"number": 3, "text": 1})


def test_older_records_count_less_in_time() -> None:
    assert merged({"text": 20_000}, {"text": 10, "null": 1}) == {"null": 1, "text": 10_010}


def test_an_expression_says_what_it_reads() -> None:
    found = {one: sorted(".".join(path) for path in used_paths(one)) for one in EXPRESSIONS}
    assert found == EXPRESSIONS


EXPRESSIONS = {
    "values.name.en_US": ["values.name.en_US"],
    "parent || identifier": ["identifier", "parent"],
    "plain_price(prices).amount": ["prices"],
    "total(places[*].n)": ["places"],
    "attribute == 'color'": ["attribute"],
    "prices[?list==''] | [0].amount": ["prices"],
    "foo.bar[0].baz": ["foo.bar"],
    "@": [],
    "'EUR'": [],
}
