"""One PostgreSQL cluster a session, a fresh database a test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from middleware.testing import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = Path("var") / f"test-{os.getpid()}"
    with Cluster.running(folder, os.environ.get("WAYBILL_TEST_DATABASE_URL") or os.environ.get("WAYBILL_DATABASE_URL", "")) as running:
        yield running
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(cluster: Cluster) -> Iterator[str]:
    name, url = cluster.clone()
    yield url
    cluster.drop(name)
