"""The statements of staging: each takes a whole page."""

from __future__ import annotations

from sqlalchemy import text

# One row for a whole page: most pages are as they were.
DIGEST = text(
    "SELECT count(*) AS records, sha256(string_agg(seen, ''::bytea ORDER BY source_id)) AS digest,"
    " bool_and(mapped_with = ANY(:versions) AND state <> 'gone') AS is_current"
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
KEEP_RECORDS = text(
    """
INSERT INTO records (connection, kind, source_id, seen, raw, mapped_with, state, key, things, attribute, rule, value, sweep, changed_at)
VALUES (:connection, :kind, :source_id, :seen, :raw, :mapped_with, :state, :key, :things, :attribute, :rule, :value, :sweep, :now)
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
_NEW = "merged_parts(i.parts, CAST(:feed AS text), CAST(:part AS jsonb), CAST(:cleared AS jsonb), CAST(:kept AS text[]))"
MERGE = text(
    f"""
INSERT INTO items AS i (shop, kind, key, bundle, rank, parent, on_gone, made, parts, wanted, state, due_at, changed_at)
VALUES (:shop, :kind, :key, :bundle, :rank, :parent, :on_gone, :makes, jsonb_build_object(CAST(:feed AS text), CAST(:part AS jsonb)),
  sha256(convert_to(CAST(jsonb_build_object(CAST(:feed AS text), CAST(:part AS jsonb)) AS text), 'UTF8')), 'waiting', :now, :now)
ON CONFLICT (shop, kind, key) DO UPDATE SET parent = CASE WHEN :makes AND excluded.parent <> '' THEN excluded.parent ELSE i.parent END,
  made = i.made OR :makes,
  bundle = CASE WHEN :makes THEN excluded.bundle ELSE i.bundle END,
  on_gone = CASE WHEN :makes THEN excluded.on_gone ELSE i.on_gone END,
  parts = {_NEW},
  wanted = sha256(convert_to(CAST({_NEW} AS text), 'UTF8')),
  state = CASE WHEN i.written = sha256(convert_to(CAST({_NEW} AS text), 'UTF8')) THEN 'in_sync' ELSE 'waiting' END,
  cause = '', field = '', attempts = 0, waits_for = '{{}}', due_at = :now, changed_at = :now
WHERE {_NEW} <> i.parts OR (:makes AND excluded.parent NOT IN ('', i.parent))
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
# What waits for a member of its own family, and a new product that was refused, are tried again when any member changes.
RELEASE_FAMILIES = text(
    """
WITH changed AS (
  SELECT DISTINCT family FROM items WHERE shop = :shop
    AND ((kind = 'variation' AND key = ANY(:skus)) OR (kind = 'product' AND key = ANY(:products)))
)
UPDATE items i SET state = 'waiting', waits_for = '{}', cause = '', field = '', attempts = 0, due_at = :now FROM changed
WHERE i.shop = :shop AND ((i.kind = 'product' AND i.key = changed.family) OR (i.kind = 'variation' AND i.parent = changed.family))
  AND i.lease_until IS NULL AND i.remote_id = '' AND (i.waits_for && ARRAY['product/' || changed.family,
    'a variation of product/' || changed.family] OR (i.kind = 'product' AND i.state = 'rejected'))
"""
)
RELEASE = text(
    "UPDATE items SET state = 'waiting', waits_for = '{}', cause = '', field = '', due_at = :now"
    " WHERE shop = :shop AND waits_for <> '{}' AND waits_for && CAST(:names AS text[]) AND lease_until IS NULL"
)
