"""The simulated Stripe: the official SDK reads its API, and each move emits the events that Stripe would."""

from __future__ import annotations

import json

import pytest
import requests
import stripe

from middleware.simulators.deliveries import DeliveryReport, Mischief
from middleware.simulators.stripe import StripeSimulator

SECRET = "whsec_test"
META = {"order_id": "b1b93135-bb19-471d-b87d-95dfd5e73ab7"}


@pytest.fixture
def simulator():
    with StripeSimulator(secret=SECRET, clock=lambda: 1_795_000_000.5, seed=1) as started:
        yield started


@pytest.fixture
def client(simulator):
    http = stripe.RequestsClient(session=requests.Session())
    yield stripe.StripeClient("sk_test_simulated", base_addresses={"api": simulator.url}, http_client=http, max_network_retries=0)
    http.close()


def kinds(simulator):
    return [event["type"] for event in simulator.events]


def last(simulator, kind):
    return next(event["data"]["object"] for event in reversed(simulator.events) if event["type"] == kind)


def test_a_capture_of_part_is_told_by_the_intent_and_by_the_charge(simulator):
    intent = simulator.create_intent(5000, "EUR", META)
    simulator.authorize(intent)
    held = simulator.intent(intent)
    simulator.capture(intent, 3000)
    assert kinds(simulator) == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
    ]
    names = ("status", "amount", "amount_capturable", "amount_received", "currency", "metadata")
    assert [held[name] for name in names] == ["requires_capture", 5000, 5000, 0, "eur", META]
    assert [last(simulator, "payment_intent.succeeded")[name] for name in names] == ["succeeded", 5000, 0, 3000, "eur", META]
    charge = last(simulator, "charge.captured")
    assert [charge[name] for name in ("amount", "amount_captured", "captured", "payment_intent")] == [5000, 3000, True, intent]
    assert charge["id"] == held["latest_charge"]


def test_refunds_add_up_to_what_was_captured(simulator):
    intent = simulator.create_intent(5000, "EUR", META, capture_method="automatic")
    simulator.capture(intent)
    first, second = simulator.refund(intent, 2000), simulator.refund(intent)
    charges = [event["data"] for event in simulator.events if event["type"] == "charge.refunded"]
    assert kinds(simulator)[1:] == ["charge.succeeded", "payment_intent.succeeded"] + ["refund.created", "charge.refunded"] * 2
    assert [(data["object"]["amount_refunded"], data["object"]["refunded"]) for data in charges] == [(2000, False), (5000, True)]
    assert [data["previous_attributes"]["amount_refunded"] for data in charges] == [0, 2000]
    assert [refund["id"] for refund in charges[1]["object"]["refunds"]["data"]] == [second, first]
    with pytest.raises(ValueError, match="cannot refund 1 of 0"):
        simulator.refund(intent, 1)


def test_a_declined_payment_may_be_tried_again(simulator):
    intent = simulator.create_intent(100, "USD", {})
    simulator.require_action(intent)
    simulator.fail(intent, "insufficient_funds")
    error = last(simulator, "payment_intent.payment_failed")["last_payment_error"]
    simulator.authorize(intent)
    assert (error["code"], error["decline_code"]) == ("card_declined", "insufficient_funds")
    assert kinds(simulator)[1:4] == ["payment_intent.requires_action", "charge.failed", "payment_intent.payment_failed"]
    assert simulator.intent(intent)["last_payment_error"] is None


def test_a_cancelled_hold_takes_nothing(simulator):
    intent = simulator.create_intent(100, "USD", {})
    simulator.authorize(intent)
    simulator.cancel(intent)
    cancelled = last(simulator, "payment_intent.canceled")
    assert [cancelled[name] for name in ("status", "amount_received", "canceled_at")] == ["canceled", 0, 1_795_000_000]
    with pytest.raises(ValueError, match="is canceled, expected requires_capture"):
        simulator.capture(intent)


@pytest.mark.parametrize(("won", "status", "ends"), [(True, "won", ["closed", "funds_reinstated"]), (False, "lost", ["closed"])])
def test_a_dispute_is_opened_and_closed(simulator, won, status, ends):
    intent = simulator.create_intent(100, "USD", {}, capture_method="automatic")
    simulator.capture(intent)
    simulator.close_dispute(simulator.dispute(intent), won=won)
    assert kinds(simulator)[3:] == [f"charge.dispute.{name}" for name in ("created", "funds_withdrawn", *ends)]
    closed = last(simulator, "charge.dispute.closed")
    assert [closed[name] for name in ("status", "amount", "payment_intent")] == [status, 100, intent]


def test_the_official_sdk_reads_an_intent_and_refuses_a_wrong_key(simulator, client):
    intent = simulator.create_intent(5000, "EUR", META)
    simulator.authorize(intent)
    assert client.v1.payment_intents.retrieve(intent).to_dict() == simulator.intent(intent)
    with pytest.raises(stripe.InvalidRequestError, match="No such payment_intent: 'pi_nosuch'"):
        client.v1.payment_intents.retrieve("pi_nosuch")
    with pytest.raises(stripe.AuthenticationError):
        client.v1.payment_intents.retrieve(intent, options={"api_key": "sk_test_wrong"})


def test_the_official_sdk_walks_the_events_back_from_a_cursor(simulator, client):
    for _ in range(5):
        simulator.require_action(simulator.create_intent(100, "USD", {}))
    ids = [event["id"] for event in simulator.events]
    page = client.v1.events.list({"limit": 3})
    assert ([event.id for event in page.data], page.has_more) == (ids[:-4:-1], True)
    assert [event.id for event in page.auto_paging_iter()] == ids[::-1]
    newer = client.v1.events.list({"limit": 2, "ending_before": ids[4]})
    assert ([event.id for event in newer.data], newer.has_more) == ([ids[6], ids[5]], True)
    only = client.v1.events.list({"types": ["payment_intent.requires_action"]})
    assert [event.id for event in only.data] == ids[::-2]


def test_what_was_not_delivered_can_be_listed(simulator, client, receiver):
    receiver.statuses = [200]
    receiver.judge = lambda headers, body: 500
    deliverer = simulator.deliver_to(receiver.url, workers=1)
    simulator.require_action(simulator.create_intent(100, "USD", {}))
    deliverer.start()
    assert not deliverer.drain(0.2)
    deliverer.stop()
    missed = client.v1.events.list({"delivery_success": False})
    assert [event.id for event in missed.data] == [simulator.events[1]["id"]]


def test_the_official_sdk_constructs_each_delivered_event(simulator, receiver):
    deliverer = simulator.deliver_to(receiver.url, mischief=Mischief(duplicate=1), workers=1)
    intent = simulator.create_intent(5000, "EUR", META)
    simulator.authorize(intent)
    deliverer.start()
    assert deliverer.drain(10)
    deliverer.stop()
    built = [stripe.Webhook.construct_event(body, headers["stripe-signature"], SECRET) for headers, body in receiver.received]
    assert [event.type for event in built] == [kind for kind in kinds(simulator) for _ in range(2)]
    assert json.loads(receiver.received[-1][1]) == simulator.events[-1]
    assert deliverer.report() == DeliveryReport(messages=3, sent=6, duplicates=3, accepted=3)
