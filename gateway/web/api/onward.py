"""What would become of a job, asked by a person before they decide on it. Nothing is changed."""

from __future__ import annotations

from dataclasses import replace

from anyio import to_thread
from fastapi import APIRouter

from gateway.config import Config
from gateway.config.models import Destination, MllpDestination
from gateway.disposition.rules import Action
from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.job import DocumentKind
from gateway.web.api import models, serializers
from gateway.web.api.access_log import accesses
from gateway.web.api.actions import OF_THE_BODY
from gateway.web.api.dependencies import PROBLEMS, JobId, Reviewer, TheConfig, TheStore
from gateway.web.api.orders import known_of
from gateway.web.api.preview import Case, approved, case_of, whole

router = APIRouter(prefix="/api/v1/jobs", tags=["review"], responses=PROBLEMS)


@router.get("/{job_id}/onward")
def onward(who: Reviewer, store: TheStore, config: TheConfig, job_id: JobId) -> models.OnwardModel | None:
    """What becomes of a job as it was read once a person who may has approved it; null where nothing was read."""
    accesses.write_down(store, who.name, job_id, "job")
    return _onward(config, approved(case_of(store, job_id)))


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
        case = case_of(store, job_id)
        try:
            order = identified(case.order, changes, body.afresh)
        except ValueError as error:
            raise Refused("not_lawful", str(error)) from error
        said_by = case.identified_by | {who.name}
        then = replace(case, order=order, identified_by=said_by, identity_is_unseen=True)
        return order, _onward(config, then)

    order, onward = await to_thread.run_sync(foreseen)
    known = await known_of(who, store, config, job_id, order.patient, changes)
    return models.IdentifyPreview(
        order=serializers.order_of(order),
        onward=onward,
        known=[serializers.known_patient_of(each) for each in known.known],
        unanswered=[models.UnansweredModel(**vars(each)) for each in known.unanswered],
    )


def _onward(config: Config, case: Case) -> models.OnwardModel | None:
    fate = whole(config, case)
    if fate is None:
        return None
    if fate.action is Action.SEND and not case.order.acquired_at:
        dated = [each.name for each in config.destination if each.name in fate.destinations and _must_be_dated(each)]
        if dated:
            why = f"nothing says when it was recorded, and what goes to {', '.join(dated)} must"
            return models.OnwardModel(action="hold", destinations=[], why=why)
    return models.OnwardModel(action=fate.action.value, destinations=list(fate.destinations), why=fate.why)


def _must_be_dated(destination: Destination) -> bool:
    """Whether a destination gets a document that may not be without the recording's date."""
    from gateway.emit.plan import kinds_for  # every emitter with its library: seconds, for who decides on a page

    kinds = set(kinds_for(destination))
    if isinstance(destination, MllpDestination) and destination.aecg_layout != "none":
        kinds.add(DocumentKind.AECG)  # it travels within the message
    return not kinds.isdisjoint({DocumentKind.DICOM_WAVEFORM, DocumentKind.AECG})
