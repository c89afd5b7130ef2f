"""A sender is told what it wants to read: the same through all three skins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from middleware.runtime import Runtime
from middleware.settings import Connection, Web
from middleware.testing import Cluster, secret
from tests.web.test_handshake import SKINS, asked
from tests.world import World, connections, rows

ADYEN = json.loads((Path(__file__).parents[1] / "payloads" / "vectors" / "adyen.json").read_text("utf-8"))["vectors"][0]


@pytest.fixture(params=SKINS)
def skin(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def runtime(skin: str, cluster: Cluster) -> Iterator[Runtime]:
    name, url = cluster.clone()
    adyen = Connection("adyen", "adyen", secrets=(secret(ADYEN["secret"]),))
    made = World(url, connections={**connections(), "adyen": adyen}).runtime(web=Web(thin_layer=skin == "thin layer"))
    yield made
    made.close()
    cluster.drop(name)


def test_adyen_reads_that_its_delivery_is_accepted(skin: str, runtime: Runtime) -> None:
    told = (200, "text/plain; charset=utf-8", "[accepted]")
    assert [asked(skin, runtime, "adyen", "", ADYEN["body"].encode()) for _ in range(2)] == [told, told]
    assert rows(runtime, "SELECT topic FROM events") == [("AUTHORISATION",)]
