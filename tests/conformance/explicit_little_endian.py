"""A reader of Explicit VR Little Endian files in forty lines, so that pydicom is not checked with pydicom."""

from __future__ import annotations

import struct
from typing import Any

LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"}
UNDEFINED = 0xFFFFFFFF

Element = tuple[str, Any]  # VR, and bytes or a list of items


def read(data: bytes) -> dict[int, Element]:
    """Tag (group << 16 | element) -> (VR, value) of a whole file, file meta information included."""
    assert data[:128] == b"\0" * 128, "the preamble is not empty"
    assert data[128:132] == b"DICM"
    elements, end = _elements(data, 132, len(data))
    assert end == len(data)
    return elements


def _elements(data: bytes, at: int, end: int) -> tuple[dict[int, Element], int]:
    out: dict[int, Element] = {}
    while at < end:
        group, element = struct.unpack_from("<HH", data, at)
        tag = group << 16 | element
        if tag in (0xFFFEE00D, 0xFFFEE0DD):
            return out, at + 8
        assert not out or tag > max(out), f"{tag:08x} is not in ascending order"
        vr = data[at + 4 : at + 6]
        if vr in LONG:
            length, at = struct.unpack_from("<I", data, at + 8)[0], at + 12
        else:
            length, at = struct.unpack_from("<H", data, at + 6)[0], at + 8
        if vr == b"SQ":
            value, at = _items(data, at, end if length == UNDEFINED else at + length)
        else:
            assert length % 2 == 0, f"{tag:08x} has an odd length"
            value, at = data[at : at + length], at + length
        out[tag] = (vr.decode(), value)
    return out, at


def _items(data: bytes, at: int, end: int) -> tuple[list[dict[int, Element]], int]:
    items = []
    while at < end:
        group, element, length = struct.unpack_from("<HHI", data, at)
        at += 8
        if (group, element) == (0xFFFE, 0xE0DD):
            return items, at
        assert (group, element) == (0xFFFE, 0xE000)
        item, at = _elements(data, at, end if length == UNDEFINED else at + length)
        items.append(item)
    return items, at
