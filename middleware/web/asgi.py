"""ASGI: answers POST /webhooks/… in the event loop, without a thread per request, and hands everything else to Flask.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from a2wsgi import WSGIMiddleware

from middleware.errors import BodyTooLarge
from middleware.loop_writer import LoopWriter
from middleware.runtime import Runtime
from middleware.web.webhooks import PREFIX, Answer, Reception

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class WebhookLayer:
    """The application of a production web process."""

    def __init__(self, flask: Any, runtime: Runtime) -> None:
        """`flask` is the WSGI application for everything that is no webhook; it runs in threads."""
        self._flask: Any = WSGIMiddleware(flask, workers=4)
        self._runtime = runtime
        self._limit = runtime.settings.web.max_body
        self._public = runtime.settings.web.public_url.rstrip("/")
        self._writer = LoopWriter(runtime.settings.database.url, limit=runtime.settings.web.queue, after=runtime.ring_lanes)

    async def close(self) -> None:
        """Commit what waits."""
        await self._writer.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(PREFIX):
            status, fields, body = await self._answer(scope, receive)
            headers = [(name.encode(), value.encode()) for name, value in fields]
            await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
            await send({"type": "http.response.body", "body": body})
        elif scope["type"] == "http":
            await self._flask(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path = scope["path"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        reception = Reception(self._runtime, path[len(PREFIX) :], headers, self._public + path)
        try:
            rows = reception.admit(await self._read(receive))
            new = await self._writer.keep(rows)
        except Exception as error:  # noqa: BLE001 - the outermost recorder: whatever it is, the sender is told
            return reception.failed(error)
        return reception.kept(rows, new)

    async def _read(self, receive: Receive) -> bytes:
        message = await receive()
        if not message.get("more_body"):
            body = message.get("body", b"")
            self._check(len(body))
            return bytes(body)
        parts, size = [message.get("body", b"")], len(message.get("body", b""))
        while message.get("more_body"):
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            self._check(size)
        return b"".join(parts)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise BodyTooLarge(f"the body is larger than {self._limit} bytes")


