"""How large a compressed image is going to be, read from it without decoding it."""

from __future__ import annotations

import struct
from typing import NamedTuple

# ITU-T T.81 table B.1: start of frame, without DHT (C4), JPG (C8) and DAC (CC); T.87: SOF55 (F7) of JPEG-LS
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
START_OF_SCAN = frozenset((0xDA,))
WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))  # TEM, RST0..7, SOI
JPEG_2000 = b"\xff\x4f\xff\x51"  # ITU-T T.800 A.4.1: SOC, then SIZ at once
END_OF_IMAGE = b"\xff\xd9"  # T.81 EOI, T.800 EOC; within pixels a byte of 255 is followed by a smaller one
JP2_BOX = b"\x00\x00\x00\x0cjP  "


RLE_HEADER_BYTES = 64  # PS3.5 G.5: the number of segments and fifteen offsets


class Size(NamedTuple):
    """What a decoder is going to make room for."""

    columns: int
    rows: int
    samples: int  # per pixel


def stated_size(stream: bytes) -> Size | None:
    """The size that a JPEG, JPEG-LS or JPEG 2000 codestream states; None where it states none."""
    stated = _stated(stream)
    return None if stated is None else stated[0]


def stated_bits(stream: bytes) -> int | None:
    """How many bits a sample of such a codestream has; None where it does not say."""
    stated = _stated(stream)
    return None if stated is None else stated[1]


def pixels_at(stream: bytes) -> int:
    """From where on only pixels follow in such a codestream; 0 where its header cannot be read.

    What lies before, such as a preview, may hold an end-of-image marker of its own.
    """
    if stream[:2] == b"\xff\xd8":
        return _marker(stream, START_OF_SCAN) or 0
    return max(stream.find(JPEG_2000), 0)


def _stated(stream: bytes) -> tuple[Size, int] | None:
    """The size and the bits of a sample."""
    if stream[:8] == JP2_BOX:  # not lawful in DICOM (PS3.5 A.4.4), but seen, and the decoders take it
        at = stream.find(JPEG_2000)
        return _jpeg_2000(stream[at:]) if at >= 0 else None
    if stream[:4] == JPEG_2000:
        return _jpeg_2000(stream)
    if stream[:2] == b"\xff\xd8":
        return _jpeg(stream)
    return None


def _jpeg_2000(stream: bytes) -> tuple[Size, int] | None:
    """ITU-T T.800 A.5.1: Xsiz, Ysiz, XOsiz, YOsiz, four of the tiles, Csiz, then Ssiz of the first component."""
    if len(stream) < 43:
        return None
    right, bottom, left, top = struct.unpack(">4I", stream[8:24])
    samples, depth = struct.unpack(">HB", stream[40:43])
    return Size(right - left, bottom - top, samples), (depth & 0x7F) + 1


def _jpeg(stream: bytes) -> tuple[Size, int] | None:
    at = _marker(stream, START_OF_FRAME)
    if at is None or at + 10 > len(stream):
        return None
    bits, rows, columns, samples = struct.unpack(">B2HB", stream[at + 4 : at + 10])
    return Size(columns, rows, samples), bits


def _marker(stream: bytes, wanted: frozenset[int]) -> int | None:
    """Where the first of these markers begins, None where none comes before the pixels."""
    at = 2
    while at + 4 <= len(stream):
        if stream[at] != 0xFF:
            return None
        marker = stream[at + 1]
        if marker in wanted:
            return at
        if marker in START_OF_SCAN:
            return None
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + int(struct.unpack(">H", stream[at + 2 : at + 4])[0])
    return None


def rle_overflows(frame: bytes, segment_bytes: int) -> bool:
    """Whether a segment of an RLE frame (PS3.5 G) decodes to more than the bytes of its plane, padding aside."""
    offsets = struct.unpack("<16I", frame[:RLE_HEADER_BYTES].ljust(RLE_HEADER_BYTES, b"\0"))
    starts = list(offsets[1 : 1 + min(offsets[0], 15)])
    return any(
        _packed_length_exceeds(frame[start:end], segment_bytes + 2)
        for start, end in zip(starts, [*starts[1:], len(frame)], strict=True)
    )


def _packed_length_exceeds(segment: bytes, most: int) -> bool:
    """PS3.5 G.3.2: a byte below 128 is followed by that many and one more, one above repeats the next 257 less it."""
    length = at = 0
    while at < len(segment) and length <= most:
        code = segment[at]
        if code < 128:
            length += code + 1
            at += code + 2
        else:
            length += 257 - code if code > 128 else 0
            at += 2 if code > 128 else 1
    return length > most
