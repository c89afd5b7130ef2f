"""POST /webhooks/<connection>: one function that decides the answer, under two thin skins.

`WebhookLayer` is a WSGI layer under Flask's own (Flask's routing costs more than the whole verification); the Flask route
calls the same `answer`. Which one runs is a setting; both pass the same tests.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from middleware import inbox, observing
from middleware.connectors import connector_class
from middleware.errors import BodyTooLarge, Busy, Refused, SignatureRefused, UnknownConnection, WaybillError
from middleware.observing import log
from middleware.ports import Inbound
from middleware.runtime import Runtime

Answer = tuple[int, list[tuple[str, str]], bytes]
_PREFIX = "/webhooks/"
_SAFE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_JSON = ("Content-Type", "application/json")
_KEPT = b'{"status":"kept"}'
_METRICS: dict[tuple[str, str], Any] = {}


def answer(runtime: Runtime, connection: str, headers: Mapping[str, str], url: str, body: Callable[[], bytes]) -> Answer:
    """Receive one request; `headers` have lower-case names, `body` reads at most the limit or raises `BodyTooLarge`."""
    given = headers.get("x-correlation-id", "")
    correlation_id = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
    trace = headers.get("traceparent", "")
    inbound = None
    try:
        inbound = Inbound(headers, body(), url, runtime.now())
        received = inbox.receive(runtime, connection, inbound, correlation_id, trace if _TRACEPARENT.fullmatch(trace) else "")
    except Refused as error:
        return _refuse(runtime, connection, error, headers, len(inbound.body) if inbound else 0, correlation_id)
    except Busy as error:
        observing.WEBHOOKS.labels(connection, error.code).inc()
        return _problem(error, error.status, correlation_id, ("Retry-After", "2"))
    except Exception as error:  # noqa: BLE001 - the outermost recorder: the sender must try again
        observing.report(error)
        log.error("webhook.bug", connection=connection, exc_info=error)
        return _problem(WaybillError("internal error"), 500, correlation_id)
    _count(connection, "kept", received.new)
    _count(connection, "duplicate", received.deliveries - received.new)
    return 200, [_JSON, ("X-Correlation-ID", correlation_id)], _KEPT


def _count(connection: str, verdict: str, number: int) -> None:
    if number:
        counter = _METRICS.get((connection, verdict))
        if counter is None:
            counter = _METRICS[connection, verdict] = observing.WEBHOOKS.labels(connection, verdict)
        counter.inc(number)


def _refuse(runtime: Runtime, connection: str, error: Refused, headers: Mapping[str, str], size: int, correlation_id: str) -> Answer:
    name = "?" if isinstance(error, UnknownConnection) else connection
    runtime.refusals.note(name, error.code, str(error), headers, size, runtime.now())
    status = error.status
    if isinstance(error, SignatureRefused):
        status = getattr(connector_class(runtime.settings.connections[connection].system), "REFUSAL_STATUS", status)
    return _problem(error, status, correlation_id)


def _problem(error: WaybillError, status: int, correlation_id: str, *headers: tuple[str, str]) -> Answer:
    body = {"error": {"code": error.code, "class": error.error_class, "retryable": error.retryable, "message": str(error)}}
    return status, [_JSON, ("X-Correlation-ID", correlation_id), *headers], msgspec.json.encode(body)


class WebhookLayer:
    """WSGI: answers POST /webhooks/… itself and hands everything else to `inner`."""

    def __init__(self, inner: Callable[..., Iterable[bytes]], runtime: Runtime) -> None:
        self._inner = inner
        self._runtime = runtime
        self._limit = runtime.settings.web.max_body
        self._public = runtime.settings.web.public_url.rstrip("/")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(_PREFIX) or environ["REQUEST_METHOD"] != "POST":
            return self._inner(environ, start_response)
        headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
        headers["content-type"] = environ.get("CONTENT_TYPE", "")
        status, fields, body = answer(
            self._runtime, path[len(_PREFIX) :], headers, self._public + path, lambda: _read(environ, self._limit)
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
        status, fields, body = answer(
            runtime, connection, headers, public + request.path, lambda: _read(request.environ, runtime.settings.web.max_body)
        )
        return Response(body, status, fields)

    return routes

