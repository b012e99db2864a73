"""What would become of a job, asked by a person before they decide on it. Nothing is changed."""

from __future__ import annotations

from dataclasses import replace

from anyio import to_thread
from fastapi import APIRouter

from gateway.config import Config
from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.web.api import models, serializers
from gateway.web.api.access_log import accesses
from gateway.web.api.actions import OF_THE_BODY
from gateway.web.api.dependencies import PROBLEMS, JobId, Reviewer, TheConfig, TheStore
from gateway.web.api.orders import candidates_of
from gateway.web.api.preview import ReviewedJob, approved, document_disposition, reviewed_job

router = APIRouter(prefix="/api/v1/jobs", tags=["review"], responses=PROBLEMS)


@router.get("/{job_id}/onward")
def onward(who: Reviewer, store: TheStore, config: TheConfig, job_id: JobId) -> models.OnwardModel | None:
    """What becomes of a job as it was read once a person who may has approved it; null where nothing was read."""
    accesses.write_down(store, who.name, job_id, "job")
    return _onward(config, approved(reviewed_job(store, job_id)))


@router.post("/{job_id}/identify/preview")
async def preview(
    who: Reviewer, store: TheStore, config: TheConfig, job_id: JobId, body: models.IdentifyBody
) -> models.IdentifyPreview:
    """Whose ECG it would be by what a person says, as it would be filed, and what becomes of the page as it is read.

    A page that is identified is read once more: what comes of that may be another thing than this one. Who is known
    here under this patient id is told beside it.
    """
    changes: dict[str, str] = body.model_dump(exclude=OF_THE_BODY)
    if not any(value.strip() for value in changes.values()):
        raise Refused("nothing_said", "Say at least one thing of the patient or the order.")

    def foreseen() -> tuple[Order, models.OnwardModel | None]:
        from gateway.identity.identify import identified  # pydicom: a second, for who says whose a page is

        accesses.write_down(store, who.name, job_id, "job")
        job = reviewed_job(store, job_id)
        try:
            order = identified(job.order, changes, body.afresh)
        except ValueError as error:
            raise Refused("not_lawful", str(error)) from error
        identified_by = job.identified_by | {who.name}
        then = replace(job, order=order, identified_by=identified_by, identity_is_unseen=True)
        return order, _onward(config, then)

    order, onward = await to_thread.run_sync(foreseen)
    found = await candidates_of(who, store, config, job_id, order.patient, changes)
    return models.IdentifyPreview(
        order=serializers.order_of(order),
        onward=onward,
        candidates=[serializers.patient_candidate_of(each) for each in found.candidates],
        unanswered=[models.UnansweredModel(**vars(each)) for each in found.unanswered],
    )


def _onward(config: Config, job: ReviewedJob) -> models.OnwardModel | None:
    disposition = document_disposition(config, job)
    if disposition is None:
        return None
    return models.OnwardModel(
        action=disposition.action.value, destinations=list(disposition.destinations), why=disposition.why
    )
