"""Which documents were made before their job was last done again: those are never sent again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# After any of these a job was done again. A row of the outbox holds the place in the audit where it was queued.
DONE_AGAIN = "('retried', 'identified', 'corrected', 'approved')"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("superseded", sa.Boolean(), nullable=False, server_default=sa.false()))
    # Of a job that was done again and came out the same, this says too much: it can be done again once more.
    op.execute(
        "UPDATE outbox SET superseded = true WHERE EXISTS (SELECT 1 FROM audit WHERE audit.job_id = outbox.job_id "
        f"AND audit.seq > outbox.position AND audit.kind IN {DONE_AGAIN})"
    )


def downgrade() -> None:
    with op.batch_alter_table("outbox") as outbox:
        outbox.drop_column("superseded")
