"""Which kind of file this is, by its content."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

DICOM_PREFIX_AT = 128  # bytes; PS3.10 7.1: "DICM" follows the preamble
PDF_HEADER_WITHIN = 1024  # bytes; readers since Acrobat accept leading rubbish up to here, and some fax servers send it


class MediaType(StrEnum):
    """The kinds of document that a door takes."""

    DICOM = "application/dicom"
    PDF = "application/pdf"
    TIFF = "image/tiff"
    PNG = "image/png"
    JPEG = "image/jpeg"
    BMP = "image/bmp"
    WEBP = "image/webp"
    HEIC = "image/heic"


KINDS = "DICOM, PDF, TIFF, PNG, JPEG, BMP, WebP or HEIC"  # for who sent something else

BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes, of all the versions there are
# ISO 23008-12 10.2 and B.4: still pictures coded by HEVC, and the brand of those that do not say by what
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1")


def recognise(path: Path) -> MediaType | None:
    """The kind of a file, None where it is none of these. OSError where it cannot be read."""
    with path.open("rb") as file:
        return recognise_bytes(file.read(PDF_HEADER_WITHIN))


def recognise_bytes(head: bytes) -> MediaType | None:
    """The kind of a document from its first 1024 bytes.

    DICOM comes first: its preamble may legally look like a TIFF header (PS3.10 7.1).
    """
    if head[DICOM_PREFIX_AT : DICOM_PREFIX_AT + 4] == b"DICM":
        return MediaType.DICOM
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return MediaType.TIFF
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return MediaType.PNG
    if head[:3] == b"\xff\xd8\xff":
        return MediaType.JPEG
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BMP_HEADERS:
        return MediaType.BMP
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return MediaType.WEBP
    if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS:
        return MediaType.HEIC
    if b"%PDF-" in head:
        return MediaType.PDF
    return None
