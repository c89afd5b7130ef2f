"""The drift report: what the owners want of a shop's catalog against what the shop shows, thing by thing and field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from mappings.wanted import CONFIGURED, FILE, REFERS
from middleware.feeds import pushes, references
from middleware.feeds.owners import fields_of
from middleware.feeds.references import Claimed
from middleware.ports import Write

if TYPE_CHECKING:
    from middleware.runtime import Runtime

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that is otherwise in the shop; `name` is the thing, `field` "" when the thing itself is not there."""

    name: str
    field: str
    wanted: Any
    found: Any


@dataclass(slots=True)
class Compared:
    """A report: things that were compared, what differs, and how many things were set to be written again."""

    things: int = 0
    differences: list[Difference] = field(default_factory=list)
    repaired: int = 0


def compare(runtime: Runtime, shop: str, *, sample: int = 0, repair: bool = False) -> Compared:
    """Compare what is in sync (all, or `sample` things by chance) with the shop. `repair` lets what differs be written again.
    Raises `CallError` when the shop cannot be read."""
    report = Compared()
    for rows in _chunks(runtime, shop, sample):
        items = [Claimed(row, fields_of(runtime, row)) for row in rows]
        with runtime.engine.connect() as connection:
            known = references.targets(connection, shop, items)
        items = [item for item in items if all(name in known for name in item.needs)]
        writes = [pushes.write_of(runtime, item, known, ()) for item in items]
        found = runtime.connector(shop).read_items(writes)
        different = []
        for item, write, shown in zip(items, writes, found, strict=True):
            differences = list(_differences(item.name, write, shown))
            report.differences += differences
            different += [item.row.id] if differences else []
        report.things += len(items)
        if repair and different:
            with runtime.engine.begin() as connection:
                report.repaired += connection.execute(_AGAIN, {"ids": different, "now": runtime.now()}).rowcount
    return report


def _chunks(runtime: Runtime, shop: str, sample: int) -> Iterator[Sequence[Any]]:
    with runtime.engine.connect() as connection:
        if sample:
            yield connection.execute(_SAMPLE, {"shop": shop, "limit": sample}).all()
            return
        after = 0
        while rows := connection.execute(_NEXT, {"shop": shop, "after": after, "limit": _PAGE}).all():
            after = rows[-1].id
            yield rows


def _differences(name: str, write: Write, shown: Mapping[str, Any] | None) -> Iterator[Difference]:
    if write.is_gone:
        if shown is not None and shown.get("status") is not False and write.on_gone != "keep":
            yield Difference(name, "status", False, shown.get("status"))
        return
    if shown is None:
        yield Difference(name, "", "there", "not there")
        return
    for field_name, value in write.fields.items():
        wanted = _told(write, value)
        if wanted is not None and not same(wanted, shown.get(field_name)):
            yield Difference(name, field_name, wanted, shown.get(field_name))


def _told(write: Write, value: Any) -> Any:
    """A wanted value as the shop shows it; None for what cannot be told from outside (a file's bytes)."""
    if isinstance(value, Mapping) and REFERS in value:
        return [write.targets[name].remote_id for name in value[REFERS]]
    if isinstance(value, Mapping) and (FILE in value or CONFIGURED in value):
        return None
    return value


def same(wanted: Any, found: Any) -> bool:
    """Whether the shop shows what is wanted; it may say more (a formatted price, processed text), and writes numbers its own way."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(same(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(same, wanted, found))
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    return wanted == found or _is_same_number(wanted, found)


def _is_same_number(wanted: Any, found: Any) -> bool:
    try:
        return Decimal(str(wanted)) == Decimal(str(found))
    except InvalidOperation:
        return False


_COLUMNS = "id, shop, kind, key, bundle, parent, parts, wanted, attempts, remote_id, on_gone, made, was_gone"
_IN_SYNC = "shop = :shop AND state = 'in_sync' AND remote_id <> ''"
_NEXT = text(f"SELECT {_COLUMNS} FROM items WHERE {_IN_SYNC} AND id > :after ORDER BY id LIMIT :limit")  # noqa: S608 - our own words
_SAMPLE = text(f"SELECT {_COLUMNS} FROM items WHERE {_IN_SYNC} ORDER BY random() LIMIT :limit")  # noqa: S608 - our own words
_AGAIN = text("UPDATE items SET state = 'waiting', written = NULL, due_at = :now, attempts = 0 WHERE id = ANY(:ids) AND state = 'in_sync'")
