"""Things of a catalog as Drupal's JSON:API and the module's operations route take them, and what they answer.

https://jsonapi.org/ext/atomic/ · https://www.drupal.org/docs/core-modules-and-themes/core-modules/jsonapi-module
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from mappings.wanted import Of

MEDIA = "application/vnd.api+json"
ATOMIC = f'{MEDIA}; ext="https://jsonapi.org/ext/atomic"'
ENTITY_TYPES = {
    Of.TERM: "taxonomy_term",
    Of.ATTRIBUTE_VALUE: "commerce_product_attribute_value",
    Of.MEDIA: "media",
    Of.PRICE_LIST: "commerce_pricelist",
    Of.PRODUCT: "commerce_product",
    Of.VARIATION: "commerce_product_variation",
    Of.PROMOTION: "commerce_promotion",
    Of.PRICE_LIST_ENTRY: "commerce_pricelist_item",
}
"""Drupal's entity types; the last three come from commerce_product, commerce_promotion and commerce_pricelist."""
SOLD_IN_STORES = (Of.PRODUCT, Of.PRICE_LIST, Of.PROMOTION)
"""What must name the stores that it is for."""
LINKED = (Of.TERM, Of.ATTRIBUTE_VALUE, Of.MEDIA, Of.PRODUCT, Of.VARIATION)
"""What the module gives a field for ids of other systems."""
PAGE = 50
"""As many as Drupal puts on a page."""
VALID_FOR_A_WHILE = (Of.PRICE_LIST, Of.PROMOTION)
VALIDITY = ("start_date", "end_date")
"""When these hold, by the clock on the wall of its store."""


def new_id(shop: str, kind: str, key: str) -> str:
    """The id that a thing is created with: always the same one, so that a repeat finds it."""
    return str(uuid5(NAMESPACE_URL, f"waybill:{shop}/{kind}/{key}"))


def resource_type(kind: str, bundle: str) -> str:
    """`commerce_product--default`, `taxonomy_term--category`; what has no bundles is called twice the same."""
    entity_type = ENTITY_TYPES[Of(kind)]
    return f"{entity_type}--{entity_type if kind == Of.PROMOTION else bundle}"


def path_of(kind: str, bundle: str, uuid: str = "") -> str:
    """The JSON:API address of a thing, or of all of its kind."""
    return f"/jsonapi/{resource_type(kind, bundle).replace('--', '/')}" + (f"/{uuid}" if uuid else "")


def identifier(type_name: str, uuid: str, **meta: Any) -> dict[str, Any]:
    """A resource identifier."""
    return {"type": type_name, "id": uuid, **({"meta": meta} if meta else {})}


def ids_query(field: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """Query parameters that find things by a field: at most as many values as a page holds."""
    head = [("filter[s][condition][path]", field), ("filter[s][condition][operator]", "IN")]
    return [*head, *(("filter[s][condition][value][]", value) for value in values), ("page[limit]", str(PAGE))]


def on_the_wall(name: str, value: str, zone: str) -> str:
    """A day or an instant as Commerce keeps a start or an end: the store's wall clock, without a zone, which JSON:API takes as if it
    were UTC. The end is the first moment after, so a last day ends with it."""
    if len(value) == len("2026-12-31"):
        day = date.fromisoformat(value) + timedelta(days=name == "end_date")
        return datetime.combine(day, time(), UTC).isoformat()
    return datetime.fromisoformat(value).astimezone(ZoneInfo(zone)).replace(tzinfo=UTC, microsecond=0).isoformat()


def configured_id(document: Mapping[str, Any]) -> str:
    """The uuid of the one configuration entity that a filtered collection holds, "" when it has none. What an account may refer to
    but not read is only named, in a link of what was left out."""
    found = [str(one["id"]) for one in document["data"]]
    links = ((document.get("meta") or {}).get("omitted") or {}).get("links") or {}
    found += [str(link["href"]).rpartition("/")[2] for name, link in links.items() if name != "help"]
    return found[0] if len(found) == 1 else ""


def known_ids(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """SKU → (uuid of the variation, uuid of its product or "") from a collection of variations."""
    found = {}
    for one in document.get("data", []):
        product = ((one.get("relationships") or {}).get("product_id") or {}).get("data") or {}
        found[str(one["attributes"]["sku"])] = (str(one["id"]), str(product.get("id", "")))
    return found


def names_of(resource: Mapping[str, Any]) -> set[str]:
    """The fields that a resource shows."""
    return {*(resource.get("attributes") or {}), *(resource.get("relationships") or {})}


def shown_fields(resource: Mapping[str, Any]) -> dict[str, Any]:
    """A resource's fields: attributes as they are, of a relationship the ids that it names, in order."""
    found = dict(resource.get("attributes") or {})
    for name, relationship in (resource.get("relationships") or {}).items():
        data = relationship.get("data")
        found[name] = [str(one["id"]) for one in (data if isinstance(data, list) else [data] if data else [])]
    return found


def answer(result: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any] | None]:
    """(status, id, first error) of one `atomic:results` entry."""
    errors = result.get("errors")
    if errors:
        return "", "", errors[0]
    return str((result.get("meta") or {}).get("status", "")), str((result.get("data") or {}).get("id", "")), None
