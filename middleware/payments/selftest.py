"""Does the door still hold? A good signature must pass; tampered, stale, wrongly signed and re-serialised requests must fail.

A connector that can sign what it verifies has `sample_request`; where only the provider can sign (a private key), it has not.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from middleware.connectors import connector_class
from middleware.connectors._http import Http
from middleware.errors import Refused, Stale
from middleware.observing import log
from middleware.ports import Inbound
from middleware.secret import Secret
from middleware.settings import Connection

if TYPE_CHECKING:
    from middleware.runtime import Runtime

_AGE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Checked:
    """One check of one connection: what was sent, whether the door did right, and what it said."""

    connection: str
    what: str
    holds: bool
    said: str


def check(connection: Connection, now: datetime) -> list[Checked]:
    """Every check of a connection that receives webhooks; empty when its requests cannot be made here."""
    cls = connector_class(connection.system)
    if not hasattr(cls, "sample_request") or not connection.secrets:
        return []
    connector = cls(connection, Http(connection))  # it asks nobody: an unused client holds nothing open
    good = connector.sample_request(now)
    return [_checked(connector, what, request) for what, request in _requests(connector, connection, good, now)]


def check_all(runtime: Runtime) -> list[Checked]:
    """The checks of every connection; what does not hold is an alarm."""
    found = [one for connection in runtime.settings.connections.values() for one in check(connection, runtime.now())]
    for one in found:
        if not one.holds:
            log.error("door.broken", connection=one.connection, sent=one.what, said=one.said)
    return found


def watch(runtime: Runtime) -> list[str]:
    """The connections that refused everything in the last hour: a rotated secret, a wrong address, or somebody knocking."""
    since = runtime.now() - timedelta(hours=1)
    with runtime.engine.connect() as connection:
        refusing = list(connection.execute(_REFUSING, {"since": since}).scalars())
        closed = [name for name in refusing if connection.execute(_VERIFIED, {"name": name, "since": since}).first() is None]
    for name in closed:
        log.error("door.refuses_everything", connection=name, since=since.isoformat())
    return closed


def _requests(connector: Any, connection: Connection, good: Inbound, now: datetime) -> Iterator[tuple[str, Inbound]]:
    yield "good", good
    yield "tampered", replace(good, body=_tampered(good.body))
    foreign = replace(connection, secrets=(_other(connection.secrets[0]),))
    yield "signed with another secret", type(connector)(foreign, Http(foreign)).sample_request(now)
    if "tolerance" in connector.OPTIONS or getattr(connector, "SIGNS_TIME", False):
        yield "stale", replace(connector.sample_request(now - _AGE), received_at=now)
    again = None if getattr(connector, "SIGNS_FIELDS", False) else _again(good.body)
    if again is not None:
        yield "re-serialised", replace(good, body=again)


def _checked(connector: Any, what: str, request: Inbound) -> Checked:
    name = connector.connection.name
    try:
        connector.read(request)
    except Refused as error:
        right = what != "good" and (what != "stale" or isinstance(error, Stale) or error.code == "stale")
        return Checked(name, what, right, f"refused: {error}")
    return Checked(name, what, what == "good", "verified")


def _tampered(body: bytes) -> bytes:
    """The body with one byte changed in its middle."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


def _again(body: bytes) -> bytes | None:
    """The same JSON in other bytes, as a framework that parses and prints it would sign it; None for what is no JSON."""
    try:
        found = json.dumps(json.loads(body), indent=1).encode()
    except ValueError:
        return None
    return found if found != body else json.dumps(json.loads(body)).encode() + b" "


def _other(secret: Secret) -> Secret:
    """A secret of the same form."""
    text_form = secret.reveal()
    if text_form.startswith("whsec_"):
        return Secret("self-test", "whsec_" + "c2VsZi10ZXN0" * 4)
    kept = [secrets.choice("0123456789abcdef") if one in "0123456789abcdefABCDEF" else one for one in text_form]
    return Secret("self-test", "".join(kept) if "".join(kept) != text_form else text_form[::-1])


_REFUSING = text(
    "SELECT DISTINCT connection FROM refusals WHERE last_at >= :since AND connection <> '?' AND cause IN ('signature', 'stale')"
)
_VERIFIED = text(
    "SELECT 1 FROM (SELECT kept_at FROM events WHERE connection = :name ORDER BY id DESC LIMIT 1) AS newest WHERE kept_at >= :since"
)
