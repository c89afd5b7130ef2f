"""The Pimcore connector against its simulator over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import responses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from middleware.connectors import mistakes
from middleware.connectors._http import Http
from middleware.connectors.pimcore import Connector
from middleware.errors import RateLimited, Rejected, Transient, Unauthorized, Unreadable
from middleware.ports import Blob, Page, Record
from middleware.settings import Connection
from middleware.simulators.faults import Fault, FaultKind
from middleware.simulators.pimcore import Link, PimcoreSimulator
from middleware.simulators.pimcore_query import SyntaxFault, parsed
from middleware.testing import secret

NOW = datetime(2026, 11, 22, 12, 0, 0, 900_000, tzinfo=UTC)
BASE = "https://pim.example"
ENDPOINT = f"{BASE}/pimcore-graphql-webservices/shop"


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


def connector(base: str = BASE, *, key: str = PimcoreSimulator.key, **options: Any) -> Connector:
    given = {"configuration": PimcoreSimulator.configuration, **options}
    connection = Connection("pim", "pimcore", base, credentials={"key": secret(key)}, options=given)
    return Connector(connection, Http(connection))


def pages(pim: Connector, kind: str, since: datetime | None = None) -> Iterator[Page]:
    cursor = ""
    while True:
        page = pim.list_records(kind, since, cursor)
        yield page
        cursor = page.cursor
        if not cursor:
            return


def records(pim: Connector, kind: str = "products", since: datetime | None = None) -> list[Record]:
    return [record for page in pages(pim, kind, since) for record in page.records]


def decoded(pim: Connector, kind: str = "products", since: datetime | None = None) -> list[dict[str, Any]]:
    return [pim.decode_record(kind, record.raw) for record in records(pim, kind, since)]


def skus(pim: Connector, since: datetime | None = None) -> list[str]:
    return sorted(one["sku"] for one in decoded(pim, since=since))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pimcore(clock: Clock) -> Iterator[PimcoreSimulator]:
    with PimcoreSimulator(clock=clock) as started:
        yield started


# products


def test_a_variant_is_read_with_what_it_inherits_its_languages_its_categories_and_its_media(pimcore):
    summer = pimcore.add("Category", name={"en": "Summer"})
    brand = pimcore.add("Brand", name="Acme")
    front, back = pimcore.add_asset("/Shirts/front.jpg", b"1"), pimcore.add_asset("/Shirts/back.jpg", b"2")
    folder = pimcore.add("Folder")
    shirt = pimcore.add(
        parent=folder,
        name={"en": "Shirt", "de": "Hemd"},
        description={"en": "Cotton", "de": None},
        categories=Link("object", (summer, brand)),
        brand=Link("object", (brand,), is_one=True),
        image=Link("asset", (front,), is_one=True),
        gallery=Link("gallery", (front, back)),
        price=19.9,
    )
    red = pimcore.add(parent=shirt, kind="variant", sku="SHIRT-R", color="red", name={"en": "Red shirt"})
    pim = connector(
        pimcore.url,
        languages=["de"],
        category_class="Category",
        attributes={"color": "color", "brand": "brand { ... on object_Brand { name } }", "price": "price"},
        media=["image { id fullpath }", "gallery { image { id fullpath } }"],
    )
    assert decoded(pim) == [
        {
            "sku": "SHIRT-R",
            "product": str(shirt),
            "name": "Red shirt",
            "product_name": "Shirt",
            "description": "Cotton",
            "active": True,
            "attributes": {"color": "red", "brand": {"name": "Acme"}, "price": Decimal("19.9")},
            "categories": [str(summer)],
            "translations": {"de": {"name": "", "description": ""}},
            "media": [f"{front}/Shirts/front.jpg", f"{front}/Shirts/front.jpg", f"{back}/Shirts/back.jpg"],
        }
    ]
    assert [record.source_id for record in records(pim)] == [str(red)]


def test_an_object_alone_is_a_product_of_its_own_sku(pimcore):
    pimcore.add(sku="A", name={"en": "Alone"})
    assert decoded(connector(pimcore.url, description="")) == [
        {
            "sku": "A",
            "product": "A",
            "name": "Alone",
            "product_name": "Alone",
            "description": "",
            "active": True,
            "attributes": {},
            "categories": [],
            "translations": {},
            "media": [],
        }
    ]


def test_the_product_is_the_topmost_object_of_the_class(pimcore):
    top = pimcore.add(name={"en": "Top"})
    middle = pimcore.add(parent=top, name={"en": "Middle"})
    pimcore.add(parent=middle, sku="A")
    (found,) = decoded(connector(pimcore.url))
    assert (found["product"], found["product_name"], found["name"]) == (str(top), "Top", "Middle")


def test_an_unpublished_object_is_inactive_or_not_read(pimcore):
    pimcore.add(sku="A", published=False)
    assert [one["active"] for one in decoded(connector(pimcore.url))] == [False]
    assert decoded(connector(pimcore.url, unpublished=False)) == []
    pimcore.schema["Product"].discard("published")
    with pytest.raises(Rejected, match='Cannot query field "published" on type "object_Product"'):
        records(connector(pimcore.url))
    pimcore.add(sku="B")
    assert [one["active"] for one in decoded(connector(pimcore.url, unpublished=False))] == [True]


def test_an_object_without_a_sku_is_refused_by_the_name_of_the_field(pimcore):
    pimcore.add(name={"en": "No SKU"})
    (record,) = records(connector(pimcore.url))
    with pytest.raises(Unreadable, match=r"fields\.sku: is empty"):
        connector().decode_record("products", record.raw)


@pytest.mark.parametrize("page", [1, 2, 100])
def test_a_delta_is_what_changed_and_all_below_it(pimcore, clock, page):
    alone = pimcore.add(sku="A")
    pimcore.add(sku="B")
    top = pimcore.add()
    middle = pimcore.add(parent=top)
    red = pimcore.add(parent=middle, kind="variant", sku="RED")
    pimcore.add(parent=middle, kind="variant", sku="BLUE")
    pim = connector(pimcore.url, page=page)
    since = clock.advance(hours=1)
    assert skus(pim, since) == []
    pimcore.change(alone, color="green")
    pimcore.change(red, color="deep red")
    assert skus(pim, since) == ["A", "RED"]
    since = clock.advance(hours=1)
    pimcore.change(top, name={"en": "Other"})
    assert skus(pim, since) == ["BLUE", "RED"]


def test_the_second_of_the_watermark_is_asked_for_again(pimcore, clock):
    pimcore.add(sku="A")
    assert skus(connector(pimcore.url), clock.now) == ["A"]
    assert skus(connector(pimcore.url), clock.now + timedelta(seconds=1)) == []


def test_objects_that_are_nested_without_end_are_refused(pimcore, clock):
    below = 0
    for _ in range(8):
        below = pimcore.add(parent=below)
    with pytest.raises(Rejected, match="nested more than 5 deep"):
        connector(pimcore.url, page=1).list_records("products", clock.now, "")


def test_a_record_is_the_same_bytes_while_nothing_of_it_changed(pimcore, clock):
    one = pimcore.add(sku="A", price=0.1)
    pim = connector(pimcore.url, attributes={"price": "price"})
    before = records(pim)
    clock.advance(hours=1)
    pimcore.change(one)
    pimcore.add(sku="B")
    assert records(pim)[:1] == before


def test_columns_may_have_the_prefix_of_older_versions(clock):
    with PimcoreSimulator(clock=clock, prefix="o_") as older:
        older.add(sku="A")
        assert skus(connector(older.url, prefix="o_"), clock.now) == ["A"]
        with pytest.raises(Transient, match="Internal server error"):
            records(connector(older.url))


def test_categories_are_read_with_their_parents(pimcore, clock):
    top = pimcore.add("Category", name={"en": "Summer", "de": "Sommer"})
    below = pimcore.add("Category", parent=top, name={"en": "Shirts"}, published=False)
    pim = connector(pimcore.url, category_class="Category", languages=["de"], page=1)
    found = decoded(pim, "categories")
    assert found == [
        {"code": str(top), "name": "Summer", "parent": None, "active": True, "translations": {"de": {"name": "Sommer", "description": ""}}},
        {
            "code": str(below),
            "name": "Shirts",
            "parent": str(top),
            "active": False,
            "translations": {"de": {"name": "", "description": ""}},
        },
    ]
    since = clock.advance(hours=1)
    pimcore.change(top, name={"en": "Sun"})
    assert [one["name"] for one in decoded(pim, "categories", since)] == ["Sun"]
    with pytest.raises(Rejected, match="no option names its class"):
        records(connector(pimcore.url), "categories")


# changes while it is read

DEEDS = st.lists(
    st.lists(st.tuples(st.sampled_from(["add", "variant", "remove", "change", "hide"]), st.integers(0, 30)), max_size=4), max_size=8
)


@pytest.fixture(scope="module")
def still() -> Iterator[PimcoreSimulator]:
    with PimcoreSimulator() as started:
        yield started


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 12), page=st.integers(1, 5), deeds=DEEDS)
def test_whatever_changes_between_pages_what_was_there_all_the_time_is_read(still, start, page, deeds):
    still.objects.clear()
    always = {still.add(sku=f"P{number}") for number in range(start)}
    seen, left = set(), iter(deeds)
    for read in pages(connector(still.url, page=page), "products"):
        seen |= {int(record.source_id) for record in read.records}
        for deed, number in next(left, ()):
            held = sorted(still.objects)
            mine = held[number % len(held)] if held else 0
            if deed == "add" or not mine:
                still.add(sku="N")
            elif deed == "variant":
                still.add(sku="V", parent=mine, kind="variant")
                always.discard(mine)
            elif deed == "remove":
                still.remove(mine)
                always &= still.objects.keys()
            else:
                still.change(mine, published=deed == "change")
    assert always <= seen


def test_objects_that_may_not_be_read_end_no_listing(pimcore):
    made = [pimcore.add(sku=f"P{number}") for number in range(6)]
    pimcore.hidden = {made[1], made[2]}
    assert skus(connector(pimcore.url, page=3)) == ["P0", "P3", "P4", "P5"]
    with pytest.raises(Rejected, match="a whole page of objects may not be read"):
        records(connector(pimcore.url, page=2))


# one record, one file


def test_one_record_is_asked_for_by_its_id(pimcore):
    one, hidden = pimcore.add(sku="A", published=False), pimcore.add(sku="B")
    pim = connector(pimcore.url, category_class="Category")
    (first, _) = records(pim)
    assert pim.fetch_record("products", str(one)) == first
    pimcore.hidden = {hidden}
    with pytest.raises(Rejected, match="may not be read"):
        pim.fetch_record("products", str(hidden))
    pimcore.add(sku="V", parent=one, kind="variant")
    assert pim.fetch_record("products", str(one)) is None
    pimcore.remove(one)
    assert [pim.fetch_record("products", source_id) for source_id in (str(one), "99", "", "x", "1,2", "²")] == [None] * 6
    with pytest.raises(Rejected, match="no feed"):
        pim.fetch_record("orders", "1")


def test_a_file_is_read_by_its_reference(pimcore):
    number = pimcore.add_asset("/Shirts/front.jpg", b"\xff\xd8picture")
    pim = connector(pimcore.url)
    assert pim.fetch_media(f"{number}/Shirts/front.jpg") == Blob("front.jpg", b"\xff\xd8picture", "image/jpeg")
    for reference in ("99/x.jpg", "/x.jpg", "", "²/x"):
        with pytest.raises(Rejected):
            pim.fetch_media(reference)
    pimcore.assets[number]["data"] = "no base64"
    with pytest.raises(Rejected, match="not in base64"):
        pim.fetch_media(f"{number}/x.jpg")


# refusals


def test_a_wrong_key_and_a_wrong_configuration_are_told_apart(pimcore):
    with pytest.raises(Unauthorized):
        records(connector(pimcore.url, key="wrong"))
    with pytest.raises(Rejected, match="HTTP 404"):
        records(connector(pimcore.url, configuration="other"))
    connection = Connection("pim", "pimcore", pimcore.url)
    with pytest.raises(Unauthorized, match="has no key"):
        Connector(connection, Http(connection)).list_records("products", None, "")
    assert pimcore.asked == []


@pytest.mark.parametrize(
    ("options", "field"), [({"sku": "ean"}, "ean"), ({"attributes": {"a": "size"}}, "size"), ({"class": "Car"}, "getCarListing")]
)
def test_a_query_that_does_not_fit_the_schema_is_said(pimcore, options, field):
    pimcore.add(sku="A")
    with pytest.raises(Rejected, match=f'Cannot query field "{field}"'):
        records(connector(pimcore.url, **options))


def test_a_page_that_failed_is_asked_for_again(pimcore):
    made = {str(pimcore.add(sku=f"P{number}")) for number in range(3)}
    pim = connector(pimcore.url, page=2)
    first = pim.list_records("products", None, "")
    for kind in (FaultKind.RATE_LIMIT, FaultKind.ERROR, FaultKind.RESET_AFTER):
        pimcore.faults.add(Fault(kind, seconds=3))
    with pytest.raises(RateLimited):
        pim.list_records("products", None, first.cursor)
    for _ in range(2):
        with pytest.raises(Transient):
            pim.list_records("products", None, first.cursor)
    rest = pim.list_records("products", None, first.cursor)
    assert {record.source_id for record in (*first.records, *rest.records)} == made


NODE = '{"id":"1","published":true,"n_sku":"A","n_name":"A","n_description":"","parent":{},"children":[]}'


def listing(*nodes: str, total: object = 1) -> str:
    return '{"data":{"listing":{"totalCount":%s,"edges":[%s]}}}' % (json.dumps(total), ",".join(f'{{"node":{node}}}' for node in nodes))  # noqa: UP031


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "7",
        "[]",
        "{}",
        '{"data":null}',
        '{"data":{}}',
        '{"errors":7}',
        '{"errors":[7]}',
        '{"errors":{"message":"no"}}',
        '{"errors":[{"message":"no"}],"data":{"listing":{"totalCount":0,"edges":[]}}}',
        '{"data":{"listing":{"totalCount":0}}}',
        listing(NODE, total="many"),
        listing("7"),
        listing("{}"),
        listing(NODE, NODE),
        listing(NODE.replace('"1"', '"2"'), NODE),
        listing(NODE.replace('"1"', '"0"')),
        listing('{"id":"1"}'),
        listing(NODE.replace("[]", "7")),
        listing(NODE.replace("{}", "7")),
        "[" * 100_000,
    ],
)
def test_an_answer_that_is_no_listing_is_refused(body):
    with responses.RequestsMock() as server:
        server.post(ENDPOINT, body=body)
        with pytest.raises(Rejected):
            connector().list_records("products", None, "")


def test_the_query_is_plain_text_with_variables():
    with responses.RequestsMock() as server:
        server.post(ENDPOINT, body=listing())
        connector(languages=["de"], page=7).list_records("products", NOW, "41")
        sent = json.loads(server.calls[0].request.body)
    assert sent["variables"] == {"first": 7, "filter": json.dumps({"id": {"$gt": "41"}, "modificationDate": {"$gte": "1795348800"}})}
    assert sent["query"] == (
        "query($first: Int, $filter: String, $ids: String) { listing: getProductListing("
        'first: $first, filter: $filter, ids: $ids, published: false, sortBy: "id", sortOrder: "ASC")'
        " { totalCount edges { node { id published n_sku: sku n_name: name n_description: description"
        ' l_0_name: name(language: "de") l_0_description: description(language: "de")'
        " parent { ... on object_Product { id n_name: name parent { ... on object_Product { id n_name: name } } } }"
        ' children(objectTypes: ["object", "variant"]) { ... on object_Product { id } } } } } }'
    )


def test_an_unknown_kind_and_a_foreign_cursor_are_refused():
    with pytest.raises(Rejected, match="no feed 'orders'"):
        connector().list_records("orders", None, "")
    with pytest.raises(Rejected, match="cursor"):
        connector().list_records("products", None, "x")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"class": ""}, "class"),
        ({"sku": "a b"}, "sku"),
        ({"name": "x{"}, "name"),
        ({"page": 0}, "page"),
        ({"prefix": "p_"}, "prefix"),
        ({"languages": ['de")']}, "languages"),
        ({"languages": [7]}, "languages"),
    ],
)
def test_a_wrong_option_is_found_at_once(option, said):
    (line,) = mistakes({"pim": Connection("pim", "pimcore", BASE, credentials={"key": secret("k")}, options=option)})
    assert f"options.{said} must be" in line


@pytest.mark.parametrize(
    ("kind", "raw", "fields"),
    [
        ("products", b"", "not JSON"),
        ("products", b'{"fields":"\xff"}', "not JSON"),
        ("products", b"[]", "expected an object"),
        ("products", b'{"fields":"ada@"}', "fields: expected an object"),
        ("products", b'{"fields":{"sku":["ada@"]}}', r"fields\.sku: expected text"),
        ("products", b'{"fields":{"sku":"A"},"parents":["ada@"]}', "parents: expected objects"),
        (
            "products",
            b'{"fields":{"sku":"A"},"translations":{"de":"ada@"},"attributes":{},"categories":[],"media":[]}',
            r"translations\.de",
        ),
        ("categories", b'{"id":"ada@"}', "id: expected an id"),
    ],
)
def test_what_cannot_be_read_is_named_without_its_value(kind, raw, fields):
    with pytest.raises(Unreadable, match=fields) as caught:
        connector().decode_record(kind, raw)
    assert "ada@" not in str(caught.value)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.text() | st.integers(), st.lists).map(
        lambda x: json.dumps({"id": 1, "fields": {"sku": "A", "name": x}, "parents": x, "media": x}).encode()
    )
)
def test_any_bytes_are_decoded_or_unreadable(raw):
    for kind in ("products", "categories"):
        try:
            assert isinstance(connector().decode_record(kind, raw), dict)
        except Unreadable:
            continue


# the simulator's reader of queries


@pytest.mark.parametrize("text", ["", "query", "{", "{ a(", "{ a: }", "{ a { b }", "{ ... at x { y } }", "{ a ; }"])
def test_what_is_no_query_is_refused(text):
    with pytest.raises(SyntaxFault):
        parsed(text, {})
