"""Configuration: every mistake at once, with its file, its key and what is expected; secrets never printed."""

from __future__ import annotations

import os
import stat
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from middleware import settings
from middleware.cli import cli
from middleware.errors import SettingsError
from middleware.secret import Secret, resolve
from middleware.settings import Connection, Settings, Store
from middleware.tables import is_required
from middleware.vault import new_key

ENV = {
    "WAYBILL_KEY": new_key(),
    "HOOK": "whsec_c2VjcmV0LXNlY3JldA==",
    "WORD": "the-password-value",
    "STRIPE": "whsec_stripe-secret-value",
    "ERP": "erp-key-value",
}
RIGHT = """
keys = ["env:WAYBILL_KEY"]
sentry_dsn = "env:DSN"

[connections.shop]
system = "drupal"
base_url = "https://shop.example.com"
secrets = ["env:HOOK"]
credentials = { password = "env:WORD" }

[connections.stripe]
system = "stripe"
secrets = ["env:STRIPE"]

[connections.erp]
system = "demo_erp"
base_url = "https://erp.example.com"
credentials = { key = "env:ERP" }

[stores.main]
shop = "shop"
erp = "erp"
payments = ["stripe"]
"""


def written(folder: Path, text: str) -> Path:
    (folder / "waybill.toml").write_text(text, "utf-8")
    return folder


def mistakes(folder: Path, text: str, **env: str) -> list[str]:
    with pytest.raises(SettingsError) as found:
        settings.load(written(folder, text), {**ENV, **env})
    return [line.replace(str(folder / "waybill.toml"), "waybill.toml") for line in found.value.mistakes]


def test_a_right_configuration_is_read(tmp_path: Path) -> None:
    found = settings.load(written(tmp_path, RIGHT), {**ENV, "DSN": "https://public@errors.example.com/1"})
    assert set(found.connections) == {"shop", "stripe", "erp"}
    assert found.connections["shop"].credentials["password"].reveal() == "the-password-value"
    assert found.stores["main"] == Store("main", "shop", erp="erp", payments=("stripe",))
    assert [store.name for store in found.stores_of("stripe")] == ["main"]


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    wrong = """
keys = ["plain-text-key", "env:NOT_SET"]
enviroment = "x"

[web]
port = "many"
thin_layer = 1
max_bodi = 5

[logging]
format = "xml"

[connections.shop]
system = "drupal"
secrets = "env:HOOK"
timeout = true

[connections.erp]
base_url = 7

[stores.main]
shop = "shopp"
export_when = "someday"
"""
    reference = "expected a reference, env:NAME or file:PATH; a secret is never written in the file itself"
    assert mistakes(tmp_path, wrong) == [
        "waybill.toml: connections.shop.secrets: expected tuple[Secret, ...], found str",
        "waybill.toml: connections.shop.timeout: expected float, found bool",
        "waybill.toml: connections.erp.base_url: expected str, found int",
        "waybill.toml: connections.erp.system: missing; expected str",
        "waybill.toml: stores.main.export_when: expected one of placed, paid, found 'someday'",
        f"waybill.toml: keys: {reference}",
        "waybill.toml: keys: env:NOT_SET is missing or empty",
        "waybill.toml: enviroment: unknown key; did you mean 'environment'?",
        "waybill.toml: web.port: expected int, found str",
        "waybill.toml: web.thin_layer: expected bool, found int",
        "waybill.toml: web.max_bodi: unknown key; did you mean 'max_body'?",
        "waybill.toml: logging.format: expected one of json, console, found 'xml'",
    ]


def test_a_store_that_names_no_connection_is_told_which_there_are(tmp_path: Path) -> None:
    wrong = RIGHT.replace('shop = "shop"', 'shop = "shopp"').replace('sentry_dsn = "env:DSN"\n', "")
    expected = "no connection is called 'shopp'; expected one of: erp, shop, stripe"
    assert mistakes(tmp_path, wrong) == [f"waybill.toml: stores.main.shop: {expected}"]


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "keys = [")[0].startswith("waybill.toml: not readable as TOML: ")


def test_the_environment_overrides_the_files_and_its_mistakes_are_its_own(tmp_path: Path) -> None:
    text = 'keys = ["env:WAYBILL_KEY"]\n[web]\nport = 1\n'
    assert settings.load(written(tmp_path, text), {**ENV, "WAYBILL_PORT": "9000", "WAYBILL_ENV": "production"}).web.port == 9000
    assert mistakes(tmp_path, text, WAYBILL_PORT="http") == ["environment WAYBILL_PORT: web.port: expected int, found str"]


@pytest.mark.parametrize("value", ["", "  ", "\n"])
def test_a_blank_secret_is_missing(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValueError, match="env:BLANK is missing or empty"):
        resolve("env:BLANK", {"BLANK": value})
    (tmp_path / "secret").write_text(value, "utf-8")
    with pytest.raises(ValueError, match="is missing or empty"):
        resolve(f"file:{tmp_path / 'secret'}", {})


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("value\n", "utf-8")
    assert resolve(f"file:{tmp_path / 'secret'}", {}).reveal() == "value"


def test_secrets_never_print_themselves(tmp_path: Path) -> None:
    found = settings.load(written(tmp_path, RIGHT), {**ENV, "DSN": "https://dsn-value@errors.example.com/1"})
    secret = Secret("env:WORD", "the-password-value")
    shown = [
        repr(found),
        str(found),
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r}",
        repr(found.connections),
        str(found.connections["shop"]),
    ]
    for value in (*ENV.values(), "dsn-value"):
        assert not any(value in text for text in shown)
    assert str(secret) == "<secret env:WORD>"


def test_every_key_has_a_default_or_is_asked_for() -> None:
    Settings()
    for cls, given in ((Connection, {"name", "system"}), (Store, {"name", "shop"})):
        assert {spec.name for spec in fields(cls) if is_required(spec)} == given


# the commands


def run(folder: Path, *words: str, **env: str) -> Result:
    unset = {name: None for name in os.environ if name.startswith("WAYBILL_")}
    return CliRunner().invoke(cli, words, env={**unset, **ENV, **env, "WAYBILL_CONFIG_DIR": str(folder)}, catch_exceptions=True)


def test_check_prints_every_mistake_and_exits_1(tmp_path: Path) -> None:
    wrong = (
        RIGHT.replace('sentry_dsn = "env:DSN"\n', "")
        .replace('system = "demo_erp"', 'system = "sap"')
        .replace('secrets = ["env:STRIPE"]', "")
    )
    found = run(written(tmp_path, wrong), "check")
    assert found.exit_code == 1
    text = " ".join(found.output.split())
    assert "connections.erp.system: no system is called 'sap'; expected one of:" in text
    assert "connections.stripe.secrets: missing; without one every delivery is refused" in text


def test_check_without_keys_says_how_to_make_one(tmp_path: Path) -> None:
    found = run(written(tmp_path, ""), "check")
    assert (found.exit_code, "keys: missing" in found.output, "waybill init" in found.output) == (1, True, True)


def test_check_of_a_right_configuration_exits_0(tmp_path: Path) -> None:
    found = run(written(tmp_path, RIGHT), "check", DSN="https://public@errors.example.com/1")
    assert (found.exit_code, found.output) == (0, "The configuration is right: 3 connections, 1 stores.\n")


def test_init_writes_a_configuration_that_check_accepts_once_its_secrets_are_filled_in(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    assert run(folder, "init", "--into", str(folder)).exit_code == 0
    secrets = folder / "waybill.env"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    env = dict(line.split("=", 1) for line in secrets.read_text("utf-8").splitlines())
    assert [name for name, value in env.items() if value] == ["WAYBILL_KEY"]
    missing = run(folder, "check", **env)
    assert missing.exit_code == 1
    assert all(f"env:{name} is missing or empty" in " ".join(missing.output.split()) for name, value in env.items() if not value)
    filled = {name: value or "whsec_ZmlsbGVkLWlu" for name, value in env.items()}
    found = run(folder, "check", **filled)
    assert (found.exit_code, found.output) == (0, "The configuration is right: 3 connections, 1 stores.\n")


def test_init_never_overwrites(tmp_path: Path) -> None:
    for name in ("waybill.toml", "waybill.env"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text("mine", "utf-8")
        found = run(folder, "init", "--into", str(folder))
        assert isinstance(found.exception, SettingsError)
        assert "exists already; waybill init never overwrites" in str(found.exception)
        assert [(file.name, file.read_text("utf-8")) for file in folder.iterdir()] == [(name, "mine")]


def test_check_finds_what_only_the_connectors_know(tmp_path: Path) -> None:
    wrong = RIGHT.replace('sentry_dsn = "env:DSN"\n', "").replace('erp = "erp"', 'erp = "stripe"')
    found = run(written(tmp_path, wrong), "check", HOOK="no base64 at all", WAYBILL_KEY="c2hvcnQ=")
    assert found.output.splitlines() == [
        "connections.shop.secrets: env:HOOK: expected whsec_ and base64",
        "stores.main.erp: stripe is a stripe, which cannot create order",
        "env:WAYBILL_KEY: keys: expected base64 of 32 bytes",
    ]
    assert found.exit_code == 1
