"""How far each feed is behind its source: measured always, alarmed where a bound is declared (`stale_after`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Connection, text

from middleware.observing import log

if TYPE_CHECKING:
    from middleware.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Lag:
    """One feed: `seconds` since the shop last had everything that the source had (None: never; then `known` since it was first tried),
    `bound` what was declared (0: nothing). What was read but still waits to be written counts as not there."""

    connection: str
    kind: str
    seconds: float | None
    bound: float
    known: float = 0.0

    @property
    def is_stale(self) -> bool:
        return bool(self.bound) and (self.known if self.seconds is None else self.seconds) > self.bound


def lags(runtime: Runtime, connection: Connection) -> list[Lag]:
    """Every feed's lag now."""
    now = runtime.now()
    runs = {(row.connection, row.kind): row for row in connection.execute(_RUNS)}
    waiting = {(row.connection, row.kind): row.since for row in connection.execute(_WAITING)}
    return [_lag(runtime, key, runs.get(key), waiting.get(key), now) for key in sorted(runtime.feeds)]


def _lag(runtime: Runtime, key: tuple[str, str], run: Any, waiting: datetime | None, now: datetime) -> Lag:
    bound = runtime.settings.connections[key[0]].stale_after.get(key[1], 0.0)
    known = (now - run.known_since).total_seconds() if run else 0.0
    if run is None or run.watermark is None:
        return Lag(*key, None, bound, known)
    as_of = run.watermark + timedelta(seconds=runtime.settings.connections[key[0]].overlap)
    return Lag(*key, (now - min(filter(None, (as_of, waiting)))).total_seconds(), bound, known)


def watch(runtime: Runtime) -> list[Lag]:
    """Say when a feed becomes stale, and when it no longer is: one line for each change. Returns what is stale."""
    bound = [name for name, one in runtime.settings.connections.items() if one.stale_after]
    if not bound:
        return []
    with runtime.engine.begin() as connection:
        found = [lag for lag in lags(runtime, connection) if lag.bound]
        for lag in found:
            values = {"connection": lag.connection, "kind": lag.kind, "now": runtime.now()}
            if connection.execute(_STALE if lag.is_stale else _FRESH, values).first() is None:
                continue
            say, event = (log.error, "feed.stale") if lag.is_stale else (log.info, "feed.fresh")
            say(event, connection=lag.connection, kind=lag.kind, seconds=lag.seconds, bound=lag.bound)
    return [lag for lag in found if lag.is_stale]


def metrics(runtime: Runtime, connection: Connection) -> Iterator[Metric]:
    """Gauges of every feed and of what it left behind."""
    seconds = GaugeMetricFamily("waybill_sync_lag_seconds", "Since the shop had all that the source had", labels=["connection", "kind"])
    bounds = GaugeMetricFamily("waybill_sync_lag_bound_seconds", "The declared bound of a feed's lag", labels=["connection", "kind"])
    rejected = GaugeMetricFamily("waybill_records_rejected", "Records that cannot be written as they are", labels=["connection", "kind"])
    paused = GaugeMetricFamily("waybill_fields_paused", "Fields paused by a change of shape", labels=["connection", "kind"])
    items = GaugeMetricFamily("waybill_items", "Things of a shop by kind and state", labels=["shop", "kind", "state"])
    for lag in lags(runtime, connection):
        seconds.add_metric([lag.connection, lag.kind], float("inf") if lag.seconds is None else lag.seconds)
        if lag.bound:
            bounds.add_metric([lag.connection, lag.kind], lag.bound)
    for row in connection.execute(_REJECTED):
        rejected.add_metric([row.connection, row.kind], row.number)
    for row in connection.execute(_PAUSED):
        paused.add_metric([row.connection, row.kind], row.number)
    for row in connection.execute(_ITEMS):
        items.add_metric([row.shop, row.kind, row.state], row.number)
    yield from (seconds, bounds, rejected, paused, items)


# A completed run brought all that the source had when it began: its watermark is that, less the overlap.
_RUNS = text("SELECT connection, kind, known_since, watermark FROM runs")
_WAITING = text(
    """
SELECT split_part(part, '/', 1) AS connection, substr(part, strpos(part, '/') + 1) AS kind, min(changed_at) AS since
FROM items, jsonb_object_keys(parts) AS part WHERE state = 'waiting' AND (cause = '' OR attempts > 0) GROUP BY 1, 2
"""
)
_STALE = text(
    "INSERT INTO runs (connection, kind, due_at, is_stale) VALUES (:connection, :kind, :now, true)"
    " ON CONFLICT (connection, kind) DO UPDATE SET is_stale = true WHERE NOT runs.is_stale RETURNING kind"
)
_FRESH = text("UPDATE runs SET is_stale = false WHERE connection = :connection AND kind = :kind AND is_stale RETURNING kind")
_REJECTED = text("SELECT connection, kind, count(*) AS number FROM records WHERE state = 'rejected' GROUP BY 1, 2")
_PAUSED = text("SELECT connection, kind, count(*) AS number FROM shapes, jsonb_object_keys(drifted) GROUP BY 1, 2")
_ITEMS = text("SELECT shop, kind, state, count(*) AS number FROM items GROUP BY 1, 2, 3")
