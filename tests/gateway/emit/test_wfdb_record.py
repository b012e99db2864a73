"""gateway/emit/wfdb_record: read by a reader of our own, written after header(5) and signal(5)."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

from gateway.emit import wfdb_record
from gateway.emit.emitted import Emitted
from gateway.errors import Held, Refused
from gateway.identity.order import Order
from pipeline.recording import Finding, Lead, Recording, Severity, Strip
from tests import recordings as make
from tests.conformance.wfdb_reader import Record, read


def emitted(recording: Recording, order: Order | None = None) -> Emitted:
    return wfdb_record.emit(recording, order or make.order(), source_sha256=make.SHA256, page=1)


def record(recording: Recording, order: Order | None = None) -> Record:
    return read(emitted(recording, order).data)


def test_the_zip_holds_a_header_and_a_signal_file_of_the_records_name() -> None:
    out = emitted(make.three_by_four())
    with zipfile.ZipFile(BytesIO(out.data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{out.name}.hea", f"{out.name}.dat"]
    assert re.fullmatch(r"[A-Za-z0-9_-]+", out.name)


@pytest.mark.parametrize(
    "recording",
    [make.three_by_four(), make.with_gaps(), make.six_by_two(), make.twelve_by_one()],
    ids=["3x4+1", "gaps", "6x2", "12x1"],
)
def test_every_strip_comes_back_within_half_a_microvolt_and_invalid_elsewhere(recording: Recording) -> None:
    found = record(recording)
    assert found.rate_hz == 500
    assert len(found.names) == len(recording.strips)
    for strip in recording.strips:
        again = recording.longest(strip.lead) is strip and any(
            other.lead == strip.lead and other is not strip for other in recording.strips
        )
        mv = found.millivolts[found.names.index(f"{strip.lead} rhythm" if again else str(strip.lead))]
        first = round(strip.start_s * 500)
        got = mv[first : first + strip.samples]
        assert np.array_equal(np.isnan(got), np.isnan(strip.millivolts))
        assert np.nanmax(np.abs(got - strip.millivolts)) <= 0.0005 + 1e-6
        assert np.isnan(np.delete(mv, slice(first, first + strip.samples))).all()


def test_checksums_and_first_values_are_those_of_the_samples() -> None:
    record(make.with_gaps())  # the reader compares them
    out = emitted(make.with_gaps())
    with zipfile.ZipFile(BytesIO(out.data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    damaged = BytesIO()
    with zipfile.ZipFile(damaged, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data[:-2] + b"\x01\x02" if name.endswith(".dat") else data)
    with pytest.raises(AssertionError, match="checksum"):
        read(damaged.getvalue())


@pytest.mark.parametrize(
    ("acquired_at", "told"),
    [
        ("20240131143000", "14:30:00 31/01/2024"),
        ("20240131143000.25+0100", "14:30:00.250 31/01/2024"),
        ("20240131", ""),
        ("", ""),
    ],
)
def test_the_time_is_told_only_where_it_is_known_to_the_second(acquired_at: str, told: str) -> None:
    assert record(make.three_by_four(), make.order(acquired_at=acquired_at)).begins == told


def test_the_comments_hold_provenance_and_findings_and_no_patient() -> None:
    findings = (Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.2, "a\nb {record}"),)
    comments = record(make.with_gaps(findings)).comments
    assert f"Page 1 of the document with SHA-256 {make.SHA256}." in comments
    assert any(line.startswith("WARNING: A stretch") and line.endswith("a b {record}") for line in comments)
    assert any(line.startswith("V2: QUESTIONABLE") for line in comments)
    assert any("-32768 are invalid" in line for line in comments)
    assert not any(word in " ".join(comments) for word in ("Doe", "Jane", "4711", "19540131"))


def test_the_same_input_gives_the_same_bytes_and_another_content_another_name() -> None:
    out = emitted(make.with_gaps())
    assert emitted(replace(make.with_gaps(), seconds=(("waveform", 99.0),))) == out
    assert emitted(make.three_by_four()).name != out.name
    assert emitted(make.with_gaps(), make.order(acquired_at="20240131143001")).name != out.name


def test_what_beats_the_format_is_held_at_its_limit_and_told() -> None:
    high = make.strip(Lead.I, 0.0, 2.5)
    high.millivolts[10] = 40.0
    found = record(make.recording([high], "1x1"))
    assert found.millivolts[0][10] == pytest.approx(32.767)
    assert any("1 samples beyond 32.767 mV" in line for line in found.comments)


def test_a_page_without_a_sample_is_refused_and_a_date_that_is_none_holds() -> None:
    nan = np.full(100, np.nan, np.float32)
    with pytest.raises(Refused, match="nothing_printed"):
        emitted(make.recording([Strip(Lead.I, 0.0, nan, nan, np.zeros(100, np.uint8))], "1x1"))
    with pytest.raises(Held, match="bad_acquisition_date"):
        emitted(make.three_by_four(), make.order(acquired_at="yesterday"))
