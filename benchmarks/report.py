"""The figures: one table for people, one JSON file for machines."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.crash import Crashed
from benchmarks.ingest import Ingest
from benchmarks.subjects import OURS, Subject
from benchmarks.workers import Worked

RESULTS = Path(__file__).parent / "results"
TARGETS = {"fastify": 1.25, "flask_celery": 7.0}
DECIDE_TARGET = 3.0
WORKER_TARGET = 0.1
_MET = {True: "yes", False: "[red]no[/red]", None: "[yellow]?[/yellow]"}


def ingest_table(found: Ingest, subjects: Sequence[Subject]) -> Table:
    table = Table(title="Durable ingest: verify, insert if new, COMMIT, 200", title_justify="left")
    for name, justify in (("subject", "left"), ("req/s", "right"), ("p50 ms", "right"), ("p99 ms", "right"), ("app µs", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("PostgreSQL µs", "broker µs", "rows ≥ acknowledged", "others' CPU", "ours is"):
        table.add_column(name, justify="right")
    for subject in subjects:
        if subject.name in found.reasons:
            table.add_row(subject.title, "[red]not run[/red]")
            continue
        runs = found.runs[subject.name]
        ratio = found.ratio(OURS, subject.name)
        table.add_row(
            subject.title,
            _number(found.of(subject.name, lambda one: one.load.rate)),
            _number(found.of(subject.name, lambda one: one.load.p50_ms), 1),
            _number(found.of(subject.name, lambda one: one.load.p99_ms), 1),
            _number(found.of(subject.name, lambda one: one.app_us)),
            _number(found.of(subject.name, lambda one: one.postgres_us)),
            _number(found.of(subject.name, lambda one: one.broker_us)),
            "yes" if all(one.kept for one in runs) else "[red]NO[/red]",
            f"{max(one.others for one in runs):.0%}",
            "" if subject.name == OURS or ratio is None else f"{ratio:.2f}×",
        )
    return table


def worker_table(found: Sequence[Worked]) -> Table:
    table = Table(title="Workers: per event (Celery: per message)", title_justify="left")
    table.add_column("worker")
    for name in ("events", "events/s", "worker µs", "PostgreSQL µs", "broker µs", "others' CPU"):
        table.add_column(name, justify="right")
    for name, runs in _by_name(found).items():
        postgres = [one.postgres_us for one in runs if one.postgres_us is not None]
        table.add_row(
            name,
            _number(runs[0].total),
            _number(median(one.rate for one in runs)),
            _number(median(one.worker_us for one in runs)),
            _number(median(postgres) if postgres else None),
            _number(median(one.broker_us for one in runs)),
            f"{max(one.others for one in runs):.0%}",
        )
    return table


def crash_table(found: Sequence[Crashed]) -> Table:
    table = Table(title="kill -9 under load", title_justify="left")
    table.add_column("subject")
    for name in ("kills", "acknowledged", "rows", "acknowledged_lost", "doubled", "slowest recovery s"):
        table.add_column(name, justify="right")
    for one in found:
        slowest = max((kill.recovered_after or 0.0 for kill in one.kills), default=0.0)
        lost = str(one.lost) if not one.lost else f"[red]{one.lost}[/red]"
        cells = (str(len(one.kills)), _number(one.acknowledged), _number(one.rows), lost, str(one.doubled), f"{slowest:.1f}")
        table.add_row(one.subject, *cells)
    return table


def verdicts(
    parts: Sequence[str], *, ingest: Ingest | None, workers: Sequence[Worked], crashes: Sequence[Crashed]
) -> dict[str, dict[str, Any]]:
    """Each target of the `parts` that were asked for: what was measured (None: nothing), and whether it is met (None: not known)."""
    said: dict[str, dict[str, Any]] = {}
    by_name = _by_name(workers)
    if "ingest" in parts:
        said |= _ingest_verdicts(ingest or Ingest())
    if "worker" in parts:
        share = _quotient(by_name, "ours_bookkeeping", "celery_empty", lambda one: one.worker_us)
        said["worker, CPU as a share of Celery's"] = _verdict(share, f"≤ {WORKER_TARGET}", share is not None and share <= WORKER_TARGET)
    if "decide" in parts:
        times = _quotient(by_name, "ours_decide", "celery_decide", lambda one: one.rate)
        said["decide, times Celery + ORM"] = _verdict(times, f"≥ {DECIDE_TARGET}", times is not None and times >= DECIDE_TARGET)
    if "crash" in parts:
        said[f"acknowledged_lost, {OURS}"] = _verdict(None, "0", met=False)
        said |= {f"acknowledged_lost, {one.subject}": _verdict(one.lost, "0", one.lost == 0 < one.acknowledged) for one in crashes}
    return said


def _ingest_verdicts(found: Ingest) -> dict[str, dict[str, Any]]:
    said = {}
    for peer, target in TARGETS.items():
        ratio = found.ratio(OURS, peer)
        said[f"ingest, times {peer}"] = _verdict(ratio, f"≥ {target}", ratio is not None and ratio >= target)
    ours, theirs = (found.of(name, lambda one: one.load.p99_ms) for name in (OURS, "fastify"))
    known = ours is not None and theirs is not None
    said["ingest, p99 ms"] = _verdict(ours if known else None, f"≤ {_number(theirs, 1)}", known and ours <= theirs)  # type: ignore[operator]
    for name, runs in found.runs.items():
        said[f"rows kept, {name}"] = _verdict(sum(one.rows for one in runs), "≥ acknowledged", all(one.kept for one in runs))
    return said


def _by_name(found: Sequence[Worked]) -> dict[str, list[Worked]]:
    return {name: [one for one in found if one.name == name] for name in dict.fromkeys(one.name for one in found)}


def _quotient(by_name: Mapping[str, list[Worked]], ours: str, theirs: str, value: Callable[[Worked], float]) -> float | None:
    """The median over the rounds of the quotient taken within each."""
    pairs = zip(by_name.get(ours, ()), by_name.get(theirs, ()), strict=False)
    quotients = [value(one) / value(other) for one, other in pairs]
    return median(quotients) if quotients else None


def _verdict(measured: float | None, target: str, met: bool) -> dict[str, Any]:
    return {"measured": measured, "target": target, "met": met if measured is not None else None}


def verdict_table(said: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title="Targets", title_justify="left")
    for name in ("figure", "measured", "target", "met"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    for name, one in said.items():
        measured = "not measured" if one["measured"] is None else f"{round(one['measured'], 3):,}"
        table.add_row(name, measured, one["target"], _MET[one["met"]])
    return table


def machine() -> dict[str, str]:
    """What the figures were taken on; no names, no paths."""
    node = shutil.which("node")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip() if node else "none"
    model = next((line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine())
    return {"python": platform.python_version(), "node": version, "cpus": str(os.cpu_count()), "cpu": model, "system": platform.system()}


def write(content: Mapping[str, Any]) -> Path:
    """Write `benchmarks/results/<date>.json`; an older file of the same day is kept beside it with its time."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.json"
    if file.exists():
        made = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        file.rename(RESULTS / f"{made:%Y-%m-%dT%H%M%S}.json")
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return file


def console() -> Console:
    """The terminal's, or a wide one when the output goes to a file."""
    return Console() if os.isatty(1) else Console(width=170)


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text("utf-8").splitlines() if file.exists() else []


def _number(value: float | None, digits: int = 0) -> str:
    return "n/a" if value is None else f"{value:,.{digits}f}"
