"""Which addresses have sent messages to the feed: after a restart they are no strangers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_senders",
        sa.Column("feed", sa.String(200), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("sent_at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("feed", "address", name="pk_feed_senders"),
    )


def downgrade() -> None:
    op.drop_table("feed_senders")
