"""GET /health/live, /health/ready and /metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from middleware.broker import MEMORY
from middleware.database import revisions
from middleware.feeds import lag
from middleware.runtime import Runtime
from middleware.settings import metrics_are_shared

_BACKLOG = text(
    "SELECT 'events', lane, count(*), extract(epoch FROM :now - min(kept_at)) FROM events WHERE state IN ('due', 'deciding') GROUP BY lane"
    " UNION ALL SELECT 'parked', lane, count(*), extract(epoch FROM :now - min(kept_at)) FROM events WHERE state = 'parked' GROUP BY lane"
    " UNION ALL SELECT 'calls', lane, count(*), extract(epoch FROM :now - min(asked_at)) FROM calls"
    " WHERE state IN ('pending', 'making', 'retry', 'unknown') GROUP BY lane"
)
_DEAD = text(
    "SELECT 'events', connection, coalesce(cause, ''), count(*) FROM events WHERE state = 'dead' GROUP BY connection, cause"
    " UNION ALL SELECT 'calls', connection, coalesce(cause, ''), count(*) FROM calls WHERE state IN ('dead', 'rejected')"
    " GROUP BY connection, cause"
)


def blueprint(runtime: Runtime) -> Blueprint:
    """The three routes; none needs a login, none shows a personal value."""
    routes = Blueprint("health", __name__)

    @routes.get("/health/live")
    def live() -> Response:
        return jsonify(status="live")

    @routes.get("/health/ready")
    def ready() -> tuple[Response, int]:
        checks = readiness(runtime)
        ok = all(check["ok"] for check in checks.values())
        return jsonify(status="ready" if ok else "not ready", checks=checks), 200 if ok else 503

    @routes.get("/metrics")
    def metrics() -> Response:
        registry = CollectorRegistry()
        registry.register(Backlog(runtime))
        own = generate_latest(registry)
        return Response(generate_latest(_process_metrics()) + own, content_type=CONTENT_TYPE_LATEST)

    return routes


def readiness(runtime: Runtime) -> dict[str, dict[str, Any]]:
    """Database, migration level, broker and the oldest waiting row, each with `ok` and what was found."""
    checks: dict[str, dict[str, Any]] = {"broker": _broker(runtime)}
    try:
        with runtime.engine.connect() as connection:
            have, want = revisions(connection)
            ages = [float(age or 0) for _, _, _, age in connection.execute(_BACKLOG, {"now": runtime.now()})]
        checks["database"] = {"ok": True}
        checks["migrations"] = {"ok": have == want, "have": have, "want": want}
        checks["oldest_waiting_seconds"] = {"ok": True, "value": round(max(ages, default=0.0), 1)}
    except SQLAlchemyError as error:
        checks["database"] = {"ok": False, "error": type(error).__name__}
    return checks


def _broker(runtime: Runtime) -> dict[str, Any]:
    if not runtime.settings.broker.url or runtime.settings.broker.url == MEMORY:
        return {"ok": True, "kind": "in this process"}
    try:
        with runtime.celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
    except Exception as error:  # noqa: BLE001 - every transport has its own errors; the check records and answers
        return {"ok": False, "error": type(error).__name__}
    return {"ok": True, "kind": runtime.settings.broker.url.partition(":")[0]}


def _process_metrics() -> CollectorRegistry:
    if not metrics_are_shared():
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


class Backlog(Collector):
    """Gauges that are read from the tables when they are asked for."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        backlog = GaugeMetricFamily("waybill_backlog", "Rows that wait, by kind and lane", labels=["kind", "lane"])
        oldest = GaugeMetricFamily("waybill_oldest_seconds", "Age of the oldest row that waits", labels=["kind", "lane"])
        dead = GaugeMetricFamily(
            "waybill_dead", "Rows that need a person, by kind, connection and cause", labels=["kind", "connection", "cause"]
        )
        with self._runtime.engine.connect() as connection:
            for kind, lane, count, age in connection.execute(_BACKLOG, {"now": self._runtime.now()}):
                backlog.add_metric([kind, lane], count)
                oldest.add_metric([kind, lane], float(age or 0))
            for kind, name, cause, count in connection.execute(_DEAD):
                dead.add_metric([kind, name, cause], count)
            yield from lag.metrics(self._runtime, connection)
        yield from (backlog, oldest, dead)
