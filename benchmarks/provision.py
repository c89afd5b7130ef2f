"""What the peers need, made on first use: Node packages, a virtual environment, wrk, a Redis; each says why when it cannot be had."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"
WORK = ROOT / "var" / "bench"
VENV = ROOT / "var" / "bench-venv"
FEED_VENV = ROOT / "var" / "bench-venv-feeds"
OUR_VENV = ROOT / "var" / "bench-venv-ours"


class Unavailable(Exception):
    """Something that is needed is not on this machine; the text says what, and what would help."""


def node_packages() -> str:
    """The path of Node, after the Fastify peer's packages are installed; raises `Unavailable`."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Unavailable("Node 20 or later with npm is not on the PATH (Debian: apt-get install nodejs npm)")
    folder = PEERS / "fastify"
    _once(
        folder / "node_modules" / ".waybill",
        folder / "package-lock.json",
        [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=folder,
        what="npm ci",
    )
    return node


@cache
def fastest_python() -> str:
    """The fastest Python of 3.11 or later on this machine, by a short loop: a distribution's optimised build runs the same code
    up to twice as fast as a plain one, and a figure should not depend on which happens to come first on the PATH. Every Python
    subject, ours and the peers, runs on it."""
    names = ("python3.13", "python3.12", "python3.11", "python3")
    found = [sys.executable, *(shutil.which(name, path=path) for path in (None, os.defpath) for name in names)]
    timed = {python: _loop_seconds(python) for python in dict.fromkeys(found) if python}
    return min(timed, key=lambda python: timed[python])


_LOOP = """
import sys, timeit
import ensurepip, venv
assert sys.version_info >= (3, 11)
print(min(timeit.repeat("sum(i % 7 for i in range(1000))", number=300, repeat=3)))
"""


def _loop_seconds(python: str) -> float:
    done = subprocess.run([python, "-c", _LOOP], capture_output=True, text=True, check=False, timeout=60)
    return float(done.stdout) if done.returncode == 0 else float("inf")


def peer_python() -> Path:
    """The `bin` folder of the peers' own virtual environment; raises `Unavailable`."""
    wanted = PEERS / "flask_celery" / "requirements.txt"
    return _environment(VENV, wanted, ["-r", str(wanted)])


def our_python() -> Path:
    """The `bin` folder of an environment for our own processes, on the same Python as the peers'; raises `Unavailable`."""
    wanted = ROOT / "constraints.txt"
    return _environment(OUR_VENV, wanted, ["-c", str(wanted), "-e", str(ROOT)])


def _environment(folder: Path, wanted: Path, packages: Sequence[str]) -> Path:
    python = folder / "bin" / "python"
    made_with = folder / ".python"
    if not made_with.exists() or made_with.read_text("utf-8") != fastest_python():
        shutil.rmtree(folder, ignore_errors=True)
        _run([fastest_python(), "-m", "venv", str(folder)], what="python -m venv")
        made_with.write_text(fastest_python(), "utf-8")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    _once(folder / ".waybill", wanted, pip, cwd=ROOT, what="pip install")
    return folder / "bin"


def feed_python() -> Path:
    """The `bin` folder of the feed peers' own virtual environment; raises `Unavailable`."""
    wanted = PEERS / "feeds" / "requirements.txt"
    return _environment(FEED_VENV, wanted, ["-r", str(wanted)])


def wrk() -> tuple[str | None, str]:
    """The path of wrk (None: the asyncio client is used) and a word on it. Root on Debian gets it by apt-get."""
    found = shutil.which("wrk")
    if not found and not os.geteuid() and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "wrk"], capture_output=True, check=False, timeout=120)
        found = shutil.which("wrk")
    if found:
        return found, "wrk, 1 thread, 32 connections"
    return None, "asyncio client, 32 connections: wrk is not installed, so rates are somewhat lower for every subject"


class Redis:
    """A broker for the peers. `pid` is None when it is not ours."""

    def __init__(self, url: str, pid: int | None) -> None:
        self.url, self.pid = url, pid

    def cpu_seconds(self) -> float:
        return 0.0 if self.pid is None else processes.cpu_seconds([self.pid])


@contextmanager
def redis() -> Iterator[Redis | None]:
    """WAYBILL_BENCH_REDIS_URL, else a redis-server of our own on a free port, else None."""
    url, program = os.environ.get("WAYBILL_BENCH_REDIS_URL", ""), shutil.which("redis-server")
    if url or not program:
        yield Redis(url, None) if url else None
        return
    port, log = processes.free_port(), WORK / "redis.log"
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(WORK)]
    process = processes.start(command, log)
    try:
        processes.wait_for_port(port, process, log)
        yield Redis(f"redis://127.0.0.1:{port}/0", process.pid)
    finally:
        processes.stop(process)


def _once(stamp: Path, wanted: Path, command: Sequence[str], *, cwd: Path, what: str) -> None:
    """Run `command` unless `stamp` says that it ran for this content of `wanted`."""
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text("utf-8") == digest:
        return
    _run(command, cwd=cwd, what=what)
    stamp.write_text(digest, "utf-8")


def _run(command: Sequence[str], *, cwd: Path = ROOT, what: str) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise Unavailable(f"{what} failed: {(done.stderr or done.stdout).strip()[-600:]}")
