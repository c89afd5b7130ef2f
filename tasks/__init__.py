"""Floor 3: `celery -A tasks worker`. Each task is a doorbell's answer; the work itself is in `middleware`."""

from middleware.process import worker_application

app = worker_application()

__all__ = ["app"]
