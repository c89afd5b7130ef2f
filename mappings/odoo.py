"""Odoo's words: the fields that are read, what counts as a change, and its records as plain data for the mapping tables.

External API: https://www.odoo.com/documentation/19.0/developer/reference/external_api.html
A many-to-one value is read as [id, name], what is empty as false, a time as UTC text without a zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate

from mappings.fields import Exact, Payload

PRODUCT = "product.product"
ITEM = "product.pricelist.item"
PRODUCT_FIELDS = {
    "products": (
        *("default_code", "barcode", "name", "active", "sale_ok", "description_sale"),
        *("product_tmpl_id", "categ_id", "product_template_attribute_value_ids"),
    ),
    "prices": ("default_code", "barcode", "lst_price", "currency_id", "product_tmpl_id", "categ_id"),
    "stock": ("default_code", "barcode"),
}
"""What is read of a product for each kind. `write_date` is not among it: it moves when nothing of ours has changed."""
VALUE_FIELDS = ("name", "attribute_id")
RULE_FIELDS = (
    *("applied_on", "product_id", "product_tmpl_id", "categ_id", "pricelist_id", "currency_id", "compute_price", "base"),
    *("fixed_price", "percent_price", "price_discount", "price_round", "price_surcharge", "price_min_margin", "price_max_margin"),
    *("min_quantity", "date_start", "date_end"),
)
QUANT_FIELDS = ("product_id", "location_id", "quantity", "reserved_quantity")

ATTACHMENT = "ir.attachment"
IMAGES = {"product.product": "image_variant_1920", "product.template": "image_1920"}
"""Where an image is, a variant's own before its template's."""
IMAGE_FIELDS = ("res_model", "res_field", "res_id", "checksum", "mimetype")

_ATTRIBUTES = "product_template_attribute_value_ids"
CHANGES = {
    "products": (
        *("write_date", "product_tmpl_id.write_date", f"{_ATTRIBUTES}.write_date"),
        *(f"{_ATTRIBUTES}.attribute_id.write_date", f"{_ATTRIBUTES}.product_attribute_value_id.write_date"),
    ),
    "prices": ("write_date", "product_tmpl_id.write_date", f"{_ATTRIBUTES}.write_date"),
    "stock": ("write_date", "stock_quant_ids.write_date", "stock_move_ids.write_date"),
}
"""The times that say a product's record of a kind may have changed. An empty quant is deleted, so stock looks at the moves too; only
since Odoo 19 a product's own `write_date` follows its template's; the extra price of an attribute's value is part of the price."""

LISTS = {
    "categories": ("product.category", ("name", "complete_name", "parent_id")),
    "price_lists": ("product.pricelist", ("name", "active", "currency_id")),
}
"""Kinds that are a model's records as they are."""

Json = dict[str, Any]


def changed_since(kind: str, since: datetime) -> list[Any]:
    """The domain of what may have changed. Times are kept finer than they are written, so the second of `since` is asked for."""
    at = stamp(since)
    times = CHANGES.get(kind, ("write_date",))
    return ["|"] * (len(times) - 1) + [[name, ">=", at] for name in times]


def stamp(moment: datetime) -> str:
    """A time as a domain takes it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def reference(value: Any) -> int:
    """The id of a many-to-one value, 0 when it is empty."""
    found = value[0] if isinstance(value, list) and value else value
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def image_of(product: Mapping[str, Any], attachments: Sequence[Mapping[str, Any]]) -> list[str]:
    """A product's image as `attachment-checksum.kind`: another image is another reference."""
    owners = {"product.product": product["id"], "product.template": reference(product["product_tmpl_id"])}
    for model, owner in owners.items():
        for one in attachments:
            if (one["res_model"], one["res_field"], one["res_id"]) == (model, IMAGES[model], owner):
                return [f"{one['id']}-{one['checksum']}.{str(one['mimetype']).rpartition('/')[2]}"]
    return []


class Text(fields.Field[str]):
    """Text, "" for Odoo's false."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if value is False or value is None:
            return ""
        if not isinstance(value, str):
            raise ValidationError("expected text")
        return value


class Named(fields.Field[tuple[int, str]]):
    """A many-to-one value that is not empty: its id and its name."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> tuple[int, str]:
        if not isinstance(value, list) or len(value) != 2 or not reference(value) or not isinstance(value[1], str):
            raise ValidationError("expected an id and a name")
        return value[0], value[1]


class Product(Payload):
    """What every record says of its product."""

    id = fields.Integer(required=True, strict=True)
    default_code = Text(load_default="")
    barcode = Text(load_default="")


class _Content(Product):
    name = Text(required=True)
    active = fields.Boolean(required=True)
    sale_ok = fields.Boolean(load_default=True)
    description_sale = Text(load_default="")
    product_tmpl_id = Named(required=True)
    categ_id = fields.Raw(load_default=False)


class _Value(Payload):
    name = Text(required=True)
    attribute_id = Named(required=True)


class _Translation(Payload):
    name = Text(required=True)
    description_sale = Text(load_default="")


class _Place(Payload):
    code = fields.String(required=True, validate=validate.Length(min=1))
    on_hand = Exact(required=True)
    reserved = Exact(required=True)


_PRODUCT, _CONTENT, _VALUE, _TRANSLATION, _PLACE = Product(), _Content(), _Value(), _Translation(), _Place()


def product(raw: Any, sku: str) -> Json:
    """A variant with its template: `sku` is the field that holds its SKU. Raises marshmallow's ValidationError."""
    found = loaded(_CONTENT, raw, "product")
    values, media = each(_VALUE, raw, "values"), raw.get("media", [])
    if not isinstance(media, list) or not all(isinstance(one, str) for one in media):
        raise ValidationError({"media": ["expected references"]})
    translations = raw.get("translations") or {}
    if not isinstance(translations, Mapping):
        raise ValidationError({"translations": ["expected an object"]})
    return {
        "sku": sku_of(found, sku),
        "product": str(found["product_tmpl_id"][0]),
        "name": found["name"],
        "product_name": found["name"],
        "description": found["description_sale"],
        "barcode": found["barcode"],
        "active": found["active"] and found["sale_ok"],
        "attributes": {value["attribute_id"][1]: value["name"] for value in values},
        "categories": [str(reference(found["categ_id"]))] if reference(found["categ_id"]) else [],
        "media": media,
        "translations": {code: _translation(one) for code, one in translations.items()},
    }


def stock(raw: Any, sku: str) -> Json:
    """What a variant's places hold, and in all; raises marshmallow's ValidationError."""
    found = loaded(_PRODUCT, raw, "product")
    places = {}
    for place in each(_PLACE, raw, "places"):
        places[place["code"]] = {"on_hand": place["on_hand"], "available": place["on_hand"] - place["reserved"]}
    return {
        "sku": sku_of(found, sku),
        "on_hand": sum((place["on_hand"] for place in places.values()), Decimal(0)),
        "available": sum((place["available"] for place in places.values()), Decimal(0)),
        "locations": places,
    }


def entity(raw: Any) -> Json:
    """A category or a pricelist as it is, its id as `code`; raises marshmallow's ValidationError."""
    if not isinstance(raw, Mapping) or not reference(raw.get("id")):
        raise ValidationError({"id": ["expected an id"]})
    found = {name: None if value is False and name != "active" else value for name, value in raw.items() if name != "id"}
    if "parent_id" in found:
        parent = reference(found.pop("parent_id"))
        found["parent"] = str(parent) if parent else None
    money = found.pop("currency_id", None)
    if isinstance(money, list) and money:
        found["currency"] = str(money[-1])
    return {"code": str(raw["id"]), **found}


def _translation(raw: Any) -> Json:
    found = _whole(_TRANSLATION, raw)
    return {"name": found["name"], "description": found["description_sale"]}


def sku_of(found: Mapping[str, Any], name: str) -> str:
    """The SKU in the field that holds it; raises marshmallow's ValidationError."""
    if not found[name]:
        raise ValidationError({name: ["is empty: the product has no SKU"]})
    return str(found[name])


def loaded(schema: Payload, raw: Any, name: str) -> Json:
    """The object that a record has under `name`; raises marshmallow's ValidationError."""
    if not isinstance(raw, Mapping):
        raise ValidationError("expected an object")
    try:
        return _whole(schema, raw.get(name))
    except ValidationError as error:
        raise ValidationError({name: error.messages}) from None


def each(schema: Payload, raw: Mapping[str, Any], name: str) -> list[Json]:
    """The objects that a record has under `name`; raises marshmallow's ValidationError."""
    given = raw.get(name)
    if not isinstance(given, list):
        raise ValidationError({name: ["expected a list"]})
    try:
        return [_whole(schema, one) for one in given]
    except ValidationError as error:
        raise ValidationError({name: error.messages}) from None


def _whole(schema: Payload, raw: Any) -> Json:
    found: Json = schema.load(raw)  # type: ignore[assignment]
    return found
