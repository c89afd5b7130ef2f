"""The merchant's tables as they are configured, and the commands that work with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from middleware.cli import cli
from middleware.errors import SettingsError
from middleware.feeds import registry
from middleware.settings import Connection, Settings

PRICES = """
connection = "{source}"
kind = "{kind}"
shop = "{shop}"
sku = "sku"
[[fields]]
to = "price"
from = "price"
type = "price"
currency = "'EUR'"
"""
SETTINGS = Settings(connections={"shop": Connection("shop", "drupal"), "erp": Connection("erp", "tryton")})


def tables(folder: Path, **files: str) -> Settings:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text, "utf-8")
    return replace(SETTINGS, tables=folder)


def test_every_mistake_of_every_table_is_said_at_once_with_its_file(tmp_path: Path) -> None:
    settings = tables(
        tmp_path,
        a=PRICES.format(source="shop", kind="prices", shop="shop"),
        b=PRICES.format(source="nobody", kind="prices", shop="erp"),
        c="connection = ",
        d='kind = "products"',
    )
    with pytest.raises(SettingsError) as found:
        registry.load(settings)
    lines = [line.removeprefix(f"{tmp_path}/") for line in found.value.mistakes]
    assert lines[:3] == [
        "a.toml: connection: shop is a drupal, which cannot list records",
        "b.toml: connection: no connection is called 'nobody'",
        "b.toml: shop: erp is a tryton, which cannot write items",
    ]
    assert lines[3].startswith("c.toml: no TOML: ")
    assert lines[4:7] == [f"d.toml: {key}: missing; expected a text" for key in ("connection", "shop", "sku")]


def test_a_field_has_one_owner(tmp_path: Path) -> None:
    settings = tables(
        tmp_path,
        base=PRICES.format(source="erp", kind="prices", shop="shop"),
        other=PRICES.format(source="erp", kind="lists", shop="shop"),
    )
    with pytest.raises(SettingsError) as found:
        registry.load(settings)
    assert "other: price of the variation belongs to table base already" in found.value.mistakes


def test_two_tables_for_one_feed_are_a_mistake(tmp_path: Path) -> None:
    text = PRICES.format(source="erp", kind="prices", shop="shop")
    with pytest.raises(SettingsError) as found:
        registry.load(tables(tmp_path, a=text, b=text))
    assert f"{tmp_path}/b.toml: erp/prices has a table already: a" in found.value.mistakes


def test_the_commands_say_what_there_is(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key"
    key.write_text("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "utf-8")
    (tmp_path / "waybill.toml").write_text(
        f"""
keys = ["file:{key}"]
[database]
url = "{database_url}"
[connections.shop]
system = "drupal"
base_url = "http://127.0.0.1:9"
secrets = ["file:{key}"]
""",
        "utf-8",
    )
    monkeypatch.setenv("WAYBILL_CONFIG_DIR", str(tmp_path))
    runner = CliRunner()
    counts = runner.invoke(cli, ["items"])
    assert (counts.exit_code, "count" in counts.output) == (0, True)
    nothing = runner.invoke(cli, ["push", "shop"])
    assert (nothing.exit_code, nothing.output) == (0, "nothing waits\n")
    with pytest.raises(SettingsError, match="shop stock: no mapping table is for it; known: none"):
        runner.invoke(cli, ["pull", "shop", "stock"], catch_exceptions=False)
