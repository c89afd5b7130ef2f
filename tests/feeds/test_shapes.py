"""A source that changes its shape: what it feeds is paused and said, nothing else stops, and it goes on by itself or when accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from middleware.feeds import shapes
from tests.feeds.test_feeds import Feeds, build
from tests.world import rows


@pytest.fixture
def feeds(database_url: str) -> Iterator[Feeds]:
    made = build(database_url)
    made.pim.page = 50
    for number in range(30):
        put(made, number)
    made.pull("products")
    made.push()
    yield made
    made.runtime.close()


def put(feeds: Feeds, number: int, **changes: Any) -> None:
    record = {"sku": f"S{number}", "product": "shirt", "title": "Shirt", "color": "r", "serial": number, **changes}
    feeds.pim.put(f"{number:03d}", **{name: value for name, value in record.items() if value != "absent"})


def drifted(feeds: Feeds) -> Any:
    return rows(feeds.runtime, "SELECT drifted FROM shapes WHERE kind = 'products'")[0][0]


def test_a_renamed_attribute_pauses_its_field_alone(feeds: Feeds) -> None:
    for number in range(15):
        put(feeds, number, color="absent", colour="b", title="New shirt")
    with structlog.testing.capture_logs() as said:
        assert feeds.pull("products").failure == ""
    feeds.push()
    assert drifted(feeds) == {"color": "vanished; colour may be its new name"}
    assert [(line["event"], line["attribute"]) for line in said if line["log_level"] == "error"] == [("feed.shape_drifted", "color")]
    assert feeds.shop.variations["S1"]["field_color"] == "red"
    assert feeds.shop.products["shirt"]["title"] == "New shirt"
    put(feeds, 99, color="absent", colour="b")
    assert feeds.pull("products").staged.created == 1


def test_what_comes_back_goes_on_by_itself(feeds: Feeds) -> None:
    for number in range(15):
        put(feeds, number, color="absent")
    feeds.pull("products")
    for number in range(15):
        put(feeds, number, color="b")
    feeds.pull("products")
    feeds.push()
    assert drifted(feeds) == {}
    assert feeds.shop.variations["S1"]["field_color"] == "blue"


def test_a_person_accepts_the_new_shape(feeds: Feeds) -> None:
    for number in range(15):
        put(feeds, number, color="absent", title="New shirt")
    feeds.pull("products")
    with feeds.runtime.engine.begin() as connection:
        assert shapes.accept(connection, feeds.feeds["products"], ["size"]) == []
        assert shapes.accept(connection, feeds.feeds["products"], []) == ["color"]
    for number in range(15, 30):
        put(feeds, number, color="absent")
    feeds.pull("products")
    assert drifted(feeds) == {}


def test_another_type_is_a_drift_too(feeds: Feeds) -> None:
    for number in range(15):
        put(feeds, number, color=7)
    feeds.pull("products")
    assert drifted(feeds) == {"color": "was text, is number"}


def test_without_what_records_are_known_by_the_run_stops(feeds: Feeds) -> None:
    for number in range(15):
        put(feeds, number, product="absent", parent="shirt")
    found = feeds.pull("products")
    assert found.failure == "feed_fault: product, which records are known by, vanished; parent may be its new name"
    assert feeds.states()["variation S1"] == "in_sync"


def test_a_required_attribute_that_vanished_refuses_nobody(feeds: Feeds) -> None:
    for number in range(25):
        put(feeds, number, title="absent", name="Shirt", color="b")
    found = feeds.pull("products")
    assert (found.failure, found.staged.rejected) == ("", 0)
    feeds.push()
    assert feeds.shop.products["shirt"]["title"] == "Shirt"
    assert feeds.shop.variations["S1"]["field_color"] == "blue"


def test_what_is_added_only_informs(feeds: Feeds) -> None:
    for number in range(15):
        put(feeds, number, fabric="cotton")
    with structlog.testing.capture_logs() as said:
        feeds.pull("products")
    assert [(line["event"], line["attributes"]) for line in said if line["event"].startswith("feed.")] == [
        ("feed.attributes_added", ["fabric"])
    ]
    assert drifted(feeds) == {}


def test_a_few_records_without_it_are_no_drift(feeds: Feeds) -> None:
    for number in range(9):
        put(feeds, number, color="absent")
    feeds.pull("products")
    assert drifted(feeds) == {}
