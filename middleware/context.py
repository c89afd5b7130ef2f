"""What one piece of work carries along: the ids that join its log lines, its rows and its outgoing requests."""

from __future__ import annotations

from contextvars import ContextVar

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
"""The id given to the inbound request that everything here goes back to; empty outside of any."""

traceparent: ContextVar[str] = ContextVar("traceparent", default="")
"""The W3C trace context of the work (https://www.w3.org/TR/trace-context/#traceparent-header), passed on as it is."""

deadline: ContextVar[float] = ContextVar("deadline", default=0.0)
"""When the call at hand must be over, on the monotonic clock; 0 outside of a call. Every request of the call shares it."""
