"""Waybill as it runs in production, for tests: web processes under uvicorn and Celery workers, each a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import requests

from middleware import settings
from middleware.settings import LANES, Settings
from middleware.vault import new_key

from .programs import eventually, free_port

ROOT = Path(__file__).parents[2]


class Deployment:
    """One configured Waybill and its processes; `stop` ends them all. Logs lie in `folder`."""

    def __init__(self, folder: Path, configuration: str, secrets: dict[str, str], **values: Any) -> None:
        """`configuration` is TOML with `{folder}`, `{port}` and the `values` filled in; each secret becomes a file in `folder`."""
        self.folder = folder
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        for name, value in {"key": new_key(), **secrets}.items():
            (folder / name).write_text(value, "utf-8")
        (folder / "waybill.toml").write_text(configuration.format(folder=folder, port=port, **values), "utf-8")
        overrides = {name for name in os.environ if name.startswith("WAYBILL_")}
        self._environ = {name: value for name, value in os.environ.items() if name not in overrides} | {"WAYBILL_CONFIG_DIR": str(folder)}
        self._processes: list[subprocess.Popen[bytes]] = []

    def settings(self) -> Settings:
        """What every process of it loads."""
        return settings.load(self.folder, self._environ)

    def web(self, processes: int) -> subprocess.Popen[bytes]:
        """`waybill serve`; returns when it is ready."""
        started = self._start("web", [str(Path(sys.executable).with_name("waybill")), "serve", "--processes", str(processes)])
        eventually(lambda: self._ready(started), "the web processes are ready")
        return started

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        """`celery -A tasks worker` for every lane."""
        queues = ",".join(self.settings().broker.prefix + lane for lane in LANES)
        command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-P", "threads", "-c", "8", "-Q", queues, "-n", f"{name}@%h"]
        return self._start(name, [*command, "--loglevel", "WARNING"])

    def web_children(self, web: subprocess.Popen[bytes]) -> list[psutil.Process]:
        """The processes that answer requests; beside them runs Python's own tracker of what spawned processes share."""
        return [child for child in psutil.Process(web.pid).children() if "spawn_main" in " ".join(child.cmdline())]

    def stop(self) -> None:
        """End everything, politely first."""
        for process in self._processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        until = time.monotonic() + 20
        for process in self._processes:
            try:
                process.wait(max(until - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def logs(self) -> str:
        """What the processes wrote."""
        return "\n".join(f"--- {file.name}\n{file.read_text('utf-8')[-4000:]}" for file in sorted(self.folder.glob("*.log")))

    def _start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(command, cwd=ROOT, env=self._environ, stdout=log, stderr=log)
        self._processes.append(started)
        return started

    def _ready(self, web: subprocess.Popen[bytes]) -> bool:
        assert web.poll() is None, self.logs()
        try:
            return requests.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        except requests.RequestException:
            return False
