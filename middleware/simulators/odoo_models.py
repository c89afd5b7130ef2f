"""What the simulated Odoo holds: a few models with their relations, searched by domains, changed as Odoo changes them."""

from __future__ import annotations

import base64
import hashlib
import operator
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

RELATIONS: dict[tuple[str, str], str] = {
    ("product.product", "product_tmpl_id"): "product.template",
    ("product.product", "categ_id"): "product.category",
    ("product.product", "currency_id"): "res.currency",
    ("product.product", "product_template_attribute_value_ids"): "product.template.attribute.value",
    ("product.template.attribute.value", "attribute_id"): "product.attribute",
    ("product.template.attribute.value", "product_attribute_value_id"): "product.attribute.value",
    ("product.category", "parent_id"): "product.category",
    ("product.pricelist", "currency_id"): "res.currency",
    ("product.pricelist.item", "pricelist_id"): "product.pricelist",
    ("product.pricelist.item", "currency_id"): "res.currency",
    ("product.pricelist.item", "product_id"): "product.product",
    ("product.pricelist.item", "product_tmpl_id"): "product.template",
    ("product.pricelist.item", "categ_id"): "product.category",
    ("stock.quant", "product_id"): "product.product",
    ("stock.quant", "location_id"): "stock.location",
    ("stock.move", "product_id"): "product.product",
    ("stock.location", "warehouse_id"): "stock.warehouse",
}
INVERSE = {("product.product", "stock_quant_ids"): "stock.quant", ("product.product", "stock_move_ids"): "stock.move"}
MODELS = sorted({model for model, _ in RELATIONS} | set(RELATIONS.values()) | {"ir.attachment"})
ARCHIVES = ("product.product", "product.template", "product.pricelist")
SHOWN_BY = {"stock.location": "complete_name", "product.category": "complete_name"}
OF_TEMPLATE = ("name", "sale_ok", "description_sale", "categ_id", "list_price", "currency_id")
_NO_RULE: Json = {
    "product_id": False,
    "product_tmpl_id": False,
    "categ_id": False,
    "base": "list_price",
    **dict.fromkeys(("fixed_price", "percent_price", "price_discount", "price_round", "price_surcharge"), 0.0),
    **dict.fromkeys(("price_min_margin", "price_max_margin", "min_quantity"), 0.0),
    "date_start": False,
    "date_end": False,
}
_TEST: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda one, many: one in many,
    "not in": lambda one, many: one not in many,
}


class Models:
    """The tables, id → row, with `write_date` as an aware time. `clock` tells it."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.rows: dict[str, dict[int, Json]] = {model: {} for model in MODELS}
        self.translations: dict[tuple[str, int, str], Json] = {}
        self._last = 0
        self.euro = self.put("res.currency", name="EUR")
        self.goods = self.put("product.category", name="Goods", complete_name="Goods", parent_id=False)
        self.warehouse = self.put("stock.warehouse", name="Main", code="WH")
        self.shelf = self.put("stock.location", complete_name="WH/Stock", usage="internal", warehouse_id=self.warehouse)
        self.customers = self.put("stock.location", complete_name="Customers", usage="customer", warehouse_id=False)

    # what people do

    def put(self, model: str, id: int = 0, **values: Any) -> int:
        """Make a record, or change the one with `id`; its id."""
        if not id:
            self._last += 1
            id = self._last
        self.rows[model].setdefault(id, {"id": id}).update(values, write_date=self.clock())
        return id

    def remove(self, model: str, id: int) -> None:
        """Delete a record: nothing is left of it."""
        del self.rows[model][id]

    def add_template(self, name: str, price: float = 10.0, category: int = 0) -> int:
        values: Json = {"sale_ok": True, "description_sale": False, "active": True, "list_price": price, "currency_id": self.euro}
        return self.put("product.template", name=name, categ_id=category or self.goods, **values)

    def add_product(self, sku: str, template: int = 0, values: Collection[int] = (), price: float = 10.0) -> int:
        """A variant, with a template of its own unless it is said to be one of another's."""
        template = template or self.add_template(sku.title(), price)
        about: Json = {"product_tmpl_id": template, "product_template_attribute_value_ids": list(values), "barcode": False, "active": True}
        return self.put("product.product", default_code=sku or False, **about)

    def add_value(self, attribute: str, value: str, extra: float = 0.0) -> int:
        """A value of a template's attribute."""
        one = self.put("product.attribute", name=attribute)
        other = self.put("product.attribute.value", name=value)
        return self.put("product.template.attribute.value", attribute_id=one, product_attribute_value_id=other, price_extra=extra)

    def add_pricelist(self, name: str, currency: int = 0) -> int:
        return self.put("product.pricelist", name=name, active=True, currency_id=currency or self.euro)

    def add_rule(self, pricelist: int, applied_on: str = "3_global", compute_price: str = "fixed", **values: Any) -> int:
        about = {"pricelist_id": pricelist, "currency_id": self.rows["product.pricelist"][pricelist]["currency_id"]}
        return self.put(
            "product.pricelist.item", **{**_NO_RULE, **about, "applied_on": applied_on, "compute_price": compute_price, **values}
        )

    def add_image(self, model: str, id: int, content: bytes) -> int:
        """An image of a variant or a template: over there, its only trace is the attachment."""
        field = "image_1920" if model == "product.template" else "image_variant_1920"
        held = next((row["id"] for row in self.rows["ir.attachment"].values() if (row["res_model"], row["res_id"]) == (model, id)), 0)
        checksum, datas = hashlib.sha1(content).hexdigest(), base64.b64encode(content).decode()
        about = {"res_model": model, "res_field": field, "res_id": id, "mimetype": "image/png", "checksum": checksum, "datas": datas}
        return self.put("ir.attachment", held, **about)

    def change_template(self, id: int, **values: Any) -> None:
        """A variant's own time of change stays as it is, as before Odoo 19."""
        self.put("product.template", id, **values)

    def move(self, product: int, quantity: float, *, location: int = 0, reserved: float = 0.0) -> None:
        """Stock comes or goes. A quant that is empty is deleted; a move stays."""
        place = location or self.shelf
        held = next((row for row in self.rows["stock.quant"].values() if (row["product_id"], row["location_id"]) == (product, place)), None)
        before = held or {"id": 0, "quantity": 0.0, "reserved_quantity": 0.0}
        after = {"quantity": before["quantity"] + quantity, "reserved_quantity": before["reserved_quantity"] + reserved}
        quant = self.put("stock.quant", before["id"], product_id=product, location_id=place, **after)
        self.put("stock.move", product_id=product)
        if not any(after.values()):
            self.remove("stock.quant", quant)

    # what is read

    def search_read(self, model: str, asked: Json) -> list[Json]:
        """By `domain`, `fields`, `limit`, `order` "id" and `context`. Raises KeyError for what is not there."""
        context = asked.get("context", {})
        domain, archived = asked.get("domain", []), not context.get("active_test", True)
        ids = [id for id in sorted(self.rows[model]) if archived or model not in ARCHIVES or self.rows[model][id]["active"]]
        found = [id for id in ids if self._meets(model, id, domain)]
        wanted = {"id", *asked["fields"]}
        return [{name: self._shown(model, id, name, context.get("lang")) for name in wanted} for id in found[: asked.get("limit") or None]]

    def _meets(self, model: str, id: int, domain: list[Any]) -> bool:
        """A domain is in prefix form; what has no operator between is joined by "&"."""
        stack: list[bool] = []
        for term in reversed(domain):
            if term in ("&", "|"):
                one, other = stack.pop(), stack.pop()
                stack.append((one and other) if term == "&" else (one or other))
            else:
                path, test, wanted = term
                stack.append(any(_TEST[test](value, wanted) for value in self._values(model, id, path.split("."))))
        return all(stack)

    def _values(self, model: str, id: int, path: list[str]) -> Iterator[Any]:
        name, *rest = path
        if rest and (model, name) in INVERSE:
            other = INVERSE[model, name]
            ids = [row["id"] for row in self.rows[other].values() if row["product_id"] == id]
        elif rest:
            other, value = RELATIONS[model, name], self._value(model, id, name)
            ids = value if isinstance(value, list) else [value] if value else []
        else:
            value = self._value(model, id, name)
            yield f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime) else value
            return
        for one in ids:
            yield from self._values(other, one, rest)

    def _value(self, model: str, id: int, name: str) -> Any:
        row = self.rows[model][id]
        if model == "product.product" and name in OF_TEMPLATE:
            return self.rows["product.template"][row["product_tmpl_id"]][name]
        if (model, name) == ("product.product", "lst_price"):
            extras = (self.rows["product.template.attribute.value"][one] for one in row["product_template_attribute_value_ids"])
            return self._value(model, id, "list_price") + sum(value["price_extra"] for value in extras)
        if (model, name) == ("product.template.attribute.value", "name"):
            return self.rows["product.attribute.value"][row["product_attribute_value_id"]]["name"]
        if (model, name) == ("product.category", "parent_path"):
            return (self._value(model, row["parent_id"], name) if row["parent_id"] else "") + f"{id}/"
        return row[name]

    def _shown(self, model: str, id: int, name: str, lang: str | None) -> Any:
        if lang and name in self.translations.get((model, id, lang), {}):
            return self.translations[model, id, lang][name]
        value = self._value(model, id, name)
        if (model, name) in RELATIONS and isinstance(value, int) and value:
            other = RELATIONS[model, name]
            return [value, self._value(other, value, SHOWN_BY.get(other, "default_code" if other == "product.product" else "name"))]
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value
