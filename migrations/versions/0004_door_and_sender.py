"""An index for who asks for a door and a sender at once: many jobs may meet each, and none both."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEX = "ix_jobs_door_sender_number"


def upgrade() -> None:
    op.create_index(op.f(INDEX), "jobs", ["door", "sender", "number"])


def downgrade() -> None:
    op.drop_index(op.f(INDEX), "jobs")
