"""What PDFium does not tell of a PDF's page: its user unit, and whether a picture on it ends early.

pypdf reads the dictionaries; nothing of it is drawn. Where it cannot read them, nothing is known and PDFium decides.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.filters import ASCII85Decode, ASCIIHexDecode, LZWDecode, RunLengthDecode

from gateway.unpack import jpeg
from gateway.unpack.codestream import END_OF_IMAGE, pixels_at
from gateway.unpack.fax_code import GROUP_3, GROUP_4, TWO_DIMENSIONAL, FaxCode, first_row_lost

FORMS_DEPTH = 3  # forms within forms that are searched for pictures
PICTURES_MAX = 200  # on one page; beyond, they are no scan of a page
INFLATED_MAX = 400_000_000  # bytes of one picture; PDFium's own limits have been asked before
USER_UNIT_MAX = 75_000.0  # PDF 2.0 annex C: the largest page in that version of readers, in inches
BOMB = 4  # a stream that inflates to so many times the picture is not inflated further

# What pypdf raises on damaged input, beside its own: it reads what it finds without checking much.
DAMAGE = (
    PyPdfError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OSError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    AssertionError,
    NotImplementedError,
    SyntaxError,
    zlib.error,
)
COMPONENTS = {
    **dict.fromkeys(("/DeviceGray", "/CalGray", "/Indexed"), 1),
    **dict.fromkeys(("/DeviceRGB", "/CalRGB", "/Lab"), 3),
    "/DeviceCMYK": 4,
}
CODED_TEXT: dict[str, Any] = {
    "/ASCII85Decode": ASCII85Decode,
    "/A85": ASCII85Decode,
    "/ASCIIHexDecode": ASCIIHexDecode,
    "/AHx": ASCIIHexDecode,
    "/LZWDecode": LZWDecode,
    "/LZW": LZWDecode,
    "/RunLengthDecode": RunLengthDecode,
    "/RL": RunLengthDecode,
}
INFLATED = ("/FlateDecode", "/Fl")


@dataclass(frozen=True)
class PageFacts:
    """user_unit: how many times 1/72 inch a unit of the page is. lost: what is missing of its pictures, in words."""

    user_unit: float = 1.0
    lost: str = ""


def facts_of(source: Path | bytes, number: int) -> PageFacts:
    """What the dictionaries say of page number, counted from 1."""
    try:
        with io.BytesIO(source if isinstance(source, bytes) else source.read_bytes()) as data:
            reader = PdfReader(data, strict=False)
            if reader.is_encrypted:
                reader.decrypt("")
            page = reader.pages[number - 1]
            unit = float(page.get("/UserUnit", 1.0))
            lost = next((told for picture in _pictures(page, FORMS_DEPTH) if (told := _lost(picture))), "")
    except DAMAGE:
        return PageFacts()
    return PageFacts(unit if 0 < unit <= USER_UNIT_MAX else 1.0, lost)


def _pictures(holder: Any, depth: int) -> Iterator[Any]:
    """The pictures that a page or a form may draw, those of the forms that it may draw included."""
    resources = _object(holder.get("/Resources"))
    named = _object(resources.get("/XObject")) if resources is not None else None
    for one in list(named.values())[:PICTURES_MAX] if named is not None else ():
        drawn = _object(one)
        if drawn.get("/Subtype") == "/Image":
            yield drawn
        elif drawn.get("/Subtype") == "/Form" and depth:
            yield from _pictures(drawn, depth - 1)


def _lost(picture: Any) -> str:
    """What is missing of a picture, in words; "" where nothing is, or it cannot be told."""
    try:
        return _lost_of(picture)
    except DAMAGE:
        return ""


def _lost_of(picture: Any) -> str:
    data, whole = bytes(picture._data), True  # as it lies in the file: get_data() would decode the picture, too
    filters, parameters = _list(picture.get("/Filter")), _list(picture.get("/DecodeParms"))
    for nth, name in enumerate(filters):
        given = _object(parameters[nth]) if nth < len(parameters) else None
        if name in ("/CCITTFaxDecode", "/CCF"):
            return _lost_of_fax(data, picture, given or {})
        if name in ("/DCTDecode", "/DCT"):
            return _lost_of_jpeg(data)
        if name == "/JPXDecode":
            return "" if data.find(END_OF_IMAGE, pixels_at(data)) >= 0 else "a picture ends early"
        if name in INFLATED:
            data, whole = _inflated(data, BOMB * _expected_bytes(picture, 4))
            if given and int(given.get("/Predictor", 1)) > 1 and nth < len(filters) - 1:
                return ""
        elif name in CODED_TEXT:
            decoded = CODED_TEXT[str(name)].decode(data)
            data = decoded if isinstance(decoded, bytes) else decoded.encode("latin-1")
        else:
            return ""  # JBIG2 and what is none: not known
    missing = _expected_bytes(picture, _components(picture)) - len(data)
    if missing > 0:
        return "a picture ends early" + ("" if whole else ", its compressed data breaks off")
    return ""


def _lost_of_fax(data: bytes, picture: Any, given: Any) -> str:
    k = int(given.get("/K", 0))
    rows = int(given.get("/Rows", 0)) or int(picture["/Height"])
    if given.get("/EncodedByteAlign"):
        return ""
    code = FaxCode(
        columns=int(given.get("/Columns", 1728)),
        rows=rows,
        rows_per_strip=rows,
        compression=GROUP_4 if k < 0 else GROUP_3,
        strips=(data,),
        options=TWO_DIMENSIONAL if k > 0 else 0,
    )
    row = first_row_lost(code)
    return "" if row is None else f"nothing was received of rows {row + 1} to {rows} of a picture"


def _lost_of_jpeg(data: bytes) -> str:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            image.draft("L", (image.width // jpeg.SMALLER, image.height // jpeg.SMALLER))
            image.load()
    except OSError as error:
        return "a picture ends early" if "truncated" in str(error) else ""
    return "a picture ends early" if jpeg.ends_early(data) else ""


def _inflated(data: bytes, most: int) -> tuple[bytes, bool]:
    """The bytes, as far as they come, and whether the stream came to its end."""
    inflater = zlib.decompressobj()
    out = bytearray()
    try:
        out += inflater.decompress(data, min(most, INFLATED_MAX))
    except zlib.error:
        return bytes(out), False
    return bytes(out), inflater.eof


def _expected_bytes(picture: Any, components: int) -> int:
    bits = 1 if picture.get("/ImageMask") else int(picture.get("/BitsPerComponent", 8))
    return int(picture["/Height"]) * ((int(picture["/Width"]) * components * bits + 7) // 8)


def _components(picture: Any) -> int:
    """Numbers a pixel; 1 where it is not known, so that no picture is thought too short."""
    space = _object(picture.get("/ColorSpace"))
    if isinstance(space, str):
        return COMPONENTS.get(space, 1)
    if not space:
        return 1
    if space[0] == "/ICCBased":
        return int(_object(space[1]).get("/N", 1))
    return COMPONENTS.get(str(space[0]), 1)


def _list(value: Any) -> list[Any]:
    value = _object(value)
    if value is None:
        return []
    return [_object(one) for one in value] if isinstance(value, list) else [value]


def _object(value: Any) -> Any:
    """The object behind a reference."""
    return value.get_object() if hasattr(value, "get_object") else value
