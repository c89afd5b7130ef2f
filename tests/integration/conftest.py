"""What the integration tests share: an ERP, a shop, and a Waybill between them on a database of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from middleware.runtime import Runtime
from middleware.simulators.drupal.simulator import DrupalSimulator
from middleware.simulators.erp import ErpSimulator
from tests.world import World


@pytest.fixture
def erp() -> Iterator[ErpSimulator]:
    with ErpSimulator(key="erp-key") as simulator:
        yield simulator


@pytest.fixture
def shop() -> Iterator[DrupalSimulator]:
    with DrupalSimulator() as simulator:
        yield simulator


@pytest.fixture
def world(database_url: str, erp: ErpSimulator) -> World:
    return World(database_url, erp)


@pytest.fixture
def runtime(world: World) -> Iterator[Runtime]:
    made = world.runtime()
    yield made
    made.close()


class Victim:
    """The process in `victim.py`: forks a worker, which dies where it is told."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.victim"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONFAULTHANDLER": ""},
        )

    def run(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert not answer["failed"], "the child ended with an error of its own"
        return answer

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@pytest.fixture
def victim() -> Iterator[Victim]:
    made = Victim()
    yield made
    made.close()


@pytest.fixture(scope="session", autouse=True)
def plain_tracebacks() -> None:
    """Rich ones, which structlog prints unless it is configured, take seconds each."""
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])
