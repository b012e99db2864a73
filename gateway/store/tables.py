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
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

from gateway.job import State
from gateway.role import Role

MOMENT_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"
MOMENT_CHARACTERS = 27  # the length of 2024-01-31T14:30:00.000000Z
LOCAL_MOMENT_CHARACTERS = 35  # of 2024-01-31T14:30:00.000000+01:00:00: old offsets have seconds
SHA256_CHARACTERS = 64
ID_CHARACTERS = 32  # a UUID without its hyphens
NAME_CHARACTERS = 200  # of a user
ADDRESS_CHARACTERS = 64  # of an IPv6 address with its zone: 39, "%" and an interface's name
WORD_CHARACTERS = 64  # of a name or number that can be searched for


class DeliveryState(StrEnum):
    """Where a row of the outbox stands."""

    QUEUED = "queued"  # waits for its turn, its back-off, or is on its way under a lease
    DELIVERED = "delivered"  # the destination accepted it
    PARKED = "parked"  # given up after bounded tries; a person must look
    WITHDRAWN = "withdrawn"  # never went out: a person had the page done again or gave up on it


def moment_text(moment: datetime) -> str:
    """A moment as fixed-width UTC text, so that text order is time order and a hash sees every digit."""
    return moment.astimezone(UTC).strftime(MOMENT_FORM)


def moment_from(text: str) -> datetime:
    """The reverse of moment_text. ValueError."""
    return datetime.strptime(text, MOMENT_FORM).replace(tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """An aware datetime kept as fixed-width text: the same bytes in SQLite and PostgreSQL."""

    impl = String(MOMENT_CHARACTERS)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else moment_text(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else moment_from(value)


class LocalMoment(TypeDecorator[datetime]):
    """An aware datetime kept with the offset that it was told with, which may not be the machine's any more."""

    impl = String(LOCAL_MOMENT_CHARACTERS)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else value.isoformat(timespec="microseconds")

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


def one_of(column: str, values: type[StrEnum]) -> str:
    """The SQL condition that a column holds one of an enumeration's words."""
    return f"{column} IN ({', '.join(repr(str(word)) for word in values)})"


# SQLite counts rows up by itself only for a column declared INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")

# Compared byte by byte, as SQLite does by itself, so that an index finds everything that begins with a word.
Word = String(WORD_CHARACTERS).with_variant(String(WORD_CHARACTERS, collation="C"), "postgresql")

EMPTY = text("''")
IS_PARKED = text("state = 'parked'")

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
    # What the worklist shows and filters by, taken from the order and the pages whenever these change
    Column("patient_id", Text, nullable=False, server_default=EMPTY),
    Column("issuer", Text, nullable=False, server_default=EMPTY),
    Column("patient_name", Text, nullable=False, server_default=EMPTY),
    Column("birth_date", Text, nullable=False, server_default=EMPTY),
    Column("accession_number", Text, nullable=False, server_default=EMPTY),
    Column("pages", Integer, nullable=False, server_default=text("0")),
    Column("confidence", Float),  # of the least sure page that was read
    Column("lease_holder", Text, nullable=False, server_default=EMPTY),  # gateway.store.holder: whose a lease is
    Column("gateway_deaths", Integer, nullable=False, server_default=text("0")),  # over this page since it last settled
    Column("erased_at", Moment),  # its page, when it was old enough; the row stays
    CheckConstraint(one_of("state", State), name="state"),
    Index(None, "state", "number"),
    Index(None, "state", "confidence", "number"),
    Index(None, "door", "number"),
    Index(None, "door", "sender", "number"),
    Index(None, "sender", "number"),
    Index(None, "patient_id", "number"),
    Index(None, "confidence", "number"),
    Index(None, "received_at"),
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
    Column("given", Text),  # JSON of what a person had said of the page when it was read
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
    Column("superseded", Boolean, nullable=False, server_default=false()),  # made before its job was last done again
    Column("made_at", LocalMoment),  # the time of the result that the document holds; NULL for older rows
    Column("lease_holder", Text, nullable=False, server_default=EMPTY),
    Column("erased_at", Moment),  # the document, when it was old enough
    CheckConstraint(one_of("state", DeliveryState), name="state"),
    UniqueConstraint("job_id", "destination", "name"),
    Index(None, "destination", "state", "position"),
    Index("ix_outbox_parked", "delivery_id", sqlite_where=IS_PARKED, postgresql_where=IS_PARKED),
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
    Column("rows", BigInteger, nullable=False),  # the number of the last one
    Column("hash", String(SHA256_CHARACTERS), nullable=False),
    Column("first_seq", BigInteger, nullable=False, server_default=text("1")),  # older rows may be taken away
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
    Column("key", String(SHA256_CHARACTERS), primary_key=True),  # hash of a name or address: some type passwords there
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

terms = Table(
    "terms",
    metadata,
    Column("term", Word, primary_key=True),  # a word of a patient's name or number, or of an accession number, folded
    Column("number", Number, ForeignKey("jobs.number"), primary_key=True, autoincrement=False),
    Index(None, "number", "term"),
)

tallies = Table(
    "tallies",
    metadata,
    Column("state", String(16), primary_key=True),
    Column("jobs", BigInteger, nullable=False),  # that stand there; counting a million rows takes too long to look at
)

hours = Table(
    "hours",
    metadata,
    Column("hour", String(13), primary_key=True),  # 2024-01-31T14, UTC
    Column("verdict", String(16), primary_key=True),
    Column("pages", BigInteger, nullable=False),  # settled so within that hour
)

durations = Table(
    "durations",
    metadata,
    Column("bin", Integer, primary_key=True, autoincrement=False),  # of counting.DURATION_BOUNDS_S, the last one above
    Column("jobs", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),  # their sum
)

confidences = Table(
    "confidences",
    metadata,
    Column("day", String(10), primary_key=True),  # 2024-01-31, UTC
    Column("bin", Integer, primary_key=True, autoincrement=False),  # twentieths of confidence, 0..19
    Column("pages", BigInteger, nullable=False),
)

destinations = Table(
    "destinations",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("paused_by", Text, nullable=False, server_default=EMPTY),
    Column("paused_at", Moment),  # None: not paused
    Column("delivered_at", Moment),  # the last time it accepted a document
    Column("response", Text, nullable=False, server_default=EMPTY),  # what it said then
    Column("peer_up", Boolean),  # None: never asked
    Column("peer_words", Text, nullable=False, server_default=EMPTY),
    Column("peer_checked_at", Moment),
    Column("peer_since", Moment),  # up, or down, without a break since
)

reviews = Table(
    "reviews",
    metadata,
    Column("job_id", String(ID_CHARACTERS), ForeignKey("jobs.job_id"), primary_key=True),
    Column("page", Integer, primary_key=True, autoincrement=False),
    Column("given", Text),  # JSON of what a person says of the page, for the digitizer
    Column("given_by", Text, nullable=False, server_default=EMPTY),
    Column("invalid_leads", Text, nullable=False, server_default=EMPTY),  # lead names with blanks between
    Column("invalid_by", Text, nullable=False, server_default=EMPTY),
    Column("approved_sha256", String(SHA256_CHARACTERS)),  # the recording that was approved
    Column("approved_by", Text, nullable=False, server_default=EMPTY),
    Column("left_out_by", Text, nullable=False, server_default=EMPTY),  # the document may go without this page
    Column("approved_again_by", Text, nullable=False, server_default=EMPTY),  # a second person, of the same recording
)

remarks = Table(
    "remarks",
    metadata,
    Column("remark_id", Number, primary_key=True, autoincrement=True),
    Column("job_id", String(ID_CHARACTERS), ForeignKey("jobs.job_id"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(32), nullable=False),  # the audit's word for what was done
    Column("text", Text, nullable=False),  # a person's own words: may name a patient, so the audit has their hash only
    Index(None, "job_id", "remark_id"),
)

known_patients = Table(
    "known_patients",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("told_by", String(NAME_CHARACTERS), nullable=False),  # the feed
    Column("issuer", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("name", Text, nullable=False, server_default=EMPTY),
    Column("birth_date", Text, nullable=False, server_default=EMPTY),
    Column("sex", Text, nullable=False, server_default=EMPTY),
    Column("visit_number", Text, nullable=False, server_default=EMPTY),
    Column("referring_physician", Text, nullable=False, server_default=EMPTY),
    Column("place", Text, nullable=False, server_default=EMPTY),  # in words
    Column("said_at", Moment),  # by the feed's clock: what was said before does not count any more; None: never
    Column("fresh_at", Moment, nullable=False),  # kept for so long after this
    Column("gone", Boolean, nullable=False),  # deleted, or merged: the row only outlives messages that come late
    Column("merged_into", Number, ForeignKey("known_patients.number")),
    UniqueConstraint("told_by", "issuer", "patient_id"),
    Index(None, "fresh_at"),
    Index(None, "merged_into"),
)

known_orders = Table(
    "known_orders",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("patient", Number, ForeignKey("known_patients.number"), nullable=False),
    Column("told_by", String(NAME_CHARACTERS), nullable=False),
    Column("placer_key", Text, nullable=False),  # the number with who gave it, "" where not told
    Column("filler_key", Text, nullable=False),
    Column("placer_number", Text, nullable=False, server_default=EMPTY),
    Column("filler_number", Text, nullable=False, server_default=EMPTY),
    Column("accession_number", Text, nullable=False, server_default=EMPTY),
    Column("study_uid", Text, nullable=False, server_default=EMPTY),
    Column("visit_number", Text, nullable=False, server_default=EMPTY),
    Column("referring_physician", Text, nullable=False, server_default=EMPTY),
    Column("what", Text, nullable=False, server_default=EMPTY),
    Column("scheduled_at", Moment),
    Column("said_at", Moment, nullable=False),
    Column("fresh_at", Moment, nullable=False),
    Column("gone", Boolean, nullable=False),  # cancelled: the row only outlives messages that come late
    Index(None, "patient"),
    Index(None, "told_by", "placer_key"),
    Index(None, "told_by", "filler_key"),
    Index(None, "fresh_at"),
)

known_terms = Table(
    "known_terms",
    metadata,
    Column("term", Word, primary_key=True),  # a word of a patient's name, dates and numbers, or of an order's numbers
    Column("number", Number, ForeignKey("known_patients.number"), primary_key=True, autoincrement=False),
    Index(None, "number", "term"),
)

feed_senders = Table(
    "feed_senders",
    metadata,
    Column("feed", String(NAME_CHARACTERS), primary_key=True),
    Column("address", String(ADDRESS_CHARACTERS), primary_key=True),
    Column("sent_at", Moment, nullable=False),  # to the hour: it is not written at every message
)
