"""Other people's programs as processes of their own: pinned versions in an environment each, a free port, a wait for the listener."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
VAR = HERE.parent.parent / "var"


class Unavailable(Exception):
    """This machine cannot run the program; the text says why."""


def installed(name: str, packages: Sequence[str]) -> Path:
    """The bin folder of `var/<name>-venv`, with exactly the versions of `<name>-constraints.txt`; made at first use."""
    home, constraints = VAR / f"{name}-venv", HERE / f"{name}-constraints.txt"
    stamp, wanted = home / "waybill-constraints.txt", constraints.read_text("utf-8")
    VAR.mkdir(exist_ok=True)
    with (VAR / f"{name}-venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text("utf-8") != wanted:
            run([sys.executable, "-m", "venv", "--clear", str(home)], "the virtual environment cannot be made")
            run([str(home / "bin" / "pip"), "install", "-q", "-c", str(constraints), *packages], f"{name} cannot be installed")
            stamp.write_text(wanted, "utf-8")
    return home / "bin"


def run(command: list[str], why: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """The output of a command; raises `Unavailable` with `why` and its last line when it fails."""
    done = subprocess.run(command, env=env or dict(os.environ), cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise Unavailable(f"{why}: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
    return done.stdout


def await_listener(process: subprocess.Popen[bytes], root: str, log: Path, seconds: float = 60) -> None:
    """Return when the process accepts connections at `root`; raises `Unavailable`, pointing at its log."""
    at, until = urlsplit(root), time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Unavailable(f"it ended with {process.returncode}: see {log}")
        try:
            socket.create_connection((at.hostname, at.port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise Unavailable(f"it did not listen within {seconds:g} s: see {log}")


def eventually(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Return when the condition holds; fails with `what` when it does not within `seconds`."""
    assert happens(condition, seconds), f"not within {seconds:g} s: {what}"


def happens(condition: Callable[[], object], seconds: float) -> bool:
    """Whether the condition comes to hold within `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def npm_installed(name: str) -> Path:
    """The folder `var/<name>-npm`, which holds what lies in `tests/real/<name>/` and exactly the packages of its lock file; made
    at first use. Raises `Unavailable` where Node 20 or npm is not at hand."""
    home, source = VAR / f"{name}-npm", HERE / name
    version = run(["node", "--version"], "Node does not run") if shutil.which("node") else ""
    if not shutil.which("npm") or not re.match(r"v(2\d|[3-9]\d)\.", version):
        raise Unavailable(f"it needs Node 20 or newer and npm; found {version.strip() or 'no Node'}")
    VAR.mkdir(exist_ok=True)
    with (VAR / f"{name}-npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, wanted = home / "waybill-lock.json", (source / "package-lock.json").read_text("utf-8")
        if not stamp.is_file() or stamp.read_text("utf-8") != wanted:
            shutil.copytree(source, home, dirs_exist_ok=True)
            run(["npm", "ci", "--prefix", str(home), "--no-audit", "--no-fund"], f"{name} cannot be installed")
            stamp.write_text(wanted, "utf-8")
        shutil.copytree(source, home, dirs_exist_ok=True)
    return home
