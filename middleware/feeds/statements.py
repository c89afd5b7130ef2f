"""The statements of staging: each takes a whole page."""

from __future__ import annotations

from sqlalchemy import text

JOIN = "\x1f"
"""What lists of names are joined by in one text: no name has it."""
# One row for a whole page: most pages are as they were.
DIGEST = text(
    "SELECT count(*) AS records, sha256(string_agg(seen, ''::bytea ORDER BY source_id)) AS digest,"
    " bool_and(mapped_with = ANY(:versions) AND state <> 'gone') AS is_current, max(misses) AS misses"
    " FROM records WHERE connection = :connection AND kind = :kind AND source_id = ANY(:ids)"
)
SEEN = text(
    "SELECT source_id, seen, mapped_with, state, key, things FROM records"
    " WHERE connection = :connection AND kind = :kind AND source_id = ANY(:ids)"
)
SWEPT = text("INSERT INTO sweeps (connection, kind, ids) VALUES (:connection, :kind, :ids)")
ALIVE = text("UPDATE records SET misses = 0 WHERE connection = :connection AND kind = :kind AND misses > 0 AND source_id = ANY(:ids)")
OUTDATED = text(
    "SELECT source_id, raw FROM records WHERE connection = :connection AND kind = :kind AND state <> 'gone'"
    " AND NOT mapped_with = ANY(:versions) ORDER BY source_id LIMIT :limit FOR UPDATE"
)
HOLDERS = text(
    "SELECT key, source_id FROM records WHERE connection = :connection AND kind = :kind AND state = 'mapped' AND key = ANY(:keys)"
)
# Arrays, one of each column: a page is one statement.
KEEP_RECORDS = text(
    """
INSERT INTO records (connection, kind, source_id, seen, raw, mapped_with, state, key, things, attribute, rule, value, sweep, changed_at)
SELECT :connection, :kind, row.source_id, row.seen, row.raw, :mapped_with, row.state, row.key,
  CASE WHEN row.things = '' THEN '{}' ELSE string_to_array(row.things, chr(31)) END, row.attribute, row.rule, row.value, :sweep, :now
FROM unnest(CAST(:source_id AS text[]), CAST(:seen AS bytea[]), CAST(:raw AS bytea[]), CAST(:state AS text[]), CAST(:key AS text[]),
  CAST(:things AS text[]), CAST(:attribute AS text[]), CAST(:rule AS text[]), CAST(:value AS text[]))
  AS row(source_id, seen, raw, state, key, things, attribute, rule, value)
ON CONFLICT (connection, kind, source_id) DO UPDATE SET seen = excluded.seen, raw = excluded.raw, mapped_with = excluded.mapped_with,
  state = excluded.state, key = excluded.key, things = excluded.things, attribute = excluded.attribute, rule = excluded.rule,
  value = excluded.value, sweep = greatest(records.sweep, excluded.sweep), misses = 0, changed_at = excluded.changed_at
"""
)
GONE = text(
    "UPDATE records SET state = 'gone', changed_at = :now WHERE connection = :connection AND kind = :kind AND source_id = ANY(:ids)"
    " AND state <> 'gone' RETURNING source_id, key, things"
)
UNFED = text(
    """
SELECT name FROM unnest(CAST(:names AS text[])) AS name
WHERE NOT EXISTS (SELECT 1 FROM records WHERE connection = :connection AND kind = :kind AND state <> 'gone' AND key = name)
  AND NOT EXISTS (SELECT 1 FROM records WHERE connection = :connection AND kind = :kind AND state <> 'gone' AND things <> '{}'
    AND things @> ARRAY[name])
"""
)
# What is wanted is the hash of all parts, which jsonb keeps in one order; what is written already is in sync at once.
_NEW = "merged_parts(i.parts, :feed, excluded.parts -> CAST(:feed AS text), CAST(:kept AS text[]))"
MERGE = text(
    f"""
INSERT INTO items AS i (shop, kind, key, bundle, rank, parent, on_gone, made, parts, wanted, state, due_at, changed_at)
SELECT :shop, row.kind, row.key, row.bundle, row.rank, row.parent, row.on_gone, row.makes,
  jsonb_build_object(CAST(:feed AS text), row.part),
  sha256(convert_to(CAST(jsonb_build_object(CAST(:feed AS text), row.part) AS text), 'UTF8')), 'waiting', :now, :now
FROM unnest(CAST(:kind AS text[]), CAST(:key AS text[]), CAST(:bundle AS text[]), CAST(:rank AS smallint[]), CAST(:parent AS text[]),
  CAST(:on_gone AS text[]), CAST(:makes AS boolean[]), CAST(:part AS jsonb[])) AS row(kind, key, bundle, rank, parent, on_gone, makes, part)
ON CONFLICT (shop, kind, key) DO UPDATE SET
  parent = CASE WHEN excluded.made AND excluded.parent <> '' THEN excluded.parent ELSE i.parent END,
  made = i.made OR excluded.made,
  bundle = CASE WHEN excluded.made THEN excluded.bundle ELSE i.bundle END,
  on_gone = CASE WHEN excluded.made THEN excluded.on_gone ELSE i.on_gone END,
  parts = {_NEW},
  wanted = sha256(convert_to(CAST({_NEW} AS text), 'UTF8')),
  state = CASE WHEN i.written = sha256(convert_to(CAST({_NEW} AS text), 'UTF8')) THEN 'in_sync' ELSE 'waiting' END,
  cause = '', field = '', attempts = 0, waits_for = '{{}}', due_at = :now, changed_at = :now
WHERE {_NEW} <> i.parts OR (excluded.made AND excluded.parent NOT IN ('', i.parent))
"""  # noqa: S608 - our own words
)
TAKE_BACK = text(
    """
UPDATE items SET parts = parts - :part, wanted = sha256(convert_to(CAST(parts - :part AS text), 'UTF8')),
  state = CASE WHEN written = sha256(convert_to(CAST(parts - :part AS text), 'UTF8')) THEN 'in_sync' ELSE 'waiting' END,
  cause = '', field = '', attempts = 0, waits_for = '{}', due_at = :now, changed_at = :now
FROM unnest(CAST(:kinds AS text[]), CAST(:keys AS text[])) AS taken(of, code)
WHERE shop = :shop AND kind = taken.of AND key = taken.code AND parts ? :part
"""
)
FAMILIES = text("SELECT DISTINCT family FROM items WHERE shop = :shop AND kind = 'variation' AND key = ANY(:skus)")
# What waits for a member of its own family, and a new product that was refused, are tried again when any member changes.
RELEASE_FAMILIES = text(
    """
UPDATE items SET state = 'waiting', waits_for = '{}', cause = '', field = '', attempts = 0, due_at = :now
WHERE shop = :shop AND waits_for <> '{}' AND family = ANY(:families) AND kind IN ('product', 'variation') AND lease_until IS NULL
  AND remote_id = '' AND waits_for && ARRAY['product/' || family, 'a variation of product/' || family]
"""
)
RETRY_PRODUCTS = text(
    """
UPDATE items SET state = 'waiting', cause = '', field = '', attempts = 0, due_at = :now
WHERE shop = :shop AND kind = 'product' AND key = ANY(:families) AND state = 'rejected' AND remote_id = '' AND lease_until IS NULL
"""
)
RELEASE = text(
    "UPDATE items SET state = 'waiting', waits_for = '{}', cause = '', field = '', due_at = :now"
    " WHERE shop = :shop AND waits_for <> '{}' AND waits_for && CAST(:names AS text[]) AND lease_until IS NULL"
)
