"""No card number, CVC or track is stored or logged readably: every table and every log line of a run that was fed with them is searched."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import psycopg
import pytest

from middleware import inbox, observing, outbox
from middleware.errors import Refused
from middleware.runtime import Runtime
from middleware.simulators.stripe import StripeSimulator
from tests.world import STRIPE_SECRET, World, hear, inbound, intent_event, order_event, rows, sign_shop, sign_stripe

PAN = "4242424242424242"
SPACED = "4242 4242 4242 4242"
TRACK = ";4242424242424242=30121011000012345678?"
CVC = "cvc9173"
FED = (PAN, SPACED, "30121011000012345678", CVC)


@pytest.fixture
def runtime(database_url: str) -> Iterator[Runtime]:
    made = World(database_url, store={"erp": "erp"}).runtime()
    observing.configure(made.settings)
    yield made
    made.close()


def fed() -> list[bytes]:
    """What a careless shop or provider may send: cards wherever a text can be."""
    intent = json.loads(intent_event("pi_1", order="uuid-1"))
    intent["data"]["object"]["metadata"] |= {"note": f"card {PAN} {CVC}", "track": TRACK}
    intent["data"]["object"]["payment_method_details"] = {"card": {"number": PAN, "cvc": CVC}}
    failed = json.loads(intent_event("pi_2", kind="payment_intent.payment_failed", status="requires_payment_method", order="uuid-1"))
    failed["data"]["object"]["last_payment_error"] = {"code": PAN, "decline_code": SPACED, "message": f"Your card {SPACED} was declined"}
    about = {"id": "pi_3", "amount": PAN, "currency": CVC, "status": PAN}
    unread = {"id": "evt_3", "type": "payment_intent.succeeded", "created": 1, "livemode": False, "data": {"object": about}}
    return [json.dumps(one).encode() for one in (intent, failed, unread)]


def everything_stored(runtime: Runtime) -> Iterator[tuple[str, str]]:
    """Every table with all of its rows, as text."""
    tables = [row[0] for row in rows(runtime, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    with psycopg.connect(runtime.settings.database.url.replace("+psycopg", "")) as connection:
        for table in tables:
            with connection.cursor().copy(f'COPY (SELECT * FROM "{table}") TO STDOUT') as copy:  # type: ignore[arg-type]
                yield table, b"".join(bytes(part) for part in copy).decode()


def test_a_card_leaves_no_trace_that_can_be_read(
    runtime: Runtime, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    order = json.loads(order_event("uuid-1", payment="pi_1"))
    order["data"]["order"]["comments"] = f"please charge {SPACED}, {CVC}"
    inbox.receive(runtime, "shop", inbound(sign_shop(json.dumps(order).encode(), "m1"), json.dumps(order).encode()))
    for body in fed():
        hear(runtime, body)
    for body in fed():
        with pytest.raises(Refused):
            inbox.receive(runtime, "stripe", inbound({**sign_stripe(body), "stripe-signature": f"t=1,v1={PAN}"}, body))
    runtime.refusals.note("stripe", "signature", f"no signature matches {PAN}", {"x-card": PAN, "x-track": TRACK}, 3, runtime.now())
    for lane in ("orders", "payments"):
        while inbox.decide(runtime, lane):
            pass
    outbox.make(runtime, "orders")
    runtime.refusals.flush(runtime.engine)
    stored = dict(everything_stored(runtime))
    assert {"events", "event_bodies_2026_11", "payments", "transitions"} & set(stored)
    assert rows(runtime, "SELECT count(*) > 2 FROM events") == [(True,)]
    lines = [(table, line) for table, content in stored.items() for line in content.splitlines()]
    assert [(table, line) for table, line in lines if any(text in line for text in FED)] == []
    printed = capsys.readouterr()
    said = caplog.text + printed.out + printed.err
    assert [text for text in FED if text in said] == []


def test_a_key_is_stored_nowhere_either(runtime: Runtime) -> None:
    with StripeSimulator(secret=STRIPE_SECRET, seed=1):
        hear(runtime, fed()[0])
    secrets = [secret.reveal() for one in runtime.settings.connections.values() for secret in (*one.secrets, *one.credentials.values())]
    secrets += [key.reveal() for key in runtime.settings.keys]
    content = "".join(text for _, text in everything_stored(runtime))
    assert [number for number, text in enumerate(secrets) if text in content] == []
