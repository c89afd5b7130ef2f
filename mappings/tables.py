"""The merchant's own tables: which attribute of a source becomes which field of the shop, as data.

A table is TOML (read by `table_files`); an attribute is found with jmespath (https://jmespath.org/specification.html). Applying a
table is pure: one decoded record in, the things that it wants out, or the reason why not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mappings import price_lists
from mappings.attributes import search
from mappings.price_lists import PriceLists
from mappings.rules import Kind, Refused, Rule
from mappings.values import value_of
from mappings.wanted import FILE, IN_BUNDLES, REFERS, Of, Reject, Thing, Wanted, name_of, refers_to

_CODE = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_LONGEST_KEY = 255
NAMED_BY = {Of.TERM: "name", Of.ATTRIBUTE_VALUE: "name", Of.MEDIA: "name"}
"""The field in which a thing that is made from a mere code says that code."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A bundle: always the same, or what `source` (a jmespath) finds, translated by `options`."""

    always: str = "default"
    source: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def of(self, record: Any) -> str:
        """The bundle of a record; raises `Refused`."""
        if not self.source:
            return self.always
        found = search(self.source, record)
        bundle = self.options.get(found, self.always) if self.options and isinstance(found, str) else found or self.always
        if not isinstance(bundle, str) or not bundle:
            raise Refused(self.source, "is no known bundle", found)
        return bundle


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table. `key` is a jmespath of what a record is known by (a variation's SKU); `product` of the product's code, for
    variations. `locales` are the source's locales of each language of the shop, in the order in which they are looked through."""

    name: str
    connection: str
    kind: str
    shop: str
    key: str
    rules: tuple[Rule, ...]
    of: Of = Of.VARIATION
    bundle: Choice = Choice()
    product: str = ""
    product_bundle: Choice = Choice()
    where: str = ""
    makes: bool = False
    on_gone: str = "unpublish"
    language: str = "en"
    locales: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    price_lists: PriceLists | None = None


def apply(table: Table, record: Any) -> Wanted | Reject | None:
    """What a decoded record wants, the first reason why not, or None for one that is not for this shop (`where`)."""
    try:
        if table.where and not search(table.where, record):
            return None
        return _Built(table, record).wanted()
    except Refused as refused:
        return refused.reject


class _Built:
    """What a record wants, rule by rule."""

    def __init__(self, table: Table, record: Any) -> None:
        self.table = table
        self.record = record
        self.fields: dict[Of, dict[str, Any]] = {table.of: {}, Of.PRODUCT: {}}
        self.translations: dict[tuple[Of, str], dict[str, Any]] = {}
        self.others: dict[str, Thing] = {}

    def wanted(self) -> Wanted:
        table, record = self.table, self.record
        code = identity(table.key, record)
        for rule in table.rules:
            self._take(rule)
        bundle = table.bundle.of(record)
        key = code if table.of not in IN_BUNDLES else f"{bundle}/{code}"
        fields = self.fields.pop(table.of)
        main = _thing(table.of, key, fields, bundle, parent=self._parent(), makes=table.makes, on_gone=table.on_gone)
        product = self._product(main)
        found = [*self.others.values(), *([product] if product else ())]
        for (of, language), fields in self.translations.items():
            if any(map(_is_there, fields.values())):
                found.append(_translated(main if of is table.of else product, language, fields))
        if table.price_lists:
            found += {one.name: one for one in price_lists.things(table.price_lists, code, record)}.values()
        return Wanted(main, tuple(found))

    def _parent(self) -> str:
        """The product of a variation."""
        if self.table.of is not Of.VARIATION or not self.table.makes:
            return ""
        return identity(self.table.product or self.table.key, self.record)

    def _product(self, main: Thing) -> Thing | None:
        if self.table.of is not Of.VARIATION or not any(rule.of is Of.PRODUCT for rule in self.table.rules):
            return None
        bundle = self.table.product_bundle.of(self.record)
        return _thing(Of.PRODUCT, main.parent, self.fields[Of.PRODUCT], bundle, on_gone=self.table.on_gone)

    def _take(self, rule: Rule) -> None:
        found = search(rule.source, self.record)
        if not rule.localized:
            self._set(self.fields[rule.of], rule, found)
            return
        if found is not None and not isinstance(found, Mapping):
            raise Refused(rule.source, "is not one value per locale", found)
        for language, locales in self.table.locales.items():
            value = next((found[one] for one in locales if found and found.get(one) not in (None, "")), None)
            if language == self.table.language:
                self._set(self.fields[rule.of], rule, value)
            else:
                self._set(self.translations.setdefault((rule.of, language), {}), replace(rule, required=False), value)

    def _set(self, fields: dict[str, Any], rule: Rule, found: Any) -> None:
        value = self._value(rule, found)
        fields[rule.target] = refers_to([], many=rule.many) if value is None and rule.refers else value

    def _value(self, rule: Rule, found: Any) -> Any:
        values = [one for one in (found if isinstance(found, list) and rule.many else [found]) if one is not None and one != ""]
        values = [self._option(rule, one) for one in values]
        if not values and rule.default is not None:
            values = rule.default if isinstance(rule.default, list) else [rule.default]
        if not values:
            if rule.required:
                raise Refused(rule.source, "is missing")
            return None
        if rule.refers:
            return refers_to([self._referred(rule, one) for one in values], many=rule.many)
        if rule.kind is Kind.FILE:
            return self._file(rule, values[0])
        read = [value_of(rule, one, self.record) for one in values]
        return read if rule.many else read[0]

    def _option(self, rule: Rule, value: Any) -> Any:
        if not rule.options or not isinstance(value, str):
            return value
        if value not in rule.options:
            raise Refused(rule.source, "is no known option", value)
        return rule.options[value]

    def _referred(self, rule: Rule, value: Any) -> str:
        """The name of what is referred to; made along with it where the table says so."""
        of, bundle = rule.refers_to
        code = _coded(rule.source, value)
        key = f"{bundle}/{code}" if of in IN_BUNDLES else code
        name = name_of(of, key)
        if rule.kind is Kind.MEDIA:
            file = {f"field_media_{bundle}": self._file(rule, code)}
            self.others[name] = Thing(of, key, {"name": code.rpartition("/")[2], **file}, bundle)
        elif rule.create:
            self.others[name] = Thing(of, key, {NAMED_BY[of]: code}, bundle, on_gone="keep")
        return name

    def _file(self, rule: Rule, value: Any) -> dict[str, str]:
        return {FILE: _coded(rule.source, value), "from": self.table.connection}


def _translated(original: Thing | None, language: str, fields: Mapping[str, Any]) -> Thing:
    assert original is not None  # a rule of the product makes one
    key = f"{original.name}@{language}"
    return _thing(Of.TRANSLATION, key, fields, original.bundle, parent=original.name, makes=original.makes, on_gone="delete")


def _thing(of: Of, key: str, fields: Mapping[str, Any], bundle: str, **more: Any) -> Thing:
    kept = {name: value for name, value in fields.items() if _is_there(value) or _is_emptied_list(value)}
    return Thing(of, key, kept, bundle, cleared={name: value for name, value in fields.items() if name not in kept}, **more)


def _is_there(value: Any) -> bool:
    return value is not None and not (isinstance(value, Mapping) and value.get(REFERS) == [])


def _is_emptied_list(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get(REFERS) == [] and bool(value.get("many"))


def identity(expression: str, record: Any) -> str:
    """What a record is known by; raises `Refused`."""
    return _coded(expression, search(expression, record))


def _coded(expression: str, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise Refused(expression, "is missing" if value in (None, "") else "is no code", value or None)
    if not _CODE.fullmatch(value.strip()) or not value.isprintable():
        raise Refused(expression, "is longer than 128 characters or holds control characters", value)
    return value.strip()


def made_by(table: Table) -> Iterator[tuple[Of, str, str, str]]:
    """(kind, bundle, field, language) of everything that a table feeds: what the register of owners holds. A bundle or language that
    depends on the record is "*"."""
    for rule in table.rules:
        bundle = _bundle(table.bundle if rule.of is table.of else table.product_bundle)
        yield rule.of, bundle, rule.target, table.language
        if rule.localized:
            yield from ((rule.of, bundle, rule.target, one) for one in table.locales if one != table.language)
        if rule.create or rule.kind is Kind.MEDIA:
            of, inner = rule.refers_to
            yield of, inner, NAMED_BY[of], table.language
        if rule.kind is Kind.MEDIA:
            yield Of.MEDIA, inner, f"field_media_{inner}", table.language
    if table.price_lists:
        yield from ((Of.PRICE_LIST, price_lists.BUNDLE, name, table.language) for name in price_lists.LIST_FIELDS)
        yield from ((Of.PRICE_LIST_ENTRY, price_lists.BUNDLE, name, table.language) for name in price_lists.ENTRY_FIELDS)


def _bundle(choice: Choice) -> str:
    return "*" if choice.source else choice.always
