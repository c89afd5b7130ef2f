"""The Drupal connector: the official Standard Webhooks library judges its signatures; its writes are held against stubbed HTTP."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import responses
import standardwebhooks
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import HMAC_SHA256
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings.canonical import (
    Address,
    Adjustment,
    Money,
    Order,
    OrderLine,
    OrderPayment,
    OrderState,
    Ping,
    Shipment,
    Signal,
    UnitPrice,
)
from middleware.connectors._http import Http
from middleware.connectors.drupal import Connector
from middleware.errors import CallError, OnHold, Refused, Rejected, SignatureRefused, Stale, Transient, Unauthorized, Unreadable
from middleware.ports import Delivery, Effect, Inbound, Receipt
from middleware.settings import Connection
from middleware.testing import secret
from tests.world import order_event

PAYLOADS = Path(__file__).parents[1] / "payloads"
CONTRACTS = Path(__file__).parents[2] / "docs" / "contracts" / "events"
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
        {"username": "svc", "module": "never", **options},
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


# with the module


STATUS = {"api": "1.0", "capabilities": ["outbox", "links", "signatures", "orders"], "drupal": "10.6.15", "modules": {}, "time": NOW}
ROUTE = f"{BASE}/waybill/v1/orders/{UUID}"


def with_module(**options: Any) -> Connector:
    credentials = {"signing_key": secret(KEY)}
    given = {"key_id": "waybill-1", "site_tag": "waybill:test", **options}
    connection = Connection("shop", "drupal", BASE, (secret(KEY),), credentials, given)
    return Connector(connection, Http(connection))


def has_module(shop: responses.RequestsMock, status: int = 200, **changes: Any) -> None:
    shop.get(f"{BASE}/waybill/v1/status", json={**STATUS, **changes}, status=status)


def done(shop: responses.RequestsMock, what: str, status: str = "applied") -> None:
    shop.post(f"{ROUTE}/{what}", json={"status": status, "order": {"uuid": UUID, "state": "fulfillment", "version": 3}})


def sent(shop: responses.RequestsMock) -> list[tuple[str, str, Any]]:
    return [(c.request.method, c.request.path_url, json.loads(c.request.body) if c.request.body else None) for c in shop.calls]


class _Keys(HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id: str) -> bytes:
        return base64.b64decode(KEY.removeprefix("whsec_"))

    def resolve_private_key(self, key_id: str) -> bytes:
        return self.resolve_public_key(key_id)


def test_every_request_is_signed_anew_over_method_path_query_and_body(shop: responses.RequestsMock) -> None:
    has_module(shop)
    done(shop, "references")
    with_module().write_order_status(tell())
    verifier = HTTPMessageVerifier(signature_algorithm=HMAC_SHA256, key_resolver=_Keys())
    found = [verifier.verify(call.request, max_age=timedelta(seconds=60))[0] for call in shop.calls]
    covered = [[name.strip('"') for name in result.covered_components][:-1] for result in found]
    assert covered == [["@method", "@path", "@query"], ["@method", "@path", "@query", "content-digest"]]
    assert {result.parameters["tag"] for result in found} == {"waybill:test"}
    assert {result.parameters["keyid"] for result in found} == {"waybill-1"}
    assert len({result.nonce for result in found}) == 2
    assert "Authorization" not in shop.calls[1].request.headers


def test_with_the_module_number_and_status_are_one_keyed_request(shop: responses.RequestsMock) -> None:
    has_module(shop)
    done(shop, "references")
    connector = with_module()
    assert connector.write_order_status(tell()) == Receipt(UUID, state="references applied")
    body = {"erp_number": "SO7", "erp_status": "confirmed", "run": "k"}
    assert sent(shop)[1:] == [("POST", f"/waybill/v1/orders/{UUID}/references", body)]
    assert shop.calls[1].request.headers["Idempotency-Key"] == "k:references"
    connector.write_order_status(tell())
    assert [path for _, path, _ in sent(shop)].count("/waybill/v1/status") == 1  # believed for a while


def test_with_the_module_a_status_reaches_its_state_through_a_transition(shop: responses.RequestsMock) -> None:
    has_module(shop)
    done(shop, "references", "unchanged")
    done(shop, "transition")
    found = with_module(state_on={"shipped": "completed"}).write_order_status(tell("shipped"))
    assert found == Receipt(UUID, state="references unchanged, completed transition applied")
    assert sent(shop)[2] == ("POST", f"/waybill/v1/orders/{UUID}/transition", {"to": "completed"})


def test_parcels_are_shown_without_the_parts_that_are_not_known(shop: responses.RequestsMock) -> None:
    has_module(shop)
    done(shop, "shipments")
    parcels = [
        Shipment("SH1", "shipped", "1Z999", "UPS", "https://track.example/1Z999", AT),
        Shipment("SH2"),
    ]
    with_module().add_shipments(Effect("k", "add_shipments", "s", {"order_id": UUID, "shipments": msgspec.to_builtins(parcels)}))
    first = {"id": "SH1", "state": "shipped", "tracking_code": "1Z999", "carrier": "UPS", "tracking_url": "https://track.example/1Z999"}
    assert sent(shop)[1][2] == {"shipments": [{**first, "shipped_at": AT.isoformat()}, {"id": "SH2", "state": "shipped"}]}


PAYMENT = {
    "order_id": UUID,
    "connection": "stripe",
    "remote_id": "pi_1",
    "state": "partially_refunded",
    "currency": "JPY",
    "amount": 4470,
    "captured": 4470,
    "refunded": 70,
    "at": "2026-11-22T01:00:00+00:00",
    "dispute": "",
}


def test_a_payment_is_written_in_the_currency_s_own_units(shop: responses.RequestsMock) -> None:
    has_module(shop)
    done(shop, "payments")
    with_module(gateways={"stripe": "card"}).write_payment(Effect("k", "write_payment", "s", PAYMENT))
    assert sent(shop)[1] == (
        "POST",
        f"/waybill/v1/orders/{UUID}/payments",
        {
            "gateway": "card",
            "remote_id": "pi_1",
            "state": "partially_refunded",
            "at": "2026-11-22T01:00:00+00:00",
            "amount": {"number": "4470", "currency_code": "JPY"},
            "captured": {"number": "4470", "currency_code": "JPY"},
            "refunded": {"number": "70", "currency_code": "JPY"},
        },
    )


@pytest.mark.parametrize("capabilities", [["outbox"], None])
def test_without_the_module_a_payment_is_refused_with_the_reason(shop: responses.RequestsMock, capabilities: list[str] | None) -> None:
    has_module(shop, *([404] if capabilities is None else []), capabilities=capabilities)
    with pytest.raises(Rejected, match="commerce_waybill_orders"):
        with_module().write_payment(Effect("k", "write_payment", "s", PAYMENT))


def test_without_the_module_number_and_status_go_over_json_api(shop: responses.RequestsMock) -> None:
    has_module(shop, 404)
    shows(shop)
    shop.patch(ORDER, json={"data": {}})
    with_module().write_order_status(tell())
    assert [(method, path.split("?")[0]) for method, path, _ in sent(shop)][2][0] == "PATCH"


MODULE = {file.stem[4:]: json.loads(file.read_text("utf-8")) for file in sorted((PAYLOADS / "drupal_module").glob("*.json"))}
"""What a real site with the module was sent, and what it answered."""


def replay(shop: responses.RequestsMock, name: str) -> None:
    pair = MODULE[name]
    headers = {key: value for key, value in pair["response_headers"].items() if key != "content-type"}
    body = {"body": "<!DOCTYPE html>"} if pair["response_body"] is None else {"json": pair["response_body"]}
    shop.add(pair["method"], BASE + pair["path"], status=pair["status"], headers=headers, **body)


def payment(name: str) -> Effect:
    """The effect whose request was recorded."""
    body = MODULE[name]["request_body"]
    minor = {part: round(Decimal(body[part]["number"]) * 100) for part in ("amount", "captured", "refunded")}
    given = {"order_id": UUID, "connection": body["gateway"], "currency": "EUR", "dispute": (body.get("dispute") or {}).get("id", "")}
    key = MODULE[name]["request_headers"]["Idempotency-Key"].removesuffix(":payments")
    return Effect(key, "write_payment", "s", {**given, **minor, **{part: body[part] for part in ("remote_id", "state", "at")}})


def asked(shop: responses.RequestsMock, name: str) -> None:
    """The last request is the recorded one."""
    request, pair = shop.calls[-1].request, MODULE[name]
    assert (request.method, request.path_url, json.loads(request.body)) == (pair["method"], pair["path"], pair["request_body"])
    assert {header: request.headers[header] for header in pair["request_headers"]} == pair["request_headers"]


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("payment-applied", "payments applied"),
        ("payment-refunded", "payments applied"),
        ("payment-older", "payments unchanged"),
        ("payment-disputed", "payments applied"),
        ("payment-dispute-won", "payments applied"),
    ],
)
def test_a_payment_is_said_as_a_real_site_took_it(shop: responses.RequestsMock, name: str, state: str) -> None:
    replay(shop, "status")
    replay(shop, name)
    assert with_module().write_payment(payment(name)) == Receipt(UUID, state=state)
    asked(shop, name)


@pytest.mark.parametrize(
    ("name", "error", "said", "field"),
    [
        ("payment-illegal", Rejected, "Allowed: partially_refunded, refunded", "/state"),
        ("payment-unknown-gateway", Rejected, "no such payment gateway", "/gateway"),
    ],
)
def test_a_payment_that_a_real_site_refused(shop: responses.RequestsMock, name: str, error: type[CallError], said: str, field: str) -> None:
    replay(shop, "status")
    replay(shop, name)
    with pytest.raises(error, match=said) as found:
        with_module().write_payment(payment(name))
    assert (type(found.value), found.value.field) == (error, field)
    asked(shop, name)


@pytest.mark.parametrize("name", ["references-applied", "references-repeated", "references-equal"])
def test_references_are_said_as_a_real_site_took_them(shop: responses.RequestsMock, name: str) -> None:
    replay(shop, "status")
    replay(shop, name)
    key = MODULE[name]["request_headers"]["Idempotency-Key"].removesuffix(":references")
    state = MODULE[name]["response_body"]["status"]
    effect = Effect(key, "write_order_status", "s", {"order_id": UUID, "erp_number": "SO7", "status": "confirmed"})
    assert with_module().write_order_status(effect) == Receipt(UUID, state=f"references {state}")
    asked_body = {**MODULE[name]["request_body"], "run": key}
    assert json.loads(shop.calls[-1].request.body) == asked_body


def test_a_held_order_waits_without_spending_attempts(shop: responses.RequestsMock) -> None:
    replay(shop, "status")
    replay(shop, "shipments-held")
    parcels = msgspec.to_builtins([Shipment("PK-1")])
    with pytest.raises(OnHold, match="held: dispute") as found:
        with_module().add_shipments(Effect("s0", "add_shipments", "s", {"order_id": UUID, "shipments": parcels}))
    assert (found.value.burns_attempt, found.value.retry_after) == (False, 300.0)
    asked(shop, "shipments-held")


def test_an_illegal_transition_is_refused_with_the_allowed_ones_named(shop: responses.RequestsMock) -> None:
    replay(shop, "status")
    replay(shop, "references-applied")
    replay(shop, "transition-illegal")
    effect = Effect("t1", "write_order_status", "s", {"order_id": UUID, "erp_number": "SO7", "status": "confirmed"})
    with pytest.raises(Rejected, match="Allowed: fulfill, cancel"):
        with_module(state_on={"confirmed": "draft"}).write_order_status(effect)
    asked(shop, "transition-illegal")


def test_a_locked_order_is_for_later(shop: responses.RequestsMock) -> None:
    replay(shop, "status")
    busy = {"errors": [{"status": "409", "code": "order_busy", "title": "Conflict", "detail": "Try again."}], "meta": {"retryable": True}}
    shop.post(f"{ROUTE}/references", json=busy, status=409)
    with pytest.raises(Transient) as found:
        with_module().write_order_status(tell())
    assert type(found.value) is Transient


def test_an_order_that_is_unknown_over_there_is_refused(shop: responses.RequestsMock) -> None:
    replay(shop, "status")
    shop.post(f"{ROUTE}/references", json=MODULE["order-unknown"]["response_body"], status=404)
    with pytest.raises(Rejected, match="There is no order with this uuid"):
        with_module().write_order_status(tell())


def test_a_refused_signature_says_its_reason(shop: responses.RequestsMock) -> None:
    replay(shop, "status-wrong-site")
    with pytest.raises(Unauthorized, match="for another site"):
        with_module().write_order_status(tell())


def test_a_ping_is_answered(shop: responses.RequestsMock) -> None:
    shop.post(f"{BASE}/waybill/v1/pong", json={"ping": "p1"})
    assert with_module().answer_ping(Effect("k", "answer_ping", "ping/p1", {"ping": "p1"})) == Receipt("p1", state="answered")
    assert sent(shop) == [("POST", "/waybill/v1/pong", {"ping": "p1"})]


def test_oauth_tokens_are_shared_and_renewed_when_they_are_refused(shop: responses.RequestsMock) -> None:
    connection = Connection("shop", "drupal", BASE, (), {"client_secret": secret("s3cret")}, {"client_id": "waybill", "module": "never"})
    oauth = Connector(connection, Http(connection))
    shop.post(f"{BASE}/oauth/token", json={"access_token": "t1", "expires_in": 300})
    shows(shop, field_waybill_erp_number="SO7", field_waybill_erp_status="confirmed")
    oauth.write_order_status(tell())
    oauth.write_order_status(tell())
    assert [c.request.headers.get("Authorization") for c in shop.calls] == [None, "Bearer t1", "Bearer t1"]
    assert "client_secret=s3cret" in str(shop.calls[0].request.body)
    shop.replace("GET", ORDER, status=401)
    with pytest.raises(Unauthorized):
        oauth.write_order_status(tell())
    shop.replace("POST", f"{BASE}/oauth/token", json={"error": "invalid_client"}, status=400)
    with pytest.raises(Unauthorized, match="gives no token"):
        oauth.write_order_status(tell())


# pings and signals


def event(kind: str, data: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "timestamp": "2026-11-22T01:00:00+00:00", "correlation_id": "c", "data": data}).encode()


def test_a_ping_is_read() -> None:
    assert connector(KEY).translate("site.ping", event("site.ping", {"ping": "p1"})) == Ping("p1")


def test_a_storefront_signal_is_read_and_follows_its_schema() -> None:
    price = {"number": "19.990000", "currency_code": "EUR"}
    body = event("checkout.total", {"signal": {"order": UUID, "shown": price, "charged": {**price, "number": "21"}}})
    jsonschema.validate(json.loads(body), json.loads((CONTRACTS / "signal.schema.json").read_text("utf-8")))
    at = datetime(2026, 11, 22, 1, tzinfo=UTC)
    expected = Signal("checkout.total", UUID, at, shown=Money(1999, "EUR"), charged=Money(2100, "EUR"))
    assert connector(KEY).translate("checkout.total", body) == expected
    attempted = event("payment.attempted", {"signal": {"order": UUID, "outcome": "declined", "seconds": 1.5}})
    assert connector(KEY).translate("payment.attempted", attempted) == Signal("payment.attempted", UUID, at, "declined", 1.5)
