"""The demo's whole catalog on a real Drupal Commerce site: through the module's operations route, and over plain JSON:API alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from middleware.demo import catalog as demo
from middleware.feeds import comparing, pulls, pushes
from middleware.runtime import Runtime
from middleware.settings import Connection
from middleware.simulators.akeneo import AkeneoSimulator
from middleware.simulators.erp import ErpSimulator
from middleware.testing import secret, settings
from middleware.vault import new_key
from middleware.wire import drupal_catalog
from tests.world import rows

from .drupal_site import DrupalSite
from .programs import Unavailable

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

CATALOG = Path(__file__).parent / "drupal" / "catalog.php"
IN = "whsec_ZTJlLWluLXNlY3JldC0wMTIzNDU2Nzg5MDE="
OUT = "whsec_ZTJlLW91dC1zZWNyZXQtMDEyMzQ1Njc4OQ=="
NOTHING = {"changed": 0, "rejected": 0, "gone": 0}
PROMOTIONS = """
connection = "folder"
kind = "promotions"
shop = "shop"
of = "promotion"
key = "code"
[[fields]]
to = "name"
from = "name"
required = true
[[fields]]
to = "offer"
from = "offer"
type = "json"
required = true
[[fields]]
to = "conditions"
from = "conditions"
type = "json"
[[fields]]
to = "start_date"
from = "from"
type = "date"
[[fields]]
to = "end_date"
from = "to"
type = "date"
"""
LEVELS = """
connection = "erp"
kind = "stock"
shop = "shop"
sku = "sku"
[[fields]]
to = "field_stock"
from = "available"
type = "integer"
required = true
[[fields]]
to = "field_level"
from = "available"
type = "integer"
"""
PROMOTION = {
    "code": "mugs10",
    "name": "Ten percent in December",
    "offer": {
        "target_plugin_id": "order_percentage_off",
        "target_plugin_configuration": {"percentage": "0.1"},
    },
    "conditions": [
        {
            "target_plugin_id": "order_total_price",
            "target_plugin_configuration": {"operator": ">", "amount": {"number": "50.00", "currency_code": "EUR"}},
        }
    ],
    "from": "2026-12-01",
    "to": "2026-12-24",
}


@dataclass
class Journey:
    """The sources, the real site and Waybill between them."""

    runtime: Runtime
    pim: AkeneoSimulator
    erp: ErpSimulator
    site: DrupalSite
    folder: Path
    module: str

    def pull(self, *, full: bool = False) -> dict[str, int]:
        """Pull everything; how many records changed, were refused, or are gone."""
        ended = dict(NOTHING)
        for feed in sorted(self.runtime.feeds.values(), key=lambda one: one.connection != "pim"):
            found = pulls.pull(self.runtime, feed, full=full)
            assert found is not None and found.failure == "", (feed.name, found)
            staged = found.staged
            ended["changed"] += staged.created + staged.updated
            ended["rejected"] += staged.rejected
            ended["gone"] += staged.gone
        return ended

    def push(self) -> dict[str, int]:
        ended: dict[str, int] = {}
        while batch := pushes.push(self.runtime, "shop"):
            for how, count in batch.items():
                ended[how] = ended.get(how, 0) + count
        return ended

    def ask(self, command: str, **given: Any) -> Any:
        return self.site.ask(command, script=CATALOG, **given)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("state")
        found["variations"].pop("MUG-1", None)
        found["products"].pop("Mug", None)
        return found

    def say_promotion(self, **changes: Any) -> None:
        (self.folder / "promotions.jsonl").write_text(json.dumps(PROMOTION | changes) + "\n", "utf-8")


@pytest.fixture(scope="module")
def prepared() -> Iterator[DrupalSite]:
    try:
        site = DrupalSite.configured()
    except Unavailable as reason:
        pytest.skip(f"no real Drupal site: {reason}")
    site.ask("prepare", endpoint="", out=OUT, **{"in": IN})
    site.ask("prepare", script=CATALOG)
    yield site
    site.ask("empty", script=CATALOG)
    site.ask("restore")


@pytest.fixture(params=["auto", "never"])
def journey(request: pytest.FixtureRequest, prepared: DrupalSite, database_url: str, tmp_path: Path) -> Iterator[Journey]:
    prepared.ask("empty", script=CATALOG)
    tables = shutil.copytree(demo.TABLES, tmp_path / "tables")
    (tables / "promotions.toml").write_text(PROMOTIONS, "utf-8")
    if request.param == "auto":
        (tables / "stock.toml").write_text(LEVELS, "utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    with AkeneoSimulator() as pim, ErpSimulator() as erp:
        demo.fill_pim(pim)
        demo.fill_erp(erp.articles)
        connections = configured(pim, erp, prepared.url, folder, request.param)
        runtime = Runtime(settings(database_url, connections, {}, keys=(secret(new_key()),), tables=tables), ring=lambda *_: None, seed=1)
        made = Journey(runtime, pim, erp, prepared, folder, request.param)
        made.say_promotion()
        yield made
        runtime.close()


def configured(pim: AkeneoSimulator, erp: ErpSimulator, site: str, folder: Path, module: str) -> dict[str, Connection]:
    credentials = {"client_secret": secret(pim.client[1]), "password": secret(pim.user[1])}
    options = {"client_id": pim.client[0], "username": pim.user[0], "page": 10, "locales": ["en_US", "de_DE"]}
    files = {"folder": str(folder), "pattern": {"promotions": "promotions.jsonl"}, "id": {"promotions": "code"}, "settle": 0}
    shop = {"key_id": "e2e", "site_tag": "waybill:e2e", "module": module}
    return {
        "pim": Connection("pim", "akeneo", pim.url, (), credentials, options, overlap=0, deletion_guard=0.5),
        "erp": Connection("erp", "demo_erp", erp.url, (), {"key": secret(erp.key)}, {"page": 10}, overlap=0, deletion_guard=0.5),
        "folder": Connection("folder", "files", "", (), {}, files, overlap=0, deletion_guard=0.5),
        "shop": Connection("shop", "drupal", site, (), {"signing_key": secret(IN)}, shop, timeout=120),
    }


def waiting(journey: Journey) -> dict[str, str]:
    """Why what is not in the shop is not; entries and translations by their kind only."""
    found = rows(journey.runtime, "SELECT kind, key, cause FROM items WHERE state <> 'in_sync'")
    return {key if kind == "variation" else kind: cause for kind, key, cause in found}


def test_a_catalog_lands_whole_and_a_repeat_writes_nothing(journey: Journey) -> None:
    assert journey.pull() == {"changed": 4 + 6 + 3 + 28 + 27 + 28, "rejected": 1, "gone": 0}
    journey.push()
    state, module = journey.state(), journey.module == "auto"
    assert sorted(state["variations"]) == sorted(set(demo.skus()) - {"POLO-BLUE-S"})
    shirt = {"price": "11.9", "stock": 5, "weight": "0.18 kg", "published": True, "values": ["Red", "S"], "product": "Shirt"}
    assert state["variations"]["SHIRT-RED-S"] == shirt
    assert {one: sorted(about["skus"]) for one, about in state["products"].items()} == {
        name: sorted(sku for sku in demo.skus() if sku.startswith(code.upper()) and sku != "POLO-BLUE-S")
        for code, (name, _, _) in demo.FAMILIES.items()
    }
    assert {key: value for key, value in state["products"]["Polo shirt"].items() if key != "skus"} == {
        "body": "<p>Polo shirt, woven in the demo.</p>",
        "published": True,
        "categories": ["Shirts"],
        "images": [next(len(content) for name, content in journey.pim.catalog.media.items() if "polo" in name)],
        "alt": state["products"]["Polo shirt"]["alt"],
        "de": "Polohemd" if module else None,
    }
    assert "" not in state["products"]["Polo shirt"]["alt"]
    assert state["terms"] == {
        "Clothing": [[], "Kleidung" if module else None],
        "Shirts": [["Clothing"], "Hemden" if module else None],
        "Trousers": [["Clothing"], "Hosen" if module else None],
    }
    assert state["files"] == 3
    assert waiting(journey) == {
        "SHIRT-RED-XXL": "waits for attribute_value/size/xxl",
        "GHOST-1": "not in the shop yet",
        "POLO-BLUE-S": waiting(journey)["POLO-BLUE-S"],
        "price_list_entry": "waits for variation/GHOST-1",
        **({} if module else {"translation": drupal_catalog.NO_TRANSLATIONS}),
    }
    assert journey.pull(full=True) == NOTHING
    assert journey.push() == {}
    if module:
        assert journey.ask("level", sku="SHIRT-RED-M") == {"level": 6.0, "moves": [6.0]}


def test_customers_pay_by_list_role_quantity_and_date(journey: Journey) -> None:
    journey.pull()
    journey.erp.articles.put("SHIRT-RED-S", prices=dated_prices())
    journey.pull()
    journey.push()
    state = journey.state()
    assert state["lists"]["winter, dealers, 2026-12-01–2026-12-31"] == [["wholesale"], "2026-12-01T00:00:00", "2027-01-01T00:00:00", 1]
    assert [one[1:] for one in state["entries"] if one[1] == "SHIRT-RED-S"] == [["SHIRT-RED-S", "10", "9.52"], ["SHIRT-RED-S", "1", "8.33"]]

    def pays(quantity: str, at: str, *roles: str) -> str:
        found: list[str] = journey.ask("price", sku="SHIRT-RED-S", quantity=quantity, at=at, roles=roles)
        return found[0]

    assert pays("1", "2099-06-01T12:00:00") == "11.9"
    assert pays("10", "2099-06-01T12:00:00") == "9.52"
    assert pays("1", "2026-12-31T23:59:59", "wholesale") == "8.33"  # the last day counts
    assert pays("10", "2026-12-31T23:59:59", "wholesale") == "8.33"  # the group's list before the list for all
    assert pays("1", "2027-01-01T00:00:00", "wholesale") == "11.9"
    assert pays("1", "2026-12-31T23:59:59") == "11.9"


def dated_prices() -> list[dict[str, Any]]:
    plain, tier, dealers = demo.prices("10.00")
    return [plain, {**tier, "amount": "8.00"}, {**dealers, "amount": "7.00"}]


def test_a_promotion_lands_and_changes(journey: Journey) -> None:
    journey.pull()
    journey.push()
    percentage = {"target_plugin_id": "order_percentage_off", "target_plugin_configuration": {"percentage": "0.1"}}
    total = {"operator": ">", "amount": {"number": "50.00", "currency_code": "EUR"}, "type": "total"}
    wanted = {
        "offer": percentage,
        "conditions": [["order_total_price", total]],
        "order_types": ["default"],
        "window": ["2026-12-01T00:00:00", "2026-12-25T00:00:00"],
        "enabled": True,
    }
    assert journey.state()["promotions"] == {"Ten percent in December": wanted}
    journey.say_promotion(to="2026-12-26T18:00:00+00:00")
    journey.pull()
    assert sum(journey.push().values()) == 1
    wanted["window"] = ["2026-12-01T00:00:00", "2026-12-26T19:00:00"]  # the store is in Berlin
    assert journey.state()["promotions"] == {"Ten percent in December": wanted}
    assert comparing.compare(journey.runtime, "shop").differences == []


def test_a_price_change_is_one_write_and_what_is_gone_is_unpublished_until_it_comes_back(journey: Journey) -> None:
    journey.pull()
    journey.push()
    journey.erp.articles.put("SHIRT-RED-S", prices=demo.prices("20.00")[:1])
    journey.pull()
    assert sum(journey.push().values()) == 1 + 2  # the price, and two entries that are no more
    state = journey.state()
    assert state["variations"]["SHIRT-RED-S"]["price"] == "23.8"
    assert [one for one in state["entries"] if one[1] == "SHIRT-RED-S"] == []
    uuid, chinos = next(
        (key, one) for key, one in journey.pim.catalog.products.items() if one["values"]["sku"][0]["data"] == "CHINOS-RED-S"
    )
    journey.pim.catalog.delete_product(uuid)
    assert journey.pull(full=True)["gone"] == 1
    journey.push()
    published = {sku: one["published"] for sku, one in journey.state()["variations"].items()}
    assert [sku for sku, on in published.items() if not on] == ["CHINOS-RED-S"]
    journey.pim.catalog.add_product("CHINOS-RED-S", parent="chinos", values=chinos["values"], family="clothing")
    journey.pull(full=True)
    journey.push()
    assert all(one["published"] for one in journey.state()["variations"].values())
    assert comparing.compare(journey.runtime, "shop").differences == []


def test_a_product_that_is_gone_is_unpublished_with_its_variations(journey: Journey) -> None:
    journey.pull()
    journey.push()
    for key, one in list(journey.pim.catalog.products.items()):
        if one["values"]["sku"][0]["data"].startswith("POLO"):
            journey.pim.catalog.delete_product(key)
    journey.pim.catalog.delete_model("polo")
    assert journey.pull(full=True)["gone"] == 9 + 1
    journey.push()
    state = journey.state()
    assert {name: one["published"] for name, one in state["products"].items()} == {"Shirt": True, "Chinos": True, "Polo shirt": False}
    assert {sku[:4] for sku, one in state["variations"].items() if not one["published"]} == {"POLO"}
    assert comparing.compare(journey.runtime, "shop").differences == []


def test_a_change_made_in_the_site_is_found_and_repaired(journey: Journey) -> None:
    journey.pull()
    journey.push()
    assert comparing.compare(journey.runtime, "shop").differences == []
    rows(journey.runtime, "UPDATE items SET state = 'waiting', written = NULL WHERE kind = 'media'")
    assert journey.push() in ({"unchanged": 3}, {"updated": 3})
    assert journey.state()["files"] == 3  # no picture was uploaded again
    journey.ask("change", sku="SHIRT-RED-M", fields={"price": {"number": "1", "currency_code": "EUR"}, "field_stock": 99})
    found = comparing.compare(journey.runtime, "shop", repair=True)
    assert sorted((one.name, one.field) for one in found.differences) == [
        ("variation/SHIRT-RED-M", "field_stock"),
        ("variation/SHIRT-RED-M", "price"),
    ]
    assert found.repaired == 1
    assert journey.push() == {"updated": 1}
    assert comparing.compare(journey.runtime, "shop").differences == []
    assert [journey.state()["variations"]["SHIRT-RED-M"][name] for name in ("price", "stock")] == ["13.09", 6]


def test_what_was_repaired_at_the_source_lands(journey: Journey) -> None:
    journey.pull()
    journey.push()
    journey.pim.catalog.put_option("size", "xxl", en_US="XXL")
    journey.erp.articles.put("SHIRT-RED-XXL", prices=demo.prices("30.00"))
    journey.erp.articles.put("POLO-BLUE-S", prices=demo.prices("31.00"))
    journey.pull()
    journey.push()
    state = journey.state()
    assert [state["variations"][sku]["price"] for sku in ("SHIRT-RED-XXL", "POLO-BLUE-S")] == ["35.7", "36.89"]
    assert len(state["products"]["Shirt"]["skus"]) == 10
