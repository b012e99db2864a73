"""Which fields of a job each row of the audit chain covers, and their hashes: a changed field is found and named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, String, bindparam, cast, select
from sqlalchemy.sql.elements import ColumnElement

from gateway.store.tables import Moment, jobs, moment_text

CHAIN_VERSION = 2  # rows without a version are of 1, which covered bytes, pages and states only

ARRIVAL = ("door", "sender", "sender_address", "called", "media_type", "file_name", "size_bytes", "received_at")
OUTCOME = ("settled", "code", "why", "made_by")
# The word that verify says to the columns that it stands for.
FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"arrival": ARRIVAL, "order": ("order_json",), "read_order": ("read_order_json",), "outcome": OUTCOME}
)
SAID: Mapping[str, str] = MappingProxyType(
    {
        "arrival": "sender (door, sender, addresses, file name, size or time)",
        "order": "order (whose ECG it is)",
        "read_order": "order as read from the page",
        "outcome": "reason (settled, code, why or made_by)",
    }
)


def raw(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column as the database holds it: what is no moment any more must be told, and not end the reading."""
    return cast(column, String) if isinstance(column.type, Moment) else column


_COLUMNS = [raw(jobs.c[name]).label(name) for names in FIELDS.values() for name in names]
_OF_JOB = select(*_COLUMNS).where(jobs.c.job_id == bindparam("job"))


def hashes_of_job(connection: Connection, job_id: str) -> dict[str, str | int | float | None]:
    """What a row of the chain says of a job as it stands in this transaction."""
    return hashes(connection.execute(_OF_JOB, {"job": job_id}).one()._asdict())


def hashes(values: Mapping[str, Any]) -> dict[str, str | int | float | None]:
    """The SHA-256 of each of FIELDS under FIELD_sha256, and the version. values: columns of jobs."""
    return {"v": CHAIN_VERSION} | {f"{field}_sha256": field_hash(field, values) for field in FIELDS}


def field_hash(field: str, values: Mapping[str, Any]) -> str:
    """SHA-256 over a field's columns; an order's is over its JSON alone, "" where there is none."""
    columns = FIELDS[field]
    if len(columns) == 1:
        return text_hash(_plain(values.get(columns[0]) or ""))
    return values_hash([values.get(name) for name in columns])


def values_hash(values: list[object]) -> str:
    """SHA-256 over values as one JSON list; a moment counts as its text."""
    return hashlib.sha256(canonical([_plain(value) for value in values]).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A value that JSON can hold; bytes, which only a hand puts into these columns, hash as nothing that we wrote."""
    if isinstance(value, datetime):
        return moment_text(value)
    return repr(value) if isinstance(value, bytes | memoryview) else value


def text_hash(text: str) -> str:
    """What the audit keeps of a text that may name a patient: its SHA-256, "" for no text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() if text else ""


def canonical(value: object) -> str:
    """JSON with sorted keys, no spaces and ASCII only: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
