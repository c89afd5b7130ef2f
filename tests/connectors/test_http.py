"""The one HTTP client: its errors as a table, its limits against real sockets."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import pytest
import redis
import requests
import responses
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from middleware.connectors import _http
from middleware.connectors._http import Exchange, Http, Reply, breaker_for, limiter_for, recording
from middleware.context import correlation_id, deadline, traceparent
from middleware.errors import CallError, RateLimited, Rejected, Transient, Unauthorized, UnknownOutcome, Unreachable
from middleware.settings import Connection

BASE = "http://erp.example"
ERP = Connection("erp", "tryton", BASE, timeout=1.0, deadline=2.0)


@pytest.fixture
def http() -> Iterator[Http]:
    client = Http(ERP)
    yield client
    client.close()


@contextmanager
def serving(answer, *, requests_served=1) -> Iterator[tuple[Http, list[bytes]]]:
    """A socket server that reads one request per connection and leaves the rest to `answer(socket)`."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def serve() -> None:
        for _ in range(requests_served):
            client, _ = listener.accept()
            with client:
                seen.append(client.recv(65_536))
                try:
                    answer(client)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    client = Http(replace(ERP, base_url=f"http://127.0.0.1:{listener.getsockname()[1]}"))
    try:
        yield client, seen
    finally:
        client.close()
        thread.join(10)
        listener.close()
    assert not thread.is_alive()


def status_of(client, method="GET", **options):
    with pytest.raises(CallError) as raised:
        client.request(method, "/orders", **options)
    return raised.value


@responses.activate
def test_a_request_carries_our_ids_and_nothing_of_the_machine(http, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    responses.post(f"{BASE}/orders", json={"total": 19.90}, headers={"Set-Cookie": "a=b"})
    correlation, trace = correlation_id.set("c-1"), traceparent.set("00-abc-def-01")
    try:
        reply = http.request("POST", "/orders", params={"f": "x"}, json={"name": "Zoë"}, headers={"Authorization": "Bearer k"})
        http.request("POST", "/orders", data=b"raw")
    finally:
        correlation_id.reset(correlation)
        traceparent.reset(trace)
    first, second = (call.request for call in responses.calls)
    assert first.headers["X-Correlation-ID"] == "c-1"
    assert first.headers["traceparent"] == "00-abc-def-01"
    assert first.headers["User-Agent"].startswith("waybill/")
    assert first.headers["Content-Type"] == "application/json"
    assert first.body == '{"name":"Zoë"}'.encode()
    assert second.body == b"raw"
    assert "Cookie" not in second.headers
    assert reply.json() == {"total": Decimal("19.9")}


@responses.activate
def test_without_ids_no_header_is_made_up(http):
    responses.get(f"{BASE}/orders", json=[])
    http.request("GET", "/orders")
    assert not {"X-Correlation-ID", "traceparent"} & set(responses.calls[0].request.headers)


STATUSES = [
    (302, "GET", Rejected),
    (400, "POST", Rejected),
    (401, "POST", Unauthorized),
    (403, "GET", Unauthorized),
    (404, "GET", Rejected),
    (408, "GET", Transient),
    (408, "POST", UnknownOutcome),
    (429, "POST", RateLimited),
    (500, "GET", Transient),
    (500, "POST", UnknownOutcome),
    (503, "GET", Transient),
    (504, "POST", UnknownOutcome),
]


@pytest.mark.parametrize(("status", "method", "expected"), STATUSES)
@responses.activate
def test_each_status_has_its_class(http, status, method, expected):
    responses.add(method, f"{BASE}/orders", status=status, body="<html>", headers={"Retry-After": "7", "Location": "/elsewhere"})
    error = status_of(http, method)
    assert (type(error), error.http_status) == (expected, status)
    assert error.retry_after == (7.0 if status in (408, 429) or status >= 500 else None)
    assert len(responses.calls) == 1


EXCEPTIONS = [
    (requests.ConnectTimeout(), Transient, Transient),
    (requests.ReadTimeout(), Transient, UnknownOutcome),
    (requests.ConnectionError("reset"), Transient, UnknownOutcome),
    (requests.exceptions.ChunkedEncodingError(), Transient, UnknownOutcome),
]


@pytest.mark.parametrize(("error", "safe", "unsafe"), EXCEPTIONS)
@responses.activate
def test_each_failure_of_the_network_has_its_class(http, error, safe, unsafe):
    responses.get(f"{BASE}/orders", body=error)
    responses.post(f"{BASE}/orders", body=error)
    assert type(status_of(http)) is safe
    assert type(status_of(http, "POST")) is unsafe
    assert type(status_of(http, "POST", safe=True)) is safe


@responses.activate
def test_a_status_that_the_caller_accepts_is_a_reply(http):
    responses.get(f"{BASE}/orders", status=404, json={"message": "gone"})
    assert http.request("GET", "/orders", accept=frozenset({200, 404})).status == 404


@responses.activate
def test_a_refusal_is_explained_by_the_connector(http):
    responses.post(f"{BASE}/orders", status=422, json={"why": "too long", "at": "name"})
    error = status_of(http, "POST", explain=lambda reply: (reply.json()["why"], reply.json()["at"]))
    assert (error.reason, error.field) == ("HTTP 422: too long", "name")


@responses.activate
def test_retry_after_may_be_a_date(http):
    at = datetime.now(UTC) + timedelta(seconds=90)
    responses.get(f"{BASE}/orders", status=503, headers={"Retry-After": format_datetime(at, usegmt=True)})
    assert 80 < status_of(http).retry_after <= 90
    responses.replace("GET", f"{BASE}/orders", status=503, headers={"Retry-After": "soon"})
    assert status_of(http).retry_after is None


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(502, {}, b"<html>"), Transient),
        (Reply(200, {}, b"<html>"), Rejected),
        (Reply(200, {}, b"", safe=False), UnknownOutcome),
        (Reply(404, {}, b"<html>", safe=False), Rejected),
    ],
)
def test_a_body_that_is_not_json_says_so(reply, expected):
    with pytest.raises(CallError) as raised:
        reply.json()
    assert type(raised.value) is expected


@pytest.mark.parametrize(
    ("body", "encoding"), [(b'{"a":1}', ""), (b'{"a":1}', "gzip"), (gzip.compress(b'{"a":1}'), "gzip"), (gzip.compress(b'{"a":1}'), "")]
)
def test_gzip_is_undone_by_its_first_bytes(body, encoding):
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with serving(lambda client: client.sendall(head + body)) as (client, seen):
        assert client.request("GET", "/orders").json() == {"a": 1}
    assert b"Accept-Encoding: gzip\r\n" in seen[0]


@pytest.mark.parametrize("body", [b"x" * 5_000, gzip.compress(b"x" * 5_000)])
@pytest.mark.parametrize(("method", "expected"), [("GET", Rejected), ("POST", UnknownOutcome)])
@responses.activate
def test_an_answer_that_is_too_large_is_refused(http, monkeypatch, body, method, expected):
    monkeypatch.setattr(_http, "MAX_REPLY", 1_000)
    responses.add(method, f"{BASE}/orders", body=body)
    assert type(status_of(http, method)) is expected


def test_a_server_that_trickles_its_body_is_cut_off_at_the_deadline():
    def trickle(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(200):
            client.sendall(b" ")
            time.sleep(0.05)

    with serving(trickle, requests_served=2) as (client, _):
        client.connection = replace(client.connection, deadline=0.4)
        for method, expected in (("GET", Transient), ("POST", UnknownOutcome)):
            started = time.monotonic()
            error = status_of(client, method)
            assert (type(error), error.reason) == (expected, "no complete answer within 0.4 s")
            assert time.monotonic() - started < 1.5


def test_a_server_that_trickles_its_headers_until_it_closes_is_cut_off_too():
    def trickle(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(200):
            client.sendall(f"X-{number}: a\r\n".encode())
            time.sleep(0.05)

    with serving(trickle) as (client, _):
        client.connection = replace(client.connection, deadline=0.4)
        assert status_of(client, "POST").reason == "no complete answer within 0.4 s"


def test_a_body_without_length_is_not_taken_for_complete_at_the_deadline():
    def trickle(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}")
        for _ in range(200):
            client.sendall(b" ")
            time.sleep(0.05)

    with serving(trickle) as (client, _):
        client.connection = replace(client.connection, deadline=0.4)
        assert type(status_of(client, "POST")) is UnknownOutcome


@contextmanager
def call_of(seconds: float) -> Iterator[list[Exchange]]:
    """What the outbox puts around the requests of one call."""
    token = deadline.set(time.monotonic() + seconds)
    try:
        with recording() as exchanges:
            yield exchanges
    finally:
        deadline.reset(token)


def test_all_requests_of_a_call_share_its_deadline():
    def slow(client: socket.socket) -> None:
        time.sleep(0.3)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    with serving(slow, requests_served=2) as (client, seen), call_of(0.5):
        started = time.monotonic()
        assert client.request("GET", "/orders").status == 200
        assert type(status_of(client, "POST")) is UnknownOutcome
        assert 0.45 < time.monotonic() - started < 0.7
        assert type(status_of(client)) is UnknownOutcome
        assert len(seen) == 2


@responses.activate
def test_a_call_without_time_sends_nothing(http):
    responses.get(f"{BASE}/orders", json={})
    with call_of(-0.1):
        error = status_of(http, "POST")
    assert (type(error), error.reason, len(responses.calls)) == (Transient, "no time left for this call", 0)
    assert http.request("GET", "/orders").status == 200


@responses.activate
def test_a_call_that_ran_out_of_time_behind_an_effect_is_unknown(http):
    responses.post(f"{BASE}/orders", json={})
    with call_of(5) as exchanges:
        http.request("POST", "/orders", safe=True)
        deadline.set(time.monotonic() - 1)
        assert type(status_of(http, "GET")) is Transient
        deadline.set(time.monotonic() + 5)
        http.request("POST", "/orders")
        deadline.set(time.monotonic() - 1)
        assert type(status_of(http, "GET")) is UnknownOutcome
    assert [exchange.effect for exchange in exchanges] == [False, False, True, False]


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def truncated(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")


def silent(client: socket.socket) -> None:
    client.settimeout(5)
    client.recv(1)


@pytest.mark.parametrize("answer", [reset, truncated, silent, lambda client: None])
def test_a_connection_that_breaks_leaves_an_unsafe_request_unknown(answer):
    with serving(answer, requests_served=2) as (client, _):
        assert type(status_of(client)) is Transient
        assert type(status_of(client, "POST")) is UnknownOutcome


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "http://nowhere.invalid"])
def test_what_never_reached_the_system_is_transient(base_url):
    client = Http(replace(ERP, base_url=base_url))
    assert type(status_of(client, "POST")) is Transient
    client.close()


def test_a_tls_failure_before_the_request_is_transient():
    with serving(lambda client: client.sendall(b"this is not TLS")) as (client, _):
        client.connection = replace(client.connection, base_url=client.connection.base_url.replace("http:", "https:"))
        assert type(status_of(client, "POST")) is Transient


def test_an_address_of_another_host_is_refused(http):
    with pytest.raises(ValueError, match="must begin with"):
        http.request("GET", "https://elsewhere.example/orders")


@responses.activate
def test_the_transcript_has_no_values(http):
    responses.post(f"{BASE}/orders", json={"a": 1})
    with recording() as exchanges:
        http.request("POST", "/orders", params=[("mail", "ada@example.com"), ("f", "id")], json={"secret": 1})
        responses.replace("POST", f"{BASE}/orders", body=requests.ReadTimeout())
        status_of(http, "POST")
        responses.replace("POST", f"{BASE}/orders", status=400, json={"message": "ada@example.com is wrong"})
        status_of(http, "POST", explain=lambda reply: (reply.json()["message"], ""))
    assert [replace(exchange, seconds=0) for exchange in exchanges] == [
        Exchange("POST", "/orders?mail&f", 200, 0, 12, 8, effect=True),
        Exchange("POST", "/orders", None, 0, 0, 0, "unknown_outcome", "no answer within the time-out", effect=True),
        Exchange("POST", "/orders", 400, 0, 0, 39, "rejected"),
    ]


@responses.activate
def test_nothing_is_recorded_outside(http):
    responses.get(f"{BASE}/orders", json={})
    http.request("GET", "/orders")
    with recording() as exchanges:
        assert exchanges == []


@responses.activate
def test_over_our_own_rate_nothing_is_sent():
    responses.get(f"{BASE}/orders", json={})
    client = Http(replace(ERP, rate="2/minute"), limiter=MovingWindowRateLimiter(MemoryStorage()))
    for _ in range(2):
        client.request("GET", "/orders")
    error = status_of(client)
    assert type(error) is RateLimited
    assert 50 < error.retry_after <= 61
    assert len(responses.calls) == 2
    client.close()


def guarded(**changes) -> Http:
    settings = replace(ERP, breaker_failures=2, breaker_reset=30.0, **changes)
    return Http(settings, breaker=breaker_for(settings))


@responses.activate
def test_the_breaker_opens_after_failures_and_then_nothing_is_sent():
    responses.get(f"{BASE}/orders", status=503)
    client = guarded()
    errors = [status_of(client) for _ in range(3)]
    assert [type(error) for error in errors] == [Transient, Transient, Unreachable]
    assert 29 < errors[2].retry_after <= 30
    assert not errors[2].burns_attempt
    assert len(responses.calls) == 2
    client.close()


@pytest.mark.parametrize("status", [400, 401, 429])
@responses.activate
def test_a_refusal_never_opens_the_breaker(status):
    responses.get(f"{BASE}/orders", status=status)
    client = guarded()
    assert Unreachable not in {type(status_of(client)) for _ in range(5)}
    client.close()


@responses.activate
def test_one_trial_closes_the_breaker_or_opens_it_again():
    responses.get(f"{BASE}/orders", status=503)
    settings = replace(ERP, breaker_failures=1, breaker_reset=0.05)
    client = Http(settings, breaker=breaker_for(settings))
    status_of(client)
    assert type(status_of(client)) is Unreachable
    time.sleep(0.06)
    assert type(status_of(client)) is Transient
    assert type(status_of(client)) is Unreachable
    time.sleep(0.06)
    responses.replace("GET", f"{BASE}/orders", json={})
    assert [client.request("GET", "/orders").status for _ in range(2)] == [200, 200]
    client.close()


def test_threads_of_a_connection_do_not_wait_for_each_other():
    together = threading.Barrier(2, timeout=5)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            client.recv(65_536)
            together.wait()  # Broken unless both requests are under way at once.
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    settings = replace(ERP, base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=5.0, deadline=5.0)
    client, statuses = Http(settings, breaker=breaker_for(settings)), []
    threads = [threading.Thread(target=serve) for _ in range(2)]
    threads += [threading.Thread(target=lambda: statuses.append(client.request("GET", "/x").status)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    client.close()
    listener.close()
    assert statuses == [200, 200]


@responses.activate
def test_a_redis_that_is_away_stops_no_call(capsys):
    responses.get(f"{BASE}/orders", status=503)
    settings = replace(ERP, rate="3/minute", breaker_failures=1)
    away = "redis://127.0.0.1:1/0"
    client = Http(settings, limiter=limiter_for(away), breaker=breaker_for(settings, away))
    started = time.monotonic()
    assert [type(status_of(client)) for _ in range(4)] == [Transient, Transient, Transient, RateLimited]
    assert time.monotonic() - started < 1.5
    client.close()


def shared_redis() -> str:
    url = "redis://127.0.0.1:6379/15"
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=0.5) as server:
            server.ping()
    except redis.RedisError as error:
        pytest.skip(f"no Redis on 127.0.0.1:6379: {type(error).__name__}")
    return url


@pytest.mark.real
@responses.activate
def test_two_processes_share_limits_and_breakers_through_redis():
    url = shared_redis()
    responses.get(f"{BASE}/orders", status=503)
    settings = replace(ERP, name=f"erp-{time.time_ns()}", rate="3/minute", breaker_failures=2)
    clients = [Http(settings, limiter=limiter_for(url), breaker=breaker_for(settings, url)) for _ in range(2)]
    errors = [status_of(clients[turn % 2]) for turn in range(4)]
    assert [type(error) for error in errors] == [Transient, Transient, Unreachable, RateLimited]
    for client in clients:
        client.close()


def test_json_numbers_stay_exact():
    assert Reply(200, {}, json.dumps({"a": 0.1}).encode()).json() == {"a": Decimal("0.1")}
