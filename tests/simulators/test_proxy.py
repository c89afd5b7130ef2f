"""The fault proxy in front of a small server that counts its effects."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from middleware.simulators.proxy import FaultProxy


class Target(ThreadingHTTPServer):
    """Counts every request as an effect and answers with its body."""

    daemon_threads = False

    def __init__(self):
        self.effects: list[tuple[str, str, bytes]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.effects.append((self.command, self.path, body))
        self.send_response(201)
        self.send_header("X-Seen", self.headers.get("X-Sent", ""))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *args):
        return


@pytest.fixture
def target() -> Iterator[Target]:
    server = Target()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def proxy(target) -> Iterator[FaultProxy]:
    with FaultProxy(f"http://127.0.0.1:{target.server_address[1]}") as running:
        yield running


def test_without_a_fault_everything_passes(proxy, target):
    answer = requests.post(f"{proxy.url}/a/b?c=d", data=b"x", headers={"X-Sent": "yes"}, timeout=5)
    assert (answer.status_code, answer.content, answer.headers["X-Seen"]) == (201, b"x", "yes")
    assert target.effects == [("POST", "/a/b?c=d", b"x")]
    assert proxy.done == {"forwarded": 1}


def test_a_held_reply_has_had_its_effect(proxy, target):
    proxy.delay_reply(60, path="/orders$")
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{proxy.url}/orders?x=1", data=b"x", timeout=0.5)
    assert len(target.effects) == 1
    proxy.release()
    assert proxy.wait_idle()
    assert requests.post(f"{proxy.url}/orders", data=b"y", timeout=5).status_code == 201


def test_a_held_request_has_its_effect_although_its_caller_has_gone(proxy, target):
    proxy.delay_request(60)
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{proxy.url}/orders", data=b"x", timeout=0.3)
    assert target.effects == []
    proxy.release()
    assert proxy.wait_idle()
    assert target.effects == [("POST", "/orders", b"x")]


def test_holds_end_in_the_order_in_which_they_began(proxy, target):
    proxy.delay_request(60, times=2)
    for number, body in enumerate((b"first", b"second"), 1):
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{proxy.url}/orders", data=body, timeout=0.3)
        assert proxy.wait_held(number)
    proxy.release(1)
    while not target.effects:
        assert not proxy.wait_idle(0.05)
    assert [body for _, _, body in target.effects] == [b"first"]
    proxy.release()
    assert proxy.wait_idle()
    assert [body for _, _, body in target.effects] == [b"first", b"second"]


@pytest.mark.parametrize(("fault", "effects"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_comes_before_or_after_the_effect(proxy, target, fault, effects):
    getattr(proxy, fault)(times=1)
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{proxy.url}/orders", data=b"x", timeout=5)
    assert (len(target.effects), proxy.done[fault]) == (effects, 1)


def test_a_fault_strikes_its_method_and_path_only_and_only_so_often(proxy):
    proxy.reset_before(method="POST", path="/orders/[0-9]+$", times=2)
    assert requests.get(f"{proxy.url}/orders/1", timeout=5).status_code == 201
    assert requests.post(f"{proxy.url}/orders", timeout=5).status_code == 201
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{proxy.url}/orders/1", timeout=5)
    assert requests.post(f"{proxy.url}/orders/1", timeout=5).status_code == 201


def test_closing_forwards_nothing_that_is_still_held(target):
    with FaultProxy(f"http://127.0.0.1:{target.server_address[1]}") as proxy:
        proxy.delay_request(60)
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{proxy.url}/orders", data=b"x", timeout=0.3)
    assert target.effects == []


def test_a_dead_target_resets_the_caller():
    with FaultProxy("http://127.0.0.1:1") as proxy:
        with pytest.raises(requests.ConnectionError):
            requests.get(proxy.url, timeout=5)
        assert proxy.done == {"unreachable": 1}
