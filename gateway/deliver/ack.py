"""Reads an HL7 v2 acknowledgement as bytes: its code, the message it names, and what it finds wrong, as codes only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from gateway.mllp_block import message_in


class AckError(Exception):
    """The bytes are no HL7 message, or hold no readable acknowledgement. The text holds nothing of the message."""


class AckCode(StrEnum):
    """HL7 table 0008. A: original mode; C: enhanced mode's first answer."""

    AA = "AA"
    AE = "AE"
    AR = "AR"
    CA = "CA"
    CE = "CE"
    CR = "CR"


# HL7 table 0357, message error condition codes
_CONDITIONS = {
    "100": "segment sequence error",
    "101": "required field missing",
    "102": "data type error",
    "103": "table value not found",
    "104": "value too long",
    "200": "unsupported message type",
    "201": "unsupported event code",
    "202": "unsupported processing id",
    "203": "unsupported version id",
    "204": "unknown key identifier",
    "205": "duplicate key identifier",
    "206": "application record locked",
    "207": "application internal error",
}
# ERR-2 (ERL): segment, sequence, field, ... such as PID^1^3. Only what has this shape is told on.
_PLACE = re.compile(rb"[A-Z][A-Z0-9]{2}(?:\^\d{0,3}){0,5}")


@dataclass(frozen=True)
class Ack:
    """An acknowledgement. errors: conditions and places, no free text.

    control_id: MSA-2, the MSH-10 it answers, without blanks around it and further components.
    """

    code: AckCode
    control_id: bytes
    errors: tuple[str, ...]

    def as_text(self) -> str:
        """The code and the errors in one line."""
        return f"{self.code}: {'; '.join(self.errors)}" if self.errors else self.code

    def as_answer(self, sent_id: bytes) -> str:
        """MSA-1 and MSA-2 as they came, and the errors. sent_id: our MSH-10; a text of the peer's is not told on."""
        control_id = self.control_id.decode("ascii", "replace") if self.control_id == sent_id else ""
        return "; ".join((f"MSA|{self.code}|{control_id}".rstrip("|"), *self.errors))


def control_id(message: bytes) -> bytes:
    """MSH-10 of a message. Raises AckError where there is none."""
    header, separator = _header(message)
    fields = header.split(separator)
    if len(fields) < 10 or not fields[9]:  # MSH-1 is the separator itself, so MSH-10 is the field at 9
        raise AckError("the message has no control id (MSH-10)")
    return fields[9]


def read_ack(block: bytes) -> Ack:
    """Reads the first MSA segment of a block. Raises AckError where it has none, or one that says nothing known."""
    message = message_in(block)
    header, separator = _header(message)
    segments = [segment.split(separator) for segment in re.split(rb"[\r\n]+", message)]
    found = next((segment for segment in segments if segment[0] == b"MSA"), None)
    if found is None:
        raise AckError("the answer holds no MSA segment")
    code = found[1].strip().decode("ascii", "replace") if len(found) > 1 else ""
    if code not in AckCode.__members__:
        raise AckError("the answer's MSA-1 is none of AA, AE, AR, CA, CE, CR")
    errors = tuple(text for segment in segments if segment[0] == b"ERR" and (text := _error(segment)))
    answered = found[2].split(_component(header, separator))[0].strip() if len(found) > 2 else b""
    return Ack(AckCode(code), answered, errors)


def _component(header: bytes, separator: bytes) -> bytes:
    """The component separator: the first byte of MSH-2, else the usual one."""
    return header[4:5].strip(separator) or b"^"


def _header(message: bytes) -> tuple[bytes, bytes]:
    if not message.startswith(b"MSH") or len(message) < 4:
        raise AckError("it is no HL7 v2 message: it does not begin with MSH")
    return re.split(rb"[\r\n]", message, maxsplit=1)[0], message[3:4]


def _error(segment: list[bytes]) -> str:
    """ERR-3 as the table's own words and ERR-2 as a place; "" where neither can be told without free text."""
    place = segment[2] if len(segment) > 2 and _PLACE.fullmatch(segment[2]) else b""
    code = segment[3].partition(b"^")[0].decode("ascii", "replace") if len(segment) > 3 else ""
    condition = f"{code} {_CONDITIONS[code]}" if code in _CONDITIONS else ""
    return " at ".join(filter(None, (condition, place.decode("ascii"))))
