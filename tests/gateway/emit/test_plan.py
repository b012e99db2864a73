"""gateway/emit/plan: which documents each kind of destination gets."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from gateway.config import Config, Destination, DicomDestination, FolderDestination, MllpDestination
from gateway.emit.plan import documents_for, wants_thumbnails
from gateway.emit.thumbnail import thumbnail_png
from gateway.errors import NotFound
from gateway.job import Arrival, Document, DocumentKind, Door, Job, Reading, State
from pipeline.recording import Page
from tests import recordings as make

JOB = Job("job-1", State.RECEIVED, Arrival(Door.FAX, "fax"), make.SHA256, 1, make.RECEIVED_AT, make.RECEIVED_AT, 0)

NOW = Reading(make.MADE_AT)


def pacs(**changes: object) -> DicomDestination:
    return DicomDestination(kind="dicom", name="pacs", host="h", port=104, called_ae_title="P", **changes)  # type: ignore[arg-type]


def ehr(**changes: object) -> MllpDestination:
    return MllpDestination(kind="mllp", name="ehr", host="h", port=2575, **changes)  # type: ignore[arg-type]


def folder(*documents: str) -> FolderDestination:
    return FolderDestination(kind="folder", name="archive", folder=Path("archive"), documents=documents)  # type: ignore[arg-type]


def sent(destination: Destination, thumbnail: bytes = b"") -> list[Document]:
    config = Config(destination=(destination,))
    return documents_for(
        config, destination.name, JOB, make.order(), 1, make.three_by_four(), NOW, thumbnail_png=thumbnail
    )


def test_a_pacs_gets_the_waveform_and_the_report_in_the_same_study_unless_it_wants_none() -> None:
    assert [document.kind for document in sent(pacs(report=False))] == [DocumentKind.DICOM_WAVEFORM]
    both = sent(pacs())
    assert [document.kind for document in both] == [DocumentKind.DICOM_WAVEFORM, DocumentKind.DICOM_PDF]
    assert len({dcmread(BytesIO(document.data)).StudyInstanceUID for document in both}) == 1
    assert [dcmread(BytesIO(document.data)).SOPInstanceUID for document in both] == [d.name for d in both]


def test_an_ehr_gets_one_message_and_the_report_in_it_unless_it_wants_none() -> None:
    (plain,) = sent(ehr(report=False))
    (full,) = sent(ehr())
    assert plain.kind == full.kind == DocumentKind.HL7V2
    assert b"^application^PDF^Base64^" in full.data
    assert b"^application^PDF^" not in plain.data


def test_a_folder_gets_what_it_lists() -> None:
    kinds = ("pdf", "csv", "wfdb", "edf", "aecg", "hl7v2", "dicom_waveform")
    documents = sent(folder(*kinds))
    assert {document.kind for document in documents} == set(map(DocumentKind, kinds))
    assert len({document.name for document in documents}) == len(kinds)
    assert sent(folder(*kinds)) == documents


@pytest.mark.parametrize(
    ("destination", "wanted"),
    [
        (pacs(report=False), False),
        (pacs(), True),
        (ehr(report=False), False),
        (ehr(), True),
        (folder("aecg", "csv"), False),
        (folder("hl7v2"), True),
        (folder("pdf"), True),
    ],
)
def test_pages_are_made_small_only_where_a_report_shows_them(destination: Destination, wanted: bool) -> None:
    assert wants_thumbnails(Config(destination=(destination,))) is wanted
    page = Page(np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8))
    pictured = [document.name for document in sent(destination, thumbnail_png(page))]
    assert (pictured != [document.name for document in sent(destination)]) is wanted


def test_a_destination_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        documents_for(Config(), "pacs", JOB, make.order(), 1, make.three_by_four(), NOW)
