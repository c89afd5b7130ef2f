"""Whatever order webhooks and hints arrive in, and however often, a payment ends as its provider has it: seven more providers."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import responses
import standardwebhooks

from middleware import inbox
from middleware.ports import Inbound
from middleware.settings import Connection
from middleware.testing import drain, secret
from tests.connectors import test_authorizenet as anet
from tests.connectors import test_braintree as braintree
from tests.connectors import test_gocardless as gocardless
from tests.connectors import test_klarna as klarna
from tests.connectors import test_mollie as mollie
from tests.connectors import test_razorpay as razorpay
from tests.world import World, connections, place, rows

AT = datetime(2026, 1, 1, tzinfo=UTC)
DATE = {"Date": "Thu, 01 Jan 2026 01:00:00 GMT"}
WHSEC = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


def at(second: int) -> str:
    return (AT + timedelta(seconds=second)).isoformat()


# signed events that tell all


def mollie_story() -> Iterator[Inbound]:
    """Opened, paid, refunded in part after a refund that failed, charged back and reversed."""
    total, part = {"currency": "EUR", "value": "44.70"}, {"currency": "EUR", "value": "4.70"}
    payment = mollie.example("payment", id="tr_1", amount=total, metadata={"order_id": "1001"})
    refund, chargeback = {"mode": "test", "amount": part, "paymentId": "tr_1"}, {"id": "chb_1", "amount": total, "paymentId": "tr_1"}
    steps = [
        ("payment.pending", payment),
        ("payment.paid", {**payment, "status": "paid"}),
        ("refund.pending", {**refund, "id": "re_1", "status": "pending"}),
        ("refund.failed", {**refund, "id": "re_1", "status": "failed"}),
        ("refund.refunded", {**refund, "id": "re_2", "status": "refunded"}),
        ("chargeback.received", chargeback),
        ("chargeback.reversed", {**chargeback, "reversedAt": at(6)}),
    ]
    for second, (kind, entity) in enumerate(steps):
        body = mollie.event(kind, entity, id=f"event_{second}", createdAt=at(second))
        yield Inbound({"x-mollie-signature": mollie.sign(body)}, body, "", AT)


def razorpay_story() -> Iterator[Inbound]:
    """Authorized, captured, refunded in part, disputed and won."""
    payment = {**razorpay.PAYMENT, "amount": 4470, "currency": "EUR"}
    refund = {**razorpay.REFUND, "amount": 470, "currency": "EUR"}
    dispute = {**razorpay.DISPUTE, "amount": 4470, "currency": "EUR"}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("payment.authorized", {"payment": payment}),
        ("payment.captured", {"payment": {**payment, "status": "captured"}}),
        ("refund.created", {"refund": {**refund, "status": "pending"}, "payment": payment}),
        ("refund.processed", {"refund": {**refund, "status": "processed"}, "payment": payment}),
        ("payment.dispute.created", {"dispute": dispute, "payment": payment}),
        ("payment.dispute.won", {"dispute": dispute, "payment": payment}),
    ]
    for second, (kind, entities) in enumerate(steps):
        body = json.dumps({**razorpay.event(kind, **entities), "created_at": int(AT.timestamp()) + second}).encode()
        headers = {"x-razorpay-signature": razorpay.sign(body), "x-razorpay-event-id": f"evt_{second}"}
        yield Inbound(headers, body, "", AT)


TOPICS = {"held": "authorized", "taken": "capture", "given_back": "refund", "disputed": "dispute", "defended": "dispute_won"}


def standardwebhooks_story() -> Iterator[Inbound]:
    """Held, taken, given back in part, disputed and defended: a sender whose words only the merchant's table knows."""
    told = [("held", "", "44.70"), ("taken", "c", "44.70"), ("given_back", "r", "4.70"), ("disputed", "d", "44.70")]
    for second, (topic, part, amount) in enumerate([*told, ("defended", "d", "44.70")]):
        about = {"id": "p_1", "amount": amount, "currency": "EUR", "order_id": "1001", "part_id": part or None}
        body = json.dumps({"type": topic, "timestamp": at(second), "data": about})
        signature = standardwebhooks.Webhook(WHSEC).sign(f"msg_{second}", AT, body)
        names = {"webhook-id": f"msg_{second}", "webhook-timestamp": str(int(AT.timestamp())), "webhook-signature": signature}
        yield Inbound(names, body.encode(), "", AT)


# hints, whose payment is asked for


def gocardless_story() -> Iterator[Inbound]:
    """Two batches: the second one repeats an event of the first."""
    first = [gocardless.event(1, "payments", "created", "PM123"), gocardless.event(2, "payments", "confirmed", "PM123")]
    second = [first[1], gocardless.event(3, "refunds", "created", "RF123")]
    for events in (first, second):
        body = gocardless.batch(*events)
        yield Inbound({"webhook-signature": gocardless.sign(body)}, body, "", AT)


def gocardless_has(api: responses.RequestsMock) -> None:
    end = {"meta": {"cursors": {"after": None}}}
    payment = gocardless.one("payments", status="confirmed", amount=4470, metadata={"order_id": "1001"})
    refund = gocardless.one("refunds", amount=470)
    api.get(f"{gocardless.BASE}/payments/PM123", json={"payments": payment}, headers=DATE)
    api.get(f"{gocardless.BASE}/refunds/RF123", json={"refunds": refund}, headers=DATE)
    api.get(f"{gocardless.BASE}/refunds", json={"refunds": [refund], **end})
    api.get(f"{gocardless.BASE}/events", json={"events": [], **end})


def klarna_story() -> Iterator[Inbound]:
    """The same push, three times."""
    for _ in range(3):
        yield Inbound({}, b"", f"https://waybill.example/webhooks/klarna?klarna_order_id={klarna.ORDER}", AT)


def klarna_has(api: responses.RequestsMock) -> None:
    moved = {"captures": [{"capture_id": "c1", "captured_amount": 4470}], "refunds": [{"refund_id": "r1", "refunded_amount": 470}]}
    order = {**klarna.SHOWN, "order_amount": 4470, "status": "CAPTURED", "merchant_reference1": "1001", **moved}
    api.get(klarna.ORDERS, json=order, headers=DATE)
    api.post(f"{klarna.ORDERS}/acknowledge", status=204)


def braintree_story() -> Iterator[Inbound]:
    """A sale that settled, and a refund of it that was settled, too."""
    for kind, name in (("transaction_settled", "t1"), ("transaction_settled", "r1"), ("transaction_retried", "t1")):
        subject = f"<transaction><id>{name}</id><status>settled</status></transaction>"
        xml = f"<notification><timestamp>{at(1)}</timestamp><kind>{kind}</kind><subject>{subject}</subject></notification>"
        payload = base64.encodebytes(xml.encode()).decode()
        yield braintree.posted({"bt_signature": f"{braintree.PUBLIC}|{braintree.sign(payload.encode())}", "bt_payload": payload})


def braintree_has(api: responses.RequestsMock) -> None:
    sale = braintree.transaction("t1", amount="44.70", refund_ids=["r1"])
    refund = braintree.transaction("r1", amount="4.70", type="credit", refunded_transaction_id="t1")
    for one in (sale, refund):
        url = f"{braintree.BASE}/merchants/m1/transactions/{one['id']}"
        api.get(url, body=braintree.xml_of(one), headers={"Date": DATE["Date"]})


def anet_story() -> Iterator[Inbound]:
    """Captured, and a refund that names only itself."""
    steps = [("payment.authcapture.created", {"authAmount": 44.7}), ("payment.refund.created", {"id": "601", "authAmount": 4.7})]
    for second, (kind, payload) in enumerate(steps):
        body = json.dumps({**anet.event(kind, **payload), "notificationId": f"n-{second}", "eventDate": at(second)}).encode()
        yield Inbound({"x-anet-signature": anet.sign(body)}, body, "", AT)


def anet_has(api: responses.RequestsMock) -> None:
    which = {"transId": "601", "refTransId": "600", "transactionType": "refundTransaction", "settleAmount": 4.7}
    refund = anet.details("refundSettledSuccessfully", **which)
    api.post(anet.URL, json={"transaction": refund, "messages": anet.OK}, headers=DATE)


def nothing(api: responses.RequestsMock) -> None:
    """Nobody is asked."""


Parts = set[tuple[str, int, bool]]
PAID: Parts = {("capture", 4470, True), ("refund", 470, True)}
DEFENDED: Parts = {*PAID, ("dispute", 4470, False)}
STORIES: dict[str, tuple[Callable[[], Iterator[Inbound]], Callable[[responses.RequestsMock], None], Parts]] = {
    "mollie": (mollie_story, nothing, {*DEFENDED, ("refund", 470, False)}),
    "razorpay": (razorpay_story, nothing, DEFENDED),
    "standardwebhooks": (standardwebhooks_story, nothing, DEFENDED),
    "gocardless": (gocardless_story, gocardless_has, PAID),
    "klarna": (klarna_story, klarna_has, PAID),
    "braintree": (braintree_story, braintree_has, PAID),
    "authorizenet": (anet_story, anet_has, PAID),
}


def wired(name: str) -> Connection:
    """A connection that its provider's own tests made, under its own name."""
    made: dict[str, Connection] = {
        "mollie": mollie.connector("s1").connection,
        "razorpay": razorpay.connector("s1").connection,
        "standardwebhooks": Connection("x", "standardwebhooks", secrets=(secret(WHSEC),), options={"topics": TOPICS, "tolerance": 10**9}),
        "gocardless": gocardless.connector("s1").connection,
        "klarna": klarna.connector("s1").connection,
        "braintree": braintree.connector(braintree.PRIVATE).connection,
        "authorizenet": anet.connector("s1", currency="EUR").connection,
    }
    return made[name]


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("name", sorted(STORIES))
def test_a_payment_ends_as_its_provider_has_it(name: str, seed: int | None, database_url: str) -> None:
    story, has, expected = STORIES[name]
    requests = list(story())
    if seed is not None:
        requests = random.Random(seed).sample(requests * 2, len(requests) * 2)
    known, mine = connections(), wired(name)
    world = World(database_url, connections={"shop": known["shop"], "erp": known["erp"], mine.name: mine}, store={"payments": (mine.name,)})
    runtime = world.runtime()
    place(runtime, "uuid-1")
    with responses.RequestsMock(assert_all_requests_are_fired=False) as api:
        has(api)
        for number, request in enumerate(requests):
            inbox.receive(runtime, mine.name, request)
            if number % 3 == 0:
                inbox.decide(runtime, "payments")
                inbox.decide(runtime, "orders")
        drain(runtime)
    assert rows(runtime, "SELECT state, topic, cause FROM events WHERE connection = :name AND state <> 'decided'", name=mine.name) == []
    assert set(rows(runtime, "SELECT kind, amount_minor, counts FROM payment_parts")) == expected
    assert rows(runtime, "SELECT state, amount_minor FROM payments") == [("partially_refunded", 4470)]
    assert rows(runtime, "SELECT payment_state FROM orders") == [("partially_refunded",)]
    runtime.close()
