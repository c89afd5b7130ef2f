"""The Drupal connector: the official Standard Webhooks library judges its signatures; its writes are held against stubbed HTTP."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import responses
import standardwebhooks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings.canonical import Address, Adjustment, Money, Order, OrderLine, OrderPayment, OrderState, UnitPrice
from middleware.connectors._http import Http
from middleware.connectors.drupal import Connector
from middleware.errors import Refused, Rejected, SignatureRefused, Stale, Transient, Unauthorized, Unreadable
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.testing import secret
from tests.world import order_event

PAYLOADS = Path(__file__).parents[1] / "payloads"
VECTORS = json.loads((PAYLOADS / "vectors" / "standardwebhooks.json").read_text("utf-8"))
NOW = VECTORS["frozen_now_unix"]
AT = datetime.fromtimestamp(NOW, UTC)
BASE = "http://shop.example"
UUID = "b1b93135-bb19-471d-b87d-95dfd5e73ab7"
ORDER = f"{BASE}/jsonapi/commerce_order/default/{UUID}"
KEY = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


def connector(*secrets: str, **options: Any) -> Connector:
    connection = Connection(
        "shop",
        "drupal",
        BASE,
        tuple(secret(value) for value in secrets),
        {"password": secret("svc-password")},
        {"username": "svc", **options},
    )
    return Connector(connection, Http(connection))


def judge(headers: dict[str, str], body: bytes, *secrets: str) -> bool:
    try:
        connector(*secrets).read(Inbound(headers, body, "", AT))
    except Refused:
        return False
    return True


def names(message: str, at: object, signature: str) -> dict[str, str]:
    return {"webhook-id": message, "webhook-timestamp": str(at), "webhook-signature": signature}


class _Clock(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return AT


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The official library with its clock at `NOW`: (headers, body, secret) → accepted, refused, or None where it crashes."""
    monkeypatch.setattr("standardwebhooks.webhooks.datetime", _Clock)

    def accepts(headers: dict[str, str], body: str, key: str) -> bool | None:
        try:
            standardwebhooks.Webhook(key).verify(body, headers, json_parse=False)
        except standardwebhooks.WebhookVerificationError:
            return False
        except (ValueError, binascii.Error):
            return None
        return True

    return accepts


# signatures


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_every_vector_is_judged_as_expected(vector: dict[str, Any]) -> None:
    verdict = judge(vector["headers"], vector["body"].encode(), vector["secret"])
    assert verdict is (vector["expected"] != "invalid")


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=200)
KEYS = st.binary(min_size=1, max_size=40).map(lambda raw: "whsec_" + base64.b64encode(raw).decode()) | st.binary(
    min_size=1, max_size=40
).map(lambda raw: "whsec_" + base64.b64encode(raw).decode().rstrip("="))
TIMES = st.sampled_from([NOW, NOW - 299, NOW - 300, NOW - 301, NOW + 299, NOW + 300, NOW + 301, 0]) | st.integers(0, 10**10)
ITEMS = st.sampled_from(["v1,", "v1,AAAA", "v1a,AAAA", "v2,AAAA", "v1a,", "garbage", "", "v1,a,b"])
IDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20).map(lambda text: f"msg_{text}")


@given(body=TEXT, key=KEYS, other=KEYS, at=TIMES, message=IDS, extra=st.lists(ITEMS, max_size=2), data=st.data())
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_library_and_we_give_the_same_verdict(
    library: Any, body: str, key: str, other: str, at: int, message: str, extra: list[str], data: st.DataObject
) -> None:
    good = standardwebhooks.Webhook(key).sign(message, datetime.fromtimestamp(at, UTC), body)
    signature = data.draw(st.sampled_from([good, good, good, good.replace("v1", "v1a"), good[:-4] + "AAA=", good.swapcase()]))
    headers = names(
        data.draw(st.sampled_from([message, message, message, "msg_x", ""])),
        data.draw(st.sampled_from([at, at, at, at + 1, f"{at}.5", "", "soon", f"-{at}"])),
        " ".join(data.draw(st.permutations([signature, *extra]))),
    )
    posted = body + data.draw(st.sampled_from(["", "", "", " "]))
    used = data.draw(st.sampled_from([key, key, key, other]))
    theirs, ours = library(headers, posted, used), judge(headers, posted.encode(), used)
    if theirs is None:
        return  # it crashes on an element without exactly one comma or with broken base64; ours skips that, as the Node library does
    if not headers["webhook-timestamp"].isdigit():
        assert theirs or not ours, "stricter is allowed (whole seconds only), looser never"
    else:
        assert ours == theirs


def test_an_element_that_crashes_the_library_is_skipped() -> None:
    good = standardwebhooks.Webhook(KEY).sign("msg_1", AT, "{}")
    assert judge(names("msg_1", NOW, f"garbage v1,é {good}"), b"{}", KEY)
    assert not judge(names("msg_1", NOW, "garbage v1,é"), b"{}", KEY)


@pytest.mark.parametrize("empty", ["", "whsec_", "whsec_===="])
def test_an_empty_secret_is_no_secret(empty: str) -> None:
    with pytest.raises(ValueError, match=r"empty|expected whsec_"):
        connector(empty)


def test_while_a_secret_is_rotated_either_verifies_and_the_delivery_says_which() -> None:
    body = order_event(UUID)
    headers = names("msg_1", NOW, standardwebhooks.Webhook(KEY).sign("msg_1", AT, body.decode()))
    found = connector("whsec_b2xk", KEY).read(Inbound(headers, body, "", AT))
    assert found == (Delivery("msg_1", "order.placed", UUID, body, datetime(2026, 11, 22, 1, tzinfo=UTC), secret=1),)


@pytest.mark.parametrize(("age", "error"), [(301, Stale), (-301, Stale), (300, None), (-300, None)])
def test_a_delivery_is_fresh_for_five_minutes_both_ways(age: int, error: type[Refused] | None) -> None:
    at = datetime.fromtimestamp(NOW - age, UTC)
    request = Inbound(names("msg_1", NOW - age, standardwebhooks.Webhook(KEY).sign("msg_1", at, "{}")), b"{}", "", AT)
    if error:
        with pytest.raises(error):
            connector(KEY).read(request)
    else:
        assert len(connector(KEY).read(request)) == 1


def test_a_missing_header_is_said() -> None:
    with pytest.raises(SignatureRefused, match="missing or malformed"):
        connector(KEY).read(Inbound({}, b"{}", "", AT))


# translation


def test_a_whole_order_is_translated() -> None:
    raw = json.loads(order_event(UUID, number="1001", payment="pi_1", internal="7"))
    raw["data"]["order"]["adjustments"] = [
        {"type": "shipping", "label": "Parcel", "amount": {"number": "4.90", "currency_code": "EUR"}, "included": False}
    ]
    price = Money(4470, "EUR")
    assert connector(KEY).translate("order.placed", json.dumps(raw).encode()) == Order(
        order_id=UUID,
        internal_id="7",
        number="1001",
        version=1,
        state=OrderState.PLACED,
        store_ref="1",
        total=price,
        changed_at=datetime(2026, 11, 22, 1, tzinfo=UTC),
        placed_at=datetime(2026, 11, 22, 1, tzinfo=UTC),
        mail="ada@example.test",
        language="en",
        lines=(OrderLine(f"{UUID}-1", "TS-RED-M", "T-Shirt", Decimal("1.00"), UnitPrice(Decimal("44.70"), "EUR"), price),),
        adjustments=(Adjustment("shipping", "Parcel", Money(490, "EUR")),),
        billing=Address(given_name="Ada", family_name="Example", line1="Main St 1", postal_code="10115", locality="Berlin", country="DE"),
        payments=(OrderPayment(f"{UUID}-p", "stripe", "pi_1", "pending", price),),
    )


@pytest.mark.parametrize(
    ("word", "states", "expected"),
    [
        ("draft", {}, OrderState.DRAFT),
        ("validation", {}, OrderState.PLACED),
        ("fulfillment", {}, OrderState.PLACED),
        ("completed", {}, OrderState.COMPLETED),
        ("canceled", {}, OrderState.CANCELLED),
        ("picking", {}, OrderState.UNKNOWN),
        ("picking", {"picking": "placed"}, OrderState.PLACED),
    ],
)
def test_states_are_translated_and_a_sites_own_word_is_unknown_until_it_is_configured(
    word: str, states: dict[str, str], expected: OrderState
) -> None:
    assert connector(KEY, states=states).translate("order.updated", order_event(UUID, state=word)).state is expected


def test_a_price_finer_than_its_currency_names_the_field_and_no_value() -> None:
    with pytest.raises(Unreadable) as found:
        connector(KEY).translate("order.placed", order_event(UUID, total="44.705"))
    assert "data.order.total_price: finer than the currency's minor unit" in str(found.value)
    assert "44.705" not in str(found.value)


# writing back


@pytest.fixture
def shop() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def tell(status: str = "confirmed", number: str = "SO7") -> Effect:
    return Effect("k", "write_order_status", f"order/{UUID}", {"order_id": UUID, "erp_number": number, "status": status})


def shows(shop: responses.RequestsMock, **attributes: Any) -> None:
    shown = {"field_waybill_erp_number": None, "field_waybill_erp_status": None, "state": "fulfillment", **attributes}
    shop.get(ORDER, json={"data": {"type": "commerce_order--default", "id": UUID, "attributes": shown}})


def patched(shop: responses.RequestsMock) -> dict[str, Any]:
    request = shop.calls[-1].request
    assert (request.method, request.headers["Content-Type"]) == ("PATCH", "application/vnd.api+json")
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"svc:svc-password").decode()
    return json.loads(request.body)


def test_number_and_status_are_written(shop: responses.RequestsMock) -> None:
    shows(shop)
    shop.patch(ORDER, json={"data": {}})
    assert connector(KEY).write_order_status(tell()) == Receipt(UUID, state="field_waybill_erp_number, field_waybill_erp_status")
    attributes = {"field_waybill_erp_number": "SO7", "field_waybill_erp_status": "confirmed"}
    assert patched(shop) == {"data": {"type": "commerce_order--default", "id": UUID, "attributes": attributes}}


def test_only_what_differs_is_written(shop: responses.RequestsMock) -> None:
    shows(shop, field_waybill_erp_number="SO7", field_waybill_erp_status="draft")
    shop.patch(ORDER, json={"data": {}})
    connector(KEY, state_on={"shipped": "completed"}).write_order_status(tell("shipped"))
    assert patched(shop)["data"]["attributes"] == {"field_waybill_erp_status": "shipped", "state": "completed"}


def test_what_is_there_already_is_not_written(shop: responses.RequestsMock) -> None:
    shows(shop, field_waybill_erp_number="SO7", field_waybill_erp_status="confirmed")
    assert connector(KEY).write_order_status(tell()) == Receipt(UUID, state="unchanged")
    assert [call.request.method for call in shop.calls] == ["GET"]


def recorded(name: str) -> dict[str, Any]:
    """A real site's answer."""
    return json.loads((PAYLOADS / "golden" / f"{name}.json").read_text("utf-8"))["response_body"]


def refusal(status: int, pointer: str) -> dict[str, Any]:
    return {"errors": [{"title": "Unprocessable Content", "status": str(status), "source": {"pointer": pointer}}]}


@pytest.mark.parametrize(
    ("status", "body", "error", "field"),
    [
        (422, recorded("130-error-422-concurrent-modification"), Transient, ""),
        (422, refusal(422, "/data/attributes/state"), Rejected, "/data/attributes/state"),
        (403, refusal(403, "/data"), Unauthorized, ""),
        (401, refusal(401, "/data"), Unauthorized, ""),
        (404, refusal(404, ""), Rejected, ""),
        (500, {}, Transient, ""),
    ],
)
def test_a_refusal_is_told_apart(
    shop: responses.RequestsMock, status: int, body: dict[str, Any], error: type[Exception], field: str
) -> None:
    shows(shop)
    shop.patch(ORDER, json=body, status=status)
    with pytest.raises(error) as found:
        connector(KEY).write_order_status(tell())
    assert type(found.value) is error
    assert found.value.field == field
