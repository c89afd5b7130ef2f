"""What a record wants of the shop: things of several kinds, their fields, and what those refer to; or why it cannot be had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Of(StrEnum):
    """What a thing of the shop is, in the order in which things are written: what is referred to comes first."""

    TERM = "term"
    ATTRIBUTE_VALUE = "attribute_value"
    MEDIA = "media"
    PRICE_LIST = "price_list"
    PRODUCT = "product"
    VARIATION = "variation"
    PROMOTION = "promotion"
    PRICE_LIST_ENTRY = "price_list_entry"
    TRANSLATION = "translation"


RANKS = {of: rank for rank, of in enumerate(Of)} | {Of.VARIATION: list(Of).index(Of.PRODUCT)}
"""The place of each in that order; a family of products and variations is written together."""
IN_BUNDLES = (Of.TERM, Of.ATTRIBUTE_VALUE, Of.MEDIA)
"""What is known by a code only inside its bundle (vocabulary, attribute, media type)."""

REFERS = "@refs"
FILE = "@file"
CONFIGURED = "@configured"
"""Keys of field values that are no plain data: references to things, a file of the source's, and what the shop's configuration
names (entity type and machine name, as ["user_role", "wholesale"])."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that is wanted. `fields` are by their name in the shop, as JSON; `cleared` are those without a value, with what says so:
    they are emptied where they had one. Without `makes` it is changed only if it is there; `on_gone` is what becomes of it when no
    source has it any more: unpublish, delete or keep."""

    of: Of
    key: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    bundle: str = "default"
    parent: str = ""
    makes: bool = True
    on_gone: str = "unpublish"
    cleared: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """`variation/S1`, `term/category/shirts`"""
        return name_of(self.of, self.key)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one record wants. `main` is what the record is about, which no other record of its feed may be."""

    main: Thing
    others: tuple[Thing, ...] = ()

    @property
    def things(self) -> tuple[Thing, ...]:
        return (*self.others, self.main)


@dataclass(frozen=True, slots=True)
class Reject:
    """Why a record cannot be written: the attribute, the rule, and the value as far as it helps (shortened, never a secret)."""

    attribute: str
    rule: str
    value: str = ""

    def __str__(self) -> str:
        shown = f": {self.value}" if self.value else ""
        return f"{self.attribute} {self.rule}{shown}"


def name_of(of: str, key: str) -> str:
    """How a thing is called wherever it is referred to."""
    return f"{of}/{key}"


def split_name(name: str) -> tuple[Of, str]:
    """The kind and the key of a thing's name."""
    of, _, key = name.partition("/")
    return Of(of), key


def refers_to(names: list[str], *, many: bool) -> dict[str, Any]:
    """A field's value that refers to things by their names."""
    return {REFERS: names, "many": many}


def references_in(fields: Mapping[str, Any]) -> Iterator[str]:
    """The names of every thing that some fields refer to."""
    for value in fields.values():
        if isinstance(value, Mapping) and REFERS in value:
            yield from value[REFERS]
