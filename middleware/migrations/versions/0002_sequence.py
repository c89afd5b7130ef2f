"""An order's number of what the shop said of it: its payments may change while its version stays."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN sequence BIGINT DEFAULT 0 NOT NULL")


def downgrade() -> None:
    op.execute("ALTER TABLE orders DROP COLUMN sequence")
