"""Products and variations as Drupal's JSON:API and the module's operations route take them, and what they answer.

https://jsonapi.org/ext/atomic/ · https://www.drupal.org/docs/core-modules-and-themes/core-modules/jsonapi-module
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

MEDIA = "application/vnd.api+json"
ATOMIC = f'{MEDIA}; ext="https://jsonapi.org/ext/atomic"'


def new_id(shop: str, kind: str, key: str) -> str:
    """The id that a thing is created with: always the same one, so that a repeat finds it."""
    return str(uuid5(NAMESPACE_URL, f"waybill:{shop}/{kind}/{key}"))


def resource_type(kind: str, bundle: str) -> str:
    """`commerce_product--default`, `commerce_product_variation--default`"""
    return f"commerce_{'product' if kind == 'product' else 'product_variation'}--{bundle}"


def path_of(kind: str, bundle: str, uuid: str = "") -> str:
    """The JSON:API address of a thing, or of all of its kind."""
    return f"/jsonapi/{resource_type(kind, bundle).replace('--', '/')}" + (f"/{uuid}" if uuid else "")


def resource(kind: str, bundle: str, uuid: str, attributes: Mapping[str, Any], relationships: Mapping[str, Any]) -> dict[str, Any]:
    """A resource object."""
    found: dict[str, Any] = {"type": resource_type(kind, bundle), "id": uuid, "attributes": dict(attributes)}
    return found | ({"relationships": dict(relationships)} if relationships else {})


def to_one(kind: str, bundle: str, uuid: str) -> dict[str, Any]:
    """A relationship to one thing."""
    return {"data": {"type": resource_type(kind, bundle), "id": uuid}}


def skus_query(skus: Sequence[str]) -> list[tuple[str, str]]:
    """Query parameters that find variations by SKU: at most 50, as many as a page holds."""
    head = [("filter[s][condition][path]", "sku"), ("filter[s][condition][operator]", "IN")]
    return [*head, *(("filter[s][condition][value][]", sku) for sku in skus), ("page[limit]", "50")]


def known_ids(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """SKU → (uuid of the variation, uuid of its product or "") from a collection of variations."""
    found = {}
    for one in document.get("data", []):
        product = ((one.get("relationships") or {}).get("product_id") or {}).get("data") or {}
        found[str(one["attributes"]["sku"])] = (str(one["id"]), str(product.get("id", "")))
    return found


def answer(result: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any] | None]:
    """(status, id, first error) of one `atomic:results` entry."""
    errors = result.get("errors")
    if errors:
        return "", "", errors[0]
    return str((result.get("meta") or {}).get("status", "")), str((result.get("data") or {}).get("id", "")), None
