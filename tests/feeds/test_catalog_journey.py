"""A whole catalog from a PIM and an ERP into a shop, over real HTTP: through the module's route, and over plain JSON:API alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from middleware.demo import catalog as demo
from middleware.feeds import pulls, pushes
from middleware.runtime import Runtime
from middleware.settings import Connection
from middleware.simulators.akeneo import AkeneoSimulator
from middleware.simulators.drupal import DrupalSimulator
from middleware.simulators.drupal.seed import Shop
from middleware.simulators.erp import ErpSimulator
from middleware.testing import secret, settings
from middleware.vault import new_key
from tests.world import rows

KINDS = [("pim", "categories"), ("pim", "options"), ("pim", "product_models"), ("pim", "products"), ("erp", "prices"), ("erp", "stock")]
PRODUCT, VARIATION = "commerce_product--default", "commerce_product_variation--default"


@dataclass
class Journey:
    """The systems and Waybill between them."""

    runtime: Runtime
    pim: AkeneoSimulator
    erp: ErpSimulator
    shop: DrupalSimulator

    def pull(self, *, full: bool = False) -> dict[str, int]:
        """Pull everything; how many records changed or were refused."""
        ended = {"changed": 0, "rejected": 0, "gone": 0}
        for key in KINDS:
            found = pulls.pull(self.runtime, self.runtime.feeds[key], full=full)
            assert found is not None and found.failure == "", found
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

    def all(self, type_name: str) -> dict[str, Any]:
        return {one.uuid: one for one in self.shop.site.entities.of(type_name)}

    def names(self, type_name: str, uuids: list[str]) -> list[str]:
        return [self.shop.site.entities.get(uuid).values["name"] for uuid in uuids]

    def state(self) -> dict[str, Any]:
        """The shop's catalog by names instead of ids."""
        entities = self.shop.site.entities
        variations = {
            one.values["sku"]: (
                Decimal(one.values["price"]["number"]),
                one.values["field_stock"],
                one.values["field_weight"],
                one.values["status"],
                self.names("", one.targets("attribute_color") + one.targets("attribute_size")),
            )
            for one in entities.of(VARIATION)
        }
        products = {
            one.values["title"]: (
                one.values["body"],
                one.values["status"],
                sorted(entities.get(uuid).values["sku"] for uuid in one.targets("variations")),
                self.names("", one.targets("field_category")),
                [entities.get(entities.get(m).targets("field_media_image")[0]).values["filesize"] for m in one.targets("field_images")],
            )
            for one in entities.of(PRODUCT)
        }
        terms = {one.values["name"]: self.names("", one.targets("parent")) for one in entities.of("taxonomy_term--category")}
        entries = sorted(
            (
                entities.get(one.targets("price_list_id")[0]).values["name"],
                entities.get(one.targets("purchasable_entity")[0]).values["sku"],
                one.values["quantity"],
                Decimal(one.values["price"]["number"]),
            )
            for one in entities.of("commerce_pricelist_item--commerce_product_variation")
        )
        return {"variations": variations, "products": products, "terms": terms, "entries": entries}


@pytest.fixture(params=["module", "plain"])
def journey(request: pytest.FixtureRequest, database_url: str) -> Iterator[Journey]:
    with (
        AkeneoSimulator() as pim,
        ErpSimulator() as erp,
        DrupalSimulator(catalog=True, module=request.param == "module", shop=Shop(currencies=("EUR",))) as shop,
    ):
        demo.fill_pim(pim)
        demo.fill_erp(erp.articles)
        runtime = Runtime(configured(database_url, pim, erp, shop), ring=lambda *_: None, seed=1)
        yield Journey(runtime, pim, erp, shop)
        runtime.close()


def configured(database_url: str, pim: AkeneoSimulator, erp: ErpSimulator, shop: DrupalSimulator) -> Any:
    credentials = {"client_secret": secret(pim.client[1]), "password": secret(pim.user[1])}
    options = {"client_id": pim.client[0], "username": pim.user[0], "page": 10, "locales": ["en_US", "de_DE"]}
    connections = {
        "pim": Connection("pim", "akeneo", pim.url, (), credentials, options, overlap=0, deletion_guard=0.5),
        "erp": Connection("erp", "demo_erp", erp.url, (), {"key": secret(erp.key)}, {"page": 10}, overlap=0, deletion_guard=0.5),
        "shop": Connection("shop", "drupal", shop.url, (), {"password": secret("svc-secret")}, {"username": "svc"}),
    }
    return settings(database_url, connections, {}, keys=(secret(new_key()),), tables=demo.TABLES)


def test_a_catalog_lands_whole_and_a_repeat_writes_nothing(journey: Journey) -> None:
    assert journey.pull() == {"changed": 4 + 6 + 3 + 28 + 27 + 28 - 1, "rejected": 1, "gone": 0}
    ended = journey.push()
    assert ended["created"] > 0
    state = journey.state()
    assert sorted(state["variations"]) == sorted(set(demo.skus()) - {"POLO-BLUE-S"})
    assert state["variations"]["SHIRT-RED-S"] == (Decimal("11.90"), 5, {"number": "0.18", "unit": "kg"}, True, ["Red", "S"])
    body = {"value": "<p>Polo shirt, woven in the demo.</p>", "format": "basic_html"}
    picture = next(len(content) for name, content in journey.pim.catalog.media.items() if "polo" in name)
    shown = state["products"]["Polo shirt"]
    assert (shown[0]["value"], shown[1], len(shown[2]), shown[3], shown[4]) == (body["value"], True, 8, ["Shirts"], [picture])
    assert state["terms"] == {"Clothing": [], "Shirts": ["Clothing"], "Trousers": ["Clothing"]}
    assert len(state["entries"]) == 26 * 2
    assert ("Tier prices", "SHIRT-RED-S", "10", Decimal("11.90")) in state["entries"]
    assert ("winter, dealers, 2026-12-01–2026-12-31", "SHIRT-RED-S", "1", Decimal("11.90")) in state["entries"]
    assert journey.pull(full=True) == {"changed": 0, "rejected": 0, "gone": 0}
    assert journey.push() == {}


def test_what_is_dirty_says_why(journey: Journey) -> None:
    journey.pull()
    journey.push()
    found = rows(journey.runtime, "SELECT kind, source_id, attribute, rule, value FROM records WHERE state = 'rejected'")
    assert found == [("prices", "POLO-BLUE-S", "plain_price(prices).amount", "is negative", "-1.00")]
    waiting = dict(
        rows(journey.runtime, "SELECT kind || '/' || key, cause || field FROM items WHERE state <> 'in_sync' AND kind = 'variation'")
    )
    assert waiting["variation/SHIRT-RED-XXL"] == "waits for attribute_value/size/xxl"
    assert waiting["variation/GHOST-1"] == "not in the shop yet"
    assert "price" in waiting["variation/POLO-BLUE-S"]
    translations = rows(journey.runtime, "SELECT count(*), min(cause) FROM items WHERE kind = 'translation' AND state = 'rejected'")
    if journey.shop.operations:
        assert translations == [(0, None)]
        [shirt] = [one for one in journey.shop.site.entities.of(PRODUCT) if one.values["title"] == "Shirt"]
        assert shirt.translations["de"]["title"] == "Hemd"
    else:
        assert translations[0][0] == 3 + 3 + 3
        assert "JSON:API cannot make or delete a translation" in translations[0][1]


def test_a_price_change_is_one_write_and_a_deletion_unpublishes(journey: Journey) -> None:
    journey.pull()
    journey.push()
    journey.erp.articles.put("SHIRT-RED-S", prices=demo.prices("20.00")[:1])
    journey.pull()
    journey.push()
    assert journey.state()["variations"]["SHIRT-RED-S"][0] == Decimal("23.80")
    assert [one for one in journey.state()["entries"] if one[1] == "SHIRT-RED-S"] == []
    for color in demo.COLORS:
        for size in demo.SIZES:
            sku = demo.sku("chinos", color, size)
            uuid = next(key for key, one in journey.pim.catalog.products.items() if one["values"]["sku"][0]["data"] == sku)
            journey.pim.catalog.delete_product(uuid)
    journey.pim.catalog.delete_model("chinos")
    assert journey.pull(full=True)["gone"] == 10
    journey.push()
    state = journey.state()
    assert state["products"]["Chinos"][1] is False
    assert {sku: one[3] for sku, one in state["variations"].items() if sku.startswith("CHINOS")} == dict.fromkeys(
        [one for one in demo.skus() if one.startswith("CHINOS")], False
    )
    assert state["products"]["Shirt"][1] is True


def test_what_was_repaired_at_the_source_lands(journey: Journey) -> None:
    journey.pull()
    journey.push()
    journey.pim.catalog.put_option("size", "xxl", en_US="XXL")
    journey.erp.articles.put("SHIRT-RED-XXL", prices=demo.prices("30.00"))
    journey.erp.articles.put("POLO-BLUE-S", prices=demo.prices("31.00"))
    journey.pull()
    journey.push()
    variations = journey.state()["variations"]
    assert variations["SHIRT-RED-XXL"][0] == Decimal("35.70")
    assert variations["POLO-BLUE-S"][0] == Decimal("36.89")
    assert len(journey.state()["products"]["Shirt"][2]) == 10


def test_a_picture_is_uploaded_once(journey: Journey) -> None:
    journey.pull()
    journey.push()
    assert len(journey.all("file--file")) == 3
    rows(journey.runtime, "UPDATE items SET state = 'waiting', written = NULL WHERE kind = 'media'")
    assert journey.push() in ({"unchanged": 3}, {"updated": 3})
    assert len(journey.all("file--file")) == 3
