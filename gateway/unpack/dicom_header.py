"""Reads the top-level texts and numbers of a DICOM object at a bounded cost, whatever else the object holds.

pydicom builds an object for every item and element before the pixels: 8 MB of empty items cost it 13 s and 1 GB. Here
sequences, private elements and bulk data are stepped over. Only their heads are read, and only so many of them.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from pydicom import uid
from pydicom.charset import convert_encodings, default_encoding
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from gateway.errors import Refused
from gateway.unpack.dicom_order import DAMAGE, NUMBER_VRS, TEXT_VRS

# Each is far above what a page has: some 100 elements, 5 KB of texts, sequences three deep.
ELEMENTS_MAX = 100_000  # heads of elements and items that are read, 0.2 s
DEPTH_MAX = 32  # open sequences and items of undefined length
TEXTS_MAX_BYTES = 128 * 1024  # values that are kept, together
VALUE_MAX_BYTES = 4096  # of one value; no lawful identifier, name or date is as long
LONG_TEXT_MAX_BYTES = 4 * 10_240  # PS3.5 6.2, VR LT: 10,240 characters
INFLATED_MAX_BYTES = 16 * 1024 * 1024  # of a deflated dataset

LONG_TEXT_VRS = frozenset(("LT", "ST", "UC", "UR"))
# Of lists of numbers only the beginning is looked at (TEXT_MAX of dicom_order): longer ones are cut. Texts are left
# out, for half an identifier is another identifier, and half a letter none.
CUT_VRS = NUMBER_VRS | {"DS", "IS"}
READ_VRS = {vr.encode() for vr in TEXT_VRS | NUMBER_VRS} | {b"UN", b""}  # b"": implicit, the dictionary says

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD  # PS3.5 7.5
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
CHARACTER_SET = 0x00080005
TRANSFER_SYNTAX = 0x00020010
LONG_VRS = {vr.encode() for vr in EXPLICIT_VR_LENGTH_32}  # PS3.5 7.1.2: with a length of 32 bits
SCAN_BYTES = 64 * 1024

Head = tuple[int, bytes, int]  # tag, VR (b"" where it is not stated), length


def read_top_level(path: Path) -> Dataset:
    """The public texts and numbers of a DICOM file's dataset before its pixels, as pydicom holds them.

    Raises:
        Refused: the file cannot be read as DICOM ("damaged"), or reading it would cost too much ("too_complex").
    """
    try:
        with path.open("rb") as file:
            return _dataset(file)
    except DAMAGE as error:
        raise Refused("damaged", f"The DICOM dataset cannot be read ({type(error).__name__}).") from error


def _dataset(file: BinaryIO) -> Dataset:
    """Raises Refused and any of DAMAGE."""
    syntax = _transfer_syntax(file)
    stream = _inflated(file) if syntax == uid.DeflatedExplicitVRLittleEndian else file
    steps = Steps(stream, is_little_endian=syntax != uid.ExplicitVRBigEndian)
    # Some senders encode otherwise than they say: as pydicom does, the first element decides.
    implicit = steps.is_implicit(syntax == uid.ImplicitVRLittleEndian)
    kept = _kept(steps, implicit)
    dataset = Dataset(kept)  # type: ignore[arg-type]  # it takes raw elements, as pydicom's own reader makes it
    encoding: str | list[str] = default_encoding
    if CHARACTER_SET in kept:
        encoding = convert_encodings(convert_raw_data_element(kept[BaseTag(CHARACTER_SET)]).value)
    dataset.set_original_encoding(implicit, steps.is_little_endian, encoding)
    return dataset


def _transfer_syntax(file: BinaryIO) -> str:
    """Reads the file meta information (PS3.10 7.1) to its end."""
    if file.read(132)[128:] != b"DICM":
        raise Refused("damaged", "The file is no DICOM file.")
    steps = Steps(file, is_little_endian=True)
    syntax = b""
    while head := steps.head(implicit=False):
        tag, vr, length = head
        if tag >> 16 != 2:
            file.seek(-12 if vr in LONG_VRS else -8, 1)
            break
        value = file.read(min(length, VALUE_MAX_BYTES))
        file.seek(length - len(value), 1)
        syntax = value if tag == TRANSFER_SYNTAX else syntax
    return syntax.decode("ascii").rstrip("\0 ")


def _inflated(file: BinaryIO) -> BinaryIO:
    """The beginning of a deflated dataset (PS3.5 A.5). Raises Refused where it does not fit into memory."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflate.decompress(file.read(INFLATED_MAX_BYTES), INFLATED_MAX_BYTES)
    if not inflate.eof and len(data) == INFLATED_MAX_BYTES:
        raise Refused("too_complex", f"more than {INFLATED_MAX_BYTES // 2**20} MB deflated")
    return BytesIO(data)


def _kept(steps: Steps, implicit: bool) -> dict[BaseTag, RawDataElement]:
    """The elements that are worth reading, up to the pixels."""
    kept: dict[BaseTag, RawDataElement] = {}
    left = TEXTS_MAX_BYTES
    while head := steps.head(implicit):
        tag, vr, length = head
        if tag in PIXELS or tag == ITEM_END:
            break
        if length == UNDEFINED:
            steps.over_undefined(tag, vr, implicit)
            continue
        wanted = _wanted(tag, length) if vr in READ_VRS else -1
        if wanted < 0:
            steps.over(length)
            continue
        left -= wanted
        if left < 0:
            raise Refused("too_complex", f"more than {TEXTS_MAX_BYTES // 1024} KB of texts before the pixels")
        value = steps.read(wanted)
        steps.over(length - wanted)
        kept[BaseTag(tag)] = RawDataElement(
            BaseTag(tag), vr.decode() or None, wanted, value or None, 0, implicit, steps.is_little_endian
        )
    return kept


def _wanted(tag: int, length: int) -> int:
    """How many bytes of a value are read, -1 where it is stepped over."""
    vr = _vr_of_text(tag)
    if vr in CUT_VRS:
        return min(length, VALUE_MAX_BYTES)
    most = LONG_TEXT_MAX_BYTES if vr in LONG_TEXT_VRS else VALUE_MAX_BYTES
    return length if vr and length <= most else -1


@lru_cache(maxsize=4096)
def _vr_of_text(tag: int) -> str:
    """The dictionary's VR of a public tag that holds text or numbers, "" for any other."""
    vr = "" if (tag >> 16) & 1 or not dictionary_has_tag(tag) else dictionary_VR(tag)
    return vr if vr in TEXT_VRS | NUMBER_VRS else ""


class Steps:
    """Steps through encoded elements (PS3.5 7.1 to 7.5) and counts what it reads.

    Its methods raise Refused ("too_complex") at a bound, and OSError where a sequence has no end.
    """

    def __init__(self, stream: BinaryIO, *, is_little_endian: bool) -> None:
        order = "<" if is_little_endian else ">"
        self.is_little_endian = is_little_endian
        self._stream = stream
        self._explicit = Struct(f"{order}HH2sH").unpack
        self._implicit = Struct(f"{order}HHL").unpack
        self._long = Struct(f"{order}L").unpack
        self._item, self._end = (Struct(f"{order}HH").pack(tag >> 16, tag & 0xFFFF) for tag in (ITEM, SEQUENCE_END))
        self._elements = 0

    def head(self, implicit: bool) -> Head | None:
        """The head of the next element, None at the end of the file."""
        raw = self._stream.read(8)
        if len(raw) < 8:
            return None
        self._elements += 1
        if self._elements > ELEMENTS_MAX:
            raise Refused("too_complex", f"more than {ELEMENTS_MAX} elements before the pixels")
        if not implicit:
            group, number, vr, length = self._explicit(raw)
            if vr in LONG_VRS:
                return group << 16 | number, vr, self._long(self._stream.read(4))[0]
            if b"AA" <= vr <= b"ZZ":
                return group << 16 | number, vr, length
        # also an element without a VR among others that have one, as some senders write them
        group, number, length = self._implicit(raw)
        return group << 16 | number, b"", length

    def is_implicit(self, stated: bool) -> bool:
        """Whether the elements that follow state no VR: the first one's tells."""
        raw = self._stream.read(6)
        self._stream.seek(-len(raw), 1)
        if len(raw) < 6:
            return stated
        return not (0x40 < raw[4] < 0x5B and 0x40 < raw[5] < 0x5B)  # capital letters, and their two neighbours

    def read(self, length: int) -> bytes:
        """A whole value. Raises EOFError where the file ends within it."""
        value = self._stream.read(length)
        if len(value) < length:
            raise EOFError
        return value

    def over(self, length: int) -> None:
        """Steps over a value. Beyond the end of the file nothing more is found."""
        self._stream.seek(length, 1)

    def over_undefined(self, tag: int, vr: bytes, implicit: bool) -> None:
        """Steps over a value of undefined length, whatever is in it."""
        if self._is_sequence(tag, vr):
            self._over_sequence(implicit)
        else:
            self._over_fragments()

    def _is_sequence(self, tag: int, vr: bytes) -> bool:
        if vr:
            return vr in (b"SQ", b"UN")  # PS3.5 6.2.2: UN of undefined length is one
        if dictionary_has_tag(tag):
            return bool(dictionary_VR(tag) == "SQ")
        raw = self._stream.read(4)
        self._stream.seek(-len(raw), 1)
        return raw == self._item

    def _over_sequence(self, implicit: bool) -> None:
        """A stack in place of recursion. On it, whether an item is open, and not a sequence, and how it is encoded."""
        stack = [(False, implicit)]
        while stack:
            in_item, implicit = stack[-1]
            head = self.head(implicit or not in_item)
            if head is None:
                raise OSError("a sequence has no end")
            tag, vr, length = head
            if tag == (ITEM_END if in_item else SEQUENCE_END):
                stack.pop()
            elif length != UNDEFINED:
                self.over(length)
            elif not in_item:
                stack.append((True, implicit or self.is_implicit(implicit)))
            elif self._is_sequence(tag, vr):
                stack.append((False, implicit))
            else:
                self._over_fragments()
            if len(stack) > DEPTH_MAX:
                raise Refused("too_complex", f"sequences nested more than {DEPTH_MAX} deep")

    def _over_fragments(self) -> None:
        """Fragments (PS3.5 A.4), or what some senders write in their place: bytes up to the delimiter."""
        start = self._stream.tell()
        head = self.head(implicit=True)
        while head and head[0] == ITEM and head[2] != UNDEFINED:
            self.over(head[2])
            head = self.head(implicit=True)
        if head is None or head[0] != SEQUENCE_END:
            self._stream.seek(start)
            self._find_end()

    def _find_end(self) -> None:
        at = self._stream.tell()
        while chunk := self._stream.read(SCAN_BYTES):
            found = chunk.find(self._end)
            if found >= 0:
                self._stream.seek(at + found + 8)  # the delimiter and its length
                return
            if len(chunk) == SCAN_BYTES:  # it may begin in this piece and end in the next
                at += SCAN_BYTES - len(self._end) + 1
                self._stream.seek(at)
