"""The simulated Drupal beyond what was recorded: the ERP's fields, lost updates, paging, permissions, restarts."""

from __future__ import annotations

import pytest
import requests

from middleware.simulators.drupal import DrupalSimulator, Line, Paid
from middleware.simulators.faults import Fault, FaultKind

AUTH = ("svc", "svc-secret")
TYPE = {"Content-Type": "application/vnd.api+json"}


@pytest.fixture
def shop():
    with DrupalSimulator() as simulator:
        simulator.add_product("MUG", "Mug", "19.99", stock=5)
        yield simulator


def patch(shop, path, attributes):
    kind, _, uuid = path.rpartition("/")
    body = {"data": {"type": kind.replace("/", "--"), "id": uuid, "attributes": attributes}}
    return requests.patch(f"{shop.url}/jsonapi/{path}", json=body, headers=TYPE, auth=AUTH, timeout=5)


def get(shop, path):
    return requests.get(f"{shop.url}{path}", auth=AUTH, timeout=5).json()


def test_the_erps_number_and_status_are_written_to_the_order_and_announced(shop):
    placed = shop.place_order([Line("MUG")], payments=[Paid("stripe", "pi_1")])
    written = patch(
        shop, f"commerce_order/default/{placed.uuid}", {"field_waybill_erp_number": "SO-000007", "field_waybill_erp_status": "confirmed"}
    )
    fields = {"field_waybill_erp_number": "SO-000007", "field_waybill_erp_status": "confirmed"}
    shown = written.json()["data"]["attributes"]
    assert (written.status_code, {name: shown[name] for name in fields}, shown["version"]) == (200, fields, 3)
    assert shop.order(placed.uuid).fields == fields
    assert [(event["type"], event["data"]["order"]["version"]) for event in shop.events] == [("order.placed", 2), ("order.updated", 3)]


def test_a_field_that_the_site_has_not_is_refused():
    with DrupalSimulator(order_fields=()) as bare:
        placed = bare.place_order([Line("MUG", "1", "5")])
        refused = patch(bare, f"commerce_order/default/{placed.uuid}", {"field_waybill_erp_number": "1"})
        detail = "The attribute field_waybill_erp_number does not exist on the commerce_order--default resource type."
        assert (refused.status_code, refused.json()["errors"][0]["detail"], bare.order(placed.uuid).version) == (422, detail, 2)


def test_a_write_with_a_stale_version_is_refused_and_one_with_the_current_is_not(shop):
    placed = shop.place_order([Line("MUG")])
    path = f"commerce_order/default/{placed.uuid}"
    answers = [patch(shop, path, {"version": version, "field_waybill_erp_status": "x"}).status_code for version in (1, 2, 2)]
    assert answers == [422, 200, 422]


def test_two_editors_of_one_variation_within_a_second_lose_a_write(shop):
    uuid = shop.add_product("CUP", "Cup", "5.00", stock=1)

    def other_editor(loaded):
        other = loaded.copy()
        other.values["price"] = {"number": "6.00", "currency_code": "USD"}
        shop.site.entities.put(other)

    shop.site.meanwhile = other_editor
    assert patch(shop, f"commerce_product_variation/default/{uuid}", {"field_stock": 9}).status_code == 200
    shown = get(shop, f"/jsonapi/commerce_product_variation/default/{uuid}")["data"]["attributes"]
    assert (shown["field_stock"], shown["price"]["number"]) == (9, "5.000000")


def test_a_collection_is_walked_by_following_next(shop):
    for number in range(120):
        shop.add_product(f"SKU-{number:03}", "Thing", "1.00")
    path, sizes, skus = "/jsonapi/commerce_product_variation/default?sort=-sku&page[limit]=80", [], []
    while path:
        page = get(shop, path)
        sizes.append(len(page["data"]))
        skus += [one["attributes"]["sku"] for one in page["data"]]
        path = page["links"].get("next", {}).get("href", "").removeprefix(shop.url)
    assert sizes == [50, 50, 21]
    assert skus == [*(f"SKU-{number:03}" for number in range(119, -1, -1)), "MUG"]


def test_payments_of_an_order_are_found_by_its_uuid(shop):
    placed = shop.place_order([Line("MUG")], payments=[Paid("stripe", "pi_1"), Paid("stripe", "pi_2", amount="1.00")])
    shop.place_order([Line("MUG")], payments=[Paid("stripe", "pi_3")])
    found = get(shop, f"/jsonapi/commerce_payment/payment_default?filter[order_id.id]={placed.uuid}&sort=remote_id")["data"]
    assert [(one["id"], one["attributes"]["remote_id"]) for one in found] == list(zip(placed.payments, ("pi_1", "pi_2"), strict=True))


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("<>", ["MUG"], ["A-1", "A-2", "B-1"]),
        ("CONTAINS", ["-1"], ["A-1", "B-1"]),
        ("ENDS_WITH", ["-2"], ["A-2"]),
        ("NOT IN", ["a-1", "A-2"], ["B-1", "MUG"]),
        ("BETWEEN", ["A-2", "B-9"], ["A-2", "B-1"]),
        ("IS NOT NULL", [], ["A-1", "A-2", "B-1", "MUG"]),
    ],
)
def test_filters_compare_as_the_database_does(shop, operator, values, expected):
    for sku in ("A-1", "A-2", "B-1"):
        shop.add_product(sku, "Thing", "1.00")
    query = {"filter[s][condition][path]": "sku", "filter[s][condition][operator]": operator, "filter[s][condition][value][]": values}
    answer = requests.get(f"{shop.url}/jsonapi/commerce_product_variation/default?sort=sku", params=query, auth=AUTH, timeout=5)
    assert [one["attributes"]["sku"] for one in answer.json()["data"]] == expected


def test_orders_changed_since_a_unix_time_are_found():
    now = [1_795_000_000.0]
    with DrupalSimulator(clock=lambda: now[0]) as shop:
        shop.place_order([Line("A", "1", "1.00")])
        now[0] += 100
        later = shop.place_order([Line("A", "1", "1.00")])
        query = "filter[c][condition][path]=changed&filter[c][condition][operator]=%3E&filter[c][condition][value]=1795000000"
        assert [one["id"] for one in get(shop, f"/jsonapi/commerce_order/default?{query}")["data"]] == [later.uuid]


def test_a_stopped_shop_comes_back_with_its_orders(shop):
    placed = shop.place_order([Line("MUG")])
    address = f"{shop.url}/jsonapi/commerce_order/default/{placed.uuid}"
    shop.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(address, auth=AUTH, timeout=5)
    shop.start()
    assert requests.get(address, auth=AUTH, timeout=5).json()["data"]["attributes"]["order_number"] == placed.number


def test_a_lost_reply_to_a_patch_leaves_the_change_in_place(shop):
    placed = shop.place_order([Line("MUG")])
    shop.faults.add(Fault(FaultKind.RESET_AFTER, method="PATCH"))
    with pytest.raises(requests.ConnectionError):
        patch(shop, f"commerce_order/default/{placed.uuid}", {"field_waybill_erp_number": "SO-1"})
    assert shop.order(placed.uuid).fields["field_waybill_erp_number"] == "SO-1"


def test_fifty_wrong_passwords_from_one_address_shut_everybody_out_for_an_hour():
    now = [1_795_000_000.0]
    with DrupalSimulator(clock=lambda: now[0]) as shop:
        for number in range(50):
            requests.get(f"{shop.url}/jsonapi", auth=(f"guess-{number}", "x"), timeout=5)
        shut_out = "meta" in get(shop, "/jsonapi")
        now[0] += 3601
        assert (shut_out, "meta" in get(shop, "/jsonapi")) == (False, True)
