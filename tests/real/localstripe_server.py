"""localstripe (GPL-3, from PyPI) as a process of its own, in an environment of its own under `var/`.

It sends no webhook for refunds, charges, cancellation, `requires_action` and captures that wait; it tries each delivery once.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from .programs import VAR, await_listener, free_port, installed

KEY = "sk_test_12345"
LOG = VAR / "localstripe.log"


@dataclass(frozen=True)
class Localstripe:
    """A running localstripe; `url` is the SDK's api base."""

    url: str

    def send_webhooks_to(self, url: str, secret: str) -> None:
        """From now on every event goes to `url`, signed, about a second after it happened."""
        self._post("/_config/webhooks/waybill", {"url": url, "secret": secret})

    def authenticate(self, intent: Any) -> None:
        """The buyer passes 3-D Secure; the SDK has no call for what the browser does."""
        self._post(f"/v1/payment_intents/{intent.id}/_authenticate", {"client_secret": intent.client_secret, "success": "true"})

    def _post(self, path: str, form: dict[str, str]) -> None:
        answer = requests.post(self.url + path, data=form, auth=(KEY, ""), timeout=10)
        assert answer.status_code == 200, answer.text


@contextmanager
def running() -> Iterator[Localstripe]:
    """Install it when it is missing, start it on a free port, and stop it at the end. Raises `Unavailable`."""
    python = installed("localstripe", ["localstripe"]) / "python"
    port = free_port()
    with LOG.open("ab") as log:
        process = subprocess.Popen([python, "-m", "localstripe", "--port", str(port), "--from-scratch"], stdout=log, stderr=log)
    try:
        await_listener(process, f"http://127.0.0.1:{port}", LOG)
        yield Localstripe(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)
