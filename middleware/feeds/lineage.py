"""Where a thing of the shop comes from: for every field the feed, the record and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

_MOST = 20
"""Links of one thing: a product may be fed by hundreds of records."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One field: what is wanted of it, the feed and record that say so, when that record changed."""

    field: str
    value: Any
    feed: str
    source_id: str
    changed_at: datetime | None


def links(connection: Connection, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The ids of the records that things are made of, by thing, as `connection:kind/source id`."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(_LINKS, {"names": list(names)}) if names else ():
        found.setdefault(row.name, []).append(f"{row.connection}:{row.kind}/{row.source_id}")
    return {name: tuple(sorted(ids)[:_MOST]) for name, ids in found.items()}


def origins(connection: Connection, shop: str, name: str) -> tuple[Any, list[Origin]] | None:
    """An item's row and where each of its fields comes from; None when there is no such thing."""
    kind, _, key = name.partition("/")
    row = connection.execute(_ITEM, {"shop": shop, "kind": kind, "key": key}).first()
    if row is None:
        return None
    records = {f"{one.connection}/{one.kind}": one for one in connection.execute(_LINKS, {"names": [name]})}
    found = []
    for feed in sorted(row.parts):
        record = records.get(feed)
        for field, value in sorted(row.parts[feed]["fields"].items()):
            found.append(Origin(field, value, feed, record.source_id if record else "", record.changed_at if record else None))
    return row, found


_LINKS = text(
    """
SELECT name, r.connection, r.kind, r.source_id, r.changed_at FROM unnest(CAST(:names AS text[])) AS name
CROSS JOIN (SELECT DISTINCT connection, kind FROM runs) AS feed
JOIN records r ON r.connection = feed.connection AND r.kind = feed.kind AND r.key = name AND r.state <> 'gone'
UNION ALL
SELECT name, r.connection, r.kind, r.source_id, r.changed_at FROM unnest(CAST(:names AS text[])) AS name
JOIN records r ON r.things <> '{}' AND r.things @> ARRAY[name] AND r.state <> 'gone'
"""
)
_ITEM = text(
    "SELECT shop, kind, key, bundle, state, cause, field, parts, remote_id, written_at, changed_at, waits_for FROM items"
    " WHERE shop = :shop AND kind = :kind AND key = :key"
)
