"""Feeds of every kind of thing: what a record feeds beside its main thing, what an item refers to and waits for, who a sweep saw."""

from alembic import op

revision = "0004"
down_revision = "0003"

CHANGES = """
ALTER TABLE records RENAME COLUMN sku TO key;
UPDATE records SET key = 'variation/' || key WHERE key <> '';
ALTER TABLE records ALTER COLUMN source_id TYPE TEXT COLLATE "C",
    ALTER COLUMN key TYPE TEXT COLLATE "C",
    ADD COLUMN things TEXT[] DEFAULT '{}' NOT NULL;
CREATE INDEX ix_records_key ON records (connection, kind, key);
CREATE INDEX ix_records_things ON records USING gin (things) WHERE things <> '{}';
CREATE INDEX ix_records_missed ON records (connection, kind) WHERE misses > 0;

ALTER TABLE items ALTER COLUMN key TYPE TEXT COLLATE "C",
    ALTER COLUMN parent TYPE TEXT COLLATE "C",
    ADD COLUMN bundle TEXT DEFAULT 'default' NOT NULL,
    ADD COLUMN rank SMALLINT DEFAULT 4 NOT NULL,
    ADD COLUMN on_gone TEXT DEFAULT 'unpublish' NOT NULL,
    ADD COLUMN made BOOLEAN DEFAULT true NOT NULL,
    ADD COLUMN was_gone BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN waits_for TEXT[] DEFAULT '{}' NOT NULL;
ALTER TABLE items ADD COLUMN family TEXT COLLATE "C" GENERATED ALWAYS AS (CASE WHEN parent = '' THEN key ELSE parent END) STORED;
DROP INDEX ix_items_waiting;
CREATE INDEX ix_items_waiting ON items (shop, rank, family, kind, key) WHERE state = 'waiting';
CREATE INDEX ix_items_waits_for ON items USING gin (waits_for) WHERE waits_for <> '{}';
CREATE INDEX ix_items_parked ON items (shop, family) WHERE waits_for <> '{}';
CREATE INDEX ix_items_parent ON items (shop, parent) WHERE parent <> '';

-- A feed's new part of an item: what it has no value for any more (`cleared`) is emptied, what is paused (`kept`) stays as it was.
CREATE FUNCTION merged_parts(parts JSONB, feed TEXT, part JSONB, kept TEXT[]) RETURNS JSONB IMMUTABLE LANGUAGE sql AS $$
  SELECT parts || jsonb_build_object(feed, CASE WHEN NOT part ? 'cleared' AND kept = '{}' THEN part
    ELSE jsonb_set(part, '{fields}', coalesce((
      SELECT jsonb_object_agg(key, CASE WHEN part -> 'cleared' ? key THEN part -> 'cleared' -> key ELSE value END)
      FROM jsonb_each(coalesce(parts -> feed -> 'fields', '{}'::jsonb)) WHERE part -> 'cleared' ? key OR key = ANY(kept)
  ), '{}'::jsonb) || (part -> 'fields')) END)
$$;

CREATE TABLE sweeps (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    connection TEXT NOT NULL,
    kind TEXT NOT NULL,
    ids TEXT[] NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_sweeps_feed ON sweeps (connection, kind);

CREATE TABLE shapes (
    connection TEXT NOT NULL,
    kind TEXT NOT NULL,
    records BIGINT DEFAULT 0 NOT NULL,
    fields JSONB DEFAULT '{}' NOT NULL,
    drifted JSONB DEFAULT '{}' NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (connection, kind)
);

ALTER TABLE runs ADD COLUMN is_stale BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN full_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN known_since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL;
"""


def upgrade() -> None:
    op.execute(CHANGES)


def downgrade() -> None:
    op.execute("DROP TABLE sweeps, shapes")
    op.execute("DROP FUNCTION merged_parts")
    op.execute("ALTER TABLE runs DROP COLUMN is_stale, DROP COLUMN full_at, DROP COLUMN known_since")
    op.execute("DROP INDEX ix_items_waiting, ix_items_waits_for, ix_items_parked, ix_items_parent")
    op.execute("DROP INDEX ix_records_key, ix_records_things, ix_records_missed")
    op.execute("CREATE INDEX ix_items_waiting ON items (shop, due_at) WHERE state = 'waiting'")
    for column in ("family", "bundle", "rank", "on_gone", "made", "was_gone", "waits_for"):
        op.execute(f"ALTER TABLE items DROP COLUMN {column}")
    op.execute("DELETE FROM items WHERE kind NOT IN ('product', 'variation')")
    op.execute("ALTER TABLE records DROP COLUMN things")
    op.execute("ALTER TABLE records RENAME COLUMN key TO sku")
    op.execute("UPDATE records SET sku = substr(sku, length('variation/') + 1) WHERE sku <> ''")
