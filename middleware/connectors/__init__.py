"""The registry: a file in this folder *is* the registration. Imported lazily, by the system's name.

A connector file holds `class Connector` with `SYSTEM`, `LANE`, `PROOF`, `OPTIONS`, `CREDENTIALS`, optionally `API_VERSION`,
`REFUSAL_STATUS`, `ANSWER` (the text that a sender wants to read once its delivery is kept), `SIGNS_TIME` (its webhooks sign when they
were sent), `SIGNS_FIELDS` (its signatures cover fields, so that other bytes may say the same), `HANDSHAKE` (a query parameter that a
subscription wants echoed), `NATIVE_IDEMPOTENCY`, `CREDENTIAL_OF` (option → the credential that it needs), `HAS_ADDRESS` (False: the
options name the place, there is no `base_url`), an `__init__(self, connection, http)` and the methods of the roles that it plays.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from typing import Any

import limits

from middleware.connectors._http import Http
from middleware.ports import ROLES
from middleware.settings import Connection, Store

OUTGOING = ("create_order", "find_order", "write_order_status", "add_shipments", "write_payment", "changed_orders")
"""Roles for which we call the system."""
ASKED = ("fetch_payment", "capture_payment", "void_payment", "refund_payment", "payment_events")
"""Roles for which we call a provider that may also only send: its credentials say that it is called."""


def systems() -> list[str]:
    """The names of every system that has a connector, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def connector_class(system: str) -> Any:
    """The connector class of a system; raises KeyError when there is none."""
    if system not in systems():
        raise KeyError(system)
    return importlib.import_module(f"{__name__}.{system}").Connector


def roles_of(connector: Any) -> list[str]:
    """The role methods that a connector (class or object) has, in the order of `ports.ROLES`."""
    return [name for name in ROLES if callable(getattr(connector, name, None))]


def mistakes(connections: Mapping[str, Connection], stores: Mapping[str, Store] | None = None) -> list[str]:
    """What is wrong with configured connections (unknown systems, options and credentials, secrets of the wrong form) and with
    stores that give a connection a role which its system does not play; one line each."""
    found = []
    for connection in connections.values():
        where = f"connections.{connection.name}"
        if connection.system not in systems():
            found.append(f"{where}.system: no system is called {connection.system!r}; expected one of: {', '.join(systems())}")
            continue
        found.extend(f"{where}.{line}" for line in _mistakes_of(connection, connector_class(connection.system)))
    for store in (stores or {}).values():
        found.extend(f"stores.{store.name}.{line}" for line in _mistakes_of_store(store, connections))
    return found


def _mistakes_of(connection: Connection, cls: Any) -> list[str]:
    found = [*_unknown(connection, cls), *_missing(connection, cls), *_wrong_limits(connection)]
    if not found:
        try:
            cls(connection, Http(connection))
        except ValueError as error:
            found.append(_placed(str(error), cls))
    return found


def _placed(mistake: str, cls: Any) -> str:
    """A constructor's complaint under the key that it is about: an option names itself, the rest is about secrets."""
    key = re.split(r"[:. ]", mistake, maxsplit=1)[0]
    if key in ("options", "time_zone"):
        return mistake
    return f"options.{mistake}" if key in cls.OPTIONS else f"secrets: {mistake}"


def _unknown(connection: Connection, cls: Any) -> Iterator[str]:
    for name, value in connection.options.items():
        if name not in cls.OPTIONS:
            yield f"options.{name}: unknown; known: {', '.join(cls.OPTIONS) or 'none'}"
        elif not isinstance(value, cls.OPTIONS[name][0]):
            yield f"options.{name}: expected {cls.OPTIONS[name][0].__name__}, found {type(value).__name__}"
    for name in connection.credentials:
        if name not in cls.CREDENTIALS:
            yield f"credentials.{name}: unknown; known: {', '.join(cls.CREDENTIALS) or 'none'}"


def _missing(connection: Connection, cls: Any) -> Iterator[str]:
    if hasattr(cls, "read") and not hasattr(cls, "list_records") and not connection.secrets:
        yield "secrets: missing; without one every delivery is refused"
    for name in _needed(connection, cls):
        if name not in connection.credentials:
            yield f"credentials.{name}: missing; expected a reference, env:NAME or file:PATH ({cls.CREDENTIALS[name]})"
    remote = any(hasattr(cls, role) for role in OUTGOING) or (hasattr(cls, "list_records") and getattr(cls, "HAS_ADDRESS", cls.CREDENTIALS))
    asked = bool(connection.credentials) and any(hasattr(cls, role) for role in ASKED)
    if (remote or asked) and not connection.base_url.startswith(("http://", "https://")):
        yield "base_url: missing; expected the system's http(s) address"


def _needed(connection: Connection, cls: Any) -> list[str]:
    """Every credential of a system, or those of the options that are set where each option is another way in."""
    ways = getattr(cls, "CREDENTIAL_OF", None)
    if ways is not None:
        return [credential for option, credential in ways.items() if connection.options.get(option)]
    return list(cls.CREDENTIALS) if hasattr(cls, "create_order") else []


def _wrong_limits(connection: Connection) -> Iterator[str]:
    if connection.rate:
        try:
            limits.parse(connection.rate)
        except ValueError:
            yield f"rate: expected something like 10/second, found {connection.rate!r}"
    if not 0 < connection.timeout <= connection.deadline:
        yield f"timeout: expected more than 0 and at most the deadline of {connection.deadline:g} s, found {connection.timeout:g}"


def _mistakes_of_store(store: Store, connections: Mapping[str, Connection]) -> Iterator[str]:
    for key, role, names in (("shop", "read", (store.shop,)), ("erp", "create_order", (store.erp,)), ("payments", "read", store.payments)):
        for name in names:
            system = connections[name].system if name in connections else ""
            if system in systems() and not hasattr(connector_class(system), role):
                yield f"{key}: {name} is a {system}, which cannot {role.replace('_', ' ')}"
