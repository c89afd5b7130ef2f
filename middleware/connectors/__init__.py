"""The registry: a file in this folder *is* the registration. Imported lazily, by the system's name.

A connector file holds `class Connector` with `SYSTEM`, `LANE`, `PROOF`, `OPTIONS`, `CREDENTIALS`, optionally `API_VERSION`,
`REFUSAL_STATUS`, `NATIVE_IDEMPOTENCY`, an `__init__(self, connection, http)` and the methods of the roles that it plays.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from middleware.ports import ROLES


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
