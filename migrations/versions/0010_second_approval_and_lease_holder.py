"""Who approved a reading after another had; which process holds a lease: what a dead one held is given up at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

EMPTY = sa.text("''")
COLUMNS = (("reviews", "approved_again_by"), ("jobs", "lease_holder"), ("outbox", "lease_holder"))


def upgrade() -> None:
    for table, column in COLUMNS:
        op.add_column(table, sa.Column(column, sa.Text(), nullable=False, server_default=EMPTY))


def downgrade() -> None:
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column)
