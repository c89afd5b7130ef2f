"""The demo's catalog from start to end: it lands, a price changes, a variant is deleted; and the shop is held against the sources."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sqlalchemy import text

from middleware.demo import catalog
from middleware.demo.world import World
from middleware.runtime import Runtime
from middleware.simulators.drupal.site import PRODUCT, VARIATION

PATIENCE = 60
CHANGED, DELETED = "SHIRT-RED-S", "CHINOS-GREEN-L"
_TAX = Decimal("1.19")


def play(runtime: Runtime, world: World) -> tuple[str, list[str]]:
    """Let it happen; returns the story and what is wrong in the end."""
    began = time.monotonic()
    _until(lambda: not differences(world), began)
    counts = _counts(world)
    then = time.monotonic()
    with world.erp.lock:
        world.erp.articles.put(CHANGED, prices=catalog.prices("99.00"))
    changed = _until(lambda: _shown(world, CHANGED)[0] == _gross("99.00"), then)
    then = time.monotonic()
    _delete(world)
    deleted = _until(lambda: _shown(world, DELETED)[2] is False, then)
    problems = [f"the catalog differs: {line}" for line in differences(world)]
    story = (
        f"A catalog: {counts}, from a PIM and an ERP. {'; '.join(_reasons(runtime))}. Then the ERP"
        f" changed one price: it was in the shop {changed:.1f} s later, as one write. The PIM dropped one variant: the next complete pull"
        f" missed it, the PIM denied it by id, and the shop unpublished it after {deleted:.1f} s."
    )
    return story, problems


def differences(world: World) -> list[str]:
    """What the shop shows otherwise than the sources say, a line each."""
    alive = {one["values"]["sku"][0]["data"] for one in world.pim.catalog.products.values()}
    found = []
    for sku in catalog.skus():
        article = world.erp.articles.find(sku)
        if article is None or sku == "POLO-BLUE-S":
            continue
        stock = int(sum(Decimal(one) for one in article.stock.values()))
        expected = (_gross(article.prices[0]["amount"]), stock, sku in alive)
        if _shown(world, sku) != expected:
            found.append(f"{sku} is {_shown(world, sku)} in the shop, {expected} at its sources")
    return found


def _shown(world: World, sku: str) -> tuple[Any, Any, Any]:
    with world.shop.lock:
        for one in world.shop.site.entities.of(VARIATION):
            if one.values["sku"] == sku:
                return Decimal(one.values["price"]["number"]), one.values["field_stock"], one.values["status"]
    return None, None, None


def _gross(net: str) -> Decimal:
    return (Decimal(net) * _TAX).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _delete(world: World) -> None:
    with world.pim.lock:
        products = world.pim.catalog.products
        uuid = next(key for key, one in products.items() if one["values"]["sku"][0]["data"] == DELETED)
        world.pim.catalog.delete_product(uuid)


def _counts(world: World) -> str:
    with world.shop.lock:
        entities = world.shop.site.entities
        codes = {catalog.FAMILIES[code][0] for code in catalog.FAMILIES}
        products = [one for one in entities.of(PRODUCT) if one.values["title"] in codes]
        variants = sum(len(one.targets("variations")) for one in products)
        translated = sum("de" in one.translations for one in products)
        pictures = len(list(entities.of("media--image")))
        entries = len(list(entities.of("commerce_pricelist_item--commerce_product_variation")))
    return f"{len(products)} products ({translated} also in German) with {variants} variants, {pictures} pictures and {entries} list prices"


def _reasons(runtime: Runtime) -> list[str]:
    """Why what is dirty is not in the shop."""
    with runtime.engine.connect() as connection:
        refused = connection.execute(text("SELECT source_id, rule, value FROM records WHERE state = 'rejected' ORDER BY 1")).all()
        waiting = connection.execute(
            text("SELECT key, cause FROM items WHERE kind = 'variation' AND state = 'waiting' AND cause <> '' ORDER BY 1")
        ).all()
    lines = [f"The price of {row.source_id} {row.rule} ({row.value})" for row in refused]
    return lines + [f"{row.key} {row.cause if row.cause.startswith('waits') else 'is ' + row.cause}" for row in waiting]


def _until(ready: Callable[[], bool], since: float) -> float:
    """Seconds until something was so, at most `PATIENCE`."""
    while not ready() and time.monotonic() < since + PATIENCE:
        time.sleep(0.05)
    return time.monotonic() - since
