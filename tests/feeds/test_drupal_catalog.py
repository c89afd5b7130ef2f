"""Products and variations into the simulated Drupal over plain JSON:API: made once, taken over by SKU, found again after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from middleware.connectors._http import Http, Reply
from middleware.connectors.drupal import Connector
from middleware.errors import Rejected
from middleware.ports import NOT_THERE, Write, Written
from middleware.settings import Connection
from middleware.simulators.drupal.simulator import DrupalSimulator
from middleware.testing import secret

PRICE = {"number": "19.99", "currency_code": "EUR"}


@pytest.fixture
def shop() -> Iterator[DrupalSimulator]:
    with DrupalSimulator() as simulator:
        yield simulator


def connector(shop: DrupalSimulator) -> Connector:
    connection = Connection("shop", "drupal", shop.url, (), {"password": secret("svc-secret")}, {"username": "svc"})
    return Connector(connection, Http(connection))


def product(key: str = "shirt", **more: Any) -> Write:
    return Write("product", key, {"title": "Shirt"}, makes=True, **more)


def variation(sku: str, parent: str = "shirt", **more: Any) -> Write:
    return Write("variation", sku, {"price": PRICE, **more.pop("fields", {})}, parent, makes=True, **more)


def stored(shop: DrupalSimulator) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """Titles of products; price and product's title by SKU."""
    entities = shop.site.entities
    titles = {one.uuid: one.values["title"] for one in entities.of("commerce_product--default")}
    owners = {target: titles[p.uuid] for p in entities.of("commerce_product--default") for target in p.targets("variations")}
    found = {
        one.values["sku"]: (one.values["price"]["number"], owners.get(one.uuid, ""))
        for one in entities.of("commerce_product_variation--default")
    }
    return sorted(titles.values()), found


def test_a_family_is_made_and_a_repeat_makes_no_other(shop: DrupalSimulator) -> None:
    writes = [product(), variation("S1"), variation("S2")]
    first = connector(shop).write_items(writes)
    assert [one.error for one in first] == [None, None, None]
    titles, found = stored(shop)
    assert (titles, found) == (["Shirt"], {"S1": ("19.990000", "Shirt"), "S2": ("19.990000", "Shirt")})
    again = connector(shop).write_items(writes)
    assert [one.remote_id for one in again] == [one.remote_id for one in first]
    assert stored(shop) == (titles, found)


class Died(Exception):
    """The process is killed."""


class DyingHttp(Http):
    """Dies right after so many requests had their effect."""

    left = 0

    def request(self, *arguments: Any, **how: Any) -> Reply:
        reply = super().request(*arguments, **how)
        self.left -= 1
        if self.left == 0:
            raise Died
        return reply


@pytest.mark.parametrize("survived", range(1, 9))
def test_whatever_request_is_the_last_before_a_crash_a_repeat_ends_the_same(shop: DrupalSimulator, survived: int) -> None:
    writes = [product(), variation("S1"), variation("S2")]
    connection = connector(shop).connection
    dying = DyingHttp(connection)
    dying.left = survived
    with pytest.raises(Died):
        Connector(connection, dying).write_items(writes)
    answers = connector(shop).write_items(writes)
    assert [one.error for one in answers] == [None, None, None]
    assert stored(shop) == (["Shirt"], {"S1": ("19.990000", "Shirt"), "S2": ("19.990000", "Shirt")})


def test_a_later_variation_joins_its_product(shop: DrupalSimulator) -> None:
    made = connector(shop).write_items([product(), variation("S1")])
    connector(shop).write_items([variation("S2", parent_id=made[0].remote_id)])
    assert stored(shop)[1]["S2"] == ("19.990000", "Shirt")


def test_the_shop_s_own_products_are_taken_over_by_sku(shop: DrupalSimulator) -> None:
    there = connector(shop).write_items([Write("product", "theirs", {"title": "Their shirt"}, makes=True), variation("S1", "theirs")])
    writes = [product(), variation("S1", fields={"price": {**PRICE, "number": "21"}})]
    answers = connector(shop).write_items(writes)
    assert [one.remote_id for one in answers] == [one.remote_id for one in there]
    assert stored(shop) == (["Shirt"], {"S1": ("21.000000", "Shirt")})


def test_a_price_of_what_is_nowhere_is_not_sent(shop: DrupalSimulator) -> None:
    [answer] = connector(shop).write_items([Write("variation", "S9", {"price": PRICE})])
    assert (type(answer.error), getattr(answer.error, "reason", "")) == (Rejected, NOT_THERE)
    assert stored(shop) == ([], {})


def test_what_is_gone_is_unpublished_and_what_never_was_is_absent(shop: DrupalSimulator) -> None:
    made = connector(shop).write_items([product(), variation("S1")])
    answers = connector(shop).write_items(
        [Write("variation", "S1", {}, "shirt", made[1].remote_id, is_gone=True), Write("variation", "S9", {}, is_gone=True)]
    )
    assert answers == [Written(made[1].remote_id, status="updated"), Written(status="absent")]
    [one] = shop.site.entities.of("commerce_product_variation--default")
    assert one.values["status"] is False


def test_one_bad_variation_does_not_stop_the_others(shop: DrupalSimulator) -> None:
    bad = variation("S2", fields={"price": {"number": "1", "currency_code": "XXX"}})
    answers = connector(shop).write_items([product(), variation("S1"), bad, variation("S3")])
    assert [type(one.error) for one in answers] == [type(None), type(None), Rejected, type(None)]
    assert answers[2].error.field == "/data/attributes/price/currency_code"  # type: ignore[union-attr]
    assert sorted(stored(shop)[1]) == ["S1", "S3"]
