"""What a PDF's dictionaries say that PDFium does not tell: a page's user unit, and whether a picture on it ends early.

pypdf reads them, once for all pages; nothing of it is drawn. Where it cannot read them, nothing is known and PDFium
decides. Its work is bounded by what it reads and visits; beyond, the page says that its pictures were not looked at.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pypdf import PdfReader, apply_configuration
from pypdf.errors import LimitReachedError
from pypdf.generic import DictionaryObject

from gateway.unpack.pdf_pictures import DAMAGE, Picture, Work, drawn_object, lost_of

FORMS_DEPTH = 3  # forms within forms that are searched for pictures
NAMED_MAX = 2000  # pictures and forms that one page may name; a scan has one, a report a handful
TREE_MAX = 10_000  # entries of the page tree: a document has at most limits.pages_max pages
USER_UNIT_MAX = 75_000.0  # PDF 2.0 annex C: the largest page in that version of readers, in inches
# What pypdf may read of a file: reports and scans of all kinds take up to 3 times their length, a chain of
# cross-reference tables that point at each other takes any number.
READ_TIMES, READ_LEAST = 20, 10_000_000
CONTENTS_MAX = 10_000_000  # bytes of drawing instructions that are searched for pictures among them
TOO_MUCH = "whether its pictures are whole was not found out: it would take too much work"

# A picture among the drawing instructions (ISO 32000-2 8.9.7): its dictionary, then its bytes up to EI.
INLINE = re.compile(rb"(?<![^\s\])>])BI(\s*/[\t\n\r\f\x20-\x7e]{1,1000}?)(?<=[\s\])>])ID\s")
INLINE_END = re.compile(rb"\sEI(?![^\s])")
# ISO 32000-2 table 91 and 92: what stands shortened in a picture among the drawing instructions
SHORT_KEYS = {
    "/W": "/Width",
    "/H": "/Height",
    "/BPC": "/BitsPerComponent",
    "/CS": "/ColorSpace",
    "/F": "/Filter",
    "/DP": "/DecodeParms",
    "/IM": "/ImageMask",
}
SHORT_SPACES = {"/G": "/DeviceGray", "/RGB": "/DeviceRGB", "/CMYK": "/DeviceCMYK", "/I": "/Indexed"}


@dataclass(frozen=True)
class PageFacts:
    """user_unit: how many times 1/72 inch a unit of the page is. lost: what is missing of its pictures, in words."""

    user_unit: float = 1.0
    lost: str = ""


class Dictionaries:
    """A PDF's dictionaries, parsed when a page's are first asked for, and kept for the others."""

    def __init__(self, source: Path | bytes) -> None:
        self._source = source
        self._missing: dict[int, str] = {}  # what is missing of a picture that several pages draw, by its number
        self._work = Work()

    def of(self, number: int) -> PageFacts:
        """What they say of page number, counted from 1."""
        unit = 1.0
        try:
            with apply_configuration(page_tree_maximum_entries=TREE_MAX):
                page = self._pages[number - 1]
                stated = float(page.get("/UserUnit", 1.0))
                unit = stated if 0 < stated <= USER_UNIT_MAX else 1.0
                return PageFacts(unit, next(filter(None, map(self._lost, self._pictures(page))), ""))
        except LimitReachedError:
            return PageFacts(unit, TOO_MUCH)
        except DAMAGE:
            return PageFacts(unit)

    @property
    def bytes_read(self) -> int:
        """How much of the file pypdf has read, again counted again."""
        return self._work.bytes_read

    @cached_property
    def _reader(self) -> PdfReader:
        data = self._source if isinstance(self._source, bytes) else self._source.read_bytes()
        reader = PdfReader(_Bounded(data, self._work), strict=False)
        if reader.is_encrypted:
            reader.decrypt("")
        return reader

    @cached_property
    def _pages(self) -> list[Any]:
        return list(self._reader.pages)

    def _lost(self, picture: Picture) -> str:
        if picture.number is None:
            return lost_of(picture, self._work)
        if picture.number not in self._missing:
            self._missing[picture.number] = lost_of(picture, self._work)
        return self._missing[picture.number]

    def _pictures(self, page: Any) -> Iterator[Picture]:
        """The pictures that a page may draw, each once. Raises LimitReachedError, and as pypdf does."""
        for holder in self._holders(page, FORMS_DEPTH, set()):
            if holder.get("/Subtype") == "/Image":
                reference = getattr(holder, "indirect_reference", None)
                yield Picture(holder, holder._data, reference.idnum if reference is not None else None)
            else:
                yield from self._inline(holder)

    def _holders(self, holder: Any, depth: int, seen: set[int]) -> Iterator[Any]:
        """A page or form, and the pictures and forms that it names, each once."""
        yield holder
        resources = drawn_object(holder.get("/Resources"))
        named = drawn_object(resources.get("/XObject")) if resources is not None else None
        for one in named.values() if named is not None else ():
            drawn = drawn_object(one)
            if id(drawn) in seen:
                continue
            seen.add(id(drawn))
            if len(seen) > NAMED_MAX:
                raise LimitReachedError("a page names too many pictures")
            if drawn.get("/Subtype") == "/Image":
                yield drawn
            elif drawn.get("/Subtype") == "/Form" and depth:
                yield from self._holders(drawn, depth - 1, seen)

    def _inline(self, holder: Any) -> Iterator[Picture]:
        """The pictures among the drawing instructions of a page or form."""
        contents = holder.get_contents() if hasattr(holder, "get_contents") else holder
        data = b"" if contents is None else contents.get_data()
        if INLINE.search(data, 0, CONTENTS_MAX) is None:
            return
        if len(data) > CONTENTS_MAX:
            raise LimitReachedError("a page has too many instructions")
        begun = list(INLINE.finditer(data))
        for nth, one in enumerate(begun):
            upto = begun[nth + 1].start() if nth + 1 < len(begun) else len(data)
            ends = [end.start() for end in INLINE_END.finditer(data, one.end() - 1, upto)]
            coded = data[one.end() : ends[-1] if ends else upto]  # bytes may look like an end: the last one counts
            yield Picture(self._described(one[1], holder), coded, None)

    def _described(self, dictionary: bytes, holder: Any) -> dict[str, Any]:
        """The dictionary of an inline picture, as one of its own object would have it."""
        read = DictionaryObject.read_from_stream(io.BytesIO(b"<<" + dictionary + b">>"), self._reader)
        found = {SHORT_KEYS.get(key, key): value for key, value in read.items()}
        return {**found, "/ColorSpace": _space(found.get("/ColorSpace"), holder)}


def _space(space: Any, holder: Any) -> Any:
    """The colour space of an inline picture: shortened, or named in the resources."""
    if not isinstance(space, str):
        return [SHORT_SPACES.get(str(one), one) for one in space] if space else space
    resources = drawn_object(holder.get("/Resources")) or {}
    return (drawn_object(resources.get("/ColorSpace")) or {}).get(space) or SHORT_SPACES.get(space, space)


class _Bounded(io.BytesIO):
    """A file that raises LimitReachedError when so much of it is read that its parts are read over and over."""

    def __init__(self, data: bytes, work: Work) -> None:
        super().__init__(data)
        self._most = READ_TIMES * len(data) + READ_LEAST
        self._work = work

    def read(self, size: int | None = -1, /) -> bytes:
        if self._work.bytes_read > self._most:
            raise LimitReachedError("the file is read over and over")
        data = super().read(size)
        self._work.bytes_read += max(len(data), 1)
        return data
