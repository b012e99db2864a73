"""What is peculiar to TIFF: which directories are pages, and pages whose code ends early."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import (
    COMPRESSION,
    FILLORDER,
    IMAGELENGTH,
    IMAGEWIDTH,
    PHOTOMETRIC_INTERPRETATION,
    ROWSPERSTRIP,
    STRIPBYTECOUNTS,
    STRIPOFFSETS,
    TILEBYTECOUNTS,
    TILEOFFSETS,
)

from gateway.config import LimitsSection
from gateway.unpack.codestream import END_OF_IMAGE, pixels_at
from gateway.unpack.document import check_pixels
from gateway.unpack.fax_code import GROUP_3, GROUP_4, MODIFIED_HUFFMAN, FaxCode, first_row_lost
from pipeline.findings import FindingCode
from pipeline.recording import Finding, Severity

NEW_SUBFILE_TYPE, SUBFILE_TYPE = 254, 255
REDUCED, MASK = 0b001, 0b100  # of NewSubfileType: a smaller version of another image, a transparency mask
OLD_REDUCED = 2  # of SubfileType
T4_OPTIONS, BAD_FAX_LINES, CLEAN_FAX_DATA = 292, 326, 327
ALL_CLEAN = 0  # of CleanFaxData
TRANSPARENCY_MASK = 4  # of PhotometricInterpretation
JPEG = 7  # of Compression
DIRECTORIES_BY_PAGE = 10  # previews of several sizes belong to a page; more directories are a bomb
# Between a page and its smaller copy, both shrunk to a quarter of the copy, by whatever filter it was made: 0.95 and
# more on rendered pages and faxes. Other ECGs printed on the same form: at most 0.78, even at a tenth of the size.
ALIKE = 0.9
SHRUNK = 4
LEAST_SHRUNK_PX = 8  # below it, a copy is too small to be told from another page


@dataclass(frozen=True)
class Pages:
    """directories: of each page, from 0. copies: pages of which a smaller copy was left out."""

    directories: tuple[int, ...]
    copies: frozenset[int]


@dataclass(frozen=True)
class _Directory:
    """One image of the file. is_marked: as no page of its own, by a tag. is_mask: marked as a transparency mask."""

    number: int
    width: int
    height: int
    is_marked: bool
    is_mask: bool

    def may_be_copy_of(self, other: _Directory) -> bool:
        """Whether it is smaller and of the same shape, as far as whole pixels can be."""
        if self.width >= other.width or self.height >= other.height:
            return False
        scale = self.width / other.width
        return abs(self.height - other.height * scale) <= 1 + scale


def find_pages(image: Image.Image, limits: LimitsSection) -> Pages:
    """The directories that are pages; previews, masks and smaller copies are not. Raises Refused, and as Pillow does.

    No more of them than one beyond the cap.
    """
    found = list(_directories(image, limits))
    left_out: set[int] = set()
    with_copies: set[int] = set()
    for one in found:
        of = next((other.number for other in found if _is_copy(image, one, other, limits)), None)
        if of is not None:
            left_out.add(one.number)
            with_copies.add(of)
    kept = tuple(one.number for one in found if one.number not in left_out)
    return Pages(kept, frozenset(nth for nth, number in enumerate(kept) if number in with_copies))


def _directories(image: Image.Image, limits: LimitsSection) -> Iterator[_Directory]:
    pages = 0
    for number in range(limits.pages_max * DIRECTORIES_BY_PAGE):
        try:
            image.seek(number)
        except EOFError:
            return
        except SyntaxError:
            if _tags(image).get(PHOTOMETRIC_INTERPRETATION) != TRANSPARENCY_MASK:
                raise
            continue  # says which pixels of another image count; Pillow reads none, and it is no page
        tags = _tags(image)
        new, old = tags.get(NEW_SUBFILE_TYPE, 0), tags.get(SUBFILE_TYPE, 0)
        bits = new if isinstance(new, int) else 0
        is_marked = bool(bits & (REDUCED | MASK)) or old == OLD_REDUCED
        yield _Directory(number, *image.size, is_marked, bool(bits & MASK))
        pages += not is_marked
        if pages > limits.pages_max:
            return


def _is_copy(image: Image.Image, smaller: _Directory, larger: _Directory, limits: LimitsSection) -> bool:
    """Whether one directory only repeats another. A mark decides where the pictures cannot be compared, and only there.

    A page that is left out for its mark alone is an ECG that nobody misses.
    """
    if not smaller.may_be_copy_of(larger):
        return False
    if smaller.is_mask:
        return True
    try:
        alike = _likeness(image, smaller, larger, limits)
    except OSError:  # a preview in a code that is not read here must not cost its page
        if not smaller.is_marked:
            raise
        return True
    return smaller.is_marked if alike is None else alike >= ALIKE


def _likeness(image: Image.Image, smaller: _Directory, larger: _Directory, limits: LimitsSection) -> float | None:
    """How alike two directories are, None where the smaller is tiny or blank. Raises Refused, and OSError."""
    size = smaller.width // SHRUNK, smaller.height // SHRUNK
    if min(size) < LEAST_SHRUNK_PX:
        return None
    greys: list[npt.NDArray[np.float64]] = []
    for one in (smaller, larger):
        image.seek(one.number)
        check_pixels(*image.size, limits)
        shrunk = image.convert("L").resize(size, Image.Resampling.BOX)
        greys.append(np.asarray(shrunk, np.float64).ravel())
    if not all(grey.std() for grey in greys):
        return None if not greys[0].std() else 0.0
    return float(np.corrcoef(greys[0], greys[1])[0, 1])


def damage(image: Image.Image) -> Iterator[Finding]:
    """What is missing of the page that the image stands at, or was damaged on its way. Raises as Pillow does.

    To be asked before the image is loaded.
    """
    tags = _tags(image)
    bad, clean = tags.get(BAD_FAX_LINES, 0), tags.get(CLEAN_FAX_DATA, ALL_CLEAN)
    if bad or clean != ALL_CLEAN:
        detail = f"{bad} of {image.height} lines" if bad else ""
        yield Finding(FindingCode.FAX_LINES_DAMAGED, Severity.WARNING, detail=detail)
    lost = _lost(image, tags)
    if lost:
        yield Finding(FindingCode.PAGE_DAMAGED, Severity.ERROR, detail=lost)


def _lost(image: Image.Image, tags: TiffImagePlugin.ImageFileDirectory_v2) -> str:
    """What is missing of the page, in words; "" where nothing is."""
    if tags.get(COMPRESSION) == JPEG:
        parts = _parts(image, tags)
        broken = sum(part.find(END_OF_IMAGE, pixels_at(part)) < 0 for part in parts)
        return f"{broken} of {len(parts)} parts of the picture end early" if broken else ""
    if tags.get(COMPRESSION) not in (MODIFIED_HUFFMAN, GROUP_3, GROUP_4) or STRIPOFFSETS not in tags:
        return ""
    rows = int(tags[IMAGELENGTH])
    code = FaxCode(
        columns=int(tags[IMAGEWIDTH]),
        rows=rows,
        rows_per_strip=min(int(tags.get(ROWSPERSTRIP, rows)), rows),
        compression=int(tags[COMPRESSION]),
        strips=_parts(image, tags),
        options=int(tags.get(T4_OPTIONS, 0)),
        fill_order=int(tags.get(FILLORDER, 1)),
    )
    row = first_row_lost(code)
    return "" if row is None else f"nothing was received of rows {row + 1} to {code.rows}"


def _parts(image: Image.Image, tags: TiffImagePlugin.ImageFileDirectory_v2) -> list[bytes]:
    """The coded strips or tiles; to the end of the file where their length is not stated."""
    offsets = tags.get(STRIPOFFSETS, tags.get(TILEOFFSETS, ()))
    counts = tags.get(STRIPBYTECOUNTS, tags.get(TILEBYTECOUNTS, ()))
    file = getattr(image, "fp", None)
    assert file is not None  # until the image is loaded
    at = file.tell()
    parts = []
    for number, offset in enumerate(offsets):
        count = counts[number] if number < len(counts) else 0
        file.seek(offset)
        parts.append(file.read(count or -1))
    file.seek(at)
    return parts


def _tags(image: Image.Image) -> TiffImagePlugin.ImageFileDirectory_v2:
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    return image.tag_v2
