"""The audit chain: every row holds the hash of the one before, so that none can be changed, dropped or moved unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, TextIO

from sqlalchemy import Row, insert, select, update

from gateway.store.database import Database, Transaction
from gateway.store.job_fields import canonical as canonical
from gateway.store.job_fields import hashes, hashes_of_job
from gateway.store.job_fields import text_hash as text_hash
from gateway.store.tables import audit, audit_head, moment_text

GENESIS_HASH = "0" * 64  # what the first row takes for the hash of the one before
EXPORT_ROWS = 1000  # rows fetched at a time

Detail = str | int | float | None

_LOCK_HEAD = select(audit_head).with_for_update()
_ADD_ROW = insert(audit)
_MOVE_HEAD = update(audit_head)


class Event(StrEnum):
    """What can happen to a page, and what people do. Entries that concern no page have the job id ""."""

    RECEIVED = "received"  # its bytes are safe and the sender may be told so
    REPEATED = "repeated"  # the same bytes from the same sender for the same patient: the same job
    CLAIMED = "claimed"  # a worker took it
    RELEASED = "released"  # the worker gave it back untouched
    LEASE_EXPIRED = "lease_expired"  # the worker, or the process that delivered, died
    SETTLED = "settled"  # digitized
    HELD = "held"
    REFUSED = "refused"
    QUEUED = "queued"  # a document waits for a destination
    DELIVERED = "delivered"
    POSTPONED = "postponed"
    PARKED = "parked"
    WITHDRAWN = "withdrawn"  # a document that was still waiting will not go out
    RETRIED = "retried"
    RESENT = "resent"
    IDENTIFIED = "identified"
    GIVEN_UP = "given_up"
    CORRECTED = "corrected"  # a person told how a page is to be read
    LEADS_MARKED = "leads_marked"  # a person told which leads are not to be believed
    APPROVED = "approved"  # a person let out what was read
    PAUSED = "paused"  # a destination, by a person
    RESUMED = "resumed"
    LOOKED = "looked"  # somebody saw a page, its waveform or a document of it, a list of jobs, or the whole audit
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SIGN_IN_FAILED = "sign_in_failed"
    LOCKED_OUT = "locked_out"
    USER_ADDED = "user_added"
    USER_CHANGED = "user_changed"  # role, disabled
    PASSWORD_CHANGED = "password_changed"
    PASSWORD_RESET = "password_reset"
    TOKEN_ISSUED = "token_issued"
    TOKEN_REVOKED = "token_revoked"
    FORGOTTEN = "forgotten"  # patients and orders that a feed had told of, and not again for long
    ANSWERED_LATER = "answered_later"  # what a destination said of a document that it had taken before
    ERASED = "erased"  # a page or its documents, when they were old enough
    PRUNED = "pruned"  # the oldest entries of the audit itself


# After these a job's order, sender or reason can be another: their rows cover what the job is then.
CHANGES_A_JOB = frozenset(
    {
        *(Event.SETTLED, Event.HELD, Event.REFUSED, Event.IDENTIFIED, Event.RETRIED, Event.CORRECTED, Event.APPROVED),
        *(Event.LEADS_MARKED, Event.GIVEN_UP, Event.RESENT, Event.DELIVERED, Event.POSTPONED, Event.PARKED),
        *(Event.ANSWERED_LATER, Event.ERASED),
    }
)


def append_received(tx: Transaction, job_id: str, actor: str, job: Mapping[str, Any], **detail: Detail) -> int:
    """Adds the row with which a job begins. job: its columns as they were just inserted."""
    return append(tx, Event.RECEIVED, job_id, actor, **detail, **hashes(job))


def append(tx: Transaction, event: Event, job_id: str, actor: str, **detail: Detail) -> int:
    """Adds a row to the chain inside a transaction and returns its number, counted from 1.

    Holds the head's row until the transaction ends, so a transaction must have locked whatever else it needs before.
    Whatever the event changes of the job itself must have been written before too: the row covers it.
    """
    if event in CHANGES_A_JOB:
        detail |= hashes_of_job(tx.connection, job_id)
    head = tx.execute(_LOCK_HEAD).one()
    seq = head.rows + 1
    at, text = moment_text(tx.now), canonical(detail)
    digest = row_hash(head.hash, seq, at, event, job_id, actor, text)
    row = {"seq": seq, "at": at, "kind": event, "job_id": job_id, "actor": actor, "detail": text}
    tx.execute(_ADD_ROW, {**row, "prev_hash": head.hash, "hash": digest})
    tx.execute(_MOVE_HEAD, {"rows": seq, "hash": digest})
    return int(seq)


def row_hash(prev_hash: str, seq: int, at: str, kind: str, job_id: str, actor: str, detail: str) -> str:
    """SHA-256 over the hash of the row before and this row's canonical JSON; detail goes in as the text it is."""
    row = {"seq": seq, "at": at, "kind": str(kind), "job_id": job_id, "actor": actor, "detail": detail}
    return hashlib.sha256((prev_hash + canonical(row)).encode()).hexdigest()


def export(database: Database, stream: TextIO) -> int:
    """Writes the chain as JSON lines, hashes included, and returns how many."""
    rows = 0
    for line in lines(database):
        stream.write(line)
        rows += 1
    return rows


def lines(database: Database) -> Iterator[str]:
    """The chain as JSON lines, hashes included, as it stands when the first is asked for."""
    with database.read() as connection:
        query = select(audit).order_by(audit.c.seq)
        for row in connection.execute(query, execution_options={"yield_per": EXPORT_ROWS}):
            yield canonical(_as_dict(row)) + "\n"


def _as_dict(row: Row[*tuple[Any, ...]]) -> dict[str, object]:
    return dict(row._mapping)
