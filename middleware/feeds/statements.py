"""The statements of staging: each takes a whole page."""

from __future__ import annotations

from sqlalchemy import text

SEEN = text(
    "SELECT source_id, seen, mapped_with, state, sku FROM records WHERE connection = :connection AND kind = :kind AND source_id = ANY(:ids)"
)
ALIVE = text(
    "UPDATE records SET sweep = :sweep, misses = 0 WHERE connection = :connection AND kind = :kind AND source_id = ANY(:ids)"
    " AND (sweep < :sweep OR misses > 0)"
)
OUTDATED = text(
    "SELECT source_id, raw, sweep FROM records WHERE connection = :connection AND kind = :kind AND state <> 'gone'"
    " AND mapped_with <> :version ORDER BY source_id LIMIT :limit FOR UPDATE"
)
HOLDERS = text(
    "SELECT sku, source_id FROM records WHERE connection = :connection AND kind = :kind AND state = 'mapped' AND sku = ANY(:skus)"
)
KEEP_RECORDS = text(
    """
INSERT INTO records (connection, kind, source_id, seen, raw, mapped_with, state, sku, attribute, rule, value, sweep, changed_at)
VALUES (:connection, :kind, :source_id, :seen, :raw, :mapped_with, :state, :sku, :attribute, :rule, :value, :sweep, :now)
ON CONFLICT (connection, kind, source_id) DO UPDATE SET seen = excluded.seen, raw = excluded.raw, mapped_with = excluded.mapped_with,
  state = excluded.state, sku = excluded.sku, attribute = excluded.attribute, rule = excluded.rule, value = excluded.value,
  sweep = greatest(records.sweep, excluded.sweep), misses = 0, changed_at = excluded.changed_at
"""
)
GONE = text(
    "UPDATE records SET state = 'gone', changed_at = :now WHERE connection = :connection AND kind = :kind AND source_id = ANY(:ids)"
    " AND state <> 'gone' RETURNING source_id, sku"
)
# What is wanted is the hash of all parts, which jsonb keeps in one order; what is written already is in sync at once.
MERGE = text(
    """
INSERT INTO items AS i (shop, kind, key, parent, parts, wanted, state, due_at, changed_at)
VALUES (:shop, :kind, :key, :parent, CAST(:parts AS jsonb), sha256(convert_to(CAST(CAST(:parts AS jsonb) AS text), 'UTF8')),
  'waiting', :now, :now)
ON CONFLICT (shop, kind, key) DO UPDATE SET parent = CASE WHEN excluded.parent <> '' THEN excluded.parent ELSE i.parent END,
  parts = i.parts || excluded.parts,
  wanted = sha256(convert_to(CAST(i.parts || excluded.parts AS text), 'UTF8')),
  state = CASE WHEN i.written = sha256(convert_to(CAST(i.parts || excluded.parts AS text), 'UTF8')) THEN 'in_sync' ELSE 'waiting' END,
  cause = '', field = '', attempts = 0, due_at = :now, changed_at = :now
WHERE i.parts || excluded.parts <> i.parts OR (excluded.parent <> '' AND excluded.parent <> i.parent)
"""
)
TAKE_BACK = text(
    """
UPDATE items SET parts = parts - :part, wanted = sha256(convert_to(CAST(parts - :part AS text), 'UTF8')),
  state = CASE WHEN written = sha256(convert_to(CAST(parts - :part AS text), 'UTF8')) THEN 'in_sync' ELSE 'waiting' END,
  cause = '', field = '', attempts = 0, due_at = :now, changed_at = :now
WHERE shop = :shop AND kind = 'variation' AND key = ANY(:keys) AND parts ? :part
"""
)
