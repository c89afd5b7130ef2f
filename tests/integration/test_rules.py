"""The rules that keep the path correct, each with its test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from middleware import inbox, operations, outbox, sweep, timeline
from middleware.database import ensure_partitions
from middleware.errors import UnknownOutcome
from middleware.ports import Effect, Receipt
from middleware.runtime import Runtime
from middleware.settings import Work
from middleware.simulators.drupal.checkout import Line
from middleware.simulators.drupal.simulator import DrupalSimulator
from middleware.simulators.erp import ErpSimulator
from middleware.simulators.faults import Fault, FaultKind
from middleware.testing import drain
from middleware.vault import new_key
from middleware.work import Ask, Cause
from middleware.work import Work as UnitOfWork
from tests.world import World, connections, hear, inbound, order_event, pay, place, refund_event, rows, sign_shop

T = 1_700_000_000
DAY = 86_400


def order_states(runtime: Runtime) -> list[tuple[str, ...]]:
    return rows(runtime, "SELECT state, payment_state, export_state FROM orders ORDER BY id")


def events(runtime: Runtime) -> list[tuple[str, ...]]:
    return rows(runtime, "SELECT connection, state, cause FROM events WHERE connection <> 'erp' ORDER BY id")


def calls(runtime: Runtime) -> list[tuple[str, ...]]:
    return rows(runtime, "SELECT operation, state, attempts, cause FROM calls WHERE connection = 'erp' ORDER BY id")


def exported(erp: ErpSimulator) -> dict[str, int]:
    return {reference: len(found) for reference, found in erp.orders_by_reference().items()}


# Parking


def test_a_parked_event_dies_at_its_deadline_and_is_revived_when_its_order_appears_even_then(database_url: str, erp: ErpSimulator) -> None:
    world = World(database_url, erp, work=Work(park_for=3600))
    runtime = world.runtime()
    pay(runtime, "pi_1", order="uuid-1")
    drain(runtime)
    world.clock.forward(3590)
    drain(runtime)
    assert events(runtime) == [("stripe", "parked", "order_unknown")]
    world.clock.forward(20)
    drain(runtime)
    assert events(runtime) == [("stripe", "dead", "order_unknown")]
    assert operations.dead_events(runtime) == [("stripe", "order_unknown", 1)]
    place(runtime, "uuid-1")
    drain(runtime)
    assert events(runtime) == [("stripe", "decided", None), ("shop", "decided", None)]
    assert order_states(runtime) == [("placed", "paid", "exported")]
    runtime.close()


def test_the_sweep_joins_what_was_parked_although_its_order_is_known(world: World, runtime: Runtime) -> None:
    place(runtime, "uuid-1")
    pay(runtime, "pi_1", order="uuid-1")
    inbox.decide(runtime, "payments")
    waiting = rows(runtime, "DELETE FROM parked_keys RETURNING key, event_id")  # as if both had not seen each other
    inbox.decide(runtime, "orders")
    for key, event_id in waiting:
        rows(runtime, "INSERT INTO parked_keys VALUES (:key, :event)", key=key, event=event_id)
    assert events(runtime)[1] == ("stripe", "parked", "order_unknown")
    drain(runtime)
    assert order_states(runtime) == [("placed", "paid", "exported")]
    assert rows(runtime, "SELECT count(*) FROM parked_keys") == [(0,)], "keys of what is decided would crowd the next look"


def test_a_refund_that_comes_before_its_payment_is_joined_by_it(runtime: Runtime) -> None:
    """The refund names only the payment, the order names no payment: only the payment's own event joins all three."""
    hear(runtime, refund_event("pi_1", "re_1", 470, created=T + 1))
    drain(runtime)
    place(runtime, "uuid-1")
    drain(runtime)
    assert events(runtime)[0] == ("stripe", "parked", "order_unknown")
    pay(runtime, "pi_1", order="uuid-1", created=T)
    drain(runtime)
    assert order_states(runtime) == [("placed", "partially_refunded", "exported")]
    assert rows(runtime, "SELECT kind, amount_minor FROM payment_parts ORDER BY kind") == [("capture", 4470), ("refund", 470)]


# Older never undoes newer


def test_an_older_order_version_changes_nothing(runtime: Runtime) -> None:
    place(runtime, "uuid-1", "m2", version=2, state="completed")
    place(runtime, "uuid-1", "m1", version=1, state="fulfillment", total="99.00")
    drain(runtime)
    assert rows(runtime, "SELECT state, version, total_minor FROM orders") == [("completed", 2, 4470)]
    place(runtime, "uuid-1", "m3", version=2, state="canceled", total="99.00")
    drain(runtime)
    assert rows(runtime, "SELECT state, version, total_minor FROM orders") == [("completed", 2, 4470)]


def test_an_older_payment_event_changes_nothing(runtime: Runtime) -> None:
    place(runtime, "uuid-1")
    pay(runtime, "pi_1", order="uuid-1", created=T + 10)
    drain(runtime)
    pay(runtime, "pi_1", order="uuid-1", created=T, kind="payment_intent.payment_failed", status="requires_payment_method")
    pay(runtime, "pi_1", order="uuid-1", created=T + 5, kind="payment_intent.canceled", status="canceled")
    drain(runtime)
    assert rows(runtime, "SELECT state, base_state, outcome FROM payments") == [("captured", "captured", "")]
    assert order_states(runtime) == [("placed", "paid", "exported")]


def test_a_refund_said_twice_counts_once_and_stops_counting_when_it_failed(runtime: Runtime) -> None:
    def shown() -> list[tuple[Any, ...]]:
        return rows(
            runtime,
            "SELECT p.state, o.payment_state, part.amount_minor, part.counts FROM payments p JOIN orders o ON o.id = p.order_id"
            " JOIN payment_parts part ON part.payment_id = p.id WHERE part.kind = 'refund'",
        )

    place(runtime, "uuid-1")
    pay(runtime, "pi_1", order="uuid-1", created=T)
    hear(runtime, refund_event("pi_1", "re_1", 2235, created=T + 1, event="evt_a"))
    hear(runtime, refund_event("pi_1", "re_1", 2235, created=T + 2, event="evt_b"))
    drain(runtime)
    assert shown() == [("partially_refunded", "partially_refunded", 2235, True)]
    hear(runtime, refund_event("pi_1", "re_1", 2235, created=T + 3, status="failed"))
    drain(runtime)
    assert shown() == [("captured", "paid", 2235, False)]
    hear(runtime, refund_event("pi_1", "re_1", 2235, created=T + 1, event="evt_c"))
    drain(runtime)
    assert shown() == [("captured", "paid", 2235, False)]


# Unknown outcomes


@pytest.mark.parametrize(
    ("kind", "effect"),
    [(FaultKind.LOST_REPLY, True), (FaultKind.RESET_AFTER, True), (FaultKind.ERROR_AFTER, True), (FaultKind.RESET_BEFORE, False)],
    ids=str,
)
def test_an_unknown_outcome_rests_is_looked_up_and_only_then_made_again(
    database_url: str, erp: ErpSimulator, kind: FaultKind, effect: bool
) -> None:
    world = World(database_url, erp, connections=connections(erp.url, timeout=0.3, poll=0))
    runtime = world.runtime()
    erp.faults.add(Fault(kind, "POST", "/orders", seconds=5))
    place(runtime, "uuid-1")
    drain(runtime)
    assert calls(runtime) == [("create_order", "unknown", 1, "unknown_outcome")]
    assert order_states(runtime) == [("placed", "unpaid", "unknown")]
    assert exported(erp) == ({"uuid-1": 1} if effect else {})
    world.clock.forward(4)
    drain(runtime)
    assert calls(runtime) == [("create_order", "unknown", 1, "unknown_outcome")], "it rests for the connection's settle time"
    world.clock.forward(2)
    drain(runtime)
    assert calls(runtime) == [("create_order", "done", 2, None)]
    assert order_states(runtime) == [("placed", "unpaid", "exported")]
    assert exported(erp) == {"uuid-1": 1}
    made = [method for (method,) in rows(runtime, "SELECT method FROM exchanges WHERE path LIKE '/orders%' ORDER BY id")]
    assert made == ["POST", "GET", *([] if effect else ["POST"])]
    runtime.close()


def test_an_expired_lease_is_unknown_and_not_due(world: World, runtime: Runtime, erp: ErpSimulator) -> None:
    place(runtime, "uuid-1")
    inbox.decide(runtime, "orders")
    taken = outbox.claim(runtime, "orders")
    assert taken is not None
    runtime.connector("erp").create_order(Effect(taken.key, taken.operation, taken.subject, opened(runtime, taken)))  # and the worker dies
    world.clock.forward(4 + 15 + 1)
    sweep.sweep(runtime)
    assert calls(runtime) == [("create_order", "unknown", 1, "unknown_outcome")]
    assert outbox.make(runtime, "orders") == 0
    world.clock.forward(6)
    drain(runtime)
    assert calls(runtime) == [("create_order", "done", 2, None)]
    assert exported(erp) == {"uuid-1": 1}


def opened(runtime: Runtime, taken: outbox.Taken) -> Mapping[str, Any]:
    found: Mapping[str, Any] = msgspec.json.decode(runtime.vault.open(taken.payload, taken.key))
    return found


class Blind:
    """An ERP that has neither keys nor a query."""

    LANE = "orders"
    http = SimpleNamespace(close=lambda: None)

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.created = 0

    def create_order(self, effect: Effect) -> Receipt:
        if self.errors:
            raise self.errors.pop(0)
        self.created += 1
        return Receipt("1", "SO-1")


def test_without_key_and_query_an_unknown_outcome_is_for_a_person_to_decide(world: World, runtime: Runtime) -> None:
    blind = runtime._connectors["erp"] = Blind(UnknownOutcome("no answer"))
    place(runtime, "uuid-1")
    drain(runtime)
    world.clock.forward(100)
    drain(runtime)
    assert calls(runtime) == [("create_order", "dead", 1, "unknown_outcome")]
    assert rows(runtime, "SELECT detail FROM calls") == [("no answer; it cannot be looked up: a person decides",)]
    assert order_states(runtime) == [("placed", "unpaid", "dead")]
    assert blind.created == 0


def test_without_key_and_query_an_expired_lease_is_for_a_person_to_decide(world: World, runtime: Runtime) -> None:
    blind = runtime._connectors["erp"] = Blind()
    place(runtime, "uuid-1")
    inbox.decide(runtime, "orders")
    assert outbox.claim(runtime, "orders") is not None
    world.clock.forward(100)
    drain(runtime)
    world.clock.forward(100)
    drain(runtime)
    assert calls(runtime) == [("create_order", "dead", 1, "unknown_outcome")]
    assert order_states(runtime) == [("placed", "unpaid", "dead")]
    assert blind.created == 0


def test_a_call_that_takes_its_worker_down_every_time_dies_when_its_attempts_are_spent(database_url: str, erp: ErpSimulator) -> None:
    world = World(database_url, erp, work=Work(call_attempts=3, retry_base=0.001, retry_cap=0.01))
    runtime = world.runtime()
    place(runtime, "uuid-1")
    inbox.decide(runtime, "orders")
    for _ in range(5):
        outbox.claim(runtime, "orders")
        world.clock.forward(100)
        sweep.sweep(runtime)
        world.clock.forward(10)
    assert calls(runtime) == [("create_order", "dead", 3, "unknown_outcome")]
    assert order_states(runtime) == [("placed", "unpaid", "dead")]
    runtime.close()


# Refusals of an outside system


def test_429_waits_as_long_as_it_was_told_and_burns_no_attempt(world: World, runtime: Runtime, erp: ErpSimulator) -> None:
    erp.faults.add(Fault(FaultKind.RATE_LIMIT, "POST", "/orders", times=3, seconds=30))
    place(runtime, "uuid-1")
    for _ in range(3):
        drain(runtime)
        assert calls(runtime) == [("create_order", "retry", 0, "rate_limited")]
        world.clock.forward(29)
        assert outbox.make(runtime, "orders") == 0
        world.clock.forward(2)
    drain(runtime)
    assert calls(runtime) == [("create_order", "done", 1, None)]


def test_a_refused_credential_pauses_the_connection_and_burns_nobody_s_attempts(world: World, runtime: Runtime, erp: ErpSimulator) -> None:
    erp.key = "another"
    for number in range(4):
        place(runtime, f"uuid-{number}", f"m{number}", number=str(1000 + number))
    drain(runtime)
    assert rows(runtime, "SELECT connection, reason, turned_by FROM switches") == [
        ("erp", "unauthorized: HTTP 401: the credentials are not accepted", "waybill")
    ]
    assert Counter(calls(runtime)) == {("create_order", "pending", 0, None): 3, ("create_order", "pending", 0, "unauthorized"): 1}
    world.clock.forward(1000)
    drain(runtime)
    assert exported(erp) == {}
    erp.key = "erp-key"
    operations.switch(runtime, "erp", None, "ada")
    drain(runtime)
    assert exported(erp) == {f"uuid-{number}": 1 for number in range(4)}
    assert rows(runtime, "SELECT thing, becomes, cause FROM transitions WHERE order_id IS NULL") == [
        ("connection erp", "on", "switched by ada")
    ]


def test_a_call_of_unknown_outcome_keeps_its_look_up_when_the_credential_is_refused(
    world: World, runtime: Runtime, erp: ErpSimulator
) -> None:
    """The order may be in the ERP: cancelling it in the shop must not make us forget that."""
    erp.faults.add(Fault(FaultKind.ERROR_AFTER, "POST", "/orders"))
    place(runtime, "uuid-1")
    drain(runtime)
    erp.key = "another"
    world.clock.forward(6)
    drain(runtime)
    place(runtime, "uuid-1", "m2", version=2, state="canceled")
    drain(runtime)
    erp.key = "erp-key"
    operations.switch(runtime, "erp", None, "ada")
    world.clock.forward(6)
    drain(runtime)
    assert calls(runtime) == [("create_order", "done", 2, None)]
    assert order_states(runtime) == [("cancelled", "unpaid", "exported")]
    assert [summary.attention.cause for summary in timeline.needing_attention(runtime) if summary.attention] == [
        "cancelled in the shop, still in the ERP"
    ]


def test_an_open_breaker_burns_no_attempts(database_url: str, erp: ErpSimulator) -> None:
    world = World(database_url, erp, connections=connections(erp.url, breaker_failures=2, breaker_reset=20, poll=0))
    runtime = world.runtime()
    erp.stop()
    for number in range(4):
        place(runtime, f"uuid-{number}", f"m{number}", number=str(1000 + number))
    inbox.decide(runtime, "orders")
    outbox.make(runtime, "orders", limit=4)
    assert sorted(calls(runtime)) == [("create_order", "retry", 0, "unreachable")] * 2 + [("create_order", "retry", 1, "transient")] * 2
    (wait,) = rows(runtime, "SELECT bool_and(due_at > :now + interval '15 s') FROM calls WHERE cause = 'unreachable'", now=world.clock())[0]
    assert wait
    runtime.close()


def test_a_rejected_call_says_its_field_and_holds_nothing_else(database_url: str) -> None:
    with ErpSimulator(key="erp-key", skus={"MUG"}) as erp:
        world = World(database_url, erp)
        runtime = world.runtime()
        place(runtime, "uuid-1")
        body = order_event("uuid-2", number="1002").replace(b"TS-RED-M", b"MUG")
        inbox.receive(runtime, "shop", inbound(sign_shop(body, "m2"), body))
        drain(runtime)
        assert rows(runtime, "SELECT state, attempts, cause, field, detail FROM calls WHERE connection = 'erp' ORDER BY id") == [
            ("rejected", 1, "rejected", "lines.0.sku", "HTTP 422: unknown sku TS-RED-M"),
            ("done", 1, None, None, None),
        ]
        assert [state for *_, state in order_states(runtime)] == ["rejected", "exported"]
        asked(runtime, "next", subject="order/uuid-1", operation="create_order")
        runtime._connectors["erp"] = Blind()
        assert outbox.make(runtime, "orders") == 1, "a rejected call does not hold its subject"
        runtime.close()


# The order of calls


def asked(
    runtime: Runtime,
    key: str,
    *,
    subject: str = "order/1",
    operation: str = "create_order",
    after: tuple[int, ...] = (),
    replaces: bool = False,
) -> int:
    with runtime.sessions.begin() as session:
        work = UnitOfWork(session, runtime.settings, runtime.vault, runtime.now())
        work.begin(Cause("erp", "test"))
        order = type("Order", (), {"id": None})()
        work.ask(Ask("erp", operation, subject, key, {}, replaces=replaces, after=after), order)
        work.flush()
    return int(rows(runtime, "SELECT id FROM calls WHERE key = :key", key=key)[0][0])


def made(runtime: Runtime) -> str:
    taken = outbox.claim(runtime, "orders")
    return taken.key if taken else ""


@pytest.mark.parametrize("state", ["making", "retry", "unknown"])
def test_a_call_that_is_not_over_holds_its_subject(runtime: Runtime, world: World, state: str) -> None:
    first = asked(runtime, "first")
    asked(runtime, "second")
    asked(runtime, "other", subject="order/2")
    rows(
        runtime,
        "UPDATE calls SET state = :state, due_at = :later WHERE id = :id",
        state=state,
        later=world.clock() + timedelta(hours=1),
        id=first,
    )
    assert [made(runtime), made(runtime)] == ["other", ""]


@pytest.mark.parametrize(("state", "then"), [("done", ["second", "third"]), ("rejected", ["third"]), ("dead", ["third"])])
def test_a_failed_call_holds_only_what_names_it(runtime: Runtime, state: str, then: list[str]) -> None:
    first = asked(runtime, "first")
    asked(runtime, "second", subject="order/2", after=(first,))
    asked(runtime, "third")
    assert made(runtime) == "first"
    assert made(runtime) == ""
    rows(runtime, "UPDATE calls SET state = :state WHERE id = :id", state=state, id=first)
    assert sorted(filter(None, [made(runtime), made(runtime), made(runtime)])) == then


def test_a_newer_status_replaces_one_that_nothing_began_and_no_other(runtime: Runtime) -> None:
    for key in ("making", "waiting", "other subject", "other operation"):
        subject = "order/2" if key == "other subject" else "order/1"
        operation = "create_order" if key == "other operation" else "write_order_status"
        asked(runtime, key, subject=subject, operation=operation)
    rows(runtime, "UPDATE calls SET state = 'making' WHERE key = 'making'")
    asked(runtime, "newest", operation="write_order_status", replaces=True)
    assert rows(runtime, "SELECT key, state FROM calls ORDER BY id") == [
        ("making", "making"),
        ("waiting", "superseded"),
        ("other subject", "pending"),
        ("other operation", "pending"),
        ("newest", "pending"),
    ]


def test_the_shop_is_told_the_newest_status_once(database_url: str, erp: ErpSimulator, shop: DrupalSimulator) -> None:
    world = World(database_url, erp, shop_url=shop.url)
    runtime = world.runtime()
    placed = shop.place_order([Line("TS-RED-M", unit_price="44.70", title="T-Shirt")])
    operations.switch(runtime, "shop", "moving house", "ada")
    place(runtime, placed.uuid)
    for state in ("confirmed", "processing", "shipped"):
        drain(runtime)
        erp.advance(1, state)
        world.clock.forward(2)
    drain(runtime)
    operations.switch(runtime, "shop", None, "ada")
    drain(runtime)
    states = rows(runtime, "SELECT state, count(*) FROM calls WHERE operation = 'write_order_status' GROUP BY 1 ORDER BY 1")
    assert states[0] == ("done", 1)
    assert [state for state, _ in states] == ["done", "superseded"]
    assert shop.order(placed.uuid).fields == {"field_waybill_erp_number": "SO-000001", "field_waybill_erp_status": "shipped"}


def test_an_order_that_is_cancelled_before_its_export_is_not_exported(world: World, runtime: Runtime, erp: ErpSimulator) -> None:
    place(runtime, "uuid-1")
    inbox.decide(runtime, "orders")
    place(runtime, "uuid-1", "m2", version=2, state="canceled")
    inbox.decide(runtime, "orders")
    drain(runtime)
    assert order_states(runtime) == [("cancelled", "unpaid", "not_needed")]
    assert calls(runtime) == [("create_order", "superseded", 0, None)]
    assert exported(erp) == {}


# What a person must see


def test_paid_and_not_exported_or_exported_and_not_paid_is_shown(database_url: str) -> None:
    with ErpSimulator(key="erp-key", skus={"MUG"}) as erp:
        world = World(database_url, erp)
        runtime = world.runtime()
        place(runtime, "uuid-1", payment="pi_1")
        pay(runtime, "pi_1")
        body = order_event("uuid-2", number="1002", payment="pi_2").replace(b"TS-RED-M", b"MUG")
        inbox.receive(runtime, "shop", inbound(sign_shop(body, "m2"), body))
        pay(runtime, "pi_2", kind="payment_intent.payment_failed", status="requires_payment_method")
        body = order_event("uuid-3", number="1003").replace(b"TS-RED-M", b"MUG")
        inbox.receive(runtime, "shop", inbound(sign_shop(body, "m3"), body))
        drain(runtime)
        shown = {summary.number: summary.attention.cause for summary in timeline.needing_attention(runtime) if summary.attention}
        assert shown == {
            "1001": "paid, but not in the ERP: the export was rejected",
            "1002": "in the ERP, but its payment failed or was voided",
        }
        runtime.close()


def test_an_order_waits_for_its_payment_where_the_store_says_so(database_url: str, erp: ErpSimulator) -> None:
    world = World(database_url, erp, store={"export_when": "paid"})
    runtime = world.runtime()
    place(runtime, "uuid-1", payment="pi_1")
    drain(runtime)
    assert rows(runtime, "SELECT export_state, waits FROM orders") == [("held", "waits for its payment (now unpaid)")]
    world.clock.forward(DAY + 1)
    assert [s.attention.cause for s in timeline.needing_attention(runtime) if s.attention] == [
        "waits for its payment for more than 1 day, 0:00:00"
    ]
    pay(runtime, "pi_1")
    drain(runtime)
    assert rows(runtime, "SELECT export_state, waits FROM orders") == [("exported", "")]
    assert exported(erp) == {"uuid-1": 1}
    runtime.close()


def test_totals_that_do_not_add_up_are_refused_with_both_figures(runtime: Runtime, erp: ErpSimulator) -> None:
    body = order_event("uuid-1").replace(
        b'"total_price": {"number": "44.70", "currency_code": "EUR"}, "billing',
        b'"total_price": {"number": "40.00", "currency_code": "EUR"}, "billing',
    )
    inbox.receive(runtime, "shop", inbound(sign_shop(body, "m1"), body))
    drain(runtime)
    figures = "the shop's total is 40.00 EUR, its lines and adjustments come to 44.70 EUR"
    assert rows(runtime, "SELECT export_state, waits FROM orders") == [("rejected", figures)]
    assert (calls(runtime), exported(erp)) == ([], {})


# Driving again


def test_a_dead_call_is_looked_up_before_it_is_made_again(database_url: str, erp: ErpSimulator) -> None:
    world = World(database_url, erp, work=Work(call_attempts=1, retry_base=0.001, retry_cap=0.01), connections=connections(erp.url, poll=0))
    runtime = world.runtime()
    erp.faults.add(Fault(FaultKind.ERROR_AFTER, "POST", "/orders"))
    place(runtime, "uuid-1")
    drain(runtime)
    assert calls(runtime) == [("create_order", "dead", 1, "unknown_outcome")]
    assert operations.dead_calls(runtime) == [("erp", "unknown_outcome", 1)]
    planned = operations.plan(runtime, "call", (), "unknown_outcome", None)
    assert planned.lines == ("call 1 create_order → erp: unknown_outcome (HTTP 500; all 1 attempts are spent)",)
    assert (operations.replay(runtime, planned, "ada"), operations.replay(runtime, planned, "ada")) == (1, 0)
    drain(runtime)
    assert calls(runtime) == [("create_order", "done", 1, None)]
    assert order_states(runtime) == [("placed", "unpaid", "exported")]
    assert exported(erp) == {"uuid-1": 1}
    assert operations.plan(runtime, "call", (1,), None, None).ids == ()
    runtime.close()


def test_a_dead_event_is_driven_again(runtime: Runtime) -> None:
    place(runtime, "uuid-1", store="1")
    rows(runtime, "UPDATE events SET state = 'dead', cause = 'bug:KeyError', attempts = 8")
    planned = operations.plan(runtime, "event", (), "bug:KeyError", "shop")
    assert planned.lines == ("event 1 shop order.placed: dead, bug:KeyError (None)",)
    assert operations.replay(runtime, planned, "ada") == 1
    drain(runtime)
    assert events(runtime) == [("shop", "decided", None)]


# Polls


def test_a_poll_moves_its_watermark_only_when_it_completes(database_url: str, erp: ErpSimulator) -> None:
    mine = connections(erp.url)
    world = World(database_url, erp, connections={**mine, "erp": replace(mine["erp"], options={"page": 2})})
    runtime = world.runtime()
    for number in range(5):
        place(runtime, f"uuid-{number}", f"m{number}", number=str(1000 + number))
    inbox.decide(runtime, "orders")
    outbox.make(runtime, "orders")
    first = sweep.poll(runtime, "erp")
    assert first == sweep.Polled(5, "")
    (watermark,) = rows(runtime, "SELECT watermark FROM runs")[0]
    assert watermark == max(order.changed_at for order in erp.orders)
    assert sweep.poll(runtime, "erp") is None, "it is not due"
    assert sweep.poll(runtime, "erp", at_once=True) == sweep.Polled(0, "")
    assert rows(runtime, "SELECT watermark FROM runs") == [(watermark,)]
    for number in range(1, 6):
        erp.advance(number, "confirmed")
    fault = erp.faults.add(Fault(FaultKind.ERROR, "GET", "/orders", times=None, probability=1))
    assert sweep.poll(runtime, "erp", at_once=True) == sweep.Polled(0, "transient: HTTP 500")
    erp.faults.remove(fault)
    browse, pages = erp.browse, [0]

    def second_page_fails(request: Any) -> Any:
        pages[0] += 1
        if pages[0] == 2:
            erp.faults.add(Fault(FaultKind.ERROR, "GET", "/orders"))
        return browse(request)

    erp.faults.add(Fault(FaultKind.LATENCY, "GET", "/orders", seconds=0))
    erp.browse = second_page_fails  # type: ignore[method-assign]
    failed = sweep.poll(runtime, "erp", at_once=True)
    assert failed == sweep.Polled(4, "transient: HTTP 500")
    assert rows(runtime, "SELECT watermark, detail FROM runs") == [(watermark, "transient: HTTP 500")]
    assert sweep.poll(runtime, "erp", at_once=True) == sweep.Polled(1, "")
    assert rows(runtime, "SELECT watermark FROM runs") == [(max(order.changed_at for order in erp.orders),)]
    runtime.close()


# Retention and keys


def test_retention_drops_bodies_and_never_forgets_a_delivery(world: World, runtime: Runtime) -> None:
    place(runtime, "uuid-1")
    drain(runtime)
    world.clock.forward(140 * DAY)
    dropped = sweep.keep_house(runtime)
    assert [name.rpartition("_20")[0] for name in dropped if name.startswith("event_bodies")][:1] == ["event_bodies"]
    assert rows(runtime, "SELECT count(*) FROM event_bodies") == [(0,)]
    assert place(runtime, "uuid-1") == 0, "the delivery is still known"
    assert rows(runtime, "SELECT connection, state FROM events WHERE connection = 'shop'") == [("shop", "decided")]
    rows(runtime, "UPDATE events SET state = 'due', due_at = now() WHERE connection = 'shop'")
    inbox.decide(runtime, "orders")
    assert rows(runtime, "SELECT state, detail FROM events WHERE connection = 'shop'")[0][1] == "the body was dropped by retention"


def test_rows_of_a_month_without_a_partition_do_not_stop_the_house_from_being_kept(runtime: Runtime) -> None:
    """Nobody kept house for a year, so rows went to the default partition: they move to their own."""
    later = datetime.now(UTC) + timedelta(days=400)
    insert = "INSERT INTO transitions (at, thing, was, becomes, cause) VALUES (:at, 'order', '', 'placed', 'event 1')"
    rows(runtime, insert, at=later)
    with runtime.engine.begin() as connection:
        ensure_partitions(connection, later)
    assert rows(runtime, "SELECT tableoid::regclass::text, at FROM transitions") == [(f"transitions_{later:%Y_%m}", later)]
    rows(runtime, insert, at=later)
    assert rows(runtime, "SELECT count(*), count(DISTINCT id) FROM transitions") == [(2, 2)]


def test_what_an_old_key_sealed_is_opened_as_long_as_the_key_is_there(database_url: str, erp: ErpSimulator) -> None:
    old, new = new_key(), new_key()
    before = World(database_url, erp, keys=(old,)).runtime()
    place(before, "uuid-1")
    place(before, "uuid-2", "m2", number="1002")
    inbox.decide(before, "orders")
    place(before, "uuid-3", "m3", number="1003")
    both = World(database_url, erp, keys=(new, old)).runtime()
    drain(both)
    assert [state for *_, state in order_states(both)] == ["exported"] * 3
    place(before, "uuid-4", "m4", number="1004")
    place(both, "uuid-5", "m5", number="1005")
    without = World(database_url, erp, keys=(new,)).runtime()
    drain(without)
    found = rows(without, "SELECT delivery_id, state, cause FROM events WHERE delivery_id IN ('m4', 'm5') ORDER BY id")
    assert found == [("m4", "dead", "vault"), ("m5", "decided", None)]
    assert rows(without, "SELECT detail FROM events WHERE delivery_id = 'm4'")[0][0].startswith("no key with id ")
    for runtime in (before, both, without):
        runtime.close()


def test_a_call_whose_key_is_gone_is_dead_with_its_cause_and_holds_no_other(database_url: str, erp: ErpSimulator) -> None:
    before = World(database_url, erp).runtime()
    place(before, "uuid-1")
    inbox.decide(before, "orders")
    after = World(database_url, erp).runtime()
    place(after, "uuid-2", "m2", number="1002")
    drain(after)
    assert calls(after) == [("create_order", "dead", 1, "vault"), ("create_order", "done", 1, None)]
    assert [state for *_, state in order_states(after)] == ["dead", "exported"]
    before.close()
    after.close()
