"""The real HTTP server under every simulator: starts and stops on one port, and misbehaves when a fault says so."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from middleware.simulators.faults import Fault, FaultKind, Faults, fault_from

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def reply(body: object, status: int = 200, **headers: str) -> Response:
    """A JSON response; underscores in header names become hyphens."""
    response = Response(json.dumps(body), status, content_type="application/json")
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


class Simulator:
    """A stand-in for an outside system. A leaf implements `answer`; its state outlives `stop` and `start`.

    `lock` guards the state; `answer` is called while it is held, so one request is one atomic effect.
    """

    name = "simulator"

    def __init__(self, *, seed: int = 0) -> None:
        self.faults = Faults(seed)
        self.lock = threading.RLock()
        self._server: _Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The base URL without a trailing slash; stays the same after `stop`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def running(self) -> bool:
        return self._server is not None

    def start(self, port: int = 0) -> Self:
        """Serve on `port`; 0 means the port of the last start, or a free one."""
        if self._server is None:
            self._server = _Server(port or self._port, self._respond)
            self._port = self._server.port
        return self

    def stop(self) -> None:
        """Refuse connections and hang up on those that are open; requests that wait in a fault end without effect."""
        if self._server is not None:
            self._server.halt()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def answer(self, request: Request) -> Response:
        """What the system does with one request; a raised HTTPException is its answer."""
        raise NotImplementedError

    def _respond(self, server: _Server, request: Request) -> Response:
        request.get_data()
        if request.path.split("/")[1] == "_faults":
            return _faults_page(self.faults, request)
        fault = self.faults.strike(request.method, request.path)
        if fault:
            refusal = _before(fault, server, request)
            if refusal:
                return refusal
        response = self._answer(request)
        return _after(fault, server, request, response) if fault else response

    def _answer(self, request: Request) -> Response:
        with self.lock:
            try:
                return self.answer(request)
            except HTTPException as error:
                return self.refusal(error)

    def refusal(self, error: HTTPException) -> Response:
        """How this system words an error that the routing found."""
        return reply({"error": error.name}, error.code or 500)


def route(routes: Map, target: object, request: Request) -> Response:
    """Call the method of `target` that the matching rule's endpoint names; raises HTTPException when none matches."""
    endpoint, values = routes.bind_to_environ(request.environ).match()
    handler: Callable[..., Response] = getattr(target, str(endpoint))
    return handler(request, **values)


def _before(fault: Fault, server: _Server, request: Request) -> Response | None:
    match fault.kind:
        case FaultKind.LATENCY:
            server.pause(fault.seconds)
        case FaultKind.RATE_LIMIT:
            return reply({"error": "too many requests"}, 429, Retry_After=f"{fault.seconds:g}")
        case FaultKind.ERROR:
            return reply({"error": "internal"}, 500)
        case FaultKind.RESET_BEFORE:
            server.reset(request)
    return None


def _after(fault: Fault, server: _Server, request: Request, response: Response) -> Response:
    match fault.kind:
        case FaultKind.LATE_REPLY:
            server.pause(fault.seconds)
        case FaultKind.ERROR_AFTER:
            return reply({"error": "internal"}, 500)
        case FaultKind.RESET_AFTER:
            server.reset(request)
        case FaultKind.LOST_REPLY:
            select.select([request.environ["werkzeug.socket"]], [], [], fault.seconds)
            raise ConnectionAbortedError
    return response


def _faults_page(faults: Faults, request: Request) -> Response:
    number = request.path.removeprefix("/_faults").strip("/")
    match request.method:
        case "GET":
            return reply({"faults": faults.listed(), "injected": dict(faults.injected)})
        case "POST":
            try:
                return reply({"id": faults.add(fault_from(request.get_json(force=True, silent=True)))}, 201)
            except ValueError as error:
                return reply({"error": str(error)}, 422)
        case "DELETE" if not number:
            faults.clear()
            return Response(status=204)
        case "DELETE" if number.isdecimal() and faults.remove(int(number)):
            return Response(status=204)
    return reply({"error": "not found"}, 404)


class _Handler(WSGIRequestHandler):
    """One connection; silent, and closed for good once it was dropped."""

    server_version = "simulator"
    sys_version = ""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass

    def connection_dropped(self, error: BaseException, environ: WSGIEnvironment | None = None) -> None:
        self.close_connection = True


class _Server(ThreadedWSGIServer):
    """A listening socket with a thread per connection; `halt` leaves neither sockets nor threads behind."""

    request_queue_size = 256

    def __init__(self, port: int, respond: Callable[[_Server, Request], Response]) -> None:
        self._respond = respond
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._idle = threading.Condition()
        super().__init__("127.0.0.1", port, self._application, _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def halt(self) -> None:
        self._stopping.set()
        self.shutdown()
        self._thread.join()
        with self._idle:
            for connection in self._open:
                _hang_up(connection)
            self._idle.wait_for(lambda: not self._open, timeout=5)

    def pause(self, seconds: float) -> None:
        """Let time pass inside a request; the request is dropped when the server stops meanwhile."""
        if self._stopping.wait(seconds):
            raise ConnectionAbortedError

    def reset(self, request: Request) -> None:
        """Close the request's connection with RST instead of FIN."""
        request.environ["werkzeug.socket"].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        raise ConnectionResetError

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._idle:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        if not struct.unpack("ii", request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_RESET_ON_CLOSE)))[0]:
            _hang_up(request)
        request.close()
        with self._idle:
            self._open.discard(request)
            self._idle.notify_all()

    def _application(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._respond(self, Request(environ))(environ, start_response)


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
