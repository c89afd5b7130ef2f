"""What the integration tests share: an ERP, a shop, and a Waybill between them on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
