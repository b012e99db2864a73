"""Bytes as received -> (pages, Order). DICOM, PDF and the kinds of picture are told apart by content, never by name.

Everything is capped before it is decoded, and pages are decoded one at a time: a document of fifty pages holds one
page in memory. Decoding happens in a process of its own with a bound on its memory and its time, for the decoders are
large C libraries and what they decode comes from outside. A page at fault raises Refused, whatever it did to them.
"""

from __future__ import annotations

from pathlib import Path

from gateway.config import IdentitySection, LimitsSection
from gateway.job import Arrival
from gateway.unpack.document import Unpacked
from gateway.unpack.media import MediaType, recognise
from gateway.unpack.sandbox import Decoder, decoder

__all__ = ["Decoder", "MediaType", "Unpacked", "recognise", "unpack"]


def unpack(path: Path, arrival: Arrival, limits: LimitsSection, identity: IdentitySection) -> Unpacked:
    """Opens a received file and reads whose ECG it holds; pages are decoded as they are asked for.

    Raises:
        Refused: the file is of no kind taken, is damaged, or breaks a cap.
        OSError: the file is not there.
        TryAgain: the decoder's process did not start, or was stopped by a signal that no page causes.
    """
    return decoder().open(path, arrival.order, limits, identity)
