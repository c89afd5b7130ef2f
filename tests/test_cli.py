"""The command line, as an operator uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from middleware import connectors, inbox, timeline
from middleware.cli import cli
from middleware.runtime import Runtime
from middleware.simulators.erp import ErpSimulator
from middleware.testing import drain
from middleware.vault import new_key
from tests.world import SHOP_SECRET, STRIPE_SECRET, World, inbound, intent_event, order_event, sign_shop, sign_stripe

VECTORS = Path(__file__).parent / "payloads" / "vectors"


def run(*words: str, **env: str) -> Result:
    return CliRunner().invoke(cli, words, env={"COLUMNS": "200", **env}, terminal_width=200)


def test_help_names_every_command() -> None:
    found = run("--help")
    assert found.exit_code == 0
    for name in [
        "calls",
        "check",
        "demo",
        "events",
        "init",
        "migrate",
        "orders",
        "pull",
        "replay",
        "serve",
        "switch",
        "systems",
        "users",
        "verify",
    ]:
        assert f"  {name} " in found.output


def test_every_command_explains_itself() -> None:
    def walk(command: Any, path: tuple[str, ...]) -> None:
        assert command.help, path
        assert run(*path, "--help").exit_code == 0
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*path, name))

    walk(cli, ())


def test_systems_prints_every_connector_with_its_proof() -> None:
    found = run("systems")
    lines = {line.split()[0]: line for line in found.output.splitlines()[1:] if line[1] != " "}
    assert set(lines) == set(connectors.systems())
    assert "real system" in lines["tryton"]


# verify


def vector(system: str, name: str, folder: Path) -> tuple[dict[str, Any], list[str]]:
    file = json.loads((VECTORS / f"{system}.json").read_text("utf-8"))
    found = next(one for one in file["vectors"] if one["name"] == name)
    (folder / "headers.json").write_text(json.dumps(found["headers"]), "utf-8")
    (folder / "body").write_bytes(found["body"].encode())
    words = ["--headers", str(folder / "headers.json"), "--body", str(folder / "body"), "--now", str(file["frozen_now_unix"])]
    return found, words


@pytest.mark.parametrize(
    ("file", "system", "name", "code", "says"),
    [
        ("stripe", "stripe", "valid", 0, "verified: 1 deliveries with secret 1 of 1"),
        ("stripe", "stripe", "rotation: two v1, second matches", 0, "verified"),
        ("stripe", "stripe", "tampered amount", 1, "refused: no signature matches"),
        ("stripe", "stripe", "only v0 scheme", 1, "refused: the header has no v1 signature"),
        ("stripe", "stripe", "missing t", 1, "refused: the header has no single timestamp"),
        ("stripe", "stripe", "empty header", 1, "refused: there is no Stripe-Signature header"),
        ("standardwebhooks", "drupal", "valid", 0, "verified: 1 deliveries with secret 1 of 1"),
        ("standardwebhooks", "drupal", "tampered body", 1, "refused: no signature matches"),
        ("standardwebhooks", "drupal", "too new 301s", 1, "refused: signed at 1767225901, outside 300 s"),
    ],
)
def test_verify_judges_a_recorded_request(tmp_path: Path, file: str, system: str, name: str, code: int, says: str) -> None:
    found, words = vector(file, name, tmp_path)
    result = run("verify", system, *words, "--secret", found["secret"])
    assert (result.exit_code, result.output.splitlines()[0]) == (code, says if code else result.output.splitlines()[0])
    assert result.output.startswith(says)
    assert found["secret"] not in result.output


def test_verify_takes_the_secret_from_the_environment_or_a_file_and_tries_several(tmp_path: Path) -> None:
    found, words = vector("stripe", "valid", tmp_path)
    (tmp_path / "secret").write_text(found["secret"] + "\n", "utf-8")
    assert run("verify", "stripe", *words, "--secret", "env:MINE", MINE=found["secret"]).exit_code == 0
    result = run("verify", "stripe", *words, "--secret", "whsec_old", "--secret", f"file:{tmp_path / 'secret'}")
    assert result.output.splitlines() == [
        "verified: 1 deliveries with secret 2 of 2",
        "  evt_1VecA000000000000000001  payment_intent.succeeded  pi_3VecA0000000000000001",
    ]


def test_verify_says_when_the_environment_is_the_wrong_one(tmp_path: Path) -> None:
    found, words = vector("stripe", "valid", tmp_path)
    result = run("verify", "stripe", *words, "--secret", found["secret"], "--live")
    assert (result.exit_code, result.output) == (1, "refused: a test event on a live connection\n")


def test_verify_knows_the_options_of_a_system(tmp_path: Path) -> None:
    found, words = vector("stripe", "timestamp exactly 300s old", tmp_path)
    assert run("verify", "stripe", *words, "--secret", found["secret"]).exit_code == 0
    assert run("verify", "stripe", *words, "--secret", found["secret"], "--option", "tolerance=299").exit_code == 1
    wrong = run("verify", "stripe", *words, "--secret", found["secret"], "--option", "tolerence=299")
    assert (wrong.exit_code, "unknown option tolerence; known: tolerance" in wrong.output) == (2, True)
    assert run("verify", "stripe", *words, "--secret", found["secret"], "--option", "tolerance=soon").exit_code == 2
    assert run("verify", "sap", *words, "--secret", "x").exit_code == 2


def test_an_error_of_ours_is_one_clear_line(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "middleware.cli", "orders", "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"WAYBILL_CONFIG_DIR": str(tmp_path), "PATH": ""},
    )
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("waybill: keys: missing")
    assert "Traceback" not in found.stderr


# on a database


CONFIGURATION = """
keys = ["env:WAYBILL_KEY"]
[logging]
level = "error"
[connections.shop]
system = "drupal"
base_url = "http://127.0.0.1:9"
secrets = ["env:SHOP"]
credentials = {{ password = "env:WORD" }}
[connections.stripe]
system = "stripe"
secrets = ["env:STRIPE"]
[connections.erp]
system = "demo_erp"
base_url = "{erp}"
credentials = {{ key = "env:ERP" }}
[stores.main]
shop = "shop"
erp = "erp"
payments = ["stripe"]
"""


@pytest.fixture
def env(tmp_path: Path, database_url: str) -> dict[str, str]:
    """A configuration of the same database as `world`'s, as the environment gives it."""
    (tmp_path / "waybill.toml").write_text(CONFIGURATION.format(erp="http://127.0.0.1:9"), "utf-8")
    return {
        "WAYBILL_CONFIG_DIR": str(tmp_path),
        "WAYBILL_DATABASE_URL": database_url,
        "WAYBILL_KEY": new_key(),
        "SHOP": SHOP_SECRET,
        "WORD": "x",
        "STRIPE": STRIPE_SECRET,
        "ERP": "erp-key",
    }


def fill(runtime: Runtime) -> None:
    body, paid = order_event("uuid-1", payment="pi_1"), intent_event("pi_1")
    inbox.receive(runtime, "stripe", inbound(sign_stripe(paid), paid))
    inbox.receive(runtime, "shop", inbound(sign_shop(body, "m1"), body))
    drain(runtime)


def test_orders_show_prints_the_timeline_of_the_console(database_url: str, env: dict[str, str]) -> None:
    with ErpSimulator(key="erp-key") as erp:
        runtime = World(database_url, erp).runtime()
        fill(runtime)
        story = timeline.by_number(runtime, "1001")[0]
        runtime.close()
    for reference in ("1001", "uuid-1", story.summary.erp_number):
        found = run("orders", "show", reference, **env)
        assert found.exit_code == 0
        text = " ".join(found.output.split())
        assert "Order 1001 (shop uuid-1), store main, 44.70 EUR shop placed · payment paid · export exported" in text
        assert [line.title for line in story.lines if line.title not in text] == []


def test_orders_show_of_an_unknown_number_exits_1(env: dict[str, str]) -> None:
    assert (run("orders", "show", "[9]", **env).exit_code, run("orders", "show", "[9]", **env).output) == (
        1,
        "No order has the number or id [9].\n",
    )


def test_the_lists_print(database_url: str, env: dict[str, str]) -> None:
    runtime = World(database_url).runtime()
    fill(runtime)
    runtime.close()
    assert "1001" in run("orders", "list", **env).output
    assert "payment_intent.succeeded" in run("events", "list", "--connection", "stripe", **env).output
    assert "create_order" in run("calls", "list", **env).output
    assert run("orders", "stuck", **env).exit_code == run("events", "dead", **env).exit_code == run("calls", "dead", **env).exit_code == 0


def test_a_dead_event_is_previewed_and_then_driven_again(database_url: str, env: dict[str, str]) -> None:
    runtime = World(database_url).runtime()
    body = b"not json"
    inbox.receive(runtime, "shop", inbound(sign_shop(body, "m1"), body))
    drain(runtime)
    runtime.close()
    assert "unreadable" in run("events", "dead", **env).output
    preview = run("replay", "event", "--cause", "unreadable", **env)
    assert (preview.exit_code, "This is a preview of 1" in preview.output) == (0, True)
    assert run("replay", "event", "--cause", "unreadable", "--yes", **env).output.endswith("1 due again.\n")
    assert run("replay", "event", "--cause", "unreadable", **env).exit_code == 1
    assert run("replay", "event", **env).exit_code == 2


def test_a_connection_is_switched_off_with_a_reason_and_on_again(env: dict[str, str]) -> None:
    assert run("switch", "off", "erp", "--reason", "[maintenance]", **env).exit_code == 0
    assert "[maintenance]" in run("switch", "list", **env).output
    assert run("switch", "on", "erp", **env).exit_code == 0
    assert run("switch", "list", **env).output == "Every connection is on.\n"
    assert run("switch", "on", "nobody", **env).exit_code == 1


def test_a_console_link_is_printed_whole(env: dict[str, str]) -> None:
    found = run("users", "link", "--url", "https://waybill.example.com/", **env)
    assert found.output.startswith("https://waybill.example.com/console/enter/")
    assert len(found.output.splitlines()) == 1


def test_migrate_says_the_revision(env: dict[str, str]) -> None:
    assert run("migrate", **env).output.startswith("The schema is at revision ")


def test_pull_says_what_came_and_what_failed(env: dict[str, str], tmp_path: Path) -> None:
    failed = run("pull", "erp", "orders", **env)
    assert (failed.exit_code, failed.output.startswith("0 new, transient: ")) == (1, True)
    with ErpSimulator(key="erp-key") as erp:
        (tmp_path / "waybill.toml").write_text(CONFIGURATION.format(erp=erp.url), "utf-8")
        assert run("pull", "erp", "orders", **env).output == "0 new, complete\n"
    assert run("pull", "stripe", "orders", **env).exit_code == 1
