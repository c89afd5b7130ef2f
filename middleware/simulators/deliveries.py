"""A sender of signed webhooks: retries what is not accepted, and adds the mischief that real networks and forgers do."""

from __future__ import annotations

import base64
import heapq
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

import requests

from middleware.simulators.signatures import Sign

_STALE = 3600


class Kind(StrEnum):
    """What a delivery is; only the first is the message itself, the others are always extra."""

    GENUINE = "genuine"
    DUPLICATE = "duplicate"
    STALE = "stale"
    TAMPERED = "tampered"
    FORGED = "forged"


_BAD = frozenset({Kind.STALE, Kind.TAMPERED, Kind.FORGED})


@dataclass(frozen=True, slots=True)
class Mischief:
    """How much goes wrong on the way. The shares are the probability per message of one extra delivery of that kind;
    `shuffle` is how many places a waiting delivery may be moved back, `delay` the longest wait in seconds before one is posted."""

    duplicate: float = 0
    stale: float = 0
    tampered: float = 0
    forged: float = 0
    shuffle: int = 0
    delay: float = 0


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What a deliverer did. `sent` counts every post, retries too; `messages` the distinct ones, `accepted` those of them that
    got a 2xx; `wrongly_accepted` bad deliveries that got a 2xx; `undelivered` deliveries given up."""

    messages: int = 0
    sent: int = 0
    retries: int = 0
    duplicates: int = 0
    accepted: int = 0
    refused_on_purpose: int = 0
    wrongly_accepted: int = 0
    undelivered: int = 0


@dataclass(frozen=True, slots=True)
class Posting:
    """One post that was answered (`status`) or was not (None)."""

    message_id: str
    kind: Kind
    status: int | None


@dataclass(order=True, slots=True)
class _Job:
    position: int
    sequence: int
    message_id: str = field(compare=False)
    body: bytes = field(compare=False)
    kind: Kind = field(compare=False)
    attempt: int = field(default=0, compare=False)


class Deliverer:
    """Posts messages to `target` from `workers` threads, once `start` is called; `send` may come before.

    `backoff` is how many seconds pass before each retry; after the last one a delivery is given up.
    """

    def __init__(
        self,
        target: str,
        sign: Sign,
        secret: str,
        *,
        mischief: Mischief | None = None,
        backoff: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
        timeout: float = 10,
        workers: int = 2,
        user_agent: str = "Waybill-Simulator",
        seed: int = 0,
    ) -> None:
        self.target = target
        self.postings: list[Posting] = []
        self._sign = sign
        self._secret = secret
        self._mischief = mischief or Mischief()
        self._backoff = backoff
        self._timeout = timeout
        self._headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": user_agent}
        self._random = random.Random(seed)
        self._counts: Counter[str] = Counter()
        self._accepted: set[str] = set()
        self._ready: list[_Job] = []
        self._later: list[tuple[float, int, _Job]] = []
        self._sequence = 0
        self._busy = 0
        self._running = False
        self._change = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._workers = workers

    def start(self) -> Self:
        with self._change:
            if not self._running:
                self._running = True
                self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._workers)]
                for thread in self._threads:
                    thread.start()
        return self

    def stop(self) -> None:
        """Finish the posts under way and keep the rest; `start` goes on with them."""
        with self._change:
            self._running = False
            self._change.notify_all()
        for thread in self._threads:
            thread.join()

    def send(self, message_id: str, body: bytes) -> None:
        """Queue a message, and with it the extra deliveries that mischief draws."""
        with self._change:
            self._counts["messages"] += 1
            self._queue(message_id, body, Kind.GENUINE)
            for kind in (Kind.DUPLICATE, Kind.STALE, Kind.TAMPERED, Kind.FORGED):
                if self._random.random() < getattr(self._mischief, kind.value):
                    self._queue(message_id, body, kind)
            self._change.notify_all()

    def send_extra(self, message_id: str, body: bytes, kind: Kind) -> None:
        """Queue one delivery of a kind on purpose, beside the genuine one."""
        with self._change:
            self._queue(message_id, body, kind)
            self._change.notify_all()

    def drain(self, timeout: float = 30) -> bool:
        """Wait until every delivery has ended; False when `timeout` seconds did not suffice."""
        with self._change:
            return self._change.wait_for(lambda: not (self._ready or self._later or self._busy), timeout)

    def report(self) -> DeliveryReport:
        with self._change:
            return DeliveryReport(**{**self._counts, "accepted": len(self._accepted)})

    def accepted(self, message_id: str) -> bool:
        """Whether the message itself got a 2xx."""
        with self._change:
            return message_id in self._accepted

    def _queue(self, message_id: str, body: bytes, kind: Kind) -> None:
        self._sequence += 1
        position = self._sequence + self._random.randint(0, self._mischief.shuffle)
        job = _Job(position, self._sequence, message_id, body, kind)
        self._counts["duplicates"] += kind is Kind.DUPLICATE
        self._put(job, self._random.uniform(0, self._mischief.delay))

    def _put(self, job: _Job, wait: float) -> None:
        if wait:
            heapq.heappush(self._later, (time.monotonic() + wait, job.sequence, job))
        else:
            heapq.heappush(self._ready, job)

    def _work(self) -> None:
        with requests.Session() as session:
            for job in self._jobs():
                status = self._post(session, job)
                with self._change:
                    self._busy -= 1
                    self._settle(job, status)
                    self._change.notify_all()

    def _jobs(self) -> Iterator[_Job]:
        while True:
            with self._change:
                job = self._take()
                while job is None and self._running:
                    self._change.wait(max(self._later[0][0] - time.monotonic(), 0.001) if self._later else None)
                    job = self._take()
                if job is None:
                    return
            yield job

    def _take(self) -> _Job | None:
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappush(self._ready, heapq.heappop(self._later)[2])
        if not (self._running and self._ready):
            return None
        self._busy += 1
        return heapq.heappop(self._ready)

    def _post(self, session: requests.Session, job: _Job) -> int | None:
        now = int(time.time()) - (_STALE if job.kind is Kind.STALE else 0)
        secret = _WRONG_SECRET if job.kind is Kind.FORGED else self._secret
        headers = {**self._headers, **self._sign(secret, job.message_id, now, job.body)}
        body = tampered(job.body) if job.kind is Kind.TAMPERED else job.body
        try:
            return session.post(self.target, data=body, headers=headers, timeout=self._timeout).status_code
        except requests.RequestException:
            return None

    def _settle(self, job: _Job, status: int | None) -> None:
        self.postings.append(Posting(job.message_id, job.kind, status))
        self._counts["sent"] += 1
        self._counts["retries"] += job.attempt > 0
        good = status is not None and 200 <= status < 300
        if job.kind in _BAD and good:
            self._counts["wrongly_accepted"] += 1
        elif job.kind in _BAD and status is not None and 400 <= status < 500 and status != 429:
            self._counts["refused_on_purpose"] += 1
        elif good:
            self._accepted.add(job.message_id)
        elif job.attempt < len(self._backoff):
            wait, job.attempt = self._backoff[job.attempt], job.attempt + 1
            self._put(job, wait)
        else:
            self._counts["undelivered"] += 1


_WRONG_SECRET = "whsec_" + base64.b64encode(b"a forger does not know the secret").decode()


def tampered(body: bytes) -> bytes:
    """The body with its last digit changed: still the same JSON shape, another value."""
    at = max(body.rfind(digit) for digit in (b"%d" % number for number in range(10)))
    return body[:at] + (b"7" if body[at : at + 1] != b"7" else b"3") + body[at + 1 :]
