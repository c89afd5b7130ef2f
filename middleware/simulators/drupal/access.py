"""Who asks and what they may: basic authentication with Drupal's flood control, and permissions."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from middleware.simulators.drupal.entities import Entity
from middleware.simulators.drupal.resource_types import ResourceType

_PER_USER, _USER_WINDOW = 5, 6 * 3600
_PER_IP, _IP_WINDOW = 50, 3600


@dataclass(frozen=True, slots=True)
class User:
    """An account; `uuid` and `id` as JSON:API shows them."""

    name: str
    password: str
    uuid: str
    id: int
    permissions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks. Wrong credentials make an anonymous viewer that `tried`: it is told 403 where others are told 401."""

    user: User | None = None
    tried: bool = False

    def may(self, permissions: Iterable[str]) -> bool:
        return self.user is not None and not self.user.permissions.isdisjoint(permissions)


class Authentication:
    """Checks passwords; after five failures per user and address (6 h), or fifty per address (1 h), even right ones fail."""

    def __init__(self, users: Iterable[User], clock: Callable[[], float]) -> None:
        self._users = {user.name: user for user in users}
        self._clock = clock
        self._failures: list[tuple[float, str, str]] = []

    def clear_flood(self) -> None:
        self._failures.clear()

    def viewer(self, header: str | None, address: str) -> Viewer:
        """Who sent this `Authorization` header from this address."""
        name, password = _basic(header)
        if not name:
            return Viewer()
        if self._flooded(name, address):
            return Viewer(tried=True)
        user = self._users.get(name)
        if user is None or user.password != password:
            self._failures.append((self._clock(), name, address))
            return Viewer(tried=True)
        self._failures = [failure for failure in self._failures if failure[1:] != (name, address)]
        return Viewer(user)

    def _flooded(self, name: str, address: str) -> bool:
        now = self._clock()
        mine = [at for at, who, where in self._failures if (who, where) == (name, address) and at > now - _USER_WINDOW]
        here = [at for at, _, where in self._failures if where == address and at > now - _IP_WINDOW]
        return len(mine) >= _PER_USER or len(here) >= _PER_IP


def refusal(viewer: Viewer, operation: str, about: ResourceType, entity: Entity | None = None) -> str | None:
    """Why the viewer may not do this, in Drupal's words; None when allowed."""
    if operation in about.forbidden:
        return ""
    permissions = about.permissions.get(operation, ())
    if permissions and not viewer.may(permissions):
        return f"The following permissions are required: {' OR '.join(repr(name) for name in permissions)}."
    if entity and about.entity_type == "commerce_product_variation" and not entity.references["product_id"]:
        return "The product variation is malformed."
    return None


def _basic(header: str | None) -> tuple[str, str]:
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password
