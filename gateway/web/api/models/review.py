"""What a person does: with a job, with many, with files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.job import Door, State
from gateway.web.api.models.base import BULK_MAX, COMMENT_MAX, Comment, JobId, Model, Moment
from gateway.web.api.models.jobs import CorrectionModel
from pipeline.recording import Lead


class CommentBody(Model):
    """Why. Kept with the job; the audit keeps its hash."""

    comment: Comment = ""


class ApproveBody(CommentBody):
    """revision: of the job that was looked at. leave_out: unread pages without which the job goes."""

    revision: str = Field(max_length=64)
    leave_out: list[int] = Field(default_factory=list, max_length=1000)


class RevisionBody(Model):
    """revision: of the job that was looked at, "" for a program that has looked at none."""

    revision: str = Field("", max_length=64)


class RejectBody(RevisionBody):
    """Why a job is given up: a sentence that others will read."""

    comment: str = Field(min_length=1, max_length=COMMENT_MAX)


class ResendBody(Model):
    """destination: None sends what is parked, else everything."""

    destination: str | None = Field(None, max_length=200)


class CorrectBody(CorrectionModel, RevisionBody):
    """What a person says of one page; the job is digitized again with it. Nothing said takes back what was said."""

    page: int = Field(1, ge=1, le=10_000)
    comment: Comment = ""


class InvalidLeadsBody(RevisionBody):
    """The leads of a page that must not be believed: the whole list, [] for none."""

    page: int = Field(1, ge=1, le=10_000)
    leads: list[Lead] = Field(max_length=12)
    comment: Comment = ""


class Done(Model):
    """What the job is after an action."""

    job_id: str
    state: State


class JobState(Done):
    """Where a job stands, and why; names no patient, so asking for it is no look."""

    code: str
    why: str


class JobFilter(Model):
    """The worklist's filters, for actions on all that match. Dates: RFC 3339, or YYYY-MM-DD in UTC."""

    state: State | None = None
    door: Door | None = None
    sender: str = Field("", max_length=200)
    patient: str = Field("", max_length=64)
    q: str = Field("", max_length=200)
    received_from: Moment | None = None
    received_to: Moment | None = None
    confidence_max: float | None = Field(None, ge=0, le=1)


class BulkBody(Model):
    """One action on many jobs: those of ids, or those that the filter matches (at most 1000, the oldest first)."""

    action: Literal["retry", "resend", "give-up"]
    ids: list[JobId] = Field(default_factory=list, max_length=BULK_MAX)
    filter: JobFilter | None = None
    comment: Comment = ""


class Matching(Model):
    """Jobs that a filter finds, at most 1000, the oldest first. more: there are others."""

    ids: list[str]
    more: bool


class BulkFailure(Model):
    """Why the action was not done to one job."""

    job_id: str
    code: str
    why: str


class BulkResult(Model):
    """more: the filter matches jobs beyond the bound; ask again."""

    done: list[str]
    failed: list[BulkFailure]
    more: bool


class UploadResult(Model):
    """What became of one file. job_id: None where it was refused, and code and why say so."""

    file_name: str
    accepted: bool
    job_id: str | None
    duplicate: bool
    code: str
    why: str


class UploadResults(Model):
    """One result per file, in the order sent."""

    items: list[UploadResult]
