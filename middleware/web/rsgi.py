"""RSGI: answers POST /webhooks/… in granian's event loop, without a thread per request, and hands everything else to Flask.

https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Protocol

from werkzeug.test import EnvironBuilder, run_wsgi_app

from middleware.errors import BodyTooLarge
from middleware.loop_writer import LoopWriter
from middleware.runtime import Runtime
from middleware.web.webhooks import PREFIX, Answer, Reception

FLASK_THREADS = 4


class Headers(Protocol):
    """The request's headers, names in lower case; a repeated one comes repeatedly."""

    def items(self) -> Iterable[tuple[str, str]]: ...


class Scope(Protocol):
    """One request (RSGI 2.1)."""

    proto: str
    method: str
    path: str
    query_string: str
    scheme: str
    client: str
    headers: Headers


class Transport(Protocol):
    """How a request's body comes in and its answer goes out."""

    def __call__(self) -> Awaitable[bytes]: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...


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

    async def __rsgi__(self, scope: Scope, transport: Transport) -> None:
        path = scope.path
        if path.startswith(PREFIX) and scope.method == "POST":
            status, headers, body = await self._answer(path, _headers(scope), transport)
        else:
            status, headers, body = await self._forward(scope, transport)
        transport.response_bytes(status, headers, body)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(self.close())

    async def close(self) -> None:
        """Commit what waits."""
        await self._writer.stop()
        self._threads.shutdown()

    async def _forward(self, scope: Scope, transport: Transport) -> Answer:
        try:
            body = await self._read(_headers(scope), transport, self._limit)
        except BodyTooLarge as error:
            return error.status, [("content-type", "text/plain; charset=utf-8")], str(error).encode()
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask_flask, scope, body)

    async def _answer(self, path: str, headers: dict[str, str], transport: Transport) -> Answer:
        reception = Reception(self._runtime, path[len(PREFIX) :], headers, self._public + path)
        try:
            rows = reception.admit(await self._read(headers, transport, self._limit))
            new = await self._writer.keep(rows)
        except Exception as error:  # noqa: BLE001 - the outermost recorder: whatever it is, the sender is told
            return reception.failed(error)
        return reception.kept(rows, new)

    async def _read(self, headers: dict[str, str], transport: Transport, limit: int) -> bytes:
        length = headers.get("content-length", "")
        if length.isdigit():
            if int(length) > limit:
                raise BodyTooLarge(f"the body is larger than {self._limit} bytes")
            return await transport()
        parts, size = [], 0
        async for part in transport:
            size += len(part)
            if size > limit:
                raise BodyTooLarge(f"the body is larger than {self._limit} bytes")
            parts.append(part)
        return b"".join(parts)

    def _ask_flask(self, scope: Scope, body: bytes) -> Answer:
        builder = EnvironBuilder(
            scope.path,
            method=scope.method,
            query_string=scope.query_string,
            headers=list(scope.headers.items()),
            input_stream=BytesIO(body),
            content_length=len(body),
            environ_base={"REMOTE_ADDR": scope.client.rpartition(":")[0], "wsgi.url_scheme": scope.scheme},
        )
        parts, status, headers = run_wsgi_app(self._flask, builder.get_environ(), buffered=True)
        return int(status.split()[0]), list(headers.items()), b"".join(parts)


def _headers(scope: Scope) -> dict[str, str]:
    """Names to values; a repeated header's values are joined by commas, as WSGI does (rotating providers sign twice)."""
    pairs = list(scope.headers.items())
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    return {name: ",".join(value for other, value in pairs if other == name) for name in found}
