"""The prices of products as Tryton computes them: its list price, and each active price list at every quantity and day that matters."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from mappings import tryton_feeds as words
from mappings import tryton_prices as lists
from mappings.tryton import Amount, CurrencySchema
from middleware.errors import Rejected
from middleware.wire.tryton import Rest

LISTS, DATES = "product_price_list", "product_price_list_dates"
"""Modules of Tryton."""
_AMOUNT = Amount(allow_none=True)


@dataclass(slots=True)
class PriceLists:
    """The price lists of one company, by their names in a language."""

    rest: Rest
    company: int
    language: str = "en"

    def changed(self, since: datetime) -> bool:
        """Whether a list has changed since, or a line that is for more than one product."""
        change = words.changed(("",), since)
        if self.rest.read("product.price_list", [change, self._ours("company")], (), size=1, context={"active_test": False}):
            return True
        domain = [change, self._ours("price_list.company"), ["product", "=", None]]
        return bool(self.rest.read("product.price_list.line", domain, (), size=1))

    def priced(self, products: list[dict[str, Any]], modules: Collection[str]) -> list[dict[str, Any]]:
        """Products with all of their prices. What is over by yesterday is left out. Raises marshmallow's ValidationError for what
        is none of Tryton's."""
        currency = self._currency()
        made = {one["id"]: {"id": one["id"], "code": one["code"], "prices": []} for one in products}
        base: dict[str, Any] = {"list": "", "list_id": "", "tax_included": False, "currency": currency}
        for one in products:
            asked = {(lists.Span(), lists.ONE): _amount(one)}
            made[one["id"]]["prices"] += [{**base, **offer} for offer in lists.offers(asked)]
        if LISTS not in modules:
            return list(made.values())
        found = self.rest.read("product.price_list", [self._ours("company")], ("name", "tax_included", "unit"), language=self.language)
        lines = self._lines([one["id"] for one in found], list(made), DATES in modules)
        for one in found:
            head: dict[str, Any] = {
                "list": one["name"],
                "list_id": str(one["id"]),
                "tax_included": bool(one["tax_included"]),
                "currency": currency,
            }
            for ratio, ids in lists.by_ratio(products, one["unit"]).items():
                for product, offers in self._offers(one["id"], ids, lists.of_products(lines, one["id"], ids), ratio).items():
                    made[product]["prices"] += [{**head, **offer} for offer in offers]
        return list(made.values())

    def _offers(self, price_list: int, ids: list[int], lines: list[lists.Line], ratio: Decimal) -> dict[int, list[dict[str, Any]]]:
        asked: dict[int, dict[tuple[lists.Span, Decimal], Decimal | None]] = {product: {} for product in ids}
        for span in lists.spans(lines, _yesterday()) if lines else []:
            for quantity in lists.steps(lines, ratio):
                context: dict[str, Any] = {"active_test": False, "price_list": price_list, "quantity": float(quantity)}
                context |= {"date": lists.date_value(span.day)} if span.day else {}
                for one in self.rest.read("product.product", [["id", "in", ids]], ("sale_price_uom",), context=context):
                    asked[one["id"]][span, quantity] = _amount(one)
        return {product: lists.offers(answers) for product, answers in asked.items()}

    def _lines(self, price_lists: list[int], products: list[int], has_dates: bool) -> list[lists.Line]:
        domain = [["price_list", "in", price_lists], ["OR", ["product", "=", None], ["product", "in", products]]]
        fields = ("price_list", "product", "quantity", *(("start_date", "end_date") if has_dates else ()))
        return [lists.line(one) for one in self.rest.read("product.price_list.line", domain, fields)]

    def _currency(self) -> str:
        found = self.rest.read("company.company", [["id", "=", self.company]], ("currency.code",))
        if not found:
            raise Rejected("Tryton has no company with this id", field="options.company")
        return str(CurrencySchema().load(found[0]["currency"])["code"])

    def _ours(self, field: str) -> list[Any]:
        return [field, "=", self.company]


def _amount(product: dict[str, Any]) -> Decimal | None:
    found: Decimal | None = _AMOUNT.deserialize(product["sale_price_uom"])
    return found


def _yesterday() -> date:
    """A price list's days are those of the company's time zone, which may be a day behind."""
    return datetime.now(UTC).date() - timedelta(days=1)
