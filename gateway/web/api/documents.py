"""The documents of a page: the very bytes that were sent where one was, else made as they would be."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query
from starlette.responses import Response

from gateway.config import Config
from gateway.emit.forms import FORMS
from gateway.errors import Conflict, NotFound
from gateway.identity.order import Order
from gateway.job import DocumentKind, Job, State
from gateway.review import NO_REVIEW, not_released, reviewed
from gateway.store import DeliveryRow, DeliveryState, Store
from gateway.web.api import models
from gateway.web.api.access_log import accesses
from gateway.web.api.capacity import in_a_place
from gateway.web.api.decoding import decoding
from gateway.web.api.dependencies import PROBLEMS, JobId, TheConfig, TheStore, Viewer, gives
from gateway.web.api.pictures import png, shrunk, unpacked_page
from gateway.web.api.recordings import is_outdated, read_page
from gateway.web.deps import Principal

router = APIRouter(prefix="/api/v1/jobs/{job_id}/documents", tags=["documents"])

WITH_THUMBNAIL = (DocumentKind.PDF, DocumentKind.DICOM_PDF, DocumentKind.HL7V2)  # the message holds the report
REPORT_WIDTH_PX = 2400  # of a sheet of A4 drawn at 300 dpi: its small print can be read
A_FILE = gives(*(form.media_type for form in FORMS.values()))


@router.get("", responses=PROBLEMS)
def documents(who: Viewer, store: TheStore, job_id: JobId) -> models.DocumentList:
    """What can be had of each page that was read: nothing of a job that is refused or being digitized again."""
    sent = _deliveries_in_force(store, job_id)
    job = store.job(job_id)
    if job.state in (State.RECEIVED, State.REFUSED):
        return models.DocumentList(items=[])
    reviews = store.reviews.of(job_id)
    return models.DocumentList(
        items=[
            models.DocumentModel(
                kind=kind.value,
                page=page.number,
                media_type=form.media_type,
                file_name=_file_name(job, page.number, kind),
                sent_to=[row.destination for row in _of(sent, kind, page.number)],
            )
            for page in store.page_heads(job_id)
            if page.layout is not None and not is_outdated(page.correction, reviews.get(page.number, NO_REVIEW))
            for kind, form in FORMS.items()
        ]
    )


@router.get("/{kind}", response_class=Response, responses=A_FILE)
async def document(
    who: Viewer,
    store: TheStore,
    config: TheConfig,
    job_id: JobId,
    kind: DocumentKind,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    """One document as a file. 422 says what it would have to know and does not, or why it cannot hold the page.

    409 while the job is being digitized again, for what was read before is not what a person said since; and where it
    was refused. Of a job that is held, what is given says that it was not released, and so does its name.
    """

    data = await _bytes(who, store, config, job_id, kind, page)
    job = await to_thread.run_sync(store.job, job_id)
    # Every document is handed out as a file: a tab that shows one would outlive the session, with the patient in it.
    named = f'attachment; filename="{_file_name(job, page, kind)}"'
    return Response(data, media_type=FORMS[kind].media_type, headers={"Content-Disposition": named})


@router.get("/pdf/picture", response_class=Response, responses=gives("image/png"))
async def report_picture(
    who: Viewer,
    store: TheStore,
    config: TheConfig,
    job_id: JobId,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    """The first sheet of the PDF report as a picture, to be looked at in the window. 409 and 422 as of the report."""
    data = await _bytes(who, store, config, job_id, DocumentKind.PDF, page)

    def drawn() -> bytes:
        with NamedTemporaryFile(dir=store.staging, suffix=".pdf") as file:
            file.write(data)
            file.flush()
            return png(shrunk(decoding.report(config, Path(file.name)).image, REPORT_WIDTH_PX))

    return Response(await in_a_place(job_id, drawn), media_type="image/png")


@router.get("/{kind}/text", response_class=Response, responses=gives("text/plain", text=True))
async def document_text(
    who: Viewer,
    store: TheStore,
    config: TheConfig,
    job_id: JobId,
    kind: DocumentKind,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    """One document as text, to be looked at in the window: what is no text is told field by field. 404 for a report.

    409 and 422 as of the document.
    """
    if kind is DocumentKind.PDF:  # before it is made, and before the audit tells of a look that nobody had
        raise NotFound("a report is looked at as a picture, not as text")
    data = await _bytes(who, store, config, job_id, kind, page)

    def text() -> str:
        from gateway.emit.readable import as_text  # pydicom and edfio, for who looks at a document

        return as_text(kind, data)

    return Response(await to_thread.run_sync(text), media_type="text/plain")  # of bytes of ours: it needs no place


async def _bytes(who: Principal, store: Store, config: Config, job_id: str, kind: DocumentKind, page: int) -> bytes:
    """A document as it was sent, else as it would be. Puts the look into the audit."""

    def sent() -> bytes | None:
        accesses.write_down(store, who.name, job_id, f"page {page} {kind}")
        rows = _of(_deliveries_in_force(store, job_id), kind, page)
        try:
            return store.object_path(rows[-1].sha256).read_bytes() if rows else None
        except FileNotFoundError as error:
            raise NotFound("the document is not in the data folder any more: it was erased when it was old") from error

    data = await to_thread.run_sync(sent)
    return (
        data
        if data is not None
        else await in_a_place(job_id, lambda: _document_bytes(config, store, job_id, kind, page))
    )


def _document_bytes(config: Config, store: Store, job_id: str, kind: DocumentKind, page: int) -> bytes:
    """A document as it would be sent now. Raises NotFound, Refused, TryAgain."""
    from gateway.emit import catalogue  # every emitter with its library: seconds, for who has a document made
    from gateway.emit.thumbnail import thumbnail_png

    read = read_page(store, job_id, page)
    job = store.job(job_id)  # after the page: a correction between the two is seen
    if job.state is State.RECEIVED or read.outdated:
        raise Conflict("This page is being digitized again; its documents can be had when that is done.")
    if job.state is State.REFUSED:
        raise Conflict(
            "This job was refused, and nothing is handed out of it; have it digitized again if it was right."
        )
    recording = reviewed(read.recording, read.review)
    thumbnail = thumbnail_png(unpacked_page(config, store, job_id, page)) if kind in WITH_THUMBNAIL else b""
    material = catalogue.Material(
        recording=recording if _is_released(job) else not_released(recording, job.code),
        order=store.order(job_id) or Order(),
        job_id=job_id,
        source_sha256=job.sha256,
        page=page,
        made_at=job.changed_at.astimezone().replace(microsecond=0),
        received_at=job.received_at,
        thumbnail_png=thumbnail,
        approval=read.review.approval,
    )
    return catalogue.document(kind, material).data


def _deliveries_in_force(store: Store, job_id: str) -> tuple[DeliveryRow, ...]:
    """The rows of the outbox that are what stands of a job; none while it is held or being done again.

    What went out as another patient's, or as it was read before, is not shown under what the job says now.
    """
    if store.job(job_id).settled is not State.DIGITIZED:
        return ()
    return tuple(row for row in store.deliveries(job_id) if not row.superseded)


def _of(rows: tuple[DeliveryRow, ...], kind: DocumentKind, page: int) -> list[DeliveryRow]:
    """The rows of the outbox of a kind and page, the last queued one last; not those that never went out."""
    found = [row for row in rows if (row.kind, row.page) == (kind, page) and row.state is not DeliveryState.WITHDRAWN]
    return sorted(found, key=lambda row: row.queued_at)


def _is_released(job: Job) -> bool:
    """Whether a job's documents are, or were, on their way: one that waits for its destination is."""
    return job.settled is State.DIGITIZED


def _file_name(job: Job, page: int, kind: DocumentKind) -> str:
    """Without the patient: files are mailed and left in folders. Not every form has a place for a finding."""
    mark = "" if _is_released(job) else "-not-released"
    return f"ecg-{job.job_id[:12]}-{page}{mark}{FORMS[kind].suffix}"
