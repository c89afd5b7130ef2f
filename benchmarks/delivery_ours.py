"""Our side of the delivery benchmark, in a process of its own: for each system whose webhooks we verify, µs of CPU to verify and to map
one delivery, beside the bare primitive over the same bytes. Prints a JSON line for each system and round."""

from __future__ import annotations

import hmac
import json
import sys
import tempfile
import time
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from middleware import connectors
from middleware.connectors._http import Http
from middleware.errors import Refused, Unreadable
from middleware.ports import Delivery, Inbound
from middleware.settings import Connection
from middleware.testing import secret

VECTORS = Path(__file__).parents[1] / "tests" / "payloads" / "vectors"
AT = datetime(2026, 1, 1, tzinfo=UTC)
"""When the vectors were signed."""
SECRET = "5e" * 32
"""Hex, base64 and text: a secret of every form."""
SECONDS = 0.15
"""Of each loop."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A request that `connector` verifies, what came of it, and the same bytes through the bare primitive."""

    connector: Any
    request: Inbound
    deliveries: tuple[Delivery, ...]
    bare: Callable[[], object]

    def read(self) -> object:
        return self.connector.read(self.request)

    def map(self) -> list[object]:
        return [self.connector.translate(one.topic, one.payload) for one in self.deliveries]


def main(rounds: int) -> None:
    subjects = {system: _subject(system) for system in connectors.systems() if hasattr(connectors.connector_class(system), "read")}
    for _ in range(rounds):
        for system, subject in subjects.items():
            said = _measured(subject) if subject else {"reason": "neither a vector nor a sample"}
            print(json.dumps({"system": system, **said}), flush=True)


def _measured(subject: Subject) -> dict[str, Any]:
    count = len(subject.deliveries)
    says = _says(subject)
    return {
        "bytes": len(subject.request.body),
        "bare_us": _cpu_us(subject.bare) / count,
        "verify_us": _cpu_us(subject.read) / count,
        "map_us": _cpu_us(subject.map) / count if says[0].isupper() else None,
        "says": says,
    }


def _says(subject: Subject) -> str:
    """What it is translated to; in lower case what is not."""
    if any(one.hint for one in subject.deliveries):
        return "a hint"
    try:
        return type(subject.map()[0]).__name__
    except Unreadable:
        return "unreadable"


def _cpu_us(do: Callable[[], object]) -> float:
    """The lowest of five loops: what others do to the caches and the clock only adds."""
    times = 1
    while (taken := _loop(do, times)) < SECONDS / 5:
        times *= 2
    return min(taken, *(_loop(do, times) for _ in range(4))) / times * 1e6


def _loop(do: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        do()
    return time.process_time() - began


def _subject(system: str) -> Subject | None:
    """From the first vector that the connector verifies, or else from its own sample."""
    file = VECTORS / f"{system}.json"
    known = json.loads(file.read_text("utf-8")) if file.exists() else {"vectors": []}
    for vector in known["vectors"]:
        if vector["expected"] != "valid" or not isinstance(vector.get("body"), str):
            continue
        headers = {name.lower(): value for name, value in vector["headers"].items()}
        request = Inbound(headers, vector["body"].encode(), vector.get("notification_url", ""), AT)
        for live in (False, True):
            if "cert" in vector:
                found = _signed_by_certificate(system, request, vector, known["pem"], live=live)
            else:
                found = _shared_secret(_connector(system, _key(vector["secret"]), live=live), request)
            if found:
                return found
    cls = connectors.connector_class(system)
    if not hasattr(cls, "sample_request"):
        return None
    credentials = {name: secret("value") for name in cls.CREDENTIALS}
    connector = _connector(system, SECRET, credentials=credentials)
    return _shared_secret(connector, connector.sample_request(AT))


def _key(told: Any) -> str:
    """A vector's secret, or the first of its secrets by their ids."""
    return str(next(iter(told.values()))) if isinstance(told, dict) else str(told)


def _connector(system: str, key: str, **settings: Any) -> Any:
    connection = Connection("bench", system, "http://127.0.0.1:9", (secret(key),), **settings)
    return connectors.connector_class(system)(connection, Http(connection))


def _shared_secret(connector: Any, request: Inbound) -> Subject | None:
    """The primitive is what `read` asks of `hmac`: the same keys, bytes and hashes."""
    asked: list[tuple[Any, ...]] = []
    try:
        with _noted(asked):
            deliveries = connector.read(request)
    except Refused:
        return None
    expected = [(one, hmac.digest(*one)) for one in asked]
    return Subject(connector, request, deliveries, lambda: [hmac.compare_digest(hmac.digest(*one), is_) for one, is_ in expected])


def _signed_by_certificate(system: str, request: Inbound, vector: dict[str, Any], pem: dict[str, str], *, live: bool) -> Subject | None:
    """PayPal's: its certificate is fetched once, and the primitive is one RSA verification."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as authority:
        authority.write(pem["ca"])
        authority.flush()
        connector = _connector(system, vector["webhook_id"], live=live, options={"trusted_certificates": authority.name})
        connector.http = SimpleNamespace(request=lambda *_: SimpleNamespace(body=pem["leaf"].encode()))
        try:
            deliveries = connector.read(request)
        except Refused:
            return None
    sent = {name: request.headers[f"paypal-transmission-{name}"] for name in ("id", "time", "sig")}
    signed = f"{sent['id']}|{sent['time']}|{vector['webhook_id']}|{zlib.crc32(request.body)}".encode()
    key: Any = x509.load_pem_x509_certificate(pem["leaf"].encode()).public_key()
    signature = b64decode(sent["sig"])
    return Subject(connector, request, deliveries, lambda: key.verify(signature, signed, PKCS1v15(), SHA256()))


@contextmanager
def _noted(asked: list[tuple[Any, ...]]) -> Iterator[None]:
    """Note what is asked of `hmac` meanwhile."""
    digest, new = hmac.digest, hmac.new

    def noting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            asked.append(arguments)
            return real(*arguments)

        return call

    hmac.digest, hmac.new = noting(digest), noting(new)  # type: ignore[assignment]
    try:
        yield
    finally:
        hmac.digest, hmac.new = digest, new


if __name__ == "__main__":
    main(int(sys.argv[1]))
