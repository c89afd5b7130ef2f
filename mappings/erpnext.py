"""ERPNext's words: the document types of each feed, how a filter writes time, and its records as plain data for the mapping tables.

Lists and filters: https://docs.frappe.io/framework/user/en/api/rest · Items: https://docs.frappe.io/erpnext/item
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate

from mappings.fields import Exact, Payload

SOLD = (["has_variants", "=", 0], ["is_sales_item", "=", 1])
"""Items that can be sold: a template cannot, its variants can."""
STOCKED = (*SOLD, ["is_stock_item", "=", 1])
_TEMPLATES = (["has_variants", "=", 1],)
SELLING = ["selling", "=", 1]

ITEM = (
    *("name", "item_code", "item_name", "description", "item_group", "brand", "image", "stock_uom", "sales_uom"),
    *("disabled", "variant_of"),
)
TEMPLATE = ("name", "item_name", "description", "disabled")
LEVELS = ("actual_qty", "reserved_qty", "reserved_qty_for_production", "reserved_qty_for_sub_contract", "projected_qty")
BIN = ("name", "item_code", "warehouse", *LEVELS)


@dataclass(frozen=True, slots=True)
class Through:
    """Documents that change what they name: `field` holds the item, or, of a template, is what its variants name it by."""

    doctype: str
    field: str
    filters: tuple[Any, ...] = ()
    is_template: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    """A document type, what is read of it, and what else changes its records. A change of one of `whole` changes all of them."""

    doctype: str
    fields: tuple[str, ...]
    filters: tuple[Any, ...] = ()
    through: Through | None = None
    whole: tuple[str, ...] = ()


FEEDS = {
    "products": Feed("Item", ITEM, SOLD, Through("Item", "name", _TEMPLATES, is_template=True)),
    "prices": Feed("Item", ("name", "item_code"), SOLD, Through("Item Price", "item_code"), ("Price List", "Pricing Rule")),
    "stock": Feed("Item", ("name", "item_code", "stock_uom"), STOCKED, Through("Bin", "item_code")),
    "categories": Feed("Item Group", ("name", "item_group_name", "parent_item_group", "is_group")),
    "price_lists": Feed("Price List", ("name", "currency", "enabled"), (SELLING,)),
}
"""Every kind of records."""


def modified_since(since: datetime, zone: tzinfo) -> list[Any]:
    """The filter of what changed since: `modified` is in the time zone of the site. Where its clock shows an hour twice (the end
    of summer time), the hour before is asked for again."""
    local = since.astimezone(UTC).astimezone(zone)
    first, second = local.replace(fold=0).utcoffset() or timedelta(), local.replace(fold=1).utcoffset() or timedelta()
    return ["modified", ">=", f"{local.replace(tzinfo=None) - abs(first - second):%Y-%m-%d %H:%M:%S.%f}"]


class Text(fields.String):
    """Text, "" for nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(load_default="", allow_none=True, **options)

    def deserialize(self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        return super().deserialize(value, attr, data, **kwargs) or ""


class Flag(fields.Field[bool]):
    """Frappe's check box: 0 or 1."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if value not in (0, 1):
            raise ValidationError("expected 0 or 1")
        return bool(value)


class Day(fields.Field[str]):
    """A date as ISO text."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        try:
            return date.fromisoformat(value).isoformat()
        except (TypeError, ValueError):
            raise ValidationError("expected a date") from None


class _AttributeSchema(Payload):
    attribute = fields.String(required=True)
    attribute_value = Text()


class _BarcodeSchema(Payload):
    barcode = fields.String(required=True)
    barcode_type = Text()


class _TemplateSchema(Payload):
    item_name = Text()
    description = Text()
    disabled = Flag(load_default=False)


class CodeSchema(Payload):
    """Whatever is told of an item."""

    item_code = fields.String(required=True, validate=validate.Length(min=1))


class ProductSchema(CodeSchema):
    """An `Item` with its template, its values of the template's attributes and its barcodes."""

    item_name = Text()
    description = Text()
    item_group = Text()
    brand = Text()
    image = Text()
    stock_uom = Text()
    sales_uom = Text()
    disabled = Flag(required=True)
    variant_of = Text()
    template = fields.Nested(_TemplateSchema, load_default=None, allow_none=True)
    variant_attributes = fields.List(fields.Nested(_AttributeSchema), load_default=list)
    barcodes = fields.List(fields.Nested(_BarcodeSchema), load_default=list)


class _BinSchema(Payload):
    warehouse = fields.String(required=True)
    actual_qty = Exact(required=True)
    reserved_qty = Exact(load_default=Decimal(0), allow_none=True)
    reserved_qty_for_production = Exact(load_default=Decimal(0), allow_none=True)
    reserved_qty_for_sub_contract = Exact(load_default=Decimal(0), allow_none=True)
    projected_qty = Exact(load_default=Decimal(0), allow_none=True)


class StockSchema(CodeSchema):
    """An item with its bins, one for each warehouse."""

    stock_uom = Text()
    bins = fields.List(fields.Nested(_BinSchema), required=True)


class GroupSchema(Payload):
    """An `Item Group`."""

    name = fields.String(required=True)
    item_group_name = Text()
    parent_item_group = Text()


class PriceListSchema(Payload):
    """A `Price List`."""

    name = fields.String(required=True)
    currency = Text()
    enabled = Flag(required=True)


def product(raw: Any, attributes: Iterable[str]) -> dict[str, Any]:
    """An item; `attributes` are further fields that were read of it. Raises marshmallow's ValidationError."""
    found = ProductSchema().load(raw)
    template = found["template"] or {}
    is_active = not found["disabled"] and not template.get("disabled")
    return {
        "sku": found["item_code"],
        "product": found["variant_of"] or found["item_code"],
        "name": found["item_name"] or found["item_code"],
        "product_name": template.get("item_name") or found["item_name"] or found["variant_of"] or found["item_code"],
        "description": found["description"],
        "active": is_active,
        "status": "active" if is_active else "inactive",
        "unit": found["sales_uom"] or found["stock_uom"],
        "brand": found["brand"],
        "identifiers": {one["barcode_type"]: one["barcode"] for one in reversed(found["barcodes"])},
        "categories": [found["item_group"]] if found["item_group"] else [],
        "attributes": {one["attribute"]: one["attribute_value"] for one in found["variant_attributes"]}
        | {name: raw.get(name) for name in attributes},
        "translations": {},
        "media": [found["image"]] if found["image"] else [],
    }


def stock(raw: Any, available: str) -> dict[str, Any]:
    """The levels of an item in its stock unit by warehouse; `available` says which number counts as such. Raises marshmallow's
    ValidationError."""
    found = StockSchema().load(raw)
    locations = {one["warehouse"]: {"on_hand": one["actual_qty"], "available": _available(one, available)} for one in found["bins"]}
    totals = {name: sum((one[name] for one in locations.values()), Decimal(0)) for name in ("on_hand", "available")}
    return {"sku": found["item_code"], **totals, "unit": found["stock_uom"], "locations": locations}


def _available(level: Mapping[str, Decimal | None], available: str) -> Decimal:
    if available == "projected":
        return level["projected_qty"] or Decimal(0)
    reserved = (level[name] or Decimal(0) for name in LEVELS if name.startswith("reserved"))
    return (level["actual_qty"] or Decimal(0)) - sum(reserved, Decimal(0))


def category(raw: Any) -> dict[str, Any]:
    """An item group; raises marshmallow's ValidationError."""
    found = GroupSchema().load(raw)
    return {"code": found["name"], "name": found["item_group_name"] or found["name"], "parent": found["parent_item_group"] or None}


def price_list(raw: Any) -> dict[str, Any]:
    """A price list; raises marshmallow's ValidationError."""
    found = PriceListSchema().load(raw)
    return {"list": found["name"], "currency": found["currency"], "active": found["enabled"], "tax_included": None}


def told(raw: Any) -> tuple[str, str]:
    """The document type and the name in a webhook's body, which the merchant words; "unknown" for what it does not say."""
    found = raw if isinstance(raw, Mapping) else {}
    names = [_first(found, "doctype"), _first(found, "item_code", "name")]
    return names[0] or "changed", names[1] or "unknown"


def _first(found: Mapping[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := found.get(name), str) and value), "")
