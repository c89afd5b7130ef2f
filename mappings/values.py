"""Values of a record as the shop's fields take them; each raises `Refused` with a plain reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from mappings.attributes import search
from mappings.money import NotMoney, is_currency, price, with_tax_as_wanted
from mappings.rules import Kind, Refused, Rule
from mappings.units import converted, unit_of

LONGEST = 100_000
"""Characters of a text; more is refused rather than cut."""
LARGEST = Decimal(10) ** 12
_MARKUP = re.compile(r"</?[a-zA-Z!][^<>]*>")
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def value_of(rule: Rule, value: Any, record: Any) -> Any:
    """A value that is there, read by its rule; `record` is where a price finds its currency and tax."""
    if rule.kind is Kind.PRICE:
        return _price(rule, value, record)
    return _READERS[rule.kind](rule, value)


def plain_text(rule: Rule, value: Any) -> str:
    """A text without markup."""
    text = _characters(rule, value)
    if _MARKUP.search(text):
        raise Refused(rule.source, 'holds markup: give the field type = "html", or take the markup out', value)
    return text


def exact(attribute: str, value: Any) -> Decimal:
    """An exact number."""
    if isinstance(value, bool | float):
        raise Refused(attribute, "is no exact number", value)
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise Refused(attribute, "is no number", value) from None
    if not number.is_finite() or abs(number) >= LARGEST:
        raise Refused(attribute, "is out of range", value)
    return number


def yes_or_no(attribute: str, value: Any) -> bool:
    """A yes or no in any of its usual words."""
    found = _WORDS.get(str(value).strip().lower())
    if found is None:
        raise Refused(attribute, "is neither true nor false", value)
    return found


def a_date(attribute: str, value: Any) -> str:
    """A date, or an instant as RFC 3339."""
    text = str(value).strip()
    try:
        if len(text) == 10:
            return date.fromisoformat(text).isoformat()
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(attribute, "is no date", value) from None
    if at.tzinfo is None:
        raise Refused(attribute, "is a time without its zone", value)
    return at.isoformat()


def _characters(rule: Rule, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Refused(rule.source, "is no text", value)
    text = str(value)
    if len(text) > LONGEST:
        raise Refused(rule.source, f"is longer than {LONGEST} characters", value)
    if any(broken in text for broken in ("\0", "\ufffd")) or (not text.isprintable() and _control(text)):
        raise Refused(rule.source, "holds broken characters")
    return text


def _control(text: str) -> bool:
    """Characters that no text has: controls but for tab and line ends, halves of surrogate pairs."""
    return any((ord(one) < 32 and one not in "\t\n\r") or ord(one) == 127 or 0xD800 <= ord(one) < 0xE000 for one in text)


def _html(rule: Rule, value: Any) -> dict[str, str]:
    return {"value": _characters(rule, value), "format": rule.format}


def _integer(rule: Rule, value: Any) -> int:
    number = exact(rule.source, value)
    if number != number.to_integral_value():
        raise Refused(rule.source, "is no whole number", value)
    return int(number)


def _decimal(rule: Rule, value: Any) -> str:
    return format(exact(rule.source, value).normalize(), "f")


def _measurement(rule: Rule, value: Any) -> dict[str, str]:
    amount, unit = (value.get("amount"), value.get("unit")) if isinstance(value, Mapping) else (value, rule.unit)
    number = exact(rule.source, amount)
    known = unit_of(str(unit or ""))
    if not known:
        raise Refused(rule.source, "has no known unit", unit)
    found = converted(number, known, rule.unit) if rule.unit else number
    if found is None:
        raise Refused(rule.source, f"cannot be told in {rule.unit}", unit)
    return {"number": format(found.normalize(), "f"), "unit": rule.unit or known}


def _price(rule: Rule, value: Any, record: Any) -> dict[str, str]:
    amount = exact(rule.source, value)
    currency = search(rule.currency, record)
    if not is_currency(currency):
        raise Refused(rule.currency, "is no currency code", currency)
    return money(rule, amount, currency, record)


def money(rule: Rule, amount: Decimal, currency: str, record: Any, included: Any = None) -> dict[str, str]:
    """A price with tax and rounding as the rule declares; `included` is what the price itself says of its tax, if it does."""
    if rule.tax:
        tax = rule.tax
        said = included if included is not None else search(tax.included, record)
        if said is None:
            raise Refused(tax.included, "does not say whether the price holds the tax")
        rate = _rate(rule, record)
        if amount < 0:
            raise Refused(rule.source, "is negative", amount)
        amount = with_tax_as_wanted(amount, want=tax.want, included=yes_or_no(tax.included, said), rate=rate)
    try:
        return price(amount, currency, rule.rounding)
    except NotMoney as error:
        raise Refused(rule.source, str(error), amount) from None


def _rate(rule: Rule, record: Any) -> Decimal:
    assert rule.tax is not None
    found = search(rule.tax.rate, record)
    if rule.tax.rates:
        if found not in rule.tax.rates:
            raise Refused(rule.tax.rate, "is no known tax class", found)
        found = rule.tax.rates[found]
    rate = exact(rule.tax.rate, found)
    if not 0 <= rate < 1:
        raise Refused(rule.tax.rate, "is no tax rate between 0 and 1", found)
    return rate


def _json(rule: Rule, value: Any) -> Any:
    """Structured data as it is, numbers as texts where JSON could not hold them exactly."""
    try:
        text = json.dumps(value, default=lambda one: format(one, "f") if isinstance(one, Decimal) else _no_json(rule))
    except (TypeError, ValueError, RecursionError):
        raise Refused(rule.source, "is no JSON") from None
    if len(text) > LONGEST:
        raise Refused(rule.source, f"is longer than {LONGEST} characters")
    return json.loads(text)


def _no_json(rule: Rule) -> Any:
    raise TypeError(rule.source)


_READERS: Mapping[Kind, Callable[[Rule, Any], Any]] = {
    Kind.TEXT: plain_text,
    Kind.HTML: _html,
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _decimal,
    Kind.BOOLEAN: lambda rule, value: yes_or_no(rule.source, value),
    Kind.DATE: lambda rule, value: a_date(rule.source, value),
    Kind.MEASUREMENT: _measurement,
    Kind.JSON: _json,
}
