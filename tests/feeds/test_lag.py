"""How far behind a feed is, and the one line that says when that is too far."""

from __future__ import annotations

from datetime import timedelta

import pytest
import structlog

from middleware.errors import Transient
from middleware.feeds import lag
from tests.feeds.test_feeds import Feeds, build, shirts
from tests.world import rows


def later(feeds: Feeds, seconds: float) -> None:
    """Let time pass: everything that the runs and items know is that much older."""
    shift = timedelta(seconds=seconds)
    rows(feeds.runtime, "UPDATE runs SET watermark = watermark - :s, known_since = known_since - :s", s=shift)
    rows(feeds.runtime, "UPDATE items SET changed_at = changed_at - :s", s=shift)


def products(feeds: Feeds) -> lag.Lag:
    with feeds.runtime.engine.connect() as connection:
        return next(one for one in lag.lags(feeds.runtime, connection) if one.kind == "products")


@pytest.fixture
def bounded(database_url: str) -> Feeds:
    return build(database_url, pim={"stale_after": {"products": 60.0}})


def test_a_feed_becomes_stale_once_and_fresh_once(bounded: Feeds) -> None:
    shirts(bounded.pim, 1)
    bounded.pull("products")
    bounded.push()
    with structlog.testing.capture_logs() as said:
        assert lag.watch(bounded.runtime) == []
        later(bounded, 100)
        assert [one.kind for one in lag.watch(bounded.runtime)] == ["products"]
        lag.watch(bounded.runtime)
        bounded.pull("products")
        assert lag.watch(bounded.runtime) == []
        lag.watch(bounded.runtime)
    assert [(line["event"], line["kind"]) for line in said] == [("feed.stale", "products"), ("feed.fresh", "products")]
    bounded.runtime.close()


def test_what_was_read_but_not_written_is_behind(bounded: Feeds) -> None:
    shirts(bounded.pim, 1)
    bounded.pull("products")
    later(bounded, 100)
    bounded.pull("products")
    assert (products(bounded).seconds or 0) > 99
    bounded.push()
    assert (products(bounded).seconds or 0) < 60
    bounded.runtime.close()


def test_a_feed_that_was_never_whole_is_stale_after_its_bound(bounded: Feeds) -> None:
    assert (products(bounded).seconds, products(bounded).is_stale) == (None, False)
    bounded.pim.fails = [Transient("HTTP 503")]
    bounded.pull("products")
    assert products(bounded).is_stale is False
    later(bounded, 100)
    assert products(bounded).is_stale is True
    bounded.runtime.close()


def test_the_metrics_tell_lag_bound_and_items(bounded: Feeds) -> None:
    shirts(bounded.pim, 1)
    bounded.pull("products")
    with bounded.runtime.engine.connect() as connection:
        found = {one.name: {tuple(s.labels.values()): s.value for s in one.samples} for one in lag.metrics(bounded.runtime, connection)}
    assert found["waybill_sync_lag_bound_seconds"] == {("pim", "products"): 60.0}
    assert found["waybill_sync_lag_seconds"]["erp", "stock"] == float("inf")
    assert found["waybill_items"] == {("shop", "product", "waiting"): 1, ("shop", "variation", "waiting"): 1}
    bounded.runtime.close()
