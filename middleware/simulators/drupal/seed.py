"""What a freshly installed shop holds: accounts, one store, its currencies, gateways and bundles."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from middleware.simulators.drupal.access import User
from middleware.simulators.drupal.site import STORE, Site

SERVICE_PERMISSIONS = frozenset(
    {
        "administer commerce_payment",
        "administer commerce_product",
        "administer profile",
        "update commerce_order",
        "view commerce_order",
    }
)
_BUNDLES = {
    "commerce_order_item_type": "default",
    "commerce_order_type": "default",
    "commerce_product_type": "default",
    "commerce_product_variation_type": "default",
    "commerce_store_type": "online",
    "profile_type": "customer",
}
_GATEWAYS = {"example": "Example", "manual": "Manual", "stripe": "Stripe"}
_STORE_ADDRESS = {
    "langcode": None,
    "country_code": "US",
    "administrative_area": "IL",
    "locality": "Springfield",
    "dependent_locality": None,
    "postal_code": "62701",
    "sorting_code": None,
    "address_line1": "1 Main St",
    "address_line2": None,
}


@dataclass(frozen=True, slots=True)
class Shop:
    """How the seeded shop is called and what it sells in; the first currency is the store's own. `gateways` are ids."""

    site_name: str = "Simulated Shop"
    store_name: str = "Simulated Store"
    store_mail: str = "shop@example.test"
    currencies: tuple[str, ...] = ("USD", "EUR")
    gateways: tuple[str, ...] = ("example", "manual", "stripe")
    roles: tuple[str, ...] = ("authenticated", "wholesale")


def account(name: str, password: str, number: int, permissions: Iterable[str] = ()) -> User:
    """A user with a fresh UUID."""
    return User(name, password, str(uuid.uuid4()), number, frozenset(permissions))


def install(site: Site, shop: Shop, users: Iterable[User]) -> str:
    """Fill an empty site; returns the UUID of its store."""
    for user in (account("Anonymous", "", 0), account("admin", "", 1), *users):
        site.save(site.draft("user--user", {"display_name": user.name}, {}, uuid=user.uuid, id=user.id))
    for entity_type, bundle in _BUNDLES.items():
        _config(site, entity_type, bundle, bundle.title())
    for currency in shop.currencies:
        _config(site, "commerce_currency", currency, currency)
    for gateway in shop.gateways:
        _config(site, "commerce_payment_gateway", gateway, _GATEWAYS.get(gateway, gateway))
    for role in shop.roles if "user_role--user_role" in site.types else ():
        _config(site, "user_role", role, role.title())
    site.currencies = frozenset(shop.currencies)
    return _store(site, shop)


def user_uuid(site: Site, number: int) -> str:
    """The UUID of an account by its number; 0 is the anonymous one."""
    return next(entity.uuid for entity in site.entities.of("user--user") if entity.id == number)


def config_uuid(site: Site, entity_type: str, name: str) -> str:
    """The UUID of a configuration entity by its machine name; raises LookupError."""
    for entity in site.entities.of(f"{entity_type}--{entity_type}"):
        if entity.id == name:
            return entity.uuid
    raise LookupError(f"the simulated shop has no {entity_type} {name!r}")


def _config(site: Site, entity_type: str, name: str, label: str) -> None:
    site.save(site.draft(f"{entity_type}--{entity_type}", {"label": label}, {}, id=name))


def _store(site: Site, shop: Shop) -> str:
    values: dict[str, Any] = {
        "name": shop.store_name,
        "mail": shop.store_mail,
        "timezone": "UTC",
        "address": dict(_STORE_ADDRESS),
        "billing_countries": ["US", "DE"],
    }
    currency = config_uuid(site, "commerce_currency", shop.currencies[0])
    store = site.draft(STORE, values, {"uid": user_uuid(site, 1), "default_currency": currency})
    site.save(store)
    return store.uuid
