"""Rate limits and breakers of connections: shared through Redis when there is one, else in this process's memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import limits
import pybreaker
import redis
import structlog
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter, RateLimiter
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from middleware.errors import CallError, Transient, UnknownOutcome, Unreachable
from middleware.settings import Connection

log = structlog.get_logger(__name__)

REDIS_TIMEOUT = 0.25
"""Seconds that a shared guard may cost a call."""
REDIS_REST = 5.0
"""Seconds for which a Redis that failed is left alone; guards work from memory meanwhile."""


def limiter_for(redis_url: str = "") -> RateLimiter:
    """A moving-window limiter, shared when `redis_url` is given. It connects lazily and raises nothing when Redis is away:
    each process then keeps the limit by itself."""
    return _SharedLimiter(redis_url) if redis_url else MovingWindowRateLimiter(MemoryStorage())


def breaker_for(connection: Connection, redis_url: str = "") -> pybreaker.CircuitBreaker:
    """The breaker of a connection, its state shared when `redis_url` is given. It connects lazily and counts as closed
    while Redis is away."""
    storage: pybreaker.CircuitBreakerStorage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    if redis_url:
        storage = _SharedState(pybreaker.STATE_CLOSED, _RestingRedis(connection_pool=_pool(redis_url)), f"waybill:{connection.name}")
    return pybreaker.CircuitBreaker(
        fail_max=connection.breaker_failures,
        reset_timeout=connection.breaker_reset,
        state_storage=storage,
        name=connection.name,
        throw_new_error_on_trip=False,
    )


def seconds_to_wait(limiter: RateLimiter, rate: limits.RateLimitItem, key: str) -> float:
    """Take one from the limit of `key`: 0 when it was permitted, else the seconds until the window has room."""
    if limiter.hit(rate, key):
        return 0.0
    return max(limiter.get_window_stats(rate, key).reset_time - time.time(), 0.01)


class Gate:
    """One breaker without its lock: `pybreaker` holds a lock for the whole call, which would make the threads of a connection
    take turns. Here it is only asked before and told after."""

    def __init__(self, breaker: pybreaker.CircuitBreaker) -> None:
        self._breaker = breaker
        self._trial = threading.Lock()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Let one exchange through and learn from how it ends; raises `Unreachable` while the breaker is open.

        Only `Transient` and `UnknownOutcome` count as failures: a refusal shows that the system is alive.
        """
        trial = self._enter()
        try:
            yield
        except CallError as error:
            self._tell(error if isinstance(error, Transient | UnknownOutcome) else None)
            raise
        else:
            self._tell(None)
        finally:
            if trial:
                self._trial.release()

    def _enter(self) -> bool:
        state = self._breaker.current_state
        if state == pybreaker.STATE_CLOSED:
            return False
        left = self._seconds_left() if state == pybreaker.STATE_OPEN else 0.0
        if left > 0:
            raise Unreachable("the breaker is open after repeated failures", retry_after=left)
        if not self._trial.acquire(blocking=False):
            raise Unreachable("the breaker is open and a trial is under way", retry_after=1.0)
        if state == pybreaker.STATE_OPEN:
            self._breaker.half_open()
        return True

    def _seconds_left(self) -> float:
        opened_at = self._breaker._state_storage.opened_at
        if opened_at is None:
            return 0.0
        return (opened_at + timedelta(seconds=self._breaker.reset_timeout) - datetime.now(UTC)).total_seconds()

    def _tell(self, error: CallError | None) -> None:
        try:
            self._breaker.call(_end, error)
        except (CallError, pybreaker.CircuitBreakerError):
            return


def _end(error: CallError | None) -> None:
    if error:
        raise error


class _Rest:
    """Remembers that Redis failed, so that a hanging one costs one time-out in five seconds and one log line."""

    def __init__(self) -> None:
        self._until = 0.0

    def __bool__(self) -> bool:
        return time.monotonic() < self._until

    def begin(self, error: Exception) -> None:
        self._until = time.monotonic() + REDIS_REST
        log.warning("guards.redis_away", error=type(error).__name__, rest=REDIS_REST)


class _SharedLimiter(MovingWindowRateLimiter):
    """A limiter in Redis with one in memory behind it."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(RedisStorage(redis_url, connection_pool=_pool(redis_url)))
        self._local = MovingWindowRateLimiter(MemoryStorage())
        self._rest = _Rest()

    def hit(self, item: limits.RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        if not self._rest:
            try:
                return super().hit(item, *identifiers, cost=cost)
            except RedisError as error:
                self._rest.begin(error)
        return self._local.hit(item, *identifiers, cost=cost)

    def get_window_stats(self, item: limits.RateLimitItem, *identifiers: str) -> limits.WindowStats:
        if not self._rest:
            try:
                return super().get_window_stats(item, *identifiers)
            except RedisError as error:
                self._rest.begin(error)
        return self._local.get_window_stats(item, *identifiers)


class _RestingRedis(redis.Redis):
    """A client that fails at once while Redis rests."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._rest = _Rest()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if self._rest:
            raise redis.ConnectionError("resting")
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (redis.ConnectionError, redis.TimeoutError) as error:
            self._rest.begin(error)
            raise


class _SharedState(pybreaker.CircuitRedisStorage):
    """Breaker state in Redis that needs no Redis to be built: a missing key already reads as closed."""

    # `_RestingRedis` wrote the one line; pybreaker would add a traceback for each of its look-ups.
    logger = logging.Logger("silent", level=logging.CRITICAL + 1)

    def _initialize_redis_state(self, state: str) -> None:
        return


def _pool(redis_url: str) -> redis.ConnectionPool:
    return redis.ConnectionPool.from_url(
        redis_url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT, retry=Retry(NoBackoff(), 0)
    )
