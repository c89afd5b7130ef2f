"""The production web server: uvicorn with httptools, one supervisor and its web processes.

One thread reads, verifies, commits and answers (docs/decisions/0002). uvicorn bounds neither a request's head nor the time a
request takes to come in, so the protocol here does.
"""

from __future__ import annotations

import asyncio

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from middleware.settings import Web

HEAD = 65_536
"""Bytes of a request line and its headers."""
PATIENCE = 60.0
"""Seconds in which a request must have come in whole, from its first byte or from the connection's start."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection; a head that does not end and a request that trickles are cut off."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head: int | None = 0
        self._since: float | None = self.loop.time()
        self._pace = self.loop.call_later(PATIENCE, self._check_pace)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pace.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > HEAD:
                self.transport.abort()

    def on_message_begin(self) -> None:
        self._head = 0
        self._since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._since = None
        super().on_message_complete()

    def _check_pace(self) -> None:
        if self._since is not None and self.loop.time() - self._since >= PATIENCE:
            self.transport.abort()
        else:
            self._pace = self.loop.call_later(PATIENCE, self._check_pace)


def serve(web: Web, processes: int) -> None:
    """Serve until SIGTERM or SIGINT; a web process that died or hangs is replaced. Each makes its application from the environment."""
    config = uvicorn.Config(
        "middleware.process:web_application",
        factory=True,
        host=web.host,
        port=web.port,
        workers=processes,
        loop="uvloop",
        http=GuardedProtocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=1024,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=15,
    )
    Multiprocess(config, sockets=[config.bind_socket()]).run()
