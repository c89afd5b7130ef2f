"""Retry as a value: bounded, exponential with full jitter, honouring Retry-After."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` at most; waits between 0 and `base`·2ⁿ seconds, never above `cap`."""

    attempts: int
    base: float
    cap: float

    def is_spent(self, attempt: int) -> bool:
        """Whether attempt number `attempt` (from 1) was the last."""
        return attempt >= self.attempts

    def wait(self, attempt: int, jitter: Callable[[], float], at_least: float | None = None) -> float:
        """Seconds before the attempt after `attempt`; `jitter` gives 0…1, `at_least` is the system's own Retry-After."""
        ceiling = min(self.cap, self.base * 2.0 ** (min(attempt, 30) - 1))
        return max(at_least or 0.0, float(ceiling * jitter()))
