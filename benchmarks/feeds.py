"""Feeds: an unchanged full pull of records of 1.6 KB from a local HTTP source, beside bare parsing and the usual libraries."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.postgres import Cluster
from benchmarks.provision import ROOT, feed_python, our_python

PEER_RECORDS = 50_000
"""Records of the source that the naive peer reads: it is so slow that all of them would take minutes."""
TIMES_MARSHMALLOW, SHARE_OF_BARE, MEGABYTES = 12.0, 0.4, 64.0
NAMES = {"ours": "Waybill, full pull", "bare": "requests + orjson, nothing kept", "marshmallow": "marshmallow + SQLAlchemy IN"}


@dataclass(slots=True)
class Feeds:
    """What was measured: records per second of unchanged pulls by subject, of our first pull, and our memory above the idle process."""

    records: int
    rates: dict[str, list[float]] = field(default_factory=dict)
    first: float = 0.0
    cpu_us: float = 0.0
    above_idle: float = 0.0

    def times(self, peer: str) -> float | None:
        """The median over the rounds of the quotient taken within each."""
        pairs = list(zip(self.rates.get("ours", ()), self.rates.get(peer, ()), strict=False))
        return median(ours / theirs for ours, theirs in pairs) if pairs else None

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def measure(cluster: Cluster, *, records: int, rounds: int, say: Callable[[str], None]) -> Feeds:
    """Read everything with each subject in turn; raises `Unavailable`, and RuntimeError for a subject that failed."""
    ours, peers = our_python() / "python", feed_python() / "python"
    found = Feeds(records)
    source = subprocess.Popen([str(ours), "-m", "benchmarks.feed_source", str(records)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert source.stdout is not None
        url = f"http://127.0.0.1:{int(source.stdout.readline())}"
        _ours(found, [str(ours), "-m", "benchmarks.feed_ours", url, _url(cluster, "feeds_ours"), str(rounds)], say)
        for name, database, limit in (("bare", "", records), ("marshmallow", _url(cluster, "feeds_peer"), min(records, PEER_RECORDS))):
            _peer(found, name, [str(peers), "-m", "benchmarks.feed_peers", name, url, database, str(rounds), str(limit)], say)
    finally:
        source.kill()
        source.wait()
    return found


def _ours(found: Feeds, command: Sequence[str], say: Callable[[str], None]) -> None:
    for line in _lines(command):
        rate = line["records"] / line["seconds"]
        found.above_idle = max(found.above_idle, line["above_idle"] / 1e6)
        if line["what"] == "first":
            found.first = rate
        else:
            found.rates.setdefault("ours", []).append(rate)
            found.cpu_us = line["cpu_us"] / line["records"]
        say(f"{'ours, ' + line['what']:24} {rate:9,.0f} records/s")


def _peer(found: Feeds, name: str, command: Sequence[str], say: Callable[[str], None]) -> None:
    for line in _lines(command):
        rate = line["records"] / line["seconds"]
        if line["what"] == "unchanged":
            found.rates.setdefault(name, []).append(rate)
        say(f"{name + ', ' + line['what']:24} {rate:9,.0f} records/s")


def _lines(command: Sequence[str]) -> list[dict[str, Any]]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=3600)
    if done.returncode:
        raise RuntimeError(f"{command[2]} failed: {done.stderr.strip().splitlines()[-1:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _url(cluster: Cluster, name: str) -> str:
    return cluster.create(f"waybill_bench_{name}").replace("postgresql://", "postgresql+psycopg://")


def table(found: Feeds) -> Table:
    """The figures for people."""
    shown = Table(title=f"Feeds: an unchanged full pull of {found.records:,} records of 1.6 KB", title_justify="left")
    for name, justify in (("subject", "left"), ("records/s", "right"), ("ours is", "right")):
        shown.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name, rates in found.rates.items():
        times = found.times(name)
        shown.add_row(NAMES[name], f"{median(rates):,.0f}", "" if name == "ours" or times is None else f"{times:.2f}×")
    shown.caption = f"first pull {found.first:,.0f} records/s; {found.cpu_us:.1f} µs CPU a record; {found.above_idle:.0f} MB above idle"
    return shown


def verdicts(found: Feeds | None) -> dict[str, tuple[float | None, str, bool]]:
    """(measured, target, met) by figure."""
    naive, bare = (found.times("marshmallow"), found.times("bare")) if found else (None, None)
    memory = found.above_idle if found else None
    return {
        "feeds, times marshmallow": (naive, f"≥ {TIMES_MARSHMALLOW:g}", naive is not None and naive >= TIMES_MARSHMALLOW),
        "feeds, share of bare parsing": (bare, f"≥ {SHARE_OF_BARE:g}", bare is not None and bare >= SHARE_OF_BARE),
        "feeds, MB above idle": (memory, f"≤ {MEGABYTES:g}", memory is not None and memory <= MEGABYTES),
    }
