"""Writes down what became of a job: state, pages, documents to send and audit in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from gateway.job import Claim, Document, Outcome, PageResult, State, check_move
from gateway.review import NO_CORRECTION, correction_json
from gateway.store.audit import Event, append, text_hash
from gateway.store.counting import count_duration, count_pages
from gateway.store.database import Database, Transaction
from gateway.store.job_fields import CHAIN_VERSION
from gateway.store.job_rows import (
    AnyRow,
    clean,
    lock_deliveries,
    move_job,
    order_text,
    pages_hash,
)
from gateway.store.leases import lock_leased
from gateway.store.objects import Objects
from gateway.store.search_terms import show_order
from gateway.store.tables import DeliveryState, outbox, pages

EVENT_OF = {
    State.DIGITIZED: Event.SETTLED,
    State.DELIVERED: Event.SETTLED,
    State.HELD: Event.HELD,
    State.REFUSED: Event.REFUSED,
}


@dataclass(frozen=True)
class _Kept:
    """Something of the outcome whose bytes are on disk: SHA-256 ("" for no bytes) and length."""

    sha256: str
    size_bytes: int


def settle(database: Database, objects: Objects, claim: Claim, outcome: Outcome) -> None:
    """Settles a claimed job. LostLease where another worker has it now, UnlawfulMove, ValueError on a bad outcome."""
    _check(outcome)
    # Bytes before rows: a row never points at bytes that a power cut could take away.
    recordings = {page.number: _keep(objects, page.recording_npz) for page in outcome.pages}
    documents = {(d.destination, d.name): _keep(objects, d.data) for d in outcome.documents}
    with database.write() as tx:
        row = lock_leased(tx, claim)
        existing = {(r.destination, r.name): r for r in lock_deliveries(tx, row.job_id)}
        waiting = [d for d in outcome.documents if not _is_delivered(existing.get((d.destination, d.name)))]
        _count_as_now(tx, [existing[d.destination, d.name] for d in outcome.documents if d not in waiting])
        state = _state_after(outcome, bool(waiting))
        _write_job(tx, row, outcome, state)
        _count_first_read(tx, row.job_id, outcome.pages)
        count_duration(tx, row.job_id)
        _write_pages(tx, row.job_id, outcome.pages, recordings)
        append(
            tx,
            EVENT_OF[state],
            row.job_id,
            row.lease_worker,
            state=state.value,
            code=outcome.code,
            why_sha256=text_hash(clean(outcome.why)),
            pages=len(outcome.pages),
            pages_sha256=pages_hash(tx.connection, row.job_id),
            documents=len(outcome.documents),
        )
        for document in waiting:
            kept = documents[document.destination, document.name]
            _queue(tx, row, document, kept, existing.get((document.destination, document.name)))


def requeue(
    tx: Transaction, row: AnyRow, actor: str, document: Document | None = None, kept: _Kept | None = None
) -> None:
    """Puts a row of the outbox at the end of its destination's queue, as if it had never been tried."""
    fresh = dict(row._mapping) if document is None or kept is None else _values(document, kept)
    position = _audit_queued(tx, row.job_id, actor, fresh)
    values = {key: fresh[key] for key in ("kind", "page", "sha256", "size_bytes")} | _untried(tx, position)
    tx.execute(update(outbox).where(outbox.c.delivery_id == row.delivery_id).values(**values))


def _check(outcome: Outcome) -> None:
    check_move(State.RECEIVED, outcome.state)
    if outcome.documents and outcome.state in (State.REFUSED, State.DELIVERED):
        raise ValueError(f"an outcome that is {outcome.state} has nothing left to send")
    if len({(d.destination, d.name) for d in outcome.documents}) != len(outcome.documents):
        raise ValueError("two documents of one outcome have the same name and destination")
    if len({page.number for page in outcome.pages}) != len(outcome.pages):
        raise ValueError("two pages of one outcome have the same number")


def _keep(objects: Objects, data: bytes | None) -> _Kept:
    return _Kept("", 0) if data is None else _Kept(objects.keep_bytes(data), len(data))


def _is_delivered(row: AnyRow | None) -> bool:
    return row is not None and row.state == DeliveryState.DELIVERED


def _count_as_now(tx: Transaction, rows: Iterable[AnyRow]) -> None:
    """The job was done again and the same came of it: what its destination has is what stands."""
    for row in rows:
        tx.execute(update(outbox).where(outbox.c.delivery_id == row.delivery_id).values(superseded=False))


def _state_after(outcome: Outcome, waits: bool) -> State:
    if outcome.state is State.DIGITIZED and not waits:
        return State.DELIVERED
    return outcome.state


def _write_job(tx: Transaction, row: AnyRow, outcome: Outcome, state: State) -> None:
    values: dict[str, object] = {} if outcome.order is None else {"read_order_json": order_text(outcome.order)}
    move_job(
        tx,
        row,
        state,
        settled=outcome.state,
        code=clean(outcome.code),
        why=clean(outcome.why),
        made_by=clean(outcome.made_by),
        lease_token=None,
        lease_worker="",
        lease_until=None,
        lease_holder="",
        gateway_deaths=0,
        pages=len(outcome.pages),
        confidence=min(_confidences(outcome.pages), default=None),
        **values,
    )
    if outcome.order is not None and order_text(outcome.order) != (row.read_order_json or row.order_json):
        show_order(tx, row.number, outcome.order)


def _count_first_read(tx: Transaction, job_id: str, results: tuple[PageResult, ...]) -> None:
    """A page counts once, as it was first read: what a person corrects, approves or retries is no other page."""
    numbers = set(tx.connection.execute(select(pages.c.number).where(pages.c.job_id == job_id)).scalars())
    fresh = [page for page in results if page.number not in numbers]
    count_pages(tx, [page.verdict for page in fresh], _confidences(fresh))


def _confidences(results: Iterable[PageResult]) -> list[float]:
    """Of the pages that were read and say how sure they are."""
    values = [json.loads(page.summary).get("confidence") for page in results if page.recording_npz is not None]
    return [float(value) for value in values if isinstance(value, int | float)]


def _write_pages(
    tx: Transaction, job_id: str, results: tuple[PageResult, ...], recordings: Mapping[int, _Kept]
) -> None:
    tx.execute(delete(pages).where(pages.c.job_id == job_id))
    for page in results:
        tx.execute(
            insert(pages).values(
                job_id=job_id,
                number=page.number,
                verdict=page.verdict,
                code=clean(page.code),
                why=clean(page.why),
                summary=clean(page.summary),
                recording_sha256=recordings[page.number].sha256 or None,
                given=None if page.correction == NO_CORRECTION else correction_json(page.correction),
            )
        )


def _queue(tx: Transaction, job: AnyRow, document: Document, kept: _Kept, existing: AnyRow | None) -> None:
    if existing is not None:
        requeue(tx, existing, job.lease_worker, document, kept)
        return
    fresh = _values(document, kept)
    position = _audit_queued(tx, job.job_id, job.lease_worker, fresh)
    tx.execute(insert(outbox).values(job_id=job.job_id, **fresh, **_untried(tx, position)))


def _values(document: Document, kept: _Kept) -> dict[str, Any]:
    return {
        "destination": document.destination,
        "kind": document.kind.value,
        "name": document.name,
        "page": document.page,
        "made_at": document.made_at,
        "sha256": kept.sha256,
        "size_bytes": kept.size_bytes,
    }


def _untried(tx: Transaction, position: int) -> dict[str, Any]:
    return {
        "state": DeliveryState.QUEUED,
        "position": position,
        "attempts": 0,
        "code": "",
        "why": "",
        "response": "",
        "delivered_at": None,
        "queued_at": tx.now,
        "due_at": tx.now,
        "lease_token": None,
        "lease_until": None,
        "lease_holder": "",
        "superseded": False,
        "erased_at": None,
    }


def _audit_queued(tx: Transaction, job_id: str, actor: str, document: Mapping[str, Any]) -> int:
    detail = {key: document[key] for key in ("destination", "kind", "name", "page", "sha256")}
    return append(tx, Event.QUEUED, job_id, actor, **detail, v=CHAIN_VERSION)
