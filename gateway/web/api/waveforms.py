"""What was read of a page, sample by sample."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter
from starlette.responses import Response

from gateway.review import reviewed
from gateway.store import opening_of
from gateway.web.api import models, serializers
from gateway.web.api.access_log import accesses
from gateway.web.api.dependencies import PROBLEMS, JobId, PageNumber, TheStore, Viewer
from gateway.web.api.recordings import Read, read_page

router = APIRouter(prefix="/api/v1/jobs/{job_id}/pages/{number}", tags=["pages"])


@router.get("/waveform", response_model=models.WaveformModel, responses=PROBLEMS)
def waveform(who: Viewer, store: TheStore, job_id: JobId, number: PageNumber) -> Response:
    """The strips as they go out: what a person marked invalid is empty."""
    read = read_page(store, job_id, number)
    assert read.page.recording_npz is not None
    shown = hashlib.sha256(read.page.recording_npz).hexdigest()
    accesses.write_down(store, who.name, job_id, opening_of(number), shown)
    recording = reviewed(read.recording, read.review)
    speed, gain = serializers.scale_of(recording.speed_mm_s), serializers.scale_of(recording.gain_mm_mv)
    model = models.WaveformModel.model_construct(  # sixty thousand numbers of our own need no second look
        job_id=job_id,
        page=number,
        outdated=read.outdated,
        rate_hz=recording.rate_hz,
        duration_s=recording.duration_s,
        layout=recording.layout,
        confidence=recording.confidence,
        speed_mm_s=speed,
        gain_mm_mv=gain,
        chest_gain_mm_mv=serializers.chest_gain_of(recording),
        strips=serializers.strips_of(read),
        findings=[serializers.finding_of(finding) for finding in recording.findings],
        measurements=list(read.measurements),
        not_measured=list(read.not_measured),
        placed=_placed(read),
    )
    return Response(model.model_dump_json(), media_type="application/json")


def _placed(read: Read) -> models.PlacedModel | None:
    placed = read.recording.placed
    if placed is None:
        return None
    from pipeline.draw.overlay import PX_PER_MM, extent_px  # scipy's interpolation

    x0, y0, width, height = extent_px(read.recording, placed)
    return models.PlacedModel(
        orientation=placed.orientation,
        width_px=width,
        height_px=height,
        px_per_mm=PX_PER_MM,
        runs_px=[
            ((start - x0) * PX_PER_MM, (end - x0) * PX_PER_MM, (level - y0) * PX_PER_MM)
            for start, end, level in placed.runs_mm.tolist()
        ],
    )
