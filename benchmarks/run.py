"""`make bench`: take every performance figure of ours beside its peers', in the same minutes on the same machine."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FrameType
from typing import Any, NoReturn

from rich.markup import escape

from benchmarks import crash, deliveries, feeds, ingest, postgres, provision, report, subjects, workers
from benchmarks.postgres import Cluster
from benchmarks.provision import WORK, Redis, Unavailable

PARTS = ("ingest", "worker", "decide", "crash", "feeds", "deliveries")
KILL_EVERY = 5.0


@dataclass(slots=True)
class Found:
    """Everything that was measured; `reasons` says why something was not."""

    ingest: ingest.Ingest | None = None
    workers: list[workers.Worked] = field(default_factory=list)
    crashes: list[crash.Crashed] = field(default_factory=list)
    feeds: feeds.Feeds | None = None
    feeds_reason: str = ""
    deliveries: deliveries.Deliveries | None = None
    deliveries_reason: str = ""
    worker_reasons: dict[str, str] = field(default_factory=dict)
    crash_reasons: dict[str, str] = field(default_factory=dict)

    def not_run(self) -> dict[str, str]:
        """What was asked for and did not run, with its reason."""
        parts = {"ingest": self.ingest.reasons if self.ingest else {}, "worker": self.worker_reasons, "crash": self.crash_reasons}
        parts["feeds"] = {"unchanged pull": self.feeds_reason} if self.feeds_reason else {}
        parts["deliveries"] = dict(self.deliveries.reasons) if self.deliveries else {}
        parts["deliveries"] |= {"all": self.deliveries_reason} if self.deliveries_reason else {}
        return {f"{part}, {name}": reason for part, reasons in parts.items() for name, reason in reasons.items()}


@dataclass(frozen=True, slots=True)
class Bench:
    """The ground that all measurements share."""

    cluster: Cluster
    broker: Redis | None
    secret: str
    wrk: str | None
    asked: argparse.Namespace
    say: Callable[[str], None]

    def subjects(self) -> list[subjects.Subject]:
        return [one for one in subjects.everyone() if not self.asked.subjects or one.name in self.asked.subjects]

    def ingest(self, found: Found) -> None:
        found.ingest = ingest.measure(
            self.subjects(),
            cluster=self.cluster,
            broker=self.broker,
            secret=self.secret,
            wrk=self.wrk,
            seconds=self.asked.seconds,
            rounds=self.asked.rounds,
            say=self.say,
        )

    def worker(self, found: Found) -> None:
        for _ in range(self.asked.rounds):
            self._peer("celery_empty", workers.celery_empty, found)
            self._peer("celery_update", workers.celery_update, found)
            self._ours("bookkeeping", found)

    def decide(self, found: Found) -> None:
        for _ in range(self.asked.rounds):
            self._peer("celery_decide", workers.celery_decide, found)
            self._ours("decide", found)

    def crash(self, found: Found) -> None:
        seconds = max(KILL_EVERY * 2, self.asked.crash_seconds)
        for subject in self.subjects():
            try:
                kills = int(seconds / KILL_EVERY) - 1
                one = crash.measure(subject, broker=self.broker, secret=self.secret, seconds=seconds, kills=kills, say=self.say)
            except (Unavailable, RuntimeError) as error:
                found.crash_reasons[subject.name] = str(error)
                continue
            found.crashes.append(one)

    def feeds(self, found: Found) -> None:
        try:
            found.feeds = feeds.measure(self.cluster, records=self.asked.feed_records, rounds=self.asked.rounds, say=self.say)
        except (Unavailable, RuntimeError) as error:
            found.feeds_reason = str(error)

    def deliveries(self, found: Found) -> None:
        try:
            found.deliveries = deliveries.measure(rounds=self.asked.rounds, say=self.say)
        except (Unavailable, RuntimeError) as error:
            found.deliveries_reason = str(error)

    def _peer(self, name: str, measure: Callable[[Cluster, Redis, int], workers.Worked], found: Found) -> None:
        if self.broker is None:
            found.worker_reasons[name] = "no redis-server on the PATH and no WAYBILL_BENCH_REDIS_URL"
            return
        broker = self.broker
        self._worked(name, lambda: measure(self.cluster, broker, self.asked.events), found)

    def _ours(self, name: str, found: Found) -> None:
        """`benchmarks/ours_worker.py` has a function of that name: (cluster, broker or None) → Worked."""
        if importlib.util.find_spec("benchmarks.ours_worker") is None:
            found.worker_reasons[f"ours_{name}"] = "benchmarks/ours_worker.py does not exist yet"
            return
        measure = getattr(importlib.import_module("benchmarks.ours_worker"), name)
        self._worked(f"ours_{name}", lambda: measure(self.cluster, self.broker, self.asked.events), found)

    def _worked(self, name: str, measure: Callable[[], workers.Worked], found: Found) -> None:
        try:
            one = measure()
        except (Unavailable, RuntimeError) as error:
            found.worker_reasons[name] = str(error)
            return
        found.workers.append(one)
        self.say(f"{name:17} {one.rate:7,.0f} events/s  {one.worker_us:6,.0f} µs of worker CPU each  others {one.others:.0%}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 when every target that was asked for is met, 1 when one is missed, 2 when one could not be measured."""
    asked = _asked(arguments)
    signal.signal(signal.SIGTERM, _end)
    out = report.console()
    WORK.mkdir(parents=True, exist_ok=True)
    found, started = Found(), datetime.now(UTC)
    with ExitStack() as stack:
        out.print("[dim]preparing PostgreSQL, the peers and the load generator …[/dim]")
        cluster = postgres.given_or_own(WORK / "pg")
        stack.callback(cluster.stop)
        shown = cluster.shown()
        broker = stack.enter_context(provision.redis())
        wrk, generator = provision.wrk()
        bench = Bench(cluster, broker, f"whsec_{secrets.token_urlsafe(24)}", wrk, asked, lambda line: out.print(f"[dim]{line}[/dim]"))
        out.print(f"[dim]PostgreSQL {shown}; load: {generator}[/dim]")
        for part in asked.only:
            getattr(bench, part)(found)
    return _print(out, found, {"started": started.isoformat(), "postgres": shown, "generator": generator}, asked)


def _print(out: Any, found: Found, context: dict[str, Any], asked: argparse.Namespace) -> int:
    said = report.verdicts(asked.only, ingest=found.ingest, workers=found.workers, crashes=found.crashes)
    judged: dict[str, tuple[float | None, str, bool]] = {}
    judged |= feeds.verdicts(found.feeds) if "feeds" in asked.only else {}
    judged |= deliveries.verdicts(found.deliveries) if "deliveries" in asked.only else {}
    said |= {
        name: {"measured": value, "target": target, "met": met if value is not None else None}
        for name, (value, target, met) in judged.items()
    }
    if found.ingest is not None:
        seen = {*found.ingest.runs, *found.ingest.reasons}
        out.print(report.ingest_table(found.ingest, [one for one in subjects.everyone() if one.name in seen]))
    if found.workers:
        out.print(report.worker_table(found.workers))
    if found.crashes:
        out.print(report.crash_table(found.crashes))
    if found.feeds:
        out.print(feeds.table(found.feeds))
    if found.deliveries:
        out.print(deliveries.table(found.deliveries))
    out.print(report.verdict_table(said))
    missing = found.not_run()
    for what, reason in missing.items():
        out.print(f"[red]not run: {what}[/red]: {escape(reason)}")
    file = report.write(
        {
            **context,
            "machine": report.machine(),
            "load_average": os.getloadavg(),
            "asked": {name: value for name, value in vars(asked).items()},
            "ingest": found.ingest.plain() if found.ingest else None,
            "workers": [one.plain() for one in found.workers],
            "feeds": found.feeds.plain() if found.feeds else None,
            "deliveries": found.deliveries.plain() if found.deliveries else None,
            "crashes": [one.plain() for one in found.crashes],
            "not_run": missing,
            "verdicts": said,
        }
    )
    out.print(f"[dim]written to {file.relative_to(provision.ROOT)}[/dim]")
    met = {one["met"] for one in said.values()}
    return 1 if False in met else 2 if None in met else 0


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="of load per ingest run")
    parser.add_argument("--rounds", type=int, default=3, help="of ingest, worker and decide; subjects take turns in each")
    parser.add_argument("--events", type=int, default=workers.TOTAL, help="per worker measurement of the peers")
    parser.add_argument("--crash-seconds", type=float, default=30.0, help="of load with kills, per subject")
    parser.add_argument("--feed-records", type=int, default=200_000, help="records of the feed's source")
    parser.add_argument("--only", type=_names(PARTS), default=list(PARTS), help=f"of {','.join(PARTS)}")
    known = [one.name for one in subjects.everyone()]
    parser.add_argument("--subjects", type=_names(known), default=[], help=f"of {','.join(known)} (default: all)")
    return parser.parse_args(arguments)


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        wanted = text.split(",")
        if unknown := set(wanted) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return wanted

    return parse


def _end(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
