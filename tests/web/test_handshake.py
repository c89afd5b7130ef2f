"""A subscription is greeted before its first delivery: the same through all three skins."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
import requests
from cheroot.wsgi import Server

from middleware.app import create_app
from middleware.runtime import Runtime
from middleware.settings import Connection, Web
from middleware.simulators.businesscentral import BusinessCentralSimulator
from middleware.testing import Cluster, secret
from middleware.web import asgi
from tests.web.asgi import request
from tests.world import World, connections, rows

SKINS = ["thin layer", "flask", "event loop"]
Told = tuple[int, str, str]


@pytest.fixture(scope="module", params=SKINS)
def skin(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def runtime(skin: str, cluster: Cluster) -> Iterator[Runtime]:
    name, url = cluster.clone()
    bc = Connection("bc", "businesscentral", "https://bc.example/v2.0/production", secrets=(secret("state"),))
    klarna = Connection("klarna", "klarna", "https://klarna.example", secrets=(secret("key"),))
    keys = {"public_key": secret("bt_public_key"), "private_key": secret("bt_private_key")}
    bt = Connection("bt", "braintree", "https://bt.example", secrets=(secret("bt_private_key"),), credentials=keys)
    known = {**connections(), "bc": bc, "klarna": klarna, "bt": bt}
    made = World(url, connections=known).runtime(web=Web(thin_layer=skin == "thin layer"))
    yield made
    made.close()
    cluster.drop(name)


def asked(skin: str, runtime: Runtime, connection: str, query: str, body: bytes = b"", method: str = "POST") -> Told:
    """Status, content type and text of the answer."""
    if skin == "event loop":
        return asyncio.run(_asked(runtime, connection, query, body, method))
    with served(runtime) as url:
        address = f"{url}/webhooks/{connection}?{query}"
        answer = requests.request(method, address, data=body, headers={"Connection": "close"}, timeout=20)
    return answer.status_code, answer.headers["content-type"], answer.text


@contextmanager
def served(runtime: Runtime) -> Iterator[str]:
    server = Server(("127.0.0.1", 0), create_app(runtime), numthreads=2)
    server.expiration_interval = 0.02
    server.prepare()
    thread = Thread(target=server.serve)
    thread.start()
    yield f"http://127.0.0.1:{server.bind_addr[1]}"
    server.stop()
    thread.join()


async def _asked(runtime: Runtime, connection: str, query: str, body: bytes, method: str) -> Told:
    layer = asgi.WebhookLayer(create_app(runtime).wsgi_app, runtime)
    status, told, text = await request(layer, method, f"/webhooks/{connection}", {"content-length": str(len(body))}, [body], query=query)
    await layer.close()
    return status, {name.lower(): value for name, value in told}["content-type"], text.decode()


def test_the_token_of_a_handshake_is_echoed_as_plain_text(skin: str, runtime: Runtime) -> None:
    told = asked(skin, runtime, "bc", "validationToken=%3Cscript%3E%20a%2Bb")
    assert told == (200, "text/plain; charset=utf-8", "<script> a+b")
    assert rows(runtime, "SELECT count(*) FROM events") == [(0,)]


@pytest.mark.parametrize("query", ["validationToken=", "other=1", "validationToken=" + "x" * 2049])
def test_what_is_no_handshake_is_a_delivery(skin: str, runtime: Runtime, query: str) -> None:
    assert asked(skin, runtime, "bc", query, b"{}")[0] == 429  # never another refusal: the subscription would be deleted


@pytest.mark.parametrize(("connection", "status"), [("stripe", 400), ("nobody", 404)])
def test_nobody_else_echoes_anything(skin: str, runtime: Runtime, connection: str, status: int) -> None:
    assert asked(skin, runtime, connection, "validationToken=x", b"{}")[0] == status


def test_a_subscription_lasts_whatever_it_is_told_with(runtime: Runtime, skin: str) -> None:
    if skin == "event loop":
        pytest.skip("has no port of its own")
    bc, other = BusinessCentralSimulator(), BusinessCentralSimulator()
    items = [bc.add_item("A"), bc.add_item("B")]
    with served(runtime) as url:
        assert bc.subscribe(f"{url}/webhooks/bc", "state")
        assert other.subscribe(f"{url}/webhooks/bc", "another state")
        assert not bc.subscribe(f"{url}/webhooks/stripe", "state")
        bc.notify(*items)
        bc.notify(*items)
        other.notify("1")
    assert rows(runtime, "SELECT topic, hint FROM events") == [("resource.updated", True)] * 2
    assert len(other.subscriptions) == 1
    rows(runtime, "TRUNCATE events, event_bodies")


def test_a_notification_is_kept_after_it(skin: str, runtime: Runtime) -> None:
    one = {"subscriptionId": "s", "clientState": "state", "resource": "items(1)", "changeType": "updated"}
    body = json.dumps({"value": [{**one, "lastModifiedDateTime": "2026-11-22T12:00:00Z"}]}).encode()
    assert asked(skin, runtime, "bc", "", body)[0] == 200
    assert rows(runtime, "SELECT connection, topic, hint FROM events") == [("bc", "resource.updated", True)]


def test_what_a_push_is_about_may_stand_in_the_query_of_its_address(skin: str, runtime: Runtime) -> None:
    assert asked(skin, runtime, "klarna", "klarna_order_id=f3392f8b&x=%C3%A9")[0] == 200
    found = rows(runtime, "SELECT subject, topic, hint FROM events WHERE connection = 'klarna'")
    assert found == [("f3392f8b", "order.push", True)]


def test_a_challenge_that_comes_with_get_is_answered_by_the_connector_and_nothing_else_is(skin: str, runtime: Runtime) -> None:
    challenge = "20f9f8ed05f77439fe955c977e4c8a53"
    told = asked(skin, runtime, "bt", f"bt_challenge={challenge}", method="GET")
    assert told == (200, "text/plain; charset=utf-8", "bt_public_key|e3af1ce1fe0500724651caa0c7682fa3d743be4f")
    for connection, query in (("bt", "bt_challenge=x"), ("bt", ""), ("klarna", f"bt_challenge={challenge}"), ("nobody", "a=b")):
        assert asked(skin, runtime, connection, query, method="GET")[0] == 405
