"""Business Central's words: what is read of items and of the custom pages beside them, and its records as plain data.

https://learn.microsoft.com/dynamics365/business-central/dev-itpro/api-reference/v2.0/resources/dynamics_item
An empty code is "", an empty date 0001-01-01, and a blank in an option's name is written _x0020_.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate

from mappings.fields import Exact, Payload

Json = dict[str, Any]

ITEM_FIELDS = {
    "products": ("number", "displayName", "type", "itemCategoryCode", "blocked", "gtin", "baseUnitOfMeasureCode"),
    "prices": ("number", "unitPrice", "priceIncludesTax", "baseUnitOfMeasureCode"),
    "stock": ("number", "type", "inventory"),
}
"""What is read of an item for each kind, beside its id and its variants."""
VARIANT_FIELDS = ("id", "code", "description")
CHANGES = {"products": ("itemVariants",), "prices": ("itemVariants", "price_lines"), "stock": ("itemVariants", "itemLedgerEntries")}
"""What beside the items tells of a change by its own time; stock that moves does not touch its item."""

PRICE_FIELDS = {
    "item": "assetNumber",
    "variant": "variantCode",
    "list": "priceListCode",
    "source_type": "sourceType",
    "source": "sourceNumber",
    "currency": "currencyCode",
    "amount": "unitPrice",
    "min_quantity": "minimumQuantity",
    "valid_from": "startingDate",
    "valid_to": "endingDate",
    "tax_included": "priceIncludesVAT",
    "unit": "unitOfMeasureCode",
    "status": "status",
    "amount_type": "amountType",
    "price_type": "priceType",
    "item_type": "assetType",
    "changed": "lastModifiedDateTime",
}
STOCK_FIELDS = {"item": "itemNumber", "variant": "variantCode", "location": "locationCode", "on_hand": "quantity", "available": ""}
"""Our word → the field of the custom page, as the table's own names would make it; "": the page has none."""

ALL_CUSTOMERS = "All Customers"
PRICE_GROUP = "Customer Price Group"


def stamp(moment: datetime) -> str:
    """A time as a filter takes it; the API tells thousandths."""
    at = moment.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def quoted(text: str) -> str:
    """A text in a filter."""
    return "'" + text.replace("'", "''") + "'"


class _Date(fields.Field[str | None]):
    """A date as ISO text, None for the empty one."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str | None:
        if value in (None, "", "0001-01-01"):
            return None
        return str(fields.Date().deserialize(value))


class _Word(fields.Field[str]):
    """The name of an option's value."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("expected a word")
        return value.replace("_x0020_", " ").strip()


class _Item(Payload):
    number = fields.String(required=True, validate=validate.Length(min=1))


class _Content(_Item):
    displayName = fields.String(required=True)
    itemCategoryCode = fields.String(load_default="")
    blocked = fields.Boolean(required=True)
    gtin = fields.String(load_default="")
    baseUnitOfMeasureCode = fields.String(load_default="")


class _Priced(_Item):
    unitPrice = Exact(required=True)
    priceIncludesTax = fields.Boolean(load_default=None, allow_none=True)
    baseUnitOfMeasureCode = fields.String(load_default="")


class _Stocked(_Item):
    inventory = Exact(required=True)


class _Variant(Payload):
    code = fields.String(required=True, validate=validate.Length(min=1))
    description = fields.String(load_default="")


class _PriceLine(Payload):
    list = fields.String(load_default="")
    source_type = _Word(load_default=ALL_CUSTOMERS)
    source = fields.String(load_default="")
    currency = fields.String(load_default="")
    amount = Exact(required=True)
    min_quantity = Exact(load_default=Decimal(0))
    valid_from = _Date(load_default=None)
    valid_to = _Date(load_default=None)
    tax_included = fields.Boolean(load_default=None, allow_none=True)


class _StockLine(Payload):
    location = fields.String(load_default="")
    on_hand = Exact(required=True)
    available = Exact(load_default=None, allow_none=True)


_CONTENT, _PRICED, _STOCKED, _VARIANT, _PRICE_LINE, _STOCK_LINE = _Content(), _Priced(), _Stocked(), _Variant(), _PriceLine(), _StockLine()


def renamed(row: Mapping[str, Any], names: Mapping[str, str]) -> Json:
    """A line of a custom page under our words; what it does not have is left out."""
    return {word: row[name] for word, name in names.items() if name and name in row and word != "changed"}


def lines_of(lines: list[Json], number: str, variant: str) -> list[Json]:
    """The lines that are about an item's variant ("": the item itself); those about every variant come last."""
    mine = [line for line in lines if line.get("item") == number and line.get("variant", "") in ("", variant)]
    return sorted(mine, key=lambda line: line.get("variant", "") != variant)


def is_valid_price(line: Json, unit: str) -> bool:
    """Whether a line is an active sales price of one piece: a discount is no price, and the price of a box is another thing's."""
    said = {name: _WORD.deserialize(line.get(name) or usual) for name, usual in _USUAL.items()}
    return said["amount_type"] != "Discount" and all(said[name] == _USUAL[name] for name in _MUST) and line.get("unit", "") in ("", unit)


_USUAL = {"status": "Active", "amount_type": "Price", "price_type": "Sale", "item_type": "Item"}
_MUST = ("status", "price_type", "item_type")
_WORD = _Word()


def product(raw: Any, variant_sku: str) -> Json:
    """An item, or one of its variants; raises marshmallow's ValidationError."""
    item, variant = _loaded(_CONTENT, raw, "item"), _variant(raw)
    return {
        "sku": _sku(item, variant, variant_sku),
        "product": item["number"],
        "name": (variant or {}).get("description") or item["displayName"],
        "product_name": item["displayName"],
        "barcode": item["gtin"],
        "unit": item["baseUnitOfMeasureCode"],
        "active": not item["blocked"],
        "attributes": {"variant": variant["code"]} if variant else {},
        "categories": [item["itemCategoryCode"]] if item["itemCategoryCode"] else [],
    }


def prices(raw: Any, variant_sku: str, currency: str) -> Json:
    """An item's own price and those of the price lists; `currency` is the company's. Raises marshmallow's ValidationError."""
    item, variant = _loaded(_PRICED, raw, "item"), _variant(raw)
    if not currency:
        raise ValidationError({"options.currency": ["is missing: the items do not say it"]})
    base = {"list": "", "group": "", "currency": currency, "amount": item["unitPrice"], "min_quantity": Decimal(1)}
    every = [base | {"valid_from": None, "valid_to": None, "tax_included": item["priceIncludesTax"]}]
    taken = set()
    for line in _each(_PRICE_LINE, raw, "lines"):
        price = {
            "list": line["list"],
            "group": _group(line["source_type"], line["source"]),
            "currency": line["currency"] or currency,
            "amount": line["amount"],
            "min_quantity": line["min_quantity"] or Decimal(1),
            "valid_from": line["valid_from"],
            "valid_to": line["valid_to"],
            "tax_included": line["tax_included"],
        }
        key = tuple(price[name] for name in ("list", "group", "currency", "min_quantity", "valid_from", "valid_to"))
        if key not in taken:  # the variant's own line comes before the one for all variants
            every.append(price)
        taken.add(key)
    return {"sku": _sku(item, variant, variant_sku), "prices": every}


def stock(raw: Any, variant_sku: str) -> Json:
    """What the company has of an item or a variant, by location where a custom page tells it. The item itself only knows the sum
    of its variants. Raises marshmallow's ValidationError."""
    item, variant = _loaded(_STOCKED, raw, "item"), _variant(raw)
    sku = _sku(item, variant, variant_sku)
    if raw.get("lines") is None:
        if variant:
            raise ValidationError({"inventory": ["is that of all variants together: options.stock_lines must name a page that has theirs"]})
        return {"sku": sku, "on_hand": item["inventory"], "available": item["inventory"], "locations": {}}
    places: dict[str, dict[str, Decimal]] = {}
    for line in _each(_STOCK_LINE, raw, "lines"):
        place = places.setdefault(line["location"], {"on_hand": Decimal(0), "available": Decimal(0)})
        place["on_hand"] += line["on_hand"]
        place["available"] += line["on_hand"] if line["available"] is None else line["available"]
    total = {name: sum((place[name] for place in places.values()), Decimal(0)) for name in ("on_hand", "available")}
    return {"sku": sku, **total, "locations": places}


def category(raw: Any) -> Json:
    """An item category; raises marshmallow's ValidationError."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("code"), str) or not raw["code"]:
        raise ValidationError({"code": ["expected a code"]})
    return {"code": raw["code"], "name": raw.get("displayName") or raw["code"]}


def _group(kind: str, source: str) -> str:
    """A customer price group by its code; what is for one customer or campaign is marked as such, never for all."""
    if kind == PRICE_GROUP:
        return source
    return "" if kind in ("", ALL_CUSTOMERS) else f"{kind}/{source}"


def _sku(item: Json, variant: Json | None, pattern: str) -> str:
    if variant is None:
        return str(item["number"])
    return pattern.replace("{item}", item["number"]).replace("{variant}", variant["code"])


def _variant(raw: Mapping[str, Any]) -> Json | None:
    return None if raw.get("variant") is None else _loaded(_VARIANT, raw, "variant")


def _loaded(schema: Payload, raw: Any, name: str) -> Json:
    if not isinstance(raw, Mapping):
        raise ValidationError("expected an object")
    try:
        found: Json = schema.load(raw.get(name))  # type: ignore[arg-type, assignment]
    except ValidationError as error:
        raise ValidationError({name: error.messages}) from None
    return found


def _each(schema: Payload, raw: Mapping[str, Any], name: str) -> list[Json]:
    given = raw.get(name)
    if not isinstance(given, list):
        raise ValidationError({name: ["expected a list"]})
    return [_loaded(schema, {name: one}, name) for one in given]
