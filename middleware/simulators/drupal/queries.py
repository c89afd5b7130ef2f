"""The query string of a JSON:API request: PHP's brackets, Drupal's filters, sorting and paging."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

from middleware.simulators.drupal.entities import Entities, Entity
from middleware.simulators.drupal.problems import Problem
from middleware.simulators.drupal.resource_types import Kind, ResourceType

PAGE_SIZE = 50
_KNOWN = frozenset({"fields", "filter", "include", "page", "sort", "resourceVersion"})

Params = dict[str, Any]
Types = dict[str, ResourceType]


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter; `value` is text, or a list of texts."""

    path: str
    operator: str
    value: Any


def parse(query: str) -> Params:
    """A query string to nested dictionaries, as PHP reads brackets; `[]` counts up."""
    params: Params = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        parts = [key.split("[", 1)[0], *re.findall(r"\[([^\]]*)\]", key)]
        at = params
        for part in parts[:-1]:
            at = at.setdefault(part or str(len(at)), {})
        at[parts[-1] or str(len(at))] = value
    return params


def build(params: Params) -> str:
    """The query string of nested dictionaries, encoded as RFC 3986 says."""
    return "&".join(f"{quote(key, safe='.-_~')}={quote(str(value), safe='.-_~')}" for key, value in _flat(params))


def normalized(params: Params) -> str:
    """`?` and the query with its top level sorted, or nothing: what a `self` link shows."""
    return "?" + build(dict(sorted(params.items()))) if params else ""


def _flat(params: Params, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in params.items():
        name = f"{prefix}[{key}]" if prefix else key
        if isinstance(value, dict):
            yield from _flat(value, name)
        else:
            yield name, value


def check_names(params: Params) -> None:
    """Refuse parameters that JSON:API reserves for itself."""
    wrong = [name for name in params if name not in _KNOWN and re.fullmatch("[a-z]+", name)]
    if wrong:
        names = ", ".join(repr(name) for name in wrong)
        detail = f"The following query parameters violate the JSON:API spec: {names}."
        raise Problem(400, detail, info="http://jsonapi.org/format/#query-parameters")


def conditions(params: Params) -> list[Condition]:
    """The filters of a query, in their short and long forms; raises Problem for groups, which this simulator has not."""
    found = []
    for name, body in params.get("filter", {}).items():
        if not isinstance(body, dict):
            found.append(Condition(name, "=", body))
            continue
        if "group" in body:
            raise Problem(400, "Filter groups are not simulated.")
        spec = body.get("condition", {"path": name, **body})
        value = spec.get("value")
        values = list(value.values()) if isinstance(value, dict) else value
        found.append(Condition(spec.get("path", name), spec.get("operator", "="), values))
    return found


def page(params: Params) -> tuple[int, int]:
    """Offset and size; a size over fifty is cut to fifty. Raises Problem for what is no number."""
    wanted = params.get("page", {})
    try:
        return int(wanted.get("offset", 0)), min(int(wanted.get("limit", PAGE_SIZE)), PAGE_SIZE)
    except (AttributeError, ValueError) as error:
        raise Problem(400, "The page parameter needs numbers.") from error


def page_links(params: Params, more: bool) -> dict[str, str]:
    """The queries of `first`, `prev` and `next`, as far as there is such a page."""
    offset, limit = page(params)
    offsets = {}
    if offset:
        offsets = {"first": 0, "prev": max(offset - limit, 0)}
    if more:
        offsets["next"] = offset + limit
    return {name: "?" + build({**params, "page": {"offset": at, "limit": limit}}) for name, at in offsets.items()}


class Selection:
    """Filters and sorts the entities of one type."""

    def __init__(self, entities: Entities, types: Types) -> None:
        self._entities = entities
        self._types = types

    def select(self, about: ResourceType, params: Params) -> list[Entity]:
        """Every entity that the filters let through, sorted; raises Problem for a field that does not exist."""
        wanted = conditions(params)
        for condition in wanted:
            self._check(about, condition.path)
        found = [entity for entity in self._entities.of(about.name) if all(self._passes(entity, condition) for condition in wanted)]
        for name in reversed(params.get("sort", "").split(",") if params.get("sort") else []):
            path = name.removeprefix("-")
            self._check(about, path)
            found.sort(key=lambda entity: self._sort_key(entity, path), reverse=name.startswith("-"))
        return found

    def _check(self, about: ResourceType, path: str) -> None:
        head, *rest = path.split(".")
        if head in about.references and rest:
            self._check(self._types[about.references[head].targets[0]], ".".join(rest))
        elif head not in about.references and head not in about.fields and head not in ("id", about.id_field):
            raise Problem(400, f"Invalid nested filtering. The field `{head}`, given in the path `{path}`, does not exist.")

    def _passes(self, entity: Entity, condition: Condition) -> bool:
        kind = entity.type.fields[condition.path].kind if condition.path in entity.type.fields else Kind.TEXT
        test = _OPERATORS.get(condition.operator)
        if test is None:
            raise Problem(400, f"The '{condition.operator}' operator is not allowed in a filter parameter.")
        value = condition.value if isinstance(condition.value, list) else [condition.value]
        return test(list(self._values(entity, condition.path)), [_comparable(one, kind) for one in value])

    def _sort_key(self, entity: Entity, path: str) -> tuple[bool, Any]:
        value = next(iter(self._values(entity, path)), None)
        return (value is not None, value)

    def _values(self, entity: Entity, path: str) -> Iterator[Any]:
        head, *rest = path.split(".")
        if head == "id":
            yield entity.uuid
        elif head == entity.type.id_field:
            yield entity.id
        elif head in entity.type.references:
            for uuid in entity.targets(head):
                yield from self._values(self._entities.get(uuid), ".".join(rest) or "id")
        else:
            value = entity.values[head]
            for name in rest or (["number"] if entity.type.fields[head].kind is Kind.PRICE else []):
                value = value.get(name) if isinstance(value, dict) else None
            if value is not None:
                yield value.casefold() if isinstance(value, str) else value


def _comparable(value: Any, kind: Kind) -> Any:
    """As MySQL compares: a number column with the leading digits of the text, a text column without case."""
    if kind in (Kind.TIME, Kind.INTEGER, Kind.BOOLEAN):
        digits = re.match(r"-?\d+", str(value))
        return int(digits[0]) if digits else 0
    return str(value).casefold()


def _any(test: Callable[[Any, Any], bool]) -> Callable[[Sequence[Any], Sequence[Any]], bool]:
    return lambda held, wanted: any(test(one, wanted[0]) for one in held)


_OPERATORS: dict[str, Callable[[Sequence[Any], Sequence[Any]], bool]] = {
    "=": _any(lambda a, b: a == b),
    "<>": _any(lambda a, b: a != b),
    "<": _any(lambda a, b: a < b),
    "<=": _any(lambda a, b: a <= b),
    ">": _any(lambda a, b: a > b),
    ">=": _any(lambda a, b: a >= b),
    "STARTS_WITH": _any(lambda a, b: a.startswith(b)),
    "CONTAINS": _any(lambda a, b: b in a),
    "ENDS_WITH": _any(lambda a, b: a.endswith(b)),
    "IN": lambda held, wanted: any(one in wanted for one in held),
    "NOT IN": lambda held, wanted: any(one not in wanted for one in held),
    "BETWEEN": lambda held, wanted: any(wanted[0] <= one <= wanted[1] for one in held),
    "IS NULL": lambda held, wanted: not held,
    "IS NOT NULL": lambda held, wanted: bool(held),
}
