"""Finds out whether coded fax lines (ITU-T T.4, T.6) end before the page that they are of.

libtiff paints the rest white and says nothing. So the lines are decoded a second time with more code behind them: where
the picture changes, the decoder came to the end of the first ones and went on.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

MODIFIED_HUFFMAN, GROUP_3, GROUP_4 = 2, 3, 4  # TIFF 6.0, Compression
TWO_DIMENSIONAL = 1  # TIFF 6.0, T4Options
LEAST_FIRST = 2  # TIFF 6.0, FillOrder
SHORT, LONG = 3, 4  # TIFF 6.0, field types

# T.4 tables 2 and 3: no white, then 64 black at the left end of a line
BLACK_BEGINNING = "00110101" + "0000001111" + "0000110111"
END_OF_LINE = "000000000001"
# More code than the end of any: V0 to end whatever was begun (T.6 2.2.3.1), then a line that begins black, by the
# horizontal mode, and lines like it.
MORE_GROUP_4 = "1" * 8 + ("001" + BLACK_BEGINNING) + "1" * 64
MORE_LINES = 4


@dataclass(frozen=True)
class FaxCode:
    """A picture in one or several strips. options: T4Options."""

    columns: int
    rows: int
    rows_per_strip: int
    compression: int
    strips: Sequence[bytes]
    options: int = 0
    fill_order: int = 1


def first_row_lost(code: FaxCode) -> int | None:
    """The first row, from 0, that the code says nothing of; None where it reaches the last. Raises as Pillow does."""
    differs = (_decoded(code, b"") != _decoded(code, _more(code))).any(axis=1)
    return int(differs.argmax()) if differs.any() else None


def _more(code: FaxCode) -> bytes:
    if code.compression == GROUP_4:
        bits = MORE_GROUP_4
    elif code.compression == GROUP_3:
        end = END_OF_LINE + ("1" if code.options & TWO_DIMENSIONAL else "")
        bits = (end + BLACK_BEGINNING) * MORE_LINES + end
    else:
        bits = BLACK_BEGINNING * (code.columns // 64 + 1) * MORE_LINES
    bits += "0" * (-len(bits) % 8)
    if code.fill_order == LEAST_FIRST:
        bits = "".join(bits[at : at + 8][::-1] for at in range(0, len(bits), 8))
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _decoded(code: FaxCode, more: bytes) -> npt.NDArray[np.bool_]:
    """(rows, columns), with more behind each strip. Raises as Pillow does."""
    with Image.open(io.BytesIO(_as_tiff(code, more)), formats=("TIFF",)) as image:
        return np.asarray(image.convert("1"))


def _as_tiff(code: FaxCode, more: bytes) -> bytes:
    """A TIFF of these strips alone (TIFF 6.0 section 2)."""
    strips = [strip + more for strip in code.strips]
    ends = np.cumsum([8, *map(len, strips)])
    n = len(strips)
    arrays = struct.pack(f"<{n}I", *ends[:-1]), struct.pack(f"<{n}I", *map(len, strips))
    at = int(ends[-1]), int(ends[-1]) + 4 * n
    inline = n == 1  # a single number stands in the entry itself
    entries = (
        (256, LONG, 1, code.columns),
        (257, LONG, 1, code.rows),
        (258, SHORT, 1, 1),
        (259, SHORT, 1, code.compression),
        (262, SHORT, 1, 0),
        (266, SHORT, 1, code.fill_order),
        (273, LONG, n, int(ends[0]) if inline else at[0]),
        (277, SHORT, 1, 1),
        (278, LONG, 1, code.rows_per_strip),
        (279, LONG, n, len(strips[0]) if inline else at[1]),
        (292, LONG, 1, code.options),
    )
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    start = struct.pack("<2sHI", b"II", 42, at[1] + 4 * n)
    return b"".join((start, *strips, *arrays, directory))
