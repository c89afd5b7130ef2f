"""One line of a merchant's table: where a value comes from, what it must be, and which field it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mappings.money import TaxRule
from mappings.wanted import Of, Reject


class Kind(StrEnum):
    """What a field wants of its value."""

    TEXT = "text"
    HTML = "html"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    PRICE = "price"
    MEASUREMENT = "measurement"
    REFERENCE = "reference"
    MEDIA = "media"
    FILE = "file"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Rule:
    """`source` is a jmespath, `options` translate a source's words, `default` stands for nothing. `refers` is the kind and bundle of
    what a reference names ("term/category"), which `create` also makes; a `localized` value is one per locale."""

    target: str
    source: str
    kind: Kind = Kind.TEXT
    of: Of = Of.VARIATION
    required: bool = False
    default: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    currency: str = ""
    rounding: str = ""
    tax: TaxRule | None = None
    unit: str = ""
    format: str = "basic_html"
    refers: str = ""
    many: bool = False
    create: bool = False
    localized: bool = False

    @property
    def refers_to(self) -> tuple[Of, str]:
        """The kind and bundle of what it names: ("term", "category"), ("product", "")."""
        of, _, bundle = self.refers.partition("/")
        return Of(of), bundle


class Refused(Exception):
    """A value that cannot be had."""

    def __init__(self, attribute: str, rule: str, value: Any = None) -> None:
        super().__init__(rule)
        self.reject = Reject(attribute, rule, "" if value is None else shown(value))


def shown(value: Any) -> str:
    """A value as far as it helps."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}… ({len(text)} characters)"
