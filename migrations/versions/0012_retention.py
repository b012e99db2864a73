"""When a page and its documents were erased, and from which entry on the audit is kept: only older ones may go."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

MOMENT = sa.String(27)

SQLITE_BEFORE = """
    CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit can only be added to'); END
    """
SQLITE_NOW = """
    CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit WHEN OLD.seq >= (SELECT first_seq FROM audit_head)
    BEGIN SELECT RAISE(ABORT, 'the audit can only be added to'); END
    """
POSTGRES_BEFORE = """
    CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()
    """
POSTGRES_NOW = (
    """
    CREATE FUNCTION audit_keeps_what_is_young() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN
        IF OLD.seq >= (SELECT first_seq FROM audit_head) THEN
            RAISE EXCEPTION 'the audit can only be added to';
        END IF;
        RETURN OLD;
    END $$
    """,
    """
    CREATE TRIGGER audit_no_change BEFORE UPDATE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()
    """,
    """
    CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_keeps_what_is_young()
    """,
)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("erased_at", MOMENT))
    op.add_column("outbox", sa.Column("erased_at", MOMENT))
    op.add_column("audit_head", sa.Column("first_seq", sa.BigInteger(), nullable=False, server_default=sa.text("1")))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_no_delete")
        op.execute(SQLITE_NOW)
        return
    op.execute("DROP TRIGGER audit_no_change ON audit")
    for statement in POSTGRES_NOW:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_no_delete")
        op.execute(SQLITE_BEFORE)
    else:
        op.execute("DROP TRIGGER audit_no_delete ON audit")
        op.execute("DROP TRIGGER audit_no_change ON audit")
        op.execute("DROP FUNCTION audit_keeps_what_is_young()")
        op.execute(POSTGRES_BEFORE)
    op.drop_column("audit_head", "first_seq")
    op.drop_column("outbox", "erased_at")
    op.drop_column("jobs", "erased_at")
