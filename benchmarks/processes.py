"""Processes of the benchmark: started with a time limit of their parent's life, measured and stopped by pid."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def start(
    command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None, user: str | None = None
) -> subprocess.Popen[bytes]:
    """Start `command` with its output in `log`. It ends when this process ends, however that happens."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            **identity(user),
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 (one thread when it runs)
        )


def identity(user: str | None) -> dict[str, Any]:
    """Arguments of `subprocess` that make a child run as `user` (None: as we do)."""
    if not user:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def stop(process: subprocess.Popen[bytes], *, with_signal: int = signal.SIGTERM, patience: float = 10.0) -> None:
    """End a process that we started and its children: politely, then by force, each by its pid."""
    tree = _tree(process.pid)
    if process.poll() is None:
        process.send_signal(with_signal)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for one in wait_gone(tree, patience=2):
        _kill(one)


def kill_tree(process: subprocess.Popen[bytes]) -> int:
    """`kill -9` a process that we started and all of its children at once; how many there were."""
    tree = _tree(process.pid)
    for one in tree:
        _kill(one)
    process.wait()
    wait_gone(tree, patience=5)
    return len(tree)


def kill_a_child(process: subprocess.Popen[bytes]) -> bool:
    """`kill -9` the busiest child (a web worker, not some tracker beside it); False when there is only the root."""
    children = _tree(process.pid)[1:]
    if not children:
        return False
    _kill(max(children, key=_worked))
    return True


def wait_gone(these: Iterable[psutil.Process], *, patience: float) -> list[psutil.Process]:
    """Those that still run after `patience` seconds. An orphan that nobody reaps (a zombie) is gone for us: psutil would wait for it."""
    left, until = list(these), time.monotonic() + patience
    while (left := [one for one in left if _runs(one)]) and time.monotonic() < until:
        time.sleep(0.01)
    return left


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system seconds of whole process trees, with those of children that ended and were waited for."""
    total = 0.0
    for pid in pids:
        for one in _tree(pid):
            try:
                times = one.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
    return total


def busy_seconds() -> float:
    """CPU seconds that the whole machine has worked, to see how much of it was not ours."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, *, patience: float = 30.0) -> None:
    """Wait until 127.0.0.1:`port` accepts; raises RuntimeError with the log's end when the process ends or time is up."""
    until = time.monotonic() + patience
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    state = f"ended with {process.returncode}" if process.poll() is not None else f"did not listen within {patience:.0f} s"
    raise RuntimeError(f"{' '.join(map(str, process.args[:3]))} {state}:\n{tail(log)}")  # type: ignore[index]


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log."""
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:]) if log.exists() else "(no output)"


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _worked(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
