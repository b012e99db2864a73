"""A Recording as files for people who measure: npz arrays, a JSON summary, a CSV table. Pure, like every emitter."""

from __future__ import annotations

import csv
import json
from io import BytesIO, StringIO
from typing import Any

import numpy as np

from pipeline.recording import (
    TWELVE,
    Finding,
    Float32,
    Known,
    Lead,
    MadeBy,
    Placed,
    Recording,
    Scale,
    Seen,
    Severity,
    Source,
    Strip,
    UInt8,
)


def to_npz(recording: Recording) -> bytes:
    """The fixed npz form, by which others measure us.

    millivolts: float32 (12, n) in the order I II III aVR aVL aVF V1..V6, NaN where nothing was printed.
    sigma_mv: float32 (12, n), one standard deviation, NaN where millivolts is. seen: uint8 (12, n), values of Seen.
    rate_hz: int64 (). All start at the left end of the first printed trace; a lead printed twice gives its longest.
    strip_millivolts: float32 (k, m), each printed strip, padded with NaN at its end. strip_lead: str (k,).
    strip_start_s: float64 (k,), seconds of paper. strip_rate_hz: int64 (). strip_sigma_mv: float32 (k, m) and
    strip_seen: uint8 (k, m), of each strip as sigma_mv and seen are of each lead.

    Of a recording that knows where it was read on its image, the fields of Placed too: placed_orientation: int64 (),
    placed_x_mm: float64 (C,), placed_y_mm: float64 (R,), placed_nodes_px: float64 (R, C, 2), placed_runs_mm: float64
    (k, 3).
    """
    twelve = recording.twelve()
    shape = (len(recording.strips), max((s.samples for s in recording.strips), default=0))
    strips, sigmas = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    seen = np.zeros(shape, np.uint8)
    for row, strip in enumerate(recording.strips):
        strips[row, : strip.samples] = strip.millivolts
        sigmas[row, : strip.samples] = strip.sigma_mv
        seen[row, : strip.samples] = strip.seen
    buffer = BytesIO()
    np.savez_compressed(
        buffer,
        millivolts=twelve.millivolts,
        sigma_mv=twelve.sigma_mv,
        seen=twelve.seen,
        rate_hz=np.int64(recording.rate_hz),
        strip_millivolts=strips,
        strip_lead=np.array([str(s.lead) for s in recording.strips], dtype="U3"),
        strip_start_s=np.array([s.start_s for s in recording.strips], np.float64),
        strip_rate_hz=np.int64(recording.rate_hz),
        strip_sigma_mv=sigmas,
        strip_seen=seen,
        **_placed_arrays(recording.placed),
    )
    return buffer.getvalue()


def summary(recording: Recording) -> dict[str, Any]:
    """What ``<stem>.json`` holds: everything about the recording but its samples, as JSON-able data."""
    chest = recording.chest_gain_mm_mv
    return {
        "layout": recording.layout,
        "confidence": round(float(recording.confidence), 4),
        "speed_mm_s": _scale(recording.speed_mm_s),
        "gain_mm_mv": _scale(recording.gain_mm_mv),
        "chest_gain_mm_mv": _scale(chest) if chest else None,
        "source": recording.source.value,
        "rate_hz": recording.rate_hz,
        "duration_s": round(recording.duration_s, 4),
        "strips": [{"lead": s.lead.value, "start_s": s.start_s, "samples": s.samples} for s in recording.strips],
        "findings": [_finding(finding) for finding in recording.findings],
        "intervals": _intervals(recording),
        "made_by": _made_by(recording.made_by),
        "seconds": {stage: round(float(seconds), 4) for stage, seconds in recording.seconds},
    }


def _intervals(recording: Recording) -> list[dict[str, Any]]:
    """What is measured on the recording as it was read, and why what is not given is not."""
    from pipeline.intervals import measure_intervals  # scipy's filters: seconds, which not every reader must wait for

    return [
        {
            "quantity": each.quantity.value,
            "value": None if each.value is None else round(each.value, 1),
            "standard_error": None if each.standard_error is None else round(each.standard_error, 1),
            "unit": each.unit,
            "beats": each.beats,
            "reason": None if each.reason is None else each.reason.value,
        }
        for each in measure_intervals(recording).measurements
    ]


def summary_json(recording: Recording) -> str:
    """The summary as text, the same for the same recording."""
    return json.dumps(summary(recording), indent=1, ensure_ascii=False) + "\n"


def made_by_json(made_by: MadeBy) -> str:
    """Version and weight hashes as one line of JSON."""
    return json.dumps(_made_by(made_by))


def from_npz(data: bytes, summary_text: str) -> Recording:
    """A Recording out of its two files.

    Files of before strip_sigma_mv hold sigma and seen of a lead's longest strip only: of a shorter strip of the same
    lead sigma comes back as NaN, and every sample it shows as READ.
    """
    summary = json.loads(summary_text)
    with np.load(BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    rate_hz = int(arrays["rate_hz"])
    ends = [_samples(summary, row, arrays["strip_millivolts"]) for row in range(len(arrays["strip_lead"]))]
    leads = [Lead(str(name)) for name in arrays["strip_lead"]]
    strips = []
    for row, (lead, n) in enumerate(zip(leads, ends, strict=True)):
        millivolts = arrays["strip_millivolts"][row, :n]
        start_s = float(arrays["strip_start_s"][row])
        longest = max((i for i, other in enumerate(leads) if other == lead), key=lambda i: (ends[i], -i))
        if "strip_sigma_mv" in arrays:
            sigma_mv, seen = arrays["strip_sigma_mv"][row, :n], arrays["strip_seen"][row, :n]
        elif row == longest:
            at = round(start_s * rate_hz)
            twelve = (TWELVE.index(lead), slice(at, at + n))
            sigma_mv, seen = arrays["sigma_mv"][twelve], arrays["seen"][twelve]
        else:
            sigma_mv, seen = _unknown(millivolts)
        strips.append(Strip(lead, start_s, millivolts, sigma_mv, seen))
    return Recording(
        strips=tuple(strips),
        rate_hz=rate_hz,
        layout=summary["layout"],
        speed_mm_s=_to_scale(summary["speed_mm_s"]),
        gain_mm_mv=_to_scale(summary["gain_mm_mv"]),
        source=Source(summary["source"]),
        confidence=summary["confidence"],
        made_by=MadeBy(summary["made_by"]["version"], tuple(sorted(summary["made_by"]["weights"].items()))),
        findings=tuple(_to_finding(finding) for finding in summary["findings"]),
        chest_gain_mm_mv=_to_scale(summary["chest_gain_mm_mv"]) if summary["chest_gain_mm_mv"] else None,
        placed=_to_placed(arrays),
        seconds=tuple(summary["seconds"].items()),
    )


def to_csv(recording: Recording) -> bytes:
    """A row per sample: time_s and the twelve leads in millivolts, empty where nothing was printed."""
    millivolts = recording.twelve().millivolts
    text = StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["time_s", *(lead.value for lead in TWELVE)])
    for number, column in enumerate(millivolts.T):
        rows.writerow(
            [f"{number / recording.rate_hz:.4f}", *("" if mv != mv else f"{mv:.4f}" for mv in column.tolist())]
        )
    return text.getvalue().encode("ascii")


def _placed_arrays(placed: Placed | None) -> dict[str, Any]:
    return {} if placed is None else {f"placed_{name}": np.asarray(value) for name, value in vars(placed).items()}


def _to_placed(arrays: dict[str, Any]) -> Placed | None:
    if "placed_orientation" not in arrays:
        return None
    return Placed(
        orientation=int(arrays["placed_orientation"]),
        x_mm=arrays["placed_x_mm"],
        y_mm=arrays["placed_y_mm"],
        nodes_px=arrays["placed_nodes_px"],
        runs_mm=arrays["placed_runs_mm"],
    )


def _made_by(made_by: MadeBy) -> dict[str, Any]:
    return {"version": made_by.version, "weights": dict(made_by.weights)}


def _samples(summary: dict[str, Any], row: int, strips: Float32) -> int:
    """How long a strip is: its NaN at the end may be a gap of its own, only the summary knows which."""
    return int(min(summary["strips"][row]["samples"], strips.shape[1]))


def _unknown(millivolts: Float32) -> tuple[Float32, UInt8]:
    seen = np.where(np.isfinite(millivolts), Seen.READ, Seen.NOTHING).astype(np.uint8)
    return np.full_like(millivolts, np.nan), seen


def _to_scale(summary: dict[str, Any]) -> Scale:
    return Scale(summary["value"], Known(summary["known"]))


def _to_finding(summary: dict[str, Any]) -> Finding:
    lead = Lead(summary["lead"]) if summary["lead"] else None
    return Finding(
        summary["code"], Severity(summary["severity"]), lead, summary["start_s"], summary["end_s"], summary["detail"]
    )


def _scale(scale: Scale) -> dict[str, Any]:
    return {"value": float(scale.value), "known": scale.known.value}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": str(finding.code),
        "severity": finding.severity.value,
        "lead": finding.lead.value if finding.lead else None,
        "start_s": finding.start_s,
        "end_s": finding.end_s,
        "detail": finding.detail,
    }
