"""Payments of every provider: where each part is, a fraud check's decision, payouts with what they are made of."""

from alembic import op

revision = "0005"
down_revision = "0004"

TABLES = """
ALTER TABLE payment_parts ADD COLUMN state TEXT DEFAULT 'done' NOT NULL;
ALTER TABLE orders ADD COLUMN aligned TEXT DEFAULT '' NOT NULL, ADD COLUMN stock_effect TEXT DEFAULT '' NOT NULL;
ALTER TABLE payments ADD COLUMN review TEXT DEFAULT '' NOT NULL, ADD COLUMN review_at TIMESTAMP WITH TIME ZONE;

CREATE TABLE payouts (
    connection TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    state TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    fee_minor BIGINT,
    currency TEXT NOT NULL,
    said_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (connection, remote_id)
);

CREATE TABLE payout_parts (
    connection TEXT NOT NULL,
    payout TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payment_ref TEXT DEFAULT '' NOT NULL,
    gross_minor BIGINT NOT NULL,
    fee_minor BIGINT NOT NULL,
    net_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    PRIMARY KEY (connection, payout, remote_id),
    FOREIGN KEY (connection, payout) REFERENCES payouts (connection, remote_id) ON DELETE CASCADE
);
CREATE TABLE secret_uses (
    connection TEXT NOT NULL,
    source TEXT NOT NULL,
    uses BIGINT NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (connection, source)
);
CREATE INDEX ix_payout_parts_payment ON payout_parts (connection, payment_ref) WHERE payment_ref <> '';
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE payout_parts, payouts, secret_uses")
    op.execute("ALTER TABLE orders DROP COLUMN aligned, DROP COLUMN stock_effect")
    op.execute("ALTER TABLE payments DROP COLUMN review, DROP COLUMN review_at")
    op.execute("ALTER TABLE payment_parts DROP COLUMN state")
