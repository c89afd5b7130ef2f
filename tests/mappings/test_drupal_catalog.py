"""Days and instants by a store's clock, and what an account may refer to although it may not read it."""

from __future__ import annotations

import pytest

from mappings.drupal_catalog import configured_id, on_the_wall


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("start_date", "2026-12-01", "2026-12-01T00:00:00+00:00"),
        ("end_date", "2026-12-31", "2027-01-01T00:00:00+00:00"),
        ("start_date", "2026-12-01T00:00:00+00:00", "2026-12-01T01:00:00+00:00"),
        ("end_date", "2026-07-01T12:30:00.5+02:00", "2026-07-01T12:30:00+00:00"),
    ],
)
def test_a_window_is_kept_by_the_clock_of_its_store_and_ends_with_its_last_day(name: str, value: str, kept: str) -> None:
    assert on_the_wall(name, value, "Europe/Berlin") == kept


def test_a_role_that_may_not_be_read_is_found_among_what_was_left_out() -> None:
    omitted = {"help": {"href": "https://example.test/help"}, "item--x": {"href": "https://shop.test/jsonapi/user_role/user_role/u1"}}
    assert configured_id({"data": [{"id": "u2"}]}) == "u2"
    assert configured_id({"data": [], "meta": {"omitted": {"links": omitted}}}) == "u1"
    assert configured_id({"data": []}) == ""
    assert configured_id({"data": [], "meta": {"omitted": {"links": {**omitted, "item--y": {"href": "/u3"}}}}}) == ""
