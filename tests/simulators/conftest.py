"""What the simulator tests share: a receiver of webhooks that answers as it is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from werkzeug.wrappers import Request, Response

from middleware.simulators._server import Simulator


class Receiver(Simulator):
    """Keeps every request; answers with the next of `statuses`, then with `judge`'s verdict (200 without one)."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.judge = lambda headers, body: 200

    def answer(self, request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers}
        self.received.append((headers, request.get_data()))
        return Response(status=self.statuses.pop(0) if self.statuses else self.judge(headers, request.get_data()))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started
