"""What operators see: one log schema, scrubbed error reports, health and metrics."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sentry_sdk
import structlog
from prometheus_client.parser import text_string_to_metric_families
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from sqlalchemy import text

from mappings.canonical import Order
from middleware import context, inbox, observing, routes
from middleware.app import create_app
from middleware.runtime import Runtime
from middleware.settings import Broker, Logging, Settings
from middleware.simulators.erp import ErpSimulator
from middleware.testing import drain, secret
from tests.world import STRIPE_SECRET, World, inbound, intent_event, order_event, sign_shop, sign_stripe

PERSONAL = ("ada@example.test", "Main St 1", "Example", "10115", STRIPE_SECRET, "svc-secret", "erp-key")


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Logging, structlog and Sentry are the process's own: put them back."""
    root, ours = logging.getLogger(), logging.getLogger("waybill")
    before = (root.handlers[:], root.level, ours.level)
    yield
    root.handlers[:], root.level, ours.level = before
    structlog.reset_defaults()
    sentry_sdk.get_global_scope().set_client(None)


# logs


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def in_json() -> None:
    observing.configure(Settings(logging=Logging("json", "info")))


def test_logs_are_json_with_one_schema_whoever_writes_them(capsys: pytest.CaptureFixture[str]) -> None:
    in_json()
    observing.log.info("event.kept", event_id=7)
    logging.getLogger("celery.worker").warning("something %s", "odd")
    ours, theirs = logged(capsys)
    assert {name: ours[name] for name in ours if name != "at"} == {
        "event": "event.kept",
        "event_id": 7,
        "level": "info",
        "logger": "waybill",
    }
    assert {name: theirs[name] for name in theirs if name != "at"} == {
        "event": "something odd",
        "level": "warning",
        "logger": "celery.worker",
    }
    assert ours["at"].endswith("Z") and theirs["at"].endswith("Z")


def test_a_line_carries_the_ids_of_the_request_that_it_goes_back_to(capsys: pytest.CaptureFixture[str]) -> None:
    in_json()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    tokens = context.correlation_id.set("abc-1"), context.traceparent.set(trace)
    observing.log.info("call.made")
    context.correlation_id.reset(tokens[0])
    context.traceparent.reset(tokens[1])
    observing.log.info("nothing")
    first, second = logged(capsys)
    assert (first["correlation_id"], first["traceparent"]) == ("abc-1", trace)
    assert "correlation_id" not in second


def test_secrets_and_personal_values_are_scrubbed(capsys: pytest.CaptureFixture[str]) -> None:
    in_json()
    observing.log.warning(
        "call.failed",
        reason="mail ada@example.test, key sk_live_abcdefgh12345678, card 4242 4242 4242 4242, order 1234567890123",
        password="p",
        payload={"a": 1},
        url="postgresql://me:word@db/x",
        headers={"Authorization": "Bearer abcdefghijk", "Accept": "*/*"},
    )
    try:
        raise ValueError("for ada@example.test")
    except ValueError as error:
        observing.log.error("call.bug", exc_info=error)
    failed, bug = logged(capsys)
    assert failed["reason"] == "mail [hidden], key [hidden], card [hidden], order 1234567890123"
    assert (failed["password"], failed["payload"], failed["url"]) == ("[hidden]", "[hidden]", "postgresql://[hidden]@db/x")
    assert failed["headers"] == {"Authorization": "[hidden]", "Accept": "*/*"}
    assert "ValueError: for [hidden]" in bug["exception"]


# a small run


@pytest.fixture
def erp() -> Iterator[ErpSimulator]:
    with ErpSimulator(key="erp-key") as started:
        yield started


@pytest.fixture
def runtime(database_url: str, erp: ErpSimulator) -> Iterator[Runtime]:
    made = World(database_url, erp).runtime()
    yield made
    made.close()


def client(runtime: Runtime) -> Any:
    return create_app(runtime).test_client()


def place(runtime: Runtime, order: str = "uuid-1") -> None:
    body = order_event(order)
    inbox.receive(runtime, "shop", inbound(sign_shop(body, order), body), correlation_id="corr-1")


# error reports


class Mailbox(Transport):
    """Sentry's transport that keeps what would leave."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.sent += [event for event in [envelope.get_event()] if event is not None]


def reporting(level: str = "info") -> Mailbox:
    mailbox = Mailbox()
    dsn = secret("https://public@errors.example.com/1")
    observing.configure(Settings(sentry_dsn=dsn, logging=Logging("json", level)), transport=mailbox)
    return mailbox


def test_a_bug_inside_decide_is_reported_without_secrets_and_personal_data(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mailbox = reporting()

    def broken(order: Order, work: Any) -> None:
        payload, key = order_event(order.order_id), STRIPE_SECRET
        raise RuntimeError(f"no idea what to do for {order.mail} with {key}: {len(payload)}")

    monkeypatch.setitem(routes.MESSAGES, Order, broken)
    place(runtime)
    inbox.decide(runtime, "orders")
    assert [event["exception"]["values"][-1]["type"] for event in mailbox.sent] == ["RuntimeError"]
    sent, written = json.dumps(mailbox.sent), capsys.readouterr().err
    assert "no idea what to do for [hidden] with [hidden]" in sent
    assert [value for value in PERSONAL if value in sent or value in written] == []
    frames = mailbox.sent[0]["exception"]["values"][-1]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "broken"
    assert all("vars" not in frame for frame in frames)
    with runtime.engine.connect() as connection:
        assert connection.execute(text("SELECT state, cause, detail FROM events")).all() == [("due", "bug:RuntimeError", "RuntimeError")]


def test_a_bug_inside_a_call_is_reported_too(runtime: Runtime, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    mailbox = reporting()
    place(runtime)
    inbox.decide(runtime, "orders")
    connector = runtime.connector("erp")

    def broken(effect: Any) -> None:
        raise KeyError("ada@example.test")

    monkeypatch.setattr(connector, "create_order", broken)
    drain(runtime)
    assert [event["exception"]["values"][-1]["type"] for event in mailbox.sent] == ["KeyError"]
    assert [value for value in PERSONAL if value in json.dumps(mailbox.sent) or value in capsys.readouterr().err] == []


def test_a_bug_inside_the_web_answers_500_without_a_word_of_it(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = reporting("error")
    body = intent_event("pi_1")

    def broken(request: Any) -> None:
        raise RuntimeError(f"cannot read {request.body!r} of ada@example.test")

    monkeypatch.setattr(runtime.connector("stripe"), "read", broken)
    answer = client(runtime).post("/webhooks/stripe", data=body, headers=sign_stripe(body))
    assert (answer.status_code, answer.json["error"]["message"]) == (500, "internal error")
    assert len(mailbox.sent) == 1
    assert "request" not in mailbox.sent[0]
    assert [value for value in PERSONAL if value in json.dumps(mailbox.sent)] == []


def test_without_a_dsn_nothing_is_reported() -> None:
    observing.configure(Settings())
    assert not sentry_sdk.get_client().is_active()
    observing.report(RuntimeError("x"))


# health


def test_live_is_live_whatever_else_is_down(runtime: Runtime) -> None:
    assert client(runtime).get("/health/live").json == {"status": "live"}


def test_ready_names_every_check(runtime: Runtime) -> None:
    answer = client(runtime).get("/health/ready")
    checks = answer.json["checks"]
    assert (answer.status_code, answer.json["status"]) == (200, "ready")
    assert set(checks) == {"broker", "database", "migrations", "oldest_waiting_seconds"}
    assert checks["migrations"]["have"] == checks["migrations"]["want"]


def test_the_oldest_waiting_row_is_shown(database_url: str) -> None:
    world = World(database_url)
    runtime = world.runtime()
    place(runtime)
    world.clock.forward(90)
    assert client(runtime).get("/health/ready").json["checks"]["oldest_waiting_seconds"]["value"] == pytest.approx(90, abs=5)
    runtime.close()


def test_a_database_that_is_down_is_not_ready() -> None:
    runtime = World("postgresql://nobody@127.0.0.1:9/none").runtime()
    answer = client(runtime).get("/health/ready")
    assert (answer.status_code, answer.json["status"]) == (503, "not ready")
    assert answer.json["checks"]["database"] == {"ok": False, "error": "OperationalError"}
    assert client(runtime).get("/health/live").status_code == 200
    runtime.close()


def test_a_schema_that_is_behind_is_not_ready(runtime: Runtime) -> None:
    with runtime.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    answer = client(runtime).get("/health/ready")
    assert answer.status_code == 503
    assert (answer.json["checks"]["migrations"]["ok"], answer.json["checks"]["migrations"]["have"]) == (False, "0000")


def test_a_broker_that_is_down_is_not_ready(database_url: str) -> None:
    made = World(database_url).runtime()
    runtime = Runtime(replace(made.settings, broker=Broker("redis://127.0.0.1:9/0")))
    answer = client(runtime).get("/health/ready")
    assert (answer.status_code, answer.json["checks"]["broker"]["ok"]) == (503, False)
    runtime.close()
    made.close()


# metrics


def metrics(runtime: Runtime) -> dict[tuple[str, frozenset[str]], float]:
    """Every sample of ours by its name and label values."""
    answer = client(runtime).get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if family.name.startswith("waybill")
    }


def test_metrics_count_what_happened(runtime: Runtime) -> None:
    before = metrics(runtime)
    web = client(runtime)
    paid, order, wrong = intent_event("pi_1", order="uuid-1"), order_event("uuid-1"), b"{}"
    for name, body, headers in (
        ("stripe", paid, sign_stripe(paid)),
        ("stripe", paid, sign_stripe(paid)),
        ("stripe", wrong, {}),
        ("shop", order, sign_shop(order, "m1")),
        ("nobody", wrong, {}),
    ):
        web.post(f"/webhooks/{name}", data=body, headers=headers)
    broken = b"not json"
    web.post("/webhooks/shop", data=broken, headers=sign_shop(broken, "m2"))
    waiting = metrics(runtime)
    assert [waiting["waybill_backlog", frozenset({"events", lane})] for lane in ("orders", "payments")] == [2, 1]
    assert waiting["waybill_oldest_seconds", frozenset({"events", "orders"})] >= 0
    drain(runtime)
    after = metrics(runtime)

    def grew(name: str, *labels: str) -> float:
        return after.get((name, frozenset(labels)), 0) - before.get((name, frozenset(labels)), 0)

    assert [grew("waybill_webhooks_total", "stripe", verdict) for verdict in ("kept", "duplicate", "signature")] == [1, 1, 1]
    assert [grew("waybill_webhooks_total", "shop", "kept"), grew("waybill_webhooks_total", "?", "unknown_connection")] == [2, 1]
    assert [grew("waybill_events_total", "shop", state) for state in ("decided", "dead")] == [1, 1]
    assert grew("waybill_decide_lag_seconds_count", "stripe", "payments") >= 1
    assert grew("waybill_calls_total", "erp", "create_order", "done") == 1
    assert after["waybill_dead", frozenset({"events", "shop", "unreadable"})] == 1
    assert ("waybill_backlog", frozenset({"events", "orders"})) not in after


def test_metrics_and_health_show_no_personal_value(runtime: Runtime) -> None:
    place(runtime)
    drain(runtime)
    shown = client(runtime).get("/metrics").text + client(runtime).get("/health/ready").text
    assert [value for value in PERSONAL if value in shown] == []
