"""Who approved a reading after another had; which process holds a lease, and how many gateways died over a page."""

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
    op.add_column("jobs", sa.Column("gateway_deaths", sa.Integer(), nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    op.drop_column("jobs", "gateway_deaths")
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column)
