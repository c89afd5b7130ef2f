"""Which secret verified how many requests, and when last: during a rotation it shows when the old one is dead."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime

from sqlalchemy import Engine, text


class SecretUses:
    """Counts in memory; `flush` adds them to the table once in a while."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._last: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()

    def note(self, connection: str, source: str, at: datetime) -> None:
        """One request that the secret with this reference verified."""
        with self._lock:
            self._counts[connection, source] += 1
            self._last[connection, source] = at

    def flush(self, engine: Engine) -> None:
        """Write what was noted since the last flush."""
        with self._lock:
            counts, last = self._counts, dict(self._last)
            self._counts, self._last = Counter(), {}
        if not counts:
            return
        rows = [{"connection": c, "source": s, "uses": n, "at": last[c, s]} for (c, s), n in sorted(counts.items())]
        with engine.begin() as connection:
            connection.execute(_ADD, rows)


_ADD = text(
    "INSERT INTO secret_uses AS u (connection, source, uses, last_at) VALUES (:connection, :source, :uses, :at)"
    " ON CONFLICT (connection, source) DO UPDATE SET uses = u.uses + excluded.uses, last_at = greatest(u.last_at, excluded.last_at)"
)
