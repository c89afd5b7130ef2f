"""The server under the simulators: starting, stopping, and every kind of fault over real HTTP."""

from __future__ import annotations

import threading

import pytest
import requests
from werkzeug.wrappers import Request, Response

from middleware.simulators._server import Simulator, reply
from middleware.simulators.faults import Fault, FaultKind, Faults


class Counter(Simulator):
    """Counts POSTs."""

    def __init__(self) -> None:
        super().__init__()
        self.effects = 0
        self.happened = threading.Event()

    def answer(self, request: Request) -> Response:
        if request.method == "POST":
            self.effects += 1
            self.happened.set()
        return reply({"effects": self.effects})


class WatchedFaults(Faults):
    """Tells when a fault struck."""

    def __init__(self) -> None:
        super().__init__()
        self.struck = threading.Event()

    def strike(self, method: str, path: str) -> Fault | None:
        fault = super().strike(method, path)
        if fault:
            self.struck.set()
        return fault


@pytest.fixture
def counter():
    with Counter() as started:
        yield started


def test_a_stopped_simulator_refuses_connections_and_starts_again_on_its_port_with_its_state(counter):
    url = counter.url
    with requests.Session() as session:
        session.post(url, timeout=5)
        counter.stop()
        with pytest.raises(requests.ConnectionError):
            session.post(url, timeout=5)
        counter.start()
        answered = session.post(url, timeout=5).json()
    assert (counter.url, counter.running, answered) == (url, True, {"effects": 2})


def test_one_connection_serves_many_requests(counter):
    with requests.Session() as session:
        answers = [session.post(counter.url, timeout=5) for _ in range(3)]
    assert [a.json() for a in answers] == [{"effects": 1}, {"effects": 2}, {"effects": 3}]
    assert answers[0].headers["Server"].strip() == "simulator"


@pytest.mark.parametrize(
    ("kind", "status", "effects"),
    [
        (FaultKind.LATENCY, 200, 1),
        (FaultKind.LATE_REPLY, 200, 1),
        (FaultKind.RATE_LIMIT, 429, 0),
        (FaultKind.ERROR, 500, 0),
        (FaultKind.ERROR_AFTER, 500, 1),
        (FaultKind.RESET_BEFORE, "reset", 0),
        (FaultKind.RESET_AFTER, "reset", 1),
        (FaultKind.LOST_REPLY, "hung up", 1),
    ],
)
def test_a_fault_strikes_once_before_or_after_the_effect(counter, kind, status, effects):
    counter.faults.add(Fault(kind, seconds=0.01))
    assert (_outcome(counter.url), counter.effects) == (status, effects)
    assert (_outcome(counter.url), counter.effects) == (200, effects + 1)
    assert dict(counter.faults.injected) == {kind.value: 1}


def _outcome(url: str) -> int | str:
    try:
        with requests.post(url, data=b"x" * 1000, timeout=5) as response:
            return response.status_code
    except requests.ConnectionError as error:
        return "reset" if "ConnectionResetError" in repr(error) else "hung up"


def test_a_rate_limit_says_when_to_come_back(counter):
    counter.faults.add(Fault(FaultKind.RATE_LIMIT, seconds=7))
    assert requests.post(counter.url, timeout=5).headers["Retry-After"] == "7"


def test_a_lost_reply_keeps_silent_until_the_client_gives_up(counter):
    counter.faults.add(Fault(FaultKind.LOST_REPLY, seconds=60))
    with pytest.raises(requests.ReadTimeout):
        requests.post(counter.url, timeout=0.05)
    assert counter.effects == 1


def test_a_request_delayed_beyond_the_clients_patience_still_has_its_effect(counter):
    counter.faults.add(Fault(FaultKind.LATENCY, seconds=0.15))
    with pytest.raises(requests.ReadTimeout):
        requests.post(counter.url, timeout=0.02)
    assert counter.effects == 0
    assert counter.happened.wait(5)


def test_stopping_ends_requests_that_wait_in_a_fault_without_effect(counter):
    counter.faults = WatchedFaults()
    counter.faults.add(Fault(FaultKind.LATENCY, seconds=60))
    outcome: list[int | str] = []
    client = threading.Thread(target=lambda: outcome.append(_outcome(counter.url)))
    client.start()
    assert counter.faults.struck.wait(5)
    counter.stop()
    client.join()
    assert (outcome, counter.effects) == (["hung up"], 0)


def test_a_fault_meets_only_its_method_and_path(counter):
    counter.faults.add(Fault(FaultKind.ERROR, method="POST", path="/orders/.*", times=None))
    answers = [
        requests.post(f"{counter.url}/orders/1?x=1", timeout=5),
        requests.get(f"{counter.url}/orders/1", timeout=5),
        requests.post(f"{counter.url}/orders", timeout=5),
        requests.post(f"{counter.url}/orders/2", timeout=5),
    ]
    assert [a.status_code for a in answers] == [500, 200, 200, 500]


def test_a_probable_fault_strikes_the_same_requests_for_the_same_seed():
    def struck(seed: int) -> list[bool]:
        simulator = Simulator(seed=seed)
        simulator.faults.add(Fault(FaultKind.ERROR, times=None, probability=0.3))
        return [simulator.faults.strike("GET", "/") is not None for _ in range(100)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert 15 < sum(struck(1)) < 45


def test_faults_are_set_listed_and_taken_away_over_http(counter):
    page = f"{counter.url}/_faults"
    made = requests.post(page, json={"kind": "error", "method": "POST", "times": 2}, timeout=5)
    requests.post(counter.url, timeout=5)
    fault = {"id": 1, "kind": "error", "method": "POST", "path": ".*", "times": 1, "probability": 1.0, "seconds": 1.0}
    assert (made.status_code, made.json()) == (201, {"id": 1})
    assert requests.get(page, timeout=5).json() == {"faults": [fault], "injected": {"error": 1}}
    assert [requests.delete(f"{page}/1", timeout=5).status_code for _ in range(2)] == [204, 404]
    counter.faults.add(Fault(FaultKind.ERROR))
    assert requests.delete(page, timeout=5).status_code == 204
    assert counter.faults.listed() == []


@pytest.mark.parametrize(
    "body", [{"kind": "nosuch"}, {"kind": "error", "path": "("}, {"kind": "error", "often": 1}, [], {"kind": "error", "probability": 2}]
)
def test_a_fault_that_makes_no_sense_is_refused(counter, body):
    refused = requests.post(f"{counter.url}/_faults", json=body, timeout=5)
    assert (refused.status_code, list(refused.json()), counter.faults.listed()) == (422, ["error"], [])
