"""The size a compressed image says it has, read from its markers without decoding it."""

from __future__ import annotations

import struct

# ITU-T T.81 table B.1: start of frame, without DHT (C4), JPG (C8) and DAC (CC); T.87: SOF55 (F7) of JPEG-LS
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))  # TEM, RST0..7, SOI
JPEG_2000 = b"\xff\x4f\xff\x51"  # ITU-T T.800 A.4.1: SOC, then SIZ at once
JP2_BOX = b"\x00\x00\x00\x0cjP  "


def stated_size(stream: bytes) -> tuple[int, int] | None:
    """(columns, rows) that a JPEG, JPEG-LS or JPEG 2000 codestream states; None where it states none."""
    if stream[:8] == JP2_BOX:  # not lawful in DICOM (PS3.5 A.4.4), but seen, and the decoders take it
        at = stream.find(JPEG_2000)
        return _jpeg_2000_size(stream[at:]) if at >= 0 else None
    if stream[:4] == JPEG_2000:
        return _jpeg_2000_size(stream)
    if stream[:2] == b"\xff\xd8":
        return _jpeg_size(stream)
    return None


def _jpeg_2000_size(stream: bytes) -> tuple[int, int] | None:
    if len(stream) < 24:
        return None
    right, bottom, left, top = struct.unpack(">4I", stream[8:24])
    return right - left, bottom - top


def _jpeg_size(stream: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 4 <= len(stream):
        if stream[at] != 0xFF:
            return None
        marker = stream[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in WITHOUT_LENGTH:
            at += 2
        elif marker in START_OF_FRAME:
            if at + 9 > len(stream):
                return None
            rows, columns = struct.unpack(">2H", stream[at + 5 : at + 9])
            return columns, rows
        else:
            at += 2 + int(struct.unpack(">H", stream[at + 2 : at + 4])[0])
    return None
