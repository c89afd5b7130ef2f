"""Many at once: requests, writers, deciders, makers and late workers. Nothing is doubled, nobody waits for another forever."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import requests
from cheroot.wsgi import Server
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from middleware import inbox, outbox, routes, sweep
from middleware.app import create_app
from middleware.domain.keys import order_key, subject_key
from middleware.models import CallState
from middleware.runtime import Runtime
from middleware.settings import LANES, Web, Work
from middleware.simulators.erp import ErpSimulator
from middleware.testing import drain
from middleware.work import Outcome
from middleware.writer import GroupWriter, Row
from tests.world import World, connections, intent_event, order_event, pay, place, rows, sign_shop, sign_stripe


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """Run the jobs in threads that start together; their results, or the first error."""
    gate = threading.Barrier(len(jobs))
    results: list[Any] = [None] * len(jobs)
    errors: list[BaseException] = []

    def run(index: int) -> None:
        gate.wait(10)
        try:
            results[index] = jobs[index]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
    return results


@contextmanager
def served(runtime: Runtime) -> Iterator[str]:
    """The web application on a real port."""
    server = Server(("127.0.0.1", 0), create_app(runtime), numthreads=16, request_queue_size=128)
    server.expiration_interval = 0.02
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.bind_addr[1]}"
    finally:
        server.stop()
        thread.join()


@contextmanager
def held(runtime: Runtime, commit: int) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Stop the runtime just before its next commit number `commit`; gives (it has come there, let it go on)."""
    come, go, seen = threading.Event(), threading.Event(), Counter[str]()

    def before_commit(_: Any) -> None:
        seen["commits"] += 1
        if seen["commits"] == commit:
            come.set()
            assert go.wait(20)

    event.listen(runtime.engine, "commit", before_commit)
    try:
        yield come, go
    finally:
        go.set()
        event.remove(runtime.engine, "commit", before_commit)


@pytest.fixture
def second(world: World) -> Iterator[Runtime]:
    """Another worker on the same database."""
    made = world.runtime()
    yield made
    made.close()


@pytest.mark.parametrize("thin", [True, False], ids=["thin layer", "flask"])
@pytest.mark.parametrize("connection", ["shop", "stripe"])
def test_the_same_delivery_posted_fifty_times_at_once_is_one_event(world: World, thin: bool, connection: str) -> None:
    body = order_event("uuid-1") if connection == "shop" else intent_event("pi_1")
    headers = sign_shop(body, "m1") if connection == "shop" else sign_stripe(body)
    runtime = world.runtime(web=Web(thin_layer=thin))
    with served(runtime) as url:
        answers = at_once(*[lambda: requests.post(f"{url}/webhooks/{connection}", data=body, headers=headers, timeout=20)] * 50)
    assert Counter((answer.status_code, answer.text) for answer in answers) == {(200, '{"status":"kept"}'): 50}
    assert rows(runtime, "SELECT connection, state, count(*) FROM events GROUP BY 1, 2") == [(connection, "due", 1)]
    assert rows(runtime, "SELECT count(*) FROM event_bodies") == [(1,)]
    runtime.close()


# An order and its payment


def test_an_order_and_a_webhook_decided_at_the_same_instant_are_joined(world: World, runtime: Runtime, second: Runtime) -> None:
    met = Counter[str]()
    for number in range(40):
        place(runtime, f"uuid-{number}", f"m{number}", number=str(1000 + number))
        pay(runtime, f"pi_{number}", order=f"uuid-{number}")
        at_once(lambda: inbox.decide(runtime, "orders"), lambda: inbox.decide(second, "payments"))
        met[
            rows(runtime, "SELECT state || ' ' || coalesce(detail, '') FROM events WHERE connection = 'stripe' ORDER BY id DESC LIMIT 1")[
                0
            ][0]
        ] += 1
        while rows(runtime, "SELECT 1 FROM events WHERE state = 'due' LIMIT 1"):  # no sweep: the join alone must do it
            world.clock.forward(1)
            inbox.decide(runtime, "orders")
            inbox.decide(second, "payments")
        assert rows(runtime, "SELECT payment_state FROM orders WHERE order_id = :id", id=f"uuid-{number}") == [("paid",)], met
    assert rows(runtime, "SELECT state, count(*) FROM events GROUP BY 1") == [("decided", 80)]
    assert rows(runtime, "SELECT count(*) FROM parked_keys") == [(0,)]


def test_a_webhook_that_meets_its_order_just_before_the_commit_is_put_back_and_joined(
    world: World, runtime: Runtime, second: Runtime
) -> None:
    place(runtime, "uuid-1")
    pay(runtime, "pi_1", order="uuid-1")
    with held(runtime, commit=2) as (come, go):
        thread = threading.Thread(target=inbox.decide, args=(runtime, "orders"))
        thread.start()
        assert come.wait(10)
        assert inbox.decide(second, "payments") == 1
        assert rows(second, "SELECT state, attempts, detail FROM events WHERE connection = 'stripe'") == [
            ("due", 0, "locked by another worker")
        ]
        go.set()
        thread.join()
    world.clock.forward(1)
    assert inbox.decide(second, "payments") == 1
    assert rows(second, "SELECT payment_state FROM orders") == [("paid",)]


def test_an_order_that_meets_a_webhook_just_before_it_is_parked_is_put_back_and_joined(
    world: World, runtime: Runtime, second: Runtime
) -> None:
    place(runtime, "uuid-1")
    pay(runtime, "pi_1", order="uuid-1")
    with held(second, commit=2) as (come, go):
        thread = threading.Thread(target=inbox.decide, args=(second, "payments"))
        thread.start()
        assert come.wait(10)
        assert inbox.decide(runtime, "orders") == 1
        assert rows(runtime, "SELECT state, attempts, detail FROM events WHERE connection = 'shop'") == [
            ("due", 0, "locked by another worker")
        ]
        go.set()
        thread.join()
    assert rows(runtime, "SELECT state FROM events WHERE connection = 'stripe'") == [("parked",)]
    world.clock.forward(1)
    inbox.decide(runtime, "orders")
    assert rows(runtime, "SELECT state FROM events WHERE connection = 'stripe'") == [("due",)]
    inbox.decide(second, "payments")
    assert rows(runtime, "SELECT payment_state FROM orders") == [("paid",)]


@pytest.mark.parametrize("key", [order_key("shop", "uuid-1"), subject_key("stripe", "pi_1")], ids=["its order", "its subject"])
def test_an_event_is_put_back_while_another_holds(world: World, runtime: Runtime, key: str) -> None:
    pay(runtime, "pi_1", order="uuid-1")
    with runtime.engine.begin() as other:
        other.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
        inbox.decide(runtime, "payments")
        assert rows(runtime, "SELECT state, attempts, detail FROM events") == [("due", 0, "locked by another worker")]
    world.clock.forward(1)
    inbox.decide(runtime, "payments")
    assert rows(runtime, "SELECT state FROM events") == [("parked",)]


def test_two_workers_never_decide_one_subject_at_once(database_url: str, erp: ErpSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(database_url, erp, work=Work(batch=1))
    workers = [world.runtime() for _ in range(3)]
    place(workers[0], "uuid-1")
    inbox.decide(workers[0], "orders")
    for number in range(24):
        pay(workers[0], f"pi_{number % 3}", order="uuid-1", event=f"evt_{number}", created=1_700_000_000 + number)
    inside, most, lock = Counter[str](), Counter[str](), threading.Lock()
    follow = routes.follow

    def watched(message: Any, work: Any) -> None:
        with lock:
            inside[message.remote_id] += 1
            most[message.remote_id] = max(most[message.remote_id], inside[message.remote_id])
        work.session.execute(text("SELECT pg_sleep(0.002)"))
        follow(message, work)
        with lock:
            inside[message.remote_id] -= 1

    monkeypatch.setattr(routes, "follow", watched)

    def work(runtime: Runtime) -> None:
        while rows(runtime, "SELECT 1 FROM events WHERE state IN ('due', 'deciding') LIMIT 1"):
            if not inbox.decide(runtime, "payments"):
                world.clock.forward(0.05)

    at_once(*[lambda runtime=runtime: work(runtime) for runtime in workers])
    assert most == {"pi_0": 1, "pi_1": 1, "pi_2": 1}
    assert rows(workers[0], "SELECT state, count(*) FROM events GROUP BY 1") == [("decided", 25)]
    for runtime in workers:
        runtime.close()


# Writers


def test_two_writers_with_overlapping_ids_in_opposite_order_do_not_deadlock(database_url: str, runtime: Runtime) -> None:
    writers = [GroupWriter(database_url) for _ in range(2)]
    rounds, size = 60, 120
    batches = [
        [Row("shop", f"{r}-{n:03}", "t", "s", "orders", b"body" * 100, None, False, "", "") for n in range(size)] for r in range(rounds)
    ]
    new = at_once(
        lambda: [writers[0].keep(batch) for batch in batches],
        lambda: [writers[1].keep(batch[::-1]) for batch in batches],
    )
    for writer in writers:
        writer.stop()
    assert [a + b for a, b in zip(*new, strict=True)] == [size] * rounds
    assert rows(runtime, "SELECT count(*) FROM events") == rows(runtime, "SELECT count(*) FROM event_bodies") == [(rounds * size,)]
    rows(runtime, "SELECT pg_stat_force_next_flush()")
    assert rows(runtime, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [(0,)]


# Calls


def ask(runtime: Runtime, number: int, subject: str, connection: str = "erp") -> None:
    key = f"call-{number}"
    rows(
        runtime,
        "INSERT INTO calls (key, connection, operation, subject, lane, state, payload, asked_at, due_at)"
        " VALUES (:key, :connection, 'create_order', :subject, 'orders', 'pending', :payload, :now, :now)",
        key=key,
        connection=connection,
        subject=subject,
        payload=runtime.vault.seal(msgspec.json.encode({}), key),
        now=runtime.now(),
    )


def test_workers_share_a_connection_within_its_concurrency_and_one_call_a_subject(database_url: str) -> None:
    mine = connections()
    world = World(database_url, connections={**mine, "erp": replace(mine["erp"], concurrency=3)})
    workers = [world.runtime() for _ in range(5)]
    for number in range(60):
        ask(workers[0], number, f"order/{number % 6}")
    making: list[str] = []
    seen: list[tuple[str, ...]] = []
    order: list[tuple[str, int]] = []
    lock = threading.Lock()

    def work(runtime: Runtime) -> None:
        while rows(runtime, "SELECT 1 FROM calls WHERE state <> 'done' LIMIT 1"):
            call = outbox.claim(runtime, "orders")
            if call is None:
                continue
            with lock:
                making.append(call.subject)
                seen.append(tuple(making))
                order.append((call.subject, call.id))
            rows(runtime, "SELECT pg_sleep(0.03)")
            with lock:
                making.remove(call.subject)
            assert outbox.record(runtime, call, Outcome(CallState.DONE), [])

    at_once(*[lambda runtime=runtime: work(runtime) for runtime in workers])
    assert max(len(subjects) for subjects in seen) == 3
    assert all(len(set(subjects)) == len(subjects) for subjects in seen)
    assert rows(workers[0], "SELECT state, sum(attempts) FROM calls GROUP BY 1") == [("done", 60)]
    by_subject = {f"order/{n}": [call for subject, call in order if subject == f"order/{n}"] for n in range(6)}
    assert by_subject == {subject: sorted(calls) for subject, calls in by_subject.items()}
    for runtime in workers:
        runtime.close()


def test_the_unique_index_is_the_net_under_two_calls_of_one_subject(runtime: Runtime) -> None:
    ask(runtime, 1, "order/1")
    ask(runtime, 2, "order/1")
    ask(runtime, 3, "order/2")
    rows(runtime, "UPDATE calls SET state = 'making' WHERE key IN ('call-1', 'call-3')")
    with pytest.raises(IntegrityError, match="uq_calls_making"):
        rows(runtime, "UPDATE calls SET state = 'making' WHERE key = 'call-2'")


# The broker


def test_a_broker_that_loses_every_message_changes_nothing(world: World, runtime: Runtime, erp: ErpSimulator) -> None:
    for number in range(5):
        place(runtime, f"uuid-{number}", f"m{number}", number=str(1000 + number))
        pay(runtime, f"pi_{number}", order=f"uuid-{number}")
    tasks = {"decide": inbox.decide, "make": outbox.make, "poll": sweep.poll, "keep_house": lambda owner, _: sweep.keep_house(owner)}
    for _ in range(20):
        world.rung.clear()  # the broker is emptied: whatever was rung for since the last round is lost
        sweep.sweep(runtime)
        heard = list(world.rung)
        for task, lane, argument in heard:
            tasks[task](runtime, argument or lane)
        if not heard:
            break
        world.clock.forward(0.5)
    assert {lane for _, lane, _ in world.rung} <= set(LANES)
    assert rows(runtime, "SELECT payment_state, export_state, count(*) FROM orders GROUP BY 1, 2") == [("paid", "exported", 5)]
    assert Counter(len(found) for found in erp.orders_by_reference().values()) == {1: 5}


# Late workers


def test_a_late_worker_cannot_record_what_another_has_finished(world: World, runtime: Runtime, second: Runtime, erp: ErpSimulator) -> None:
    place(runtime, "uuid-1")
    inbox.decide(runtime, "orders")
    late = outbox.claim(runtime, "orders")
    assert late is not None
    world.clock.forward(60)
    assert sweep.expire_calls(second) == [late.id]
    assert outbox.make(second, "orders") == 0, "an unknown outcome rests before it is looked up"
    world.clock.forward(6)
    drain(second)
    before = (
        rows(runtime, "SELECT * FROM calls"),
        rows(runtime, "SELECT * FROM transitions"),
        rows(runtime, "SELECT erp_number, export_state FROM orders"),
    )
    with outbox.recording() as exchanges:
        runtime.connector("erp").find_order(effect_of(runtime, late))
    assert outbox.record(runtime, late, Outcome(CallState.DEAD, code="late", reason="late"), exchanges) is False
    assert before == (
        rows(runtime, "SELECT * FROM calls"),
        rows(runtime, "SELECT * FROM transitions"),
        rows(runtime, "SELECT erp_number, export_state FROM orders"),
    )
    assert rows(runtime, "SELECT attempt, method, path, status FROM exchanges WHERE call_id = :id ORDER BY id", id=late.id) == [
        (2, "GET", "/orders?reference", 200),
        (2, "POST", "/orders", 201),
        (1, "GET", "/orders?reference", 200),
    ]
    assert len(erp.orders) == 1


def effect_of(runtime: Runtime, call: outbox.Taken) -> Any:
    payload = msgspec.json.decode(runtime.vault.open(call.payload, call.key))
    return outbox.Effect(call.key, call.operation, call.subject, payload, call.attempts, call.correlation_id)


@pytest.mark.parametrize("buggy", [False, True], ids=["as a batch", "one by one"])
def test_a_late_batch_writes_nothing(world: World, runtime: Runtime, second: Runtime, monkeypatch: pytest.MonkeyPatch, buggy: bool) -> None:
    place(runtime, "uuid-1")
    pay(runtime, "pi_1", order="uuid-1")
    pay(runtime, "pi_2", order="uuid-1")
    late = inbox.claim(runtime, "payments")
    assert len(late) == 2
    world.clock.forward(61)
    drain(second)
    tables = ("events", "orders", "payments", "payment_parts", "transitions", "calls", "parked_keys")
    before = {table: rows(runtime, f"SELECT * FROM {table} ORDER BY 1") for table in tables}
    assert Counter(state for (state,) in rows(runtime, "SELECT state FROM payments")) == {"captured": 2}
    monkeypatch.setattr(inbox, "claim", lambda *_: late)
    late_flow = (lambda *_: 1 / 0) if buggy else (lambda _, work: work.audit(None, "late", "", "written"))
    monkeypatch.setattr(routes, "follow", late_flow)
    assert inbox.decide(runtime, "payments") == 2
    assert {table: rows(runtime, f"SELECT * FROM {table} ORDER BY 1") for table in tables} == before
