"""Recordings for tests, made of sums of waves so that each sample of each lead is different and known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np

from gateway.emit.measured import Measurement, NotMeasured
from gateway.identity.order import Order, Patient, SourceImage
from gateway.mapping import Measured
from pipeline.intervals import Reason
from pipeline.recording import (
    TWELVE,
    Finding,
    Known,
    Lead,
    MadeBy,
    Placed,
    Recording,
    Scale,
    Seen,
    Source,
    Strip,
)
from pipeline.synth.heart import synthetic_ecg

RATE_HZ = 500
RECEIVED_AT = datetime(2026, 11, 22, 14, 30, 5, tzinfo=UTC)
MADE_AT = datetime(2026, 11, 22, 15, 31, 40, tzinfo=timezone(timedelta(hours=1)))
SHA256 = "5f" * 32
MADE_BY = MadeBy("0.1.0", (("grid", "ab" * 32), ("waveform", "cd" * 32)))

TOLD = (
    Measurement(Measured.HEART_RATE, 71.6, 0.4, 12),
    Measurement(Measured.RR_INTERVAL, 838.0, 5.0, 12),
    Measurement(Measured.PR_INTERVAL, 162.4, 9.2, 11),
    Measurement(Measured.QRS_DURATION, 98.0, 8.0, 11),
    Measurement(Measured.QT_INTERVAL, 391.0, 11.0, 10),
    Measurement(Measured.QTC_INTERVAL, 427.1, 12.2, 10),
    Measurement(Measured.QTC_FRIDERICIA, 414.7, 11.9, 10),
    Measurement(Measured.QRS_AXIS, -30.2, 6.0, 3),
    NotMeasured(Measured.P_AXIS, Reason.ERROR_LARGE),
    NotMeasured(Measured.T_AXIS, Reason.ERROR_LARGE),
)

COLUMNS_4 = (TWELVE[0:3], TWELVE[3:6], TWELVE[6:9], TWELVE[9:12])
COLUMNS_2 = (TWELVE[0:6], TWELVE[6:12])


def millivolts(lead: Lead, start_s: float, seconds: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    """float32 (n,) mV: a beat-like wave whose height and phase belong to the lead, alike wherever it is printed."""
    t = start_s + np.arange(round(seconds * rate_hz)) / rate_hz
    k = TWELVE.index(lead) + 1
    beat = np.exp(-(((t * 1.2 + 0.05 * k) % 1.0 - 0.4) ** 2) / 0.0005)
    return (0.3 + 0.1 * k) * beat.astype(np.float32) + (0.05 * np.sin(2 * np.pi * (0.7 + 0.1 * k) * t)).astype(
        np.float32
    )


def strip(lead: Lead, start_s: float, seconds: float, gaps_s: tuple[tuple[float, float], ...] = ()) -> Strip:
    """A strip with the given stretches (page time) not read."""
    mv = millivolts(lead, start_s, seconds)
    for a, b in gaps_s:
        mv[round((a - start_s) * RATE_HZ) : round((b - start_s) * RATE_HZ)] = np.nan
    known = np.isfinite(mv)
    sigma = np.where(known, np.float32(0.012), np.float32("nan")).astype(np.float32)
    return Strip(lead, start_s, mv, sigma, np.where(known, Seen.READ, Seen.NOTHING).astype(np.uint8))


def recording(strips: list[Strip], layout: str, findings: tuple[Finding, ...] = (), **changes: object) -> Recording:
    """A 500 Hz recording at 25 mm/s and 10 mm/mV."""
    values: dict[str, object] = {
        "strips": tuple(strips),
        "rate_hz": RATE_HZ,
        "layout": layout,
        "speed_mm_s": Scale(25.0, Known.GRID),
        "gain_mm_mv": Scale(10.0, Known.PULSE),
        "source": Source.COLOUR_SCAN,
        "confidence": 0.93,
        "made_by": MADE_BY,
        "findings": findings,
        "seconds": (("source", 0.1), ("waveform", 1.5)),
    }
    return Recording(**(values | changes))  # type: ignore[arg-type]


def in_columns(columns: tuple[tuple[Lead, ...], ...], seconds: float) -> list[Strip]:
    return [strip(lead, k * seconds, seconds) for k, column in enumerate(columns) for lead in column]


def three_by_four(rhythms: tuple[Lead, ...] = (Lead.II,), findings: tuple[Finding, ...] = ()) -> Recording:
    """3x4 with as many 10 s rhythm strips as named."""
    strips = in_columns(COLUMNS_4, 2.5) + [strip(lead, 0.0, 10.0) for lead in rhythms]
    return recording(strips, f"3x4+{len(rhythms)}" if rhythms else "3x4", findings)


def six_by_two(rhythms: tuple[Lead, ...] = ()) -> Recording:
    strips = in_columns(COLUMNS_2, 5.0) + [strip(lead, 0.0, 10.0) for lead in rhythms]
    return recording(strips, f"6x2+{len(rhythms)}" if rhythms else "6x2")


def twelve_by_one() -> Recording:
    return recording([strip(lead, 0.0, 10.0) for lead in TWELVE], "12x1")


def of_a_heart(seed: int = 4) -> Recording:
    """3x4+1 of a synthetic heart in sinus rhythm: its leads show the same beats at the same time."""
    leads = synthetic_ecg(np.random.default_rng(seed), 10.0, RATE_HZ)

    def shown(lead: Lead, start_s: float, seconds: float) -> Strip:
        first = round(start_s * RATE_HZ)
        mv = leads[TWELVE.index(lead), first : first + round(seconds * RATE_HZ)]
        return Strip(lead, start_s, mv, np.full(len(mv), 0.012, np.float32), np.full(len(mv), Seen.READ, np.uint8))

    columns = [shown(lead, k * 2.5, 2.5) for k, column in enumerate(COLUMNS_4) for lead in column]
    return recording([*columns, shown(Lead.II, 0.0, 10.0)], "3x4+1")


def with_gaps(findings: tuple[Finding, ...] = ()) -> Recording:
    """3x4+1 with a hole in V2 and one in the rhythm strip."""
    holes = {Lead.V2: ((6.0, 6.2),)}
    strips = [strip(s.lead, s.start_s, 2.5, holes.get(s.lead, ())) for s in in_columns(COLUMNS_4, 2.5)] + [
        strip(Lead.II, 0.0, 10.0, ((4.0, 4.5),))
    ]
    return recording(strips, "3x4+1", findings)


def placed(of: Recording, px_per_mm: float = 4.0, orientation: int = 0) -> Placed:
    """Rows 30 mm apart, a strip beside another of its row, on paper that lies flat on an image of so many pixels."""
    x_mm, y_mm = np.arange(0.0, 301.0, 5.0), np.arange(0.0, 211.0, 5.0)
    nodes = np.stack(np.meshgrid(x_mm, y_mm), axis=-1) * px_per_mm
    rows: dict[float, int] = {}
    runs = []
    for s in of.strips:
        row = rows[s.start_s] = rows.get(s.start_s, 0) + 1
        left = 10.0 + s.start_s * of.speed_mm_s.value
        runs.append((left, left + s.samples / of.rate_hz * of.speed_mm_s.value, 30.0 * row))
    return Placed(orientation, x_mm, y_mm, nodes, np.array(runs, np.float64).reshape(-1, 3))


def order(**changes: object) -> Order:
    """A known patient with an order and a Secondary Capture source."""
    values: dict[str, object] = {
        "patient": Patient("4711", "1.2.276.99", "Doe^Jane^Q^Dr^Jr", "19540131", "F"),
        "study_uid": "1.2.826.1.3680043.10.999.1",
        "study_id": "S1",
        "study_date": "20240131",
        "study_time": "143000",
        "accession_number": "A-17",
        "referring_physician": "House^Gregory^^Dr",
        "placer_order_number": "P-1",
        "acquired_at": "20240131143000",
        "acquired_from": "AcquisitionDateTime",
        "visit_number": "V-9",
        "institution": "General Hospital",
        "source": SourceImage("1.2.840.10008.5.1.4.1.1.7", "1.2.826.1.3680043.10.999.2"),
    }
    return Order(**(values | changes))  # type: ignore[arg-type]
