"""What the store knows in the shapes that the API gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gateway.config import Config
from gateway.disposition.decide import Reason, order_reasons
from gateway.disposition.reasons import sentence
from gateway.emit.channels import channels
from gateway.identity.order import Order
from gateway.job import Job, PageResult, State, Verdict
from gateway.mapping import mappings
from gateway.review import NO_CORRECTION, NO_REVIEW, PageReview, reviewed
from gateway.store import Approvable, AuditEntry, DeliveryRow, DeliveryState, JobSummary, Remark
from gateway.web.api import models
from gateway.web.api.recordings import Read, is_outdated, read_of
from gateway.web.deps import Principal, Role
from pipeline.recording import Finding, Recording, Scale, Severity

if TYPE_CHECKING:
    from gateway.patient_search.lookup import PatientCandidate


def order_of(order: Order | None) -> models.OrderModel:
    """Whose ECG it is."""
    order = order or Order()
    flat = {**vars(order), **vars(order.patient)}
    return models.OrderModel(**{name: flat[name] for name in models.OrderModel.model_fields})


def patient_candidate_of(candidate: PatientCandidate) -> models.PatientCandidateModel:
    """A patient whom somebody knows under a typed id."""
    patient = candidate.patient
    return models.PatientCandidateModel(
        name=patient.name,
        birth_date=patient.birth_date,
        sex=patient.sex,
        sources=[models.NamedSourceModel(source=each.source.value, name=each.name) for each in candidate.sources],
        contradicts=list(candidate.contradicts),
    )


def entry_of(entry: AuditEntry) -> models.AuditEntry:
    """A row of the audit."""
    return models.AuditEntry(**{**vars(entry), "at": datetime.fromisoformat(entry.at)})


def finding_of(finding: Finding) -> models.FindingModel:
    """A finding with its sentence."""
    return models.FindingModel(**vars(finding), text=mappings().finding_text(finding.code))


def scale_of(scale: Scale) -> models.ScaleModel:
    """A scale of the paper."""
    return models.ScaleModel(value=scale.value, known=scale.known)


def chest_gain_of(recording: Recording) -> models.ScaleModel | None:
    """The chest leads' own gain, where they have one."""
    return None if recording.chest_gain_mm_mv is None else scale_of(recording.chest_gain_mm_mv)


def review_of(review: PageReview) -> models.PageReview:
    """What people said of a page."""
    correction = None
    if review.correction != NO_CORRECTION:
        correction = models.CorrectionModel(**{**vars(review.correction), "leads": list(review.correction.leads)})
    return models.PageReview(
        correction=correction,
        corrected_by=review.corrected_by if correction else "",
        invalid_leads=list(review.invalid_leads),
        invalid_by=review.invalid_by if review.invalid_leads else "",
        approved_by=review.approved_by,
        approved_again_by=review.approved_again_by,
        approved_at=review.approved_at,
        left_out_by=review.left_out_by,
    )


def page_of(page: PageResult, review: PageReview) -> models.PageModel:
    """A page, and what was read on it as it goes out."""
    read = read_of(page, review)
    common: dict[str, Any] = {
        "number": page.number,
        "verdict": page.verdict,
        "code": page.code,
        "why": page.why,
        "review": review_of(review),
        "outdated": is_outdated(page.correction, review),
    }
    if read is None:
        return models.PageModel(
            **common,
            read=False,
            rectified=False,
            confidence=None,
            layout="",
            speed_mm_s=None,
            gain_mm_mv=None,
            chest_gain_mm_mv=None,
            source=None,
            duration_s=None,
            leads=[],
            findings=[],
            measurements=[],
            not_measured=[],
            made_by={},
        )
    recording = reviewed(read.recording, read.review)
    return models.PageModel(
        **common,
        read=True,
        rectified=recording.placed is not None,
        confidence=recording.confidence,
        layout=recording.layout,
        speed_mm_s=scale_of(recording.speed_mm_s),
        gain_mm_mv=scale_of(recording.gain_mm_mv),
        chest_gain_mm_mv=chest_gain_of(recording),
        source=recording.source,
        duration_s=recording.duration_s,
        leads=[strip.lead for strip in recording.strips],
        findings=[finding_of(finding) for finding in recording.findings],
        measurements=list(read.measurements),
        not_measured=list(read.not_measured),
        made_by={"version": recording.made_by.version, "weights": dict(recording.made_by.weights)},
    )


def job_of(
    job: Job,
    summary: JobSummary,
    order: Order | None,
    pages: Sequence[PageResult],
    reviews: Mapping[int, PageReview],
    revision: str,
    deliveries: Sequence[DeliveryRow],
    remarks: Sequence[Remark],
    approvable: Approvable,
    unopened: Sequence[int],
    earlier: int,
    who: Principal,
    config: Config,
) -> models.JobModel:
    """A job with all there is to know."""
    shown = [page_of(page, reviews.get(page.number, NO_REVIEW)) for page in pages]
    made_by = next((page.made_by for page in shown if page.made_by), {})
    return models.JobModel(
        **vars(summary),
        sender_address=job.arrival.sender_address,
        called=job.arrival.called,
        media_type=job.arrival.media_type,
        sha256=job.sha256,
        size_bytes=job.size_bytes,
        attempts=job.attempts,
        made_by=made_by,
        order=order_of(order),
        reasons=list(_reasons(job, shown, deliveries, order or Order(), config)),
        page_list=shown,
        delivery_list=list(deliveries),
        allowed_actions=list(_allowed(job, pages, deliveries, approvable, who, config)),
        unread=list(approvable.left_out),
        unopened=list(unopened),
        revision=revision,
        remarks=list(remarks),
        earlier=earlier,
    )


def _reasons(
    job: Job, pages: Sequence[models.PageModel], deliveries: Sequence[DeliveryRow], order: Order, config: Config
) -> Iterator[models.Reason]:
    """Why a job waits for a person or was refused: its pages' reasons, whose it is, its parked documents', its own."""
    if job.state not in (State.HELD, State.REFUSED):
        return
    codes = set()
    for page in pages:
        if page.verdict in (Verdict.HELD, Verdict.UNREADABLE):
            codes.add(page.code)
            yield models.Reason(code=page.code, text=_sentence(page.code, page.why), page=page.number)
            for finding in page.findings:
                if finding.severity is Severity.ERROR and finding.code != page.code:
                    about = f" ({finding.lead})" if finding.lead else ""
                    yield models.Reason(code=finding.code, text=f"{finding.text}{about}", page=page.number)
    whose: Sequence[Reason] = tuple(order_reasons(config, order, job.received_at))
    if job.state is State.HELD and (codes or job.code in {reason.code for reason in whose}):
        for reason in whose:
            if reason.code not in codes:
                codes.add(reason.code)
                yield models.Reason(code=reason.code, text=sentence(config, reason), page=None)
    for row in deliveries:
        if row.state is DeliveryState.PARKED:
            codes.add(row.code)
            text = f"{row.destination} did not take the document: {row.why}"
            yield models.Reason(code=row.code, text=text, page=row.page)
    if job.code not in codes:
        yield models.Reason(code=job.code, text=_sentence(job.code, job.why), page=None)


def _sentence(code: str, why: str) -> str:
    """The mapping's sentence and the case's own words; why alone where the mapping has none."""
    table = mappings()
    texts: dict[str, str] = {key.value: row.text for key, row in table.unreadable.items()}
    texts |= {key.value: row.text for key, row in table.findings.items()}
    sentence = texts.get(code, "")
    return f"{sentence} {why}".strip() if sentence and why != sentence else sentence or why


def _allowed(
    job: Job,
    pages: Sequence[PageResult],
    deliveries: Sequence[DeliveryRow],
    approvable: Approvable,
    who: Principal,
    config: Config,
) -> Iterator[models.Action]:
    """What this person may do to the job as it stands."""
    if not who.may(Role.REVIEWER):
        return
    state = job.state
    if state in (State.HELD, State.REFUSED):
        yield "retry"
    sent = any(
        row.state in (DeliveryState.DELIVERED, DeliveryState.PARKED) and not row.superseded for row in deliveries
    )
    if sent and job.settled is State.DIGITIZED and state in (State.HELD, State.DIGITIZED, State.DELIVERED):
        yield "resend"
    if state in (State.HELD, State.REFUSED) and pages:
        yield "correct"
    if state is not State.HELD:
        return
    yield "give-up"
    yield "identify"
    if any(page.recording_npz is not None for page in pages):
        yield "invalid-leads"
    if approvable and who.name not in approvable.barred(config.web.four_eyes):
        yield "approve"


def strips_of(read: Read) -> list[models.StripModel]:
    """The strips as they go out: of a lead marked invalid nothing but its place."""
    recording = reviewed(read.recording, read.review)
    longest = {strip.lead: recording.longest(strip.lead) for strip in recording.strips}
    doubts = {id(channel.strip): channel.doubt.value for channel in channels(recording)}
    twice = {lead for lead in longest if sum(strip.lead == lead for strip in recording.strips) > 1}
    return [
        models.StripModel.model_construct(
            lead=strip.lead,
            start_s=strip.start_s,
            rhythm=strip.lead in twice and strip is longest[strip.lead],
            invalid=strip.lead in read.review.invalid_leads,
            doubt=doubts[id(strip)],
            millivolts=[None if mv != mv else round(mv, 4) for mv in strip.millivolts.tolist()],
            sigma_mv=[None if mv != mv else round(mv, 4) for mv in strip.sigma_mv.tolist()],
            seen=strip.seen.tolist(),
        )
        for strip in recording.strips
    ]
