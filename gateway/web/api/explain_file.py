"""Which rule fires on a file in hand, and why: it is read as an uploaded page would be, and nothing of it is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import APIRouter
from starlette.requests import Request

from gateway.config import Config
from gateway.digitizer.one_file import FileRead, file_readers
from gateway.disposition.reasons import why
from gateway.errors import Refused
from gateway.intake.web_upload import Incoming, Whole
from gateway.job import Job, State
from gateway.store import Store
from gateway.web.api import models
from gateway.web.api.capacity import in_a_digitizer_place, in_an_upload_place
from gateway.web.api.decoding import decoding
from gateway.web.api.dependencies import PROBLEMS, Administrator, TheConfig, TheStore
from gateway.web.api.multipart import Begun, Data, files
from gateway.web.api.preview import ReviewedJob, decide_job, page_disposition
from gateway.web.api.rules import decision_of

router = APIRouter(prefix="/api/v1/rules", tags=["rules"], responses=PROBLEMS)

A_FILE = {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}
BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": A_FILE}}},
}


@router.post("/explain/file", openapi_extra=BODY)
async def explain_file(
    who: Administrator, store: TheStore, config: TheConfig, request: Request
) -> models.ExplainedFile:
    """What the rules say of one file, read as if this person had uploaded it; whose it is, only the file itself says.

    No job is made of it, nothing is sent, and its bytes are gone when this answers. 422 as an upload would be refused.
    """
    address = request.client.host if request.client else ""
    incoming: Incoming | None = None
    fault: Refused | None = None
    came_whole = False
    try:
        async for step in files(request):  # to its end, also where it is refused: a browser reads no answer before
            if isinstance(step, Begun):
                if incoming is not None:
                    fault = fault or Refused("too_many_files", "Hand in one file at a time.")
                    continue
                incoming = await to_thread.run_sync(Incoming, config, store, who.name, address, step.name)
            elif isinstance(step, Data):
                if incoming is None or fault is not None:
                    continue
                try:
                    await to_thread.run_sync(incoming.write, step.data)
                except Refused as error:
                    fault = error
            else:
                came_whole = True
        if incoming is None:
            raise Refused("no_files", "The request holds no file.")
        if fault is not None:
            raise fault
        if not came_whole:
            raise Refused("broken_off", "The file broke off on its way; hand it in again.")
        whole = await in_an_upload_place(who.name, partial(incoming.checked, partial(decoding.check, config)))
        return await in_a_digitizer_place(who.name, partial(_explained, config, store, who.name, whole))
    finally:
        if incoming is not None:
            incoming.discard()  # at once: a request that is cut off at a stop gets no thread any more


def _explained(config: Config, store: Store, who: str, whole: Whole) -> models.ExplainedFile:
    """Reads it and asks the rules, once the look stands in the audit. Raises Refused, TryAgain."""
    store.record_file_access(who, "file explained", whole.sha256)
    read = file_readers.read(config, whole.path)
    document = decide_job(config, _job_of(whole, read))
    dispositions = {number: page_disposition(config, document, number) for number in document.routes}
    pages = [
        models.ExplainedPage(
            page=page.number,
            decision=decision_of(dispositions[page.number]) if page.number in dispositions else None,
            code=page.code,
            why=page.why,
        )
        for page in read.pages
    ]
    return models.ExplainedFile(
        file_name=whole.arrival.file_name,
        media_type=whole.arrival.media_type,
        refused="" if dispositions else why(config, document.reasons),
        pages=pages,
    )


def _job_of(whole: Whole, read: FileRead) -> ReviewedJob:
    """The job that would be made of the file."""
    now = datetime.now(UTC)
    job = Job("", State.RECEIVED, whole.arrival, whole.sha256, whole.size_bytes, now, now, attempts=0)
    return ReviewedJob(job, read.order, read.pages, {}, frozenset(), keep=False)
