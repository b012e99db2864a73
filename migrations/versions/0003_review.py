"""What the window asks for: columns and words to find pages by, counts, pauses and peers, and what reviewers said."""

from __future__ import annotations

import json
import re
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.String(27)
EMPTY = sa.text("''")
WORD = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
STATES = ("received", "digitized", "delivered", "held", "refused")
TEXTS = ("patient_id", "issuer", "patient_name", "birth_date", "accession_number")
INDEXES = (
    ["door", "number"],
    ["sender", "number"],
    ["patient_id", "number"],
    ["confidence", "number"],
    ["received_at"],
)
TABLES = ("remarks", "reviews", "destinations", "confidences", "hours", "tallies", "terms")
JOBS_AT_ONCE = 1000


def upgrade() -> None:
    for name in TEXTS:
        op.add_column("jobs", sa.Column(name, sa.Text(), nullable=False, server_default=EMPTY))
    op.add_column("jobs", sa.Column("pages", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("jobs", sa.Column("confidence", sa.Float(), nullable=True))
    for columns in INDEXES:
        op.create_index(op.f(f"ix_jobs_{'_'.join(columns)}"), "jobs", columns)
    parked = sa.text("state = 'parked'")
    op.create_index("ix_outbox_parked", "outbox", ["delivery_id"], sqlite_where=parked, postgresql_where=parked)
    create_counts()
    create_destinations()
    create_reviews()
    fill()


def create_counts() -> None:
    op.create_table(
        "terms",
        sa.Column("term", WORD, nullable=False),
        sa.Column("number", NUMBER, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["number"], ["jobs.number"], name=op.f("fk_terms_number_jobs")),
        sa.PrimaryKeyConstraint("term", "number", name=op.f("pk_terms")),
    )
    op.create_index(op.f("ix_terms_number_term"), "terms", ["number", "term"])
    tallies = op.create_table(
        "tallies",
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("state", name=op.f("pk_tallies")),
    )
    op.bulk_insert(tallies, [{"state": state, "jobs": 0} for state in STATES])
    op.create_table(
        "hours",
        sa.Column("hour", sa.String(13), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("pages", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "verdict", name=op.f("pk_hours")),
    )
    op.create_table(
        "confidences",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("bin", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("pages", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "bin", name=op.f("pk_confidences")),
    )


def create_destinations() -> None:
    op.create_table(
        "destinations",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("paused_by", sa.Text(), nullable=False, server_default=EMPTY),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("delivered_at", MOMENT, nullable=True),
        sa.Column("response", sa.Text(), nullable=False, server_default=EMPTY),
        sa.Column("peer_up", sa.Boolean(), nullable=True),
        sa.Column("peer_words", sa.Text(), nullable=False, server_default=EMPTY),
        sa.Column("peer_checked_at", MOMENT, nullable=True),
        sa.Column("peer_since", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_destinations")),
    )


def create_reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("page", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("given", sa.Text(), nullable=True),
        sa.Column("given_by", sa.Text(), nullable=False, server_default=EMPTY),
        sa.Column("invalid_leads", sa.Text(), nullable=False, server_default=EMPTY),
        sa.Column("invalid_by", sa.Text(), nullable=False, server_default=EMPTY),
        sa.Column("approved_sha256", sa.String(64), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=False, server_default=EMPTY),
        sa.Column("left_out_by", sa.Text(), nullable=False, server_default=EMPTY),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name=op.f("fk_reviews_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "page", name=op.f("pk_reviews")),
    )
    op.create_table(
        "remarks",
        sa.Column("remark_id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name=op.f("fk_remarks_job_id_jobs")),
        sa.PrimaryKeyConstraint("remark_id", name=op.f("pk_remarks")),
    )
    op.create_index(op.f("ix_remarks_job_id_remark_id"), "remarks", ["job_id", "remark_id"])


def fill() -> None:
    """The new columns, words and counts of the jobs that are there. Hours and confidences begin to be counted now."""
    connection = op.get_bind()
    for state, count in connection.execute(sa.text("SELECT state, count(*) FROM jobs GROUP BY state")).all():
        connection.execute(sa.text("UPDATE tallies SET jobs = :n WHERE state = :s"), {"n": count, "s": state})
    last = 0
    while rows := connection.execute(
        sa.text(
            "SELECT number, job_id, order_json, read_order_json FROM jobs WHERE number > :last ORDER BY number LIMIT :n"
        ),
        {"last": last, "n": JOBS_AT_ONCE},
    ).all():
        for row in rows:
            fill_job(connection, row)
        last = rows[-1].number


def fill_job(connection: sa.Connection, row: sa.Row[tuple[int, str, str | None, str | None]]) -> None:
    order = json.loads(row.read_order_json or row.order_json or "{}")
    patient = order.get("patient", {})
    told = {
        "patient_id": patient.get("patient_id", ""),
        "issuer": patient.get("issuer", ""),
        "patient_name": patient.get("name", ""),
        "birth_date": patient.get("birth_date", ""),
        "accession_number": order.get("accession_number", ""),
    }
    told = {key: clean(text) for key, text in told.items()}
    pages = connection.execute(
        sa.text("SELECT summary, recording_sha256 FROM pages WHERE job_id = :job"), {"job": row.job_id}
    ).all()
    read = [json.loads(page.summary).get("confidence") for page in pages if page.recording_sha256]
    sure = [float(value) for value in read if isinstance(value, int | float)]
    sets = ", ".join(f"{key} = :{key}" for key in told)
    connection.execute(
        sa.text(f"UPDATE jobs SET {sets}, pages = :pages, confidence = :confidence WHERE number = :number"),
        {**told, "pages": len(pages), "confidence": min(sure, default=None), "number": row.number},
    )
    for term in words(f"{told['patient_id']} {told['patient_name']} {told['accession_number']}"):
        connection.execute(
            sa.text("INSERT INTO terms (term, number) VALUES (:term, :number)"), {"term": term, "number": row.number}
        )


def clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def words(text: str) -> list[str]:
    """As gateway.store.search_terms folded them when this revision was made."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()
    return sorted({word[:64] for word in re.findall(r"[^\W_]+", plain)})[:32]


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.drop_index("ix_outbox_parked", "outbox")
    for columns in INDEXES:
        op.drop_index(op.f(f"ix_jobs_{'_'.join(columns)}"), "jobs")
    with op.batch_alter_table("jobs") as jobs:
        for name in (*TEXTS, "pages", "confidence"):
            jobs.drop_column(name)
