"""Attributes of records, found with jmespath: exact sums, the base price of several, and which parts of a record an expression reads.

https://jmespath.org/specification.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import jmespath
from jmespath import functions
from jmespath.parser import ParsedResult

from mappings.money import plain_price
from mappings.rules import Refused


class _Functions(functions.Functions):  # type: ignore[misc]
    """`total` is an exact sum (jmespath's own `sum` adds with binary floating point), `plain_price` the base price of several."""

    @functions.signature({"types": ["array"]})  # type: ignore[untyped-decorator]
    def _func_total(self, numbers: list[Any]) -> Any:
        return sum(one for one in numbers if one is not None)

    @functions.signature({"types": ["array", "null"]})  # type: ignore[untyped-decorator]
    def _func_plain_price(self, prices: Any) -> Any:
        return plain_price(prices)


_OPTIONS = jmespath.Options(custom_functions=_Functions())


@cache
def compiled(expression: str) -> ParsedResult:
    """A jmespath, parsed once; raises `JMESPathError`."""
    return jmespath.compile(expression)


def search(expression: str, record: Any) -> Any:
    """What an expression finds in a record; raises `Refused` when it does not fit the record (a function of the wrong type)."""
    try:
        return compiled(expression).search(record, _OPTIONS)
    except (jmespath.exceptions.JMESPathError, TypeError, ValueError):
        raise Refused(expression, "does not fit this record") from None


_RELATIVE = frozenset({"pipe", "projection", "filter_projection", "value_projection", "flatten", "index_expression"})
"""What its further children read is inside what the first one found."""


@cache
def used_paths(expression: str) -> frozenset[tuple[str, ...]]:
    """The parts of a record that an expression reads, as far as they are named: (("values", "name"),)."""
    return frozenset(_paths(compiled(expression).parsed))


def _paths(node: Mapping[str, Any]) -> set[tuple[str, ...]]:
    kind, children = node["type"], node["children"]
    if kind == "field":
        return {(node["value"],)}
    if kind == "subexpression":
        first, *rest = children
        found = _paths(first)
        return {(*path, *_names(rest)) for path in found} if first["type"] in ("field", "subexpression") else found
    if kind in _RELATIVE:
        return _paths(children[0])
    return {path for child in children if isinstance(child, Mapping) for path in _paths(child)}


def _names(nodes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The plain names that a chain goes on with, up to the first list."""
    for node in nodes:
        if node["type"] == "field":
            yield node["value"]
            continue
        if node["type"] == "index_expression" and node["children"][0]["type"] == "field":
            yield node["children"][0]["value"]
        return


def at_path(record: Any, path: tuple[str, ...]) -> Any:
    """What is at a path of plain names; raises `KeyError` when nothing is."""
    for name in path:
        if not isinstance(record, Mapping):
            raise KeyError(name)
        record = record[name]
    return record
