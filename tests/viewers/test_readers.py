"""The default DICOM object and the default aECG before readers that are not ours, held against the npz."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.recording import TWELVE, Lead
from tests import recordings as make
from tests.viewers import ecg_plot, pages
from tests.viewers.readers import AECG_READERS, DICOM_READERS, MICROVOLT, Shown, differs_by

pytestmark = pytest.mark.peer

A_WALL_MV = 5.0  # no lead of these pages comes near it


def written(data: bytes, folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("page", pages.PAGES)
@pytest.mark.parametrize("reader", DICOM_READERS)
def test_a_reader_of_dicom_shows_the_millivolts_of_the_npz(reader: str, page: str, tmp_path: Path) -> None:
    recording = pages.recording(page)
    shown = DICOM_READERS[reader](written(pages.dicom(recording), tmp_path, "ecg.dcm"))
    assert shown.names == [*TWELVE]
    assert differs_by(shown, pages.truth(recording)) <= MICROVOLT


@pytest.mark.parametrize("page", pages.PAGES)
@pytest.mark.parametrize("reader", AECG_READERS)
def test_a_reader_of_aecg_shows_the_millivolts_of_the_npz(reader: str, page: str, tmp_path: Path) -> None:
    recording = pages.recording(page)
    shown = AECG_READERS[reader](written(pages.aecg(recording), tmp_path, "ecg.xml"))
    assert shown.names == [*TWELVE]
    assert differs_by(shown, pages.truth(recording)) <= MICROVOLT


@pytest.mark.parametrize("reader", AECG_READERS)
def test_a_reader_of_aecg_shows_the_same_of_the_one_in_an_hl7_message(reader: str, tmp_path: Path) -> None:
    recording = pages.recording("3x4+1")
    shown = AECG_READERS[reader](written(pages.aecg_in_message(recording), tmp_path, "ecg.xml"))
    assert differs_by(shown, pages.truth(recording)) <= MICROVOLT


@pytest.mark.parametrize("reader", DICOM_READERS)
def test_a_reader_of_dicom_shows_zero_in_a_gap(reader: str, tmp_path: Path) -> None:
    recording = make.with_gaps()
    shown = DICOM_READERS[reader](written(pages.dicom(recording), tmp_path, "ecg.dcm"))
    assert differs_by(shown, pages.truth(recording)) <= MICROVOLT


def test_the_comparison_finds_a_name_a_microvolt_and_a_sample_that_are_wrong() -> None:
    truth = pages.truth(pages.recording("3x4+1"))
    leads = np.round(truth.drawn.astype(np.float64), 3)
    exact = Shown([*TWELVE], leads, 500.0)
    assert differs_by(exact, truth) <= MICROVOLT
    assert differs_by(replace(exact, millivolts=leads + 0.002), truth) > MICROVOLT
    assert differs_by(replace(exact, millivolts=np.roll(leads, 1, axis=1)), truth) > MICROVOLT
    assert differs_by(replace(exact, millivolts=leads[:, :-1]), truth) == float("inf")
    assert differs_by(replace(exact, names=[*TWELVE[1:], TWELVE[0]]), truth) == float("inf")
    assert differs_by(replace(exact, rate_hz=499.0), truth) == float("inf")


@pytest.mark.parametrize("reader", ["pydicom", "BioSig"])
def test_padding_shows_thirteen_leads(reader: str, tmp_path: Path) -> None:
    """What this gate is here to stop. pydicom shows -32.768 mV beside, BioSig happens to take it as no value."""
    padded = pages.dicom(pages.recording("3x4+1"), encoding="padded")
    shown = DICOM_READERS[reader](written(padded, tmp_path, "ecg.dcm"))
    assert len(shown.names) == 13
    assert np.isnan(shown.millivolts).any() or shown.millivolts.min() == -32.768


@pytest.mark.parametrize("reader", AECG_READERS)
def test_of_an_aecg_in_strips_a_reader_shows_three_leads(reader: str, tmp_path: Path) -> None:
    strips = pages.aecg(pages.recording("3x4+1"), aecg_layout="strips")
    assert len(AECG_READERS[reader](written(strips, tmp_path, "ecg.xml")).names) < 12


def in_cells(leads: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    """(12, n) cut as the layout 3x4_1 of dicom-ecg-plot, its usual one, shows them: row by row, then lead II whole."""
    quarter = leads.shape[1] // 4
    cells = [leads[3 * n + row, n * quarter : (n + 1) * quarter] for row in range(3) for n in range(4)]
    return [*cells, leads[TWELVE.index(Lead.II)]]


@pytest.mark.parametrize("page", pages.PAGES)
def test_dicom_ecg_plot_draws_the_millivolts_of_the_npz(page: str, tmp_path: Path) -> None:
    """Behind its own low pass. A wall at the border of a column would be many millivolts off."""
    recording = pages.recording(page)
    truth = pages.truth(recording)
    drawn = ecg_plot.draw(pages.dicom(recording), "3x4_1", tmp_path)
    wanted = in_cells(ecg_plot.low_passed(truth.drawn, truth.rate_hz))
    assert [len(cell.millivolts) for cell in drawn] == [len(cell) for cell in wanted]
    off = [np.abs(cell.millivolts - lead).max() for cell, lead in zip(drawn, wanted, strict=True)]
    assert max(off) <= MICROVOLT


def test_dicom_ecg_plot_draws_walls_where_samples_are_padded(tmp_path: Path) -> None:
    drawn = ecg_plot.draw(pages.dicom(pages.recording("3x4+1"), encoding="padded"), "3x4_1", tmp_path)
    assert min(cell.millivolts.min() for cell in drawn) < -A_WALL_MV


def test_dicom_ecg_plot_draws_all_twelve_leads_whole(tmp_path: Path) -> None:
    recording = pages.recording("12x1")
    truth = pages.truth(recording)
    drawn = np.stack([cell.millivolts for cell in ecg_plot.draw(pages.dicom(recording), "12x1", tmp_path)])
    assert np.abs(drawn - ecg_plot.low_passed(truth.drawn, truth.rate_hz)).max() <= MICROVOLT


LAYOUT = ["I", "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III", "aVF", "V3", "V6", "II"]  # 3x4_1, row by row


def test_dicom_ecg_plot_names_the_leads_that_are_coded_by_scp_ecg(tmp_path: Path) -> None:
    coded = pages.dicom(pages.recording("3x4+1"), channel_codes="SCPECG")
    assert [cell.name for cell in ecg_plot.draw(coded, "3x4_1", tmp_path)] == LAYOUT


def test_dicom_ecg_plot_misnames_the_chest_leads_that_are_coded_by_mdc(tmp_path: Path) -> None:
    """Its own table of MDC codes is wrong: 2:3 to 2:8 are V1 to V6. Their traces stand in the right places."""
    names = [cell.name for cell in ecg_plot.draw(pages.dicom(pages.recording("3x4+1")), "3x4_1", tmp_path)]
    wrong = dict(zip(TWELVE[6:], ["III", "aVR", "aVL", "aVF", "V1", "V2"], strict=True))
    assert names == [wrong.get(Lead(name), name) for name in LAYOUT]


@pytest.mark.parametrize("reader", ["pydicom", "ecgdatakit"])
def test_a_reader_of_dicom_knows_the_leads_that_are_coded_by_scp_ecg(reader: str, tmp_path: Path) -> None:
    """BioSig 3.0.1 ends by a fault on every lead code that does not begin with 2: as those of MDC do."""
    recording = pages.recording("3x4+1")
    coded = written(pages.dicom(recording, channel_codes="SCPECG"), tmp_path, "ecg.dcm")
    assert differs_by(DICOM_READERS[reader](coded), pages.truth(recording)) <= MICROVOLT
