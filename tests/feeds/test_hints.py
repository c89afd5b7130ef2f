"""A source says that something changed: its feeds are pulled with the next sweep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from middleware import inbox, routes
from middleware.feeds import pulls
from middleware.ports import Delivery
from middleware.work import Cause, Hint, Work
from tests.feeds.test_feeds import build, shirts
from tests.feeds.world import CATALOG, feed_of
from tests.world import rows


def test_a_hint_of_a_feed_is_a_pull_and_no_fetch(database_url: str) -> None:
    feeds = build(database_url, pim={"every": {"products": 3600.0}})
    runtime = feeds.runtime
    runtime.__dict__["feeds"] = {("pim", "products"): feed_of(runtime, CATALOG)}
    assert pulls.due_pulls(runtime) == [("pim", "products")]
    shirts(feeds.pim, 1)
    feeds.pull("products")
    assert pulls.due_pulls(runtime) == []
    with runtime.sessions.begin() as session:
        work = Work(session, runtime.settings, runtime.vault, runtime.now())
        work.begin(Cause("pim", "event 1", (), 1))
        routes.follow(Hint("uuid-1", "catalog"), work)
        work.flush()
    assert pulls.due_pulls(runtime) == [("pim", "products")]
    assert rows(runtime, "SELECT count(*) FROM calls") == [(0,)]
    feeds.pull("products")
    assert pulls.due_pulls(runtime) == []
    rows(runtime, "UPDATE runs SET due_at = :then, completed_at = :then", then=datetime.now(UTC) - timedelta(hours=2))
    assert pulls.due_pulls(runtime) == [("pim", "products")]
    runtime.close()


def test_a_kept_hint_of_a_feed_is_decided(database_url: str) -> None:
    feeds = build(database_url)
    feeds.pim.LANE = "catalog"  # type: ignore[attr-defined]
    feeds.pull("products")
    inbox.keep(feeds.runtime, "pim", [Delivery("e1", "product.updated", "uuid-1", b"{}", hint=True)])
    assert inbox.decide(feeds.runtime, "catalog") == 1
    assert rows(feeds.runtime, "SELECT state, detail FROM events") == [("decided", "the next pull will see it")]
    assert rows(feeds.runtime, "SELECT is_hinted FROM runs WHERE kind = 'products'") == [(True,)]
    feeds.runtime.close()
