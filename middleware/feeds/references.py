"""What refers to something is written after it: an item waits for the things that are not in the shop yet, and is released with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from mappings.wanted import Of, name_of, references_in, split_name
from middleware.feeds.merging import variation_of
from middleware.ports import Target

LOOK_AGAIN = timedelta(hours=6)
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claimed item: its row, the fields that are wanted of it, and the names that must be in the shop before it."""

    row: Any
    fields: Mapping[str, Any]

    @property
    def name(self) -> str:
        return name_of(self.row.kind, self.row.key)

    @property
    def is_gone(self) -> bool:
        """Nobody makes it any more: a price or a stock level alone keeps nothing alive."""
        return not any(part["makes"] for part in self.row.parts.values()) and (self.row.made or not self.row.parts)

    @property
    def needs(self) -> list[str]:
        if self.is_gone:  # what ends needs nothing but itself
            return [self.row.parent] if self.row.kind == Of.TRANSLATION else []
        names = list(references_in(self.fields))
        if self.row.kind == Of.TRANSLATION:
            names.append(self.row.parent)
        elif self.row.parent:
            names.append(name_of(Of.PRODUCT, self.row.parent))
        return names


def targets(connection: Connection, shop: str, items: Sequence[Claimed]) -> dict[str, Target]:
    """What the items refer to, as far as it is in the shop."""
    names = sorted({name for item in items for name in item.needs})
    if not names:
        return {}
    kinds, keys = zip(*map(split_name, names), strict=True)
    rows = connection.execute(_TARGETS, {"shop": shop, "kinds": list(map(str, kinds)), "keys": list(keys)})
    return {name_of(row.kind, row.key): Target(row.kind, row.bundle, row.remote_id) for row in rows}


def waits(items: Sequence[Claimed], known: Mapping[str, Target]) -> dict[int, list[str]]:
    """By item, what it has to wait for. A new product and its variations are written together: a variation waits for its product, and
    the product for the first of them that is ready, unless they are side by side."""
    beside = {item.name for item in items if item.row.kind == Of.PRODUCT}
    found: dict[int, list[str]] = {}
    for item in items:
        missing = [name for name in item.needs if name not in known and not (item.row.kind == Of.VARIATION and name in beside)]
        if missing:
            found[item.row.id] = missing
    ready = {item.row.parent for item in items if item.row.kind == Of.VARIATION and item.row.id not in found}
    for item in items:
        row = item.row
        if row.kind == Of.PRODUCT and not item.is_gone and not row.remote_id and row.id not in found and row.key not in ready:
            found[row.id] = [variation_of(row.key)]
    parked = {item.name for item in items if item.row.id in found and item.name not in known and not item.row.remote_id}
    for item in items:
        product = name_of(Of.PRODUCT, item.row.parent)
        if item.row.kind == Of.VARIATION and item.row.id not in found and product in parked:
            found[item.row.id] = [product]
    return found


def park(connection: Connection, waiting: Mapping[int, list[str]], now: datetime) -> None:
    """Let items wait. What waits for itself in the end is refused with the way round."""
    for item, names in waiting.items():
        values = {"id": item, "names": names, "cause": f"waits for {', '.join(sorted(names)[:3])}", "due": now + LOOK_AGAIN}
        connection.execute(_PARK, values)
    for item in waiting:
        way = _circle(connection, item)
        if way:
            connection.execute(_REFUSE, {"id": item, "cause": f"refers to itself: {' → '.join(way)}"})


def look_again(connection: Connection, shop: str, items: Sequence[int], now: datetime) -> None:
    """What was written while an item was parked did not see it wait; and a product and a variation that wait for nothing but each
    other go together."""
    if items:
        connection.execute(_LOOK_AGAIN, {"shop": shop, "ids": list(items), "now": now})
        connection.execute(_TOGETHER, {"shop": shop, "ids": list(items), "now": now})


def _circle(connection: Connection, item: int) -> list[str]:
    """The way from an item back to itself through what waits for what, or nothing."""
    start = connection.execute(_ITEM, {"id": item}).one()
    own = name_of(start.kind, start.key)
    ways = [[own, name] for name in start.waits_for]
    seen: set[str] = set()
    for _ in range(_DEEPEST):
        if found := next((way for way in ways if way[-1] == own), None):
            return found
        ends = {way[-1]: way for way in ways if way[-1] not in seen and not way[-1].startswith("a ")}
        if not ends:
            return []
        seen |= set(ends)
        kinds, keys = zip(*map(split_name, ends), strict=True)
        rows = connection.execute(_WAITING, {"shop": start.shop, "kinds": list(map(str, kinds)), "keys": list(keys)})
        ways = [[*ends[name_of(row.kind, row.key)], name] for row in rows for name in row.waits_for]
    return []


_NAMED = "(SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:keys AS text[])) AS named(of, code)) AS named"
_TARGETS = text(
    f"SELECT kind, key, bundle, remote_id FROM items, {_NAMED}"  # noqa: S608 - our own words
    " WHERE shop = :shop AND kind = named.of AND key = named.code AND remote_id <> ''"
)
_WAITING = text(
    f"SELECT kind, key, waits_for FROM items, {_NAMED}"  # noqa: S608 - our own words
    " WHERE shop = :shop AND kind = named.of AND key = named.code AND waits_for <> '{}'"
)
_ITEM = text("SELECT shop, kind, key, waits_for FROM items WHERE id = :id")
_PARK = text("UPDATE items SET token = NULL, lease_until = NULL, waits_for = :names, cause = :cause, due_at = :due WHERE id = :id")
_REFUSE = text("UPDATE items SET state = 'rejected', cause = :cause, field = waits_for[1] WHERE id = :id")
_LOOK_AGAIN = text(
    """
UPDATE items i SET waits_for = '{}', cause = '', due_at = :now WHERE i.id = ANY(:ids) AND i.state = 'waiting' AND i.waits_for <> '{}'
  AND NOT EXISTS (SELECT 1 FROM unnest(i.waits_for) AS name WHERE name LIKE 'a variation of %'
    OR NOT EXISTS (SELECT 1 FROM items t WHERE t.shop = :shop AND t.kind = split_part(name, '/', 1)
      AND t.key = substr(name, strpos(name, '/') + 1) AND t.remote_id <> ''))
"""
)
_TOGETHER = text(
    """
WITH family AS (
  SELECT p.id AS product, v.id AS variation FROM items p JOIN items v ON v.shop = p.shop AND v.parent = p.key AND v.kind = 'variation'
  WHERE p.shop = :shop AND p.kind = 'product' AND (p.id = ANY(:ids) OR v.id = ANY(:ids)) AND p.state = 'waiting' AND v.state = 'waiting'
    AND p.waits_for = ARRAY['a variation of product/' || p.key] AND v.waits_for = ARRAY['product/' || p.key]
)
UPDATE items i SET waits_for = '{}', cause = '', due_at = :now FROM family
WHERE i.id IN (family.product, family.variation) AND i.lease_until IS NULL
"""
)
