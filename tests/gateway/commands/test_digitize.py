"""Many files through one digitizer: what one file does wrong stays with it, and no result replaces another."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from rich.console import Console

from gateway.commands import digitize as digitize_module
from gateway.commands.digitize import Names, digitize_files
from gateway.config import IdentitySection, LimitsSection
from gateway.demo.secondary_capture import secondary_capture
from gateway.digitizer.load import LoadedDigitizer
from gateway.errors import Refused, TryAgain
from gateway.identity.identify import identified
from gateway.identity.order import Order
from gateway.job import Arrival
from gateway.review import NO_CORRECTION
from gateway.unpack import MediaType, Unpacked, unpack
from pipeline.errors import Unreadable
from pipeline.findings import UnreadableCode
from pipeline.recording import Correction, Finding, Lead, Page, Recording, Severity
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import clean_page
from pipeline.synth.truth import Rendered

LACKS = Finding("least_sure", Severity.INFO, Lead.V3, 1.0, 2.0, "52% of it was read")
LETTER, UNREADABLE, UNSURE = 10, 20, 30  # grey values by which the stand-in digitizer knows a page


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    return clean_page(synthetic_ecg(np.random.default_rng(3), 10.0, 500), 500, seed=3)


@pytest.fixture(autouse=True)
def _eye(monkeypatch: pytest.MonkeyPatch, rendered: Rendered) -> None:
    """A digitizer that reads every page as the same recording, but for the two greys: what is tested lies around it."""

    def digitize(page: Page, _given: Correction = NO_CORRECTION) -> Recording:
        grey = int(page.image[0, 0, 0])
        if grey == LETTER:
            raise Unreadable(UnreadableCode.NOT_AN_ECG, "a letter")
        if grey == UNREADABLE:
            raise Unreadable(UnreadableCode.NO_TRACES, "no row of traces")
        if grey == UNSURE:
            return replace(rendered.truth.recording, confidence=0.899, weakest=LACKS)
        return replace(rendered.truth.recording, confidence=0.9, weakest=LACKS)

    monkeypatch.setattr(digitize_module, "load_digitizers", lambda _: nullcontext(LoadedDigitizer(digitize, "{}")))


def _image(grey: int = 255) -> Image.Image:
    return Image.new("RGB", (60, 40), (grey, grey, grey))


def _tiff(path: Path, *greys: int) -> Path:
    first, *rest = [_image(grey) for grey in greys]
    first.save(path, save_all=True, append_images=rest)
    return path


def _png(path: Path, grey: int = 255) -> Path:
    _image(grey).save(path)
    return path


def _run(
    images: list[Path], folder: Path, formats: tuple[str, ...] = ("npz",), changes: Mapping[str, str] | None = None
) -> tuple[int, str, list[str]]:
    folder.mkdir(exist_ok=True)
    told = io.StringIO()
    refused = digitize_files(
        images, folder, formats, Console(file=told, width=200), lambda own: identified(own, changes or {})
    )
    return refused, told.getvalue(), sorted(path.name for path in folder.iterdir())


def test_a_dicom_page_brings_its_own_patient(tmp_path: Path, rendered: Rendered) -> None:
    page = tmp_path / "page.sc"
    page.write_bytes(secondary_capture(rendered.page.image, "111", "Doe^Jane", "20240131143000"))
    refused, told, names = _run([page], tmp_path / "own", ("dcm",))
    assert (refused, names) == (0, ["page.dcm", "page.json"]), told
    own = dcmread(tmp_path / "own" / "page.dcm")
    assert (own.PatientID, str(own.PatientName)) == ("111", "Doe^Jane")
    _run([page], tmp_path / "dated", ("dcm",), {"acquired_at": "20230101"})
    dated = dcmread(tmp_path / "dated" / "page.dcm")
    assert (dated.PatientID, str(dated.PatientName)) == ("111", "Doe^Jane")
    assert dated.AcquisitionDateTime.startswith("20230101")
    _run([page], tmp_path / "other", ("dcm",), {"patient_id": "222"})
    other = dcmread(tmp_path / "other" / "page.dcm")
    assert (other.PatientID, str(other.PatientName or "")) == ("222", "")


def test_a_cover_sheet_beside_an_ecg_is_no_failure(tmp_path: Path) -> None:
    refused, told, names = _run([_tiff(tmp_path / "fax.tif", LETTER, 255)], tmp_path / "out")
    assert refused == 0
    assert "page 1: not_an_ecg" in told
    assert names == ["fax-2.json", "fax-2.npz"]


def test_an_unreadable_page_is_a_failure_and_its_neighbours_are_written(tmp_path: Path) -> None:
    refused, told, names = _run([_tiff(tmp_path / "fax.tif", UNREADABLE, 255)], tmp_path / "out")
    assert refused == 1
    assert "page 1: no_traces" in told
    assert names == ["fax-2.json", "fax-2.npz"]


def test_a_document_of_letters_only_is_a_failure(tmp_path: Path) -> None:
    assert _run([_tiff(tmp_path / "fax.tif", LETTER, LETTER)], tmp_path / "out")[0] == 1


def test_a_damaged_page_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(path: Path, arrival: Arrival, limits: LimitsSection, identity: IdentitySection) -> Unpacked:
        whole = unpack(path, arrival, limits, identity)

        def read(number: int) -> Page:
            if number == 1:
                raise Refused("damaged", "the first strip is cut off")
            return whole.read(number)

        return Unpacked(whole.media_type, whole.order, whole.page_count, read)

    monkeypatch.setattr(digitize_module, "unpack", damaged)
    refused, told, names = _run([_tiff(tmp_path / "fax.tif", 255, 255)], tmp_path / "out")
    assert refused == 1
    assert "page 1: damaged: the first strip is cut off" in told
    assert names == ["fax-2.json", "fax-2.npz"]


@pytest.mark.parametrize(
    "fault", [TryAgain("decoder_ended", "ended"), OSError(5, "Input/output error"), Refused("damaged", "cut")]
)
def test_a_file_that_cannot_be_read_does_not_end_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def failing(path: Path, *rest: object) -> Unpacked:
        if path.name == "bad.png":
            raise fault
        return unpack(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(digitize_module, "unpack", failing)
    refused, told, names = _run([_png(tmp_path / "bad.png"), _png(tmp_path / "good.png")], tmp_path / "out")
    assert refused == 1
    assert "bad.png: " in told
    assert names == ["good.json", "good.npz"]


def test_a_result_that_cannot_be_written_is_a_failure_of_its_page(tmp_path: Path) -> None:
    (tmp_path / "out" / "a.npz").mkdir(parents=True)
    refused, told, names = _run([_png(tmp_path / "a.png"), _png(tmp_path / "b.png")], tmp_path / "out")
    assert refused == 1
    assert "a.png: Is a directory" in told
    assert {"b.json", "b.npz"} <= set(names)


def test_pages_do_not_overwrite_a_file_of_their_name(tmp_path: Path) -> None:
    images = [_tiff(tmp_path / "a.tif", 255, 255), _png(tmp_path / "a-1.png"), _png(tmp_path / "a.png")]
    refused, told, names = _run(images, tmp_path / "out")
    assert refused == 0, told
    stems = {"a-1", "a-2", "a.png", "a.tif-1"}
    assert names == sorted(f"{stem}.{end}" for stem in stems for end in ("json", "npz"))


def test_a_result_never_replaces_the_page_it_was_read_from(tmp_path: Path) -> None:
    page = _png(tmp_path / "a.png")
    before = page.read_bytes()
    refused, told, names = _run([page], tmp_path, ("png",))
    assert refused == 0, told
    assert page.read_bytes() == before
    assert names == ["a.png", "a.png.json", "a.png.png"]


def test_one_page_is_decoded_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def counted(*_: object) -> Unpacked:
        def read(number: int) -> Page:
            steps.append(f"read {number}")
            return Page(np.full((40, 60, 3), LETTER, np.uint8), None)

        return Unpacked(MediaType.TIFF, Order(), 3, read)

    def digitize(page: Page, _given: Correction = NO_CORRECTION) -> Recording:
        steps.append("digitize")
        raise Unreadable(UnreadableCode.NOT_AN_ECG, "a letter")

    monkeypatch.setattr(digitize_module, "unpack", counted)
    monkeypatch.setattr(digitize_module, "load_digitizers", lambda _: nullcontext(LoadedDigitizer(digitize, "{}")))
    _run([_png(tmp_path / "a.png")], tmp_path / "out")
    assert steps == ["read 1", "digitize", "read 2", "digitize", "read 3", "digitize"]


def test_several_files_are_digitized_at_a_time_and_told_of_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Barrier(2)

    def digitize(page: Page, _given: Correction = NO_CORRECTION) -> Recording:
        both.wait(20)
        raise Unreadable(UnreadableCode.NO_TRACES, f"grey {page.image[0, 0, 0]}")

    asked: list[int] = []

    def load_digitizers(processes: int) -> AbstractContextManager[LoadedDigitizer]:
        asked.append(processes)
        return nullcontext(LoadedDigitizer(digitize, "{}"))

    monkeypatch.setattr(digitize_module, "load_digitizers", load_digitizers)
    told = io.StringIO()
    images = [_png(tmp_path / f"{grey}.png", grey) for grey in (30, 40, 50, 60)]
    refused = digitize_files(
        images, tmp_path, ("npz",), Console(file=told, width=200), lambda own: identified(own, {}), processes=2
    )
    assert (refused, asked) == (4, [2])
    assert [line.rsplit(" ", 1)[-1] for line in told.getvalue().split("\n") if "grey" in line] == [
        "30",
        "40",
        "50",
        "60",
    ]


def test_names_are_the_same_whatever_is_read_first(tmp_path: Path) -> None:
    images = [tmp_path / "a.tif", tmp_path / "a-1.png"]

    def named(order: Iterator[Path]) -> dict[Path, str]:
        names = Names(images, tmp_path / "out", ("npz",))
        return {image: names.of(image, 1, 2 if image.suffix == ".tif" else 1) for image in order}

    assert named(iter(images)) == named(reversed(images)) == {images[0]: "a.tif-1", images[1]: "a-1"}


def test_the_report_and_the_files_for_other_programs_are_written(tmp_path: Path) -> None:
    refused, told, names = _run([_png(tmp_path / "page.png")], tmp_path / "out", ("pdf", "wfdb", "edf"))
    assert (refused, told.strip()) == (0, "")
    assert names == ["page.edf", "page.json", "page.pdf", "page.wfdb.zip"]
    assert (tmp_path / "out" / "page.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize("stem", ["x" * 251, "ü" * 125 + "x", "x" * 250 + "y"])
def test_a_page_with_a_name_as_long_as_a_name_may_be_is_written(tmp_path: Path, stem: str) -> None:
    other = _png(tmp_path / f"{stem[:-1]}z.png")
    refused, told, names = _run([_png(tmp_path / f"{stem}.png"), other], tmp_path / "out", ("wfdb", "npz"))
    assert (refused, told.strip()) == (0, "")
    assert len(names) == 6
    assert all(len(os.fsencode(name)) <= 255 for name in names)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_page_below_the_bound_names_what_to_look_at_and_one_at_it_nothing(tmp_path: Path, processes: int) -> None:
    images = [_png(tmp_path / "sure.png"), _png(tmp_path / "unsure.png", UNSURE)]
    told = Console(file=io.StringIO())
    assert digitize_files(images, tmp_path, ("npz",), told, lambda own: own, processes) == 0
    sure, unsure = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("sure", "unsure"))
    assert (sure["confidence"], sure["findings"]) == (0.9, [])
    assert (unsure["confidence"], [finding["detail"] for finding in unsure["findings"]]) == (0.899, [LACKS.detail])
