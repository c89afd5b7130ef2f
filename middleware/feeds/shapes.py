"""The schema-drift sentinel: an attribute that vanished, was renamed or changed its type pauses the fields that it feeds, and only those.

The last good values stay in the shop. It ends when the attribute is back, or when a person accepts the new shape. An attribute that
records are known by cannot be paused: without it the run stops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from mappings import shapes as rules
from mappings.attributes import used_paths
from middleware.feeds.feed import Feed, FeedFault
from middleware.observing import log


def paused(connection: Connection, feed: Feed) -> Feed:
    """The feed without what its drifted attributes feed."""
    row = connection.execute(_READ, feed.of()).first()
    return replace(feed, paused=frozenset(row.drifted) if row else frozenset())


def watch(connection: Connection, feed: Feed, records: Sequence[Any], now: datetime) -> Feed:
    """Compare the changed records of a page (decoded) with what is known, and learn from them. Returns the feed as it may go on; raises
    `FeedFault` when what records are known by is gone."""
    if not records:
        return feed
    row = connection.execute(_LOCK, feed.of(now=now)).one()
    counts = rules.counted(records, rules.watched(feed.table))
    drifted: dict[str, str] = dict(row.drifted)
    for name in [name for name in drifted if rules.is_back(row.fields.get(name, {}), counts.get(name, {}))]:
        log.info("feed.shape_back", connection=feed.connection, kind=feed.kind, attribute=name)
        del drifted[name]
    for drift in rules.drifts(row.fields, {name: one for name, one in counts.items() if name not in drifted}, records):
        _refuse_identity(feed, drift)
        log.error("feed.shape_drifted", connection=feed.connection, kind=feed.kind, attribute=drift.attribute, what=drift.what)
        drifted[drift.attribute] = drift.what
    learnt = {name: rules.merged(row.fields.get(name, {}), one) for name, one in counts.items() if name not in drifted}
    _say_what_is_new(feed, row.fields, records)
    fields = {**row.fields, **learnt, **{f"{name}.": {} for name in _tops(records)}}
    values = feed.of(count=len(records), fields=_json(fields), drifted=_json(drifted), now=now)
    connection.execute(_LEARN, values)
    return replace(feed, paused=frozenset(drifted))


def accept(connection: Connection, feed: Feed, attributes: Sequence[str]) -> list[str]:
    """Take the shape of drifted attributes (none named: all) as it is now; returns which. What is known of them begins anew, so that
    their fields are written as the table says."""
    row = connection.execute(_READ, feed.of()).first()
    accepted = [name for name in (row.drifted if row else {}) if not attributes or name in attributes]
    for name in accepted:
        connection.execute(_ACCEPT, feed.of(name=name))
    return accepted


def shape(connection: Connection, feed: Feed) -> tuple[int, Mapping[str, rules.Counts], Mapping[str, str]]:
    """Records learnt from, types by attribute, drifted attributes with what became of them."""
    row = connection.execute(_READ, feed.of()).first()
    if row is None:
        return 0, {}, {}
    return row.records, {name: counts for name, counts in sorted(row.fields.items()) if counts}, row.drifted


def _refuse_identity(feed: Feed, drift: rules.Drift) -> None:
    paths = {".".join(path) for one in rules.identity_expressions(feed.table) for path in used_paths(one)}
    if drift.attribute in paths:
        raise FeedFault(f"{drift.attribute}, which records are known by, {drift.what}")


def _say_what_is_new(feed: Feed, known: Mapping[str, Any], records: Sequence[Any]) -> None:
    """What is added only informs, once."""
    if not any(name.endswith(".") for name in known):
        return
    new = sorted(name for name in _tops(records) if f"{name}." not in known)
    if new:
        log.info("feed.attributes_added", connection=feed.connection, kind=feed.kind, attributes=new[:20])


def _tops(records: Sequence[Any]) -> set[str]:
    """The first names of some records' attributes; those that are kept end in a dot."""
    return {str(name) for record in records if isinstance(record, Mapping) for name in list(record)[:200]}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_READ = text("SELECT records, fields, drifted FROM shapes WHERE connection = :connection AND kind = :kind")
_LOCK = text(
    "INSERT INTO shapes (connection, kind, changed_at) VALUES (:connection, :kind, :now)"
    " ON CONFLICT (connection, kind) DO UPDATE SET changed_at = :now RETURNING fields, drifted"
)
_LEARN = text(
    "UPDATE shapes SET records = records + :count, fields = CAST(:fields AS jsonb), drifted = CAST(:drifted AS jsonb)"
    " WHERE connection = :connection AND kind = :kind"
)
_ACCEPT = text(
    "UPDATE shapes SET fields = fields - CAST(:name AS text), drifted = drifted - CAST(:name AS text)"
    " WHERE connection = :connection AND kind = :kind"
)
