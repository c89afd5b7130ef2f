"""Pimcore's DataHub: the query that a class of objects is read with, and its objects as plain data for the mapping tables.

https://docs.pimcore.com/platform/Datahub/GraphQL/ - the schema follows from the classes, so the fields' names are options.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError

Json = dict[str, Any]
NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
"""A GraphQL name: what may stand for a class or a field."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of one class. `names` are our word → its field, translated where `languages` are; `attributes` and `media` are
    selections of GraphQL; `categories` is a relation to objects of another class."""

    of: str
    names: Mapping[str, str]
    languages: Sequence[str] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    media: Sequence[str] = ()
    categories: tuple[str, str] | None = None
    unpublished: bool = True


TRANSLATED = ("name", "description")


def query(reading: Reading) -> str:
    """The listing of a class by id; its variables are `filter`, `ids` and `first`. What is asked for under a name of ours:
    n_WORD, l_LANGUAGE_WORD, a_NUMBER, m_NUMBER, c."""
    on = f"... on object_{reading.of}"
    parts = [f"n_{word}: {name}" for word, name in reading.names.items() if name]
    for number, language in enumerate(reading.languages):
        translated = {word: reading.names.get(word) for word in TRANSLATED}
        parts += [f'l_{number}_{word}: {name}(language: "{language}")' for word, name in translated.items() if name]
    parts += [f"a_{number}: {selection}" for number, selection in enumerate(reading.attributes.values())]
    parts += [f"m_{number}: {selection}" for number, selection in enumerate(reading.media)]
    if reading.categories:
        parts.append("c: {} {{ ... on object_{} {{ id }} }}".format(*reading.categories))
    above = f"id n_name: {reading.names['name']}" if reading.names.get("name") else "id"
    parts.append(f"parent {{ {on} {{ {above} parent {{ {on} {{ {above} }} }} }} }}")
    parts.append(f'children(objectTypes: ["object", "variant"]) {{ {on} {{ id }} }}')
    published = "published: false, " if reading.unpublished else ""
    seen = "published " if reading.unpublished else ""
    arguments = f'first: $first, filter: $filter, ids: $ids, {published}sortBy: "{{sort}}", sortOrder: "ASC"'
    body = f"totalCount edges {{ node {{ id {seen}{' '.join(parts)} }} }}"
    listing = f"get{reading.of[:1].upper()}{reading.of[1:]}Listing"
    return f"query($first: Int, $filter: String, $ids: String) {{ listing: {listing}({arguments}) {{ {body} }} }}"


def number_of(node: Any) -> int:
    """An object's id; raises ValueError, TypeError or LookupError for none."""
    found = int(node["id"])
    if found <= 0:
        raise ValueError("an id is above zero")
    return found


def children_of(node: Mapping[str, Any]) -> list[int]:
    """The ids of an object's own children and variants; a child of another class is an empty object."""
    return sorted(number_of(child) for child in node["children"] or [] if child)


def shaped(node: Mapping[str, Any], reading: Reading) -> Json:
    """What a record keeps of an object: not its children, and nothing of the names that the query gave. Raises TypeError,
    LookupError, ValueError or AttributeError for another form."""
    translations = {
        language: {word: node[f"l_{number}_{word}"] for word in TRANSLATED if reading.names.get(word)}
        for number, language in enumerate(reading.languages)
    }
    return {
        "id": number_of(node),
        "published": node["published"] if reading.unpublished else True,
        "fields": {word: node[f"n_{word}"] for word, name in reading.names.items() if name},
        "attributes": {name: node[f"a_{number}"] for number, name in enumerate(reading.attributes)},
        "translations": translations,
        "media": [one for number in range(len(reading.media)) for one in _files(node[f"m_{number}"])],
        "categories": [number_of(one) for one in node["c"] or [] if one] if reading.categories else [],
        "parents": list(_parents(node)),
    }


def _parents(node: Mapping[str, Any]) -> Iterator[Json]:
    """The objects of the same class above, nearest first; a folder is an empty object."""
    parent = node.get("parent")
    while parent:
        yield {"id": number_of(parent), "name": parent.get("n_name")}
        parent = parent.get("parent")


def _files(value: Any) -> Iterator[str]:
    """Each file in a selection, as its id and path: "4/Cars/red.jpg"."""
    if isinstance(value, list):
        for one in value:
            yield from _files(one)
    elif isinstance(value, Mapping) and "fullpath" in value:
        yield f"{number_of(value)}/{str(value['fullpath']).lstrip('/')}"
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _files(one)


def product(raw: Any) -> Json:
    """A sellable object: one without children. Its product is the topmost object of its class above it. Raises marshmallow's
    ValidationError."""
    found = _table(raw)
    values = _part(found, "fields")
    sku = _text(values.get("sku"), "fields.sku")
    if not sku:
        raise ValidationError({"fields.sku": ["is empty: the object has no SKU"]})
    parents = found.get("parents") or [{}]
    if not isinstance(parents, list) or not isinstance(parents[-1], Mapping):
        raise ValidationError({"parents": ["expected objects"]})
    name, top = _text(values.get("name"), "fields.name"), parents[-1]
    translations = _part(found, "translations")
    return {
        "sku": sku,
        "product": str(top["id"]) if top.get("id") else sku,
        "name": name,
        "product_name": _text(top.get("name"), "parents.name") or name,
        "description": _text(values.get("description"), "fields.description"),
        "active": found.get("published") is True,
        "attributes": dict(_part(found, "attributes")),
        "categories": [str(one) for one in _list(found, "categories")],
        "translations": {code: _translated(code, one) for code, one in translations.items()},
        "media": [_text(one, "media") for one in _list(found, "media")],
    }


def category(raw: Any) -> Json:
    """A category by its id; raises marshmallow's ValidationError."""
    found = _table(raw)
    if not isinstance(found.get("id"), int):
        raise ValidationError({"id": ["expected an id"]})
    parents = _list(found, "parents")
    return {
        "code": str(found["id"]),
        "name": _text(_part(found, "fields").get("name"), "fields.name"),
        "parent": str(_table(parents[0]).get("id")) if parents else None,
        "active": found.get("published") is True,
        "translations": {code: _translated(code, one) for code, one in _part(found, "translations").items()},
    }


def _translated(code: str, raw: Any) -> Json:
    if not isinstance(raw, Mapping):
        raise ValidationError({f"translations.{code}": ["expected an object"]})
    return {word: _text(raw.get(word), f"translations.{code}.{word}") for word in TRANSLATED}


def _text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValidationError({name: ["expected text"]})
    return str(value)


def _table(raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ValidationError("expected an object")
    return raw


def _part(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if not isinstance(raw.get(name), Mapping):
        raise ValidationError({name: ["expected an object"]})
    return raw[name]  # type: ignore[no-any-return]


def _list(raw: Mapping[str, Any], name: str) -> list[Any]:
    if not isinstance(raw.get(name), list):
        raise ValidationError({name: ["expected a list"]})
    return raw[name]  # type: ignore[no-any-return]
