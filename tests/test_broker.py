"""The doorbell and the queues' names; the journeys over real brokers are in tests/real."""

import threading
from dataclasses import replace

from kombu.exceptions import OperationalError

from middleware.broker import Doorbell, celery_app
from middleware.settings import LANES, Broker, Settings


class Away:
    """A Celery application whose broker is away for the first `failures` messages."""

    def __init__(self, failures: int) -> None:
        self.tried: list[tuple[str, str]] = []
        self.rang = threading.Event()
        self._failures = failures

    def send_task(self, name: str, args: list[str], queue: str, **_: object) -> None:
        self.tried.append((name, queue))
        if len(self.tried) <= self._failures:
            raise OperationalError("connection refused")
        self.rang.set()

    def close(self) -> None:
        pass


def test_the_doorbell_outlives_a_broker_that_is_away():
    app = Away(failures=2)
    bell = Doorbell(app, rest=0.01, prefix="two.")
    while not app.rang.wait(0.02):
        bell.ring("make", "orders")
    bell.stop()
    assert app.tried[:3] == [("waybill.make", "two.orders")] * 3


def test_a_worker_takes_every_lane_and_a_prefix_keeps_two_waybills_apart():
    plain = Settings()
    for settings, prefix in ((plain, ""), (replace(plain, broker=Broker(prefix="two.")), "two.")):
        app = celery_app(settings)
        assert sorted(app.amqp.queues.consume_from) == sorted(prefix + lane for lane in LANES)
        assert {entry["options"]["queue"] for entry in app.conf.beat_schedule.values()} == {f"{prefix}orders", f"{prefix}reports"}
        app.close()
