"""The official SDKs of Adyen, Square and Checkout.com ask for the same as we do: method, path, body, key and version."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import Adyen
import httpx
import pytest
import responses
from checkout_sdk.checkout_sdk import CheckoutSdk
from checkout_sdk.environment import Environment
from checkout_sdk.payments.payments import CaptureRequest, CaptureType, RefundRequest, VoidRequest
from square import Square

from middleware.connectors._http import Http
from middleware.connectors.adyen import Connector as AdyenConnector
from middleware.connectors.checkoutcom import Connector as CheckoutcomConnector
from middleware.connectors.square import Connector as SquareConnector
from middleware.ports import Effect
from middleware.settings import Connection
from middleware.testing import secret

KEY = "pay:capture:1"
EUR = {"minor": 3000, "currency": "EUR"}


@dataclass(frozen=True)
class Asked:
    """One request, as far as a provider looks at it."""

    method: str
    path: str
    query: str
    body: Any
    headers: dict[str, str | None]


def effect(operation: str, payment: str, **payload: Any) -> Effect:
    return Effect(KEY, operation, payment, {"payment": payment, **payload})


def seen(method: str, url: str, body: Any, headers: Any, names: tuple[str, ...]) -> Asked:
    parts = urlsplit(url)
    return Asked(method, parts.path, parts.query, json.loads(body) if body else None, {name: headers.get(name) for name in names})


def last(names: tuple[str, ...]) -> Asked:
    request = responses.calls[-1].request
    return seen(request.method, request.url, request.body, request.headers, names)


# Adyen

ADYEN = "https://checkout-test.adyen.com/v72"
PSP = "8836183819713023"
ADYEN_HEADERS = ("X-API-Key", "Idempotency-Key", "Content-Type")


def adyen_sdk() -> Any:
    client = Adyen.Adyen(xapikey="AQE-key", platform="test")
    return client.checkout.modifications_api


@pytest.mark.parametrize(
    ("operation", "payload", "ask"),
    [
        (
            "capture_payment",
            {"amount": EUR, "reference": "c-1"},
            lambda sdk: sdk.capture_authorised_payment(
                {"merchantAccount": "ShopEU", "amount": {"value": 3000, "currency": "EUR"}, "reference": "c-1"}, PSP, idempotency_key=KEY
            ),
        ),
        (
            "void_payment",
            {},
            lambda sdk: sdk.cancel_authorised_payment_by_psp_reference({"merchantAccount": "ShopEU"}, PSP, idempotency_key=KEY),
        ),
        (
            "refund_payment",
            {"amount": EUR, "reason": "fraud"},
            lambda sdk: sdk.refund_captured_payment(
                {"merchantAccount": "ShopEU", "amount": {"value": 3000, "currency": "EUR"}, "merchantRefundReason": "FRAUD"},
                PSP,
                idempotency_key=KEY,
            ),
        ),
    ],
)
@responses.activate
def test_adyens_sdk_asks_for_the_same(operation: str, payload: dict[str, Any], ask: Callable[[Any], Any]) -> None:
    for word in ("captures", "cancels", "refunds"):
        responses.post(f"{ADYEN}/payments/{PSP}/{word}", json={"pspReference": "M1", "status": "received"}, status=201)
    connection = Connection("a", "adyen", ADYEN, (), {"api_key": secret("AQE-key")}, {"merchant_account": "ShopEU"})
    getattr(AdyenConnector(connection, Http(connection)), operation)(effect(operation, PSP, **payload))
    ours = last(ADYEN_HEADERS)
    ask(adyen_sdk())
    theirs = last(ADYEN_HEADERS)
    # Their SDK adds what it is itself.
    assert ours == Asked(
        theirs.method, theirs.path, theirs.query, {k: v for k, v in theirs.body.items() if k != "applicationInfo"}, theirs.headers
    )


# Checkout.com

CKO = "https://abcd1234.api.sandbox.checkout.com"
PAY = "pay_gcpqzqbb4sze3bmgtwj7rtbzkm"
CKO_HEADERS = ("Authorization", "Cko-Idempotency-Key", "Content-Type")
SECRET_KEY = "sk_sbox_" + "a" * 27


def cko_sdk() -> Any:
    builder = CheckoutSdk.builder().secret_key(SECRET_KEY).environment(Environment.sandbox()).environment_subdomain("abcd1234")
    with pytest.warns(DeprecationWarning, match="Risk endpoints"):  # of a part of the SDK that nobody asked for
        return builder.build().payments


def filled(kind: type, **values: Any) -> Any:
    made = kind()
    for name, value in values.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("operation", "payload", "ask"),
    [
        (
            "capture_payment",
            {"amount": EUR, "final": False, "reference": "c-1"},
            lambda sdk: sdk.capture_payment(
                PAY, filled(CaptureRequest, capture_type=CaptureType.NON_FINAL, amount=3000, reference="c-1"), KEY
            ),
        ),
        (
            "capture_payment",
            {"amount": None, "final": True},
            lambda sdk: sdk.capture_payment(PAY, filled(CaptureRequest, capture_type=CaptureType.FINAL), KEY),
        ),
        ("void_payment", {"reference": "v-1"}, lambda sdk: sdk.void_payment(PAY, filled(VoidRequest, reference="v-1"), KEY)),
        (
            "refund_payment",
            {"amount": EUR, "capture": "act_1"},
            lambda sdk: sdk.refund_payment(PAY, filled(RefundRequest, amount=3000, capture_action_id="act_1"), KEY),
        ),
    ],
)
@responses.activate
def test_checkoutcoms_sdk_asks_for_the_same(operation: str, payload: dict[str, Any], ask: Callable[[Any], Any]) -> None:
    for word in ("captures", "voids", "refunds"):
        responses.post(f"{CKO}/payments/{PAY}/{word}", json={"action_id": "act_2"}, status=202)
    connection = Connection("c", "checkoutcom", CKO, (), {"secret_key": secret(SECRET_KEY)})
    getattr(CheckoutcomConnector(connection, Http(connection)), operation)(effect(operation, PAY, **payload))
    ours = last(CKO_HEADERS)
    ask(cko_sdk())
    assert ours == last(CKO_HEADERS)


@responses.activate
def test_checkoutcoms_sdk_reads_a_payment_where_we_do() -> None:
    said = {"id": PAY, "status": "Captured", "amount": 1, "currency": "EUR"}
    responses.get(f"{CKO}/payments/{PAY}", json=said)
    responses.get(f"{CKO}/payments/{PAY}/actions", json=[])
    connection = Connection("c", "checkoutcom", CKO, (), {"secret_key": secret(SECRET_KEY)})
    CheckoutcomConnector(connection, Http(connection)).fetch_payment(Effect("k", "fetch_payment", PAY, {"subject": PAY}))
    sdk = cko_sdk()
    sdk.get_payment_details(PAY)
    sdk.get_payment_actions(PAY)
    paths = [(call.request.method, call.request.url, call.request.headers["Authorization"]) for call in responses.calls]
    assert paths[:2] == paths[2:]


# Square

SQUARE = "https://connect.squareupsandbox.com"
ONE = "hYy9pRFVxpDsO1FB05SunFWUe9JZY"
SQUARE_HEADERS = ("Authorization", "Square-Version")
TOTAL = {"amount": 4470, "currency": "EUR"}
ANSWERS = {
    "payment": {"id": ONE, "status": "APPROVED", "total_money": TOTAL, "amount_money": TOTAL, "version_token": "v1"},
    "refund": {"id": "R1", "status": "PENDING", "amount_money": TOTAL},
}


@pytest.fixture
def square_sdk() -> Iterator[tuple[Square, list[Asked]]]:
    asked: list[Asked] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(seen(request.method, str(request.url), request.content, request.headers, SQUARE_HEADERS))
        return httpx.Response(200, json=ANSWERS)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        yield Square(token="EAAA", base_url=SQUARE, version=SquareConnector.API_VERSION, httpx_client=client), asked


@pytest.mark.parametrize(
    ("operation", "payload", "ask"),
    [
        ("capture_payment", {"amount": None}, lambda sdk: sdk.payments.complete(ONE, version_token="v1")),
        (
            "refund_payment",
            {"amount": EUR, "reason": "broken"},
            lambda sdk: sdk.refunds.refund_payment(
                idempotency_key=KEY, payment_id=ONE, amount_money={"amount": 3000, "currency": "EUR"}, reason="broken"
            ),
        ),
    ],
)
@responses.activate
def test_squares_sdk_asks_for_the_same(
    operation: str, payload: dict[str, Any], ask: Callable[[Square], Any], square_sdk: tuple[Square, list[Asked]]
) -> None:
    for method, path in (("GET", f"/v2/payments/{ONE}"), ("POST", f"/v2/payments/{ONE}/complete"), ("POST", "/v2/refunds")):
        responses.add(method, SQUARE + path, json=ANSWERS)
    connection = Connection("s", "square", SQUARE, (), {"access_token": secret("EAAA")})
    getattr(SquareConnector(connection, Http(connection)), operation)(effect(operation, ONE, **payload))
    sdk, asked = square_sdk
    ask(sdk)
    assert [last(SQUARE_HEADERS)] == asked


@responses.activate
def test_squares_sdk_lowers_voids_and_reads_a_payment_where_we_do(square_sdk: tuple[Square, list[Asked]]) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("POST", "/complete"), ("POST", "/cancel")):
        responses.add(method, f"{SQUARE}/v2/payments/{ONE}{path}", json=ANSWERS)
    connection = Connection("s", "square", SQUARE, (), {"access_token": secret("EAAA")})
    ours = SquareConnector(connection, Http(connection))
    ours.capture_payment(effect("capture_payment", ONE, amount=EUR))
    ours.void_payment(effect("void_payment", ONE))
    sdk, asked = square_sdk
    sdk.payments.get(ONE)
    sdk.payments.update(ONE, idempotency_key=KEY, payment={"amount_money": {"amount": 3000, "currency": "EUR"}, "version_token": "v1"})
    sdk.payments.complete(ONE, version_token="v1")
    sdk.payments.get(ONE)
    sdk.payments.cancel(ONE)
    calls = [call.request for call in responses.calls]
    mine = [seen(one.method or "", one.url or "", one.body, one.headers, SQUARE_HEADERS) for one in calls]
    # A cancel has no body: theirs sends none, ours an empty object.
    assert [Asked(a.method, a.path, a.query, a.body or None, a.headers) for a in mine] == asked


@responses.activate
def test_squares_sdk_lists_as_we_do(square_sdk: tuple[Square, list[Asked]]) -> None:
    responses.get(f"{SQUARE}/v2/payments", json={"payments": []})
    responses.get(f"{SQUARE}/v2/refunds", json={"refunds": []})
    connection = Connection("s", "square", SQUARE, (), {"access_token": secret("EAAA")}, {"locations": ["L1"]})
    list(SquareConnector(connection, Http(connection)).payment_events(None))
    sdk, asked = square_sdk
    for api in (sdk.payments, sdk.refunds):
        list(api.list(sort_field="UPDATED_AT", sort_order="ASC", limit=100, location_id="L1"))
    calls = [call.request for call in responses.calls]
    mine = [seen(one.method or "", one.url or "", one.body, one.headers, SQUARE_HEADERS) for one in calls]
    assert [(a.method, a.path, set(a.query.split("&")), a.headers) for a in mine] == [
        (a.method, a.path, set(a.query.split("&")), a.headers) for a in asked
    ]
