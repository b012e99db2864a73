"""Finds out whether a JPEG picture ends early though its file does not: some programs close what broke off.

libjpeg paints the rest grey. So the picture is decoded a second time with more code before its end: where it changes,
the decoder came to the end of the first code and went on.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from gateway.unpack.codestream import END_OF_IMAGE, pixels_at
from pipeline.recording import UInt8

MORE = b"\xaa\x55" * 32  # bits of no one pattern; libjpeg takes the rest of a broken picture for zeros
SMALLER = 8  # times: each block of 8 x 8 as one pixel, which costs an eighth of the memory and shows a block lost


def ends_early(data: bytes) -> bool:
    """Whether the code of a JPEG ends before its last block. Raises as Pillow does where the file itself breaks off."""
    end = data.find(END_OF_IMAGE, pixels_at(data))
    return end < 0 or not np.array_equal(_blocks(data), _blocks(data[:end] + MORE + data[end:]))


def _blocks(data: bytes) -> UInt8:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        image.draft("L", (image.width // SMALLER, image.height // SMALLER))
        return np.asarray(image.convert("L"))
