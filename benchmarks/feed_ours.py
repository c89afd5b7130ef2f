"""Our side of the feed benchmark, in a process of its own: a first full pull, then unchanged ones. Prints a JSON line for each."""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from pathlib import Path

from mappings.table_files import read
from middleware.database import engine_for, migrate
from middleware.feeds import pulls
from middleware.feeds.feed import Feed
from middleware.runtime import Runtime
from middleware.settings import Connection
from middleware.testing import secret, settings
from middleware.vault import new_key

TABLE = {
    "connection": "erp",
    "kind": "stock",
    "shop": "shop",
    "sku": "sku",
    "fields": [{"to": "field_stock", "from": "available", "type": "integer", "required": True}],
}


def main(source: str, database: str, rounds: int) -> None:
    engine = engine_for(database)
    migrate(engine)
    engine.dispose()
    connections = {
        "erp": Connection("erp", "demo_erp", source, (), {"key": secret("key")}, {"page": 1_000}, deadline=60, timeout=30),
        "shop": Connection("shop", "demo_erp", source, (), {"key": secret("key")}),
    }
    runtime = Runtime(settings(database, connections, {}, keys=(secret(new_key()),)), ring=lambda *_: None)
    table = read("stock", TABLE)
    feed = Feed("erp", "stock", table, runtime.connector("erp"))
    runtime.__dict__["feeds"] = {("erp", "stock"): feed}
    pulls.pull(runtime, feed, full=True, pages=1)  # everything is imported and connected
    with runtime.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM records; DELETE FROM items; DELETE FROM runs; DELETE FROM shapes; DELETE FROM sweeps")
    gc.collect()
    idle = _resident()
    for round_number in range(rounds + 1):
        began, cpu = time.perf_counter(), time.process_time()
        found = pulls.pull(runtime, feed, full=True)
        assert found is not None and not found.failure, found
        seconds = time.perf_counter() - began
        said = {
            "what": "unchanged" if round_number else "first",
            "records": found.staged.unchanged if round_number else found.staged.created,
            "seconds": seconds,
            "cpu_us": (time.process_time() - cpu) * 1e6,
            "above_idle": _resident() - idle,
        }
        print(json.dumps(said), flush=True)
        if not round_number:
            with runtime.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE records")
    runtime.close()


def _resident() -> int:
    """Bytes of memory that the process holds now."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
