"""The same entry, the same bytes: lists that a source gives in whatever order its database had them are sorted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Orders = Mapping[str, Callable[[Any], Any]]
"""Names of members whose lists have no order of their own → what an element is sorted by."""


def steady(found: Any, orders: Orders) -> Any:
    """`found` with its lists sorted at every depth; one whose elements are not of the expected shape stays as it is."""
    if isinstance(found, list):
        return [steady(one, orders) for one in found]
    if not isinstance(found, Mapping):
        return found
    return {name: _sorted(steady(value, orders), orders.get(name)) for name, value in found.items()}


def _sorted(value: Any, key: Callable[[Any], Any] | None) -> Any:
    if key is None or not isinstance(value, list):
        return value
    try:
        return sorted(value, key=key)
    except (KeyError, TypeError):  # decoding will name the field at fault
        return value
