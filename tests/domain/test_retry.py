"""Retry as a value."""

from __future__ import annotations

import pytest

from middleware.domain.retry import Retry

RETRY = Retry(attempts=8, base=1.0, cap=60.0)


@pytest.mark.parametrize(
    ("attempt", "jitter", "at_least", "waits"),
    [
        (1, 1.0, None, 1.0),
        (2, 1.0, None, 2.0),
        (3, 0.5, None, 2.0),
        (6, 1.0, None, 32.0),
        (7, 1.0, None, 60.0),
        (30_000, 1.0, None, 60.0),
        (5, 0.0, None, 0.0),
        (1, 1.0, 30.0, 30.0),
        (7, 1.0, 30.0, 60.0),
        (1, 1.0, 3600.0, 3600.0),
        (1, 0.0, 0.0, 0.0),
    ],
)
def test_a_wait_is_exponential_jittered_capped_and_at_least_what_the_system_asked(
    attempt: int, jitter: float, at_least: float | None, waits: float
) -> None:
    assert RETRY.wait(attempt, lambda: jitter, at_least) == waits


@pytest.mark.parametrize(("attempt", "spent"), [(1, False), (7, False), (8, True), (9, True)])
def test_the_last_attempt_is_the_last(attempt: int, spent: bool) -> None:
    assert RETRY.is_spent(attempt) is spent
