"""What the simulated ERP holds against a posted order, field by field."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from mappings.canonical import Money, UnitPrice

_AMOUNT = re.compile(r"-?\d{1,12}(\.\d{1,6})?")
_ORDER = ("reference", "customer", "currency", "lines", "charges", "total")
_LINE = ("sku", "title", "quantity", "unit_price")
_CHARGE = ("kind", "label", "amount")
_TEXTS = ("reference", "currency", "sku", "title", "kind", "label", "name", "email")
_AMOUNTS = ("quantity", "unit_price", "amount", "total")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a document; `field` is a dotted path such as `lines.0.sku`."""

    field: str
    message: str


def problems(document: object, skus: Collection[str] | None) -> list[Problem]:
    """All that is wrong with a posted order, or nothing; `skus` are the known articles (None: any)."""
    found = list(_shape(document))
    if found or not isinstance(document, Mapping):
        return found
    return list(_meaning(document, skus))


def _shape(document: object) -> Iterator[Problem]:
    yield from _fields(document, _ORDER, "")
    if not isinstance(document, Mapping):
        return
    yield from _customer(document.get("customer"))
    for name, expected in (("lines", _LINE), ("charges", _CHARGE)):
        rows = document.get(name, [])
        if not isinstance(rows, list):
            yield Problem(name, "expected a list")
            continue
        for index, row in enumerate(rows):
            yield from _fields(row, expected, f"{name}.{index}.")
    if document.get("lines") == []:
        yield Problem("lines", "expected at least one")


def _customer(customer: object) -> Iterator[Problem]:
    if customer is None:
        return
    yield from _fields(customer, ("name", "email", "address"), "customer.")
    address = customer.get("address", {}) if isinstance(customer, Mapping) else {}
    if not isinstance(address, Mapping) or not all(isinstance(value, str) for value in address.values()):
        yield Problem("customer.address", "expected an object of texts")


def _fields(row: object, expected: tuple[str, ...], at: str) -> Iterator[Problem]:
    if not isinstance(row, Mapping):
        yield Problem(at.rstrip(".") or "document", "expected an object")
        return
    for name in expected:
        if name not in row:
            yield Problem(at + name, "missing")
        elif name in _TEXTS and (not isinstance(row[name], str) or (not row[name] and name not in ("name", "email"))):
            yield Problem(at + name, "expected a text")
        elif name in _AMOUNTS and not (isinstance(row[name], str) and _AMOUNT.fullmatch(row[name])):
            yield Problem(at + name, "expected a decimal number in a text")
    for name in sorted(set(row) - set(expected)):
        yield Problem(at + name, "unknown field")


def _meaning(document: Mapping[str, list[Mapping[str, str]]], skus: Collection[str] | None) -> Iterator[Problem]:
    for index, line in enumerate(document["lines"]):
        if skus is not None and line["sku"] not in skus:
            yield Problem(f"lines.{index}.sku", f"unknown sku {line['sku']}")
        if Decimal(line["quantity"]) <= 0:
            yield Problem(f"lines.{index}.quantity", "expected more than zero")
    currency = str(document["currency"])
    try:
        expected = _sum(document, currency)
        total = Money.of(str(document["total"]), currency)
    except ValueError as error:
        yield Problem("total", str(error))
        return
    if total != expected:
        yield Problem("total", f"{total.amount} does not equal lines and charges, {expected.amount}")


def _sum(document: Mapping[str, list[Mapping[str, str]]], currency: str) -> Money:
    total = Money(0, currency)
    for line in document["lines"]:
        total += UnitPrice(Decimal(line["unit_price"]), currency).times(Decimal(line["quantity"]))
    for charge in document["charges"]:
        total += Money.of(charge["amount"], currency)
    return total
