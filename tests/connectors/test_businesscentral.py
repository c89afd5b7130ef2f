"""The Business Central connector against its simulator over real HTTP."""

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
from middleware.connectors.businesscentral import Connector
from middleware.errors import RateLimited, Rejected, SignatureRefused, Transient, Unauthorized, Unreadable
from middleware.ports import Delivery, Inbound, Page, Record
from middleware.settings import Connection
from middleware.simulators.businesscentral import COMPANY, LISTS, BusinessCentralSimulator
from middleware.simulators.faults import Fault, FaultKind
from middleware.testing import secret

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BASE = "https://bc.example/v2.0/production"
ITEMS = f"{BASE}/api/v2.0/companies({COMPANY})/items"
TOKEN = "https://login.example/acme/oauth2/v2.0/token"
PRICES = "api/acme/shop/v1.0/companies({company})/priceListLines"
STOCK = "api/acme/shop/v1.0/companies({company})/stockLines"


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


def connector(
    base: str = BASE, *, token_url: str = TOKEN, client: str = "client-secret", secrets: tuple[str, ...] = (), **options: Any
) -> Connector:
    given = {"client_id": "client-id", "tenant": "acme", "token_url": token_url, "company": COMPANY, "currency": "EUR", **options}
    connection = Connection(
        "erp",
        "businesscentral",
        base,
        secrets=tuple(secret(one) for one in secrets),
        credentials={"client_secret": secret(client)},
        options=given,
    )
    return Connector(connection, Http(connection))


def reader(bc: BusinessCentralSimulator, **options: Any) -> Connector:
    return connector(bc.base, **{"token_url": f"{bc.url}/{{tenant}}/oauth2/v2.0/token", **options})


def pages(erp: Connector, kind: str, since: datetime | None = None) -> Iterator[Page]:
    cursor = ""
    while True:
        page = erp.list_records(kind, since, cursor)
        yield page
        cursor = page.cursor
        if not cursor:
            return


def records(erp: Connector, kind: str, since: datetime | None = None) -> list[Record]:
    return [record for page in pages(erp, kind, since) for record in page.records]


def decoded(erp: Connector, kind: str, since: datetime | None = None) -> dict[str, Any]:
    found = [erp.decode_record(kind, record.raw) for record in records(erp, kind, since)]
    return {one["sku"]: one for one in found}


def skus(erp: Connector, kind: str, since: datetime | None = None) -> list[str]:
    return sorted(decoded(erp, kind, since))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bc(clock: Clock) -> Iterator[BusinessCentralSimulator]:
    with BusinessCentralSimulator(clock=clock) as started:
        yield started


# products


def test_an_item_and_the_variants_of_another_are_products(bc):
    bc.add_item("1896-S", displayName="ATHENS Desk", gtin="4006381333931", itemCategoryCode="TABLE")
    shirt = bc.add_item("SHIRT", displayName="Shirt", blocked=True)
    bc.add_variant(shirt, "RED", "Red shirt")
    bc.add_variant(shirt, "BLUE")
    common = {"unit": "PCS", "product": "SHIRT", "product_name": "Shirt", "barcode": "", "active": False, "categories": []}
    assert decoded(reader(bc), "products") == {
        "1896-S": {
            "sku": "1896-S",
            "product": "1896-S",
            "name": "ATHENS Desk",
            "product_name": "ATHENS Desk",
            "barcode": "4006381333931",
            "unit": "PCS",
            "active": True,
            "attributes": {},
            "categories": ["TABLE"],
        },
        "SHIRT-BLUE": {"sku": "SHIRT-BLUE", "name": "Shirt", "attributes": {"variant": "BLUE"}, **common},
        "SHIRT-RED": {"sku": "SHIRT-RED", "name": "Red shirt", "attributes": {"variant": "RED"}, **common},
    }
    assert skus(reader(bc, variant_sku="{variant}/{item}"), "products") == ["1896-S", "BLUE/SHIRT", "RED/SHIRT"]


@pytest.mark.parametrize("page", [1, 2, 100])
def test_a_delta_of_products_has_items_that_changed_and_those_whose_variants_did(bc, clock, page):
    plain, shirt, other = bc.add_item("A"), bc.add_item("SHIRT"), bc.add_item("B")
    red = bc.add_variant(shirt, "RED")
    erp = reader(bc, page=page)
    since = clock.advance(hours=1)
    assert skus(erp, "products", since) == []
    bc.put("items", plain, displayName="Other")
    bc.put("itemVariants", red, description="Deep red")
    bc.add_variant(other, "X")
    assert skus(erp, "products", since) == ["A", "B-X", "SHIRT-RED"]
    assert skus(reader(bc, variant_changes=False), "products", since) == ["A"]


def test_the_moment_of_the_watermark_is_asked_for_again(bc, clock):
    bc.add_item("A")
    assert skus(reader(bc), "products", clock.now) == ["A"]
    assert skus(reader(bc), "products", clock.now + timedelta(milliseconds=1)) == []


def test_a_record_is_the_same_bytes_while_nothing_of_it_changed(bc, clock):
    item = bc.add_item("A")
    bc.post_entry("A", 3)
    bc.put("priceListLines", assetNumber="A", priceListCode="L1", unitPrice=9.5)
    bc.put("stockLines", itemNumber="A", variantCode="", locationCode="EAST", quantity=3)
    erp = reader(bc, price_lines=PRICES, stock_lines=STOCK)
    before = {kind: records(erp, kind) for kind in ("products", "prices", "stock")}
    clock.advance(hours=1)
    for name in LISTS:
        for id in list(bc.lists[name]):
            bc.put(name, id)
    assert {kind: records(erp, kind) for kind in before} == before
    assert [record.source_id for record in before["products"]] == [item]


# prices


def price(amount: str, **differs: Any) -> dict[str, Any]:
    common = {
        "list": "",
        "group": "",
        "currency": "EUR",
        "min_quantity": Decimal(1),
        "valid_from": None,
        "valid_to": None,
        "tax_included": None,
    }
    return {**common, "amount": Decimal(amount), **differs}


def test_the_items_own_price_is_the_base_price(bc):
    bc.add_item("A", price=19.99, priceIncludesTax=True)
    assert decoded(reader(bc), "prices") == {"A": {"sku": "A", "prices": [price("19.99", tax_included=True)]}}


def test_the_lines_of_a_custom_page_are_tiers_groups_and_windows(bc):
    shirt, lines = bc.add_item("SHIRT", price=20.0), []
    bc.add_variant(shirt, "RED")
    bc.add_variant(shirt, "BLUE")
    bc.add_item("O'NEILL", price=5.0)
    common = {"assetNumber": "SHIRT", "priceListCode": "L1", "sourceType": "All_x0020_Customers", "status": "Active", "unitPrice": 18.5}
    lines += [
        {"minimumQuantity": 10, "startingDate": "0001-01-01", "endingDate": "2026-12-31", "currencyCode": ""},
        {"minimumQuantity": 10, "variantCode": "RED", "endingDate": "2026-12-31", "unitPrice": 17.0},
        {"sourceType": "Customer_x0020_Price_x0020_Group", "sourceNumber": "TRADE", "currencyCode": "USD", "priceIncludesVAT": False},
        {"sourceType": "Customer", "sourceNumber": "10000", "unitPrice": 15.0},
        {"status": "Draft"},
        {"amountType": "Discount", "unitPrice": 0},
        {"priceType": "Purchase"},
        {"assetType": "Resource"},
        {"unitOfMeasureCode": "BOX"},
        {"assetNumber": "O'NEILL", "unitPrice": 4.0, "priceListCode": ""},
    ]
    for line in lines:
        bc.put("priceListLines", **{**common, **line})
    found = decoded(reader(bc, price_lines=PRICES), "prices")
    group = price("18.5", list="L1", group="TRADE", currency="USD", tax_included=False)
    one = price("15", list="L1", group="Customer/10000")
    tier = {"list": "L1", "min_quantity": Decimal(10), "valid_to": "2026-12-31"}

    def ordered(sku: str) -> list[dict[str, Any]]:
        return sorted(found[sku]["prices"], key=lambda price: (-price["amount"], price["min_quantity"]))

    assert ordered("SHIRT-RED") == [price("20", tax_included=False), group, price("17", **tier), one]
    assert ordered("SHIRT-BLUE") == [price("20", tax_included=False), group, price("18.5", **tier), one]
    assert ordered("O'NEILL") == [price("5", tax_included=False), price("4")]


def test_the_fields_of_the_custom_page_may_be_named_otherwise(bc):
    bc.add_item("A")
    bc.put("priceListLines", productNo="A", price=9.0, code="L1")
    erp = reader(bc, price_lines=PRICES, price_fields={"item": "productNo", "amount": "price", "list": "code"})
    assert decoded(erp, "prices")["A"]["prices"][1] == price("9", list="L1")


@pytest.mark.parametrize("page", [1, 100])
def test_a_delta_of_prices_has_items_whose_lines_changed(bc, clock, page):
    bc.add_item("A"), bc.add_item("B"), bc.add_item("C")
    line = bc.put("priceListLines", assetNumber="B", unitPrice=9.0)
    erp = reader(bc, price_lines=PRICES, page=page)
    since = clock.advance(hours=1)
    assert skus(erp, "prices", since) == []
    bc.put("priceListLines", line, unitPrice=8.0)
    bc.put("priceListLines", assetNumber="C", unitPrice=8.0)
    assert skus(erp, "prices", since) == ["B", "C"]
    assert skus(reader(bc), "prices", since) == []


def test_more_items_than_one_filter_names_are_all_looked_up(bc):
    for number in range(95):
        bc.add_item(f"N{number:03}")
        bc.put("priceListLines", assetNumber=f"N{number:03}", unitPrice=1.0)
    found = decoded(reader(bc, price_lines=PRICES), "prices")
    assert len(found) == 95
    assert {len(one["prices"]) for one in found.values()} == {2}


def test_prices_without_a_currency_are_refused(bc):
    bc.add_item("A")
    (record,) = records(reader(bc), "prices")
    with pytest.raises(Unreadable, match=r"options\.currency: is missing"):
        connector(currency="").decode_record("prices", record.raw)


# stock


def test_the_stock_of_an_item_is_its_inventory_and_a_service_has_none(bc):
    bc.add_item("A")
    bc.add_item("REPAIR", type="Service")
    bc.post_entry("A", 7)
    bc.post_entry("A", -2.5)
    assert decoded(reader(bc), "stock") == {"A": {"sku": "A", "on_hand": Decimal("4.5"), "available": Decimal("4.5"), "locations": {}}}


@pytest.mark.parametrize("page", [1, 100])
def test_a_delta_of_stock_has_what_moved_though_the_item_did_not_change(bc, clock, page):
    for number in ("A", "B", "C"):
        bc.add_item(number)
        bc.post_entry(number, 5)
    erp = reader(bc, page=page)
    since = clock.advance(hours=1)
    assert skus(erp, "stock", since) == []
    bc.post_entry("A", -5)
    bc.post_entry("C", 1)
    bc.post_entry("C", 1)
    assert {sku: one["on_hand"] for sku, one in decoded(erp, "stock", since).items()} == {"A": 0, "C": 7}


def test_the_stock_of_variants_is_only_told_by_a_page_that_has_it(bc):
    shirt = bc.add_item("SHIRT")
    bc.add_variant(shirt, "RED")
    bc.add_variant(shirt, "BLUE")
    bc.post_entry("SHIRT", 9)
    first, *_ = records(reader(bc), "stock")
    with pytest.raises(Unreadable, match="inventory: is that of all variants together"):
        connector().decode_record("stock", first.raw)
    for variant, place, quantity, free in (("RED", "EAST", 4, 3), ("RED", "WEST", 1, 1), ("RED", "WEST", 2, 0), ("BLUE", "EAST", 2, 2)):
        bc.put("stockLines", itemNumber="SHIRT", variantCode=variant, locationCode=place, quantity=quantity, free=free)
    assert decoded(reader(bc, stock_lines=STOCK, stock_fields={"available": "free"}), "stock") == {
        "SHIRT-BLUE": {"sku": "SHIRT-BLUE", "on_hand": 2, "available": 2, "locations": {"EAST": {"on_hand": 2, "available": 2}}},
        "SHIRT-RED": {
            "sku": "SHIRT-RED",
            "on_hand": 7,
            "available": 4,
            "locations": {"EAST": {"on_hand": 4, "available": 3}, "WEST": {"on_hand": 3, "available": 1}},
        },
    }


def test_categories_are_read_too(bc, clock):
    bc.put("itemCategories", code="CHAIR", displayName="Chairs")
    bc.put("itemCategories", code="TABLE", displayName="Tables")
    erp = reader(bc, page=1)
    found = [erp.decode_record("categories", record.raw) for record in records(erp, "categories")]
    assert found == [{"code": "CHAIR", "name": "Chairs"}, {"code": "TABLE", "name": "Tables"}]
    first, second = records(erp, "categories")
    assert erp.fetch_record("categories", first.source_id) == first
    bc.remove("itemCategories", second.source_id)
    assert erp.fetch_record("categories", second.source_id) is None
    since = clock.advance(hours=1)
    assert records(erp, "categories", since) == []


# changes while it is read

DEEDS = st.lists(st.lists(st.tuples(st.sampled_from(["add", "remove", "change"]), st.integers(0, 30)), max_size=4), max_size=8)


@pytest.fixture(scope="module")
def still() -> Iterator[BusinessCentralSimulator]:
    with BusinessCentralSimulator() as started:
        yield started


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.sets(st.integers(0, 30), max_size=12), page=st.integers(1, 5), deeds=DEEDS)
def test_whatever_changes_between_pages_what_was_there_all_the_time_is_read(still, start, page, deeds):
    items = still.lists["items"]
    items.clear()
    always = {still.add_item(f"N{number:02}") for number in start}
    seen, left = set(), iter(deeds)
    try:
        for read in pages(reader(still, page=page), "products"):
            seen |= {record.source_id for record in read.records}
            for deed, number in next(left, ()):
                held = sorted(items, key=lambda id: items[id]["number"])
                if deed == "add" or not held:
                    still.add_item(f"N{number:02}B")
                elif deed == "remove":
                    always.discard(held[number % len(held)])
                    still.remove("items", held[number % len(held)])
                else:
                    still.put("items", held[number % len(held)], displayName="Other")
    except Rejected as error:
        assert "skip token" in error.reason  # the run begins anew
        return
    assert always <= seen


# one record


def test_one_record_is_asked_for_by_its_id(bc):
    plain, shirt = bc.add_item("A"), bc.add_item("SHIRT")
    red = bc.add_variant(shirt, "RED")
    bc.add_variant(shirt, "BLUE")
    erp = reader(bc)
    for kind in ("products", "prices", "stock"):
        for record in records(erp, kind):
            assert erp.fetch_record(kind, record.source_id) == record
    bc.remove("itemVariants", red)
    bc.remove("items", plain)
    gone = (plain, f"{shirt}/{red}", shirt, "", "x", "1)/customers(2")
    assert [erp.fetch_record("products", source_id) for source_id in gone] == [None] * 6
    with pytest.raises(Rejected, match="no feed"):
        erp.fetch_record("orders", plain)


def test_a_company_that_is_not_found_denies_no_item(bc):
    item = bc.add_item("A")
    erp = reader(bc, company="00000000-0000-0000-0000-000000000001")
    with pytest.raises(Rejected, match="HTTP 404: Internal_CompanyNotFound"):
        erp.fetch_record("products", item)
    with pytest.raises(Rejected, match="HTTP 404: Internal_CompanyNotFound"):
        erp.list_records("products", None, "")
    with pytest.raises(Rejected, match=r"options\.company"):
        reader(bc, company="CRONUS").list_records("products", None, "")


# requests


def test_a_token_is_kept_until_it_is_refused(bc):
    bc.add_item("A")
    erp = reader(bc)
    records(erp, "products")
    records(erp, "products")
    assert bc.tokens_given == 1
    bc.end_tokens()
    assert skus(erp, "products") == ["A"]
    assert bc.tokens_given == 2


def test_wrong_credentials_are_told_apart(bc):
    with pytest.raises(Unauthorized):
        reader(bc, client="wrong").list_records("products", None, "")
    with pytest.raises(Unauthorized, match="no client_id or no client_secret"):
        reader(bc, client_id="").list_records("products", None, "")
    assert bc.asked == []


@pytest.mark.parametrize(
    "answer",
    [{"json": {"error": "invalid_scope", "error_description": "x"}, "status": 400}, {"json": {"token_type": "Bearer"}}, {"body": "<html>"}],
)
def test_no_token_is_a_matter_of_the_credentials(answer):
    with responses.RequestsMock() as server:
        server.post(TOKEN, **answer)
        with pytest.raises(Unauthorized, match="no token is given"):
            connector().list_records("products", None, "")


def test_a_page_that_failed_is_asked_for_again(bc):
    made = {bc.add_item(f"N{number}") for number in range(3)}
    erp = reader(bc, page=2)
    first = erp.list_records("products", None, "")
    bc.faults.add(Fault(FaultKind.RATE_LIMIT, path=".*items", seconds=7))
    bc.faults.add(Fault(FaultKind.ERROR, path=".*items"))
    with pytest.raises(RateLimited) as caught:
        erp.list_records("products", None, first.cursor)
    assert caught.value.retry_after == 7
    with pytest.raises(Transient):
        erp.list_records("products", None, first.cursor)
    rest = erp.list_records("products", None, first.cursor)
    assert {record.source_id for record in (*first.records, *rest.records)} == made


def test_a_feed_that_meets_the_limit_goes_on_where_it_was(clock):
    with BusinessCentralSimulator(clock=clock, rate=3) as slow:
        made = {slow.add_item(f"N{number}") for number in range(5)}
        erp, seen, cursor, waits = reader(slow, page=1), set(), "", []
        while True:
            try:
                page = erp.list_records("products", None, cursor)
            except RateLimited as error:
                waits.append(error.retry_after)
                clock.advance(seconds=error.retry_after)
                continue
            seen |= {record.source_id for record in page.records}
            cursor = page.cursor
            if not cursor:
                break
    assert (seen, waits) == (made, [300.0])


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post(TOKEN, json={"access_token": "t", "expires_in": 3600})
        yield mock


@pytest.mark.parametrize(
    ("status", "error"), [(403, Unauthorized), (400, Rejected), (408, Transient), (413, Rejected), (503, Transient), (504, Transient)]
)
def test_a_refusal_is_told_apart(server, status, error):
    server.get(ITEMS, json={"error": {"code": "Unknown", "message": "No."}}, status=status)
    with pytest.raises(error) as caught:
        connector().list_records("products", None, "")
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"7",
        b'{"value":7}',
        b'{"value":[7]}',
        b'{"value":[{"id":"x"}]}',
        b'{"value":[{"id":"x","itemVariants":[{"code":"A"}]}]}',
        b'{"value":[{"id":"x","itemVariants":7}]}',
    ],
)
def test_a_page_that_is_none_is_refused(server, body):
    server.get(ITEMS, body=body)
    with pytest.raises(Rejected, match=r"no list of records|not of the expected form"):
        connector().list_records("products", None, "")


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/users?$skiptoken=1",
        f"{ITEMS}?$skip=100",
        f"{ITEMS}?$skip=100&$skiptoken=1",
        f"{ITEMS}?x=1",
        "https://[x/items?$skiptoken=1",
        "7",
        7,
    ],
)
def test_a_link_that_leads_elsewhere_or_counts_is_refused(server, link):
    server.get(ITEMS, json={"value": [], "@odata.nextLink": link})
    with pytest.raises(Rejected, match="leads elsewhere"):
        connector().list_records("products", None, "")


def test_a_link_is_followed_at_our_own_address_only(server):
    server.get(ITEMS, json={"value": [], "@odata.nextLink": "https://evil.example/x/items?aid=FIN&$skiptoken=1"})
    erp = connector()
    page = erp.list_records("products", None, "")
    server.replace(responses.GET, ITEMS, json={"value": []})
    assert erp.list_records("products", None, page.cursor) == Page(())
    assert server.calls[-1].request.url == f"{ITEMS}?aid=FIN&$skiptoken=1"


def test_a_link_to_the_page_itself_is_refused(server):
    server.get(ITEMS, json={"value": [], "@odata.nextLink": f"{ITEMS}?aid=FIN&$skiptoken=1"})
    erp = connector()
    page = erp.list_records("products", None, "")
    with pytest.raises(Rejected, match="to the page itself"):
        erp.list_records("products", None, page.cursor)


def test_an_unknown_kind_and_a_foreign_cursor_are_refused():
    with pytest.raises(Rejected, match="no feed 'orders'"):
        connector().list_records("orders", None, "")
    for cursor in ("7", '{"step":5}'):
        with pytest.raises(Rejected, match="cursor"):
            connector().list_records("products", None, cursor)


@pytest.mark.parametrize(
    ("option", "said"), [({"page": 0}, "page must be"), ({"page": 20_001}, "page must be"), ({"variant_sku": "{item}"}, "variant_sku must")]
)
def test_a_wrong_option_is_found_at_once(option, said):
    connection = Connection("erp", "businesscentral", BASE, credentials={"client_secret": secret("k")}, options=option)
    (line,) = mistakes({"erp": connection})
    assert f"options.{said}" in line


@pytest.mark.parametrize(
    ("kind", "raw", "fields"),
    [
        ("products", b"", "not JSON"),
        ("products", b'{"item":"\xff"}', "not JSON"),
        ("products", b"[]", "expected an object"),
        ("products", b'{"item":{"number":"A","blocked":"ada@"}}', "item.blocked: .*item.displayName|item.displayName: .*item.blocked"),
        (
            "products",
            b'{"item":{"number":"A","blocked":false,"displayName":"A"},"variant":{"description":"ada@"}}',
            "variant.code: Missing",
        ),
        ("prices", b'{"item":{"number":"A","unitPrice":"ada@"}}', "item.unitPrice"),
        ("prices", b'{"item":{"number":"A","unitPrice":1},"lines":[{"amount":1,"valid_from":"ada@"}]}', "lines.valid_from"),
        ("stock", b'{"item":{"number":"A","inventory":1},"lines":"ada@"}', "lines: expected a list"),
        ("categories", b'{"displayName":"ada@"}', "code: expected a code"),
    ],
)
def test_what_cannot_be_read_is_named_without_its_value(kind, raw, fields):
    with pytest.raises(Unreadable, match=fields) as caught:
        connector().decode_record(kind, raw)
    assert "ada@" not in str(caught.value)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.text() | st.integers(), st.lists).map(
        lambda x: json.dumps({"item": x, "lines": x}).encode()
    )
)
def test_any_bytes_are_decoded_or_unreadable(raw):
    for kind in ("products", "prices", "stock", "categories"):
        try:
            assert isinstance(connector().decode_record(kind, raw), dict)
        except Unreadable:
            continue


# webhooks


def notification(state: object = "s1", **differs: Any) -> dict[str, Any]:
    told = {"subscriptionId": "items", "resource": f"api/v2.0/companies({COMPANY})/items(x)", "changeType": "updated"}
    return {**told, "clientState": state, "lastModifiedDateTime": "2026-11-22T12:00:00.123Z", **differs}


def inbound(*notifications: Any) -> Inbound:
    return Inbound({}, json.dumps({"value": notifications}).encode(), "", NOW)


def test_every_notification_is_a_hint_and_the_same_one_twice_is_one_event():
    erp = connector(secrets=("s0", "s1"))
    first, second = erp.read(inbound(notification(), notification(changeType="collection", lastModifiedDateTime="")))
    assert first == Delivery(
        first.delivery_id,
        "resource.updated",
        f"api/v2.0/companies({COMPANY})/items(x)",
        json.dumps({"resource": f"api/v2.0/companies({COMPANY})/items(x)", "changeType": "updated"}, separators=(",", ":")).encode(),
        hint=True,
        secret=1,
    )
    assert (second.delivery_id, second.topic) == ("", "resource.collection")
    assert erp.read(inbound(notification())) == (first,)
    assert erp.read(inbound(notification(lastModifiedDateTime="2026-11-22T12:00:01Z")))[0].delivery_id != first.delivery_id


@pytest.mark.parametrize(
    "request_",
    [
        inbound(),
        inbound(notification("other")),
        inbound(notification(), notification("")),
        inbound(notification(7)),
        inbound(7),
        Inbound({}, b"\xff", "", NOW),
    ],
)
@pytest.mark.parametrize("secrets", [(), ("",), ("s1",)])
def test_a_notification_without_the_secret_is_refused(request_, secrets):
    with pytest.raises(SignatureRefused):
        connector(secrets=secrets).read(request_)
