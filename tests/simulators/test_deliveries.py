"""The sender of webhooks: everything arrives, mischief is always extra, and official libraries accept the signatures."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import standardwebhooks
import stripe

from middleware.simulators import signatures
from middleware.simulators.deliveries import Deliverer, DeliveryReport, Kind, Mischief, Posting, tampered

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def stripe_judge(headers, body):
    try:
        stripe.WebhookSignature.verify_header(body.decode(), headers["stripe-signature"], SECRET, 300)
    except stripe.SignatureVerificationError:
        return 400
    return 200


def standard_judge(headers, body):
    try:
        standardwebhooks.Webhook(SECRET).verify(body, headers)
    except standardwebhooks.WebhookVerificationError:
        return 401
    return 200


def deliver(receiver, sign, messages, **options):
    """Queue all, then send one at a time; returns what the deliverer did."""
    deliverer = Deliverer(receiver.url, sign, SECRET, workers=1, backoff=(0.001, 0.001), **options)
    for message_id, body in messages:
        deliverer.send(message_id, body)
    deliverer.start()
    assert deliverer.drain(10)
    deliverer.stop()
    return deliverer


def messages(count):
    return [(f"evt_{n}", json.dumps({"id": f"evt_{n}", "n": n}).encode()) for n in range(count)]


@pytest.mark.parametrize(("sign", "judge"), [(signatures.stripe, stripe_judge), (signatures.standard_webhooks, standard_judge)])
def test_the_official_library_accepts_every_genuine_delivery_and_refuses_every_bad_one(receiver, sign, judge):
    receiver.judge = judge
    done = deliver(receiver, sign, messages(5), mischief=Mischief(duplicate=1, stale=1, tampered=1, forged=1))
    assert done.report() == DeliveryReport(messages=5, sent=25, duplicates=5, accepted=5, refused_on_purpose=15)
    verdicts = Counter((posting.kind, posting.status) for posting in done.postings)
    refused = (judge is stripe_judge and 400) or 401
    assert verdicts == {
        (Kind.GENUINE, 200): 5,
        (Kind.DUPLICATE, 200): 5,
        (Kind.STALE, refused): 5,
        (Kind.TAMPERED, refused): 5,
        (Kind.FORGED, refused): 5,
    }


def test_a_message_that_is_not_accepted_is_posted_again_unchanged(receiver):
    receiver.statuses = [500, 404]
    done = deliver(receiver, signatures.standard_webhooks, messages(1))
    assert done.report() == DeliveryReport(messages=1, sent=3, retries=2, accepted=1)
    assert [(headers["webhook-id"], body) for headers, body in receiver.received] == messages(1) * 3


def test_a_message_that_nobody_takes_is_given_up_and_counted(receiver):
    receiver.judge = lambda headers, body: 503
    done = deliver(receiver, signatures.stripe, messages(1))
    assert done.report() == DeliveryReport(messages=1, sent=3, retries=2, undelivered=1)
    assert not done.accepted("evt_0")


def test_an_unreachable_receiver_is_tried_again(receiver):
    receiver.stop()
    done = deliver(receiver, signatures.stripe, messages(1))
    assert done.postings == [Posting("evt_0", Kind.GENUINE, None)] * 3


def test_a_bad_delivery_that_is_accepted_is_counted_apart(receiver):
    done = deliver(receiver, signatures.stripe, messages(2), mischief=Mischief(forged=1))
    assert done.report() == DeliveryReport(messages=2, sent=4, accepted=2, wrongly_accepted=2)


def test_a_shuffle_moves_waiting_messages_at_most_its_width(receiver):
    done = deliver(receiver, signatures.stripe, messages(50), mischief=Mischief(shuffle=4), seed=3)
    order = [int(posting.message_id.removeprefix("evt_")) for posting in done.postings]
    assert sorted(order) == list(range(50))
    assert 0 < max(abs(place - number) for place, number in enumerate(order)) <= 4


def test_delayed_messages_all_arrive(receiver):
    done = deliver(receiver, signatures.stripe, messages(20), mischief=Mischief(delay=0.05))
    assert done.report() == DeliveryReport(messages=20, sent=20, accepted=20)
    assert [posting.message_id for posting in done.postings] != [message_id for message_id, _ in messages(20)]


def test_what_was_queued_while_stopped_is_sent_after_a_start(receiver):
    done = deliver(receiver, signatures.stripe, messages(1))
    done.send("evt_9", b"{}")
    assert not done.drain(0)
    done.start()
    assert done.drain(10)
    done.stop()
    assert done.report() == DeliveryReport(messages=2, sent=2, accepted=2)


def test_a_tampered_body_is_still_json_of_the_same_shape():
    assert json.loads(tampered(b'{"amount": 120, "list": []}')) == {"amount": 127, "list": []}
