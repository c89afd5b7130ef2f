"""The load: 32 keep-alive connections that post pre-signed requests, by `wrk` or by a raw asyncio client in its own process.

The asyncio client (`python -m benchmarks.load FILE …`) resends what was not acknowledged, as a provider does, and can
record the acknowledged ids: `crash` needs both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import events

HERE = Path(__file__).parent
CONNECTIONS = 32
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:\s*(\d+)")
_STALE = 5.0


@dataclass(frozen=True, slots=True)
class Load:
    """What the generator saw: `acknowledged` answers with status 200, `refused` with another one, `broken` connections; milliseconds."""

    seconds: float
    acknowledged: int
    refused: int
    broken: int
    exhausted: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float

    @property
    def rate(self) -> float:
        return self.acknowledged / self.seconds


def run(requests: events.Requests, port: int, *, seconds: float, wrk: str | None) -> Load:
    """Post for `seconds`; raises RuntimeError when the generator itself fails."""
    command = _wrk(wrk, requests, port, seconds) if wrk else client(requests, port, seconds=seconds)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 30, cwd=HERE.parent)
    if done.returncode:
        raise RuntimeError(f"the load generator failed: {done.stderr or done.stdout}")
    said = parse(done.stdout)
    acknowledged = said["acknowledged"] if "acknowledged" in said else said["requests"] - said["refused"]
    return Load(acknowledged=acknowledged, **{name: said[name] for name in Load.__dataclass_fields__ if name != "acknowledged"})


def client(requests: events.Requests, port: int, *, seconds: float, acknowledged: Path | None = None) -> list[str]:
    """The command of the asyncio client; `acknowledged` is the file that gets the ids answered with 200, one a line."""
    command = [sys.executable, "-m", "benchmarks.load", str(requests.path), str(requests.size), str(requests.count), str(requests.id_at)]
    command += [str(port), "--seconds", str(seconds)]
    return command if acknowledged is None else [*command, "--acknowledged", str(acknowledged)]


def parse(output: str) -> dict[str, Any]:
    """The JSON line that ends a generator's output."""
    lines = output.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        raise RuntimeError(f"the load generator said: {output[-600:]}")
    return dict(json.loads(lines[-1]))


def _wrk(wrk: str, requests: events.Requests, port: int, seconds: float) -> list[str]:
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "--timeout", "10s", "--latency", "-s", str(HERE / "wrk.lua")]
    return [wrk, *options, f"http://127.0.0.1:{port}{events.PATH}", "--", str(requests.path), str(requests.size)]


class _Run:
    """What the connections of one run share."""

    def __init__(self, requests: events.Requests, port: int, until: float) -> None:
        self.requests, self.port, self.until = requests, port, until
        self.file = requests.path.open("rb", buffering=1 << 20)
        self.acknowledged: list[str] = []
        self.took: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.broken = self.exhausted = 0

    def record(self) -> bytes:
        found = self.file.read(self.requests.size)
        if found:
            return found
        self.exhausted += 1
        self.file.seek(0)
        return self.file.read(self.requests.size)

    def over(self) -> bool:
        return time.perf_counter() >= self.until


class _Connection(asyncio.Protocol):
    """One keep-alive connection: send, wait for the whole answer, send the next; the same one again unless it was a 200."""

    def __init__(self, run: _Run) -> None:
        self.run, self.loop = run, asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.current, self.answer, self.sent_at = b"", b"", 0.0
        self.tasks: set[asyncio.Task[None]] = set()

    def connect(self) -> None:
        task = self.loop.create_task(self._connect())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _connect(self) -> None:
        while not self.run.over():
            try:
                await asyncio.wait_for(self.loop.create_connection(lambda: self, "127.0.0.1", self.run.port), 2)
                return
            except (OSError, TimeoutError):
                await asyncio.sleep(0.05)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def _send(self) -> None:
        if self.transport is None or self.transport.is_closing() or self.run.over():
            return
        self.current = self.current or self.run.record()
        self.answer, self.sent_at = b"", time.perf_counter()
        self.transport.write(self.current)

    def data_received(self, data: bytes) -> None:
        self.answer = self.answer + data if self.answer else data
        if not _complete(self.answer) or not self.sent_at:
            return
        run, status = self.run, int(self.answer[9:12])
        if run.over():
            return
        run.statuses[status] += 1
        if status == 200:
            run.took.append(time.perf_counter() - self.sent_at)
            run.acknowledged.append(run.requests.event_id(self.current))
            self.current = b""
            self._send()
            return
        self.sent_at = 0.0
        self.loop.call_later(0.05, self._send)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self.run.over():
            return
        self.run.broken += 1
        self.sent_at = 0.0
        self.loop.call_later(0.02, self.connect)

    def give_up_when_stale(self) -> None:
        if self.transport is not None and self.sent_at and time.perf_counter() - self.sent_at > _STALE:
            self.transport.abort()


def _complete(answer: bytes) -> bool:
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    length = _LENGTH.search(answer, 0, head)
    if length:
        return len(answer) >= head + 4 + int(length[1])
    return b"chunked" not in answer[:head].lower() or answer.endswith(b"0\r\n\r\n")


async def _drive(requests: events.Requests, port: int, seconds: float) -> _Run:
    started = time.perf_counter()
    run = _Run(requests, port, started + seconds)
    connections = [_Connection(run) for _ in range(CONNECTIONS)]
    for one in connections:
        one.connect()
    while not run.over():
        await asyncio.sleep(min(0.5, max(0.0, run.until - time.perf_counter())))
        for one in connections:
            one.give_up_when_stale()
    for one in connections:
        if one.transport is not None:
            one.transport.abort()
    run.file.close()
    return run


def _said(run: _Run, seconds: float) -> dict[str, float]:
    took = sorted(run.took) or [0.0]
    at = {f"p{share}_ms": took[min(len(took) - 1, len(took) * share // 100)] * 1e3 for share in (50, 90, 99)}
    refused = sum(count for status, count in run.statuses.items() if status != 200)
    done = len(run.acknowledged)
    return {
        "seconds": seconds,
        "acknowledged": done,
        "refused": refused,
        "broken": run.broken,
        "exhausted": run.exhausted,
        **at,
        "max_ms": took[-1] * 1e3,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description="Post a file of pre-signed requests to 127.0.0.1.")
    parser.add_argument("file", type=Path)
    for name in ("size", "count", "id_at", "port"):
        parser.add_argument(name, type=int)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--acknowledged", type=Path)
    asked = parser.parse_args(arguments)
    requests = events.Requests(asked.file, asked.size, asked.count, asked.id_at)
    run = asyncio.run(_drive(requests, asked.port, asked.seconds))
    if asked.acknowledged:
        asked.acknowledged.write_text("".join(f"{one}\n" for one in run.acknowledged), "utf-8")
    print(json.dumps(_said(run, asked.seconds)))


if __name__ == "__main__":
    main()
