"""Every payment provider's whole path, found by itself: verified, kept once, decided; and that a provider is registered nowhere else."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path

import pytest

from middleware import connectors, inbox
from middleware.connectors import connector_class
from middleware.errors import Refused
from middleware.ports import Inbound
from middleware.settings import Connection
from middleware.testing import secret
from tests.world import World, rows
from tests.world import connections as the_others

ROOT = Path(__file__).parents[2]
PROVIDERS = [
    name for name in connectors.systems() if connector_class(name).LANE == "payments" and hasattr(connector_class(name), "translate")
]
SECRET = secret("ab" * 32)
"""A signing secret in hex, which is good base64 too: every provider takes it for one of its own."""
SIGNING = [name for name in PROVIDERS if hasattr(connector_class(name), "sample_request")]


def connection(system: str) -> Connection:
    cls = connector_class(system)
    credentials = {name: secret("value") for name in cls.CREDENTIALS}
    return Connection("provider", system, "http://127.0.0.1:9", (SECRET,), credentials)


def test_there_are_a_dozen_providers() -> None:
    assert len(PROVIDERS) >= 12


@pytest.mark.parametrize("system", SIGNING)
def test_a_delivery_is_verified_kept_once_and_decided(system: str, database_url: str) -> None:
    mine = connection(system)
    runtime = World(database_url, connections={**the_others(), "provider": mine}).runtime()
    sample = runtime.connector("provider").sample_request(datetime.now(UTC))
    first = inbox.receive(runtime, "provider", sample)
    again = inbox.receive(runtime, "provider", sample)
    hints = rows(runtime, "SELECT count(*) FROM events WHERE connection = 'provider' AND hint")[0][0]
    assert first.new == first.deliveries
    assert again.new == hints  # a hint is never a duplicate
    while inbox.decide(runtime, "payments"):
        pass
    states = {state for (state,) in rows(runtime, "SELECT DISTINCT state FROM events WHERE connection = 'provider'")}
    assert states <= {"decided", "ignored", "parked"}
    runtime.close()


@pytest.mark.parametrize("system", SIGNING)
def test_a_delivery_whose_secret_was_taken_away_is_refused(system: str) -> None:
    mine = connection(system)
    sample = connector_class(system)(mine, None).sample_request(datetime.now(UTC))
    closed = Connection("provider", system, mine.base_url, (), mine.credentials)
    with pytest.raises(Refused):
        connector_class(system)(closed, None).read(Inbound(sample.headers, sample.body, sample.url, sample.received_at))


@pytest.mark.parametrize("system", PROVIDERS)
def test_a_provider_is_named_in_its_own_files_alone(system: str) -> None:
    named = []
    for folder in ("middleware", "mappings", "tasks"):
        for file in (ROOT / folder).rglob("*.py"):
            inside = {part.partition(".")[0] for part in file.relative_to(ROOT).parts}
            if any(part.startswith(system) for part in inside) or "simulators" in inside or "demo" in inside:
                continue
            words = {node.value for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Constant)}
            named += [str(file.relative_to(ROOT))] if system in words else []
    assert named == []
