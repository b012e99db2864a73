"""Patients and orders that the hospital's feed has told of, and the words they are found by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.String(27)
EMPTY = sa.text("''")
WORD = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
INDEXES = (
    ("known_patients", ["fresh_at"]),
    ("known_patients", ["merged_into"]),
    ("known_orders", ["patient"]),
    ("known_orders", ["told_by", "placer_key"]),
    ("known_orders", ["told_by", "filler_key"]),
    ("known_orders", ["fresh_at"]),
    ("known_terms", ["number", "term"]),
)


def texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False, server_default=EMPTY) for name in names]


def upgrade() -> None:
    op.create_table(
        "known_patients",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("told_by", sa.String(200), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        *texts("name", "birth_date", "sex", "visit_number", "referring_physician", "place"),
        sa.Column("said_at", MOMENT, nullable=True),
        sa.Column("fresh_at", MOMENT, nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.Column("merged_into", NUMBER, nullable=True),
        sa.ForeignKeyConstraint(
            ["merged_into"], ["known_patients.number"], name=op.f("fk_known_patients_merged_into_known_patients")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_known_patients")),
        sa.UniqueConstraint(
            "told_by", "issuer", "patient_id", name=op.f("uq_known_patients_told_by_issuer_patient_id")
        ),
    )
    op.create_table(
        "known_orders",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("patient", NUMBER, nullable=False),
        sa.Column("told_by", sa.String(200), nullable=False),
        sa.Column("placer_key", sa.Text(), nullable=False),
        sa.Column("filler_key", sa.Text(), nullable=False),
        *texts("placer_number", "filler_number", "accession_number", "study_uid"),
        *texts("visit_number", "referring_physician", "what"),
        sa.Column("scheduled_at", MOMENT, nullable=True),
        sa.Column("said_at", MOMENT, nullable=False),
        sa.Column("fresh_at", MOMENT, nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient"], ["known_patients.number"], name=op.f("fk_known_orders_patient_known_patients")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_known_orders")),
    )
    op.create_table(
        "known_terms",
        sa.Column("term", WORD, nullable=False),
        sa.Column("number", NUMBER, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["number"], ["known_patients.number"], name=op.f("fk_known_terms_number_known_patients")
        ),
        sa.PrimaryKeyConstraint("term", "number", name=op.f("pk_known_terms")),
    )
    for table, columns in INDEXES:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)


def downgrade() -> None:
    for table in ("known_terms", "known_orders", "known_patients"):
        op.drop_table(table)
