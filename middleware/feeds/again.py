"""What was refused is tried again on demand: after a permission was given, an option was added in the shop, a twin went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import text

from middleware.observing import log

if TYPE_CHECKING:
    from middleware.runtime import Runtime


def retry(runtime: Runtime, names: Sequence[str], by: str) -> tuple[int, int]:
    """Take refused records and things up again, all or those that are named by the record's id, or like variation/S1; returns how many
    records (the next pull maps them again) and things (they wait to be written)."""
    values = {"names": list(names), "all": not names, "now": runtime.now()}
    with runtime.engine.begin() as connection:
        records = connection.execute(_RECORDS, values).rowcount
        things = connection.execute(_THINGS, values).rowcount
    log.warning("items.retried", by=by, records=records, things=things)
    return records, things


_RECORDS = text(
    "UPDATE records SET mapped_with = '' WHERE state = 'rejected' AND (:all OR source_id = ANY(:names))"  # by no table that there is
)
_THINGS = text(
    "UPDATE items SET state = 'waiting', attempts = 0, due_at = :now, cause = '', field = ''"
    " WHERE state = 'rejected' AND (:all OR kind || '/' || key = ANY(:names))"
)
