"""The Encapsulated PDF before outside judges: dciodvfy, dcmtk, and a reader of our own."""

from __future__ import annotations

import subprocess
from io import BytesIO
from pathlib import Path

import pypdfium2
import pytest
from pydicom import dcmread

from gateway.emit.catalogue import Material, document
from gateway.identity.order import Order, Patient, SourceImage
from gateway.job import DocumentKind
from tests import recordings as make
from tests.conformance import explicit_little_endian
from tests.conformance.dciodvfy import judged, tool

ORDERS: dict[str, Order] = {
    "usual": make.order(),
    "three alphabets": make.order(patient=Patient("4711", "", "Müller^Jürgen=山田^太郎=やまだ^たろう", "", "")),
    "year only": make.order(acquired_at="2024"),
    "offset": make.order(acquired_at="20240131143000.25+0100"),
    "from a file": make.order(source=SourceImage()),
    "study of our own": make.order(study_uid="", study_date="", study_time="", study_id=""),
}


def emitted(kind: DocumentKind, order: Order) -> bytes:
    return document(kind, Material(make.with_gaps(), order, "job-1", make.SHA256, 1, make.MADE_AT)).data


def judged_by_dciodvfy(data: bytes, folder: Path) -> list[str]:
    return judged(data, folder, "EncapsulatedPDF")


@pytest.mark.peer
@pytest.mark.parametrize("order", ORDERS)
def test_dciodvfy_prints_nothing(order: str, tmp_path: Path) -> None:
    assert judged_by_dciodvfy(emitted(DocumentKind.DICOM_PDF, ORDERS[order]), tmp_path) == []


@pytest.mark.peer
def test_dciodvfy_would_have_said_something(tmp_path: Path) -> None:
    ds = dcmread(BytesIO(emitted(DocumentKind.DICOM_PDF, make.order())))
    del ds.BurnedInAnnotation
    buffer = BytesIO()
    ds.save_as(buffer)
    assert any("BurnedInAnnotation" in line for line in judged_by_dciodvfy(buffer.getvalue(), tmp_path))


@pytest.mark.parametrize("order", ORDERS)
def test_a_reader_without_pydicom_finds_the_report(order: str) -> None:
    elements = explicit_little_endian.read(emitted(DocumentKind.DICOM_PDF, ORDERS[order]))
    length = int.from_bytes(elements[0x00420015][1], "little")
    pdf = elements[0x00420011][1][:length]
    assert pdf == emitted(DocumentKind.PDF, ORDERS[order])
    assert len(pypdfium2.PdfDocument(pdf)) == 1
    assert elements[0x00080016][1].rstrip(b"\0").decode() == "1.2.840.10008.5.1.4.1.1.104.1"


@pytest.mark.peer
def test_dcmdump_reads_it_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(emitted(DocumentKind.DICOM_PDF, make.order()))
    command = [tool("dcmdump"), "--search", "0042,0012", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert run.stderr == ""
    assert "application/pdf" in run.stdout


@pytest.mark.peer
def test_dcmtk_takes_the_pdf_out_again(tmp_path: Path) -> None:
    path, out = tmp_path / "report.dcm", tmp_path / "report.pdf"
    path.write_bytes(emitted(DocumentKind.DICOM_PDF, make.order()))
    subprocess.run([tool("dcm2pdf"), str(path), str(out)], check=True, timeout=60)
    assert out.read_bytes().rstrip(b"\0") == emitted(DocumentKind.PDF, make.order()).rstrip(b"\0")
