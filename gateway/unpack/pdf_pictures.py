"""Whether a picture of a PDF ends early: PDFium paints the rest white, grey or not at all, and says nothing."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image
from pypdf.errors import LimitReachedError, PyPdfError
from pypdf.filters import ASCII85Decode, ASCIIHexDecode, LZWDecode, RunLengthDecode

from gateway.unpack import jbig2, jpeg
from gateway.unpack.codestream import END_OF_IMAGE, pixels_at
from gateway.unpack.fax_code import GROUP_3, GROUP_4, TWO_DIMENSIONAL, FaxCode, first_row_lost
from gateway.unpack.pdf_fax import first_aligned_row_lost

INFLATED_MAX = 400_000_000  # bytes of one picture; PDFium's own limits have been asked before
# Of all pictures of a document: fifty pages of 600 dpi in grey take 1.7 GB. More is inflated for its own sake.
INFLATED_IN_ALL_MAX = 4_000_000_000
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
class Picture:
    """A picture's dictionary and its bytes as they lie in the file. number: of its object, None for an inline one."""

    described: Mapping[str, Any]
    data: bytes
    number: int | None


@dataclass
class Work:
    """What a document has cost so far, in bytes read by pypdf and inflated here."""

    bytes_read: int = 0
    bytes_inflated: int = 0


def lost_of(picture: Picture, work: Work) -> str:
    """What is missing of a picture, in words; "" where nothing is, or it cannot be told.

    Raises:
        LimitReachedError: the document's pictures inflate to too much.
    """
    try:
        return _lost_of(picture.described, picture.data, work)
    except LimitReachedError:
        raise
    except DAMAGE:
        return ""


def _lost_of(picture: Mapping[str, Any], data: bytes, work: Work) -> str:
    whole = True
    filters, parameters = _list(picture.get("/Filter")), _list(picture.get("/DecodeParms"))
    for nth, name in enumerate(filters):
        parameter = drawn_object(parameters[nth]) if nth < len(parameters) else None
        if name in ("/CCITTFaxDecode", "/CCF"):
            return _lost_of_fax(data, picture, parameter or {})
        if name in ("/DCTDecode", "/DCT"):
            return _lost_of_jpeg(data)
        if name == "/JPXDecode":
            return "" if data.find(END_OF_IMAGE, pixels_at(data)) >= 0 else "a picture ends early"
        if name in INFLATED:
            data, whole = _inflated(data, BOMB * _expected_bytes(picture, 4), work)
            if parameter and int(parameter.get("/Predictor", 1)) > 1 and nth < len(filters) - 1:
                return ""
        elif name in CODED_TEXT:
            decoded = CODED_TEXT[str(name)].decode(data)
            data = decoded if isinstance(decoded, bytes) else decoded.encode("latin-1")
        elif name == "/JBIG2Decode":
            return "a picture ends early" if jbig2.ends_early(data) else ""
        else:
            return ""  # none that is known
    missing = _expected_bytes(picture, _components(picture)) - len(data)
    if missing > 0:
        return "a picture ends early" + ("" if whole else ", its compressed data breaks off")
    return ""


def _lost_of_fax(data: bytes, picture: Any, parameter: Any) -> str:
    k = int(parameter.get("/K", 0))
    code = FaxCode(
        columns=int(parameter.get("/Columns", 1728)),
        rows=(rows := int(parameter.get("/Rows", 0)) or int(picture["/Height"])),
        rows_per_strip=rows,
        compression=GROUP_4 if k < 0 else GROUP_3,
        strips=(data,),
        options=TWO_DIMENSIONAL if k > 0 else 0,
    )
    row = first_aligned_row_lost(code, k) if parameter.get("/EncodedByteAlign") else first_row_lost(code)
    return "" if row is None else f"nothing was received of rows {row + 1} to {rows} of a picture"


def _lost_of_jpeg(data: bytes) -> str:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            image.draft("L", (image.width // jpeg.SMALLER, image.height // jpeg.SMALLER))
            image.load()
    except OSError as error:
        return "a picture ends early" if "truncated" in str(error) else ""
    return "a picture ends early" if jpeg.ends_early(data) else ""


def _inflated(data: bytes, most: int, work: Work) -> tuple[bytes, bool]:
    """The bytes, as far as they come, and whether the stream came to its end. Raises LimitReachedError."""
    inflater = zlib.decompressobj()
    out = bytearray()
    try:
        out += inflater.decompress(data, min(most, INFLATED_MAX))
    except zlib.error:
        return bytes(out), False
    work.bytes_inflated += len(out)
    if work.bytes_inflated > INFLATED_IN_ALL_MAX:
        raise LimitReachedError("the pictures of the document inflate to too much")
    return bytes(out), inflater.eof


def _expected_bytes(picture: Any, components: int) -> int:
    bits = 1 if picture.get("/ImageMask") else int(picture.get("/BitsPerComponent", 8))
    return int(picture["/Height"]) * ((int(picture["/Width"]) * components * bits + 7) // 8)


def _components(picture: Any) -> int:
    """Numbers a pixel; 1 where it is not known, so that no picture is thought too short."""
    space = drawn_object(picture.get("/ColorSpace"))
    if isinstance(space, str):
        return COMPONENTS.get(space, 1)
    if not space:
        return 1
    if space[0] == "/ICCBased":
        return int(drawn_object(space[1]).get("/N", 1))
    return COMPONENTS.get(str(space[0]), 1)


def _list(value: Any) -> list[Any]:
    value = drawn_object(value)
    if value is None:
        return []
    return [drawn_object(one) for one in value] if isinstance(value, list) else [value]


def drawn_object(value: Any) -> Any:
    """The object behind a reference."""
    return value.get_object() if hasattr(value, "get_object") else value
