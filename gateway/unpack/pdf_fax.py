"""Finds out whether fax code in a PDF, whose lines begin at whole bytes, ends early (/EncodedByteAlign).

TIFF knows no such lines, so libtiff cannot be asked. PDFium, which draws the page, decodes the code twice, as
gateway.unpack.fax_code has libtiff do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from gateway.unpack.fax_code import GROUP_4, MORE_GROUP_4, MORE_LINES, FaxCode

# T.4 tables 2 and 3: 64 white, 64 black. PDFium leaves rows without code black, so a line of black alone shows nothing.
WHITE_AND_BLACK = "11011" + "00110101" + "0000001111" + "0000110111"
WHITE_AND_BLACK_PX = 128


def first_aligned_row_lost(code: FaxCode, k: int) -> int | None:
    """The first row, from 0, that the code says nothing of; None where it reaches the last.

    k: /K of the picture: below 0 for Group 4, 0 for lines coded by themselves, above for both kinds.

    Raises:
        pypdfium2.PdfiumError: PDFium cannot decode it.
    """
    (data,) = code.strips
    differs = (_decoded(code, k, data) != _decoded(code, k, data + _more(code))).any(axis=1)
    return int(differs.argmax()) if differs.any() else None


def _more(code: FaxCode) -> bytes:
    """More lines, each from a whole byte on."""
    if code.compression == GROUP_4:
        return _bytes(MORE_GROUP_4) + b"\xff" * MORE_LINES
    return _bytes(WHITE_AND_BLACK * (code.columns // WHITE_AND_BLACK_PX + 1)) * MORE_LINES


def _bytes(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _decoded(code: FaxCode, k: int, data: bytes) -> npt.NDArray[np.uint8]:
    """(rows, columns) or with a last axis of colours, as PDFium decodes the picture."""
    document = pdfium.PdfDocument(_as_pdf(code, k, data))
    try:
        (picture,) = document[0].get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE])
        return np.array(picture.get_bitmap().to_numpy())
    finally:
        document.close()


def _as_pdf(code: FaxCode, k: int, data: bytes) -> bytes:
    """A PDF of one page with this picture alone (ISO 32000-2 7.5)."""
    content = b"q 72 0 0 72 0 0 cm /I Do Q"
    parameters = f"/K {k} /Columns {code.columns} /Rows {code.rows} /EncodedByteAlign true"
    picture = (
        f"/Type /XObject /Subtype /Image /Width {code.columns} /Height {code.rows} /ColorSpace /DeviceGray "
        f"/BitsPerComponent 1 /Filter /CCITTFaxDecode /DecodeParms << {parameters} >>"
    )
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 72 72] /Contents 4 0 R "
        b"/Resources << /XObject << /I 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
        b"<< %b /Length %d >>\nstream\n%b\nendstream" % (picture.encode(), len(data), data),
    )
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + table
    return bytes(out + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start)
