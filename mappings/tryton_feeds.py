"""Tryton's catalog and stock as plain data: what is read of each model, what counts as a change of it, and its records in our words.

Models: https://docs.tryton.org/latest/modules-product/design.html · https://docs.tryton.org/latest/modules-stock/design.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate

from mappings.fields import Exact, Identifier, Payload
from mappings.tryton import Amount, Day, Instant, instant_value

FOR_SALE = (["salable", "=", True], ["code", "!=", None])
"""The products of a feed: without a code nothing could be sold."""
IN_STOCK = (*FOR_SALE, ["type", "in", ["goods", "assets"]])
_UNITS = ("default_uom.factor", "sale_uom.factor")
_PRODUCT = (
    *("code", "description", "active", "type", "sale_uom.name", "identifiers.type", "identifiers.code"),
    *("template.code", "template.name", "template.active", "template.categories.code"),
)


@dataclass(frozen=True, slots=True)
class Feed:
    """What is read of a model. A record has changed when one of `changes` has ("": itself); for what no field of it leads to there
    is `through`, the model that names the product which it changes, and `module`, without which Tryton has no such model."""

    model: str
    fields: tuple[str, ...]
    domain: tuple[Any, ...] = ()
    changes: tuple[str, ...] = ("",)
    through: str = ""
    module: str = ""


FEEDS = {
    "products": Feed("product.product", _PRODUCT, FOR_SALE, ("", "template", "identifiers")),
    "prices": Feed(
        "product.product",
        ("code", "sale_price_uom", *_UNITS),
        FOR_SALE,
        ("", "template", "list_prices", "template.list_prices", "cost_prices"),
        "product.price_list.line",
        "product_price_list",
    ),
    "stock": Feed("product.product", ("code", *_UNITS), IN_STOCK, ("", "template"), "stock.move"),
    "categories": Feed("product.category", ("code", "name", "parent.code")),
    "price_lists": Feed("product.price_list", ("name", "active", "tax_included"), module="product_price_list"),
}
"""Every kind of records."""


def changed(names: Iterable[str], since: datetime) -> list[Any]:
    """The domain of what was created or written since an instant, itself or in one of its relations; a record that was never
    written has no date of that."""
    at = instant_value(since)
    dates = [f"{name}.{date}" if name else date for name in names for date in ("create_date", "write_date")]
    return ["OR", *([date, ">=", at] for date in dates)]


class CodeSchema(Payload):
    """Whatever has an id, and perhaps a code."""

    id = Identifier(required=True)
    code = fields.String(load_default=None, allow_none=True)


class _TemplateSchema(CodeSchema):
    name = fields.String(required=True)
    active = fields.Boolean(required=True)
    categories = fields.List(fields.Nested(CodeSchema), load_default=list)


class _IdentifierSchema(Payload):
    type = fields.String(load_default=None, allow_none=True)
    code = fields.String(required=True)


class _UnitSchema(Payload):
    name = fields.String(required=True)


class _SoldSchema(Payload):
    id = Identifier(required=True)
    code = fields.String(required=True, validate=validate.Length(min=1))


class ProductSchema(_SoldSchema):
    """A `product.product`: one variant of its template."""

    description = fields.String(load_default=None, allow_none=True)
    active = fields.Boolean(required=True)
    type = fields.String(required=True)
    sale_uom = fields.Nested(_UnitSchema, load_default=None, allow_none=True)
    template = fields.Nested(_TemplateSchema, required=True)
    identifiers = fields.List(fields.Nested(_IdentifierSchema), load_default=list)
    translations = fields.Dict(keys=fields.String(), values=fields.Dict(), load_default=dict)


class CategorySchema(CodeSchema):
    """A `product.category`."""

    name = fields.String(required=True)
    parent = fields.Nested(CodeSchema, load_default=None, allow_none=True)
    translations = fields.Dict(keys=fields.String(), values=fields.Dict(), load_default=dict)


class PriceListSchema(Payload):
    """A `product.price_list`."""

    id = Identifier(required=True)
    name = fields.String(required=True)
    active = fields.Boolean(required=True)
    tax_included = fields.Boolean(load_default=False, allow_none=True)


class _FactorSchema(Payload):
    factor = Exact(load_default=None, allow_none=True)


class _UnitsSchema(Payload):
    default_uom = fields.Nested(_FactorSchema, load_default=None, allow_none=True)
    sale_uom = fields.Nested(_FactorSchema, load_default=None, allow_none=True)


class _MoveSchema(Payload):
    product = fields.Integer(required=True, strict=True)
    internal_quantity = Exact(load_default=Decimal(0))


class _LevelSchema(Payload):
    quantity = Exact(required=True)
    forecast = Exact(required=True)
    reserved = Exact(required=True)


class StockSchema(_SoldSchema):
    """A product with its quantities by warehouse, in its default unit; `factors` are that unit's and the sales unit's."""

    factors = fields.List(Exact(), required=True, validate=validate.Length(equal=2))
    warehouses = fields.Dict(keys=fields.String(), values=fields.Nested(_LevelSchema), required=True)


def product(raw: Any, attributes: Iterable[str]) -> dict[str, Any]:
    """A variant; `attributes` are the paths of further fields that were read of it. A template without a code is known by
    Tryton's own reference. Raises marshmallow's ValidationError."""
    found = dict(ProductSchema().load(raw))
    template = found["template"]
    is_active = found["active"] and template["active"]
    return {
        "sku": found["code"],
        "product": template["code"] or f"product.template,{template['id']}",
        "name": template["name"],
        "product_name": template["name"],
        "description": found["description"] or "",
        "active": is_active,
        "status": "active" if is_active else "inactive",
        "type": found["type"],
        "unit": (found["sale_uom"] or {}).get("name", ""),
        "identifiers": {one["type"] or "": one["code"] for one in reversed(found["identifiers"])},
        "categories": [code_of(one) for one in template["categories"]],
        "attributes": _attributes(raw, attributes),
        "translations": found["translations"],
    }


def factors(record: Mapping[str, Any]) -> list[Decimal]:
    """The factors of a product's default unit and of its sales unit; raises marshmallow's ValidationError."""
    return [(found or {}).get("factor") or Decimal(1) for found in _UnitsSchema().load(record).values()]


def move(record: Any) -> tuple[int, Decimal]:
    """The product of a stock move and its quantity in the product's default unit; raises marshmallow's ValidationError."""
    found = _MoveSchema().load(record)
    return found["product"], found["internal_quantity"]


def translated(record: Mapping[str, Any]) -> dict[str, str]:
    """The words of a product or a category that was read in another language."""
    template = record.get("template")
    if not isinstance(template, Mapping):
        return {"name": str(record.get("name") or "")}
    return {"name": str(template.get("name") or ""), "description": str(record.get("description") or "")}


def category(raw: Any) -> dict[str, Any]:
    """A category, `parent` is the code of the one above; raises marshmallow's ValidationError."""
    found = CategorySchema().load(raw)
    parent = found["parent"]
    return {
        "code": code_of(found),
        "name": found["name"],
        "parent": code_of(parent) if parent else None,
        "translations": found["translations"],
    }


def price_list(raw: Any) -> dict[str, Any]:
    """A price list by the name that `prices` has; raises marshmallow's ValidationError."""
    found = PriceListSchema().load(raw)
    return {"list": found["name"], "list_id": found["id"], "active": found["active"], "tax_included": bool(found["tax_included"])}


def stock(raw: Any, available: str) -> dict[str, Any]:
    """The levels of a product in its sales unit; `available` says which number counts as such. Raises marshmallow's
    ValidationError."""
    found = StockSchema().load(raw)
    locations = {}
    for code, level in found["warehouses"].items():
        free = level["forecast"] if available == "forecast" else level["quantity"] - level["reserved"]
        locations[code] = {"on_hand": _sold(level["quantity"], found["factors"]), "available": _sold(free, found["factors"])}
    totals = {name: sum((one[name] for one in locations.values()), Decimal(0)) for name in ("on_hand", "available")}
    return {"sku": found["code"], **totals, "locations": locations}


def code_of(record: Mapping[str, Any]) -> str:
    """A record's code; one without is known by its id."""
    return str(record.get("code") or record["id"])


def _sold(quantity: Decimal, factors: list[Decimal]) -> Decimal:
    default, sale = factors
    if not sale or default == sale:
        return quantity
    return (quantity * default / sale).quantize(Decimal("0.000001"), ROUND_FLOOR).normalize() + 0


def _attributes(raw: Any, paths: Iterable[str]) -> dict[str, Any]:
    """Values by their path; the entries of the dictionary `attributes` (module product_attribute) by their own names."""
    found: dict[str, Any] = {}
    for path in paths:
        value = _plain(_at(raw, path.split(".")))
        found.update(value if path == "attributes" and isinstance(value, Mapping) else {path: value})
    return found


def _at(value: Any, path: list[str]) -> Any:
    if not path:
        return value
    if isinstance(value, list):
        return [_at(one, path) for one in value]
    return _at(value.get(path[0]), path[1:]) if isinstance(value, Mapping) else None


def _plain(value: Any) -> Any:
    """Tryton's JSON types as ours: exact numbers, ISO dates and times."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    read = _TYPES.get(value.get("__class__", ""))
    if read is None:
        return {name: _plain(one) for name, one in value.items() if name not in ("__class__", "__name__")}
    try:
        found = read.deserialize(value)
    except ValidationError as error:
        raise ValidationError({"attributes": error.messages}) from None
    return found if isinstance(found, Decimal) else found.isoformat()


_TYPES: dict[str, Any] = {"Decimal": Amount(), "date": Day(), "datetime": Instant()}
