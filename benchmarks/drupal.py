"""What the Drupal module's bulk route costs on a real site, beside one PATCH per item and beside a bare PHP loop, in the same minutes.

    python -m benchmarks.drupal --site http://127.0.0.1:8080 --user NAME --password PW --drush vendor/bin/drush

The account needs the module's role (`waybill`). Test products are made and removed by `drupal_loop.php`. A further part is a
function (Bench) -> its figures, in PARTS.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import requests
from rich.table import Table

from benchmarks import processes, report
from middleware.secret import Secret
from middleware.wire.message_signatures import MessageSignature

JSON_API = "application/vnd.api+json"
ATOMIC = f'{JSON_API}; ext="https://jsonapi.org/ext/atomic"'
VARIATION = "commerce_product_variation--default"
SIZES = (10, 50, 100)
PATCH_TARGET = 8.0
LOOP_TARGET = 0.9
PLACING_TARGET = 5.0


@dataclass(frozen=True, slots=True)
class Timed:
    """So many items in so many seconds."""

    items: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.items / self.seconds


@dataclass(slots=True)
class Bench:
    """A site with test products, and a number that makes each write a real change."""

    site: str
    basic: tuple[str, str]
    signer: MessageSignature | None
    drush: Path
    rounds: int
    patches: int
    races: int
    placed: int
    currency: str = ""
    variations: tuple[dict[str, str], ...] = ()
    number: int = 1000

    def php(self, task: str, number: int = 0) -> dict[str, Any]:
        """Run `drupal_loop.php` on the site; the JSON on its last line."""
        return self.script("drupal_loop.php", task, self.basic[0], str(number))

    def script(self, name: str, *words: str) -> dict[str, Any]:
        """Run a script of this folder on the site; the JSON on its last line."""
        command = [str(self.drush), "php:script", name, f"--script-path={Path(__file__).parent}", "--", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"drush failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return answer

    def price(self) -> dict[str, str]:
        """A price that no variation has."""
        self.number += 1
        return {"number": str(self.number), "currency_code": self.currency}

    def session(self, auth: Any) -> requests.Session:
        session = requests.Session()
        session.auth = auth
        session.trust_env = False
        return session

    def patch(self, session: requests.Session, one: dict[str, str], attributes: dict[str, Any]) -> requests.Response:
        body = {"data": {"type": VARIATION, "id": one["id"], "attributes": attributes}}
        url = f"{self.site}/jsonapi/commerce_product_variation/default/{one['id']}"
        return session.patch(url, data=json.dumps(body), headers={"Content-Type": JSON_API, "Accept": JSON_API}, timeout=60)

    def operate(self, session: requests.Session, operations: Sequence[dict[str, Any]], *, mode: str = "each") -> list[str]:
        """Send a batch; the status of each operation, or of its first error."""
        body = json.dumps({"atomic:operations": operations, "meta": {"mode": mode, "run": "bench"}})
        answer = session.post(f"{self.site}/waybill/v1/operations", data=body, headers={"Content-Type": ATOMIC}, timeout=300)
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.status_code} {answer.text[:500]}")
        return [one["meta"]["status"] if "meta" in one else one["errors"][0]["status"] for one in answer.json()["atomic:results"]]


def update(one: dict[str, str], attributes: dict[str, Any]) -> dict[str, Any]:
    return {"op": "update", "ref": {"type": VARIATION, "sku": one["sku"]}, "data": {"type": VARIATION, "attributes": attributes}}


def operations(bench: Bench) -> dict[str, Any]:
    """Rates of all ways, interleaved; a ratio is the median of the rounds' ratios."""
    ways: dict[str, Callable[[], Timed]] = {"one PATCH per item, basic auth": partial(_patches, bench)}
    for name, auth in (("basic auth", bench.basic), ("signed", bench.signer)):
        if auth is not None:
            ways |= {f"batches of {size}, {name}": partial(_batches, bench, size, auth) for size in SIZES}
    ways["bare PHP loop"] = partial(_loop, bench)
    rounds: list[dict[str, float]] = []
    busy, started = processes.busy_seconds(), time.monotonic()
    for _ in range(bench.rounds):
        # Every second round backwards, so that a machine that gets slower favours nobody.
        order = list(ways.items())[:: 1 if len(rounds) % 2 == 0 else -1]
        rounds.append({name: way().rate for name, way in order})
        print("  ".join(f"{name}: {rounds[-1][name]:.1f}" for name in ways), file=sys.stderr)
    first, *_, last = ways
    return {
        "rates": {name: median(one[name] for one in rounds) for name in ways},
        "times_patch": {name: median(one[name] / one[first] for one in rounds) for name in ways},
        "share_of_loop": {name: median(one[name] / one[last] for one in rounds) for name in ways},
        "rounds": rounds,
        "busy_cpus": (processes.busy_seconds() - busy) / (time.monotonic() - started),
    }


def _patches(bench: Bench) -> Timed:
    session, chosen = bench.session(bench.basic), bench.variations[: bench.patches]
    with _timed() as elapsed:
        for one in chosen:
            bench.patch(session, one, {"price": bench.price()}).raise_for_status()
    return Timed(len(chosen), elapsed())


def _batches(bench: Bench, size: int, auth: Any) -> Timed:
    session, every = bench.session(auth), bench.variations
    with _timed() as elapsed:
        for start in range(0, len(every), size):
            batch = [update(one, {"price": bench.price()}) for one in every[start : start + size]]
            found = bench.operate(session, batch)
            if found != ["updated"] * len(batch):
                raise RuntimeError(f"not every operation was an update: {found}")
    return Timed(len(every), elapsed())


def _loop(bench: Bench) -> Timed:
    first, bench.number = bench.number + 1, bench.number + len(bench.variations)
    found = bench.php("loop", first)
    return Timed(found["items"], found["seconds"])


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    started = time.perf_counter()
    yield lambda: time.perf_counter() - started


def races(bench: Bench) -> dict[str, Any]:
    """Two clients write different fields of the same variations at once: how many acknowledged writes are lost, by which way."""
    chosen = bench.variations[:5]
    sessions = [bench.session(bench.signer or bench.basic) for _ in range(2)]
    found = {way: {"acknowledged": 0, "lost": 0, "sent_again": 0, "refused": 0} for way in _SENDERS}
    with ThreadPoolExecutor(2) as pool:
        for _ in range(bench.races):
            for way, send in _SENDERS.items():
                wanted = {"price": bench.price(), "list_price": bench.price()}
                pairs = zip(sessions, wanted.items(), strict=True)
                jobs = [pool.submit(send, bench, session, chosen, {field: value}) for session, (field, value) in pairs]
                count = found[way]
                for sent in (job.result() for job in jobs):
                    count["acknowledged"] += sent.acknowledged
                    count["lost"] += sent.acknowledged
                    count["sent_again"] += sent.again
                    count["refused"] += sent.refused
                stored = _stored(bench, sessions[0], chosen)
                count["lost"] -= sum(float(one[field]["number"]) == float(wanted[field]["number"]) for one in stored for field in wanted)
    return found


@dataclass(frozen=True, slots=True)
class Sent:
    """What a site said to one client's writes."""

    acknowledged: int
    again: int = 0
    refused: int = 0


def _bulk(bench: Bench, session: requests.Session, chosen: Sequence[dict[str, str]], attributes: dict[str, Any]) -> Sent:
    """Send again what the route says was busy."""
    again, left = 0, list(chosen)
    while left:
        statuses = bench.operate(session, [update(one, attributes) for one in left])
        if set(statuses) - {"updated", "409"}:
            raise RuntimeError(f"unexpected: {statuses}")
        left = [one for one, status in zip(left, statuses, strict=True) if status == "409"]
        again += len(left)
    return Sent(len(chosen), again=again)


def _plain(bench: Bench, session: requests.Session, chosen: Sequence[dict[str, str]], attributes: dict[str, Any]) -> Sent:
    """The site may see the conflict itself and refuse."""
    good = sum(bench.patch(session, one, attributes).status_code == 200 for one in chosen)
    return Sent(good, refused=len(chosen) - good)


_SENDERS: dict[str, Callable[..., Sent]] = {"bulk route": _bulk, "PATCH": _plain}


def _stored(bench: Bench, session: requests.Session, chosen: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    url = f"{bench.site}/jsonapi/commerce_product_variation/default"
    return [session.get(f"{url}/{one['id']}", headers={"Accept": JSON_API}, timeout=60).json()["data"]["attributes"] for one in chosen]


def placing(bench: Bench) -> dict[str, Any]:
    """Milliseconds to place and pay an order in one PHP process, with the module's subscribers and without, in turn."""
    said = bench.script("drupal_place.php", str(bench.placed))
    added = [with_it - without for with_it, without in zip(said["with"], said["without"], strict=True)]
    medians = {"with": median(said["with"]), "without": median(said["without"])}
    return {**medians, "added": medians["with"] - medians["without"], "added_pairwise": median(added), "recorded": said["recorded"]}


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {"operations": operations, "races": races, "placing": placing}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the targets that were measured are met, 1 when one is missed."""
    asked = _asked(arguments)
    signer = MessageSignature(asked.key_id, Secret("--secret", asked.secret), asked.tag) if asked.key_id and asked.secret else None
    bench = Bench(
        asked.site.rstrip("/"), (asked.user, asked.password), signer, asked.drush, asked.rounds, asked.patches, asked.races, asked.placed
    )
    made = bench.php("make", asked.items)
    bench.currency, bench.variations = made["currency"], tuple(made["variations"])
    try:
        found = {part: PARTS[part](bench) for part in asked.only}
    finally:
        bench.php("remove")
    said = _verdicts(found)
    out = report.console()
    for table in (*_tables(found), report.verdict_table(said)):
        out.print(table)
    file = report.RESULTS / f"drupal-{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
    file.write_text(json.dumps({"machine": report.machine(), "items": asked.items, **found, "verdicts": said}, indent=1) + "\n", "utf-8")
    return 1 if any(one["met"] is False for one in said.values()) else 0


def _verdicts(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    said: dict[str, dict[str, Any]] = {}
    if "operations" in found:
        # The largest batch with the same authentication as the PATCH.
        way = f"batches of {SIZES[-1]}, basic auth"
        times, share = found["operations"]["times_patch"][way], found["operations"]["share_of_loop"][way]
        said["operations/s, times one PATCH per item"] = {"measured": times, "target": f"≥ {PATCH_TARGET}", "met": times >= PATCH_TARGET}
        said["operations/s, share of a bare PHP loop"] = {"measured": share, "target": f"≥ {LOOP_TARGET}", "met": share >= LOOP_TARGET}
    if "placing" in found:
        added = max(found["placing"]["added"], found["placing"]["added_pairwise"])
        said["milliseconds added to placing an order"] = {"measured": added, "target": f"< {PLACING_TARGET}", "met": added < PLACING_TARGET}
    if "races" in found:
        lost = found["races"]["bulk route"]["lost"]
        said["writes lost between two batches"] = {"measured": lost, "target": "0", "met": lost == 0}
    return said


def _tables(found: dict[str, Any]) -> Iterator[Table]:
    if one := found.get("operations"):
        table = Table(title="Price updates on a real site, one client", title_justify="left")
        table.add_column("way")
        for name in ("items/s", "times PATCH", "of the loop"):
            table.add_column(name, justify="right")
        for way, rate in one["rates"].items():
            table.add_row(way, f"{rate:.1f}", f"{one['times_patch'][way]:.1f}×", f"{one['share_of_loop'][way]:.0%}")
        yield table
    if one := found.get("races"):
        table = Table(title="Two clients write different fields of the same variations", title_justify="left")
        table.add_column("way")
        for name in ("acknowledged", "lost", "sent_again", "refused"):
            table.add_column(name.replace("_", " "), justify="right")
        for way, count in one.items():
            table.add_row(way, *(str(count[column]) for column in ("acknowledged", "lost", "sent_again", "refused")))
        yield table

    if one := found.get("placing"):
        table = Table(title="Placing and paying an order, ms (median)", title_justify="left")
        for name in ("with", "without", "added", "added_pairwise"):
            table.add_column(name.replace("_", " "), justify="right")
        table.add_row(*(f"{one[name]:.2f}" for name in ("with", "without", "added", "added_pairwise")))
        yield table


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.drupal", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--site", required=True, help="address of the site")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--drush", required=True, type=Path, help="the site's drush")
    parser.add_argument("--key-id", default="", help="to sign requests as well: a key of the module's settings")
    parser.add_argument("--secret", default="")
    parser.add_argument("--tag", default="waybill:shop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=100, help="test products")
    parser.add_argument("--patches", type=int, default=30, help="of them written by PATCH in each round")
    parser.add_argument("--races", type=int, default=20)
    parser.add_argument("--placed", type=int, default=100, help="orders placed with the module and as many without")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
