"""The Akeneo connector: refusals against a transport that answers as told, reading against the simulator over real HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import responses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings import akeneo as words
from middleware.connectors import mistakes
from middleware.connectors._http import Http
from middleware.connectors.akeneo import RESTARTS, Connector
from middleware.errors import RateLimited, Refused, Rejected, SignatureRefused, Stale, Transient, Unauthorized, Unreadable
from middleware.ports import Delivery, Inbound, Page, Record
from middleware.settings import Connection
from middleware.simulators.akeneo import AkeneoSimulator
from middleware.simulators.akeneo_catalog import value
from middleware.simulators.faults import Fault, FaultKind
from middleware.testing import secret

PAYLOADS = Path(__file__).parents[1] / "payloads"
VECTORS = json.loads((PAYLOADS / "vectors" / "akeneo.json").read_text("utf-8"))["vectors"]
BASE = "https://pim.example/shop"
TOKEN = f"{BASE}/api/oauth/v1/token"
PRODUCTS = f"{BASE}/api/rest/v1/products-uuid"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SIGNED_AT = datetime.fromtimestamp(1767225600, UTC)


def payload(name: str) -> bytes:
    return (PAYLOADS / "akeneo" / name).read_bytes()


def connector(base: str = BASE, *, secrets: tuple[str, ...] = (), zone: str = "UTC", **options: Any) -> Connector:
    connection = Connection(
        "pim",
        "akeneo",
        base,
        secrets=tuple(secret(one) for one in secrets),
        credentials={"client_secret": secret(AkeneoSimulator.client[1]), "password": secret(AkeneoSimulator.user[1])},
        options={"client_id": AkeneoSimulator.client[0], "username": AkeneoSimulator.user[0], **options},
        time_zone=zone,
    )
    return Connector(connection, Http(connection))


def pages(pim: Connector, kind: str, since: datetime | None = None) -> Iterator[Page]:
    cursor = ""
    while True:
        page = pim.list_records(kind, since, cursor)
        yield page
        cursor = page.cursor
        if not cursor:
            return


def ids(pim: Connector, kind: str, since: datetime | None = None) -> list[str]:
    return [record.source_id for page in pages(pim, kind, since) for record in page.records]


# against a transport


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post(TOKEN, json={"access_token": "t1", "expires_in": 3600, "token_type": "bearer", "scope": None, "refresh_token": "r1"})
        yield mock


def hal(*items: bytes, **links: str) -> bytes:
    shown = json.dumps({name: {"href": href} for name, href in {"self": PRODUCTS, **links}.items()})
    return b'{"_links":%s,"_embedded":{"items":[%s]}}' % (shown.encode(), b" , ".join(items))


def test_a_token_is_asked_for_with_the_password_and_kept(server):
    server.get(PRODUCTS, body=hal())
    pim = connector()
    assert pim.list_records("products", None, "") == Page(())
    assert pim.list_records("products", None, "") == Page(())
    token, first, second = (call.request for call in server.calls)
    client = base64.b64encode(b"1_client:client-secret").decode()
    assert token.headers["Authorization"] == f"Basic {client}"
    assert json.loads(token.body) == {"grant_type": "password", "username": "waybill_1", "password": "user-password"}
    assert {first.headers["Authorization"], second.headers["Authorization"]} == {"Bearer t1"}


def test_a_short_token_is_renewed_before_it_ends(server):
    server.replace(responses.POST, TOKEN, json={"access_token": "t1", "expires_in": 20})
    server.get(PRODUCTS, body=hal())
    pim = connector()
    pim.list_records("products", None, "")
    pim.list_records("products", None, "")
    assert [call.request.method for call in server.calls] == ["POST", "GET", "POST", "GET"]


def test_a_token_that_is_refused_is_renewed_once(server):
    server.get(PRODUCTS, json={"code": 401, "message": "Authentication is required"}, status=401)
    with pytest.raises(Unauthorized, match="HTTP 401: Authentication is required"):
        connector().list_records("products", None, "")
    assert [call.request.method for call in server.calls] == ["POST", "GET", "POST", "GET"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"json": {"code": 422, "message": "No user found for the given username and password"}, "status": 422}, "HTTP 422: No user found"),
        ({"json": {"code": 401, "message": "no"}, "status": 401}, "HTTP 401"),
        ({"json": {"token_type": "bearer"}}, "its answer holds none"),
        ({"body": "<html>"}, "its answer holds none"),
    ],
)
def test_no_token_is_a_matter_of_the_credentials(server, answer, reason):
    server.replace(responses.POST, TOKEN, **answer)
    with pytest.raises(Unauthorized, match=reason):
        connector().list_records("products", None, "")
    assert len(server.calls) == 1


def test_a_connection_without_its_credentials_asks_for_nothing(server):
    connection = Connection("pim", "akeneo", BASE, options={"username": "u"})
    with pytest.raises(Unauthorized, match="no client_id, no client_secret, no password"):
        Connector(connection, Http(connection)).list_records("products", None, "")
    assert len(server.calls) == 0


@pytest.mark.parametrize(
    ("status", "body", "error", "reason", "field"),
    [
        (403, {"code": 403, "message": "Access forbidden. You are not allowed to list products."}, Unauthorized, "not allowed to list", ""),
        (403, "<html>Request blocked</html>", Rejected, "too large", "options.page"),
        (413, {"code": 413, "message": "Too many resources"}, Rejected, "too large", "options.page"),
        (422, {"code": 422, "message": "You cannot request more than 100 items."}, Rejected, "more than 100", ""),
        (422, {"code": 422, "message": "No", "errors": [{"property": "updated", "message": "bad"}]}, Rejected, "No", "updated"),
        (422, [], Rejected, "HTTP 422", ""),
        (404, "gone", Rejected, "HTTP 404", ""),
        (500, {}, Transient, "HTTP 500", ""),
    ],
)
def test_a_refusal_is_told_apart(server, status, body, error, reason, field):
    text = body if isinstance(body, str) else json.dumps(body)
    server.get(PRODUCTS, body=text, status=status)
    with pytest.raises(error, match=reason) as caught:
        connector().list_records("products", None, "")
    assert (type(caught.value), caught.value.field, caught.value.http_status) == (error, field, status)


@pytest.mark.parametrize(("headers", "after"), [({"Retry-After": "7"}, 7.0), ({}, None)])
def test_too_many_requests_say_when_to_come_again(server, headers, after):
    server.get(PRODUCTS, json={"code": 429, "message": "You have exceeded the limit"}, status=429, headers=headers)
    with pytest.raises(RateLimited) as caught:
        connector().list_records("products", None, "")
    assert caught.value.retry_after == after


def test_a_record_is_its_exact_slice(server):
    raw = b'{ "uuid" : "u1",\n "values":{"p":[{"data":1.10}]}, "x": "\\u00e9" }'
    broken = b'{"uuid":"u2","values":"\xff"}'
    server.get(PRODUCTS, body=hal(raw, broken))
    assert connector().list_records("products", None, "") == Page((Record("u1", raw), Record("u2", broken)))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"_links":{},"_embedded":{}}', hal(b'{"identifier":"x"}'), hal(b"7"), hal(b'{"uuid":7}')]
)
def test_a_page_that_is_none_is_refused(server, body):
    server.get(PRODUCTS, body=body)
    with pytest.raises(Rejected, match="no list of records"):
        connector().list_records("products", None, "")


@pytest.mark.parametrize(
    "href",
    [
        "https://evil.example/shop/api/rest/v1/products-uuid?search_after=a",
        "http://pim.example/shop/api/rest/v1/products-uuid?search_after=a",
        "https://pim.example:8443/shop/api/rest/v1/products-uuid?search_after=a",
        "https://user@pim.example/shop/api/rest/v1/products-uuid?search_after=a",
        "https://pim.example@evil.example/shop/api/rest/v1/products-uuid?search_after=a",
        "https://pim.example/other/api/rest/v1/products-uuid?search_after=a",
        "https://pim.example/shop/api/rest/v1/../../admin?search_after=a",
        "//evil.example/shop/api/rest/v1/products-uuid?search_after=a",
        "/admin?search_after=a",
        "https://pim.example/shop/api/rest/v1/products-uuid",
        "https://[pim/?a=b",
        "https://pim.example:port/shop/api/rest/v1/products-uuid?a=b",
        "",
    ],
)
def test_a_link_that_leads_elsewhere_is_refused(server, href):
    server.get(PRODUCTS, body=hal(next=href))
    with pytest.raises(Rejected, match="leads elsewhere") as caught:
        connector().list_records("products", None, "")
    assert caught.value.field == "_links.next.href"
    assert {call.request.url.split("?")[0] for call in server.calls} == {TOKEN, PRODUCTS}


@pytest.mark.parametrize(
    "href",
    [
        "https://pim.example/shop/api/rest/v1/products-uuid?pagination_type=search_after&search_after=a%2Bb",
        "https://PIM.example:443/shop/api/rest/v1/products-uuid?pagination_type=search_after&search_after=a%2Bb",
        "/shop/api/rest/v1/products-uuid?pagination_type=search_after&search_after=a%2Bb",
        "?pagination_type=search_after&search_after=a%2Bb",
    ],
)
def test_the_link_to_the_next_page_is_followed_as_it_is(server, href):
    server.get(PRODUCTS, body=hal(b'{"uuid":"u1"}', next=href))
    server.get(PRODUCTS, body=hal(b'{"uuid":"u2"}'))
    pim = connector()
    assert ids(pim, "products") == ["u1", "u2"]
    assert server.calls[-1].request.url == f"{PRODUCTS}?pagination_type=search_after&search_after=a%2Bb"


def test_a_link_to_the_page_itself_does_not_go_round_for_ever(server):
    server.get(PRODUCTS, body=hal(next=f"{PRODUCTS}?a=b"))
    pim = connector()
    cursor = pim.list_records("products", None, "").cursor
    with pytest.raises(Rejected, match="the page itself"):
        pim.list_records("products", None, cursor)


@pytest.mark.parametrize("cursor", ["x", "[]", "{}", '{"query":7}'])
def test_a_cursor_of_another_feed_is_refused(server, cursor):
    with pytest.raises(Rejected, match="cursor"):
        connector().list_records("products", None, cursor)


def test_the_first_page_asks_for_channel_locales_and_time(server):
    server.get(PRODUCTS, body=hal())
    pim = connector(zone="Europe/Paris", channel="ecommerce", locales=["en_US", "fr_FR"], page=50)
    pim.list_records("products", NOW, "")
    assert server.calls[-1].request.params == {
        "limit": "50",
        "pagination_type": "search_after",
        "scope": "ecommerce",
        "locales": "en_US,fr_FR",
        "search": '{"updated":[{"operator":">","value":"2026-11-22 12:59:59"}]}',
    }


def test_there_is_no_other_feed(server):
    with pytest.raises(Rejected, match="no feed 'assets'"):
        connector().list_records("assets", None, "")


@pytest.mark.parametrize(
    ("changes", "line"), [({"options": {"page": 101}}, "options.page"), ({"time_zone": "Mars/Olympus"}, "Mars/Olympus")]
)
def test_a_mistake_of_the_configuration_is_found_at_the_start(changes, line):
    found = mistakes({"pim": Connection("pim", "akeneo", BASE, secrets=(secret("s"),), **changes)})
    assert len(found) == 1
    assert line in found[0]


PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("since", "dates", "zone", "expected"),
    [
        (NOW.replace(microsecond=999_999), words.Dates.SERVER, UTC, "2026-11-22 11:59:59"),
        (NOW, words.Dates.SERVER, PARIS, "2026-11-22 12:59:59"),
        (NOW, words.Dates.ISO, PARIS, "2026-11-22T12:59:59+01:00"),
        (NOW, words.Dates.ISO, UTC, "2026-11-22T11:59:59+00:00"),
        (NOW.astimezone(ZoneInfo("Asia/Tokyo")), words.Dates.SERVER, UTC, "2026-11-22 11:59:59"),
        # 2026-10-25: 02:00 to 03:00 comes twice in Paris, and nobody can say which one is meant.
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), words.Dates.SERVER, PARIS, "2026-10-25 01:29:59"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), words.Dates.SERVER, PARIS, "2026-10-25 01:29:59"),
        (datetime(2026, 10, 25, 2, 30, tzinfo=UTC), words.Dates.SERVER, PARIS, "2026-10-25 03:29:59"),
        # 2026-03-29: 02:00 to 03:00 is left out.
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), words.Dates.SERVER, PARIS, "2026-03-29 01:59:59"),
        (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), words.Dates.SERVER, PARIS, "2026-03-29 03:29:59"),
    ],
)
def test_a_filter_speaks_the_time_of_the_pim(since, dates, zone, expected):
    assert words.updated_after(since, dates, zone) == expected


# against the simulator


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pim(clock: Clock) -> Iterator[AkeneoSimulator]:
    with AkeneoSimulator(clock=clock, zone="Europe/Paris") as started:
        yield started


def reader(pim: AkeneoSimulator, **options: Any) -> Connector:
    return connector(pim.url, zone="Europe/Paris", **options)


def test_250_products_are_read_in_pages_of_100(pim):
    made = {pim.catalog.add_product(f"P-{n}") for n in range(250)}
    read = list(pages(reader(pim), "products"))
    assert [len(page.records) for page in read] == [100, 100, 50]
    assert {record.source_id for page in read for record in page.records} == made


def test_an_unchanged_record_is_the_same_bytes_again(pim):
    for n in range(3):
        pim.catalog.add_product(f"P-{n}", values={"name": [value("é", locale="fr_FR")]})
    connection = reader(pim)
    assert connection.list_records("products", None, "") == connection.list_records("products", None, "")


def test_a_delta_holds_what_changed_in_that_second_or_later(pim, clock):
    old, same, _ = (pim.catalog.add_product(f"P-{n}") for n in range(3))
    clock.advance(hours=1)
    since = clock.now + timedelta(milliseconds=300)
    clock.advance(milliseconds=700)
    pim.catalog.update_product(same, values={"name": [value("new")]})
    clock.advance(seconds=1)
    late = pim.catalog.add_product("P-3")
    assert set(ids(reader(pim), "products", since)) == {same, late}
    pim.catalog.delete_product(old)
    assert set(ids(reader(pim), "products", since)) == {same, late}


def test_a_variant_comes_back_when_only_its_model_changed(pim, clock):
    pim.catalog.add_model("root", values={"name": [value("Shirt")]})
    pim.catalog.add_model("red", parent="root")
    variant, _ = pim.catalog.add_product("V", parent="red"), pim.catalog.add_product("X")
    clock.advance(hours=1)
    since = clock.now
    pim.catalog.update_model("root", values={"name": [value("Blouse")]})
    connection = reader(pim)
    (record,) = connection.list_records("products", since, "").records
    decoded = connection.decode_record("products", record.raw)
    assert (record.source_id, decoded["values"]["name"], decoded["parent"]) == (variant, "Blouse", "red")
    assert datetime.fromisoformat(decoded["updated"]) < since
    assert ids(connection, "product_models", since) == ["root"]


def test_a_product_added_or_deleted_between_two_pages_loses_nothing_else(pim):
    made = sorted(pim.catalog.add_product(f"P-{n}") for n in range(30))
    walk = pages(reader(pim, page=10), "products")
    seen = [record.source_id for record in next(walk).records]
    pim.catalog.delete_product(made[0])
    pim.catalog.delete_product(made[15])
    pim.catalog.add_product("NEW", uuid="0" * 8)
    seen += [record.source_id for page in walk for record in page.records]
    assert seen == [one for one in made if one != made[15]]


def test_a_token_that_ends_in_mid_run_is_renewed(pim):
    made = {pim.catalog.add_product(f"P-{n}") for n in range(30)}
    seen = set()
    for page in pages(reader(pim, page=10), "products"):
        seen |= {record.source_id for record in page.records}
        pim.end_tokens()
    assert (seen, pim.tokens_given) == (made, 4)  # the page after the last full one is empty


def test_too_many_requests_in_mid_run_cost_a_wait_and_no_record(pim):
    made = sorted(pim.catalog.add_product(f"P-{n}") for n in range(15))
    connection = reader(pim, page=10)
    first = connection.list_records("products", None, "")
    pim.faults.add(Fault(FaultKind.RATE_LIMIT, path=".*products-uuid", seconds=3))
    pim.faults.add(Fault(FaultKind.RATE_LIMIT, path=".*products-uuid", seconds=0))
    for after in (3.0, None):
        with pytest.raises(RateLimited) as caught:
            connection.list_records("products", None, first.cursor)
        assert caught.value.retry_after == after
    rest = connection.list_records("products", None, first.cursor)
    assert [record.source_id for record in (*first.records, *rest.records)] == made


def test_every_list_is_read(pim, clock):
    catalog = pim.catalog
    for code in ("color", "size"):
        catalog.put("attributes", code, type="pim_catalog_simpleselect", labels=[])
    catalog.put("attributes", "name", type="pim_catalog_text", labels={"en_US": "Name"})
    for attribute, code in (("color", "red"), ("color", "blue"), ("size", "red")):
        catalog.put_option(attribute, code, en_US=code.title())
    catalog.put("families", "shirts", attributes=["name"], labels={})
    catalog.put("categories", "summer", parent=None, labels={})
    catalog.put("locales", "en_US", enabled=True)
    catalog.put("channels", "ecommerce", locales=["en_US"], currencies=["EUR"], category_tree="summer")
    catalog.add_model("root")
    kinds = {kind: ids(reader(pim, page=2), kind) for kind in words.FEEDS}
    everything = {
        "products": [],
        "product_models": ["root"],
        "families": ["shirts"],
        "attributes": ["color", "name", "size"],
        "categories": ["summer"],
        "options": ["color/blue", "color/red", "size/red"],
        "locales": ["en_US"],
        "channels": ["ecommerce"],
    }
    assert kinds == everything
    clock.advance(hours=1)
    catalog.put("attributes", "name", labels={})
    whole = ("options", "locales", "channels")
    changed = {kind: ids(reader(pim), kind, clock.now) for kind in words.FEEDS}
    assert changed == {kind: everything[kind] if kind in whole else [] for kind in words.FEEDS} | {"attributes": ["name"]}


def test_an_attribute_that_goes_while_options_are_read_takes_only_its_own_along(pim):
    for attribute in ("a", "b", "c"):
        pim.catalog.put("attributes", attribute, type="pim_catalog_multiselect")
        pim.catalog.put_option(attribute, "one")
    walk = pages(reader(pim), "options")
    seen = [record.source_id for record in next(walk).records]
    pim.catalog.remove("attributes", "b")
    assert seen + [record.source_id for page in walk for record in page.records] == ["a/one", "c/one"]


def test_a_numbered_list_that_moved_is_read_anew(pim):
    for code in "abcdefgh":
        pim.catalog.put("families", code)
    walk = pages(reader(pim, page=3), "families")
    assert [record.source_id for record in next(walk).records] == ["a", "b", "c"]
    pim.catalog.remove("families", "a")  # "d" is on the first page now
    later = [[record.source_id for record in page.records] for page in walk]
    assert later == [["e", "f", "g"], ["b", "c", "d"], ["e", "f", "g"], ["h"]]


def test_a_list_that_never_holds_still_is_given_up(pim):
    for n in range(40):
        pim.catalog.put("families", f"f{n:02}")
    with pytest.raises(Rejected, match=f"changed {RESTARTS + 1} times"):
        for number, _ in enumerate(pages(reader(pim, page=2), "families")):
            pim.catalog.put("families", f"a{100 - number:03}")


CHANGES = st.lists(st.lists(st.tuples(st.sampled_from(["add", "delete", "update"]), st.integers(0, 40)), max_size=4), max_size=8)


@pytest.fixture(scope="module")
def still() -> Iterator[AkeneoSimulator]:
    with AkeneoSimulator() as started:
        yield started


def keys(numbers: set[int]) -> set[str]:
    return {f"k{number:03}" for number in numbers}


@pytest.mark.parametrize("kind", ["products", "families"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.sets(st.integers(0, 40), max_size=14), page=st.integers(1, 5), changes=CHANGES)
def test_whatever_changes_between_pages_what_was_there_all_the_time_is_read(still, kind, start, page, changes):
    catalog, held = still.catalog, set(start)
    among = catalog.products if kind == "products" else catalog.lists["families"]
    among.clear()
    put = (lambda key: catalog.add_product(key, uuid=key)) if kind == "products" else (lambda key: catalog.put("families", key))
    for key in keys(held):
        put(key)
    always, seen, left = set(start), set(), iter(changes)
    try:
        for read in pages(reader(still, page=page), kind):
            seen |= {record.source_id for record in read.records}
            for deed, number in next(left, ()):
                if deed == "delete":
                    always.discard(number)
                    among.pop(f"k{number:03}", None)
                else:
                    put(f"k{number:03}")
    except Rejected as error:
        assert "times while it was read" in error.reason  # given up, and never called complete
        return
    assert keys(always) <= seen


# decoding


def test_a_product_is_flat_for_its_channel_and_locales():
    found = connector(channel="ecommerce", locales=["en_US", "de_DE"]).decode_record("products", payload("product.json"))
    assert found == {
        "uuid": "25566245-55c3-42ce-86d9-8610ac459fa8",
        "identifier": "top-xl",
        "enabled": True,
        "family": "tshirt",
        "parent": "tops",
        "categories": ["summer_collection"],
        "updated": "2016-06-25T17:56:12+02:00",
        "values": {
            "sku": "top-xl",
            "name": {"en_US": "Top XL"},
            "description": {"en_US": "Summer top XL"},
            "release": "2026-04-29T00:00:00+00:00",
            "price": {"EUR": "15.50", "USD": "15"},
            "weight": {"amount": Decimal("800.0000"), "unit": "GRAM"},
            "pieces": Decimal(40),
            "speed": Decimal("89.897"),
            "washable": False,
            "color": "black",
            "materials": ["leather", "cotton"],
            "picture": "9/9/c/c/99cc83f105199c667505cfa8ec1458c8be4f0814_top.jpg",
            "battery": {"type": "product", "id": "fc24e6c3-933c-4a93-8a81-e5c703d134d5"},
        },
    }


def test_without_a_channel_what_differs_by_channel_stays_apart():
    values = connector().decode_record("products", payload("product.json"))["values"]
    assert values["name"] == {"en_US": "Top XL", "fr_FR": "Débardeur XL"}
    assert values["release"] == {"ecommerce": "2026-04-29T00:00:00+00:00", "tablet": "2026-05-29T00:00:00+00:00"}
    assert values["description"]["tablet"] == {"en_US": "Top XL", "fr_FR": "Débardeur XL"}


def test_a_product_may_have_nothing():
    found = connector().decode_record("products", payload("product-empty.json"))
    assert (found["identifier"], found["family"], found["values"]) == (None, None, {})


def test_another_attribute_may_be_the_identifier():
    raw = b'{"uuid":"u","enabled":true,"values":{"ean":[{"data":"123","locale":null,"scope":null}]}}'
    assert connector(identifier="ean").decode_record("products", raw)["identifier"] == "123"
    assert connector(identifier="ean").decode_record("products", raw.replace(b'"u"', b'"u","identifier":"own"'))["identifier"] == "own"


def test_numbers_stay_exact():
    raw = b'{"uuid":"u","enabled":true,"values":{"n":[{"data":0.10}],"p":[{"data":[{"amount":0.30,"currency":"EUR"}]}]}}'
    assert connector().decode_record("products", raw)["values"] == {"n": Decimal("0.10"), "p": {"EUR": "0.30"}}


def test_the_other_records_are_as_they_are_without_links():
    pim = connector()
    model = pim.decode_record("product_models", payload("product-model.json"))
    assert model == {
        "code": "tops",
        "family": "tshirt",
        "family_variant": "tshirt_size",
        "parent": "clothes",
        "categories": ["summer_collection"],
        "updated": "2016-06-25T17:56:12+02:00",
        "values": {"name": {"en_US": "Top"}, "collection": ["winter_2026"]},
    }
    option = pim.decode_record("options", payload("option.json"))
    assert option == {"code": "black", "attribute": "color", "sort_order": 2, "labels": {"en_US": "Black", "fr_FR": "Noir"}}
    assert pim.decode_record("categories", payload("category.json"))["labels"] == {}
    assert pim.decode_record("attributes", payload("attribute.json"))["number_min"] == Decimal("0.25")


@pytest.mark.parametrize(
    ("kind", "raw", "fields"),
    [
        ("products", b"", "the record is not JSON"),
        ("products", b'{"uuid":"\xff"}', "the record is not JSON"),
        ("products", b"[" * 100_000, "the record is not JSON"),
        ("products", b"[]", "_schema: "),
        ("products", b'{"values":{}}', "uuid: Missing.*enabled: Missing"),
        ("products", b'{"uuid":"","enabled":"ada@example.test"}', "uuid: .*enabled: "),
        ("products", b'{"uuid":"u","enabled":true,"values":"ada@"}', "values: expected an object"),
        ("products", b'{"uuid":"u","enabled":true,"values":{"name":"ada@"}}', "values.name: expected a list"),
        ("products", b'{"uuid":"u","enabled":true,"values":{"name":[{"data":"ada@","locale":7}]}}', "values.name: expected codes"),
        (
            "products",
            b'{"uuid":"u","enabled":true,"values":{"name":[{"data":"ada@"},{"data":"ada@","locale":"en_US"}]}}',
            "values.name: .*with and without a locale",
        ),
        (
            "products",
            b'{"uuid":"u","enabled":true,"values":{"name":[{"data":"ada@"},{"data":"ada@","scope":"web"}]}}',
            "values.name: .*with and without a channel",
        ),
        (
            "products",
            b'{"uuid":"u","enabled":true,"values":{"p":[{"data":[{"amount":"ada@","currency":"EUR"}]}],"w":[{"data":{"amount":true,"unit":"G"}}]}}',
            "values.p: expected a decimal.*values.w: expected a decimal",
        ),
        ("products", b'{"uuid":"u","enabled":true,"values":{"p":[{"data":[{"amount":"1","currency":1}]}]}}', "values.p: .*currency"),
        ("product_models", b'{"uuid":"u"}', "code: Missing"),
        ("families", b'{"code":7}', "code: expected a code"),
        ("families", b"7", "code: expected a code"),
    ],
)
def test_what_cannot_be_read_is_named_without_its_value(kind, raw, fields):
    with pytest.raises(Unreadable, match=fields) as caught:
        connector().decode_record(kind, raw)
    assert "ada@" not in str(caught.value)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.text() | st.integers(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_any_bytes_are_decoded_or_unreadable(raw):
    for kind in ("products", "product_models", "families"):
        try:
            assert isinstance(connector().decode_record(kind, raw), dict)
        except Unreadable:
            continue


# events


def signed(body: bytes, key: str = "s1", at: datetime = SIGNED_AT) -> Inbound:
    stamp = str(int(at.timestamp()))
    mac = hmac.new(key.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return Inbound({"x-akeneo-request-signature": mac, "x-akeneo-request-timestamp": stamp}, body, "", SIGNED_AT)


def platform(body: bytes, key: str = "s1", name: str = "primary") -> Inbound:
    mac = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    return Inbound({f"x-akeneo-signature-{name}": mac, "x-akeneo-signature-algorithm": "HmacSHA256"}, body, "", SIGNED_AT)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_vector_is_judged_as_expected(vector):
    key = vector["secret"] if isinstance(vector["secret"], str) else vector["secret"]["primary"]
    request = Inbound({name.lower(): text for name, text in vector["headers"].items()}, vector["body"].encode(), "", SIGNED_AT)
    if vector["expected"] == "invalid":
        with pytest.raises(SignatureRefused):
            connector(secrets=(key,)).read(request)
        return
    (delivery,) = connector(secrets=("another", key)).read(request)
    assert (delivery.hint, delivery.secret, delivery.occurred_at) == (True, 1, datetime(2026, 1, 1, tzinfo=UTC))
    assert delivery.subject in ("25566245-55c3-42ce-86d9-8610ac459fa8", "3444ec1b-058e-4208-9b6c-284f47a7aa17")


def test_every_event_of_a_request_is_a_hint_of_its_subject_except_our_own():
    found = connector(secrets=("s1",), author="waybill_0001").read(signed(payload("events-api.json")))
    at = datetime(2026, 1, 1, 9, tzinfo=UTC)
    first = "e0b6fe9a-0b79-4a5d-9c1e-5b1f0f1d000"
    assert [(one.delivery_id, one.topic, one.subject, one.occurred_at, one.hint) for one in found] == [
        (f"{first}1", "product.updated", "25566245-55c3-42ce-86d9-8610ac459fa8", at, True),
        (f"{first}2", "product.removed", "top-s", at, True),
        (f"{first}3", "product_model.updated", "tops", at, True),
    ]
    assert [json.loads(one.payload) for one in found] == json.loads(payload("events-api.json"))["events"][:3]


@pytest.mark.parametrize("name", ["primary", "secondary"])
def test_a_platform_event_is_a_hint_whichever_secret_signed_it(name):
    body = payload("event-platform.json")
    expected = Delivery(
        "018e197c-dfe2-70f8-9346-1a8e016f5fbb",
        "com.akeneo.pim.v1.product.deleted",
        "3444ec1b-058e-4208-9b6c-284f47a7aa17",
        body,
        datetime(2024, 3, 7, 15, 16, 37, tzinfo=UTC),
        hint=True,
    )
    assert connector(secrets=("s1",)).read(platform(body, name=name)) == (expected,)
    assert connector(secrets=("s1",), author="b238e9f7-fcec-45bd-9431-d43cd624b244").read(platform(body)) == ()


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"events":7}', b'{"data":{"product":7}}', b"[" * 100_000])
def test_a_signed_body_that_is_no_event_is_a_hint_of_something(body):
    (found,) = connector(secrets=("s1",), author="me").read(platform(body))
    assert found == Delivery(f"sha256:{hashlib.sha256(body).hexdigest()}", "unreadable", "unknown", body, hint=True)


@pytest.mark.parametrize(
    "request_",
    [
        Inbound({}, b"{}", "", SIGNED_AT),
        signed(b"{}", key="other"),
        platform(b"{}", key="other"),
        platform(b"{}", key=""),
        Inbound({**signed(b"{}").headers, "x-akeneo-request-timestamp": "now"}, b"{}", "", SIGNED_AT),
        Inbound({**platform(b"{}").headers, "x-akeneo-signature-algorithm": "HmacMD5"}, b"{}", "", SIGNED_AT),
        Inbound({"x-akeneo-signature-primary": "é\u20ac"}, b"{}", "", SIGNED_AT),
        Inbound(
            {**platform(b"{}").headers, "x-akeneo-request-signature": "00", "x-akeneo-request-timestamp": "1767225600"},
            b"{}",
            "",
            SIGNED_AT,
        ),
    ],
    ids=["none", "wrong", "wrong platform", "empty key", "no time", "algorithm", "not ascii", "both, the first wrong"],
)
@pytest.mark.parametrize("secrets", [(), ("",), (" ",), ("s1",)])
def test_a_bad_signature_or_an_empty_secret_is_a_closed_door(request_, secrets):
    with pytest.raises(Refused):
        connector(secrets=secrets).read(request_)


def test_an_old_signature_is_stale_unless_any_age_will_do():
    old = signed(payload("events-api.json"), at=SIGNED_AT - timedelta(seconds=301))
    with pytest.raises(Stale):
        connector(secrets=("s1",)).read(old)
    assert len(connector(secrets=("s1",), tolerance=0).read(old)) == 4
