"""What was refused at the door: counters and a bounded, redacted sample for the operator, never a row per request."""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql import insert

from middleware import observing
from middleware.domain.redaction import scrub, scrub_text
from middleware.models import Refusal, RefusalSample

SAMPLES = 100
"""Requests kept per connection and cause; older ones are overwritten."""
_PENDING = 200
_HEADER = 200


class Refusals:
    """Counts in memory; `flush` writes the counts and the newest samples once in a while."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._samples: deque[dict[str, Any]] = deque(maxlen=_PENDING)
        self._last: datetime | None = None
        self._lock = threading.Lock()

    def note(self, connection: str, cause: str, why: str, headers: Mapping[str, str], size: int, at: datetime) -> None:
        """One refused request. `connection` must be a configured one or "?"; header values are cut and scrubbed."""
        observing.WEBHOOKS.labels(connection, cause).inc()
        shown = {name: value[:_HEADER] for name, value in list(headers.items())[:30]}
        sample = {
            "connection": connection,
            "cause": cause,
            "at": at,
            "why": scrub_text(why),
            "size": size,
            "headers": json.dumps(scrub(shown)),
        }
        with self._lock:
            self._counts[connection, cause] += 1
            self._samples.append(sample)
            self._last = at

    def flush(self, engine: Engine) -> None:
        """Write what was noted since the last flush."""
        with self._lock:
            if not self._counts:
                return
            counts, self._counts = self._counts, Counter()
            samples, last = list(self._samples), self._last
            self._samples.clear()
        with engine.begin() as connection:
            totals = {}
            for (name, cause), count in sorted(counts.items()):
                row = insert(Refusal).values(connection=name, cause=cause, count=count, last_at=last)
                row = row.on_conflict_do_update(
                    index_elements=["connection", "cause"], set_={"count": Refusal.count + count, "last_at": last}
                )
                totals[name, cause] = connection.execute(row.returning(Refusal.count)).scalar_one()
            for sample in reversed(samples):
                key = sample["connection"], sample["cause"]
                totals[key] -= 1
                slot = insert(RefusalSample).values(**sample, slot=totals[key] % SAMPLES)
                connection.execute(slot.on_conflict_do_update(index_elements=["connection", "cause", "slot"], set_=sample))
