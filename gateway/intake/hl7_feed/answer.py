"""The acknowledgement of a message: in the sender's own delimiters, with nothing of the patient in it."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Code(StrEnum):
    """HL7 table 0008, original mode; in enhanced mode the first letter is C."""

    AA = "AA"
    AE = "AE"
    AR = "AR"


class Rejected(Exception):
    """A message that is not taken. condition: of HL7 table 0357. place: ERR-2. words: ours; nothing of the message."""

    def __init__(self, code: Code, condition: str, place: str, text: str) -> None:
        super().__init__(f"{code} {condition} at {place}: {text}")
        self.code = code
        self.condition = condition
        self.place = place
        self.text = text


class SaysHow(Protocol):
    """The header of the message that is answered."""

    def field(self, number: int) -> bytes: ...

    def first(self, number: int) -> bytes: ...

    @property
    def component(self) -> bytes: ...


def rejection(fault: Rejected) -> bytes:
    """The answer to bytes that have no header to answer to."""
    return f"MSH|^~\\&|||||||ACK||P|2.5.1\rMSA|{fault.code}||{fault.text}\r".encode("ascii", "replace")


def acknowledgement(header: SaysHow, at: datetime, text: str = "", fault: Rejected | None = None) -> bytes:
    """The ACK of a message: AA unless there is a fault; CA, CE or CR where the sender asked for that in MSH-15.

    text: told in MSA-3, which interface engines show; a fault brings its own.
    """
    mark, component, version = header.field(1), header.component, header.first(12)
    trigger = header.field(9).split(component)[1:2]
    kind = component.join((b"ACK", *trigger))
    if trigger and version >= b"2.4":
        kind += component + b"ACK"
    code = (fault.code if fault else Code.AA).encode()
    if header.first(15) in (b"AL", b"SU", b"ER"):  # enhanced mode: what is stored is accepted, and no more will follow
        code = b"C" + code[1:]
    msh = [b"MSH", header.field(2), header.field(5), header.field(6), header.field(3), header.field(4)]
    msh += [f"{at:%Y%m%d%H%M%S%z}".encode(), b"", kind, uuid.uuid4().hex[:20].encode(), header.field(11)]
    msh += [header.field(12)]
    if header.field(18):
        msh += [b"", b"", b"", b"", b"", header.field(18)]
    text_bytes = (fault.text if fault else text).encode("ascii", "replace")
    lines = [mark.join(msh), mark.join((b"MSA", code, header.field(10), text_bytes)).rstrip(mark)]
    if fault is not None and version >= b"2.5":
        place = fault.place.encode().replace(b"^", component)
        condition = component.join((fault.condition.encode(), b"", b"HL70357"))
        lines.append(mark.join((b"ERR", b"", place, condition, b"E", b"", b"", b"", text_bytes)))
    return b"".join(line + b"\r" for line in lines)
