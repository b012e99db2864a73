"""gateway/emit/catalogue and forms: every kind there is can be made, named and handed out."""

from __future__ import annotations

import csv
import re
import zipfile
from dataclasses import replace
from io import BytesIO, StringIO

import edfio
import hl7
import numpy as np
import pypdfium2
import pytest
from lxml import etree
from pydicom import dcmread
from pydicom.uid import EncapsulatedPDFStorage, GeneralECGWaveformStorage, TwelveLeadECGWaveformStorage

from gateway.deliver.folder import file_name
from gateway.emit.catalogue import Material, Wishes, document
from gateway.emit.forms import FORMS
from gateway.emit.measured import measured
from gateway.emit.thumbnail import thumbnail_png
from gateway.errors import Held
from gateway.identity.order import Order
from gateway.job import Document, DocumentKind
from gateway.mapping import Measured
from pipeline.measure import heart_rate
from pipeline.recording import Page
from tests import recordings as make

MATERIAL = Material(make.with_gaps(), make.order(), "job-1", make.SHA256, 1, make.MADE_AT)


@pytest.mark.parametrize("kind", DocumentKind)
def test_every_kind_is_made_alike_on_every_try(kind: DocumentKind) -> None:
    first = document(kind, MATERIAL)
    assert first.data
    assert document(kind, MATERIAL) == first
    assert document(kind, replace(MATERIAL, recording=make.twelve_by_one())).name != first.name


def test_every_kind_is_what_it_is_called() -> None:
    made = {kind: document(kind, MATERIAL).data for kind in DocumentKind}
    assert dcmread(BytesIO(made[DocumentKind.DICOM_WAVEFORM])).SOPClassUID == TwelveLeadECGWaveformStorage
    assert dcmread(BytesIO(made[DocumentKind.DICOM_PDF])).SOPClassUID == EncapsulatedPDFStorage
    assert etree.fromstring(made[DocumentKind.AECG]).tag.endswith("AnnotatedECG")
    assert str(hl7.parse(made[DocumentKind.HL7V2]).segment("MSH")[9]) == "ORU^R01^ORU_R01"
    assert len(pypdfium2.PdfDocument(made[DocumentKind.PDF])) == 1
    assert len(list(csv.reader(StringIO(made[DocumentKind.CSV].decode())))) == 5001
    assert len(zipfile.ZipFile(BytesIO(made[DocumentKind.WFDB])).namelist()) == 2
    assert len(edfio.read_edf(BytesIO(made[DocumentKind.EDF])).signals) == 12
    assert np.load(BytesIO(made[DocumentKind.NPZ]))["millivolts"].shape == (12, 5000)


def test_every_kind_has_a_form_and_no_two_of_one_name_share_a_file() -> None:
    assert set(FORMS) == set(DocumentKind)
    assert len({file_name(Document(kind, "d", "n", 1, b"")) for kind in DocumentKind}) == len(DocumentKind)
    assert all(form.suffix.startswith(".") and "/" in form.media_type and form.title for form in FORMS.values())


def test_wishes_are_granted() -> None:
    wishes = Wishes(aecg_layout="none", encoding="general", report=True)
    assert (
        dcmread(BytesIO(document(DocumentKind.DICOM_WAVEFORM, MATERIAL, wishes).data)).SOPClassUID
        == GeneralECGWaveformStorage
    )
    message = document(DocumentKind.HL7V2, MATERIAL, wishes).data
    assert b"REPORT^" in message
    assert b"AECG^" not in message
    assert b"REPORT^" not in document(DocumentKind.HL7V2, MATERIAL, Wishes(report=False)).data


def test_the_thumbnail_goes_into_the_report() -> None:
    page = Page(np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8))
    pictured = replace(MATERIAL, thumbnail_png=thumbnail_png(page))
    for kind in (DocumentKind.PDF, DocumentKind.DICOM_PDF):
        assert len(document(kind, pictured).data) > len(document(kind, MATERIAL).data) + 10_000


def test_the_report_and_the_message_tell_the_same_heart_rate() -> None:
    heart = make.of_a_heart()
    (rate,) = measured(heart, intervals=False)
    assert rate.what is Measured.HEART_RATE
    assert rate.value == pytest.approx(heart_rate(heart.strips, heart.rate_hz))
    assert re.fullmatch(r"Heart rate 58 ± \d+ /min", rate.as_text())
    told = measured(heart)
    assert told[0] == rate
    assert [each.what for each in told] == list(Measured)


def test_intervals_are_in_every_document_that_tells_numbers_unless_the_destination_wants_none() -> None:
    beating = replace(MATERIAL, recording=make.of_a_heart())
    words = {
        DocumentKind.DICOM_WAVEFORM: b"RR interval global",
        DocumentKind.AECG: b"MDC_ECG_TIME_PD_RR",
        DocumentKind.HL7V2: b"8637-1",
        DocumentKind.EDF: b"R-R interval",
    }
    for kind, word in words.items():
        assert word in document(kind, beating).data
        assert word not in document(kind, beating, Wishes(intervals=False, aecg_layout="none")).data
    assert b"8867-4" in document(DocumentKind.HL7V2, beating, Wishes(intervals=False)).data


def test_only_formats_that_must_say_who_and_when_hold_for_it() -> None:
    unknown = replace(MATERIAL, order=Order())
    holding = (DocumentKind.DICOM_WAVEFORM, DocumentKind.AECG, DocumentKind.HL7V2)
    for kind in holding:
        with pytest.raises(Held, match=r"no_patient|no_acquisition_date"):
            document(kind, unknown)
    for kind in set(DocumentKind) - set(holding):
        assert document(kind, unknown).data
