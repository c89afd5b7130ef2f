"""The door tests itself, secrets are replaced with an overlap, and who refuses everything is an alarm."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from mappings.canonical import Ignored
from middleware import connectors, inbox
from middleware.cli import cli
from middleware.connectors._http import Http
from middleware.errors import Refused, SignatureRefused, Unreadable
from middleware.payments import selftest
from middleware.ports import Inbound
from middleware.runtime import Runtime
from middleware.settings import Connection, load
from middleware.testing import secret
from middleware.vault import new_key
from tests.world import SHOP_SECRET, STRIPE_SECRET, World, connections, inbound, intent_event, rows, sign_stripe

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
SAMPLED = [name for name in connectors.systems() if hasattr(connectors.connector_class(name), "sample_request")]
OTHER = "whsec_b2xkLXNlY3JldC1vZi1zdHJpcGU="


def connection(system: str, **changes: object) -> Connection:
    cls = connectors.connector_class(system)
    credentials = {name: secret("value") for name in cls.CREDENTIALS}
    made = Connection("mine", system, "http://127.0.0.1:9", (secret("5e" * 32),), credentials)  # hex, and base64, and text
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("system", SAMPLED)
def test_every_door_that_can_be_tested_does_right(system: str) -> None:
    found = selftest.check(connection(system), NOW)
    assert [(one.what, one.said) for one in found if not one.holds] == []
    assert {"good", "tampered", "signed with another secret"} <= {one.what for one in found}


@pytest.mark.parametrize("system", SAMPLED)
@pytest.mark.parametrize("live", [False, True])
def test_a_sample_changes_nothing_when_it_is_kept(system: str, live: bool) -> None:
    mine = connection(system, live=live)
    connector = connectors.connector_class(system)(mine, Http(mine))
    (delivery,) = connector.read(connector.sample_request(NOW))
    with contextlib.suppress(Unreadable):  # kept, shown to a person, and never applied
        assert delivery.hint or isinstance(connector.translate(delivery.topic, delivery.payload), Ignored)


@pytest.mark.parametrize("system", [one for one in SAMPLED if not hasattr(connectors.connector_class(one), "SIGNS_FIELDS")])
def test_no_byte_of_a_sample_can_be_another_one_and_the_door_stays_shut(system: str) -> None:
    mine = connection(system)
    connector = connectors.connector_class(system)(mine, Http(mine))
    good = connector.sample_request(NOW)
    for place in range(len(good.body)):
        changed = good.body[:place] + bytes([good.body[place] ^ 1]) + good.body[place + 1 :]
        with pytest.raises(Refused):
            connector.read(replace(good, body=changed))


def test_a_door_that_lets_everything_in_is_found(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    runtime = World(database_url).runtime()
    monkeypatch.setattr(connectors.connector_class("stripe"), "_verify", lambda self, request: 0)
    with structlog.testing.capture_logs() as said:
        selftest.check_all(runtime)
    broken = [(line["connection"], line["sent"]) for line in said if line["event"] == "door.broken"]
    assert broken == [("stripe", what) for what in ("tampered", "signed with another secret", "stale", "re-serialised")]
    runtime.close()


def signed(secret_text: str, event: str) -> Inbound:
    body = intent_event("pi_1", order="uuid-1", event=event)
    return inbound(sign_stripe(body, secret_text=secret_text), body)


def rotating(database_url: str, **dates: datetime) -> Runtime:
    old = replace(secret(OTHER), source="env:OLD", **dates)  # type: ignore[arg-type]
    stripe = replace(connections()["stripe"], secrets=(replace(secret(STRIPE_SECRET), source="env:NEW"), old))
    return World(database_url, connections={**connections(), "stripe": stripe}).runtime()


def test_two_secrets_verify_while_both_are_valid_and_their_uses_are_counted(database_url: str) -> None:
    runtime = rotating(database_url, not_after=datetime.now(UTC) + timedelta(hours=1))
    for number, text in enumerate((STRIPE_SECRET, OTHER, STRIPE_SECRET)):
        inbox.receive(runtime, "stripe", signed(text, f"evt_{number}"))
    runtime.secret_uses.flush(runtime.engine)
    runtime.secret_uses.flush(runtime.engine)
    assert rows(runtime, "SELECT source, uses FROM secret_uses ORDER BY 1") == [("env:NEW", 2), ("env:OLD", 1)]
    runtime.close()


@pytest.mark.parametrize("dates", [{"not_after": datetime(2020, 1, 1, tzinfo=UTC)}, {"not_before": datetime(2099, 1, 1, tzinfo=UTC)}])
def test_a_secret_out_of_its_time_opens_nothing(database_url: str, dates: dict[str, datetime]) -> None:
    runtime = rotating(database_url, **dates)
    with pytest.raises(SignatureRefused, match="signed with env:OLD, which is not valid now"):
        inbox.receive(runtime, "stripe", signed(OTHER, "evt_1"))
    assert inbox.receive(runtime, "stripe", signed(STRIPE_SECRET, "evt_1")).new == 1
    runtime.close()


def test_a_connection_that_refuses_everything_is_an_alarm(database_url: str) -> None:
    runtime = World(database_url).runtime()
    runtime.refusals.note("stripe", "signature", "no signature matches", {}, 3, runtime.now())
    runtime.refusals.note("shop", "signature", "no signature matches", {}, 3, runtime.now())
    runtime.refusals.flush(runtime.engine)
    assert selftest.watch(runtime) == ["shop", "stripe"]
    inbox.receive(runtime, "stripe", signed(STRIPE_SECRET, "evt_1"))
    assert selftest.watch(runtime) == ["shop"]
    runtime.close()


CONFIGURATION = """
keys = ["file:{folder}/key"]
[database]
url = "{database}"
[connections.stripe]
system = "stripe"
secrets = ["file:{folder}/new", {{ ref = "file:{folder}/old", not_after = 2099-01-01T00:00:00Z }}]
[connections.shop]
system = "drupal"
base_url = "http://127.0.0.1:9"
secrets = ["file:{folder}/shop"]
"""


@pytest.fixture
def configured(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {"key": new_key(), "new": STRIPE_SECRET, "old": OTHER, "shop": SHOP_SECRET}.items():
        (tmp_path / name).write_text(value, "utf-8")
    (tmp_path / "waybill.toml").write_text(CONFIGURATION.format(folder=tmp_path, database=database_url), "utf-8")
    monkeypatch.setenv("WAYBILL_CONFIG_DIR", str(tmp_path))
    return tmp_path


def test_the_commands_say_how_the_door_and_its_secrets_are(configured: Path) -> None:
    tested = CliRunner().invoke(cli, ["verify", "--self-test"], catch_exceptions=False)
    assert (tested.exit_code, "stripe: good: verified" in tested.output, "WRONG" in tested.output) == (0, True, False)
    runtime = Runtime(load(), ring=lambda *_: None)
    old = runtime.now() - timedelta(days=5)
    runtime.secret_uses.note("stripe", f"file:{configured}/old", old)
    runtime.secret_uses.note("stripe", f"file:{configured}/new", runtime.now())
    runtime.secret_uses.flush(runtime.engine)
    runtime.close()
    shown = CliRunner().invoke(cli, ["secrets"], catch_exceptions=False).output
    lines = {("/old" in line, "/new" in line): " ".join(line.split()) for line in shown.splitlines() if "stripe" in line}
    assert "2099-01-01 00:00" in lines[True, False]
    assert "dead: another one is used" in shown.replace("\n", " ")
    assert STRIPE_SECRET not in shown


def test_a_secret_s_dates_have_a_zone(configured: Path) -> None:
    text = (configured / "waybill.toml").read_text("utf-8").replace("2099-01-01T00:00:00Z", "2099-01-01T00:00:00")
    (configured / "waybill.toml").write_text(text, "utf-8")
    found = CliRunner().invoke(cli, ["check"])
    assert found.exit_code == 1
    assert "with times that have their zone" in found.output + str(found.exception)


def test_a_connector_that_cannot_sign_is_not_tested() -> None:
    assert selftest.check(connection("files", secrets=()), NOW) == []
