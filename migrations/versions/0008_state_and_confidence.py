"""An index for who asks for the least sure jobs of one state: the few that wait for a person, among all ever read."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEX = "ix_jobs_state_confidence_number"


def upgrade() -> None:
    op.create_index(op.f(INDEX), "jobs", ["state", "confidence", "number"])


def downgrade() -> None:
    op.drop_index(op.f(INDEX), "jobs")
