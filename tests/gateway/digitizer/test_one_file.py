"""A file read once, as a worker would read it, by networks in a process of its own that quotes nobody in the log."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gateway.config import Config, IdentitySection, LimitsSection, PipelineSection
from gateway.digitizer import child, protocol
from gateway.digitizer.child import read_file
from gateway.digitizer.load import LoadedDigitizer
from gateway.digitizer.one_file import FileReaders
from gateway.digitizer.protocol import Fault, FileMessage, Request
from gateway.emit import npz
from gateway.errors import Refused
from gateway.job import Verdict
from gateway.review import NO_CORRECTION
from pipeline.errors import Unreadable
from pipeline.recording import Correction, Finding, Lead, Page, Recording, Severity
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import scanned_page
from tests.dicom_objects import dicom_object, gradient, put_pixels, save
from tests.recordings import three_by_four

LACKS = Finding("least_sure", Severity.INFO, Lead.V3, 1.0, 2.0, "52% of it was read")
LETTER_PX, DAMAGED_PX = 40, 50  # how wide the pages are that the eye below does not read


@pytest.fixture(autouse=True)
def _eye(monkeypatch: pytest.MonkeyPatch) -> None:
    def digitize(page: Page, _given: Correction = NO_CORRECTION, /) -> Recording:
        width = page.image.shape[1]
        if width == LETTER_PX:
            raise Unreadable("not_an_ecg", "It is a letter.", sure=True)
        if width == DAMAGED_PX:
            raise Refused("damaged", "It breaks off.")
        return replace(three_by_four(), confidence=0.5, weakest=LACKS)

    monkeypatch.setattr(child, "load_digitizer", lambda *_: LoadedDigitizer(digitize, "{}"))


def request(path: Path) -> Request:
    return Request(
        path=str(path),
        pages_max=3,
        limits=LimitsSection(),
        identity=IdentitySection(),
        pipeline=PipelineSection(),
    )


def document(folder: Path, *widths: int) -> Path:
    path = folder / "document.tif"
    first, *others = [Image.new("RGB", (width, 30), "white") for width in widths]
    first.save(path, "TIFF", save_all=True, append_images=others)
    return path


def test_every_page_is_read_or_told_why_not(tmp_path: Path) -> None:
    seen = read_file(request(document(tmp_path, LETTER_PX, DAMAGED_PX, 60))).answer
    assert isinstance(seen, FileMessage)
    assert [(page.number, page.verdict, page.code, page.why) for page in seen.pages] == [
        (1, Verdict.NOT_AN_ECG, "not_an_ecg", "It is a letter."),
        (2, Verdict.UNREADABLE, "damaged", "It breaks off."),
        (3, Verdict.DIGITIZED, "", ""),
    ]
    data = seen.pages[2].recording_npz
    assert data is not None
    recording = npz.from_npz(data, seen.pages[2].summary)
    assert recording.layout == three_by_four().layout
    assert recording.findings[-1] == LACKS  # below the bound: what to look at is named


def test_a_long_document_and_a_damaged_file_are_told_before_a_network_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(child, "load_digitizer")
    told = read_file(request(document(tmp_path, 60, 60, 60, 60))).answer
    assert isinstance(told, Fault)
    assert (told.again, told.code) == (False, "too_many_pages")
    assert told.why == "The document has 4 pages, and at most 3 are read here."
    path = tmp_path / "page.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    told = read_file(request(path)).answer
    assert isinstance(told, Fault)
    assert (told.again, told.code) == (False, "damaged")


def test_whose_page_it_is_comes_from_the_file_itself(tmp_path: Path) -> None:
    dataset = dicom_object()
    put_pixels(dataset, gradient()[None])
    seen = read_file(request(save(dataset, tmp_path / "object.dcm"))).answer
    assert isinstance(seen, FileMessage)
    assert dict(seen.order)["patient"] is not None
    assert dataset.PatientID in str(seen.order)


def test_what_it_answers_survives_the_way() -> None:
    seen = FileMessage(
        order={}, pages=(protocol.PageMessage(number=1, verdict=Verdict.DIGITIZED, recording_npz=bytes(range(256))),)
    )
    assert FileMessage.model_validate_json(seen.model_dump_json()) == seen


def test_an_error_of_its_own_is_told_without_its_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"path": "of Jane Doe"}')))
    asked: list[str] = []
    monkeypatch.setattr(child, "end_with_parent", lambda: asked.append("to end with its parent"))  # this one must not
    monkeypatch.setattr("signal.signal", lambda *_: None)
    before = sys.excepthook
    try:
        with pytest.raises(ValueError, match="Jane Doe") as error:
            child.main()
        sys.excepthook(error.type, error.value, error.tb)
    finally:
        sys.excepthook = before
    told = capsys.readouterr().err
    assert "Doe" not in told
    assert "in main" in told
    assert asked == ["to end with its parent"]


def test_a_page_is_read_by_the_networks_in_another_process(tmp_path: Path) -> None:
    rendered = scanned_page(synthetic_ecg(np.random.default_rng(11), 10.0, 500), 500, seed=11)
    path = tmp_path / "page.png"
    Image.fromarray(rendered.page.image).save(path)
    read = FileReaders(within_s=900.0).read(Config(), path)  # on a machine that is busy with other things
    (page,) = read.pages
    assert page.recording_npz is not None
    recording = npz.from_npz(page.recording_npz, page.summary)
    assert recording.layout == rendered.truth.recording.layout
    assert recording.confidence > 0.5
    assert read.order.patient.patient_id == ""
