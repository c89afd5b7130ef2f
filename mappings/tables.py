"""The merchant's own tables: which attribute of a source becomes which field of the shop, as data.

A table is TOML (`mappings/tables/*.toml`); an attribute is found with jmespath (https://jmespath.org/specification.html). Applying a
table is pure: one decoded record in, what is wanted of a product and a variation out, or the reason why not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from mappings.canonical import ISO_EXPONENTS

_LONGEST = 100_000
"""Characters of a text; more is refused rather than cut."""
_SKU = re.compile(r"[^\x00-\x1f\x7f]{1,128}")


class Kind(StrEnum):
    """What a field wants of its value."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    PRICE = "price"


class Of(StrEnum):
    """What an entity of the shop is."""

    PRODUCT = "product"
    VARIATION = "variation"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a table: `source` is a jmespath, `options` translate a source's words, `default` stands for nothing."""

    target: str
    source: str
    kind: Kind
    of: Of
    required: bool = False
    default: Any = None
    currency: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table. `sku` and `product` are jmespaths of the identities; `link` is a prefix of upstream ids."""

    name: str
    connection: str
    kind: str
    shop: str
    sku: str
    product: str
    rules: tuple[Rule, ...]
    product_type: str = "default"
    variation_type: str = "default"

    @property
    def makes(self) -> bool:
        """Whether it may make products: a table of prices or stock only changes what is there."""
        return any(rule.of is Of.PRODUCT for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one record wants: fields by their Drupal name, as JSON."""

    sku: str
    product: str
    product_fields: Mapping[str, Any]
    variation_fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reject:
    """Why a record cannot be written: the attribute, the rule, and the value as far as it helps (shortened, never a secret)."""

    attribute: str
    rule: str
    value: str = ""

    def __str__(self) -> str:
        shown = f": {self.value}" if self.value else ""
        return f"{self.attribute} {self.rule}{shown}"


class TableMistake(ValueError):
    """A table that cannot be used; `mistakes` are lines of key and what is expected."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


def read(name: str, raw: Mapping[str, Any]) -> Table:
    """A table from its parsed TOML; raises `TableMistake` with every mistake."""
    mistakes: list[str] = []
    rules = [_rule(index, one, mistakes) for index, one in enumerate(raw.get("fields", []))]
    for key in ("connection", "kind", "shop", "sku"):
        if not isinstance(raw.get(key), str) or not raw[key]:
            mistakes.append(f"{key}: missing; expected a text")
    for key in ("sku", "product"):
        _compiled(str(raw.get(key, "")) or "@", key, mistakes)
    if not rules and not mistakes:
        mistakes.append("fields: expected at least one")
    seen = [(rule.of, rule.target) for rule in rules if rule]
    mistakes += [f"fields: {target} of the {of} is fed twice" for of, target in sorted(set(seen)) if seen.count((of, target)) > 1]
    if mistakes:
        raise TableMistake(mistakes)
    return Table(
        name,
        raw["connection"],
        raw["kind"],
        raw["shop"],
        raw["sku"],
        raw.get("product", "") or raw["sku"],
        tuple(rule for rule in rules if rule),
        raw.get("product_type", "default"),
        raw.get("variation_type", "default"),
    )


def apply(table: Table, record: Any) -> Wanted | Reject:
    """What a decoded record wants, or the first reason why not."""
    try:
        sku = _identity(table.sku, record, "sku")
        product = _identity(table.product, record, "product")
        found: dict[Of, dict[str, Any]] = {Of.PRODUCT: {}, Of.VARIATION: {}}
        for rule in table.rules:
            value = _value(rule, record)
            if value is not None:
                found[rule.of][rule.target] = value
    except _Refused as refused:
        return refused.reject
    return Wanted(sku, product, found[Of.PRODUCT], found[Of.VARIATION])


class _Refused(Exception):
    def __init__(self, attribute: str, rule: str, value: Any = None) -> None:
        self.reject = Reject(attribute, rule, "" if value is None else _shown(value))


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}… ({len(text)} characters)"


def _rule(index: int, raw: Mapping[str, Any], mistakes: list[str]) -> Rule | None:
    where = f"fields[{index}]"
    target, source = raw.get("to"), raw.get("from")
    if not isinstance(target, str) or not isinstance(source, str):
        mistakes.append(f"{where}: expected to = 'field' and from = 'attribute'")
        return None
    _compiled(source, f"{where}.from", mistakes)
    try:
        kind, of = Kind(raw.get("type", "text")), Of(raw.get("of", "variation"))
    except ValueError as error:
        mistakes.append(f"{where}: {error}; expected type {', '.join(Kind)} and of {', '.join(Of)}")
        return None
    if kind is Kind.PRICE and not raw.get("currency"):
        mistakes.append(f"{where}.currency: missing; a price needs one (a jmespath, or a code in single quotes)")
        return None
    return Rule(
        target, source, kind, of, bool(raw.get("required")), raw.get("default"), str(raw.get("currency", "")), dict(raw.get("options", {}))
    )


def _compiled(expression: str, where: str, mistakes: list[str]) -> None:
    try:
        jmespath.compile(expression)
    except JMESPathError as error:
        mistakes.append(f"{where}: {expression!r} is no jmespath ({type(error).__name__})")


def _identity(expression: str, record: Any, name: str) -> str:
    value = jmespath.search(expression, record)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise _Refused(name, "is missing")
    if not _SKU.fullmatch(value.strip()):
        raise _Refused(name, "is longer than 128 characters or holds control characters", value)
    return value.strip()


def _value(rule: Rule, record: Any) -> Any:
    value = jmespath.search(rule.source, record)
    if isinstance(value, str) and rule.options:
        if value not in rule.options:
            raise _Refused(rule.source, "is no known option", value)
        value = rule.options[value]
    if value is None or value == "":
        value = rule.default
    if value is None or value == "":
        if rule.required:
            raise _Refused(rule.source, "is missing")
        return None
    if rule.kind is Kind.PRICE:
        return _price(rule, value, record)
    return _READERS[rule.kind](rule, value)


def _text(rule: Rule, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise _Refused(rule.source, "is no text", value)
    text = str(value)
    if len(text) > _LONGEST:
        raise _Refused(rule.source, f"is longer than {_LONGEST} characters", value)
    if "\0" in text or "\ufffd" in text:
        raise _Refused(rule.source, "holds broken characters")
    return text


def _decimal(rule: Rule, value: Any) -> Decimal:
    if isinstance(value, bool | float):
        raise _Refused(rule.source, "is no exact number", value)
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise _Refused(rule.source, "is no number", value) from None
    if not number.is_finite() or abs(number) >= Decimal(10) ** 12:
        raise _Refused(rule.source, "is out of range", value)
    return number


def _number(rule: Rule, value: Any) -> str:
    return format(_decimal(rule, value).normalize(), "f")


def _integer(rule: Rule, value: Any) -> int:
    number = _decimal(rule, value)
    if number != number.to_integral_value():
        raise _Refused(rule.source, "is no whole number", value)
    return int(number)


def _boolean(rule: Rule, value: Any) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    found = known.get(str(value).strip().lower())
    if found is None:
        raise _Refused(rule.source, "is neither true nor false", value)
    return found


def _price(rule: Rule, value: Any, record: Any) -> dict[str, str]:
    amount = _decimal(rule, value)
    currency = jmespath.search(rule.currency, record)
    if not isinstance(currency, str) or not re.fullmatch(r"[A-Z]{3}", currency):
        raise _Refused(rule.currency, "is no currency code", currency)
    if amount < 0:
        raise _Refused(rule.source, "is negative", value)
    if -int(amount.normalize().as_tuple().exponent) > max(
        ISO_EXPONENTS.get(currency, 2), 0
    ):  # the shop would keep it, and round it anywhere
        raise _Refused(rule.source, f"is finer than {currency} allows", value)
    return {"number": format(amount.normalize(), "f"), "currency_code": currency}


_READERS: Mapping[Kind, Callable[[Rule, Any], Any]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _number,
    Kind.BOOLEAN: _boolean,
}
