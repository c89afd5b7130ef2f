"""How things are in a Drupal shop now, and which fields it has: what drift reports and the check of tables ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mappings import drupal_catalog as words
from mappings.wanted import Of
from middleware.ports import Write
from middleware.wire.drupal_resources import Resources


def read_items(resources: Resources, writes: Sequence[Write]) -> list[Mapping[str, Any] | None]:
    """For each thing its fields, of relationships the ids in order; None for what the shop does not show. Translations are read below
    their language's prefix."""
    asked: dict[str, list[str]] = {}
    for write in writes:
        asked.setdefault(_path(resources, write), []).append(_uuid(write))
    shown: dict[tuple[str, str], Mapping[str, Any]] = {}
    for path, uuids in asked.items():
        for start in range(0, len(uuids), words.PAGE):
            params = words.ids_query("id", uuids[start : start + words.PAGE])
            for one in resources.ask("GET", path, params=params).json()["data"]:
                shown[path, str(one["id"])] = words.shown_fields(one)
    found = [_as_wanted(resources, write, shown.get((_path(resources, write), _uuid(write)))) for write in writes]
    return [None if one is not None and _is_fallback(write, one) else one for write, one in zip(writes, found, strict=True)]


def _as_wanted(resources: Resources, write: Write, shown: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The same, in the words of the write where the shop has its own: for dates by the clock of its store, for levels of stock."""
    if shown is None:
        return None
    own: dict[str, Any] = {}
    for name, value in write.fields.items():
        there = shown.get(name)
        if isinstance(there, Mapping) and "available_stock" in there:
            own[name] = there["available_stock"]
        elif isinstance(there, str) and (stored := resources.stored(write, name, value)) is not value and _same_instant(stored, there):
            own[name] = value
    return {**shown, **own}


def _same_instant(stored: str, shown: str) -> bool:
    return datetime.fromisoformat(stored) == datetime.fromisoformat(shown)


def missing_fields(resources: Resources, wanted: Mapping[tuple[str, str], Sequence[str]]) -> list[str]:
    """Fields that the shop lacks. JSON:API tells the fields of a type only by showing a thing of it: an empty shop tells nothing."""
    lines = []
    for (kind, bundle), names in sorted(wanted.items()):
        if kind == Of.TRANSLATION:
            continue
        path = words.path_of(kind, resources.bundle(kind, bundle))
        reply = resources.ask("GET", path, params=[("page[limit]", "1")], also=frozenset({404}))
        if reply.status == 404:
            lines.append(f"{kind} {bundle}: the shop has no such type")
            continue
        data = reply.json()["data"]
        have = words.names_of(data[0]) if data else set(names)
        lines += [f"{kind} {bundle}: {name}" for name in sorted(set(names) - have)]
    return lines


def _path(resources: Resources, write: Write) -> str:
    if write.kind != Of.TRANSLATION:
        return words.path_of(write.kind, resources.bundle(write.kind, write.bundle))
    target = write.targets[write.parent]
    return f"/{_language(write)}{words.path_of(target.kind, resources.bundle(target.kind, target.bundle))}"


def _uuid(write: Write) -> str:
    return write.targets[write.parent].remote_id if write.kind == Of.TRANSLATION else write.remote_id


def _language(write: Write) -> str:
    return write.key.rpartition("@")[2]


def _is_fallback(write: Write, found: Mapping[str, Any]) -> bool:
    """Whether the shop shows the original because it has no such translation."""
    return write.kind == Of.TRANSLATION and found.get("langcode") != _language(write)
