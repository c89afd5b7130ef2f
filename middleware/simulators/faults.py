"""What can go wrong on purpose: a list of faults that a simulator asks before it answers a request."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum


class FaultKind(StrEnum):
    """Where in the life of a request it goes wrong; *effect* is what the request changes in the simulated system."""

    LATENCY = "latency"  # `seconds` pass before the effect
    LATE_REPLY = "late_reply"  # `seconds` pass after the effect
    RATE_LIMIT = "rate_limit"  # 429 and Retry-After: `seconds`, no effect
    ERROR = "error"  # 500, no effect
    ERROR_AFTER = "error_after"  # 500, with effect
    RESET_BEFORE = "reset_before"  # the connection is reset, no effect
    RESET_AFTER = "reset_after"  # the connection is reset, with effect
    LOST_REPLY = "lost_reply"  # with effect, silence until the client hangs up or `seconds` have passed


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. `method` and `path` are regular expressions that must match the whole (the path without its
    query); `times` is how often it still strikes (None: always), `probability` how likely at each request."""

    kind: FaultKind
    method: str = ".*"
    path: str = ".*"
    times: int | None = 1
    probability: float = 1.0
    seconds: float = 1.0

    def __post_init__(self) -> None:
        re.compile(self.method)
        re.compile(self.path)
        if not 0 <= self.probability <= 1 or self.seconds < 0 or (self.times is not None and self.times < 1):
            raise ValueError("expected 0 <= probability <= 1, seconds >= 0, times >= 1 or none")

    def meets(self, method: str, path: str) -> bool:
        return bool(re.fullmatch(self.method, method) and re.fullmatch(self.path, path))


class Faults:
    """The faults of one simulator; safe to change while requests run. `injected` counts what struck, by kind."""

    def __init__(self, seed: int = 0) -> None:
        self.injected: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._faults: dict[int, Fault] = {}
        self._last = 0
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> int:
        """Set a fault; returns the number that `remove` takes."""
        with self._lock:
            self._last += 1
            self._faults[self._last] = fault
            return self._last

    def remove(self, number: int) -> bool:
        """Take a fault away; False when it is gone already."""
        with self._lock:
            return self._faults.pop(number, None) is not None

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def strike(self, method: str, path: str) -> Fault | None:
        """The first fault that meets this request and wins its toss, counted and used up by one."""
        with self._lock:
            for number, fault in self._faults.items():
                if fault.meets(method, path) and (fault.probability == 1 or self._random.random() < fault.probability):
                    self._use(number, fault)
                    return fault
            return None

    def _use(self, number: int, fault: Fault) -> None:
        self.injected[fault.kind.value] += 1
        if fault.times == 1:
            del self._faults[number]
        elif fault.times is not None:
            self._faults[number] = replace(fault, times=fault.times - 1)

    def listed(self) -> list[dict[str, object]]:
        """The faults that are set, as `POST /_faults` takes them, each with its number as `id`."""
        with self._lock:
            return [{"id": number, **asdict(fault)} for number, fault in self._faults.items()]


def fault_from(table: object) -> Fault:
    """A fault from decoded JSON; raises ValueError with what is wrong."""
    if not isinstance(table, Mapping):
        raise ValueError("expected an object")
    unknown = set(table) - {field.name for field in fields(Fault)}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    try:
        return Fault(**{**table, "kind": FaultKind(table.get("kind", ""))})
    except (TypeError, re.error) as error:
        raise ValueError(str(error)) from error
