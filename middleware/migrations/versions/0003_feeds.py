"""Feeds: what was read of each source, what is wanted of each product and variation, and where a pull is."""

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE records (
    connection TEXT NOT NULL,
    kind TEXT NOT NULL,
    source_id TEXT NOT NULL,
    seen BYTEA NOT NULL,
    raw BYTEA NOT NULL,
    mapped_with BYTEA NOT NULL,
    state TEXT NOT NULL,
    sku TEXT DEFAULT '' NOT NULL,
    attribute TEXT DEFAULT '' NOT NULL,
    rule TEXT DEFAULT '' NOT NULL,
    value TEXT DEFAULT '' NOT NULL,
    sweep INTEGER NOT NULL,
    misses SMALLINT DEFAULT 0 NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (connection, kind, source_id)
);
CREATE INDEX ix_records_rejected ON records (connection, kind) WHERE state = 'rejected';

CREATE TABLE items (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    shop TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    parent TEXT DEFAULT '' NOT NULL,
    parts JSONB NOT NULL,
    wanted BYTEA NOT NULL,
    written BYTEA,
    state TEXT NOT NULL,
    cause TEXT DEFAULT '' NOT NULL,
    field TEXT DEFAULT '' NOT NULL,
    attempts SMALLINT DEFAULT 0 NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    token TEXT,
    lease_until TIMESTAMP WITH TIME ZONE,
    remote_id TEXT DEFAULT '' NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    written_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT uq_items_key UNIQUE (shop, kind, key)
);
CREATE INDEX ix_items_waiting ON items (shop, due_at) WHERE state = 'waiting';
CREATE INDEX ix_items_rejected ON items (shop) WHERE state = 'rejected';

ALTER TABLE runs ADD COLUMN cursor TEXT DEFAULT '' NOT NULL,
    ADD COLUMN began_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN is_full BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN sweep INTEGER DEFAULT 0 NOT NULL,
    ADD COLUMN completed_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN is_hinted BOOLEAN DEFAULT false NOT NULL;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE records, items")
    for column in ("cursor", "began_at", "is_full", "sweep", "completed_at", "is_hinted"):
        op.execute(f"ALTER TABLE runs DROP COLUMN {column}")
