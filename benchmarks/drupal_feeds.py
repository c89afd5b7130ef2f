"""What bringing a catalog into a real Drupal Commerce site costs: Waybill beside Drupal's own Migrate and Feeds, in the same minutes.

    python -m benchmarks.drupal_feeds --site http://127.0.0.1:8080 --key-id ID --secret whsec_… --drush /path/to/drush

The key belongs to an account with the module's role (`waybill`). Every way writes the same: a CSV of products with one variation
each, then a CSV of their stock. Waybill's figure holds everything: reading the file, mapping, merging, the bookkeeping in
PostgreSQL, the requests, and in Drupal access and validation, which Migrate leaves out. Migrate and Feeds run in a PHP process of
their own; its start is not counted. What was written is counted in the site after each way; test products are removed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks import postgres, processes, report
from benchmarks.provision import WORK
from middleware.database import migrate
from middleware.feeds import pulls, pushes
from middleware.runtime import Runtime
from middleware.secret import Secret
from middleware.settings import Connection
from middleware.testing import settings
from middleware.vault import new_key

TABLE = """
connection = "files"
kind = "{kind}"
shop = "shop"
sku = "sku"
"""
PRODUCTS = (
    TABLE.format(kind="products")
    + """
product = "sku"
[[fields]]
to = "title"
from = "title"
of = "product"
required = true
[[fields]]
to = "price"
from = "price"
type = "price"
currency = "currency"
required = true
"""
)
STOCK = (
    TABLE.format(kind="stock")
    + """
[[fields]]
to = "waybill_bench_stock"
from = "on_hand"
type = "integer"
required = true
"""
)
PREFIX = "WAYBILLBENCH"
PATIENCE = 300.0
"""Seconds for one file at most."""


@dataclass(slots=True)
class Bench:
    """A site, and what is written to it."""

    site: str
    signer: dict[str, str]
    secret: str
    drush: Path
    items: int
    plain: int
    folder: Path
    cluster: postgres.Cluster
    currency: str = ""
    made: int = 0
    stock: int = 0

    def php(self, *words: str) -> dict[str, Any]:
        """Run `drupal_feeds.php` on the site; the JSON on its last line."""
        command = [str(self.drush), "php:script", "drupal_feeds.php", f"--script-path={Path(__file__).parent}", "--", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"drush failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return answer

    def prefix(self) -> str:
        """The beginning of SKUs that nobody has."""
        self.made += 1
        return f"{PREFIX}{self.made}X"

    def count(self, way: str) -> int:
        return self.plain if way.startswith("Waybill, JSON:API") else self.items


@contextmanager
def runtime(bench: Bench, name: str, module: str) -> Iterator[tuple[Runtime, Path]]:
    """A Waybill with a fresh database and an empty folder that its feeds are read from."""
    folder = bench.folder / name
    (folder / "tables").mkdir(parents=True)
    for table, content in (("products", PRODUCTS), ("stock", STOCK)):
        (folder / "tables" / f"{table}.toml").write_text(content, "utf-8")
    options = {
        "folder": str(folder),
        "pattern": {"products": "products.csv", "stock": "stock.csv"},
        "id": {"products": "sku", "stock": "sku"},
        "settle": 0,
    }
    shop = {**bench.signer, "module": module}
    secrets = {"signing_key": Secret("--secret", bench.secret)}
    connections = {
        "files": Connection("files", "files", "", (), {}, options, overlap=0),
        "shop": Connection("shop", "drupal", bench.site, (), secrets, shop, timeout=300),
    }
    url = bench.cluster.create(f"waybill_bench_{name}")
    made = Runtime(settings(url, connections, {}, keys=(Secret("key", new_key()),), tables=folder / "tables"), ring=lambda *_: None, seed=1)
    migrate(made.engine)
    try:
        yield made, folder
    finally:
        made.close()
        bench.cluster.drop(f"waybill_bench_{name}")


@dataclass(slots=True)
class Ours:
    """Waybill by one way: so many processes of pushes, through the module or not."""

    bench: Bench
    runtime: Runtime
    folder: Path
    count: int
    pushers: int
    prefix: str = ""

    def products(self) -> float:
        """Bring new products in; seconds."""
        self.prefix = self.bench.prefix()
        lines = [f"{self.prefix}{n},Product {self.prefix}{n},{1 + n % 99},{self.bench.currency}" for n in range(self.count)]
        self._write("products", "sku,title,price,currency", lines)
        seconds = self._bring("products", self.count * 2)
        self.bench.php("check", str(self.count), self.prefix)
        return seconds

    def stock(self) -> float:
        """Bring another stock for each of them; seconds."""
        self.bench.stock += 1
        self._write("stock", "sku,on_hand", [f"{self.prefix}{n},{n + self.bench.stock}" for n in range(self.count)])
        return self._bring("stock", self.count)

    def _write(self, name: str, head: str, lines: Sequence[str]) -> None:
        (self.folder / f"{name}.csv").write_text("\n".join([head, *lines]) + "\n", "utf-8")

    def _bring(self, kind: str, writes: int) -> float:
        started = time.perf_counter()
        pulled = pulls.pull(self.runtime, self.runtime.feeds["files", kind])
        if pulled is None or pulled.failure:
            raise RuntimeError(f"the file was not read: {pulled}")
        with ThreadPoolExecutor(self.pushers) as pool:
            ended = sum(pool.map(lambda _: self._push(), range(self.pushers)))
        while ended < writes and time.perf_counter() < started + PATIENCE:  # what met another push waits for a moment
            time.sleep(0.05)
            ended += self._push()
        seconds = time.perf_counter() - started
        if ended != writes:
            raise RuntimeError(f"{ended} of {writes} were written")
        return seconds

    def _push(self) -> int:
        written = 0
        while batch := pushes.push(self.runtime, "shop"):
            written += batch["created"] + batch["updated"]
        return written


WAYS: dict[str, tuple[str, int]] = {
    "Waybill, batches, 1 push": ("auto", 1),
    "Waybill, batches, 2 pushes": ("auto", 2),
    "Waybill, JSON:API alone": ("never", 1),
}
MIGRATE, FEEDS = "core Migrate", "Feeds"


def measured(bench: Bench, rounds: int, *, feeds: bool) -> dict[str, Any]:
    """Items/s of each way in each round; every second round backwards, so that a machine that gets slower favours nobody."""
    found: dict[str, list[dict[str, float]]] = {"products": [], "stock": []}
    busy, started = processes.busy_seconds(), time.monotonic()
    for number in range(rounds):
        ways: dict[str, Callable[[], tuple[float, float | None]]] = {
            name: lambda name=name, number=number: _ours(bench, name, number)  # type: ignore[misc]
            for name in WAYS
        }
        ways["Drupal"] = lambda: _drupal(bench, feeds=feeds)
        made, stock = {}, {}
        for name, way in list(ways.items())[:: 1 if number % 2 == 0 else -1]:
            first, second = way()
            made[MIGRATE if name == "Drupal" else name] = first
            if second is not None:
                stock[FEEDS if name == "Drupal" else name] = second
            print(f"{name}: {first:.1f} new products/s, {second or 0:.1f} stock updates/s", file=sys.stderr)
            bench.php("remove")
        found["products"].append(made)
        found["stock"].append(stock)
    return {
        **{part: {way: median(one[way] for one in rounds_of) for way in rounds_of[0]} for part, rounds_of in found.items()},
        "rounds": found,
        "busy_cpus": (processes.busy_seconds() - busy) / (time.monotonic() - started),
    }


def _ours(bench: Bench, name: str, number: int) -> tuple[float, float]:
    module, pushers = WAYS[name]
    with runtime(bench, f"{module}{pushers}_{number}", module) as (made, folder):
        made.connector("shop").missing_fields({("variation", "default"): ["sku"]})  # raises when the site knows no such key
        ours = Ours(bench, made, folder, bench.count(name), pushers)
        return ours.count / ours.products(), ours.count / ours.stock()


def _drupal(bench: Bench, *, feeds: bool) -> tuple[float, float | None]:
    prefix = bench.prefix()
    made = bench.php("migrate", str(bench.items), prefix)
    rate = made["items"] / made["seconds"]
    if not feeds:
        return rate, None
    bench.stock += 1
    file = bench.folder / "drupal.csv"
    file.write_text("\n".join(["sku,on_hand", *(f"{prefix}{n},{n + bench.stock}" for n in range(bench.items))]) + "\n", "utf-8")
    done = bench.php("feeds", str(file), str(bench.items))
    return rate, done["items"] / done["seconds"]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when Waybill's best way is at least as fast as Drupal's own (the median of the rounds' ratios), 1 when it is not."""
    asked = _asked(arguments)
    signer = {"key_id": asked.key_id, "site_tag": asked.tag}
    cluster = postgres.given_or_own(WORK / "drupal_feeds")
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(
                asked.site.rstrip("/"), signer, asked.secret, asked.drush, asked.items, asked.plain, Path(folder).resolve(), cluster
            )
            prepared = bench.php("prepare")
            bench.currency = prepared["currency"]
            found = measured(bench, asked.rounds, feeds=prepared["feeds"])
    finally:
        cluster.stop()
    said = _verdicts(found)
    out = report.console()
    out.print(_table(found))
    out.print(report.verdict_table(said))
    file = report.RESULTS / f"drupal-feeds-{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
    report.RESULTS.mkdir(exist_ok=True)
    file.write_text(json.dumps({"machine": report.machine(), "items": asked.items, **found, "verdicts": said}, indent=1) + "\n", "utf-8")
    return 1 if any(one["met"] is False for one in said.values()) else 0


def _verdicts(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    said: dict[str, dict[str, Any]] = {}
    for part, peer, about in (("products", MIGRATE, "new products"), ("stock", FEEDS, "stock updates")):
        if peer in found[part]:
            best = median(max(one[way] for way in WAYS) / one[peer] for one in found["rounds"][part])
            said[f"{about}, times {peer}"] = {"measured": best, "target": "≥ 1", "met": best >= 1}
    return said


def _table(found: dict[str, Any]) -> Table:
    table = Table(title="Items/s into a real site", title_justify="left")
    for name in ("way", "new products", "stock updates"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for way in (*WAYS, MIGRATE, FEEDS):
        table.add_row(way, *(f"{found[part][way]:.1f}" if way in found[part] else "" for part in ("products", "stock")))
    return table


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.drupal_feeds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--site", required=True, help="address of the site")
    parser.add_argument("--key-id", required=True, help="a key of the module's settings")
    parser.add_argument("--secret", required=True)
    parser.add_argument("--tag", default="waybill:shop")
    parser.add_argument("--drush", required=True, type=Path, help="the site's drush")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", type=int, default=500, help="products")
    parser.add_argument("--plain", type=int, default=50, help="products where each write is a request")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
