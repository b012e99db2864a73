"""What a person had said of a page when it was read: after a correction that reading is out of date."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pages", sa.Column("given", sa.Text(), nullable=True))
    # A job that waits to be read again may have been corrected since: nobody knows any more what it was read with.
    op.execute(
        "UPDATE pages SET given = (SELECT reviews.given FROM reviews WHERE reviews.job_id = pages.job_id "
        "AND reviews.page = pages.number) WHERE EXISTS (SELECT 1 FROM jobs WHERE jobs.job_id = pages.job_id "
        "AND jobs.state <> 'received')"
    )


def downgrade() -> None:
    with op.batch_alter_table("pages") as pages:
        pages.drop_column("given")
