"""A subscription is greeted before its first delivery: the same through all three skins."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from threading import Thread

import pytest
from cheroot.wsgi import Server

from middleware.app import create_app
from middleware.runtime import Runtime
from middleware.settings import Connection, Web
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
    made = World(url, connections={**connections(), "bc": bc}).runtime(web=Web(thin_layer=skin == "thin layer"))
    yield made
    made.close()
    cluster.drop(name)


def asked(skin: str, runtime: Runtime, connection: str, query: str, body: bytes = b"") -> Told:
    """Status, content type and text of the answer to a POST."""
    if skin == "event loop":
        return asyncio.run(_asked(runtime, connection, query, body))
    server = Server(("127.0.0.1", 0), create_app(runtime), numthreads=1)
    server.expiration_interval = 0.02
    server.prepare()
    thread = Thread(target=server.serve)
    thread.start()
    line = http.client.HTTPConnection("127.0.0.1", server.bind_addr[1], timeout=20)
    line.request("POST", f"/webhooks/{connection}?{query}", body)
    answer = line.getresponse()
    found = answer.status, answer.getheader("content-type") or "", answer.read().decode()
    line.close()
    server.stop()
    thread.join()
    return found


async def _asked(runtime: Runtime, connection: str, query: str, body: bytes) -> Told:
    layer = asgi.WebhookLayer(create_app(runtime).wsgi_app, runtime)
    status, told, text = await request(layer, "POST", f"/webhooks/{connection}", {"content-length": str(len(body))}, [body], query=query)
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


def test_a_notification_is_kept_after_it(skin: str, runtime: Runtime) -> None:
    one = {"subscriptionId": "s", "clientState": "state", "resource": "items(1)", "changeType": "updated"}
    body = json.dumps({"value": [{**one, "lastModifiedDateTime": "2026-11-22T12:00:00Z"}]}).encode()
    assert asked(skin, runtime, "bc", "", body)[0] == 200
    assert rows(runtime, "SELECT connection, topic, hint FROM events") == [("bc", "resource.updated", True)]
