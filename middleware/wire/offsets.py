"""Lists that can only be paged by number, sorted by an id that never moves: what leaves them while they are read is noticed.

Each page begins with the last record of the page before. When that record is not in it, records before it were deleted and the
others moved forward: then the list is read further back, and anew from its first page when the record itself is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from middleware.errors import Rejected, Transient
from middleware.ports import Record

RESTARTS = 5
"""How often a list that loses records while it is read is read anew before the run is given up."""

Listed = tuple[Sequence[Record], int]
"""The records of a page, and how many the whole list has."""
Read = Callable[[int, int], Listed]
"""A page: (how many records to skip, how many to take)."""


class Place(msgspec.Struct, omit_defaults=True):
    """Where a list is read on: at the record `last`, which was the last one given. `stage` counts the lists of a feed that has
    more than one."""

    skip: int = 0
    last: str = ""
    stage: int = 0
    restarts: int = 0


def packed(place: Place | None) -> str:
    """A place as the cursor of a page; no place is the end."""
    return msgspec.json.encode(place).decode() if place else ""


def resumed(cursor: str) -> Place:
    """The place that a cursor holds; raises `Rejected`."""
    try:
        return msgspec.json.decode(cursor, type=Place) if cursor else Place()
    except ValueError as error:
        raise Rejected("the cursor is none of this feed's", field="cursor") from error


def read_page(read: Read, place: Place, size: int) -> tuple[tuple[Record, ...], Place | None]:
    """The records that follow the place, some of them perhaps again, and where the list goes on: None after its end. `size` is at
    least 2. Raises `Rejected` for a list that does not hold still, and `Transient` for one that ends before its own count."""
    skip, back, restarts = place.skip, size - 1, place.restarts
    records, total = read(skip, size)
    while place.last and all(one.source_id != place.last for one in records):
        if not skip:
            restarts += 1
            break
        skip, back = max(skip - back, 0), back * 2
        records, total = read(skip, size)
    if restarts > RESTARTS:
        raise Rejected(f"the list lost records {restarts} times while it was read")
    end = skip + len(records)
    new = tuple(one for one in records if one.source_id != place.last)
    if len(records) < size and end >= total:
        return new, None
    if not new:
        raise Transient("the list has no records where its count says that there are some")
    return new, Place(end - 1, records[-1].source_id, place.stage, restarts)


def read_whole(read: Read, size: int) -> Iterator[Record]:
    """Every record of a list; raises what `read_page` raises."""
    place: Place | None = Place()
    while place:
        records, place = read_page(read, place, size)
        yield from records
