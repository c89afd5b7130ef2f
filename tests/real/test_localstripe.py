"""Deliveries of localstripe, made through the official SDK and received over HTTP, and operations of our own there: each delivery
verifies, and what we know of a payment is what localstripe says of it.

localstripe knows no idempotency keys, no event of an authorization, a refund or a release: what happens once when an answer is lost,
and those webhooks, are tested with our own simulator (tests/payments/test_operations.py)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests
import stripe
from sqlalchemy import text

from mappings.canonical import Money
from middleware import inbox, sweep
from middleware.payments import asking
from middleware.payments.asking import NotAsked
from middleware.process import Embedded
from middleware.runtime import Runtime
from middleware.settings import Web
from middleware.testing import secret, settings
from tests.real.localstripe_server import KEY, Localstripe
from tests.real.programs import eventually
from tests.world import STRIPE_SECRET, connections, inbound, order_event, sign_shop, sign_stripe, stores

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

VISA, NEEDS_3DS, DECLINED = "4242424242424242", "4000002500003155", "4000000000000341"
AMOUNT = 4470
"""Minor units of every order here."""


@dataclass
class Till:
    """A Waybill that listens, localstripe, and the official SDK as the shop's payment module."""

    runtime: Runtime
    url: str
    client: stripe.StripeClient
    localstripe: Localstripe

    def intent(self, card: str, **more: Any) -> Any:
        """An order of 44.70 EUR that is known to Waybill, and its payment intent, not confirmed."""
        details = {"number": card, "exp_month": 12, "exp_year": 2040, "cvc": "123"}
        method = self.client.v1.payment_methods.create({"type": "card", "card": details})
        intent = self.client.v1.payment_intents.create({"amount": AMOUNT, "currency": "eur", "payment_method": method.id, **more})
        order = str(uuid.uuid4())
        body = order_event(order, number=order[:8], payment=intent.id, total="44.70")
        answer = requests.post(f"{self.url}/webhooks/shop", data=body, headers=sign_shop(body, f"msg_{order}"), timeout=10)
        assert answer.status_code == 200, answer.text
        return intent

    def confirm(self, intent: Any) -> Any:
        return self.client.v1.payment_intents.confirm(intent.id)

    def heard(self, intent: Any) -> list[str]:
        """The topics that were received of the intent and decided, oldest first."""
        query = text("SELECT topic FROM events WHERE connection = 'stripe' AND subject = :intent AND state = 'decided' ORDER BY id")
        with self.runtime.engine.connect() as connection:
            return list(connection.execute(query, {"intent": intent.id}).scalars())

    def ours(self, intent: Any) -> tuple[str, str, int, int, str]:
        """The payment's and its order's state, the amount, what was captured, and how it failed, as Waybill has them."""
        query = text(
            "SELECT p.state, o.payment_state, p.amount_minor,"
            " coalesce(sum(t.amount_minor) FILTER (WHERE t.kind = 'capture' AND t.counts), 0),"
            " p.outcome || ' ' || p.raw_code FROM payments p JOIN orders o ON o.id = p.order_id"
            " LEFT JOIN payment_parts t ON t.payment_id = p.id WHERE p.remote_id = :intent GROUP BY p.id, o.id"
        )
        with self.runtime.engine.connect() as connection:
            row = connection.execute(query, {"intent": intent.id}).one()
        return row[0], row[1], int(row[2]), int(row[3]), row[4].strip()

    def theirs(self, intent: Any) -> tuple[str, int, int]:
        """Status, amount and what was captured, as `GET /v1/payment_intents/<id>` says; the rest of a partial capture is a refund there."""
        found = self.client.v1.payment_intents.retrieve(intent.id)
        charge = found.latest_charge
        captured = charge.amount - charge.amount_refunded if charge and charge.captured and charge.status == "succeeded" else 0
        return found.status, found.amount, captured

    def look(self, intent: Any) -> None:
        """A thin event, which localstripe does not send, names the intent: it is asked for."""
        related = {"id": intent.id, "type": "payment_intent"}
        event = {"object": "v2.core.event", "id": f"evt_{uuid.uuid4().hex}", "type": "v1.payment_intent.changed", "livemode": False}
        body = json.dumps({**event, "related_object": related}).encode()
        answer = requests.post(f"{self.url}/webhooks/stripe", data=body, headers=sign_stripe(body), timeout=10)
        assert answer.status_code == 200, answer.text

    def authorized(self, card: str = VISA) -> Any:
        """An order whose payment waits to be captured, here and there."""
        intent = self.intent(card, capture_method="manual")
        confirmed = self.confirm(intent)
        if confirmed.status == "requires_action":
            self.localstripe.authenticate(confirmed)
        self.look(intent)
        eventually(lambda: self.balance(intent) == ("authorized", 0, 0), "the authorization is known")
        assert self.balance_there(intent) == ("requires_capture", 0, 0)
        return intent

    def ask(self, what: str, intent: Any, cents: int | None = None) -> None:
        """Ask for an operation of ours and wait until its call came to its end."""
        key = asking.ask(self.runtime, "stripe", intent.id, what, amount=Money(cents, "EUR") if cents else None)
        query = text("SELECT state FROM calls WHERE key = :key AND state IN ('done', 'rejected', 'dead')")

        def ended() -> Any:
            with self.runtime.engine.connect() as connection:
                return connection.execute(query, {"key": key}).scalar()

        eventually(ended, f"the {what} ends")
        assert ended() == "done"

    def balance(self, intent: Any) -> tuple[str, int, int] | None:
        """The payment's state, what was captured and what was given back, as Waybill has them; None while it is not known."""
        query = text(
            "SELECT p.state, coalesce(sum(t.amount_minor) FILTER (WHERE t.kind = 'capture' AND t.counts), 0),"
            " coalesce(sum(t.amount_minor) FILTER (WHERE t.kind = 'refund' AND t.counts), 0)"
            " FROM payments p LEFT JOIN payment_parts t ON t.payment_id = p.id WHERE p.remote_id = :intent GROUP BY p.id"
        )
        with self.runtime.engine.connect() as connection:
            row = connection.execute(query, {"intent": intent.id}).one_or_none()
        return (row[0], int(row[1]), int(row[2])) if row else None

    def balance_there(self, intent: Any) -> tuple[str, int, int]:
        """Status, captured and given back there, where the rest of a partial capture is a refund that names no intent."""
        found = self.client.v1.payment_intents.retrieve(intent.id)
        charge = found.latest_charge
        refunds = charge.refunds.data if charge else []
        given_back = sum(refund.amount for refund in refunds if refund.payment_intent)
        rest = sum(refund.amount for refund in refunds if not refund.payment_intent)
        return found.status, charge.amount - rest if charge and charge.captured else 0, given_back

    def verify_all(self) -> int:
        """Every delivery that was kept verifies with the official SDK and with our connector; returns how many there are."""
        query = text(
            "SELECT e.delivery_id, e.topic, b.body FROM events e JOIN event_bodies b ON b.event_id = e.id AND b.kept_at = e.kept_at"
            " WHERE e.connection = 'stripe'"
        )
        with self.runtime.engine.connect() as connection:
            kept = connection.execute(query).all()
        for identity, topic, sealed in kept:
            headers, payload = inbox.unpack(self.runtime.vault.open(sealed, "stripe", identity))
            event = stripe.Webhook.construct_event(payload, headers["stripe-signature"], STRIPE_SECRET)
            assert (event.id, event.type) == (identity, topic)
            (delivery,) = self.runtime.connector("stripe").read(inbound(headers, payload))
            assert (delivery.delivery_id, delivery.topic, delivery.payload) == (identity, topic, payload)
        return len(kept)

    def fence(self) -> None:
        """Pay once more and wait for it: what localstripe had to send before that has arrived."""
        intent = self.intent(VISA)
        self.confirm(intent)
        eventually(lambda: self.heard(intent), "the fence arrives")


@pytest.fixture
def till(localstripe: Localstripe, database_url: str) -> Iterator[Till]:
    api = replace(connections()["stripe"], base_url=localstripe.url, credentials={"api_key": secret(KEY)})
    runtime = Runtime(settings(database_url, {**connections(), "stripe": api}, stores(erp=""), web=Web(port=0, threads=4)))
    with Embedded(runtime) as waybill, requests.Session() as session:
        localstripe.send_webhooks_to(f"{waybill.url}/webhooks/stripe", STRIPE_SECRET)
        http_client = stripe.RequestsClient(session=session)
        client = stripe.StripeClient(KEY, base_addresses={"api": localstripe.url}, http_client=http_client)
        yield Till(runtime, waybill.url, client, localstripe)


def test_an_automatic_capture_is_captured_here(till: Till) -> None:
    intent = till.intent(VISA)
    assert till.confirm(intent).status == "succeeded"
    eventually(lambda: till.heard(intent), "the delivery is decided")
    assert till.heard(intent) == ["payment_intent.succeeded"]
    assert till.ours(intent) == ("captured", "paid", AMOUNT, AMOUNT, "")
    assert till.theirs(intent) == ("succeeded", AMOUNT, AMOUNT)
    assert till.verify_all() == 1


def test_a_partial_capture_is_partial_here(till: Till) -> None:
    intent = till.intent(VISA, capture_method="manual")
    assert till.confirm(intent).status == "requires_capture"
    till.fence()
    assert till.heard(intent) == []  # localstripe says nothing of an authorization
    till.client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 3000})
    eventually(lambda: till.heard(intent), "the delivery is decided")
    assert till.ours(intent) == ("partially_captured", "partially_paid", AMOUNT, 3000, "")
    assert till.theirs(intent) == ("succeeded", AMOUNT, 3000)
    assert till.verify_all() == 2


def test_localstripe_says_nothing_of_a_refund(till: Till) -> None:
    """A limit of localstripe, not of Stripe: how refunds are heard is tested with our own simulator."""
    intent = till.intent(VISA)
    till.confirm(intent)
    eventually(lambda: till.heard(intent), "the delivery is decided")
    refund = till.client.v1.refunds.create({"payment_intent": intent.id, "amount": 1000})
    assert (refund.status, refund.amount) == ("succeeded", 1000)
    till.fence()
    assert till.heard(intent) == ["payment_intent.succeeded"]
    assert till.ours(intent) == ("captured", "paid", AMOUNT, AMOUNT, "")
    assert till.verify_all() == 2


def test_a_card_that_needs_3d_secure_is_captured_after_it(till: Till) -> None:
    intent = till.intent(NEEDS_3DS)
    confirmed = till.confirm(intent)
    assert confirmed.status == "requires_action"
    till.fence()
    assert till.heard(intent) == []  # localstripe says nothing of it until the buyer has passed
    till.localstripe.authenticate(confirmed)
    eventually(lambda: till.heard(intent), "the delivery is decided")
    assert till.ours(intent) == ("captured", "paid", AMOUNT, AMOUNT, "")
    assert till.theirs(intent) == ("succeeded", AMOUNT, AMOUNT)
    assert till.verify_all() == 2


def test_a_declined_card_is_a_failed_payment_here(till: Till) -> None:
    intent = till.intent(DECLINED)
    with pytest.raises(stripe.CardError):
        till.confirm(intent)
    eventually(lambda: till.heard(intent), "the delivery is decided")
    assert till.heard(intent) == ["payment_intent.payment_failed"]
    assert till.ours(intent) == ("failed", "failed", AMOUNT, 0, "declined card_declined")
    assert till.theirs(intent) == ("requires_payment_method", AMOUNT, 0)
    assert till.verify_all() == 1


def test_a_delivery_that_was_changed_on_its_way_verifies_nowhere(till: Till) -> None:
    intent = till.intent(VISA)
    till.confirm(intent)
    eventually(lambda: till.heard(intent), "the delivery is decided")
    with till.runtime.engine.connect() as connection:
        query = text("SELECT e.delivery_id, b.body FROM events e JOIN event_bodies b ON b.event_id = e.id WHERE e.connection = 'stripe'")
        identity, sealed = connection.execute(query).one()
    headers, payload = inbox.unpack(till.runtime.vault.open(sealed, "stripe", identity))
    changed = payload.replace(b"4470", b"4471")
    assert changed != payload
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(changed, headers["stripe-signature"], STRIPE_SECRET)
    answer = requests.post(f"{till.url}/webhooks/stripe", data=changed, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "signature")


def test_a_part_is_captured_and_given_back_in_two_parts_by_operations_of_ours(till: Till) -> None:
    intent = till.authorized()
    till.ask("capture", intent, 3000)
    eventually(lambda: till.heard(intent)[-1:] == ["payment_intent.fetched"], "it is asked how the payment is")
    assert till.balance(intent) == ("partially_captured", 3000, 0)
    assert till.balance_there(intent) == ("succeeded", 3000, 0)
    till.ask("refund", intent, 1000)
    assert till.balance(intent) == ("partially_refunded", 3000, 1000)
    assert till.balance_there(intent) == ("succeeded", 3000, 1000)
    with pytest.raises(NotAsked, match=r"only 20\.00 EUR is left to refund"):
        till.ask("refund", intent, 2001)
    till.ask("refund", intent)
    till.fence()
    assert till.balance(intent) == ("refunded", 3000, 3000)
    assert till.balance_there(intent) == ("succeeded", 3000, 3000)


def test_a_refund_that_the_shop_made_itself_is_known_once_the_payment_is_asked_for(till: Till) -> None:
    intent = till.intent(VISA)
    till.confirm(intent)
    eventually(lambda: till.heard(intent), "the delivery is decided")
    till.client.v1.refunds.create({"payment_intent": intent.id, "amount": 1000})
    till.look(intent)
    eventually(lambda: till.balance(intent) == ("partially_refunded", AMOUNT, 1000), "the refund is known")
    assert till.balance_there(intent) == ("succeeded", AMOUNT, 1000)


def test_a_hold_is_released_by_an_operation_of_ours(till: Till) -> None:
    intent = till.authorized()
    till.ask("void", intent)
    till.fence()
    assert till.balance(intent) == ("voided", 0, 0)
    assert till.balance_there(intent) == ("canceled", 0, 0)


def test_what_was_authorized_after_3d_secure_is_captured_by_an_operation_of_ours(till: Till) -> None:
    intent = till.authorized(NEEDS_3DS)
    till.ask("capture", intent)
    till.fence()
    assert till.balance(intent) == ("captured", AMOUNT, 0)
    assert till.balance_there(intent) == ("succeeded", AMOUNT, 0)


def test_of_a_declined_card_nothing_can_be_taken_or_given_back(till: Till) -> None:
    intent = till.intent(DECLINED, capture_method="manual")
    with pytest.raises(stripe.CardError):
        till.confirm(intent)
    eventually(lambda: till.balance(intent) == ("failed", 0, 0), "the decline is known")
    for what in ("capture", "void", "refund"):
        with pytest.raises(NotAsked):
            till.ask(what, intent)
    assert till.balance_there(intent) == ("requires_payment_method", 0, 0)


def test_a_delivery_that_never_came_is_filled_in_from_the_list_of_events(till: Till) -> None:
    till.localstripe.send_webhooks_to("http://127.0.0.1:9/nobody", STRIPE_SECRET)
    intent = till.intent(VISA)
    till.confirm(intent)
    eventually(lambda: till.balance_there(intent) == ("succeeded", AMOUNT, 0), "it is paid there")
    assert till.balance(intent) is None
    polled = sweep.poll(till.runtime, "stripe", at_once=True)
    assert (polled is not None, polled and polled.failure) == (True, "")
    eventually(lambda: till.balance(intent) == ("captured", AMOUNT, 0), "the event is decided")
