"""The production server's protocol, over a real socket: heads without end and requests that trickle are cut off, others are served."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from middleware.web import server
from tests.real.programs import eventually


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        body += message["body"]
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(server, "PATIENCE", 0.3)
    config = uvicorn.Config(application, port=0, http=server.GuardedProtocol, lifespan="off", log_config=None, loop="uvloop")
    serving = uvicorn.Server(config)
    listener = config.bind_socket()
    thread = threading.Thread(target=lambda: asyncio.run(serving.serve([listener])), daemon=True)
    thread.start()
    eventually(lambda: serving.started, "the server has started")
    yield listener.getsockname()[1]
    serving.should_exit = True
    thread.join(10)
    listener.close()


def connect(port: int) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=10)
    line.settimeout(10)
    return line


def ended(line: socket.socket) -> bool:
    """Whether the server cut the connection without an answer."""
    try:
        return line.recv(1000) == b""
    except ConnectionError:
        return True


def test_a_head_without_end_is_cut_off(port: int) -> None:
    with connect(port) as line:
        line.sendall(b"POST / HTTP/1.1\r\nHost: waybill.test\r\nX-Long: ")
        with pytest.raises(ConnectionError):
            for _ in range(10_000):
                line.sendall(b"x" * 10_000)


@pytest.mark.parametrize(
    "begun",
    [b"", b"POST / HTTP/1.1\r\nHost:", b"POST / HTTP/1.1\r\nHost: waybill.test\r\nContent-Length: 10\r\n\r\nhalf"],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_request_that_trickles_is_cut_off(port: int, begun: bytes) -> None:
    with connect(port) as line:
        line.sendall(begun)
        assert ended(line)


def test_a_connection_that_rests_between_requests_is_kept(port: int) -> None:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    line.connect()
    first = line.sock
    for _ in range(3):
        line.request("POST", "/", b"body")
        assert line.getresponse().read() == b"body"
        assert line.sock is first
        threading.Event().wait(0.8)  # more than two times the patience
    line.close()
