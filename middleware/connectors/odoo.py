"""Odoo over JSON-2 (19 and later) or JSON-RPC (before): products, prices and stock as feeds, read product by product.

Every feed goes through the products by their id, which nothing shifts, and asks for what belongs to those of a page. What is deleted
leaves no trace: a deleted price rule is seen by the next full pull, or at once when it was deleted in its pricelist's form. Odoo's
times are those at which a transaction began, so `overlap` must be longer than the longest one (imports take minutes).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError

from mappings import odoo as words
from mappings import odoo_prices
from mappings.fields import field_names
from mappings.odoo import Json, reference
from middleware.connectors._http import Http, Reply
from middleware.errors import Rejected, Unreadable
from middleware.ports import Blob, Page, Record
from middleware.settings import Connection
from middleware.wire import odoo as wire
from middleware.wire.odoo import CHUNK, Models, Place

_TAX = {"": None, "yes": True, "no": False}


class Connector:
    """Plays list_records, decode_record, fetch_record, fetch_media. A product is known by its id, archived ones too."""

    SYSTEM = "odoo"
    LANE = "catalog"
    PROOF = "real system (Odoo 16.0 and 19.0), simulator"
    API_VERSION = "JSON-2 (19), JSON-RPC (15 to 19)"
    CREDENTIALS: Mapping[str, str] = {"key": "API key of the user that reads"}
    OPTIONS: Mapping[str, tuple[type, Any, str]] = {
        "api": (str, "json2", '"json2" (Odoo 19 and later) or "jsonrpc"'),
        "database": (str, "", "name of the database; JSON-2 needs it only where there are several"),
        "user": (str, "", "login of the user that the key belongs to; only for JSON-RPC"),
        "company": (int, 0, "id of the company that is read; 0: the user's"),
        "sku": (str, "default_code", 'field that holds a product\'s SKU: "default_code" or "barcode"'),
        "languages": (list, [], 'languages whose names and descriptions are read too, like "de_DE"'),
        "pricelists": (list, [], "ids of the pricelists that are read; empty: all that are active"),
        "rules": (str, "refuse", 'price rules that only Odoo can compute: "refuse" the product\'s prices, or "skip" the rule'),
        "tax_included": (str, "", 'whether sales prices include tax: "yes", "no"; empty: not said'),
        "stock_by": (str, "warehouse", 'what a location of stock is: "warehouse" (its code) or "location" (its full name)'),
        "page": (int, 200, "products of a page"),
    }

    def __init__(self, connection: Connection, http: Http) -> None:
        """Raises ValueError for an option with an unknown word."""
        self.connection = connection
        self.http = http
        self._option: dict[str, Any] = connection.chosen(self.OPTIONS)
        for name, known in _KNOWN.items():
            if self._option[name] not in known:
                raise ValueError(f"options.{name} must be one of: {', '.join(map(repr, known))}")
        if not 1 <= self._option["page"] <= CHUNK:
            raise ValueError(f"options.page must be 1 to {CHUNK}")
        self._models = Models(self._post, connection, self._option)
        self._made: dict[str, Callable[[list[Json]], list[Json]]] = {
            "products": self._contents,
            "prices": self._prices,
            "stock": self._stock,
        }

    def list_records(self, kind: str, since: datetime | None, cursor: str) -> Page:
        """A page of products, prices, stock, categories or price_lists. Raises what `Http.request` raises, and `Rejected` for an
        answer that is no list of records."""
        place = wire.resumed(cursor) if cursor else Place()
        if kind in words.LISTS:
            model, fields = words.LISTS[kind]
            rows = self._models.some(model, words.changed_since(kind, since) if since else [], fields, place.after)
            return Page(tuple(_record(row["id"], row) for row in rows), wire.packed(self._following(place, rows)))
        if kind not in self._made:
            raise Rejected(f"Odoo has no feed {kind!r}", field="kind")
        if kind == "prices" and since and not place.step:
            place.step = "all" if self._all_prices_changed(since) else "products"
        if place.step == "rules":
            rows, following = self._of_changed_rules(since, place)
        else:
            rows = self._models.some(
                words.PRODUCT,
                words.changed_since(kind, since) if since and place.step != "all" else [],
                words.PRODUCT_FIELDS[kind],
                place.after,
            )
            following = self._following(place, rows)
            if following is None and place.step == "products":
                following = Place("rules")
        return Page(self._records(kind, rows), wire.packed(following))

    def fetch_record(self, kind: str, source_id: str) -> Record | None:
        """None when Odoo has no such product; one that the user may not see is none either."""
        if kind not in self._made and kind not in words.LISTS:
            raise Rejected(f"Odoo has no feed {kind!r}", field="kind")
        if not source_id.isascii() or not source_id.isdecimal():
            return None
        model, fields = words.LISTS.get(kind) or (words.PRODUCT, words.PRODUCT_FIELDS[kind])
        rows = self._models.search(model, [["id", "=", int(source_id)]], fields, limit=1)
        if kind in words.LISTS:
            return _record(rows[0]["id"], rows[0]) if rows else None
        return next(iter(self._records(kind, rows)), None)

    def fetch_media(self, reference: str) -> Blob:
        """The image that a record's `media` names by its attachment; raises `Rejected` when it is gone."""
        number = reference.partition("-")[0]
        if not number.isascii() or not number.isdecimal():
            raise Rejected("the reference does not begin with an id", field=reference[:100])
        domain = [["id", "=", int(number)], ["res_field", "in", list(words.IMAGES.values())]]
        rows = self._models.search(words.ATTACHMENT, domain, ("datas", "mimetype"), limit=1)
        if not rows:
            raise Rejected("there is no such image", field=reference[:100])
        return wire.blob(rows[0], reference)

    def decode_record(self, kind: str, raw: bytes) -> Any:
        """Raises `Unreadable` with the names of the fields at fault; for prices also when a rule is one that only Odoo can compute."""
        sku = self._option["sku"]
        try:
            record = wire.decoded(raw)
            if kind == "prices":
                return self._decoded_prices(record)
            return (
                words.product(record, sku) if kind == "products" else words.stock(record, sku) if kind == "stock" else words.entity(record)
            )
        except ValidationError as error:
            raise Unreadable("; ".join(field_names(error.messages))) from None
        except (ValueError, RecursionError):
            raise Unreadable("the record is not JSON") from None

    def _decoded_prices(self, record: Any) -> Json:
        found, unknown = odoo_prices.prices(record, self._option["sku"], _TAX[self._option["tax_included"]])
        if unknown and self._option["rules"] == "refuse":
            raise Unreadable(f"rules: only Odoo can compute the price of {', '.join(map(str, unknown))}")
        return found

    # which products

    def _following(self, place: Place, rows: list[Json]) -> Place | None:
        return Place(place.step, rows[-1]["id"]) if len(rows) >= self._option["page"] else None

    def _all_prices_changed(self, since: datetime) -> bool:
        """Whether a pricelist, or a rule about more than one product, changed."""
        changed = words.changed_since("", since)
        wide = ["applied_on", "not in", ["0_product_variant", "1_product"]]
        return bool(
            self._models.search("product.pricelist", changed, ("id",), limit=1)
            or self._models.search(words.ITEM, [wide, *changed], ("id",), limit=1)
        )

    def _of_changed_rules(self, since: datetime | None, place: Place) -> tuple[list[Json], Place | None]:
        """The products of the next changed rules. What these are about is kept in the cursor: the rules may change meanwhile."""
        if not place.products and not place.templates:
            domain = words.changed_since("", since) if since else []
            rules = self._models.some(words.ITEM, domain, ("product_id", "product_tmpl_id"), place.rules)
            if not rules:
                return [], None
            place.rules = rules[-1]["id"]
            place.products = sorted({reference(rule["product_id"]) for rule in rules} - {0})
            place.templates = sorted({reference(rule["product_tmpl_id"]) for rule in rules if not reference(rule["product_id"])} - {0})
        about = ["|", ["id", "in", place.products], ["product_tmpl_id", "in", place.templates]]
        rows = self._models.some(words.PRODUCT, about, words.PRODUCT_FIELDS["prices"], place.after)
        if len(rows) >= self._option["page"]:
            return rows, Place("rules", rows[-1]["id"], place.rules, place.products, place.templates)
        return rows, Place("rules", rules=place.rules)

    # what belongs to them

    def _records(self, kind: str, rows: list[Json]) -> tuple[Record, ...]:
        try:
            made = self._made[kind](rows) if rows else []
        except (TypeError, LookupError, ArithmeticError, AttributeError) as error:
            raise Rejected("what belongs to the products is not of the expected form", field=kind) from error
        return tuple(_record(row["id"], one) for row, one in zip(rows, made, strict=True))

    def _contents(self, rows: list[Json]) -> list[Json]:
        used = {one for row in rows for one in row["product_template_attribute_value_ids"]}
        values = {
            row["id"]: row
            for row in self._models.every("product.template.attribute.value", [["id", "in", sorted(used)]], words.VALUE_FIELDS)
        }
        ids = [["id", "in", [row["id"] for row in rows]]]
        names = {
            code: {row["id"]: row for row in self._models.every(words.PRODUCT, ids, ("name", "description_sale"), lang=code)}
            for code in self._option["languages"]
        }
        images = self._images(rows)
        return [
            {
                "product": row,
                "media": words.image_of(row, images),
                "values": [values[one] for one in row["product_template_attribute_value_ids"] if one in values],
                "translations": {code: found[row["id"]] for code, found in names.items() if row["id"] in found},
            }
            for row in rows
        ]

    def _images(self, rows: list[Json]) -> list[Json]:
        templates = {reference(row["product_tmpl_id"]) for row in rows}
        domain = [
            ["res_model", "in", list(words.IMAGES)],
            ["res_field", "in", list(words.IMAGES.values())],
            ["res_id", "in", sorted(templates | {row["id"] for row in rows})],
        ]
        return self._models.every(words.ATTACHMENT, domain, words.IMAGE_FIELDS)

    def _prices(self, rows: list[Json]) -> list[Json]:
        own = [["id", "in", self._option["pricelists"]]] if self._option["pricelists"] else [["active", "=", True]]
        lists = [row["id"] for row in self._models.every("product.pricelist", own, ("id",))]
        above = self._ancestors({reference(row["categ_id"]) for row in rows} - {0})
        domain = [
            ["pricelist_id", "in", lists],
            *("|", "|", "|"),
            ["applied_on", "not in", ["0_product_variant", "1_product", "2_product_category"]],
            ["categ_id", "in", sorted({one for ids in above.values() for one in ids})],
            ["product_tmpl_id", "in", sorted({reference(row["product_tmpl_id"]) for row in rows})],
            ["product_id", "in", [row["id"] for row in rows]],
        ]
        rules = self._models.every(words.ITEM, domain, words.RULE_FIELDS) if lists else []
        return [{"product": row, "rules": odoo_prices.rules_of(row, rules, above.get(reference(row["categ_id"]), []))} for row in rows]

    def _ancestors(self, categories: Collection[int]) -> dict[int, list[int]]:
        """A category's path is "1/4/7/": those above it, and itself."""
        rows = self._models.every("product.category", [["id", "in", sorted(categories)]], ("parent_path",))
        return {row["id"]: [int(part) for part in str(row["parent_path"]).split("/") if part.isdecimal()] for row in rows}

    def _stock(self, rows: list[Json]) -> list[Json]:
        """The quants of the company's own places, added up: one place may hold many, by lot and package."""
        domain = [["product_id", "in", [row["id"] for row in rows]], ["location_id.usage", "=", "internal"]]
        held: dict[int, dict[str, tuple[Decimal, Decimal]]] = {row["id"]: {} for row in rows}
        quants = self._models.every("stock.quant", domain, words.QUANT_FIELDS)
        codes = self._codes({reference(quant["location_id"]) for quant in quants})
        for quant in quants:
            places = held.setdefault(reference(quant["product_id"]), {})
            code = codes.get(reference(quant["location_id"]), str(quant["location_id"][1]))
            on_hand, reserved = places.get(code, (Decimal(0), Decimal(0)))
            places[code] = on_hand + Decimal(quant["quantity"]), reserved + Decimal(quant["reserved_quantity"])
        return [
            {
                "product": row,
                "places": [
                    {"code": code, "on_hand": _rounded(one), "reserved": _rounded(two)}
                    for code, (one, two) in sorted(held[row["id"]].items())
                ],
            }
            for row in rows
        ]

    def _codes(self, locations: Collection[int]) -> dict[int, str]:
        rows = self._models.every("stock.location", [["id", "in", sorted(locations)]], ("complete_name", "warehouse_id"))
        if self._option["stock_by"] == "location":
            return {row["id"]: row["complete_name"] for row in rows}
        warehouses = {row["id"]: row["code"] for row in self._models.every("stock.warehouse", [], ("code",))}
        return {row["id"]: warehouses.get(reference(row["warehouse_id"])) or row["complete_name"] for row in rows}

    def _post(self, path: str, body: Json, headers: Mapping[str, str]) -> bytes:
        return self.http.request("POST", path, json=body, headers=headers, safe=True, explain=_explain).body


_KNOWN = {
    "api": ("json2", "jsonrpc"),
    "sku": ("default_code", "barcode"),
    "rules": ("refuse", "skip"),
    "tax_included": tuple(_TAX),
    "stock_by": ("warehouse", "location"),
}


def _explain(reply: Reply) -> tuple[str, str]:
    return wire.told(reply.body), ""


def _record(source_id: int, content: Json) -> Record:
    return Record(str(source_id), wire.canonical(content))


def _rounded(number: Decimal) -> Decimal:
    """Quantities are floats over there: what a sum leaves beyond the sixth digit is noise."""
    return Decimal(format(round(number, 6).normalize(), "f"))
