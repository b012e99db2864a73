"""What a person does with a job: again, send, identify, correct, mark, approve, give up; one job or many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from anyio import to_thread
from fastapi import APIRouter

from gateway.errors import CodedError, GatewayError, NotFound, Refused, TryAgain, UnlawfulMove
from gateway.identity.order import Order
from gateway.store import JobQuery, Store
from gateway.store.audit import Event
from gateway.web.api import models, serializers
from gateway.web.api.access_log import accesses, query_text
from gateway.web.api.capacity import in_a_place
from gateway.web.api.dependencies import PROBLEMS, JobId, Reviewer, TheConfig, TheStore
from gateway.web.api.jobs import layout_leads, segments_in_columns
from gateway.web.api.orders import candidates_of
from gateway.web.deps import Principal
from pipeline.recording import Correction, Lead

OF_THE_BODY = {
    "all_pages",
    "afresh",
    "even_so",
    "revision",
}  # what an IdentifyBody says beside the patient and the order
router = APIRouter(prefix="/api/v1/jobs", tags=["review"], responses=PROBLEMS)


@router.post("/bulk")
def bulk(who: Reviewer, store: TheStore, body: models.BulkBody) -> models.BulkResult:
    """One action on many jobs, each in a transaction of its own; what could not be done is told job by job.

    By a filter, it also tells which jobs match, so the question is written down as that of the worklist is.
    """
    if bool(body.ids) == (body.filter is not None):
        raise Refused("not_valid", "Say which jobs: either ids, or a filter.")
    if body.action == "give-up" and not body.comment.strip():
        raise Refused("no_comment", "Say why the jobs are given up.")
    ids, more = list(dict.fromkeys(body.ids)), False
    if body.filter is not None:
        ids, more = _matching(store, who, body.filter)
    done: list[str] = []
    failed: list[models.BulkFailure] = []
    for job_id in ids:
        try:
            _bulk_action(store, body, who)(job_id)
        except (NotFound, UnlawfulMove, TryAgain) as error:
            failed.append(models.BulkFailure(job_id=job_id, code=code_of(error), why=why_of(error)))
        else:
            done.append(job_id)
    return models.BulkResult(done=done, failed=failed, more=more)


@router.post("/bulk/matching")
def matching(who: Reviewer, store: TheStore, body: models.JobFilter) -> models.Matching:
    """Which jobs a filter finds, the oldest first: to say how many before something is done to just these.

    Asked for a name, it tells that somebody of that name is here, so the question is written down.
    """
    ids, more = _matching(store, who, body)
    return models.Matching(ids=ids, more=more)


def _matching(store: Store, who: Principal, job_filter: models.JobFilter) -> tuple[list[str], bool]:
    """The jobs that match, as many as one action may be about, and whether there are more. Puts it into the audit."""
    query = _query(job_filter)
    found = store.worklist.matching(query, models.BULK_MAX + 1)
    ids = found[: models.BULK_MAX]
    accesses.write_down_list(store, who.name, "jobs that match", query_text(query), ids, question=vars(query).values())
    return ids, len(found) > models.BULK_MAX


def _bulk_action(store: Store, body: models.BulkBody, who: Principal) -> Callable[[str], None]:
    match body.action:
        case "retry":
            return lambda job_id: store.retry(job_id, who.name)
        case "resend":
            return lambda job_id: store.resend(job_id, who.name)
        case "give-up":
            return lambda job_id: store.give_up(job_id, who.name, body.comment.strip())


@router.post("/{job_id}/retry")
def retry(who: Reviewer, store: TheStore, job_id: JobId, body: models.CommentBody | None = None) -> models.Done:
    """Has a held or refused job done again from the start. An approval is forgotten, a correction is not."""
    store.retry(job_id, who.name)
    _remark(store, who, job_id, Event.RETRIED, body)
    return _done(store, job_id)


@router.post("/{job_id}/resend")
def resend(who: Reviewer, store: TheStore, job_id: JobId, body: models.ResendBody | None = None) -> models.Done:
    """Sends again: what went to a destination, else what is parked, else everything."""
    store.resend(job_id, who.name, body.destination if body else None)
    return _done(store, job_id)


@router.post("/{job_id}/give-up")
def give_up(who: Reviewer, store: TheStore, job_id: JobId, body: models.RejectBody) -> models.Done:
    """Rejects a held job for good; the comment says why."""
    store.give_up(job_id, who.name, body.comment.strip() or body.comment, body.revision or None)
    _remark(store, who, job_id, Event.GIVEN_UP, models.CommentBody(comment=body.comment))
    return _done(store, job_id)


@router.post("/{job_id}/approve")
def approve(who: Reviewer, store: TheStore, config: TheConfig, job_id: JobId, body: models.ApproveBody) -> models.Done:
    """Lets what was read go on to the rules, if it is what was seen: of a document of several pages, all of them.

    Whoever approves must have been given the waveform of every page that goes out, as it is read now. By config, who
    changed it may not approve it.
    """
    four_eyes = config.web.four_eyes
    store.reviews.approve(job_id, who.name, body.comment, body.leave_out, four_eyes, body.revision, opened=True)
    return _done(store, job_id)


@router.post("/{job_id}/identify")
async def identify(
    who: Reviewer, store: TheStore, config: TheConfig, job_id: JobId, body: models.IdentifyBody
) -> models.Done:
    """Says whose ECG it is. Of a document of several pages, all_pages must say that all are of this patient.

    What worklists, feeds and earlier ECGs know otherwise of this patient id stops it, unless even_so names each of
    them as the preview did, and so that it is right all the same; the audit tells who said so.
    """
    changes: dict[str, str] = body.model_dump(exclude=OF_THE_BODY)
    if not any(value.strip() for value in changes.values()):
        raise Refused("nothing_said", "Say at least one thing of the patient or the order.")

    def pages() -> int:
        from gateway.disposition.page_count import ecg_pages  # pydicom: a second, for who says whose a page is

        return ecg_pages(config, store, job_id)

    if not body.all_pages and await in_a_place(job_id, pages) > 1:  # opens a document that nobody has opened yet
        raise Refused("several_pages", "The document holds several ECG pages; say that all are of this patient.")
    order, revision = await to_thread.run_sync(lambda: _identified(store, job_id, changes, body.afresh, body.revision))
    found = await candidates_of(who, store, config, job_id, order.patient, changes)
    if not {_candidate_texts(serializers.patient_candidate_of(each)) for each in found.contradicting} <= {
        _candidate_texts(each) for each in body.even_so
    }:
        raise Refused("contradicts_known", f"{found.why} Look again; if it is right all the same, say so (even_so).")
    await to_thread.run_sync(lambda: store.identify(job_id, order, who.name, revision, found.overridden))
    return await to_thread.run_sync(lambda: _done(store, job_id))


def _candidate_texts(candidate: models.PatientCandidateModel) -> tuple[str, ...]:
    """What is known of a patient and contradicted; that another tells the same is nothing new."""
    return (candidate.name, candidate.birth_date, candidate.sex, *sorted(candidate.contradicts))


def _identified(
    store: Store, job_id: str, changes: Mapping[str, str], afresh: bool, revision: str
) -> tuple[Order, str]:
    """The order as it would be filed, and what stood when it was made."""
    from gateway.identity.identify import identified

    # The order is made from what stands now: this is the last moment at which another's word may come in between.
    revision = revision or store.reviews.revision(job_id)
    try:
        return identified(store.order(job_id), changes, afresh), revision
    except ValueError as error:
        raise Refused("not_lawful", str(error)) from error


@router.post("/{job_id}/correct")
def correct(who: Reviewer, store: TheStore, job_id: JobId, body: models.CorrectBody) -> models.Done:
    """Says how a page is to be read, and has it digitized again so. What comes of it waits for an approval."""
    correction = Correction(
        orientation=body.orientation,
        layout=body.layout or None,
        leads=tuple(body.leads),
        speed_mm_s=body.speed_mm_s,
        gain_mm_mv=body.gain_mm_mv,
        chest_gain_mm_mv=body.chest_gain_mm_mv,
    )
    _check_layout(correction)
    store.reviews.correct(job_id, body.page, correction, who.name, body.comment, body.revision or None)
    return _done(store, job_id)


@router.post("/{job_id}/invalid-leads")
def invalid_leads(who: Reviewer, store: TheStore, job_id: JobId, body: models.InvalidLeadsBody) -> models.Done:
    """Says which leads of a page must not be believed; they go out empty, marked so.

    A job held only by a destination is done again: its document was made before this was said.
    """
    leads: list[Lead] = list(body.leads)
    store.reviews.mark_invalid(job_id, body.page, leads, who.name, body.comment, body.revision or None)
    return _done(store, job_id)


def _check_layout(correction: Correction) -> None:
    """Raises Refused for a layout that is none of ours, and for lead names that do not fit it."""
    layouts = layout_leads()
    if correction.layout is not None and correction.layout not in layouts:
        raise Refused("no_such_layout", f"There is no layout {correction.layout!r}; there are {', '.join(layouts)}.")
    if correction.leads and correction.layout is None:
        raise Refused("no_layout", "Lead names are given in the order of a layout; say which.")
    if correction.layout is not None and correction.leads and len(correction.leads) != len(layouts[correction.layout]):
        segments, names = len(layouts[correction.layout]), len(correction.leads)
        why = f"Layout {correction.layout} has {segments} segments; {names} names were given."
        raise Refused("lead_count", why)
    if correction.layout is not None:
        in_columns = Counter(correction.leads[: segments_in_columns(correction.layout)])
        if twice := [lead for lead, count in in_columns.items() if count > 1]:
            why = f"{' and '.join(twice)} stands in more than one column; only a long strip repeats a lead."
            raise Refused("lead_twice", why)


def _query(job_filter: models.JobFilter) -> JobQuery:
    return JobQuery(
        state=job_filter.state,
        door=job_filter.door,
        sender=job_filter.sender,
        patient=job_filter.patient,
        words=job_filter.q,
        confidence_max=job_filter.confidence_max,
        received_from=job_filter.received_from,
        received_to=job_filter.received_to,
    )


def _remark(store: Store, who: Principal, job_id: str, event: Event, body: models.CommentBody | None) -> None:
    if body is not None and body.comment.strip():
        store.reviews.remark(job_id, who.name, event, body.comment)


def _done(store: Store, job_id: str) -> models.Done:
    return models.Done(job_id=job_id, state=store.job(job_id).state)


def code_of(error: GatewayError) -> str:
    """A short word for what stood in the way."""
    if isinstance(error, CodedError):
        return error.code
    return "not_found" if isinstance(error, NotFound) else "conflict"


def why_of(error: GatewayError) -> str:
    """The sentence that goes with it."""
    return error.why if isinstance(error, CodedError) else str(error)
