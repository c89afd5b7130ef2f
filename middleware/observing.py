"""What the operators see: one log schema, the metrics, and error reports; each without secrets and personal data."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import sentry_sdk
import structlog
from prometheus_client import Counter, Histogram
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport

from middleware import context
from middleware.domain.redaction import scrub
from middleware.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger("waybill")

LAG = (0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 600, 3600, 86400)

WEBHOOKS = Counter("waybill_webhooks_total", "Deliveries received, by connection and verdict", ["connection", "verdict"])
DECIDED = Counter("waybill_events_total", "Events decided, by connection and state", ["connection", "state"])
DECIDE_LAG = Histogram("waybill_decide_lag_seconds", "From kept to decided", ["connection", "lane"], buckets=LAG)
CALLS = Counter("waybill_calls_total", "Attempts of calls, by connection, operation and outcome", ["connection", "operation", "outcome"])
SIGNALS = Counter("waybill_storefront_signals_total", "What storefronts saw, by shop, signal and outcome", ["shop", "signal", "outcome"])
TOTALS_SHOWN = Counter("waybill_totals_shown_total", "Totals shown to customers against those charged", ["shop", "verdict"])
NOT_OWNED = Counter("waybill_not_owned_total", "Values left out because their feed does not own the field any more", ["shop", "feed"])
EXCHANGES = Histogram("waybill_exchange_seconds", "HTTP exchanges by connection and result", ["connection", "result"])


def configure(settings: Settings, transport: Transport | None = None) -> None:
    """Set up logs for this process, and Sentry when a DSN is configured. `transport` replaces Sentry's own in tests."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _add_context,
        structlog.processors.format_exc_info,
        _scrub_event,
    ]
    last: Any = (
        structlog.processors.JSONRenderer()
        if settings.logging.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last]
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("waybill").setLevel(settings.logging.level.upper())
    if settings.sentry_dsn is not None:
        sentry_sdk.init(
            dsn=settings.sentry_dsn.reveal(),
            environment=settings.environment,
            include_local_variables=False,
            integrations=[LoggingIntegration(event_level=None)],  # `report` sends an error once; its log line would send it again
            max_request_body_size="never",
            before_send=_scrub_report,
            before_breadcrumb=_scrub_breadcrumb,
            transport=transport,
        )


def report(error: BaseException) -> None:
    """Send an unexpected error to Sentry when it is configured; never raises."""
    sentry_sdk.capture_exception(error)


def _add_context(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if context.correlation_id.get():
        event.setdefault("correlation_id", context.correlation_id.get())
    if context.traceparent.get():
        event.setdefault("traceparent", context.traceparent.get())
    return event


_OURS = frozenset({"event", "level", "logger", "at", "correlation_id", "traceparent", "_record", "_from_structlog"})


def _scrub_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if key not in ("_record", "_from_structlog"):
            event[key] = scrub(event[key], "" if key in _OURS else key)
    return event


def _scrub_report(event: Any, _hint: Any) -> Any:
    event.pop("request", None)
    event.pop("user", None)
    return scrub(event)


def _scrub_breadcrumb(crumb: Any, _hint: Any) -> Any:
    return scrub(crumb)
