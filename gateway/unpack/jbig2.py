"""Finds out whether the JBIG2 code of a picture in a PDF breaks off (ITU-T T.88).

The code is a chain of segments that state their length (7.2), so that one cut within a segment, or before its picture,
is seen. Code that was shortened and whose lengths were put right again is not: the arithmetic decoder takes what is
missing for zeros.
"""

from __future__ import annotations

import struct

UNKNOWN_LENGTH = 0xFFFFFFFF  # 7.2.7: of an immediate generic region alone; it ends with a row count after these bytes
ENDS_OF_UNKNOWN = (b"\x00\x00", b"\xff\xac")  # Group 4 code, arithmetic code
ROW_COUNT_BYTES = 4
# 7.3: segments that draw on the page
REGIONS = frozenset((4, 6, 7, 20, 22, 23, 36, 38, 39, 40, 42, 43))
IMMEDIATE = REGIONS - {4, 20, 36, 40}
SEGMENTS_MAX = 100_000


def ends_early(data: bytes) -> bool:
    """Whether the code breaks off within a segment, or holds none that draws. Raises ValueError: too many segments."""
    at, has_region = 0, False
    for _ in range(SEGMENTS_MAX):
        if at >= len(data):
            return not has_region
        try:
            kind, at, length = _header(data, at)
        except (struct.error, IndexError):
            return True
        if length == UNKNOWN_LENGTH:
            ends = [data.rfind(end, at, len(data) - ROW_COUNT_BYTES) for end in ENDS_OF_UNKNOWN]
            return max(ends) < 0
        at += length
        if at > len(data):
            return True
        has_region = has_region or kind in IMMEDIATE
    raise ValueError("a JBIG2 picture has too many segments")


def _header(data: bytes, at: int) -> tuple[int, int, int]:
    """The kind of the segment that begins at a byte, where its data begin, and their length (T.88 7.2)."""
    number, flags, count = struct.unpack_from(">IBB", data, at)
    at += 5
    referred = count >> 5  # 7.2.4: up to four in three bits of a byte, which holds a bit for each as well
    if referred == 7:
        referred = struct.unpack_from(">I", data, at)[0] & 0x1FFFFFFF
        at += 4 + (referred + 8) // 8
    else:
        at += 1
    at += referred * (1 if number <= 256 else 2 if number <= 65536 else 4)  # 7.2.5
    at += 4 if flags & 0x40 else 1  # 7.2.6: the page
    (length,) = struct.unpack_from(">I", data, at)
    return flags & 0x3F, at + 4, length
