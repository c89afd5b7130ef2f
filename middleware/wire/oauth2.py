"""OAuth 2 client credentials: one token for all threads of a connection, fetched anew a little before it ends.

https://www.rfc-editor.org/rfc/rfc6749#section-4.4
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from requests import PreparedRequest
from requests.auth import AuthBase

EARLY = 30.0
"""Seconds before its end that a token is not used any more."""


class ClientCredentials(AuthBase):
    """Puts a bearer token on each request."""

    def __init__(self, fetch: Callable[[], tuple[str, float]]) -> None:
        """`fetch` asks for a token and gives it with its life in seconds; what it raises, the request raises."""
        self._fetch = fetch
        self._lock = Lock()
        self._token, self._until = "", 0.0

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._current()}"
        return request

    def forget(self) -> None:
        """The token was refused: fetch another next time."""
        with self._lock:
            self._until = 0.0

    def _current(self) -> str:
        with self._lock:
            if time.monotonic() >= self._until:
                token, life = self._fetch()
                self._token, self._until = token, time.monotonic() + max(life - EARLY, 0.0)
            return self._token
