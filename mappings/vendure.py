"""Vendure's words: its variants and collections as plain data for the mapping tables; `mappings.vendure_queries` asks for them.

https://docs.vendure.io/reference/graphql-api/admin/object-types
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate

from mappings.fields import Identifier, Payload

ORDERS: Mapping[str, Callable[[Any], Any]] = {
    "prices": lambda one: one["currencyCode"],
    "stockLevels": lambda one: one["stockLocationId"],
    "translations": lambda one: one["languageCode"],
    "facetValues": lambda one: (one["facet"]["code"], one["code"]),
    "options": lambda one: (one["group"]["code"], one["code"]),
    "collections": lambda one: one["slug"],
}
"""Lists that come in whatever order the database gave them, and what they are sorted by; assets have an order of their own."""


class _Coded(Payload):
    code = fields.String(required=True)


class _FacetValue(_Coded):
    facet = fields.Nested(_Coded, required=True)


class _Option(_Coded):
    group = fields.Nested(_Coded, required=True)


class _Asset(Payload):
    source = fields.String(required=True)


class _Translation(Payload):
    language = fields.String(required=True, data_key="languageCode")
    name = fields.String(required=True)
    description = fields.String(load_default="")


class _Named(Payload):
    facets = fields.List(fields.Nested(_FacetValue), data_key="facetValues", load_default=list)
    featured = fields.Nested(_Asset, data_key="featuredAsset", load_default=None, allow_none=True)
    assets = fields.List(fields.Nested(_Asset), load_default=list)
    translations = fields.List(fields.Nested(_Translation), load_default=list)
    name = fields.String(required=True)
    enabled = fields.Boolean(required=True)


class _Slug(Payload):
    slug = fields.String(required=True)


class _Product(_Named):
    id = Identifier(required=True)
    slug = fields.String(required=True)
    description = fields.String(required=True)
    collections = fields.List(fields.Nested(_Slug), load_default=list)


class _Sku(Payload):
    sku = fields.String(required=True, validate=validate.Length(min=1))


class VariantSchema(_Sku, _Named):
    """A variant with its product."""

    options = fields.List(fields.Nested(_Option), load_default=list)
    product = fields.Nested(_Product, required=True)


class _Price(Payload):
    currency = fields.String(required=True, data_key="currencyCode", validate=validate.Length(equal=3))
    price = fields.Integer(required=True, strict=True)


class _Channel(Payload):
    code = fields.String(required=True)
    tax_included = fields.Boolean(required=True)
    prices = fields.List(fields.Nested(_Price), required=True)


class PricesSchema(_Sku):
    """The prices of a variant in one or more channels, as `middleware.connectors.vendure` puts them together."""

    precision = fields.Integer(required=True, strict=True, validate=validate.Range(0, 12))
    channels = fields.List(fields.Nested(_Channel), required=True)


class _Level(Payload):
    location = Identifier(required=True, data_key="stockLocationId")
    on_hand = fields.Integer(required=True, strict=True, data_key="stockOnHand")
    allocated = fields.Integer(required=True, strict=True, data_key="stockAllocated")


class StockSchema(_Sku):
    """The stock of a variant at every location."""

    tracked = fields.String(required=True, data_key="trackInventory")
    levels = fields.List(fields.Nested(_Level), required=True, data_key="stockLevels")


class _Parent(_Slug):
    id = Identifier(required=True)


class CollectionSchema(Payload):
    """A collection; `parent` of one at the top is Vendure's own root."""

    slug = fields.String(required=True, validate=validate.Length(min=1))
    name = fields.String(required=True)
    description = fields.String(required=True)
    position = fields.Integer(required=True, strict=True)
    private = fields.Boolean(required=True, data_key="isPrivate")
    parent = fields.Nested(_Parent, load_default=None, allow_none=True)
    translations = fields.List(fields.Nested(_Translation), load_default=list)


ROOT = "__root_collection__"
"""https://github.com/vendurehq/vendure/blob/master/packages/common/src/shared-constants.ts"""
TRACKED = {"TRUE": True, "FALSE": False}
"""`GlobalFlag`; INHERIT (and what is unknown) leaves it to the channel."""
_VARIANT, _PRICES, _STOCK, _COLLECTION = VariantSchema(), PricesSchema(), StockSchema(), CollectionSchema()


def product(raw: Any) -> dict[str, Any]:
    """A variant; facets and options are its attributes (an option is one code, a facet a list of them), its own before those of
    its product. Raises marshmallow's ValidationError."""
    found = _VARIANT.load(raw)
    parent = found["product"]
    return {
        "sku": found["sku"],
        "product": parent["id"],
        "slug": parent["slug"],
        "name": found["name"],
        "product_name": parent["name"],
        "description": parent["description"],
        "active": found["enabled"] and parent["enabled"],
        "attributes": _facets([*parent["facets"], *found["facets"]]) | {one["group"]["code"]: one["code"] for one in found["options"]},
        "categories": [one["slug"] for one in parent["collections"]],
        "translations": _translations(found["translations"], parent["translations"]),
        "media": _media(found, parent),
    }


def prices(raw: Any) -> dict[str, Any]:
    """The prices of a variant: `list` is the channel's code, "" for the connection's own channel. Raises ValidationError."""
    found = _PRICES.load(raw)
    return {
        "sku": found["sku"],
        "prices": [
            {
                "list": channel["code"],
                "group": "",
                "currency": one["currency"],
                "amount": Decimal(one["price"]).scaleb(-found["precision"]),
                "min_quantity": Decimal(1),
                "valid_from": None,
                "valid_to": None,
                "tax_included": channel["tax_included"],
            }
            for channel in found["channels"]
            for one in channel["prices"]
        ],
    }


def stock(raw: Any) -> dict[str, Any]:
    """What is on hand and what no order has taken, in all and by location (its id: names are the merchant's to change).
    `tracked` is None when the channel decides. Raises ValidationError."""
    found = _STOCK.load(raw)
    locations = {one["location"]: {"on_hand": one["on_hand"], "available": one["on_hand"] - one["allocated"]} for one in found["levels"]}
    return {
        "sku": found["sku"],
        "on_hand": sum(one["on_hand"] for one in locations.values()),
        "available": sum(one["available"] for one in locations.values()),
        "locations": locations,
        "tracked": TRACKED.get(found["tracked"]),
    }


def category(raw: Any) -> dict[str, Any]:
    """A collection: `parent` is the code of the one above, "" at the top. Raises ValidationError."""
    found = _COLLECTION.load(raw)
    above = found["parent"]["slug"] if found["parent"] else ""
    names = ("name", "description", "position", "private")
    return {
        "code": found["slug"],
        "parent": "" if above == ROOT else above,
        **{name: found[name] for name in names},
        "translations": {one["language"]: {"name": one["name"], "description": one["description"]} for one in found["translations"]},
    }


DECODERS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "products": product,
    "prices": prices,
    "stock": stock,
    "categories": category,
}


def _facets(values: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in values:
        codes = found.setdefault(one["facet"]["code"], [])
        codes.extend([one["code"]] if one["code"] not in codes else [])
    return found


def _translations(own: Iterable[Mapping[str, Any]], above: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for one in above:
        found[one["language"]] = {"name": one["name"], "product_name": one["name"], "description": one["description"]}
    for one in own:
        found.setdefault(one["language"], {})["name"] = one["name"]
    return found


def _media(*entries: Mapping[str, Any]) -> list[str]:
    """Addresses of the files, the featured one of the variant first, each once."""
    assets = [asset for entry in entries for asset in (entry["featured"], *entry["assets"]) if asset]
    return list(dict.fromkeys(asset["source"] for asset in assets))


def require(found: Any, *names: str) -> Any:
    """What lies at the names, one below the other; raises ValidationError with the path."""
    value = found
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            raise ValidationError({".".join(names): ["missing"]})
        value = value[name]
    return value
