"""What an operator does with feeds: tables shown, checked and tried, drift between owner and shop found and repaired, origins told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from middleware.cli import cli
from middleware.demo import catalog as demo
from middleware.errors import SettingsError
from middleware.feeds import pulls, pushes
from middleware.runtime import Runtime
from middleware.settings import load
from middleware.simulators.akeneo import AkeneoSimulator
from middleware.simulators.drupal import DrupalSimulator
from middleware.simulators.drupal.seed import Shop
from middleware.simulators.drupal.site import VARIATION
from middleware.simulators.erp import ErpSimulator
from middleware.vault import new_key
from tests.feeds.test_catalog_journey import KINDS

CONFIGURATION = """
keys = ["file:{folder}/key"]
tables = "{tables}"
[database]
url = "{database}"
[connections.shop]
system = "drupal"
base_url = "{shop}"
secrets = ["file:{folder}/shop"]
credentials = {{ password = "file:{folder}/password" }}
options = {{ username = "svc" }}
[connections.pim]
system = "akeneo"
base_url = "{pim}"
credentials = {{ client_secret = "file:{folder}/client", password = "file:{folder}/user" }}
options = {{ client_id = "1_client", username = "waybill_1", locales = ["en_US", "de_DE"] }}
[connections.erp]
system = "demo_erp"
base_url = "{erp}"
credentials = {{ key = "file:{folder}/erp" }}
"""


@pytest.fixture
def configured(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DrupalSimulator]:
    """A catalog in a shop, and the configuration of the commands."""
    with (
        AkeneoSimulator() as pim,
        ErpSimulator() as erp,
        DrupalSimulator(catalog=True, module=True, shop=Shop(currencies=("EUR",))) as shop,
    ):
        demo.fill_pim(pim)
        demo.fill_erp(erp.articles)
        secrets = {"key": new_key(), "shop": shop.secret, "password": "svc-secret", "client": pim.client[1], "user": pim.user[1]}
        for name, value in {**secrets, "erp": erp.key}.items():
            (tmp_path / name).write_text(value, "utf-8")
        places = {"folder": tmp_path, "tables": demo.TABLES, "database": database_url, "shop": shop.url, "pim": pim.url, "erp": erp.url}
        (tmp_path / "waybill.toml").write_text(CONFIGURATION.format(**places), "utf-8")
        monkeypatch.setenv("WAYBILL_CONFIG_DIR", str(tmp_path))
        runtime = Runtime(load(), ring=lambda *_: None, seed=1)
        for key in KINDS:
            pulls.pull(runtime, runtime.feeds[key])
        while pushes.push(runtime, "shop"):
            pass
        runtime.close()
        yield shop


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_tables_are_shown_checked_and_owned(configured: DrupalSimulator) -> None:
    shown = run("mapping", "show", "prices").output
    assert "erp/prices changes variations of shop, known by sku" in shown
    assert "tax included, the source says plain_price(prices).tax_included, rate '0.19'; rounded half_up" in shown
    checked = run("mapping", "check", "--online")
    assert (checked.exit_code, checked.output) == (0, "6 tables, 13 fields: fine\n")
    assert "variants (pim/products)" in run("mapping", "owners", "shop").output
    with pytest.raises(SettingsError, match="nobody: no mapping table is called so; known: categories, models"):
        run("mapping", "show", "nobody")


def test_a_field_that_the_shop_lacks_is_found(configured: DrupalSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    for file in demo.TABLES.glob("*.toml"):
        text = file.read_text("utf-8").replace('to = "field_weight"', 'to = "field_wieght"')
        (tables / file.name).write_text(text, "utf-8")
    configuration = (tmp_path / "waybill.toml").read_text("utf-8").replace(f'"{demo.TABLES}"', f'"{tables}"')
    (tmp_path / "waybill.toml").write_text(configuration, "utf-8")
    checked = run("mapping", "check", "--online")
    assert (checked.exit_code, checked.output.splitlines()[0]) == (1, "the shop lacks shop: variation default: field_wieght")


def test_a_sample_is_tried_and_says_why(configured: DrupalSimulator, tmp_path: Path) -> None:
    sample = tmp_path / "record.json"
    sample.write_text(json.dumps({"sku": "S1", "warehouses": {"main": "7", "north": "5"}, "changed_at": ""}), "utf-8")
    tried = run("mapping", "try", "stock", str(sample))
    assert tried.exit_code == 0
    assert [line.split() for line in tried.output.splitlines()[1:2]] == [["field_stock", "available", "12", "12"]]
    assert "variation/S1 (default)\n  field_stock = 12\n" in tried.output
    sample.write_text(json.dumps({"sku": "S1", "prices": [{"currency": "EUR", "amount": "-1", "tax_included": False}]}), "utf-8")
    refused = run("mapping", "try", "prices", str(sample))
    assert (refused.exit_code, refused.output.splitlines()[-1]) == (1, "refused: plain_price(prices).amount is negative: -1")
    sample.write_text("no JSON", "utf-8")
    assert run("mapping", "try", "prices", str(sample)).output == "the record cannot be read: the record is not JSON\n"


def test_a_shape_is_shown_and_nothing_accepted(configured: DrupalSimulator) -> None:
    assert "values.color" in run("mapping", "shape", "pim", "products").output
    assert run("mapping", "accept", "pim", "products").output == "accepted: nothing drifted\n"


def test_what_somebody_changed_in_the_shop_is_found_and_repaired(configured: DrupalSimulator) -> None:
    whole = run("reconcile", "catalog", "shop")
    assert whole.output.endswith("0 differences, 0 set to be written again\n"), whole.output
    entities = configured.site.entities
    [variation] = [one for one in entities.of(VARIATION) if one.values["sku"] == "SHIRT-RED-S"]
    draft = variation.copy()
    draft.values["price"] = {"number": "1.00", "currency_code": "EUR"}
    entities.put(draft)
    found = run("reconcile", "catalog", "shop", "--json", "--repair")
    assert found.exit_code == 1
    assert [(one["name"], one["field"], one["wanted"]["number"]) for one in map(json.loads, found.output.splitlines())] == [
        ("variation/SHIRT-RED-S", "price", "11.9")
    ]
    assert run("push", "shop").output == "1 updated\n"
    assert run("reconcile", "catalog", "shop", "--sample", "500").exit_code == 0
    assert entities.get(variation.uuid).values["price"]["number"] == "11.900000"


def test_what_was_deleted_in_the_shop_is_found(configured: DrupalSimulator) -> None:
    [variation] = [one for one in configured.site.entities.of(VARIATION) if one.values["sku"] == "SHIRT-RED-S"]
    configured.site.delete(variation)
    assert "variation/SHIRT-RED-S : 'not there' in the shop, 'there' wanted" in run("reconcile", "catalog", "shop").output


def test_every_field_tells_where_it_comes_from(configured: DrupalSimulator) -> None:
    shown = run("items", "show", "shop", "variation/SHIRT-RED-S").output
    assert "variation/SHIRT-RED-S (default) is in_sync" in shown
    lines = {line.split()[1]: line for line in shown.splitlines() if line.startswith(("│ field_stock", "│ price"))}
    assert "erp/stock" in lines["field_stock"] and "SHIRT-RED-S" in lines["field_stock"]
    assert "erp/prices" in lines["price"]
    assert "waits for attribute_value/size/xxl" in run("items", "waiting").output
    assert "is negative" in run("items", "rejected").output
    assert run("items", "retry").exit_code == 2
    assert run("items", "retry", "variation/NONE").output.endswith(
        "0 things wait to be written; 0 records are mapped again by the next pull\n"
    )
    assert run("items", "retry", "--all").output.endswith("1 records are mapped again by the next pull\n")
    assert "in_sync" in run("items").output
