"""The simulated ERP over HTTP: it creates whatever it is told, checks strictly, and tells what changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import requests

from middleware.simulators.erp import ErpSimulator

HEADERS = {"Authorization": "Bearer erp-key"}
T0 = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> datetime:
        return self.now


def document(**changes):
    return {
        "reference": "1001",
        "customer": {"name": "Ada Byron", "email": "ada@example.test", "address": {"line1": "12 Elm St", "country": "US"}},
        "currency": "EUR",
        "lines": [{"sku": "MUG", "title": "Mug", "quantity": "3", "unit_price": "3.335"}],
        "charges": [{"kind": "shipping", "label": "Parcel", "amount": "4.90"}, {"kind": "promotion", "label": "Ten", "amount": "-1.00"}],
        "total": "13.91",
        **changes,
    }


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def erp(clock):
    with ErpSimulator(skus={"MUG"}, clock=clock) as started:
        yield started


def post(erp, body, **options):
    return requests.post(f"{erp.url}/orders", json=body, headers=HEADERS, timeout=5, **options)


def get(erp, path):
    return requests.get(f"{erp.url}{path}", headers=HEADERS, timeout=5)


def test_two_identical_posts_are_two_orders(erp):
    first, second = post(erp, document()), post(erp, document())
    at = "2026-11-22T12:00:00+00:00"
    shown = {"id": 1, "number": "SO-000001", "state": "draft", "total": "13.91", "reference": "1001", "changed_at": at, "parcels": []}
    assert (first.status_code, first.json()) == (201, shown)
    assert (second.status_code, second.json()) == (201, {**shown, "id": 2, "number": "SO-000002"})
    assert {reference: [order.id for order in orders] for reference, orders in erp.orders_by_reference().items()} == {"1001": [1, 2]}


def test_an_order_is_found_by_its_reference_and_by_its_id(erp):
    made = [post(erp, document(reference=reference)).json() for reference in ("A", "B", "A")]
    assert get(erp, "/orders?reference=A").json() == {"orders": [made[0], made[2]], "next": None}
    assert get(erp, "/orders?reference=C").json() == {"orders": [], "next": None}
    assert get(erp, "/orders/2").json() == made[1]
    assert get(erp, "/orders/9").status_code == 404


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"reference": 7}, [("reference", "expected a text")]),
        ({"total": "13.90"}, [("total", "13.90 does not equal lines and charges, 13.91")]),
        ({"total": 13.91}, [("total", "expected a decimal number in a text")]),
        ({"total": "13.911"}, [("total", "13.911 EUR is finer than the currency's minor unit")]),
        ({"lines": []}, [("lines", "expected at least one")]),
        ({"colour": "red"}, [("colour", "unknown field")]),
        ({"customer": {"name": "", "email": ""}}, [("customer.address", "missing")]),
        ({"lines": [{"sku": "CUP", "title": "Cup", "quantity": "3", "unit_price": "3.335"}]}, [("lines.0.sku", "unknown sku CUP")]),
        ({"lines": [{"sku": "MUG"}]}, [("lines.0.title", "missing"), ("lines.0.quantity", "missing"), ("lines.0.unit_price", "missing")]),
        ({"charges": ["free"]}, [("charges.0", "expected an object")]),
    ],
)
def test_a_document_with_mistakes_is_refused_with_each_field_at_fault(erp, change, errors):
    refused = post(erp, document(**change))
    assert (refused.status_code, refused.json()) == (422, {"errors": [{"field": field, "message": message} for field, message in errors]})
    assert erp.orders == []


def test_a_missing_field_is_named(erp):
    body = document()
    del body["currency"]
    assert post(erp, body).json() == {"errors": [{"field": "currency", "message": "missing"}]}


def test_a_body_that_is_no_json_and_a_wrong_key_are_refused(erp):
    broken = requests.post(f"{erp.url}/orders", data="{", headers=HEADERS, timeout=5)
    stranger = requests.post(f"{erp.url}/orders", json=document(), headers={"Authorization": "Bearer other"}, timeout=5)
    anonymous = requests.get(f"{erp.url}/orders", timeout=5)
    assert [answer.status_code for answer in (broken, stranger, anonymous)] == [400, 401, 401]
    assert erp.orders == []


def test_changes_come_in_pages_ordered_by_time_and_id(erp, clock):
    for reference in "ABCDE":
        post(erp, document(reference=reference))
    clock.now = T0 + timedelta(seconds=1)
    erp.advance(2, "confirmed")
    pages, path = [], "/orders?changed_since=2026-11-22T12:00:00Z&limit=2"
    while path:
        page = get(erp, path).json()
        pages.append([(order["id"], order["state"]) for order in page["orders"]])
        path = page["next"]
    assert pages == [[(1, "draft"), (3, "draft")], [(4, "draft"), (5, "draft")], [(2, "confirmed")]]
    assert [o["id"] for o in get(erp, "/orders?changed_since=2026-11-22T12:00:01Z").json()["orders"]] == [2]


def test_an_instant_without_an_offset_is_refused(erp):
    assert get(erp, "/orders?changed_since=2026-11-22T12:00:00").status_code == 422


def test_an_order_moves_only_along_its_states(erp):
    post(erp, document())
    path = ["confirmed", "processing", "shipped", "done"]
    assert [erp.advance(1, state).state for state in path] == path
    with pytest.raises(ValueError, match="SO-000001 cannot go from done to cancelled"):
        erp.advance(1, "cancelled")
    with pytest.raises(KeyError):
        erp.advance(2, "confirmed")


def test_a_shipped_order_has_a_parcel_with_its_tracking_code(erp):
    post(erp, document())
    for state in ("confirmed", "processing", "shipped"):
        erp.advance(1, state)
    parcel = {"id": "PK-000001", "carrier": "Demo Post", "tracking_code": "DP000000001", "shipped_at": "2026-11-22T12:00:00+00:00"}
    assert erp.orders[0].shown()["parcels"] == [parcel]
