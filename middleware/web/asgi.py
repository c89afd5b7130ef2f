"""ASGI: answers POST /webhooks/… in the server's event loop, without a thread per request, and hands everything else to Flask.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from werkzeug.test import EnvironBuilder, run_wsgi_app

from middleware.errors import BodyIncomplete, BodyTooLarge
from middleware.loop_writer import LoopWriter
from middleware.runtime import Runtime
from middleware.web.webhooks import PREFIX, Answer, Reception, address, handshake

FLASK_THREADS = 4

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class WebhookLayer:
    """The application of a production web process."""

    def __init__(self, flask: Callable[..., Iterable[bytes]], runtime: Runtime) -> None:
        """`flask` is the WSGI application for everything that is no webhook; it runs in threads."""
        self._flask = flask
        self._threads = ThreadPoolExecutor(FLASK_THREADS, "waybill-flask")
        self._runtime = runtime
        self._limit = runtime.settings.web.max_body
        self._public = runtime.settings.web.public_url.rstrip("/")
        self._writer = LoopWriter(runtime.settings.database.url, limit=runtime.settings.web.queue, after=runtime.ring_lanes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        path = scope["path"]
        if path.startswith(PREFIX) and scope["method"] == "POST":
            query = scope["query_string"].decode("latin-1")
            greeting = handshake(self._runtime, path[len(PREFIX) :], query)
            status, fields, body = greeting or await self._answer(path, query, _headers(scope), receive)
        else:
            status, fields, body = await self._forward(scope, receive)
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        if all(name != b"content-length" for name, _ in headers):
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def close(self) -> None:
        """Commit what waits."""
        await self._writer.stop()
        self._threads.shutdown()

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _forward(self, scope: Scope, receive: Receive) -> Answer:
        try:
            body = await self._read(_headers(scope), receive)
        except (BodyTooLarge, BodyIncomplete) as error:
            return error.status, [("content-type", "text/plain; charset=utf-8")], str(error).encode()
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask_flask, scope, body)

    async def _answer(self, path: str, query: str, headers: dict[str, str], receive: Receive) -> Answer:
        reception = Reception(self._runtime, path[len(PREFIX) :], headers, address(self._public, path, query))
        try:
            rows = reception.admit(await self._read(headers, receive))
            new = await self._writer.keep(rows)
        except Exception as error:  # noqa: BLE001 - the outermost recorder: whatever it is, the sender is told
            return reception.failed(error)
        return reception.kept(rows, new)

    async def _read(self, headers: dict[str, str], receive: Receive) -> bytes:
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._limit:
            raise BodyTooLarge(f"the body is larger than {self._limit} bytes")
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise BodyIncomplete("the sender went before the whole body had come")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._limit:
                raise BodyTooLarge(f"the body is larger than {self._limit} bytes")
            more = message.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _ask_flask(self, scope: Scope, body: bytes) -> Answer:
        builder = EnvironBuilder(
            scope["path"],
            method=scope["method"],
            query_string=scope["query_string"].decode("latin-1"),
            headers=list(_headers(scope).items()),
            input_stream=BytesIO(body),
            content_length=len(body),
            environ_base={"REMOTE_ADDR": (scope.get("client") or ("", 0))[0], "wsgi.url_scheme": scope["scheme"]},
        )
        parts, status, headers = run_wsgi_app(self._flask, builder.get_environ(), buffered=True)
        return int(status.split()[0]), list(headers.items()), b"".join(parts)


def _headers(scope: Scope) -> dict[str, str]:
    """Names (in lower case, says ASGI) to values; a repeated header's values are joined by commas, as WSGI does (rotating
    providers sign twice)."""
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    return {name: ",".join(value for other, value in pairs if other == name) for name in found}
