"""What is no webhook goes through the event loop to Flask and back, whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace

from middleware.app import create_app
from middleware.runtime import Runtime
from middleware.settings import Web
from middleware.web.console import one_time_link
from middleware.web.rsgi import WebhookLayer, _headers
from tests.world import World

Told = tuple[int, list[tuple[str, str]], bytes]


class Transport:
    """A request's body, and the answer."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.told: Told = (0, [], b"")

    async def __call__(self) -> bytes:
        return self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.told = status, headers, body


def ask(runtime: Runtime, method: str, path: str, body: bytes = b"", query: str = "") -> Told:
    async def once() -> Told:
        layer = WebhookLayer(create_app(runtime).wsgi_app, runtime)
        headers = {"host": "waybill.test", "content-length": str(len(body))}
        scope = SimpleNamespace(method=method, path=path, query_string=query, scheme="http", client="127.0.0.1:9", headers=headers)
        transport = Transport(body)
        await layer.__rsgi__(scope, transport)
        await layer.close()
        return transport.told

    return asyncio.run(once())


def test_flask_answers_what_is_no_webhook(database_url: str) -> None:
    runtime = World(database_url).runtime(web=Web(max_body=100))
    status, headers, body = ask(runtime, "GET", "/health/live")
    assert (status, dict(headers)["Content-Type"], json.loads(body)) == (200, "application/json", {"status": "live"})
    assert ask(runtime, "GET", "/nothing-here")[0] == 404
    assert ask(runtime, "GET", "/webhooks/stripe")[0] == 405
    assert ask(runtime, "POST", "/health/live", b"x" * 101) == (
        413,
        [("content-type", "text/plain; charset=utf-8")],
        b"the body is larger than 100 bytes",
    )
    runtime.close()


def test_a_console_link_sets_its_cookie(database_url: str) -> None:
    runtime = World(database_url).runtime()
    link = one_time_link(runtime, "http://waybill.test").removeprefix("http://waybill.test")
    status, headers, _ = ask(runtime, "GET", link)
    assert (status, dict(headers)["Location"]) == (302, "/console/")
    assert [name for name, value in headers if value.startswith("session=")] == ["Set-Cookie"]
    assert ask(runtime, "GET", link)[0] == 401
    runtime.close()


def test_a_header_that_comes_twice_is_joined() -> None:
    class Repeated:
        def items(self) -> list[tuple[str, str]]:
            return [("x-signature", "one"), ("host", "waybill.test"), ("x-signature", "two")]

    assert _headers(SimpleNamespace(headers=Repeated())) == {"x-signature": "one,two", "host": "waybill.test"}
