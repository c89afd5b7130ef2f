"""Several web and worker processes over a real broker, with shared limits and breakers; processes killed, the broker emptied."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import struct
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kombu
import pytest
import redis
import requests
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from middleware.demo.customers import Customers
from middleware.demo.judge import Report, is_settled, judge
from middleware.demo.world import World
from middleware.runtime import Runtime
from middleware.settings import LANES
from middleware.simulators.akeneo import AkeneoSimulator
from middleware.simulators.deliveries import Deliverer, Mischief
from middleware.simulators.drupal import DrupalSimulator
from middleware.simulators.erp import ErpSimulator
from middleware.simulators.faults import Fault, FaultKind
from middleware.simulators.stripe import StripeSimulator
from tests.real.deployment import Deployment
from tests.real.programs import eventually, happens
from tests.world import SHOP_SECRET, STRIPE_SECRET

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

REDIS = os.environ.get("WAYBILL_TEST_REDIS_URL", "redis://127.0.0.1:6379")
AMQP = os.environ.get("WAYBILL_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//")
STATE_DB, BROKER_DB = 12, 13
RATE = 5
"""Requests per second that the ERP may get."""

CONFIGURATION = """\
var = "{folder}/var"
keys = ["file:{folder}/key"]
[database]
url = "{database}"
[broker]
url = "{broker}"
prefix = "{prefix}"
[redis]
url = "{redis}"
[web]
port = {port}
[logging]
level = "warning"
format = "json"
[work]
retry_base = 0.2
retry_cap = 1.0
event_lease = 5
[connections.shop]
system = "drupal"
base_url = "{shop}"
secrets = ["file:{folder}/shop"]
credentials = {{ password = "file:{folder}/password" }}
options = {{ username = "svc" }}
timeout = 5
deadline = 10
settle = 1
breaker_failures = 1000
[connections.stripe]
system = "stripe"
secrets = ["file:{folder}/stripe"]
[connections.erp]
system = "demo_erp"
base_url = "{erp}"
credentials = {{ key = "file:{folder}/erp" }}
timeout = 1
deadline = 2
settle = 1
{limits}
[stores.main]
shop = "shop"
erp = "erp"
payments = ["stripe"]
"""


class CountingErp(ErpSimulator):
    """The ERP that notes when each request arrived, also those that a fault meets."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.arrivals: list[float] = []

    def _respond(self, server: Any, request: Any) -> Any:
        self.arrivals.append(time.monotonic())
        return super()._respond(server, request)

    def most_within(self, seconds: float) -> int:
        """The most requests that arrived within any `seconds`."""
        times = sorted(self.arrivals)
        return max((sum(1 for later in times[n:] if later - begin < seconds) for n, begin in enumerate(times)), default=0)


@dataclass
class Broker:
    """A broker that a test may empty."""

    url: str
    prefix: str
    empty: Callable[[], None]


@pytest.fixture
def shared_state() -> Iterator[str]:
    """A Redis database for limits and breakers, empty."""
    url = f"{REDIS}/{STATE_DB}"
    with redis.Redis.from_url(url, socket_connect_timeout=1) as server:
        try:
            server.flushdb()
        except redis.RedisError as error:
            pytest.skip(f"no Redis at {REDIS}: {type(error).__name__}")
        yield url
        server.flushdb()


@contextlib.contextmanager
def over_redis() -> Iterator[Broker]:
    with redis.Redis.from_url(f"{REDIS}/{BROKER_DB}", socket_connect_timeout=1) as server:
        server.flushdb()
        yield Broker(f"{REDIS}/{BROKER_DB}", "", server.flushdb)
        server.flushdb()


@contextlib.contextmanager
def over_rabbitmq() -> Iterator[Broker]:
    prefix = f"waybill-test-{uuid.uuid4().hex[:8]}."
    names = [prefix + lane for lane in LANES]
    with kombu.Connection(AMQP, connect_timeout=2) as connection:
        try:
            connection.ensure_connection(max_retries=1)
        except (*connection.recoverable_connection_errors, kombu.exceptions.OperationalError) as error:
            pytest.skip(f"no RabbitMQ at {AMQP.rpartition('@')[2]}: {type(error).__name__}")

        def empty() -> None:
            with connection.channel() as channel:
                for name in names:
                    channel.queue_purge(name)

        yield Broker(AMQP, prefix, empty)
        with connection.channel() as channel:
            for name in names:
                channel.queue_delete(name)
                channel.exchange_delete(name)


BROKERS = {"redis": over_redis, "rabbitmq": over_rabbitmq}


@dataclass
class Site:
    """The simulators, and a Waybill of several processes between them."""

    world: World
    erp: CountingErp
    deployment: Deployment
    runtime: Runtime
    broker: Broker
    customers: Customers
    senders: list[Deliverer] = field(default_factory=list)

    def deliver(self, mischief: Mischief) -> None:
        """From now on the shop and Stripe send what happens."""
        url = self.deployment.url
        self.senders = [
            self.world.shop.deliver_to(f"{url}/webhooks/shop", mischief=mischief, seed=1, workers=4).start(),
            self.world.stripe.deliver_to(f"{url}/webhooks/stripe", mischief=mischief, seed=2, workers=4).start(),
        ]

    def count(self, query: str, **values: Any) -> int:
        with self.runtime.engine.connect() as connection:
            return int(connection.execute(text(query), values).scalar_one())

    def settle(self, seconds: float = 120) -> Report:
        """Wait until nothing waits any more, and hold every system against every other."""
        began = time.monotonic()
        assert all(sender.drain(60) for sender in self.senders)
        placed = self.customers.placed
        eventually(lambda: is_settled(self.runtime, self.world, placed), f"everything settles: {self.deployment.logs()}", seconds)
        return judge(self.runtime, self.world, placed, self.senders, time.monotonic() - began)


@contextlib.contextmanager
def running(folder: Path, database_url: str, state: str, broker: Broker, limits: str) -> Iterator[Site]:
    shop = DrupalSimulator(secret=SHOP_SECRET, seed_number=1)
    stripe, erp = StripeSimulator(secret=STRIPE_SECRET), CountingErp(key=secrets.token_hex(8), seed=1)
    with shop, stripe, erp, AkeneoSimulator() as pim:
        keys = {"shop": SHOP_SECRET, "password": "svc-secret", "stripe": STRIPE_SECRET, "erp": erp.key}
        places = {"shop": shop.url, "erp": erp.url, "database": database_url, "broker": broker.url, "prefix": broker.prefix, "redis": state}
        deployment = Deployment(folder, CONFIGURATION, keys, **places, limits=limits)
        runtime, world = Runtime(deployment.settings(), ring=lambda *_: None), World(shop, stripe, erp, pim)
        site = Site(world, erp, deployment, runtime, broker, Customers(world, seed=1))
        try:
            yield site
        finally:
            for sender in site.senders:
                sender.stop()
            deployment.stop()
            runtime.close()


@pytest.mark.parametrize(("kind", "orders"), [("redis", 60), ("rabbitmq", 30)])
def test_killed_processes_and_an_emptied_broker_lose_nothing(
    tmp_path: Path, database_url: str, shared_state: str, kind: str, orders: int
) -> None:
    limits = f'rate = "{RATE}/second"\nbreaker_failures = 8\nbreaker_reset = 1\npoll = 1'
    with BROKERS[kind]() as broker, running(tmp_path, database_url, shared_state, broker, limits) as site:
        web = site.deployment.web(2)
        doomed, other = site.deployment.worker("first"), site.deployment.worker("second")
        is_ready(site.deployment.url, kind)
        for fault in (FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER, FaultKind.ERROR_AFTER, FaultKind.LOST_REPLY, FaultKind.RATE_LIMIT):
            site.erp.faults.add(Fault(fault, "POST", "/orders", times=None, probability=0.03, seconds=2))
        site.deliver(Mischief(duplicate=0.3, stale=0.05, tampered=0.05, forged=0.05, shuffle=6, delay=3))

        for _ in range(orders // 2):
            site.customers.order()
        assert all(sender.drain(60) for sender in site.senders)
        counters_add_up(site, web)

        for _ in range(orders - orders // 2):
            site.customers.order()
        site.deployment.web_children(web)[0].kill()
        kill_while_it_calls(site, doomed, other)
        third: list[subprocess.Popen[bytes]] = []
        for exported in range(len(site.erp.orders), orders, orders // 6):
            eventually(lambda least=exported: len(site.erp.orders) >= least, f"{exported} orders are exported", 90)
            broker.empty()
            if exported > orders // 2 and not third:
                third.append(site.deployment.worker("third"))
        report = site.settle()
        assert (report.problems, report.lost, report.doubled) == ((), 0, 0)
        assert (report.orders_exported, report.erp_orders, report.shop_told) == (orders, orders, orders)
        told = requests.get(f"{site.deployment.url}/metrics", timeout=5).text
        assert 'waybill_calls_total{connection="erp",operation="create_order",outcome="done"}' in told  # the workers count there too
        assert min(report.duplicate_deliveries, report.refused_deliveries, report.erp_faults) > 0
        assert len(site.deployment.web_children(web)) == 2
        assert site.erp.most_within(3) <= 3 * RATE + RATE  # requests need a moment from the limit to the ERP
        held_back = "SELECT count(*) FROM exchanges WHERE error LIKE 'rate_limited our own limit%'"
        assert site.count(held_back) > 0
        assert site.count("SELECT count(*) FROM calls WHERE look_up AND state = 'done'") > 0
        assert (doomed.poll(), other.poll(), [worker.poll() for worker in third]) == (-signal.SIGKILL, None, [None])
        is_ready(site.deployment.url, kind)


def kill_while_it_calls(site: Site, doomed: subprocess.Popen[bytes], other: subprocess.Popen[bytes]) -> None:
    """Kill -9 between the ERP's effect and its reply. The other worker is stopped meanwhile, so the call is the doomed one's;
    where it stopped with a lock in its hand, it goes on a little and stops again."""
    fault = site.erp.faults.add(Fault(FaultKind.LATE_REPLY, "POST", "/orders", times=None, seconds=0.9))
    under_way = "SELECT count(*) FROM calls WHERE state = 'making' AND connection = 'erp' AND attempted_at > :since"
    for _ in range(10):
        other.send_signal(signal.SIGSTOP)
        since = site.runtime.now()
        if happens(lambda since=since: site.count(under_way, since=since), 3):
            break
        other.send_signal(signal.SIGCONT)
    doomed.kill()
    doomed.wait()
    other.send_signal(signal.SIGCONT)
    site.erp.faults.remove(fault)


def is_ready(url: str, kind: str) -> None:
    answer = requests.get(f"{url}/health/ready", timeout=5)
    checks = answer.json()["checks"]
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert checks["broker"] == {"ok": True, "kind": {"redis": "redis", "rabbitmq": "amqp"}[kind]}
    assert checks["database"]["ok"]
    assert checks["migrations"]["ok"]


def counters_add_up(site: Site, web: subprocess.Popen[bytes]) -> None:
    """Whichever process is asked: what both have counted."""
    query = "SELECT count(*) FROM events WHERE connection IN ('shop', 'stripe')"
    postings = [sum(len(sender.postings) for sender in site.senders)]
    taken = sum(posting.status == 200 for sender in site.senders for posting in sender.postings)
    counting = {site.deployment.folder / "var" / "metrics" / f"counter_{child.pid}.db" for child in site.deployment.web_children(web)}

    def both_count() -> bool:
        postings.append(requests.post(f"{site.deployment.url}/webhooks/shop", data=b"{}", timeout=5).status_code == 401)
        return all(file.is_file() for file in counting)

    eventually(both_count, "each of the two processes has answered")
    assert len(counting) == 2
    for _ in range(4):
        found = requests.get(f"{site.deployment.url}/metrics", timeout=5).text
        counted: dict[str, float] = {}
        for family in text_string_to_metric_families(found):
            for sample in family.samples:
                if sample.name == "waybill_webhooks_total":
                    counted[sample.labels["verdict"]] = counted.get(sample.labels["verdict"], 0) + sample.value
        assert counted["kept"] == site.count(query)
        assert counted["kept"] + counted["duplicate"] == taken
        assert sum(counted.values()) == sum(postings)


class DeadEnd:
    """What listens where the ERP was: it counts connections and resets each."""

    def __init__(self, port: int) -> None:
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            client.recv(65_536)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()


REFUSED_HERE = (
    "SELECT count(DISTINCT c.order_id) FROM exchanges e JOIN calls c ON c.id = e.call_id"
    " WHERE c.connection = 'erp' AND e.error LIKE :error AND c.id > :beyond"
)
"""How many orders' calls with ids beyond one were held back before anything was sent."""


def turn(working: subprocess.Popen[bytes], resting: subprocess.Popen[bytes]) -> None:
    """Stop one worker where it stands and let the other go on."""
    resting.send_signal(signal.SIGSTOP)
    working.send_signal(signal.SIGCONT)


def test_what_one_worker_sent_counts_for_the_limit_of_the_other(tmp_path: Path, database_url: str, shared_state: str) -> None:
    """The workers take turns, each stopped while the other works: the second one finds the limit spent by the first."""
    held_back = "rate_limited our own limit%"
    with over_redis() as broker, running(tmp_path, database_url, shared_state, broker, 'rate = "5/12 seconds"') as site:
        site.deployment.web(1)
        first, second = (site.deployment.worker(name) for name in ("first", "second"))
        site.deliver(Mischief())
        eventually(lambda: (site.deployment.folder / "second.log").read_text().count("[queues]"), "the second worker has started")
        turn(first, second)
        for _ in range(5):
            site.customers.order()
        eventually(lambda: len(site.erp.orders) == 5, "the limit is spent")
        beyond = site.count("SELECT max(id) FROM calls WHERE connection = 'erp'")
        turn(second, first)
        for _ in range(3):
            site.customers.order()
        eventually(lambda: site.count(REFUSED_HERE, beyond=beyond, error=held_back) == 3, "the second worker is held back")
        assert len(site.erp.arrivals) == 5
        first.send_signal(signal.SIGCONT)
        report = site.settle()
        assert (report.problems, report.lost, report.doubled, report.erp_orders) == ((), 0, 0, 8)
        assert site.erp.most_within(11) == 5


def test_a_breaker_that_one_worker_opened_is_open_for_the_other(tmp_path: Path, database_url: str, shared_state: str) -> None:
    """The workers take turns, each stopped while the other works: what the second one does not try, the first one told it."""
    limits = "concurrency = 1\nbreaker_failures = 3\nbreaker_reset = 15"
    with over_redis() as broker, running(tmp_path, database_url, shared_state, broker, limits) as site:
        site.deployment.web(1)
        workers = [site.deployment.worker(name) for name in ("first", "second")]
        site.deliver(Mischief())
        site.customers.order()
        site.settle()
        site.erp.stop()
        dead_end = DeadEnd(int(site.erp.url.rsplit(":", 1)[1]))
        try:
            beyond = 0
            for working, resting in (workers, workers[::-1]):
                turn(working, resting)
                for _ in range(5):
                    site.customers.order()
                eventually(lambda least=beyond: site.count(REFUSED_HERE, beyond=least, error="unreachable%") == 5, "the breaker is open")
                beyond = site.count("SELECT max(id) FROM calls")
                assert dead_end.connections == 3
        finally:
            dead_end.close()
            site.erp.start()
            for worker in workers:
                worker.send_signal(signal.SIGCONT)
        report = site.settle()
        assert (report.problems, report.lost, report.doubled, report.erp_orders) == ((), 0, 0, 11)
        assert site.count("SELECT max(attempts) FROM calls WHERE connection = 'erp'") <= 5  # waiting for the breaker burns none
