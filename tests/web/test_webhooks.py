"""The door: every answer that a sender can get, the same through all three skins."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cheroot.wsgi import Server
from werkzeug.wrappers import Request, Response

from middleware.app import create_app
from middleware.runtime import Runtime
from middleware.settings import Web
from middleware.simulators.drupal.checkout import Line
from middleware.simulators.drupal.simulator import DrupalSimulator
from middleware.simulators.erp import ErpSimulator
from middleware.testing import Cluster, drain
from middleware.web import asgi
from tests.web.asgi import request
from tests.world import World, connections, intent_event, order_event, rows, sign_shop, sign_stripe

LIMIT = 20_000


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def error(self) -> Any:
        """(status, code, class, retryable) of a problem."""
        told = json.loads(self.text)["error"]
        assert set(told) == {"code", "class", "retryable", "message"} and told["message"]
        return self.status, told["code"], told["class"], told["retryable"]


@dataclass
class Door:
    """A Waybill behind a real server, or (`port` 0) as an ASGI application."""

    runtime: Runtime
    port: int

    def post(self, connection: str, body: bytes, headers: Mapping[str, str], *, chunked: bool = False) -> Answer:
        if not self.port:
            return asyncio.run(self._post(connection, [body[:100], body[100:]] if chunked else [body], headers))
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        line.request("POST", f"/webhooks/{connection}", iter([body]) if chunked else body, dict(headers), encode_chunked=chunked)
        answer = line.getresponse()
        found = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode())
        line.close()
        return found

    async def _post(self, connection: str, parts: list[bytes], headers: Mapping[str, str]) -> Answer:
        length = {} if len(parts) > 1 else {"content-length": str(len(parts[0]))}
        layer = asgi.WebhookLayer(create_app(self.runtime).wsgi_app, self.runtime)
        status, told, body = await request(layer, "POST", f"/webhooks/{connection}", {**headers, **length}, parts)
        await layer.close()
        return Answer(status, {name.lower(): value for name, value in told}, body.decode())

    def kept(self) -> list[tuple[Any, ...]]:
        return rows(self.runtime, "SELECT connection, delivery_id, topic, state, cause FROM events ORDER BY id")


SKINS = ["thin layer", "flask", "event loop"]


@contextmanager
def opened(skin: str, database_url: str, **stripe: Any) -> Iterator[Door]:
    mine = connections()
    world = World(database_url, connections={**mine, "stripe": replace(mine["stripe"], **stripe)})
    runtime = world.runtime(web=Web(thin_layer=skin == "thin layer", max_body=LIMIT))
    if skin == "event loop":
        yield Door(runtime, 0)
        runtime.close()
        return
    server = Server(("127.0.0.1", 0), create_app(runtime), numthreads=4)
    server.expiration_interval = 0.02
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield Door(runtime, server.bind_addr[1])
    server.stop()
    thread.join()
    runtime.close()


@pytest.fixture(scope="module", params=SKINS)
def kept_open(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Door]:
    name, url = cluster.clone()
    with opened(request.param, url) as made:
        yield made
    cluster.drop(name)


@pytest.fixture
def door(kept_open: Door) -> Door:
    kept_open.runtime.refusals.flush(kept_open.runtime.engine)  # what earlier tests counted is not this one's
    rows(kept_open.runtime, "TRUNCATE events, event_bodies, refusals, refusal_samples, calls, orders, order_keys, payments, payment_parts")
    return kept_open


def signed(connection: str, body: bytes, **how: Any) -> dict[str, str]:
    return sign_shop(body, "m1", **how) if connection == "shop" else sign_stripe(body, **how)


BODIES = {"shop": order_event("uuid-1"), "stripe": intent_event("pi_1")}
BOTH = pytest.mark.parametrize("connection", ["shop", "stripe"])


@BOTH
def test_a_good_delivery_is_kept_and_its_repetition_is_welcome(door: Door, connection: str) -> None:
    body = BODIES[connection]
    for _ in range(2):
        answer = door.post(connection, body, signed(connection, body))
        assert (answer.status, answer.text, answer.headers["content-type"]) == (200, '{"status":"kept"}', "application/json")
    assert [row[0] for row in door.kept()] == [connection]


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "chunked"])
def test_a_body_over_the_limit_is_refused(door: Door, chunked: bool) -> None:
    body = b'{"padding": "' + b"x" * LIMIT + b'"}'
    assert door.post("shop", body, sign_shop(body, "m1"), chunked=chunked).error == (413, "body_too_large", "permanent", False)
    assert door.kept() == []


@BOTH
def test_a_chunked_body_within_the_limit_is_kept(door: Door, connection: str) -> None:
    body = BODIES[connection]
    assert door.post(connection, body, signed(connection, body), chunked=True).status == 200
    assert len(door.kept()) == 1


@pytest.mark.parametrize("name", ["nobody", "erp"], ids=["not configured", "configured, but it sends nothing"])
def test_an_unknown_connection_is_not_found(door: Door, name: str) -> None:
    assert door.post(name, b"{}", {}).error == (404, "unknown_connection", "permanent", False)
    assert door.kept() == []


@pytest.mark.parametrize(("connection", "status"), [("shop", 401), ("stripe", 400)])
@pytest.mark.parametrize("tampered", ["body", "secret", "no signature"])
def test_a_wrong_signature_is_refused_as_the_provider_expects(door: Door, connection: str, status: int, tampered: str) -> None:
    body = BODIES[connection]
    headers = signed(connection, body, **({"secret_text": "whsec_YW5vdGhlci1zZWNyZXQtdGhhbi1vdXJz"} if tampered == "secret" else {}))
    if tampered == "no signature":
        headers = {name: value for name, value in headers.items() if "signature" not in name}
    sent = body.replace(b"1", b"2", 1) if tampered == "body" else body
    assert door.post(connection, sent, headers).error == (status, "signature", "auth", False)
    assert door.kept() == []


@BOTH
def test_a_stale_signature_is_refused(door: Door, connection: str) -> None:
    body = BODIES[connection]
    assert door.post(connection, body, signed(connection, body, at=int(time.time()) - 301)).error == (401, "stale", "auth", False)
    assert door.kept() == []


@pytest.mark.parametrize("skin", SKINS)
def test_a_test_event_on_a_live_connection_is_refused(database_url: str, skin: str) -> None:
    with opened(skin, database_url, live=True) as door:
        body = BODIES["stripe"]
        assert door.post("stripe", body, sign_stripe(body)).error == (400, "wrong_environment", "permanent", False)
        assert door.kept() == []


@BOTH
def test_a_signed_body_that_is_not_json_is_kept_and_dead_with_its_cause(door: Door, connection: str) -> None:
    body = b'{"broken": '
    assert door.post(connection, body, signed(connection, body)).status == 200
    drain(door.runtime)
    assert [(topic, state, cause) for _, _, topic, state, cause in door.kept()] == [("unreadable", "dead", "unreadable")]
    assert rows(door.runtime, "SELECT detail FROM events") == [("the body is not JSON",)]
    assert door.post(connection, body, signed(connection, body)).status == 200
    assert len(door.kept()) == 1


@pytest.mark.parametrize("skin", SKINS)
def test_without_its_database_nothing_is_acknowledged(database_url: str, cluster: Cluster, skin: str) -> None:
    name = database_url.partition("?")[0].rpartition("/")[2]
    with opened(skin, database_url) as door:
        body = BODIES["shop"]
        before = order_event("uuid-0")
        door.post("shop", before, sign_shop(before, "m0"))  # the writer has its connection
        door.runtime.engine.dispose()
        cluster._run("ALTER DATABASE {} ALLOW_CONNECTIONS false", name)
        cluster._run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        answer = door.post("shop", body, sign_shop(body, "m1"))
        assert (answer.error, answer.headers["retry-after"]) == ((503, "busy", "transient", True), "2")
        cluster._run("ALTER DATABASE {} ALLOW_CONNECTIONS true", name)
        assert [delivery for _, delivery, *_ in door.kept()] == ["m0"]
        assert door.post("shop", body, sign_shop(body, "m1")).status == 200
        assert [delivery for _, delivery, *_ in door.kept()] == ["m0", "m1"]


# The ids that join everything


@pytest.mark.parametrize("given", ["", "has spaces", "x" * 129, 'quote"', "ünlaut"])
def test_an_unusable_correlation_id_is_replaced(door: Door, given: str) -> None:
    body = BODIES["shop"]
    answer = door.post(
        "shop", body, {**sign_shop(body, "m1"), "X-Correlation-ID": given.encode("latin-1").decode("latin-1"), "traceparent": "rubbish"}
    )
    made = answer.headers["x-correlation-id"]
    assert (len(made), made != given) == (32, True)
    assert rows(door.runtime, "SELECT correlation_id, traceparent FROM events") == [(made, "")]


def test_the_ids_of_a_request_reach_its_event_its_calls_and_the_requests_that_follow(database_url: str) -> None:
    heard: list[tuple[str, str | None, str | None]] = []

    def listening(simulator: Any, name: str) -> Any:
        answer = simulator.answer

        def watched(request: Request) -> Response:
            heard.append((f"{name} {request.method}", request.headers.get("X-Correlation-ID"), request.headers.get("traceparent")))
            found: Response = answer(request)
            return found

        simulator.answer = watched
        return simulator

    ids = ("order-42:a.b_c", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    with listening(ErpSimulator(), "erp") as erp, listening(DrupalSimulator(), "shop") as shop:
        world = World(database_url, erp, shop_url=shop.url)
        runtime = world.runtime()
        client = create_app(runtime).test_client()
        placed = shop.place_order([Line("TS-RED-M", unit_price="44.70", title="T-Shirt")])
        body = order_event(placed.uuid)
        answer = client.post(
            "/webhooks/shop", data=body, headers={**sign_shop(body, "m1"), "X-Correlation-ID": ids[0], "traceparent": ids[1]}
        )
        assert (answer.status_code, answer.headers["X-Correlation-ID"]) == (200, ids[0])
        drain(runtime)
        assert rows(runtime, "SELECT correlation_id, traceparent FROM events WHERE connection = 'shop'") == [ids]
        calls = rows(runtime, "SELECT operation, correlation_id, traceparent FROM calls WHERE event_id = 1 OR event_id IS NULL ORDER BY id")
        assert calls == [("create_order", *ids), ("write_order_status", *ids)]
        assert {cid for (cid,) in rows(runtime, "SELECT correlation_id FROM transitions WHERE cause NOT LIKE '%order.changed'")} == {ids[0]}
        # the shop is first asked whether it has the module, then how the order is
        expected = [("erp POST", *ids), ("shop GET", *ids), ("shop GET", *ids), ("shop PATCH", *ids)]
        assert [said for said in heard if said[1]][:4] == expected
        runtime.close()


# Refusals


def test_a_thousand_refused_requests_leave_no_event_one_counter_and_a_hundred_samples_without_secrets(database_url: str) -> None:
    runtime = World(database_url).runtime()
    client = create_app(runtime).test_client()
    body = BODIES["stripe"]
    headers = {
        **sign_stripe(body, secret_text="wrong"),
        "Authorization": "Bearer abcdefghijklmno",
        "X-Api-Key": "abcdefgh",
        "User-Agent": "ada@example.test",
    }
    for number in range(1_000):
        assert client.post("/webhooks/stripe", data=body, headers=headers).status_code == 400
        if number % 150 == 0:
            runtime.refusals.flush(runtime.engine)
    runtime.refusals.flush(runtime.engine)
    assert rows(runtime, "SELECT count(*) FROM events") == [(0,)]
    assert rows(runtime, "SELECT connection, cause, count FROM refusals") == [("stripe", "signature", 1_000)]
    samples = rows(runtime, "SELECT headers, size, why FROM refusal_samples")
    assert len(samples) == 100
    assert Counter((size, why) for _, size, why in samples) == {(len(body), "no signature matches"): 100}
    shown = json.loads(samples[0][0])
    assert {shown[name] for name in ("stripe-signature", "authorization", "x-api-key", "user-agent")} == {"[hidden]"}
    runtime.close()


def test_refusals_at_made_up_connections_share_one_counter(door: Door) -> None:
    large = b"x" * (LIMIT + 1)
    for number in range(5):
        door.post(f"made-up-{number}", b"{}", {})
        assert door.post(f"made-up-{number}", large, {}).status == 413
    door.runtime.refusals.flush(door.runtime.engine)
    assert rows(door.runtime, "SELECT connection, cause, count FROM refusals ORDER BY cause") == [
        ("?", "body_too_large", 5),
        ("?", "unknown_connection", 5),
    ]
