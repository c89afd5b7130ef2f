"""The order events that the shop's module sends: docs/contracts/events/order.schema.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from middleware.simulators.drupal.checkout import Basket
from middleware.simulators.drupal.documents import rfc3339
from middleware.simulators.drupal.entities import Entity
from middleware.simulators.drupal.orders import payments_of
from middleware.simulators.drupal.site import Site

Json = dict[str, Any]
_SHOWN_ADDRESS = (
    *("given_name", "family_name", "organization", "address_line1", "address_line2"),
    *("postal_code", "locality", "administrative_area", "country_code"),
)


def order_event(site: Site, kind: str, order: Entity, basket: Basket | None, sequence: int) -> Json:
    """The body of one event: the whole order as it is now. Language and shipping address come from its basket;
    `sequence` numbers what is said of the order."""
    shipping = basket.shipping_address if basket else None
    body = {
        **_head(site, order),
        "language": basket.language if basket else site.languages[0],
        "items": [_item(site, site.entities.get(uuid)) for uuid in order.targets("order_items")],
        "adjustments": _adjustments(order),
        "total_price": order.values["total_price"],
        "billing_profile": _profile(site.entities.get(order.references["billing_profile"]).values["address"]),
        "shipping_profile": _profile(shipping) if shipping else None,
        "payments": [_payment(site, payment) for payment in payments_of(site.entities, order.uuid)],
    }
    head = {"type": kind, "timestamp": rfc3339(site.now()), "sequence": sequence, "correlation_id": order.uuid}
    return {**head, "data": {"order": body}}


def _head(site: Site, order: Entity) -> Json:
    store = site.entities.get(order.references["store_id"])
    return {
        "uuid": order.uuid,
        "internal_id": str(order.id),
        "number": order.values["order_number"],
        "version": order.values["version"],
        "state": order.values["state"],
        "store": {"uuid": store.uuid, "id": str(store.id)},
        "currency": order.values["total_price"]["currency_code"],
        "mail": order.values["mail"],
        "placed": rfc3339(order.values["placed"]),
        "changed": rfc3339(order.values["changed"]),
    }


def _item(site: Site, item: Entity) -> Json:
    variation = site.entities.find(item.references["purchased_entity"] or "")
    return {
        "uuid": item.uuid,
        "sku": variation.values["sku"] if variation else item.values["title"],
        "title": item.values["title"],
        "quantity": item.values["quantity"],
        "unit_price": item.values["unit_price"],
        "total_price": item.values["total_price"],
        "adjustments": _adjustments(item),
    }


def _adjustments(entity: Entity) -> list[Json]:
    return [{name: one[name] for name in ("type", "label", "amount", "included")} for one in entity.values["adjustments"]]


def _payment(site: Site, payment: Entity) -> Json:
    return {
        "uuid": payment.uuid,
        "gateway": site.entities.get(payment.references["payment_gateway"]).id,
        "remote_id": payment.values["remote_id"] or "",
        "state": payment.values["state"],
        "amount": payment.values["amount"],
        "refunded_amount": payment.values["refunded_amount"],
    }


def _profile(address: Mapping[str, str | None]) -> Json:
    return {"address": {name: address.get(name) or "" for name in _SHOWN_ADDRESS}}
