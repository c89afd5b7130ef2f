"""What the shop is told: payments where we are their writer, parcels, answers to pings; and what its signals leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from mappings.canonical import FulfilmentChange, FulfilmentState, Shipment
from middleware import inbox, routes
from middleware.domain.keys import order_key
from middleware.runtime import Runtime
from middleware.work import Cause, Work
from tests.world import World, connections, hear, inbound, intent_event, order_event, place, refund_event, rows, sign_shop


@pytest.fixture
def runtime(database_url: str) -> Iterator[Runtime]:
    made = connections()
    made["stripe"] = replace(made["stripe"], payment_writer="own")
    runtime = World(database_url, connections=made).runtime()
    yield runtime
    runtime.close()


def decide(runtime: Runtime) -> None:
    for lane in ("orders", "payments"):
        while inbox.decide(runtime, lane):
            pass


def asked(runtime: Runtime, operation: str) -> list[dict[str, Any]]:
    """The payloads of a kind of call, oldest first, and whether each still stands."""
    found = rows(runtime, "SELECT key, payload, state FROM calls WHERE operation = :o ORDER BY id", o=operation)
    return [{**msgspec.json.decode(runtime.vault.open(payload, key)), "call": state} for key, payload, state in found]


def say(runtime: Runtime, kind: str, data: dict[str, Any], message: str) -> None:
    body = json.dumps({"type": kind, "timestamp": "2026-11-22T01:00:00+00:00", "correlation_id": "c", "data": data}).encode()
    inbox.receive(runtime, "shop", inbound(sign_shop(body, message), body))


def test_each_state_of_a_payment_is_written_where_we_are_its_writer(runtime: Runtime) -> None:
    place(runtime, "uuid-1", payment="pi_1")
    hear(runtime, intent_event("pi_1", kind="payment_intent.created", status="requires_payment_method", created=1_000))
    hear(runtime, intent_event("pi_1", kind="payment_intent.amount_capturable_updated", status="requires_capture", created=1_001))
    hear(runtime, intent_event("pi_1", created=1_002))
    hear(runtime, refund_event("pi_1", "re_1", 470, created=1_003))
    decide(runtime)
    told = [(one["state"], one["captured"], one["refunded"], one["at"][-14:]) for one in asked(runtime, "write_payment")]
    assert told == [
        ("authorized", 0, 0, "00:16:41+00:00"),
        ("captured", 4470, 0, "00:16:42+00:00"),
        ("partially_refunded", 4470, 470, "00:16:43+00:00"),
    ]
    lanes = rows(runtime, "SELECT DISTINCT lane, subject FROM calls WHERE operation = 'write_payment'")
    assert lanes == [("payments", "order/uuid-1/payments")]


def test_what_changes_nothing_is_not_written_again(runtime: Runtime) -> None:
    place(runtime, "uuid-1", payment="pi_1")
    hear(runtime, intent_event("pi_1", created=1_002))
    decide(runtime)
    hear(runtime, intent_event("pi_1", event="evt_again", created=1_003))
    decide(runtime)
    assert len(asked(runtime, "write_payment")) == 1


def test_an_observed_connection_writes_no_payment(database_url: str) -> None:
    runtime = World(database_url).runtime()
    place(runtime, "uuid-1", payment="pi_1")
    hear(runtime, intent_event("pi_1"))
    decide(runtime)
    assert asked(runtime, "write_payment") == []
    runtime.close()


def test_the_newest_list_of_parcels_replaces_one_that_waits(runtime: Runtime) -> None:
    place(runtime, "uuid-1")
    decide(runtime)
    for number, codes in enumerate([("1Z1",), ("1Z1", "1Z2")], start=1):
        parcels = tuple(Shipment(f"SH{index}", tracking_code=code) for index, code in enumerate(codes))
        at = datetime(2026, 11, 22, number, tzinfo=UTC)
        change = FulfilmentChange("17", "SO17", FulfilmentState.PARTIALLY_SHIPPED, at, "uuid-1", shipments=parcels)
        with runtime.sessions.begin() as session:
            work = Work(session, runtime.settings, runtime.vault, runtime.now())
            work.load([order_key("shop", "uuid-1")], [])
            work.begin(Cause("erp", "test", (order_key("shop", "uuid-1"),), number))
            routes.follow(change, work)
            work.flush()
    told = [([s["tracking_code"] for s in one["shipments"]], one["call"]) for one in asked(runtime, "add_shipments")]
    assert told == [(["1Z1"], "superseded"), (["1Z1", "1Z2"], "pending")]


def test_a_ping_is_answered_once(runtime: Runtime) -> None:
    say(runtime, "site.ping", {"ping": "p1"}, "m1")
    say(runtime, "site.ping", {"ping": "p1"}, "m2")
    decide(runtime)
    assert asked(runtime, "answer_ping") == [{"ping": "p1", "call": "pending"}]


def test_of_one_version_the_higher_number_counts(runtime: Runtime) -> None:
    place(runtime, "uuid-1", "m1", version=3, sequence=5, total="44.70")
    place(runtime, "uuid-1", "m2", version=3, sequence=4, total="11.00")
    place(runtime, "uuid-1", "m3", version=2, sequence=9, total="12.00")
    decide(runtime)
    assert rows(runtime, "SELECT version, sequence, total_minor FROM orders") == [(3, 5, 4470)]
    place(runtime, "uuid-1", "m4", version=3, sequence=6, total="45.00")
    decide(runtime)
    assert rows(runtime, "SELECT version, sequence, total_minor FROM orders") == [(3, 6, 4500)]


def test_a_total_that_was_shown_and_not_charged_is_on_the_orders_timeline(runtime: Runtime) -> None:
    def counted(verdict: str) -> float:
        return REGISTRY.get_sample_value("waybill_totals_shown_total", {"shop": "shop", "verdict": verdict}) or 0.0

    before = counted("same"), counted("different")
    inbox.receive(runtime, "shop", inbound(sign_shop(order_event("uuid-1"), "m1"), order_event("uuid-1")))
    decide(runtime)
    shown = {"number": "44.70", "currency_code": "EUR"}
    say(runtime, "checkout.total", {"signal": {"order": "uuid-1", "shown": shown, "charged": shown}}, "m2")
    say(runtime, "checkout.total", {"signal": {"order": "uuid-1", "shown": {**shown, "number": "40"}, "charged": shown}}, "m3")
    decide(runtime)
    assert (counted("same") - before[0], counted("different") - before[1]) == (1, 1)
    found = rows(runtime, "SELECT was, becomes, detail, order_id IS NOT NULL FROM transitions WHERE thing = 'total'")
    assert found == [("40.00 EUR", "44.70 EUR", "shown and charged differ", True)]
    events = rows(runtime, "SELECT state, detail FROM events WHERE topic = 'checkout.total' ORDER BY id")
    assert events == [("decided", None), ("decided", "the customer was shown 40.00 EUR and charged 44.70 EUR")]
