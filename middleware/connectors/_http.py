"""The one HTTP client: every outgoing request leaves through here, limited, timed, recorded, its failures told apart."""

from __future__ import annotations

import json as jsonlib
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import limits
import pybreaker
import requests
from limits.strategies import RateLimiter
from requests.auth import AuthBase
from urllib3 import exceptions as wire

from middleware.context import correlation_id, deadline, traceparent
from middleware.errors import CallError, RateLimited, Rejected, Transient, Unauthorized, UnknownOutcome
from middleware.settings import Connection
from middleware.wire.deadline import Adapter, Deadline
from middleware.wire.guards import Gate, breaker_for, limiter_for, seconds_to_wait

__all__ = ["Exchange", "Explain", "Http", "Reply", "breaker_for", "limiter_for", "recording"]

MAX_REPLY = 16 * 1024 * 1024
"""Bytes of an answer, packed or unpacked, beyond which it is refused."""
SUCCESS = frozenset(range(200, 300))
SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Reply:
    """One accepted answer. Header names are lower case, `body` is unpacked; `safe` says whether asking again is harmless."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    safe: bool = True

    def json(self) -> Any:
        """The body as JSON, fractions as `Decimal`. Raises, when it is not JSON, `Transient` for a gateway's page (5xx),
        `UnknownOutcome` for a success of an unsafe request (it had some effect) and `Rejected` otherwise."""
        try:
            return jsonlib.loads(self.body, parse_float=Decimal)
        except ValueError as error:
            kind = self.headers.get("content-type", "no type").partition(";")[0]
            reason = f"HTTP {self.status} answer is not JSON ({kind})"
            if self.status >= 500:
                raise Transient(reason, status=self.status) from error
            accepted = self.status in SUCCESS and not self.safe
            raise (UnknownOutcome if accepted else Rejected)(reason, status=self.status) from error


Explain = Callable[[Reply], tuple[str, str]]
"""A connector's reading of a refusal: (one line without personal data, the field at fault or "")."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One line of a call's transcript: no body, no query value, no secret. `status` is None when no answer came, `seconds`
    its duration, `error_code` a code of `middleware.errors` or "", `note` what happened in fixed words; `effect` says that it
    may have changed something over there."""

    method: str
    path: str
    status: int | None
    seconds: float
    sent_bytes: int
    received_bytes: int
    error_code: str = ""
    note: str = ""
    effect: bool = False


_exchanges: ContextVar[list[Exchange] | None] = ContextVar("exchanges", default=None)


@contextmanager
def recording() -> Iterator[list[Exchange]]:
    """Collect the exchanges that happen inside, oldest first."""
    exchanges: list[Exchange] = []
    token = _exchanges.set(exchanges)
    try:
        yield exchanges
    finally:
        _exchanges.reset(token)


class Http:
    """The requests of one connection, shared by its threads."""

    def __init__(
        self, connection: Connection, *, limiter: RateLimiter | None = None, breaker: pybreaker.CircuitBreaker | None = None
    ) -> None:
        """`limiter` keeps `connection.rate`, `breaker` stops calling a system that is down; without them nothing does."""
        self.connection = connection
        self._limiter = limiter
        self._rate = limits.parse(connection.rate) if connection.rate else None
        self._gate = Gate(breaker) if breaker else None
        self._session = _session(connection.concurrency)

    def close(self) -> None:
        """Close the kept connections."""
        self._session.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        json: Any = None,
        data: bytes | Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | AuthBase | None = None,
        safe: bool | None = None,
        accept: frozenset[int] = SUCCESS,
        explain: Explain | None = None,
    ) -> Reply:
        """Send one request to `path` (begins with "/", below `connection.base_url`) and give the answer when its status is
        in `accept`. Nothing is retried and no redirect is followed. It ends within `connection.deadline`, and within what is
        left of `context.deadline`: nothing is sent when nothing is left.

        `safe` says that repeating does no harm (default: GET and HEAD): an answer that stays away is then `Transient`, else
        `UnknownOutcome`. Raises `RateLimited` (ours or theirs), `Unreachable` (breaker open), `Unauthorized` (401, 403),
        `Rejected` (any other refusal, read by `explain`), `Transient`, `UnknownOutcome`, and ValueError for an address that
        is none.
        """
        if not path.startswith("/"):
            raise ValueError("path must begin with '/': credentials go to the connection's own address only")
        body, kind = _encoded(json, data)
        address = self.connection.base_url.rstrip("/") + path
        request = requests.Request(
            method, address, params=params, data=body, headers={**_own_headers(), **kind, **(headers or {})}, auth=auth
        )
        prepared = self._session.prepare_request(request)
        harmless = method in SAFE_METHODS if safe is None else safe
        with _noted(prepared, harmless) as note:
            self._await_turn()
            limit = self._time_left()
            with self._gate.passing() if self._gate else _open():
                reply = self._exchange(prepared, harmless, note, limit)
                note.reply = reply
                if reply.status not in accept:
                    raise _refusal(reply, explain)
                return reply

    def _await_turn(self) -> None:
        if not self._limiter or not self._rate:
            return
        wait = seconds_to_wait(self._limiter, self._rate, self.connection.name)
        if wait:
            raise RateLimited("our own limit for this connection is reached", retry_after=wait)

    def _time_left(self) -> float:
        """Seconds that the next request may take; the call's lease is only a little longer than its deadline."""
        until = deadline.get()
        left = until - time.monotonic() if until else self.connection.deadline
        if left > 0:
            return min(self.connection.deadline, left)
        if any(exchange.effect for exchange in _exchanges.get() or ()):
            raise UnknownOutcome("no time left to end this call")
        raise Transient("no time left for this call")

    def _exchange(self, prepared: requests.PreparedRequest, harmless: bool, note: _Note, limit: float) -> Reply:
        with Deadline(limit) as watch:
            try:
                answer = self._session.send(prepared, timeout=min(self.connection.timeout, limit), stream=True, allow_redirects=False)
                with answer:
                    reply = _read(answer, harmless, note)
            except (requests.RequestException, wire.HTTPError, OSError) as error:
                cause = f"no complete answer within {limit:.3g} s" if watch.expired else ""
                raise _translated(error, harmless, watch, cause) from error
            if watch.expired:
                raise _unanswered(harmless, f"no complete answer within {limit:.3g} s")
        return reply


_FEEDS = 8
"""Connections kept beside those of the calls: every feed of a connection reads on its own."""


def _session(pool: int) -> requests.Session:
    session = requests.Session()
    # Neither proxies nor .netrc: settings.py alone reads the environment, and .netrc would replace our credentials.
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter(pool_maxsize=max(pool, 1) + _FEEDS, max_retries=0))
    return session


def _open() -> AbstractContextManager[None]:
    return nullcontext()


def _own_headers() -> dict[str, str]:
    ids = {"X-Correlation-ID": correlation_id.get(), "traceparent": traceparent.get()}
    # Only gzip: some servers pack (or claim to) whatever is asked, and `_unpacked` goes by the bytes.
    own = {"User-Agent": _USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
    return own | {name: value for name, value in ids.items() if value}


def _encoded(json: Any, data: bytes | Mapping[str, str] | None) -> tuple[bytes | Mapping[str, str] | None, dict[str, str]]:
    if json is None:
        return data, {}
    return jsonlib.dumps(json, ensure_ascii=False, separators=(",", ":")).encode(), {"Content-Type": "application/json"}


def _user_agent() -> str:
    try:
        return f"waybill/{version('drupal-commerce-waybill')}"
    except PackageNotFoundError:
        return "waybill/source"


_USER_AGENT = _user_agent()


@dataclass(slots=True)
class _Note:
    """What is known of an exchange while it runs."""

    reply: Reply | None = None
    status: int | None = None
    received: int = 0


@contextmanager
def _noted(prepared: requests.PreparedRequest, harmless: bool) -> Iterator[_Note]:
    note = _Note()
    started = time.monotonic()
    error_code = words = ""
    try:
        yield note
    except CallError as error:
        error_code, words = error.code, "" if note.reply else error.reason
        raise
    finally:
        exchanges = _exchanges.get()
        if exchanges is not None:
            sent, seconds = len(prepared.body or b""), round(time.monotonic() - started, 6)
            effect = not harmless and error_code in ("", UnknownOutcome.code)
            exchanges.append(
                Exchange(prepared.method or "", _bare(prepared.url), note.status, seconds, sent, note.received, error_code, words, effect)
            )


def _bare(url: str | None) -> str:
    parts = urlsplit(url or "")
    names = "&".join(name for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return f"{parts.path}?{names}" if names else parts.path


def _read(answer: requests.Response, harmless: bool, note: _Note) -> Reply:
    note.status = answer.status_code
    body = bytearray()
    for chunk in answer.raw.stream(65_536, decode_content=False):
        body += chunk
        note.received = len(body)
        if len(body) > MAX_REPLY:
            raise _unusable(harmless, "the answer is larger than 16 MB")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Reply(answer.status_code, headers, _unpacked(bytes(body), harmless), harmless)


def _unpacked(body: bytes, harmless: bool) -> bytes:
    """Undo gzip by its first bytes: servers are known that say gzip and send plain text."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(body, MAX_REPLY)
    except zlib.error as error:
        raise _unusable(harmless, "the answer cannot be unpacked") from error
    if unpacker.unconsumed_tail:
        raise _unusable(harmless, "the answer is larger than 16 MB")
    return plain


def _unusable(harmless: bool, reason: str) -> CallError:
    return Rejected(reason) if harmless else UnknownOutcome(reason)


def _unanswered(harmless: bool, reason: str) -> CallError:
    return Transient(reason) if harmless else UnknownOutcome(reason)


_FOREIGN: tuple[tuple[type[Exception], str, bool], ...] = (
    (requests.exceptions.InvalidSchema, "base_url must begin with http:// or https://", False),
    (requests.ConnectTimeout, "no connection within the time-out", False),
    (requests.ReadTimeout, "no answer within the time-out", True),
    (wire.ReadTimeoutError, "no answer within the time-out", True),
    (requests.exceptions.SSLError, "the TLS connection failed", True),
    (wire.NewConnectionError, "no connection: refused or name not found", False),
    (requests.ConnectionError, "the connection broke", True),
    (wire.ProtocolError, "the connection broke", True),
    (Exception, "the exchange failed", True),
)
"""Their exceptions → our words, and whether the request may have reached the system; the first match counts."""


def _translated(error: Exception, harmless: bool, watch: Deadline, cause: str) -> CallError:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    inner = reason if isinstance(reason, wire.NewConnectionError) else error
    _, words, reached = next(row for row in _FOREIGN if isinstance(inner, row[0]))
    if watch.expired or isinstance(inner, requests.exceptions.SSLError):
        reached = watch.sent
    return _unanswered(harmless, cause or words) if reached else Transient(cause or words)


_ERROR_DESCRIPTION = re.compile(r'error_description="([^"\\]{1,200})"')
"""Why a signed or bearer request was refused: https://www.rfc-editor.org/rfc/rfc6750#section-3"""


def _refusal(reply: Reply, explain: Explain | None) -> CallError:
    status, after = reply.status, _retry_after(reply)
    if status == 429:
        return RateLimited("HTTP 429: too many requests", retry_after=after, status=status)
    if status in (401, 403):
        why = _ERROR_DESCRIPTION.search(reply.headers.get("www-authenticate", ""))
        return Unauthorized(f"HTTP {status}: {why[1] if why else 'the credentials are not accepted'}", status=status)
    if status == 408 or status >= 500:
        return (Transient if reply.safe else UnknownOutcome)(f"HTTP {status}", retry_after=after, status=status)
    message, field = explain(reply) if explain else ("", "")
    return Rejected(f"HTTP {status}: {message}" if message else f"HTTP {status}", field=field, status=status)


def _retry_after(reply: Reply) -> float | None:
    """Seconds from now; https://www.rfc-editor.org/rfc/rfc9110#field.retry-after allows seconds and a date."""
    raw = reply.headers.get("retry-after", "").strip()
    if raw.isdecimal():
        return float(raw)
    try:
        at = parsedate_to_datetime(raw)
    except ValueError:
        return None
    return max((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
