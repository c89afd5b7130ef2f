"""Medusa's words: the lists of its admin API, and its variants, price lists and categories as plain data for the mapping tables.

https://docs.medusajs.com/api/admin
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marshmallow import fields, validate

from mappings.fields import Exact, Payload
from mappings.medusa_prices import prices


@dataclass(frozen=True, slots=True)
class Feed:
    """One list of the API: its path, the member of the answer that holds it, and the fields that are read. `has_changes` says
    that its `updated_at` tells a change of a record; without it the feed is always read whole."""

    path: str
    member: str
    fields: str
    has_changes: bool = False


_VARIANTS = ("/admin/product-variants", "variants")
_LEVELS = "inventory_items.inventory.location_levels"

FEEDS = {
    "products": Feed(
        *_VARIANTS,
        "id,sku,title,barcode,ean,images.url,thumbnail,options.value,options.option.title,product.id,product.handle,product.title"
        ",product.subtitle,product.description,product.status,product.thumbnail,product.images.url,product.images.rank"
        ",product.categories.handle,product.collection.handle,product.tags.value,product.type.value",
        has_changes=True,
    ),
    "prices": Feed(
        *_VARIANTS,
        "id,sku,prices.amount,prices.currency_code,prices.min_quantity,prices.max_quantity"
        ",prices.price_rules.attribute,prices.price_rules.value",
    ),
    "stock": Feed(
        *_VARIANTS,
        "id,sku,manage_inventory,allow_backorder,inventory_items.required_quantity"
        f",inventory_items.inventory.id,{_LEVELS}.location_id,{_LEVELS}.stocked_quantity,{_LEVELS}.reserved_quantity",
    ),
    "categories": Feed(
        "/admin/product-categories",
        "product_categories",
        "id,handle,name,description,rank,is_active,is_internal,parent_category.handle",
    ),
    "price_lists": Feed("/admin/price-lists", "price_lists", "id,title,description,type,status,starts_at,ends_at"),
}
"""Every kind of records. Neither a price list nor a stock level that changes touches its variant, so prices and stock have no
delta; nor does a category that a product enters or leaves touch the product: a full pull brings it."""

CHANGED_PRODUCTS = Feed("/admin/products", "products", "id,variants.id", has_changes=True)
"""The list that tells of what is the same for all variants of a product: its texts do not touch the variants' `updated_at`."""
RULED_LISTS = Feed(
    "/admin/price-lists", "price_lists", "id,status,starts_at,ends_at,rules_count,price_list_rules.attribute,price_list_rules.value"
)
PREFERENCES = Feed("/admin/price-preferences", "price_preferences", "id,attribute,value,is_tax_inclusive")

ORDERS: Mapping[str, Callable[[Any], Any]] = {
    "options": lambda one: (one["option"]["title"], one["value"]),
    "categories": lambda one: one["handle"],
    "tags": lambda one: one["value"],
    "images": lambda one: (one.get("rank", 0), one["url"]),
    "inventory_items": lambda one: one["inventory_item_id"],
    "location_levels": lambda one: one["location_id"],
}
"""Lists that come in whatever order the database gave them, and what they are sorted by."""


def prices_of(price_list: str) -> Feed:
    """The prices of a price list, since Medusa 2.12.3; a variant's own list of prices leaves these out."""
    selected = "id,amount,currency_code,min_quantity,max_quantity,rules_count,price_set.variant.id,price_rules.attribute,price_rules.value"
    return Feed(f"/admin/price-lists/{price_list}/prices", "prices", selected)


def changed_from(since: datetime) -> str:
    """The `$gte` of a filter; it knows milliseconds."""
    return since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Handle(Payload):
    handle = fields.String(required=True)


class _Value(Payload):
    value = fields.String(required=True)


class _Image(Payload):
    url = fields.String(required=True)
    rank = fields.Integer(load_default=0)


class _Title(Payload):
    title = fields.String(required=True)


class _Option(_Value):
    option = fields.Nested(_Title, required=True)


class _Pictures(Payload):
    title = fields.String(required=True)
    thumbnail = fields.String(load_default=None, allow_none=True)
    images = fields.List(fields.Nested(_Image), load_default=list)


class _Product(_Pictures):
    id = fields.String(required=True, validate=validate.Length(min=1))
    handle = fields.String(required=True)
    subtitle = fields.String(load_default=None, allow_none=True)
    description = fields.String(load_default=None, allow_none=True)
    status = fields.String(required=True)
    categories = fields.List(fields.Nested(_Handle), load_default=list)
    collection = fields.Nested(_Handle, load_default=None, allow_none=True)
    tags = fields.List(fields.Nested(_Value), load_default=list)
    type = fields.Nested(_Value, load_default=None, allow_none=True)


class _Sku(Payload):
    sku = fields.String(required=True, validate=validate.Length(min=1))


class VariantSchema(_Sku, _Pictures):
    """A variant with its product."""

    barcode = fields.String(load_default=None, allow_none=True)
    ean = fields.String(load_default=None, allow_none=True)
    options = fields.List(fields.Nested(_Option), load_default=list)
    product = fields.Nested(_Product, required=True)


class _Level(Payload):
    location = fields.String(required=True, data_key="location_id")
    on_hand = Exact(required=True, data_key="stocked_quantity")
    reserved = Exact(required=True, data_key="reserved_quantity")


class _Inventory(Payload):
    levels = fields.List(fields.Nested(_Level), required=True, data_key="location_levels")


class _Part(Payload):
    required = Exact(required=True, data_key="required_quantity", validate=validate.Range(min=Decimal(1)))
    inventory = fields.Nested(_Inventory, required=True)


class StockSchema(_Sku):
    """The inventory items of a variant: more than one when it is a set."""

    tracked = fields.Boolean(required=True, data_key="manage_inventory")
    backorder = fields.Boolean(required=True, data_key="allow_backorder")
    parts = fields.List(fields.Nested(_Part), required=True, data_key="inventory_items")


class CategorySchema(_Handle):
    """A category; `rank` is its place among its siblings."""

    name = fields.String(required=True)
    description = fields.String(load_default="", allow_none=True)
    rank = fields.Integer(required=True, strict=True)
    active = fields.Boolean(required=True, data_key="is_active")
    internal = fields.Boolean(required=True, data_key="is_internal")
    parent = fields.Nested(_Handle, load_default=None, allow_none=True, data_key="parent_category")


class PriceListSchema(_Title):
    """A price list without its prices."""

    id = fields.String(required=True, validate=validate.Length(min=1))
    description = fields.String(load_default="", allow_none=True)
    type = fields.String(required=True)
    status = fields.String(required=True)
    valid_from = fields.String(load_default=None, allow_none=True, data_key="starts_at")
    valid_to = fields.String(load_default=None, allow_none=True, data_key="ends_at")


_VARIANT, _STOCK, _CATEGORY, _PRICE_LIST = VariantSchema(), StockSchema(), CategorySchema(), PriceListSchema()


def product(raw: Any) -> dict[str, Any]:
    """A variant; its options are its attributes. Raises marshmallow's ValidationError."""
    found = _VARIANT.load(raw)
    parent = found["product"]
    return {
        "sku": found["sku"],
        "product": parent["id"],
        "handle": parent["handle"],
        "name": found["title"],
        "product_name": parent["title"],
        "subtitle": parent["subtitle"],
        "description": parent["description"],
        "status": parent["status"],
        "active": parent["status"] == "published",
        "attributes": {one["option"]["title"]: one["value"] for one in found["options"]},
        "barcode": found["barcode"],
        "ean": found["ean"],
        "collection": parent["collection"]["handle"] if parent["collection"] else None,
        "type": parent["type"]["value"] if parent["type"] else None,
        "tags": [one["value"] for one in parent["tags"]],
        "categories": [one["handle"] for one in parent["categories"]],
        "media": _media(found, parent),
    }


def stock(raw: Any) -> dict[str, Any]:
    """How many of a variant there are, and how many are not reserved, in all and by location (its id). A set can be sold as
    often as its scarcest part allows. Without `tracked` Medusa counts nothing: both are None. Raises ValidationError."""
    found = _STOCK.load(raw)
    locations = _locations(found["parts"]) if found["tracked"] else {}
    return {
        "sku": found["sku"],
        "on_hand": sum(one["on_hand"] for one in locations.values()) if found["tracked"] else None,
        "available": sum(one["available"] for one in locations.values()) if found["tracked"] else None,
        "locations": locations,
        "tracked": found["tracked"],
        "backorder": found["backorder"],
    }


def category(raw: Any) -> dict[str, Any]:
    """A category: `parent` is the code of the one above, "" at the top. Raises ValidationError."""
    found = _CATEGORY.load(raw)
    names = ("name", "description", "rank", "active", "internal")
    return {
        "code": found["handle"],
        "parent": found["parent"]["handle"] if found["parent"] else "",
        **{name: found[name] for name in names},
    }


def price_list(raw: Any) -> dict[str, Any]:
    """A price list by its id, which is the `list` of its prices. Raises ValidationError."""
    found = _PRICE_LIST.load(raw)
    return {"code": found.pop("id"), **found, "active": found["status"] == "active"}


DECODERS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "products": product,
    "prices": prices,
    "stock": stock,
    "categories": category,
    "price_lists": price_list,
}


def _locations(parts: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    by_part = [
        {
            level["location"]: (level["on_hand"] // part["required"], (level["on_hand"] - level["reserved"]) // part["required"])
            for level in part["inventory"]["levels"]
        }
        for part in parts
    ]
    everywhere = sorted(set.intersection(*map(set, by_part))) if by_part else []
    return {
        place: {"on_hand": int(min(part[place][0] for part in by_part)), "available": int(min(part[place][1] for part in by_part))}
        for place in everywhere
    }


def _media(*entries: Mapping[str, Any]) -> list[str]:
    """Addresses of the files, the variant's first, each once."""
    found: list[str] = []
    for entry in entries:
        images = sorted(entry["images"], key=lambda image: (image["rank"], image["url"]))
        found += [*([entry["thumbnail"]] if entry["thumbnail"] else []), *(image["url"] for image in images)]
    return list(dict.fromkeys(found))
