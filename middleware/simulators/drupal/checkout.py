"""What a customer does in the simulated shop: a basket becomes an order with items, profile and payments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from mappings.canonical import ISO_EXPONENTS
from middleware.simulators.drupal.entities import Entity
from middleware.simulators.drupal.orders import WORKFLOWS, price, total_up
from middleware.simulators.drupal.seed import config_uuid, user_uuid
from middleware.simulators.drupal.site import ORDER, VARIATION, Site

_ADDRESS_FIELDS = (
    *("langcode", "country_code", "administrative_area", "locality", "dependent_locality", "postal_code", "sorting_code"),
    *("address_line1", "address_line2", "organization", "given_name", "additional_name", "family_name"),
)
ADA = {
    "given_name": "Ada",
    "family_name": "Byron",
    "address_line1": "12 Elm St",
    "postal_code": "62701",
    "locality": "Springfield",
    "administrative_area": "IL",
    "country_code": "US",
}


@dataclass(frozen=True, slots=True)
class Charge:
    """An adjustment of an order or a line: `amount` is a decimal text, `included` ones are already inside the prices."""

    kind: str
    label: str
    amount: str
    included: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a basket; price and title come from the variation with this sku unless they are given."""

    sku: str
    quantity: str = "1"
    unit_price: str | None = None
    title: str | None = None
    adjustments: tuple[Charge, ...] = ()


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment to attach; `amount` is the order's total unless it is given."""

    gateway: str = "stripe"
    remote_id: str | None = None
    state: str = "authorization"
    amount: str | None = None
    mode: str = "test"


@dataclass(frozen=True, slots=True)
class Basket:
    """Everything that a checkout collects. Addresses have Drupal's field names."""

    lines: Sequence[Line]
    currency: str
    mail: str
    address: Mapping[str, str]
    adjustments: Sequence[Charge] = ()
    payments: Sequence[Paid] = ()
    shipping_address: Mapping[str, str] | None = None
    language: str = "en"
    placed: bool = True
    identity: Mapping[str, Any] = field(default_factory=dict)


def check_out(site: Site, basket: Basket, *, store: str) -> Entity:
    """Save the order as a draft with its payments and, unless it stays one, place it; returns it as stored."""
    customer = {"uid": user_uuid(site, 0)}
    profile = site.draft("profile--customer", {"address": address(basket.address)}, {**customer, "revision_user": customer["uid"]})
    site.save(profile)
    order = site.draft(
        ORDER,
        {
            "mail": basket.mail,
            "adjustments": [_adjustment(charge, basket.currency) for charge in basket.adjustments],
            "data": {"paid_event_dispatched": False},
        },
        {**customer, "store_id": store, "billing_profile": profile.uuid},
        **basket.identity,
    )
    order.references["order_items"] = [_item(site, order, line, basket.currency) for line in basket.lines]
    total_up(site.entities, order)
    site.save(order)
    for paid in basket.payments:
        _pay(site, order, paid)
    if basket.placed:
        placing = site.entities.get(order.uuid).copy()
        placing.values["state"] = WORKFLOWS[site.workflow]["place"][1]
        site.save(placing)
    return site.entities.get(order.uuid)


def sold(site: Site, sku: str) -> Entity | None:
    """The variation with this sku."""
    return next((one for one in site.entities.of(VARIATION) if one.values["sku"] == sku), None)


def address(given: Mapping[str, str]) -> dict[str, str | None]:
    """A whole address as Drupal keeps it: what was not given is null."""
    return {name: given.get(name) for name in _ADDRESS_FIELDS}


def _item(site: Site, order: Entity, line: Line, currency: str) -> str:
    variation = sold(site, line.sku)
    if variation is None:
        raise LookupError(f"the simulated shop sells no {line.sku!r}")
    unit = Decimal(line.unit_price or variation.values["price"]["number"])
    step = Decimal(1).scaleb(-ISO_EXPONENTS.get(currency, 2))
    total = (unit * Decimal(line.quantity)).quantize(step, ROUND_HALF_UP)
    item = site.draft(
        "commerce_order_item--default",
        {
            "title": line.title or variation.values["title"],
            "quantity": f"{Decimal(line.quantity):.2f}",
            "unit_price": price(unit, currency),
            "total_price": price(total, currency),
            "adjustments": [_adjustment(charge, currency) for charge in line.adjustments],
        },
        {"order_id": order.uuid, "purchased_entity": variation.uuid},
    )
    site.save(item)
    return item.uuid


def _pay(site: Site, order: Entity, paid: Paid) -> None:
    total = order.values["total_price"]
    amount = {"number": paid.amount or total["number"], "currency_code": total["currency_code"]}
    manual = paid.gateway == "manual"
    payment = site.draft(
        f"commerce_payment--payment_{'manual' if manual else 'default'}",
        {
            "payment_gateway_mode": "n/a" if manual else paid.mode,
            "remote_id": paid.remote_id,
            "amount": amount,
            "state": paid.state,
        },
        {"order_id": order.uuid, "payment_gateway": config_uuid(site, "commerce_payment_gateway", paid.gateway)},
    )
    site.save(payment)


def _adjustment(charge: Charge, currency: str) -> dict[str, Any]:
    return {
        "type": charge.kind,
        "label": charge.label,
        "amount": {"number": charge.amount, "currency_code": currency},
        "percentage": None,
        "source_id": None,
        "included": charge.included,
        "locked": True,
    }
