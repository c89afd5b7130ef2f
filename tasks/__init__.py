"""Floor 3: `celery -A tasks worker`. Each task is a doorbell's answer; the work itself is in `middleware`."""

from middleware.settings import share_worker_metrics

share_worker_metrics()  # before anything imports prometheus_client

from middleware.process import worker_application  # noqa: E402

app = worker_application()

__all__ = ["app"]
