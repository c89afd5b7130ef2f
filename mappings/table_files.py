"""A merchant's table from its parsed TOML, or every mistake in it at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from jmespath.exceptions import JMESPathError

from mappings.attributes import compiled
from mappings.money import ROUNDINGS, Tax, TaxRule
from mappings.price_lists import PriceLists
from mappings.rules import Kind, Rule
from mappings.tables import Choice, Table
from mappings.units import unit_of
from mappings.wanted import IN_BUNDLES, Of

ON_GONE = ("unpublish", "delete", "keep")
_KEYS = {
    *("connection", "kind", "shop", "of", "key", "sku", "bundle", "product", "product_type", "variation_type"),
    *("where", "makes", "on_gone", "language", "locales", "price_lists", "fields"),
}
_RULE_KEYS = {
    *("to", "from", "of", "type", "required", "default", "options", "currency", "round", "tax", "unit", "format"),
    *("refers", "many", "create", "localized"),
}
_Word = TypeVar("_Word")
_WITHOUT_STATUS = (Of.ATTRIBUTE_VALUE, Of.PRICE_LIST_ENTRY)


class TableMistake(ValueError):
    """A table that cannot be used; `mistakes` are lines of key and what is expected."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


def read(name: str, raw: Mapping[str, Any]) -> Table:
    """A table from its parsed TOML; raises `TableMistake` with every mistake."""
    reading = _Reading(raw)
    table = reading.table(name)
    if reading.mistakes or table is None:
        raise TableMistake(reading.mistakes)
    return table


class _Reading:
    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.mistakes: list[str] = []

    def wrong(self, key: str, said: str) -> None:
        self.mistakes.append(f"{key}: {said}")

    def table(self, name: str) -> Table | None:
        raw = self.raw
        for key in sorted(set(raw) - _KEYS):
            self.wrong(key, "unknown")
        for key in ("connection", "kind", "shop"):
            self._text(raw, key)
        of = self._one_of(Of, raw.get("of", "variation"), "of")
        key = self._jmespath(raw, "sku" if "sku" in raw or of is Of.VARIATION else "key", needed=True)
        if of is Of.TRANSLATION:
            self.wrong("of", "translations are made by `localized` fields")
        locales = self._locales()
        rules = tuple(rule for index, one in enumerate(raw.get("fields", [])) if (rule := self._rule(index, one, of or Of.VARIATION)))
        self._check_rules(rules, locales)
        if self.mistakes or of is None:
            return None
        has_product = any(rule.of is Of.PRODUCT for rule in rules)
        bundle_key = "variation_type" if of is Of.VARIATION else "product_type" if of is Of.PRODUCT else "bundle"
        return Table(
            name,
            raw["connection"],
            raw["kind"],
            raw["shop"],
            key,
            rules,
            of,
            self._choice(bundle_key),
            self._jmespath(raw, "product"),
            self._choice("product_type"),
            self._jmespath(raw, "where"),
            bool(raw.get("makes", has_product if of is Of.VARIATION else True)),
            raw.get("on_gone", "delete" if of in _WITHOUT_STATUS else "unpublish"),
            raw.get("language", "en"),
            locales,
            self._price_lists(),
        )

    def _check_rules(self, rules: tuple[Rule, ...], locales: Mapping[str, Any]) -> None:
        if not rules and not self.mistakes and "price_lists" not in self.raw:
            self.wrong("fields", "expected at least one")
        seen = [(rule.of, rule.target) for rule in rules]
        for of, target in sorted({one for one in seen if seen.count(one) > 1}):
            self.wrong("fields", f"{target} of the {of} is fed twice")
        if self.raw.get("on_gone", "keep") not in ON_GONE:
            self.wrong("on_gone", f"expected one of {', '.join(ON_GONE)}")
        if any(rule.localized for rule in rules) and self.raw.get("language", "en") not in locales:
            self.wrong("locales", f"expected the source's locales of {self.raw.get('language', 'en')!r}, the shop's own language")

    def _locales(self) -> dict[str, tuple[str, ...]]:
        raw = self.raw.get("locales", {})
        if not isinstance(raw, Mapping) or not all(isinstance(one, list) and one for one in raw.values()):
            self.wrong("locales", 'expected lists, as { en = ["en_US", "en_GB"], de = ["de_DE"] }')
            return {}
        return {language: tuple(map(str, chain)) for language, chain in raw.items()}

    def _choice(self, key: str) -> Choice:
        raw = self.raw.get(key, "default")
        if isinstance(raw, str) and raw:
            return Choice(raw)
        if isinstance(raw, Mapping) and isinstance(raw.get("from"), str):
            return Choice(raw.get("default", ""), self._jmespath(raw, "from", within=key), dict(raw.get("options", {})))
        self.wrong(key, "expected a text, or { from = 'attribute', options = { … }, default = '…' }")
        return Choice()

    def _rule(self, index: int, raw: Mapping[str, Any], main: Of) -> Rule | None:
        where, before = f"fields[{index}]", len(self.mistakes)
        if not isinstance(raw.get("to"), str) or not isinstance(raw.get("from"), str):
            self.wrong(where, "expected to = 'field' and from = 'attribute'")
            return None
        for key in sorted(set(raw) - _RULE_KEYS):
            self.wrong(f"{where}.{key}", "unknown")
        kind = self._one_of(Kind, raw.get("type", "text"), f"{where}.type")
        of = self._one_of(Of, raw.get("of", main), f"{where}.of")
        if kind is None or of is None:
            return None
        if of not in (main, Of.PRODUCT) or (of is Of.PRODUCT and main not in (Of.PRODUCT, Of.VARIATION)):
            self.wrong(f"{where}.of", f"expected {main}" + (" or product" if main is Of.VARIATION else ""))
        self._jmespath(raw, "from", within=where)
        self._check_kind(where, raw, kind)
        if len(self.mistakes) > before:
            return None
        return Rule(
            raw["to"],
            raw["from"],
            kind,
            of,
            bool(raw.get("required")),
            raw.get("default"),
            dict(raw.get("options", {})),
            str(raw.get("currency", "")),
            str(raw.get("round", "")),
            self._tax(where, raw),
            str(raw.get("unit", "")),
            str(raw.get("format", "basic_html")),
            str(raw.get("refers", "media/image" if kind is Kind.MEDIA else "")),
            bool(raw.get("many")),
            bool(raw.get("create")),
            bool(raw.get("localized")),
        )

    def _check_kind(self, where: str, raw: Mapping[str, Any], kind: Kind) -> None:
        if kind is Kind.PRICE:
            if not raw.get("currency"):
                self.wrong(f"{where}.currency", "missing; a price needs one (a jmespath, or a code in single quotes)")
            self._jmespath(raw, "currency", within=where)
        if raw.get("round", "half_up") not in ROUNDINGS:
            self.wrong(f"{where}.round", f"expected one of {', '.join(ROUNDINGS)}")
        if raw.get("unit") and not unit_of(str(raw["unit"])):
            self.wrong(f"{where}.unit", f"{raw['unit']!r} is no known unit")
        if kind in (Kind.REFERENCE, Kind.MEDIA):
            self._check_reference(where, str(raw.get("refers", "media/image" if kind is Kind.MEDIA else "")), bool(raw.get("create")))

    def _check_reference(self, where: str, refers: str, create: bool) -> None:
        name, _, bundle = refers.partition("/")
        if name not in list(Of) or name == Of.TRANSLATION:
            self.wrong(f"{where}.refers", "expected what it refers to, as term/category, attribute_value/color, media/image or product")
        elif (Of(name) in IN_BUNDLES) != bool(bundle):
            self.wrong(f"{where}.refers", f"expected {name}{'' if bundle else '/' + 'bundle'}")
        elif create and Of(name) not in IN_BUNDLES:
            self.wrong(f"{where}.create", f"a {name} cannot be made of its code alone")

    def _tax(self, where: str, raw: Mapping[str, Any]) -> TaxRule | None:
        found = raw.get("tax")
        if found is None:
            return None
        if not isinstance(found, Mapping) or not {"want", "included", "rate"} <= set(found):
            self.wrong(f"{where}.tax", "expected { want = 'included', included = …, rate = … }")
            return None
        want = self._one_of(Tax, found["want"], f"{where}.tax.want")
        included, rate = (_literal(found[key]) for key in ("included", "rate"))
        for key, expression in (("included", included), ("rate", rate)):
            self._compiled(expression, f"{where}.tax.{key}")
        return None if want is None else TaxRule(want, included, rate, {k: str(v) for k, v in found.get("rates", {}).items()})

    def _price_lists(self) -> PriceLists | None:
        raw = self.raw.get("price_lists")
        if raw is None:
            return None
        rule = Rule("price", self._jmespath(raw, "from", within="price_lists", needed=True), Kind.PRICE, rounding=str(raw.get("round", "")))
        rule = Rule(rule.target, rule.source, Kind.PRICE, rounding=rule.rounding, tax=self._tax("price_lists", raw))
        return PriceLists(rule.source, rule, dict(raw.get("names", {})), dict(raw.get("roles", {})))

    def _text(self, raw: Mapping[str, Any], key: str) -> None:
        if not isinstance(raw.get(key), str) or not raw[key]:
            self.wrong(key, "missing; expected a text")

    def _jmespath(self, raw: Mapping[str, Any], key: str, *, within: str = "", needed: bool = False) -> str:
        expression = raw.get(key, "")
        where = f"{within}.{key}" if within else key
        if not isinstance(expression, str) or (needed and not expression):
            self.wrong(where, "missing; expected a text")
            return ""
        if expression:
            self._compiled(expression, where)
        return expression

    def _compiled(self, expression: str, where: str) -> None:
        try:
            compiled(expression)
        except JMESPathError as error:
            self.wrong(where, f"{expression!r} is no jmespath ({type(error).__name__})")

    def _one_of(self, words: type[_Word], word: Any, where: str) -> _Word | None:
        try:
            return words(word)  # type: ignore[call-arg]
        except ValueError:
            self.wrong(where, f"{word!r}; expected one of {', '.join(map(str, words))}")  # type: ignore[call-overload]
            return None


def _literal(value: Any) -> str:
    """A jmespath; `true`, `false` and numbers of the TOML mean themselves."""
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    return value if isinstance(value, str) and not value.replace(".", "", 1).isdigit() else f"'{value}'"
