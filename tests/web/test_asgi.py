"""What is no webhook goes through the event loop to Flask and back, whole."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from middleware.app import create_app
from middleware.runtime import Runtime
from middleware.settings import Web
from middleware.web.asgi import WebhookLayer, _headers
from middleware.web.console import one_time_link
from tests.web.asgi import Told, request
from tests.world import World, rows


def ask(runtime: Runtime, method: str, path: str, body: bytes = b"", query: str = "") -> Told:
    async def once() -> Told:
        layer = WebhookLayer(create_app(runtime).wsgi_app, runtime)
        headers = {"host": "waybill.test", "content-length": str(len(body))}
        told = await request(layer, method, path, headers, [body], query=query)
        await layer.close()
        return told

    return asyncio.run(once())


def test_flask_answers_what_is_no_webhook(database_url: str) -> None:
    runtime = World(database_url).runtime(web=Web(max_body=100))
    status, headers, body = ask(runtime, "GET", "/health/live")
    assert (status, dict(headers)["content-type"], json.loads(body)) == (200, "application/json", {"status": "live"})
    assert ask(runtime, "GET", "/nothing-here")[0] == 404
    assert ask(runtime, "GET", "/webhooks/stripe")[0] == 405
    status, headers, body = ask(runtime, "POST", "/health/live", b"x" * 101)
    assert (status, body) == (413, b"the body is larger than 100 bytes")
    assert headers == [("content-type", "text/plain; charset=utf-8"), ("content-length", "33")]
    runtime.close()


def test_a_console_link_sets_its_cookie(database_url: str) -> None:
    runtime = World(database_url).runtime()
    link = one_time_link(runtime, "http://waybill.test").removeprefix("http://waybill.test")
    status, headers, _ = ask(runtime, "GET", link)
    assert (status, dict(headers)["location"]) == (302, "/console/")
    assert [name for name, value in headers if value.startswith("session=")] == ["set-cookie"]
    assert ask(runtime, "GET", link)[0] == 401
    runtime.close()


def test_a_header_that_comes_twice_is_joined() -> None:
    scope = {"headers": [(b"x-signature", b"one"), (b"host", b"waybill.test"), (b"x-signature", b"two")]}
    assert _headers(scope) == {"x-signature": "one,two", "host": "waybill.test"}


def test_a_sender_that_goes_within_its_body_keeps_nothing(database_url: str) -> None:
    world = World(database_url)
    runtime = world.runtime()

    async def once() -> Told:
        layer = WebhookLayer(create_app(runtime).wsgi_app, runtime)
        told = await request(layer, "POST", "/webhooks/stripe", {"content-length": "20"}, [b"{"], gone=True)
        await layer.close()
        return told

    status, _, body = asyncio.run(once())
    assert (status, json.loads(body)["error"]["code"]) == (400, "body_incomplete")
    assert rows(runtime, "SELECT id FROM events") == []
    runtime.close()


def test_the_life_of_a_process_ends_with_what_waits_committed(database_url: str) -> None:
    runtime = World(database_url).runtime()

    async def life() -> list[str]:
        layer = WebhookLayer(create_app(runtime).wsgi_app, runtime)
        asked = iter(["lifespan.startup", "lifespan.shutdown"])
        told: list[str] = []

        async def receive() -> dict[str, Any]:
            return {"type": next(asked)}

        async def send(message: dict[str, Any]) -> None:
            told.append(message["type"])

        await layer({"type": "lifespan"}, receive, send)
        return told

    assert asyncio.run(life()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    runtime.close()
