"""Whatever the order of deltas, rebuilds, crashes and changes of content, categories and prices: the shop ends as the sources are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from middleware.feeds import pulls, pushes
from middleware.runtime import Runtime
from tests.feeds.things import AskedSource, Killed, Shop, Source, alive, runtime_for
from tests.world import rows

FEEDS = [("pim", "categories"), ("pim", "products"), ("erp", "prices")]
NUMBERS = st.integers(0, 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("category"), NUMBERS, st.one_of(st.none(), NUMBERS), st.booleans()),
        st.tuples(st.just("product"), NUMBERS, NUMBERS, st.sampled_from(["red", "blue"])),
        st.tuples(st.just("price"), NUMBERS, st.integers(1, 3), st.booleans()),
        st.tuples(st.just("drop"), st.sampled_from(FEEDS), NUMBERS, st.none()),
        st.tuples(st.sampled_from(["delta", "full"]), st.sampled_from(FEEDS), st.integers(1, 3), st.booleans()),
        st.tuples(st.just("push"), st.one_of(st.none(), st.integers(1, 4)), st.none(), st.none()),
    ),
    max_size=30,
)


def test_whatever_happens_the_shop_ends_as_the_sources_are(cluster: Any) -> None:
    @given(steps=STEPS, can_ask=st.booleans())
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None, derandomize=True)
    def property_holds(steps: list[tuple[str, Any, Any, Any]], can_ask: bool) -> None:
        name, url = cluster.clone()
        pim, erp, shop = (AskedSource() if can_ask else Source()), Source(), Shop()
        runtime = runtime_for(url, pim, erp, shop, deletion_guard=1.0)
        try:
            for step in steps:
                _do(runtime, {"pim": pim, "erp": erp}, shop, *step)
            _settle(runtime)
            _check(pim, erp, shop)
            _nothing_more(runtime, shop)
        finally:
            runtime.close()
            cluster.drop(name)

    property_holds()


def _do(runtime: Runtime, systems: Mapping[str, Source], shop: Shop, what: str, one: Any, two: Any, three: Any) -> None:
    pim, erp = systems["pim"], systems["erp"]
    match what:
        case "category":
            labels = {"en": f"Category {one}", **({"de": f"Kategorie {one}"} if three else {})}
            pim.put(
                "categories",
                f"{one}",
                {"code": f"c{one}", "labels": labels, "parent": f"c{two}" if two is not None and two < one else None},
            )
        case "product":
            product = f"P{one % 2}"
            titles = {"en": product, "de": f"{product} de"}
            # Everything that is the product's own is the same in all its records: the source does not contradict itself.
            pim.put(
                "products", f"{one}", {"sku": f"S{one}", "product": product, "title": titles, "category": f"c{one % 2}", "color": three}
            )
        case "price":
            tier = [{"amount": f"{two - 1}.50", "currency": "EUR", "min_quantity": 10}] if three else []
            erp.put("prices", f"{one}", {"sku": f"S{one}", "prices": [{"amount": str(two), "currency": "EUR"}, *tier]})
        case "drop":
            systems[one[0]].drop(one[1], f"{two}")
        case "push":
            shop.dies_at = one
            with suppress(Killed):
                pushes.push(runtime, "shop", limit=7)
            shop.dies_at = None
            rows(runtime, "UPDATE items SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL")
        case _:
            pulls.pull(runtime, runtime.feeds[one], full=what == "full", pages=two if three else None)


def _settle(runtime: Runtime) -> None:
    """Finish what is under way, miss twice what is gone, write what waits."""
    for key in FEEDS:
        for _ in range(3):
            pulls.pull(runtime, runtime.feeds[key], full=True)
    for _ in range(12):
        rows(runtime, "UPDATE items SET due_at = now() - interval '1 s' WHERE state = 'waiting'")
        while pushes.push(runtime, "shop"):
            pass


def _check(pim: Source, erp: Source, shop: Shop) -> None:
    assert shop.problems == []
    _check_categories(shop, {one["code"]: one for one in _records(pim, "categories")})
    products = [one for one in _records(pim, "products") if f"term/category/{one['category']}" in shop.things]
    assert {key for key, _ in alive(shop, "variation")} == {one["sku"] for one in products}
    assert {key for key, _ in alive(shop, "product")} == {one["product"] for one in products}
    for one in products:
        assert shop.things[f"variation/{one['sku']}"]["attribute_color"] == [f"attribute_value/color/{one['color']}"]
        assert shop.things[f"product/{one['product']}"]["title"] == one["title"]["en"]
        assert shop.things[f"translation/product/{one['product']}@de"]["title"] == one["title"]["de"]
    _check_prices(shop, {one["sku"]: one["prices"] for one in _records(erp, "prices")}, {one["sku"] for one in products})


def _check_categories(shop: Shop, categories: Mapping[str, Any]) -> None:
    """What refers to what is not in the shop waits, and stays as it was written last."""
    found = {key.partition("/")[2]: fields for key, fields in alive(shop, "term")}
    assert set(found) <= set(categories)
    for code, one in categories.items():
        if one["parent"] is not None and f"term/category/{one['parent']}" not in shop.things:
            continue
        assert found[code]["name"] == one["labels"]["en"]
        assert found[code].get("parent", []) == ([f"term/category/{one['parent']}"] if one["parent"] else [])
        assert shop.things.get(f"translation/term/category/{code}@de", {}).get("name") == one["labels"].get("de")


def _check_prices(shop: Shop, prices: Mapping[str, Any], skus: set[str]) -> None:
    for sku in skus & set(prices):
        assert Decimal(shop.things[f"variation/{sku}"]["price"]["number"]) == Decimal(prices[sku][0]["amount"])
    entries = {fields["purchasable_entity"][0]: Decimal(fields["price"]["number"]) for _, fields in alive(shop, "price_list_entry")}
    tiers = {f"variation/{sku}": Decimal(found[1]["amount"]) for sku, found in prices.items() if len(found) > 1}
    assert entries == {name: amount for name, amount in tiers.items() if name in shop.things}


def _records(source: Source, kind: str) -> list[dict[str, Any]]:
    return [source.decode_record(kind, raw) for raw in source.records.get(kind, {}).values()]


def _nothing_more(runtime: Runtime, shop: Shop) -> None:
    """Nothing changed: nothing is written."""
    before = shop.writes
    for key in FEEDS:
        pulls.pull(runtime, runtime.feeds[key], full=True)
    while pushes.push(runtime, "shop"):
        pass
    assert shop.writes == before
