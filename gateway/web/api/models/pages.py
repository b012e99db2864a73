"""What was read of a page, and the documents made of it."""

from __future__ import annotations

from gateway.web.api.models.base import Model
from gateway.web.api.models.jobs import FindingModel, Measured, NotMeasured, ScaleModel
from pipeline.recording import Lead


class StripModel(Model):
    """One printed run of one lead. null in millivolts: the page shows nothing there. seen: 0 nothing 1 read 2 bridged.

    start_s counts from the left end of the page's first trace.
    """

    lead: Lead
    start_s: float
    rhythm: bool  # the longer of two strips of this lead
    invalid: bool  # marked so by a person: its samples are null
    doubt: str  # beside the lead's name, as in the report: "" for none, "?", "not valid"
    millivolts: list[float | None]
    sigma_mv: list[float | None]
    seen: list[int]


class PlacedModel(Model):
    """Where the strips lie on the rectified picture, in its own pixels at full width.

    runs_px: per strip (x of its start, x of its end, y of 0 mV).
    """

    orientation: int
    width_px: int
    height_px: int
    px_per_mm: float
    runs_px: list[tuple[float, float, float]]


class WaveformModel(Model):
    """What was read of a page. outdated: as of PageModel."""

    job_id: str
    page: int
    outdated: bool
    rate_hz: int
    duration_s: float
    layout: str
    confidence: float
    speed_mm_s: ScaleModel
    gain_mm_mv: ScaleModel
    chest_gain_mm_mv: ScaleModel | None
    strips: list[StripModel]
    findings: list[FindingModel]
    measurements: list[Measured]
    not_measured: list[NotMeasured]
    placed: PlacedModel | None


class DocumentModel(Model):
    """A document that can be had of a page. sent_to: destinations it has gone to or waits for."""

    kind: str  # aecg dicom_waveform hl7v2 pdf csv wfdb edf npz
    page: int
    media_type: str
    file_name: str
    sent_to: list[str]


class DocumentList(Model):
    """The documents of a job."""

    items: list[DocumentModel]


class Layouts(Model):
    """The arrangements of leads that a person may choose from: name to lead names in reading order."""

    layouts: dict[str, list[Lead]]
