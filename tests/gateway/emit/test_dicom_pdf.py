"""gateway/emit/dicom_pdf: the report inside a DICOM object, beside the waveform of the same page."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from gateway.config import IdentitySection, LimitsSection
from gateway.emit import dicom_pdf, dicom_waveform, report
from gateway.emit.emitted import Emitted
from gateway.errors import Held, Refused
from gateway.identity.order import Order, Patient, SourceImage
from gateway.job import Arrival, Door
from gateway.unpack import unpack
from pipeline.findings import FindingCode
from pipeline.recording import Finding, Recording, Severity
from tests import recordings as make

COMMON: dict[str, object] = {"source_sha256": make.SHA256, "page": 1}
MADE: dict[str, object] = COMMON | {"made_at": make.MADE_AT}
RECEIVED: dict[str, object] = COMMON | {"received_at": make.RECEIVED_AT}


def emitted(recording: Recording | None = None, order: Order | None = None, **settings: object) -> Emitted:
    recording, order = recording or make.three_by_four(), order or make.order()
    pdf = report.emit(recording, order, **(RECEIVED | {k: v for k, v in settings.items() if k in RECEIVED}))  # type: ignore[arg-type]
    return dicom_pdf.emit(recording, order, pdf, **(MADE | settings))  # type: ignore[arg-type]


def read(order: Order | None = None, **settings: object) -> Dataset:
    return dcmread(BytesIO(emitted(order=order, **settings).data))


def test_it_holds_the_report_byte_for_byte() -> None:
    ds = read()
    pdf = report.emit(make.three_by_four(), make.order(), **RECEIVED).data  # type: ignore[arg-type]
    assert ds.EncapsulatedDocumentLength == len(pdf)
    assert ds.EncapsulatedDocument[: len(pdf)] == pdf
    assert ds.EncapsulatedDocument[len(pdf) :] in (b"", b"\0")
    assert (ds.SOPClassUID, ds.MIMETypeOfEncapsulatedDocument) == (EncapsulatedPDFStorage, "application/pdf")


def test_it_says_that_it_is_preliminary_and_shows_a_name() -> None:
    ds = read()
    assert (ds.VerificationFlag, ds.BurnedInAnnotation, ds.ConversionType) == ("UNVERIFIED", "YES", "WSD")
    assert ds.DocumentTitle == report.TITLE
    assert ds.ConceptNameCodeSequence[0].CodeValue == "11524-6"
    assert "preliminary" in ds.SeriesDescription


def test_once_approved_it_is_called_checked_and_stays_preliminary_and_unverified() -> None:
    approved = Finding(FindingCode.APPROVED_BY_PERSON, Severity.INFO)
    ds = dcmread(BytesIO(emitted(make.three_by_four(findings=(approved,))).data))
    assert ds.DocumentTitle == report.TITLE_CHECKED
    assert "preliminary" in ds.DocumentTitle
    assert ds.VerificationFlag == "UNVERIFIED"  # no legally accountable person is named as its observer


def test_it_lies_in_the_study_of_the_waveform_and_in_a_series_of_its_own() -> None:
    for order in (make.order(), make.order(study_uid="", source=SourceImage())):
        wave = dcmread(BytesIO(dicom_waveform.emit(make.three_by_four(), order, **MADE).data))  # type: ignore[arg-type]
        ds = read(order)
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "IssuerOfPatientID", "StudyID", "StudyDate"):
            assert ds[keyword].value == wave[keyword].value
        assert ds.AcquisitionDateTime == wave.AcquisitionDateTime
        assert ds.Modality == wave.Modality == "ECG"
        assert ds.SeriesInstanceUID != wave.SeriesInstanceUID
        assert ds.SOPInstanceUID != wave.SOPInstanceUID


def test_pages_of_one_document_are_one_series() -> None:
    first, second = read(), read(page=2)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_it_refers_to_the_object_the_page_came_in() -> None:
    (source,) = read().SourceInstanceSequence
    assert source.ReferencedSOPInstanceUID == make.order().source.sop_instance_uid
    assert "SourceInstanceSequence" not in read(make.order(source=SourceImage()))


def test_name_is_the_sop_instance_uid_and_follows_from_the_content() -> None:
    out = emitted()
    ds = dcmread(BytesIO(out.data))
    assert out.name == ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID
    assert emitted() == out
    others = (
        emitted(make.with_gaps()),
        emitted(order=make.order(patient=Patient("4712"))),
        emitted(made_at=make.MADE_AT + timedelta(seconds=1)),
        emitted(source_sha256="00" * 32),
    )
    assert len({out.name, *(other.name for other in others)}) == 5


def test_an_unknown_time_stays_empty_and_a_wrong_text_holds() -> None:
    assert read(Order(study_uid="1.2.3")).AcquisitionDateTime == ""
    with pytest.raises(Held, match="bad_identity"):
        emitted(order=make.order(accession_number="a\\b"))


def test_our_own_report_is_refused_when_it_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(emitted().data)
    with pytest.raises(Refused, match="own_report"):
        unpack(path, Arrival(Door.DICOM, "PACS"), LimitsSection(), IdentitySection())
