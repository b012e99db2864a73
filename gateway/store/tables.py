"""The tables, as SQLAlchemy sees them. migrations/ builds the same ones; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from gateway.job import State
from gateway.role import Role

MOMENT_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"
MOMENT_CHARACTERS = 27  # the length of 2024-01-31T14:30:00.000000Z
SHA256_CHARACTERS = 64
ID_CHARACTERS = 32  # a UUID without its hyphens
NAME_CHARACTERS = 200  # of a user


class DeliveryState(StrEnum):
    """Where a row of the outbox stands."""

    QUEUED = "queued"  # waits for its turn, its back-off, or is on its way under a lease
    DELIVERED = "delivered"  # the destination accepted it
    PARKED = "parked"  # given up after bounded tries; a person must look
    WITHDRAWN = "withdrawn"  # never went out: a person had the page done again or gave up on it


def moment_text(moment: datetime) -> str:
    """A moment as fixed-width UTC text, so that text order is time order and a hash sees every digit."""
    return moment.astimezone(UTC).strftime(MOMENT_FORM)


class Moment(TypeDecorator[datetime]):
    """An aware datetime kept as fixed-width text: the same bytes in SQLite and PostgreSQL."""

    impl = String(MOMENT_CHARACTERS)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else moment_text(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.strptime(value, MOMENT_FORM).replace(tzinfo=UTC)


def one_of(column: str, words: type[StrEnum]) -> str:
    """The SQL condition that a column holds one of an enumeration's words."""
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


# SQLite counts rows up by itself only for a column declared INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),  # the order of arrival
    Column("job_id", String(ID_CHARACTERS), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("settled", String(16)),  # the state the worker asked for; deliveries move a job only where it was digitized
    Column("door", String(16), nullable=False),
    Column("sender", Text, nullable=False),
    Column("sender_address", Text, nullable=False),
    Column("called", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("order_json", Text),  # from the door, or from the person who identified the page
    Column("read_order_json", Text),  # from the page itself, by the worker
    Column("repeat_key", String(SHA256_CHARACTERS), nullable=False, unique=True),
    Column("sha256", String(SHA256_CHARACTERS), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("lease_token", String(ID_CHARACTERS)),
    Column("lease_worker", Text, nullable=False),
    Column("lease_until", Moment),  # without a token: not to be lent before, for it has just been given back
    CheckConstraint(one_of("state", State), name="state"),
    Index(None, "state", "number"),
)

pages = Table(
    "pages",
    metadata,
    Column("job_id", String(ID_CHARACTERS), ForeignKey("jobs.job_id"), primary_key=True),
    Column("number", Integer, primary_key=True),  # from 1
    Column("verdict", String(16), nullable=False),
    Column("code", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("summary", Text, nullable=False),  # JSON
    Column("recording_sha256", String(SHA256_CHARACTERS)),
)

outbox = Table(
    "outbox",
    metadata,
    Column("delivery_id", Number, primary_key=True, autoincrement=True),
    Column("job_id", String(ID_CHARACTERS), ForeignKey("jobs.job_id"), nullable=False),
    Column("destination", String(200), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("name", String(200), nullable=False),
    Column("page", Integer, nullable=False),
    Column("sha256", String(SHA256_CHARACTERS), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("position", BigInteger, nullable=False),  # the audit row that queued it: the order of the queue
    Column("attempts", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("response", Text, nullable=False),
    Column("queued_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("delivered_at", Moment),
    Column("lease_token", String(ID_CHARACTERS)),
    Column("lease_until", Moment),
    CheckConstraint(one_of("state", DeliveryState), name="state"),
    UniqueConstraint("job_id", "destination", "name"),
    Index(None, "destination", "state", "position"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),  # 1, 2, 3 …
    Column("at", String(MOMENT_CHARACTERS), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("job_id", String(ID_CHARACTERS), nullable=False),
    Column("actor", Text, nullable=False),
    Column("detail", Text, nullable=False),  # canonical JSON without patient data
    Column("prev_hash", String(SHA256_CHARACTERS), nullable=False),
    Column("hash", String(SHA256_CHARACTERS), nullable=False),
    Index(None, "job_id", "seq"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("rows", BigInteger, nullable=False),
    Column("hash", String(SHA256_CHARACTERS), nullable=False),
    CheckConstraint("id = 1", name="id"),
)

users = Table(
    "users",
    metadata,
    Column("user_id", String(ID_CHARACTERS), primary_key=True),
    Column("name", String(NAME_CHARACTERS), nullable=False, unique=True),  # in lower case, as the audit names the actor
    Column("role", String(16), nullable=False),
    Column("password_hash", Text, nullable=False),  # Argon2id with its salt; "" = cannot sign in by password
    Column("must_change_password", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("subject", String(SHA256_CHARACTERS), unique=True),  # of issuer and subject of an OpenID provider
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("signed_in_at", Moment),  # the last time
    CheckConstraint(one_of("role", Role), name="role"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("secret_sha256", String(SHA256_CHARACTERS), primary_key=True),  # of the cookie, which only its browser knows
    Column("user_id", String(ID_CHARACTERS), ForeignKey("users.user_id"), nullable=False),
    Column("csrf_token", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", String(ID_CHARACTERS), primary_key=True),
    Column("user_id", String(ID_CHARACTERS), ForeignKey("users.user_id"), nullable=False),
    Column("secret_sha256", String(SHA256_CHARACTERS), nullable=False, unique=True),
    Column("label", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # words with blanks between
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Index(None, "user_id"),
)

lockouts = Table(
    "lockouts",
    metadata,
    Column(
        "key", String(SHA256_CHARACTERS), primary_key=True
    ),  # hash of a name or address: people type passwords there
    Column("failures", Integer, nullable=False),
    Column("failed_at", Moment, nullable=False),  # the last time
    Column("locked_until", Moment),
    Index(None, "failed_at"),
)

web_keys = Table(
    "web_keys",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(64), nullable=False),  # random; signs what a browser keeps for us during a sign-in
)
