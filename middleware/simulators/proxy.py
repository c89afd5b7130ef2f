"""A fault proxy: stands in front of a real or simulated system and loses, holds or resets what it is told to.

Requests need a Content-Length (no chunked bodies); every connection serves one request.
"""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

UPSTREAM_TIMEOUT = 120.0
"""Seconds that the system behind may take."""
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "te", "trailer"})


class FaultKind(StrEnum):
    """What can go wrong with one exchange."""

    DELAY_REPLY = "delay_reply"
    DELAY_REQUEST = "delay_request"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"


@dataclass(slots=True)
class _Fault:
    kind: FaultKind
    method: str
    path: re.Pattern[str]
    seconds: float
    times: int


class FaultProxy:
    """Forwards to `target_url` (scheme http, its path is kept by the caller) from `url`, a free port of 127.0.0.1.

    A fault is set for a method and a regular expression that is searched in the path without its query, and strikes `times`
    times, the oldest first. `done` counts what happened: a `FaultKind`, "forwarded" (the system behind answered),
    "client_gone" (nobody took the answer) and "unreachable" (the system behind did not answer).
    """

    def __init__(self, target_url: str) -> None:
        target = urlsplit(target_url)
        self.target = (target.hostname or "127.0.0.1", target.port or 80)
        self.done: Counter[str] = Counter()
        self._faults: list[_Fault] = []
        self._state = threading.Condition()
        self._busy = 0
        self._closed = False
        self._held: list[threading.Event] = []
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="fault-proxy")
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def delay_reply(self, seconds: float, *, method: str = "POST", path: str = "", times: int = 1) -> None:
        """Forward at once, hold the reply: the effect happens, its caller may never hear of it."""
        self._add(FaultKind.DELAY_REPLY, method, path, seconds, times)

    def delay_request(self, seconds: float, *, method: str = "POST", path: str = "", times: int = 1) -> None:
        """Hold the request, then forward it although its caller may have gone: the effect happens late."""
        self._add(FaultKind.DELAY_REQUEST, method, path, seconds, times)

    def reset_before(self, *, method: str = "POST", path: str = "", times: int = 1) -> None:
        """Reset the connection without forwarding: no effect."""
        self._add(FaultKind.RESET_BEFORE, method, path, 0.0, times)

    def reset_after(self, *, method: str = "POST", path: str = "", times: int = 1) -> None:
        """Forward, then reset the connection instead of replying: the effect happened."""
        self._add(FaultKind.RESET_AFTER, method, path, 0.0, times)

    def release(self, count: int | None = None) -> None:
        """End the `count` oldest holds that are under way now; every one by default."""
        with self._state:
            for hold in self._held[:count]:
                hold.set()
            del self._held[:count]

    def wait_held(self, count: int, timeout: float = 30.0) -> bool:
        """Wait until `count` exchanges are held; False when that took longer than `timeout` seconds."""
        with self._state:
            return self._state.wait_for(lambda: len(self._held) >= count, timeout)

    def wait_idle(self, timeout: float = 30.0) -> bool:
        """Wait until no request is under way, held ones included; False when that took longer than `timeout` seconds."""
        with self._state:
            return self._state.wait_for(lambda: self._busy == 0, timeout)

    def close(self) -> None:
        """Stop; held requests end without being forwarded."""
        with self._state:
            self._closed = True
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _add(self, kind: FaultKind, method: str, path: str, seconds: float, times: int) -> None:
        with self._state:
            self._faults.append(_Fault(kind, method, re.compile(path), seconds, times))

    def _begin(self, method: str, path: str) -> tuple[FaultKind | None, float]:
        with self._state:
            self._busy += 1
            for fault in self._faults:
                if fault.times and fault.method == method and fault.path.search(path.partition("?")[0]):
                    fault.times -= 1
                    self.done[fault.kind] += 1
                    return fault.kind, fault.seconds
            return None, 0.0

    def _hold(self, seconds: float) -> None:
        hold = threading.Event()
        with self._state:
            if self._closed:
                return
            self._held.append(hold)
            self._state.notify_all()
        hold.wait(seconds)
        with self._state:
            if hold in self._held:
                self._held.remove(hold)

    def _end(self) -> None:
        with self._state:
            self._busy -= 1
            self._state.notify_all()

    def _count(self, what: str) -> None:
        with self._state:
            self.done[what] += 1


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        self.proxy._count("client_gone")


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        proxy = self.server.proxy
        kind, seconds = proxy._begin(self.command, self.path)
        try:
            self._serve(proxy, kind, seconds)
        finally:
            proxy._end()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

    def _serve(self, proxy: FaultProxy, kind: FaultKind | None, seconds: float) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if kind is FaultKind.RESET_BEFORE:
            return self._reset()
        if kind is FaultKind.DELAY_REQUEST:
            proxy._hold(seconds)
        if proxy._closed:
            return self._reset()
        answer = self._forwarded(proxy, body)
        if kind is FaultKind.DELAY_REPLY:
            proxy._hold(seconds)
        if kind is FaultKind.RESET_AFTER or answer is None:
            return self._reset()
        self._reply(*answer)

    def _forwarded(self, proxy: FaultProxy, body: bytes) -> tuple[int, list[tuple[str, str]], bytes] | None:
        upstream = http.client.HTTPConnection(*proxy.target, timeout=UPSTREAM_TIMEOUT)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            upstream.request(self.command, self.path, body=body or None, headers=headers)
            answer = upstream.getresponse()
            taken = answer.status, answer.getheaders(), answer.read()
        except (OSError, http.client.HTTPException):
            proxy._count("unreachable")
            return None
        finally:
            upstream.close()
        proxy._count("forwarded")
        return taken

    def _reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        # A zero linger time makes close() send RST instead of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        return
