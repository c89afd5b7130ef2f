"""POST /webhooks/<connection>: one `Reception` that decides the answer, under thin skins.

`WebhookLayer` is a WSGI layer under Flask's own (Flask's routing costs more than the whole verification); `web.asgi` is the
same for an event loop; the plain Flask route calls the same functions. Which one runs is a setting; all pass the same tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from http import HTTPStatus
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qs

import msgspec
from flask import Blueprint, Response, request
from werkzeug.exceptions import MethodNotAllowed

from middleware import inbox, observing
from middleware.errors import BodyTooLarge, Busy, Internal, Refused, SignatureRefused, WaybillError
from middleware.observing import log
from middleware.ports import Inbound
from middleware.runtime import Runtime
from middleware.writer import Row

Answer = tuple[int, list[tuple[str, str]], bytes]
PREFIX = "/webhooks/"
LONGEST_TOKEN = 2048
"""Characters of a handshake's token that are echoed."""
_SAFE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_JSON = ("Content-Type", "application/json")
_TEXT = ("Content-Type", "text/plain; charset=utf-8")
_KEPT = b'{"status":"kept"}'


class Reception:
    """One request at the door: what it is admitted as, and what its sender is told."""

    __slots__ = ("_connection", "_headers", "_runtime", "_size", "_url", "correlation_id")

    def __init__(self, runtime: Runtime, connection: str, headers: Mapping[str, str], url: str) -> None:
        """`headers` have lower-case names; a well-formed X-Correlation-ID and traceparent are taken over."""
        self._runtime = runtime
        self._connection = connection
        self._headers = headers
        self._url = url
        self._size = 0
        given = headers.get("x-correlation-id")
        self.correlation_id = given if given and _SAFE_ID.fullmatch(given) else token_hex(16)

    def admit(self, body: bytes) -> list[Row]:
        """Verify and split; raises `Refused`."""
        self._size = len(body)
        trace = self._headers.get("traceparent", "")
        request = Inbound(self._headers, body, self._url, self._runtime.now())
        return inbox.admit(self._runtime, self._connection, request, self.correlation_id, trace if _TRACEPARENT.fullmatch(trace) else "")

    def kept(self, rows: list[Row], new: int) -> Answer:
        """The answer after COMMIT."""
        if new:
            _counter(self._connection, "kept").inc(new)
        if new < len(rows):
            _counter(self._connection, "duplicate").inc(len(rows) - new)
        wanted = getattr(self._runtime.connector(self._connection), "ANSWER", b"")
        return 200, [_TEXT if wanted else _JSON, ("X-Correlation-ID", self.correlation_id)], wanted or _KEPT

    def failed(self, error: Exception) -> Answer:
        """The answer when nothing was kept, and the note of it."""
        if isinstance(error, Refused):
            return self._refuse(error)
        if isinstance(error, Busy):
            _counter(self._connection, error.code).inc()
            return self._problem(error, error.status, ("Retry-After", "2"))
        observing.report(error)
        log.error("webhook.bug", connection=self._connection, exc_info=error)
        return self._problem(Internal("internal error"), 500)

    def _refuse(self, error: Refused) -> Answer:
        name = self._connection if self._connection in self._runtime.settings.connections else "?"  # a made-up name is no counter
        self._runtime.refusals.note(name, error.code, str(error), self._headers, self._size, self._runtime.now())
        status = error.status
        if isinstance(error, SignatureRefused):
            status = getattr(self._runtime.connector(name), "REFUSAL_STATUS", status)
        return self._problem(error, status)

    def _problem(self, error: WaybillError, status: int, *headers: tuple[str, str]) -> Answer:
        body = {"error": {"code": error.code, "class": error.error_class, "retryable": error.retryable, "message": str(error)}}
        return status, [_JSON, ("X-Correlation-ID", self.correlation_id), *headers], msgspec.json.encode(body)


def answer(runtime: Runtime, connection: str, headers: Mapping[str, str], url: str, read: Callable[[], bytes]) -> Answer:
    """Receive one request; `read` gives at most the limit or raises `BodyTooLarge`."""
    reception = Reception(runtime, connection, headers, url)
    try:
        rows = reception.admit(read())
        new = runtime.writer.keep(rows)
    except Exception as error:  # noqa: BLE001 - the outermost recorder: whatever it is, the sender is told
        return reception.failed(error)
    return reception.kept(rows, new)


def handshake(runtime: Runtime, connection: str, query: str) -> Answer | None:
    """What a system is told that first asks whether anybody is here: the value of the parameter that its connector names in
    `HANDSHAKE`, or what the connector makes of it, as plain text. None for a delivery."""
    if not query or connection not in runtime.settings.connections:
        return None
    connector = runtime.connector(connection)
    wanted = getattr(connector, "HANDSHAKE", "")
    value = parse_qs(query).get(wanted, [""])[0] if wanted else ""
    if not 0 < len(value) <= LONGEST_TOKEN:
        return None
    told = connector.greet(value) if hasattr(connector, "greet") else value
    return (200, [_TEXT, ("X-Content-Type-Options", "nosniff")], told.encode("utf-8", "replace")) if told else None


def address(public: str, path: str, query: str) -> str:
    """The public address that was called, with its query where it has one: some senders put there what they are about."""
    return f"{public}{path}?{query}" if query else public + path


@cache
def _counter(connection: str, verdict: str) -> Any:
    return observing.WEBHOOKS.labels(connection, verdict)


class WebhookLayer:
    """WSGI: answers POST /webhooks/… itself and hands everything else to `inner`."""

    def __init__(self, inner: Callable[..., Iterable[bytes]], runtime: Runtime) -> None:
        self._inner = inner
        self._runtime = runtime
        self._limit = runtime.settings.web.max_body
        self._public = runtime.settings.web.public_url.rstrip("/")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(PREFIX) or environ["REQUEST_METHOD"] != "POST":
            return self._inner(environ, start_response)
        headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
        headers["content-type"] = environ.get("CONTENT_TYPE", "")
        connection, query = path[len(PREFIX) :], environ.get("QUERY_STRING", "")
        status, fields, body = handshake(self._runtime, connection, query) or answer(
            self._runtime, connection, headers, address(self._public, path, query), lambda: _read(environ, self._limit)
        )
        start_response(_STATUS_LINES[status], [*fields, ("Content-Length", str(len(body)))])
        return [body]


_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_STATUS_LINES[498] = "498 Invalid Token"


def _read(environ: Mapping[str, Any], limit: int) -> bytes:
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > limit:
        raise BodyTooLarge(f"the body is larger than {limit} bytes")
    stream = environ["wsgi.input"]
    body: bytes = stream.read(int(length)) if length.isdigit() else stream.read(limit + 1)
    if len(body) > limit:
        raise BodyTooLarge(f"the body is larger than {limit} bytes")
    return body


def blueprint(runtime: Runtime) -> Blueprint:
    """The same over plain Flask."""
    routes = Blueprint("webhooks", __name__)
    public = runtime.settings.web.public_url.rstrip("/")

    @routes.post("/webhooks/<connection>")
    def receive(connection: str) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = request.query_string.decode("latin-1")
        url, limit = address(public, request.path, query), runtime.settings.web.max_body
        greeting = handshake(runtime, connection, query)
        status, fields, body = greeting or answer(runtime, connection, headers, url, lambda: _read(request.environ, limit))
        return Response(body, status, fields)

    @routes.get("/webhooks/<connection>")
    def greet(connection: str) -> Response:
        """Some systems ask so before their first delivery."""
        told = handshake(runtime, connection, request.query_string.decode("latin-1"))
        if told is None:
            raise MethodNotAllowed(["POST"])
        return Response(told[2], told[0], told[1])

    return routes
