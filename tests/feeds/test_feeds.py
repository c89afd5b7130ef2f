"""Feeds from a source to a shop: staged once, merged per variation, written once, resumed, and taken back only when they are gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from middleware import operations
from middleware.errors import Rejected, Transient
from middleware.feeds import again, pulls, pushes
from middleware.feeds.feed import Feed
from middleware.feeds.pulls import Pulled
from middleware.ports import NOT_THERE
from middleware.runtime import Runtime
from tests.feeds.world import CATALOG, PRICES, STOCK, MemoryShop, MemorySource, feed_of, runtime_with
from tests.world import rows


@dataclass
class Feeds:
    """Catalog, prices and stock of one shop."""

    runtime: Runtime
    pim: MemorySource
    erp: MemorySource
    stock_source: MemorySource
    shop: MemoryShop
    feeds: dict[str, Feed] = field(default_factory=dict)

    def pull(self, name: str, **how: Any) -> Pulled:
        found = pulls.pull(self.runtime, self.feeds[name], **how)
        assert found is not None
        return found

    def push(self) -> list[dict[str, int]]:
        found = []
        while batch := pushes.push(self.runtime, "shop"):
            found.append(dict(batch))
        return found

    def states(self) -> dict[str, str]:
        return {f"{kind} {key}": state for kind, key, state in rows(self.runtime, "SELECT kind, key, state FROM items ORDER BY 1, 2")}


@pytest.fixture
def feeds(database_url: str) -> Iterator[Feeds]:
    made = build(database_url)
    yield made
    made.runtime.close()


def build(database_url: str, **changes: Any) -> Feeds:
    pim, erp, stock, shop = MemorySource(), MemorySource(), MemorySource(), MemoryShop()
    runtime = runtime_with(database_url, {"pim": pim, "erp": erp, "shop": shop}, **changes)
    made = Feeds(runtime, pim, erp, stock, shop)
    made.feeds = {"products": feed_of(runtime, CATALOG), "prices": feed_of(runtime, PRICES)}
    made.feeds["stock"] = Feed("erp", "stock", STOCK, stock)
    return made


def shirts(pim: MemorySource, *numbers: int) -> None:
    for number in numbers:
        pim.put(f"{number:03d}", sku=f"S{number}", product="shirt", title="Shirt", color="r")


def test_a_catalog_is_written_once_and_an_unchanged_pull_writes_nothing(feeds: Feeds) -> None:
    shirts(feeds.pim, 1, 2, 3, 4)
    staged = feeds.pull("products").staged
    assert (staged.created, staged.unchanged, staged.examples["created"][0]) == (4, 0, "001 → S1")
    assert feeds.push() == [{"written": 5}]
    assert feeds.shop.products == {"shirt": {"title": "Shirt", "status": True}}
    assert feeds.shop.variations["S4"] == {"field_color": "red", "status": True}
    again = feeds.pull("products", full=True).staged
    assert (again.created, again.updated, again.unchanged) == (0, 0, 4)
    assert feeds.push() == []
    assert rows(feeds.runtime, "SELECT count(*) FROM items WHERE state = 'in_sync' AND remote_id = 'id-' || key") == [(5,)]


def test_price_and_content_of_a_variation_are_one_write(feeds: Feeds) -> None:
    shirts(feeds.pim, 1)
    feeds.erp.put("p1", sku="S1", price="19.90")
    feeds.pull("prices")
    feeds.pull("products")
    feeds.push()
    assert feeds.shop.variations["S1"] == {"field_color": "red", "price": {"number": "19.9", "currency_code": "EUR"}, "status": True}
    assert feeds.shop.sent == [["product shirt", "variation S1"]]


def test_a_price_whose_variation_is_nowhere_waits_with_its_reason(feeds: Feeds) -> None:
    feeds.erp.put("p1", sku="S1", price="19.90")
    feeds.pull("prices")
    assert feeds.push() == [{"absent": 1}]
    assert rows(feeds.runtime, "SELECT state, cause, due_at > now() + interval '5 hours' FROM items") == [("waiting", NOT_THERE, True)]
    shirts(feeds.pim, 1)
    feeds.pull("products")
    feeds.push()
    assert feeds.states() == {"product shirt": "in_sync", "variation S1": "in_sync"}


def test_a_change_during_a_write_is_never_lost(feeds: Feeds) -> None:
    shirts(feeds.pim, 1)
    feeds.pull("products")

    def price_comes_in() -> None:
        feeds.erp.put("p1", sku="S1", price="5")
        feeds.pull("prices")

    feeds.shop.during = price_comes_in
    pushes.push(feeds.runtime, "shop")
    assert feeds.states() == {"product shirt": "in_sync", "variation S1": "waiting"}
    feeds.push()
    assert feeds.shop.variations["S1"]["price"] == {"number": "5", "currency_code": "EUR"}


def test_a_bad_record_is_refused_with_its_attribute_and_the_rest_goes_on(feeds: Feeds) -> None:
    shirts(feeds.pim, 1, 2)
    feeds.pim.put("003", sku="S3", product="shirt", color="r")
    feeds.pim.put("004", sku="S4", product="shirt", title="Shirt", color="green")
    staged = feeds.pull("products").staged
    assert (staged.created, staged.rejected) == (2, 2)
    found = rows(feeds.runtime, "SELECT source_id, attribute, rule, value FROM records WHERE state = 'rejected' ORDER BY 1")
    assert found == [("003", "title", "is missing", ""), ("004", "color", "is no known option", "green")]
    feeds.push()
    assert sorted(feeds.shop.variations) == ["S1", "S2"]


def test_a_record_that_turns_bad_leaves_the_last_good_version_in_the_shop(feeds: Feeds) -> None:
    shirts(feeds.pim, 1)
    feeds.pull("products")
    feeds.push()
    feeds.pim.put("001", sku="S1", product="shirt", title="Shirt", color="green")
    feeds.pull("products")
    assert feeds.push() == []
    assert feeds.shop.variations["S1"] == {"field_color": "red", "status": True}
    feeds.pim.put("001", sku="S1", product="shirt", title="Shirt", color="b")
    feeds.pull("products")
    feeds.push()
    assert feeds.shop.variations["S1"]["field_color"] == "blue"


def test_a_page_that_fails_the_same_way_everywhere_stops_the_run(feeds: Feeds) -> None:
    feeds.pim.page = 50
    for number in range(25):
        feeds.pim.put(f"{number:03d}", sku=f"S{number}", product="shirt", name="renamed")
    found = feeds.pull("products")
    assert found.failure == "feed_fault: all 25 changed records of a page of pim/products are refused the same way: title is missing"
    assert rows(feeds.runtime, "SELECT count(*) FROM records") == [(0,)]


def test_two_records_with_one_sku_do_not_fight(feeds: Feeds) -> None:
    feeds.pim.put("001", sku="S1", product="shirt", title="Shirt", color="r")
    feeds.pim.put("002", sku="S1", product="shirt", title="Shirt", color="b")
    assert feeds.pull("products").staged.examples["rejected"] == ["002: sku is that of record 001 already: S1"]
    feeds.push()
    assert feeds.shop.variations["S1"]["field_color"] == "red"


def test_a_sku_that_moves_to_another_record_follows_it(feeds: Feeds) -> None:
    shirts(feeds.pim, 1, 2)
    feeds.pull("products")
    feeds.push()
    feeds.pim.put("001", sku="S9", product="shirt", title="Shirt", color="r")
    feeds.pull("products")
    feeds.push()
    assert {sku: one["status"] for sku, one in feeds.shop.variations.items()} == {"S1": False, "S2": True, "S9": True}


def test_a_run_goes_on_where_it_stopped(feeds: Feeds) -> None:
    shirts(feeds.pim, *range(1, 10))
    feeds.pim.fails = [None, Transient("HTTP 503")]
    assert feeds.pull("products").failure == "transient: HTTP 503"
    assert feeds.pim.calls == ["", "003"]
    assert feeds.pull("products").failure == ""
    assert feeds.pim.calls == ["", "003", "003", "006"]
    assert rows(feeds.runtime, "SELECT count(*) FROM records") == [(9,)]
    assert rows(feeds.runtime, "SELECT watermark IS NOT NULL, cursor FROM runs WHERE connection = 'pim'") == [(True, "")]


def test_what_a_source_rejects_begins_anew(feeds: Feeds) -> None:
    shirts(feeds.pim, *range(1, 6))
    feeds.pim.fails = [None, Rejected("the file changed while it was read")]
    feeds.pull("products")
    feeds.pull("products")
    assert feeds.pim.calls == ["", "003", "", "003"]


def test_the_watermark_moves_only_when_a_run_completes(feeds: Feeds) -> None:
    shirts(feeds.pim, *range(1, 6))
    feeds.pull("products", pages=1)
    assert rows(feeds.runtime, "SELECT watermark, cursor FROM runs WHERE connection = 'pim'") == [(None, "003")]
    feeds.pull("products")
    feeds.pim.changed.clear()
    shirts(feeds.pim, 7)
    assert feeds.pull("products").staged.created == 1


def test_a_pull_that_another_worker_runs_is_left_alone(feeds: Feeds) -> None:
    feeds.pull("products")
    rows(feeds.runtime, "UPDATE runs SET lease_until = now() + interval '1 minute'")
    assert pulls.pull(feeds.runtime, feeds.feeds["products"]) is None


def test_only_what_two_complete_full_runs_miss_is_taken_back(feeds: Feeds) -> None:
    shirts(feeds.pim, *range(1, 9))
    feeds.pull("products")
    feeds.push()
    del feeds.pim.records["008"]
    assert feeds.pull("products", full=True).staged.gone == 0
    feeds.pim.fails = [None, Transient("away")]
    feeds.pull("products", full=True)  # it fails in the middle: a failed page deletes nothing
    assert feeds.states()["variation S8"] == "in_sync"
    feeds.pull("products")
    feeds.push()
    assert feeds.shop.variations["S8"]["status"] is False
    assert feeds.pull("products", full=True).staged.gone == 0


def test_what_comes_back_is_written_again(feeds: Feeds) -> None:
    shirts(feeds.pim, *range(1, 9))
    feeds.pull("products")
    del feeds.pim.records["008"]
    feeds.pull("products", full=True)
    feeds.pull("products", full=True)
    feeds.push()
    shirts(feeds.pim, 8)
    feeds.pull("products")
    feeds.push()
    assert feeds.shop.variations["S8"] == {"field_color": "red", "status": True}


def test_a_feed_that_vanishes_is_held_back_by_the_guard(feeds: Feeds) -> None:
    shirts(feeds.pim, *range(1, 9))
    feeds.pull("products")
    feeds.pim.records = {"001": feeds.pim.records["001"]}
    feeds.pull("products", full=True)
    found = feeds.pull("products", full=True)
    assert (found.held_back, found.staged.gone) == (7, 0)
    assert rows(feeds.runtime, "SELECT detail FROM runs WHERE connection = 'pim'") == [
        ("7 deletions held back: more than 20% of the feed",)
    ]
    assert feeds.pull("products", full=True, allow_deletions=True).staged.gone == 7


def test_a_preview_says_everything_and_changes_nothing(feeds: Feeds) -> None:
    shirts(feeds.pim, 1, 2, 3)
    feeds.pull("products")
    before = rows(feeds.runtime, "SELECT * FROM records ORDER BY 1, 2, 3"), rows(feeds.runtime, "SELECT * FROM runs")
    feeds.pim.put("002", sku="S2", product="shirt", title="Shirt", color="b")
    feeds.pim.put("004", sku="S4", product="shirt")
    feeds.pim.put("005", sku="S5", product="shirt", title="Shirt", color="b")
    del feeds.pim.records["003"]
    staged = pulls.preview(feeds.runtime, feeds.feeds["products"]).staged
    assert (staged.created, staged.updated, staged.rejected, staged.gone, staged.unchanged) == (1, 1, 1, 1, 1)
    assert staged.examples["gone"] == ["003"]
    assert (rows(feeds.runtime, "SELECT * FROM records ORDER BY 1, 2, 3"), rows(feeds.runtime, "SELECT * FROM runs")) == before


def test_another_version_of_the_table_maps_stored_records_again_without_reading_them(feeds: Feeds) -> None:
    shirts(feeds.pim, 1, 2)
    feeds.pull("products")
    feeds.push()
    rule = CATALOG.rules[1]
    purple = replace(CATALOG, rules=(CATALOG.rules[0], replace(rule, options={"r": "purple"})))
    feeds.feeds["products"] = Feed("pim", "products", purple, feeds.pim)
    feeds.pim.changed.clear()
    assert feeds.pull("products").staged.updated == 2
    feeds.push()
    assert feeds.shop.variations["S2"]["field_color"] == "purple"


def test_a_shop_that_is_away_is_tried_again_and_a_refusal_is_kept_with_its_field(feeds: Feeds) -> None:
    shirts(feeds.pim, 1, 2)
    feeds.pull("products")
    feeds.shop.away = 1
    assert feeds.push() == [{"retry": 3}]
    rows(feeds.runtime, "UPDATE items SET due_at = now() - interval '1 s'")
    feeds.shop.refuses = {"S2": "Unprocessable: the price is wrong"}
    assert feeds.push() == [{"written": 2, "rejected": 1}]
    found = rows(feeds.runtime, "SELECT key, state, cause, field FROM items WHERE state = 'rejected'")
    assert found == [("S2", "rejected", "Unprocessable: the price is wrong", "attributes/price")]
    feeds.shop.refuses.clear()
    feeds.pim.put("002", sku="S2", product="shirt", title="Shirt", color="b")
    feeds.pull("products")
    feeds.push()
    assert feeds.states()["variation S2"] == "in_sync"


def test_what_was_refused_is_tried_again_on_demand(feeds: Feeds) -> None:
    shirts(feeds.pim, 1, 2)
    feeds.pim.put("003", sku="S1", product="shirt", title="Shirt", color="r")  # the twin of 001
    feeds.pull("products")
    feeds.shop.refuses = {"S2": "Forbidden"}
    feeds.push()
    feeds.shop.refuses.clear()
    del feeds.pim.records["001"]
    feeds.pull("products", full=True, allow_deletions=True)
    feeds.pull("products", full=True, allow_deletions=True)
    assert feeds.push() == [{"written": 1}]  # S1 is taken back; its twin is as refused as before
    assert again.retry(feeds.runtime, ["variation/S9", "009"], "test") == (0, 0)
    assert again.retry(feeds.runtime, ["variation/S2"], "test") == (0, 1)
    assert feeds.push() == [{"written": 1}]
    assert again.retry(feeds.runtime, [], "test") == (1, 0)
    feeds.pull("products")
    feeds.push()
    assert set(feeds.states().values()) == {"in_sync"}
    assert rows(feeds.runtime, "SELECT source_id, state FROM records ORDER BY 1") == [("001", "gone"), ("002", "mapped"), ("003", "mapped")]


def test_an_item_whose_worker_vanished_is_written_by_another(feeds: Feeds) -> None:
    shirts(feeds.pim, 1)
    feeds.pull("products")
    rows(feeds.runtime, "UPDATE items SET token = 'gone', lease_until = now() + interval '1 minute'")
    assert feeds.push() == []
    rows(feeds.runtime, "UPDATE items SET lease_until = now() - interval '1 s'")
    assert feeds.push() == [{"written": 2}]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("content"), st.integers(0, 5), st.sampled_from("rb")),
        st.tuples(st.just("price"), st.integers(0, 5), st.integers(0, 3)),
        st.tuples(st.just("delete"), st.integers(0, 5), st.none()),
        st.tuples(st.sampled_from(["delta", "full", "killed"]), st.sampled_from(["products", "prices"]), st.integers(1, 2)),
        st.tuples(st.just("push"), st.none(), st.none()),
    ),
    max_size=25,
)


def test_whatever_the_order_the_end_state_equals_the_sources(cluster: Any) -> None:
    @given(steps=STEPS)
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None, derandomize=True)
    def property_holds(steps: list[tuple[str, Any, Any]]) -> None:
        name, url = cluster.clone()
        feeds = build(url, pim={"deletion_guard": 1.0}, erp={"deletion_guard": 1.0})
        try:
            for step in steps:
                _do(feeds, *step)
            _settle(feeds)
            _check(feeds)
        finally:
            feeds.runtime.close()
            cluster.drop(name)

    property_holds()


def _do(feeds: Feeds, what: str, one: Any, two: Any) -> None:
    if what == "content":
        feeds.pim.put(f"{one:03d}", sku=f"S{one}", product=f"P{one % 2}", title=f"Title {one % 2}", color=two)
    elif what == "price":
        feeds.erp.put(f"p{one}", sku=f"S{one}", price=str(two))
    elif what == "delete":
        feeds.pim.records.pop(f"{one:03d}", None)
    elif what == "push":
        pushes.push(feeds.runtime, "shop")
    elif what == "killed":
        feeds.pull(one, pages=two)
    else:
        feeds.pull(one, full=what == "full")


def _settle(feeds: Feeds) -> None:
    """Finish what is under way, miss twice what is gone, write what waits."""
    for name in ("products", "prices"):
        for _ in range(3):
            feeds.pull(name, full=True)
    for _ in range(5):
        rows(feeds.runtime, "UPDATE items SET due_at = now() - interval '1 s'")
        feeds.push()


def _check(feeds: Feeds) -> None:
    content = {one["sku"]: one for one in feeds.pim.records.values()}
    prices = {one["sku"]: one["price"] for one in feeds.erp.records.values()}
    alive = {sku: one for sku, one in feeds.shop.variations.items() if one["status"]}
    assert sorted(alive) == sorted(content)
    for sku, one in alive.items():
        assert one["field_color"] == {"r": "red", "b": "blue"}[content[sku]["color"]]
        price = one.get("price")
        assert (price and price["number"]) == prices.get(sku)
    before = len(feeds.shop.sent)
    for name in ("products", "prices"):
        feeds.pull(name, full=True)
    while pushes.push(feeds.runtime, "shop"):
        pass
    assert len(feeds.shop.sent) == before  # nothing changed: nothing is written


def test_a_refused_credential_pauses_the_shop_instead_of_asking_again_and_again(feeds: Feeds) -> None:
    shirts(feeds.pim, 4)
    feeds.pull("products")
    feeds.shop.locked = True
    feeds.push()
    assert len(feeds.shop.sent) == 1
    assert feeds.push() == [] and pushes.waiting(feeds.runtime) == []
    assert rows(feeds.runtime, "SELECT connection, reason FROM switches") == [("shop", "unauthorized: HTTP 401: the key is not known")]
    feeds.shop.locked = False
    operations.switch(feeds.runtime, "shop", None, by="test")
    rows(feeds.runtime, "UPDATE items SET due_at = now() - interval '1 s'")
    feeds.push()
    assert set(feeds.states().values()) == {"in_sync"}


def test_a_value_that_is_taken_away_is_taken_away_in_the_shop(feeds: Feeds) -> None:
    shirts(feeds.pim, 1)
    feeds.pull("products")
    feeds.push()
    feeds.pim.put("001", sku="S1", product="shirt", title="Shirt")
    feeds.pull("products")
    feeds.push()
    assert feeds.shop.variations["S1"] == {"field_color": None, "status": True}
    assert feeds.pull("products", full=True).staged.updated == 0
    feeds.pim.put("002", sku="S2", product="shirt", title="Shirt")
    feeds.pull("products")
    feeds.push()
    assert feeds.shop.variations["S2"] == {"status": True}
