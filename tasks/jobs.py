"""The named tasks, one per doorbell. Each may run twice or never: the rows in PostgreSQL are the work."""

from celery import shared_task

from middleware import inbox, outbox
from middleware import sweep as sweeping
from middleware.feeds import pulls, pushes
from middleware.runtime import current

CALLS_PER_MESSAGE = 20


@shared_task(name="waybill.decide")
def decide(lane: str) -> None:
    """Decide the lane's due events, batch by batch."""
    while inbox.decide(current(), lane):
        pass


@shared_task(name="waybill.make")
def make(lane: str) -> None:
    """Make the lane's due calls, and ring again when there may be more."""
    if outbox.make(current(), lane, CALLS_PER_MESSAGE) == CALLS_PER_MESSAGE:
        current().ring("make", lane)


@shared_task(name="waybill.poll")
def poll(connection: str) -> None:
    """Fetch what changed in a system that does not push."""
    sweeping.poll(current(), connection)


@shared_task(name="waybill.pull")
def pull(feed: str) -> None:
    """Read what changed in a feed, `connection/kind`, and ring for what it wants written."""
    connection, _, kind = feed.partition("/")
    pulls.pull(current(), current().feeds[connection, kind])


@shared_task(name="waybill.push")
def push(shop: str) -> None:
    """Write what waits for a shop, batch by batch."""
    while pushes.push(current(), shop):
        pass


@shared_task(name="waybill.sweep")
def sweep(*_: str) -> None:
    """One round of what every worker also looks after by itself."""
    sweeping.sweep(current())


@shared_task(name="waybill.keep_house")
def keep_house(*_: str) -> None:
    """Partitions and retention."""
    sweeping.keep_house(current())
