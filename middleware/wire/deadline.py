"""The total time limit of an exchange, kept at the socket: `requests` limits only single reads."""

from __future__ import annotations

import os
import socket
import threading
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Deadline:
    """Ends the exchange inside of its `with` when `seconds` are over, also against a server that trickles. `expired` says
    that it did, `sent` that something left for the other side.

    It holds a duplicate of the socket, because the connection lets go of its own before the body is read and TLS
    wraps it; shutting the duplicate down wakes whoever reads. Looking up the name is outside of its reach.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self.sent = False
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._token = _current.set(self)
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _current.reset(self._token)
        with self._lock:
            self._drop()

    def hold(self, sock: socket.socket) -> None:
        """Watch this connected socket; raises OSError when the time is over already."""
        with self._lock:
            if self.expired:
                raise TimeoutError("the deadline is over")
            self._drop()
            self._line = socket.socket(fileno=os.dup(sock.fileno()))

    def _drop(self) -> None:
        if self._line:
            self._line.close()
            self._line = None

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            if self._line:
                try:
                    self._line.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # The other side closed it first.


class Adapter(HTTPAdapter):
    """A transport adapter of `requests` whose connections obey the `Deadline` that they are used under."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


class _Watched:
    """Mixed into urllib3's connections: shows each socket to the deadline of the exchange that uses it."""

    sock: socket.socket | None

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]
        try:
            _watch(made)
        except OSError:
            made.close()
            raise
        return made

    def request(self, *args: Any, **options: Any) -> None:
        if self.sock is not None:
            _watch(self.sock)
        super().request(*args, **options)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        deadline = _current.get()
        if deadline:
            deadline.sent = True
        super().send(data)  # type: ignore[misc]


def _watch(sock: socket.socket) -> None:
    deadline = _current.get()
    if deadline:
        deadline.hold(sock)


class _Plain(_Watched, HTTPConnection):
    pass


class _Secure(_Watched, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure
