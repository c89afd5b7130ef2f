"""Deliveries: what it costs to verify and to map one, for each system that sends us some, beside the bare primitive over the same bytes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.provision import ROOT, our_python

TIMES_BARE, MICROSECONDS = 1.5, 50.0
"""Verification may cost so many times the bare primitive, and so much more."""


@dataclass(slots=True)
class Deliveries:
    """What was measured of each system, a row for each round (µs of CPU for one delivery), and why another one was not."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def of(self, system: str, figure: str) -> float | None:
        """The median over the rounds; None where it is not measured."""
        known = [row[figure] for row in self.rows[system] if row[figure] is not None]
        return median(known) if known else None

    def over(self, system: str) -> float:
        """The median over the rounds of what verification cost as a share of what it may cost."""
        return median(row["verify_us"] / (TIMES_BARE * row["bare_us"] + MICROSECONDS) for row in self.rows[system])

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def measure(*, rounds: int, say: Callable[[str], None]) -> Deliveries:
    """Verify and map with each connector in turn; raises `Unavailable`, and RuntimeError when the process failed."""
    command = [str(our_python() / "python"), "-m", "benchmarks.delivery_ours", str(rounds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"deliveries failed: {done.stderr.strip().splitlines()[-1:]}")
    found = Deliveries()
    for line in map(json.loads, done.stdout.splitlines()):
        system = line.pop("system")
        if "reason" in line:
            found.reasons[system] = line["reason"]
            continue
        found.rows.setdefault(system, []).append(line)
        say(f"{system:16} bare {line['bare_us']:7.1f} µs  verified {line['verify_us']:7.1f} µs")
    return found


def table(found: Deliveries) -> Table:
    """The figures for people."""
    shown = Table(title="Deliveries: µs of CPU for each", title_justify="left")
    for name, justify in (("system", "left"), ("bytes", "right"), ("bare", "right"), ("verify", "right"), ("map", "right"), ("to", "left")):
        shown.add_column(name, justify=justify)  # type: ignore[arg-type]
    for system, rows in found.rows.items():
        figures = [found.of(system, name) for name in ("bare_us", "verify_us", "map_us")]
        shown.add_row(system, f"{rows[0]['bytes']:,}", *("" if one is None else f"{one:.1f}" for one in figures), rows[0]["says"])
    return shown


def verdicts(found: Deliveries | None) -> dict[str, tuple[float | None, str, bool]]:
    """(measured, target, met) by figure: verification as a share of what it may cost."""
    if found is None or not found.rows:
        return {"deliveries, verification": (None, "≤ 1", False)}
    shares = {system: found.over(system) for system in found.rows}
    target = f"≤ 1 of {TIMES_BARE:g} × bare + {MICROSECONDS:g} µs"
    return {f"deliveries, {system}": (share, target, share <= 1) for system, share in shares.items()}
