"""Whatever order a provider's webhooks arrive in, and however often, the payment ends the same."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import responses

from middleware import inbox
from middleware.ports import Inbound
from middleware.settings import Connection
from middleware.testing import drain, secret
from tests.connectors import test_adyen as adyen
from tests.connectors import test_checkoutcom as checkoutcom
from tests.connectors import test_paypal as paypal
from tests.connectors import test_square as square
from tests.world import World, connections, place, rows

AT = datetime(2026, 1, 1, tzinfo=UTC)


def at(second: int) -> str:
    return (AT + timedelta(seconds=second)).isoformat()


def adyen_story() -> Iterator[Inbound]:
    """Authorised, captured in two parts of which one was told twice, refunded in part, disputed and defended."""
    payment = "8836183819713023"
    steps = [
        {"eventCode": "AUTHORISATION", "pspReference": payment},
        {"eventCode": "CAPTURE", "pspReference": "C1", "amount": {"value": 3000, "currency": "EUR"}},
        {"eventCode": "CAPTURE", "pspReference": "C2", "amount": {"value": 1470, "currency": "EUR"}},
        {"eventCode": "REFUND", "pspReference": "R1", "amount": {"value": 470, "currency": "EUR"}},
        {"eventCode": "REFUND", "pspReference": "R2", "amount": {"value": 1000, "currency": "EUR"}},
        {"eventCode": "REFUND_FAILED", "pspReference": "R2", "amount": {"value": 1000, "currency": "EUR"}},
        {"eventCode": "CHARGEBACK", "pspReference": "D1"},
        {"eventCode": "CHARGEBACK_REVERSED", "pspReference": "D1"},
    ]
    for second, step in enumerate(steps):
        original = {} if step["eventCode"] == "AUTHORISATION" else {"originalReference": payment}
        yield adyen.inbound(adyen.notice(adyen.signed(adyen.item(eventDate=at(second), **original, **step))))


def paypal_story(authority: paypal.Authority) -> Iterator[Inbound]:
    """Captured, refunded in part, a dispute opened and won."""
    link = {"links": [paypal.link("captures", paypal.CAP)]}
    steps = [
        ("PAYMENT.CAPTURE.PENDING", paypal.thing(paypal.CAP, status="PENDING")),
        ("PAYMENT.CAPTURE.COMPLETED", paypal.thing(paypal.CAP)),
        ("PAYMENT.REFUND.PENDING", paypal.thing(paypal.REF, "4.70", "PENDING", **link)),
        ("PAYMENT.CAPTURE.REFUNDED", paypal.thing(paypal.REF, "4.70", **link)),
        ("CUSTOMER.DISPUTE.CREATED", paypal.dispute("OPEN")),
        ("CUSTOMER.DISPUTE.RESOLVED", paypal.dispute("RESOLVED", "RESOLVED_SELLER_FAVOUR")),
    ]
    for second, (kind, resource) in enumerate(steps):
        event = {**json.loads(paypal.event(kind, resource)), "id": f"WH-{second}", "create_time": at(second)}
        body = json.dumps(event).encode()
        yield Inbound(authority.headers(body, paypal.HOOK), body, "", AT)


def square_story() -> Iterator[Inbound]:
    """Approved, completed, refunded in part, a dispute opened and won."""
    total = {"amount": 4470, "currency": "EUR"}
    refund = {"amount_money": {"amount": 470, "currency": "EUR"}, "payment_id": square.ONE}
    dispute = {"amount_money": total, "disputed_payment": {"payment_id": square.ONE}}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("payment.created", {"id": square.ONE, "status": "APPROVED", "total_money": total, "reference_id": "1001"}),
        ("payment.updated", {"id": square.ONE, "status": "COMPLETED", "total_money": total, "reference_id": "1001"}),
        ("refund.created", {"status": "PENDING", **refund}),
        ("refund.updated", {"status": "COMPLETED", **refund}),
        ("dispute.created", {"state": "EVIDENCE_REQUIRED", **dispute}),
        ("dispute.state.updated", {"state": "WON", **dispute}),
    ]
    for second, (kind, changes) in enumerate(steps):
        event = square.about(kind, updated_at=at(second), **changes)
        yield square.signed(json.dumps({**event, "event_id": f"ev-{second}", "created_at": at(second)}).encode())


def checkoutcom_story() -> Iterator[Inbound]:
    """Approved, captured in two parts, refunded in part, a dispute received and won."""
    steps: list[tuple[str, dict[str, Any]]] = [
        ("payment_approved", {}),
        ("payment_captured", {"action_id": "act_1", "amount": 3000}),
        ("payment_capture_pending", {"action_id": "act_2", "amount": 1470}),
        ("payment_captured", {"action_id": "act_2", "amount": 1470}),
        ("payment_refunded", {"action_id": "act_3", "amount": 470}),
        ("dispute_received", {}),
        ("dispute_won", {}),
    ]
    for second, (kind, data) in enumerate(steps):
        event = {**checkoutcom.event(kind, data), "id": f"evt_{second}", "created_on": at(second)}
        yield checkoutcom.signed(json.dumps(event).encode())


@pytest.fixture(scope="module")
def authority() -> paypal.Authority:
    return paypal.Authority()


@pytest.fixture
def wired(tmp_path: Path, authority: paypal.Authority) -> Iterator[dict[str, Connection]]:
    """A connection to each provider; PayPal's certificate is to be had."""
    (tmp_path / "root.pem").write_text(paypal.pems(authority.root))
    with responses.RequestsMock(assert_all_requests_are_fired=False) as fake:
        fake.get(paypal.URL + paypal.CERT, body=paypal.pems(authority.leaf, authority.middle))
        yield {
            "adyen": Connection("adyen", "adyen", secrets=(secret(adyen.KEY),)),
            "paypal": Connection(
                "paypal", "paypal", paypal.URL, (secret(paypal.HOOK),), options={"trusted_certificates": str(tmp_path / "root.pem")}
            ),
            "square": Connection("square", "square", secrets=(secret("key"),), options={"notification_url": square.HOOK}),
            "checkoutcom": Connection("checkoutcom", "checkoutcom", secrets=(secret("key"),)),
        }


PARTED = {("capture", 3000, True), ("capture", 1470, True), ("refund", 470, True), ("dispute", 4470, False)}
WHOLE = {("capture", 4470, True), ("refund", 470, True), ("dispute", 4470, False)}
STORIES: dict[str, tuple[Callable[..., Iterator[Inbound]], set[tuple[str, int, bool]]]] = {
    "adyen": (adyen_story, {*PARTED, ("refund", 1000, False)}),
    "paypal": (paypal_story, WHOLE),
    "square": (square_story, WHOLE),
    "checkoutcom": (checkoutcom_story, PARTED),
}


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
@pytest.mark.parametrize("name", sorted(STORIES))
def test_a_payments_whole_life_ends_the_same_in_any_order(
    name: str, seed: int | None, wired: dict[str, Connection], authority: paypal.Authority, database_url: str
) -> None:
    story, expected = STORIES[name]
    requests = list(story(authority) if name == "paypal" else story())
    if seed is not None:
        requests = random.Random(seed).sample(requests * 2, len(requests) * 2)
    known = connections()
    world = World(database_url, connections={"shop": known["shop"], "erp": known["erp"], name: wired[name]}, store={"payments": (name,)})
    runtime = world.runtime()
    place(runtime, "uuid-1")
    for number, request in enumerate(requests):
        inbox.receive(runtime, name, request)
        if number % 3 == 0:
            inbox.decide(runtime, "payments")
            inbox.decide(runtime, "orders")
    drain(runtime)
    assert rows(runtime, "SELECT state, cause FROM events WHERE connection = :name AND state <> 'decided'", name=name) == []
    assert set(rows(runtime, "SELECT kind, amount_minor, counts FROM payment_parts")) == expected
    assert rows(runtime, "SELECT state, amount_minor FROM payments") == [("partially_refunded", 4470)]
    assert rows(runtime, "SELECT payment_state FROM orders") == [("partially_refunded",)]
    runtime.close()
