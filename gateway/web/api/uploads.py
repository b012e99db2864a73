"""Files handed in by a person or a program: each is taken or refused by itself, and told so."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import APIRouter
from starlette.requests import Request

from gateway.config import Config
from gateway.errors import CodedError, Refused, TryAgain
from gateway.intake.web_upload import Incoming
from gateway.store import Store
from gateway.web.api import models
from gateway.web.api.capacity import in_an_upload_place
from gateway.web.api.decoding import decoding
from gateway.web.api.dependencies import PROBLEMS, TheConfig, TheStore, Uploader
from gateway.web.api.multipart import Begun, Data, files

log = logging.getLogger(__name__)

router = APIRouter(prefix="/api/v1", tags=["uploads"], responses=PROBLEMS)

FILES_MAX = 1000
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    }
}


@router.post("/uploads", openapi_extra=BODY)
async def uploads(who: Uploader, store: TheStore, config: TheConfig, request: Request) -> models.UploadResults:
    """A file of any kind taken here; one result per file, in the order sent. Taken means on disk and committed."""
    address = request.client.host if request.client else ""
    results: list[models.UploadResult] = []
    taking: _Taking | None = None
    try:
        async for step in files(request):
            if isinstance(step, Begun):
                if len(results) >= FILES_MAX:
                    raise Refused("too_many_files", f"A request may hold {FILES_MAX} files.")
                taking = _Taking(config, store, who.name, address, step.name)
                await to_thread.run_sync(taking.begin)
            elif taking is not None and isinstance(step, Data):
                await to_thread.run_sync(taking.write, step.data)
            elif taking is not None:
                results.append(await _finished(taking, who.name))
                taking = None
    finally:
        if taking is not None:
            await to_thread.run_sync(taking.discard)
    if not results:
        raise Refused("no_files", "The request holds no file.")
    return models.UploadResults(items=results)


async def _finished(taking: _Taking, user: str) -> models.UploadResult:
    """What became of a file that has come whole: it is decoded in a place of its own, and waits for it in no thread."""
    if taking.refused:
        return await to_thread.run_sync(taking.finish)
    try:
        return await in_an_upload_place(user, taking.finish)
    except TryAgain as error:
        return await to_thread.run_sync(taking.give_up, error)


class _Taking:
    """One file: what stands in its way is its own result, and those after it are taken."""

    def __init__(self, config: Config, store: Store, user: str, address: str, name: str) -> None:
        self._arguments = (config, store, user, address, name)
        self._check = partial(decoding.check, config)
        self._name = name
        self._incoming: Incoming | None = None
        self._fault: CodedError | None = None

    @property
    def refused(self) -> bool:
        """Whether it is known already that the file is not taken."""
        return self._fault is not None

    def begin(self) -> None:
        try:
            self._incoming = Incoming(*self._arguments)
        except CodedError as error:
            self._fault = error

    def write(self, data: bytes) -> None:
        if self._incoming is None or self._fault is not None:
            return
        try:
            self._incoming.write(data)
        except CodedError as error:
            self._fault = error
            self._incoming.discard()

    def finish(self) -> models.UploadResult:
        try:
            if self._fault is None and self._incoming is not None:
                receipt = self._incoming.finish(self._check)
                log.info("upload: job %s%s", receipt.job_id, " again" if receipt.duplicate else "")
                return self._result(job_id=receipt.job_id, duplicate=receipt.duplicate)
        except CodedError as error:
            self._fault = error
        finally:
            self.discard()
        assert self._fault is not None
        return self.give_up(self._fault)

    def give_up(self, fault: CodedError) -> models.UploadResult:
        self.discard()
        log.warning("upload: a file was not taken, %s", fault.code)
        return self._result(code=fault.code, why=fault.why)

    def discard(self) -> None:
        if self._incoming is not None:
            self._incoming.discard()

    def _result(
        self, job_id: str | None = None, duplicate: bool = False, code: str = "", why: str = ""
    ) -> models.UploadResult:
        return models.UploadResult(
            file_name=self._name, accepted=job_id is not None, job_id=job_id, duplicate=duplicate, code=code, why=why
        )
