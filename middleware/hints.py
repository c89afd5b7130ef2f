"""How many hints may wait: unsigned input costs a fetch each, so a connection's open ones are capped."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy import text

from middleware.errors import Busy

if TYPE_CHECKING:
    from middleware.runtime import Runtime

_FRESH = 1.0
_OPEN = text("SELECT count(*) FROM events WHERE connection = :connection AND hint AND state IN ('due', 'deciding')")


class HintGate:
    """Counts open hints at most once a second, and what came since by itself."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._counted: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def check(self, connection: str) -> None:
        """Let one more hint in, or raise `Busy`."""
        with self._lock:
            at, count = self._counted.get(connection, (0.0, 0))
            if time.monotonic() - at > _FRESH:
                at, count = time.monotonic(), self._count(connection)
            if count >= self._runtime.settings.work.open_hints:
                raise Busy("too many hints of this connection wait to be looked into")
            self._counted[connection] = at, count + 1

    def _count(self, connection: str) -> int:
        with self._runtime.engine.connect() as database:
            return int(database.execute(_OPEN, {"connection": connection}).scalar_one())
