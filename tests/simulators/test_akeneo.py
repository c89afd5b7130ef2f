"""The simulated Akeneo over HTTP: it answers as the documentation of the REST API v1 says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import requests

from middleware.connectors._http import Http
from middleware.connectors.akeneo import Connector
from middleware.errors import Refused
from middleware.ports import Inbound
from middleware.settings import Connection
from middleware.simulators.akeneo import AkeneoSimulator
from middleware.simulators.akeneo_catalog import value
from middleware.simulators.akeneo_events import Flavour
from middleware.simulators.deliveries import DeliveryReport, Mischief
from middleware.simulators.faults import Fault, FaultKind
from middleware.testing import secret

T0 = datetime(2026, 11, 22, 12, 0, 0, 600_000, tzinfo=UTC)
PASSWORD = {"grant_type": "password", "username": "waybill_1", "password": "user-password"}


class Clock:
    now = T0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pim(clock):
    with AkeneoSimulator(clock=clock, zone="Europe/Paris") as started:
        yield started


def ask_token(pim, body, auth=AkeneoSimulator.client, **options):
    return requests.post(f"{pim.url}/api/oauth/v1/token", auth=auth, timeout=5, **(options or {"json": body}))


@pytest.fixture
def get(pim):
    token = ask_token(pim, PASSWORD).json()["access_token"]

    def ask(path, **params):
        if "search" in params:
            params["search"] = json.dumps(params["search"])
        url = path if path.startswith("http") else f"{pim.url}/api/rest/v1/{path}"
        return requests.get(url, params=params, headers={"Authorization": f"Bearer {token}"}, timeout=5)

    return ask


def items(reply, key="code"):
    return [item[key] for item in reply.json()["_embedded"]["items"]]


def after(text):
    return {"updated": [{"operator": ">", "value": text}]}


def test_a_token_is_given_for_a_password_and_for_a_refresh_token_once(pim):
    first = ask_token(pim, PASSWORD)
    assert first.json() | {"access_token": "", "refresh_token": ""} == {
        "access_token": "",
        "expires_in": 3600,
        "token_type": "bearer",
        "scope": None,
        "refresh_token": "",
    }
    refresh = {"grant_type": "refresh_token", "refresh_token": first.json()["refresh_token"]}
    assert [ask_token(pim, refresh).status_code for _ in range(2)] == [200, 422]
    assert ask_token(pim, None, data=PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("body", "auth"),
    [({**PASSWORD, "password": "x"}, AkeneoSimulator.client), (PASSWORD, ("1_client", "x")), ({}, AkeneoSimulator.client), ([], ("", ""))],
)
def test_wrong_credentials_are_unprocessable(pim, body, auth):
    answer = ask_token(pim, body, auth)
    assert (answer.status_code, answer.json()["code"]) == (422, 422)


def test_a_token_ends(pim, clock, get):
    assert get("locales").status_code == 200
    clock.now += timedelta(seconds=3600)
    answer = get("locales")
    assert (answer.status_code, answer.json()) == (401, {"code": 401, "message": "Authentication is required"})


def test_products_are_paged_by_uuid(pim, get):
    made = sorted(pim.catalog.add_product(f"P-{n}") for n in range(5))
    read, links = [], []
    answer = get("products-uuid", pagination_type="search_after", limit=2)
    while True:
        read.append(items(answer, "uuid"))
        following = answer.json()["_links"].get("next")
        if not following:
            break
        links.append(following["href"])
        answer = get(links[-1])
    assert read == [made[:2], made[2:4], made[4:]]
    assert links[0] == f"{pim.url}/api/rest/v1/products-uuid?pagination_type=search_after&limit=2&search_after={made[1]}"


@pytest.mark.parametrize(
    ("path", "params", "status", "message"),
    [
        ("products-uuid", {"limit": 101}, 422, "You cannot request more than 100 items."),
        ("families", {"limit": 101}, 422, "You cannot request more than 100 items."),
        ("families", {"limit": 0}, 422, '"0" is not a valid limit number.'),
        (
            "products-uuid",
            {"pagination_type": "search_after", "with_count": "true"},
            422,
            "with_count is not available with the search_after pagination type.",
        ),
        (
            "products-uuid",
            {"page": 101, "limit": 100},
            422,
            'You have reached the maximum number of pages you can retrieve with the "page" pagination type.'
            " Please use the search after pagination type instead",
        ),
        ("products-uuid", {"scope": "print"}, 422, 'Scope "print" does not exist.'),
        ("products-uuid", {"search": after("2026-11-22T12:00:00Z")}, 422, 'Property "updated" expects a string with the format'),
        ("families", {"search": after("yesterday")}, 422, 'Property "updated" expects a string with the format'),
        ("products-uuid", {"search": {"sku": [{"operator": "=", "value": "x"}]}}, 422, 'Filter on property "sku" is not supported'),
        ("locales", {"search": after("2026-11-22T12:00:00Z")}, 422, 'Filter on property "updated" is not supported'),
        ("products-uuid", {"search": ["x"]}, 400, "Search query parameter should be valid JSON."),
        ("attributes/none/options", {}, 404, "Attribute 'none' does not exist."),
        ("products-uuid/none", {}, 404, "Product none does not exist"),
    ],
)
def test_what_is_refused_and_how(get, path, params, status, message):
    answer = get(path, **params)
    assert (answer.status_code, answer.json()["code"]) == (status, status)
    assert answer.json()["message"].startswith(message)


def test_a_filter_is_strict_in_seconds_of_the_servers_time_zone(pim, clock, get):
    uuid = pim.catalog.add_product("P")  # 13:00:00 in Paris
    for text, found in (("2026-11-22 12:59:59", [uuid]), ("2026-11-22 13:00:00", []), ("2026-11-22 12:00:00", [uuid])):
        assert items(get("products-uuid", search=after(text)), "uuid") == found
    assert get(f"products-uuid/{uuid}").json()["updated"] == "2026-11-22T13:00:00+01:00"


def test_a_variant_shows_its_models_values_and_changes_with_them(pim, clock, get):
    catalog = pim.catalog
    catalog.add_model("root", values={"name": [value("Shirt")], "brand": [value("Acme")]})
    catalog.add_model("red", parent="root", values={"name": [value("Red shirt")]})
    variant = catalog.add_product("V", parent="red", values={"size": [value("m")]})
    clock.now += timedelta(minutes=1)
    catalog.update_model("root", values={"brand": [value("Emca")]})
    shown = get("products-uuid", search=after("2026-11-22 13:00:00")).json()["_embedded"]["items"]
    assert [(one["uuid"], one["updated"], one["parent"]) for one in shown] == [(variant, "2026-11-22T13:00:00+01:00", "red")]
    assert {code: entries[0]["data"] for code, entries in shown[0]["values"].items()} == {
        "name": "Red shirt",
        "brand": "Emca",
        "sku": "V",
        "size": "m",
    }
    assert items(get("product-models", search=after("2026-11-22 13:00:00"))) == ["root"]
    catalog.delete_model("root")
    assert (items(get("product-models")), items(get("products-uuid"), "uuid")) == ([], [])


def test_a_deletion_is_in_no_delta(pim, clock, get):
    uuid = pim.catalog.add_product("P")
    clock.now += timedelta(minutes=1)
    pim.catalog.delete_product(uuid)
    assert items(get("products-uuid", search=after("2026-01-01 00:00:00")), "uuid") == []
    with pytest.raises(KeyError):
        pim.catalog.update_product(uuid)


def test_values_are_narrowed_to_channel_and_locales(pim, get):
    pim.catalog.put("channels", "web")
    entries = [value("a", locale="en_US", scope="web"), value("b", locale="fr_FR", scope="web"), value("c", scope="print"), value("d")]
    uuid = pim.catalog.add_product(values={"x": entries, "y": [value("c", scope="print")]})
    shown = get("products-uuid", scope="web", locales="en_US,de_DE").json()["_embedded"]["items"][0]
    assert {code: [entry["data"] for entry in kept] for code, kept in shown["values"].items()} == {"x": ["a", "d"]}
    pim.catalog.update_product(uuid, values={"x": [], "y": []})
    assert get(f"products-uuid/{uuid}").json()["values"] == []


def test_the_other_lists_are_paged_by_number(pim, clock, get):
    for code in ("c", "a", "b"):
        pim.catalog.put("families", code, labels={})
    first = get("families", limit=2, with_count="true")
    assert (items(first), first.json()["current_page"], first.json()["items_count"]) == (["a", "b"], 1, 3)
    last = get(first.json()["_links"]["next"]["href"])
    assert (items(last), set(last.json()["_links"])) == (["c"], {"self", "first", "previous"})
    clock.now += timedelta(seconds=1)
    pim.catalog.put("families", "b", labels={"en_US": "B"})
    assert items(get("families", search=after("2026-11-22T13:00:00+01:00"))) == ["b"]
    pim.catalog.put("categories", "root", parent=None)
    assert get("categories").json()["_embedded"]["items"][0]["updated"] == "2026-11-22T13:00:01+01:00"


def test_options_belong_to_an_attribute(pim, get):
    pim.catalog.put("attributes", "color", type="pim_catalog_simpleselect")
    pim.catalog.put("attributes", "name", type="pim_catalog_text")
    pim.catalog.put_option("color", "red", en_US="Red")
    pim.catalog.put_option("color", "blue")
    shown = get("attributes/color/options").json()["_embedded"]["items"]
    assert [(one["code"], one["attribute"], one["sort_order"], one["labels"]) for one in shown] == [
        ("blue", "color", 2, []),
        ("red", "color", 1, {"en_US": "Red"}),
    ]
    assert items(get("attributes", search={"type": [{"operator": "IN", "value": ["pim_catalog_simpleselect"]}]})) == ["color"]


@pytest.mark.parametrize(("seconds", "header"), [(3, "3"), (0, None)])
def test_too_many_requests_may_say_when_to_come_again(pim, get, seconds, header):
    pim.faults.add(Fault(FaultKind.RATE_LIMIT, seconds=seconds))
    answer = get("locales")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (429, header)
    assert answer.json() == {"code": 429, "message": "You have exceeded the limit of API requests per second."}
    assert get("locales").status_code == 200


@pytest.mark.parametrize("flavour", Flavour)
def test_the_connector_accepts_every_event_and_refuses_every_forged_one(pim, receiver, flavour):
    connection = Connection("pim", "akeneo", pim.url, secrets=(secret("s1"),))
    connector = Connector(connection, Http(connection))
    told = []

    def judge(headers, body):
        try:
            found = connector.read(Inbound(headers, body, "", datetime.now(UTC)))
        except Refused as error:
            return error.status
        told.extend((one.topic.removeprefix("com.akeneo.pim.v1."), one.subject) for one in found)
        return 200

    receiver.judge = judge
    deliverer = pim.deliver_to(receiver.url, flavour, "s1", mischief=Mischief(tampered=1, forged=1), workers=1)
    pim.catalog.add_model("root")
    uuid = pim.catalog.add_product("P", parent="root")
    pim.catalog.update_product(uuid, values={"name": [value("é")]}, author="waybill_1")
    pim.catalog.delete_product(uuid)
    with_deliveries = deliverer.start()
    assert with_deliveries.drain(10)
    with_deliveries.stop()
    assert deliverer.report() == DeliveryReport(messages=4, sent=12, accepted=4, refused_on_purpose=8)
    model, gone = ("product_model", "removed") if flavour is Flavour.EVENTS_API else ("product-model", "deleted")
    expected = [(f"{model}.created", "root"), ("product.created", uuid), ("product.updated", uuid), (f"product.{gone}", uuid)]
    assert sorted(told) == sorted(expected)
