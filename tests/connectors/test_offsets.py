"""Lists paged by number that change while they are read: what stayed is seen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.errors import Rejected, Transient
from middleware.ports import Record
from middleware.wire.offsets import Listed, Place, packed, read_page, read_whole, resumed


class Source:
    """A list sorted by id, as a server gives it."""

    def __init__(self, *ids: int) -> None:
        self.ids = sorted(ids)
        self.asked: list[int] = []

    def read(self, skip: int, take: int) -> Listed:
        self.asked.append(skip)
        found = self.ids[skip : skip + take]
        return [Record(str(one), b"") for one in found], len(self.ids)


def ids(records) -> list[int]:
    return [int(one.source_id) for one in records]


def test_a_list_that_holds_still_is_read_once():
    source = Source(*range(7))
    assert ids(read_whole(source.read, 3)) == list(range(7))
    assert source.asked == [0, 2, 4, 6]
    assert ids(read_whole(Source().read, 3)) == []


def test_what_moved_forward_is_looked_for_further_back():
    source = Source(*range(9))
    first, place = read_page(source.read, Place(), 3)
    second, place = read_page(source.read, place, 3)
    source.ids.remove(0)
    third, _ = read_page(source.read, place, 3)
    assert (ids(first), ids(second), ids(third)) == ([0, 1, 2], [3, 4], [3, 5])
    assert source.asked == [0, 2, 4, 2]


def test_a_list_whose_last_record_is_gone_is_read_anew():
    source = Source(*range(6))
    _, place = read_page(source.read, Place(), 3)
    source.ids.remove(2)
    records, place = read_page(source.read, place, 3)
    assert (ids(records), place) == ([0, 1, 3], Place(2, "3", restarts=1))


def test_a_list_that_never_holds_still_is_given_up():
    source = Source(*range(9))
    place = Place()
    with pytest.raises(Rejected, match="lost records 6 times"):
        for _ in range(9):
            _, place = read_page(source.read, place, 2)
            source.ids.remove(int(place.last))


def test_a_list_that_ends_before_its_own_count_is_not_at_its_end():
    with pytest.raises(Transient):
        read_page(lambda skip, take: ([], 5), Place(), 3)
    records, place = read_page(lambda skip, take: ([Record("1", b"")], 5), Place(), 3)
    assert (ids(records), place) == ([1], Place(0, "1"))


def test_a_place_survives_as_a_cursor():
    place = Place(4, "x", 1, 2)
    assert resumed(packed(place)) == place
    assert (packed(None), resumed("")) == ("", Place())
    with pytest.raises(Rejected, match="cursor"):
        resumed("[1")


changes = st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=3)


@settings(deadline=None)
@given(st.sets(st.integers(0, 60), max_size=30), st.integers(2, 7), st.lists(changes, max_size=12))
def test_whatever_comes_and_goes_what_stayed_is_seen(first: set[int], size: int, story: list[list[tuple[bool, int]]]):
    source, stayed, seen = Source(*first), set(first), set()
    place: Place | None = Place()
    while place:
        try:
            records, place = read_page(source.read, place, size)
        except Rejected:
            return
        seen |= set(ids(records))
        for comes, one in story.pop(0) if story else []:
            found = set(source.ids) | {one} if comes else set(source.ids) - {one}
            stayed -= set() if comes else {one}
            source.ids = sorted(found)
    assert stayed <= seen
