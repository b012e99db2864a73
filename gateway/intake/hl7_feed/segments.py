"""An HL7 v2 message as bytes -> header, then segments with their fields, repetitions and components.

The header is read as bytes, for it says how the rest is written; the rest is decoded whole before it is split, for in
some character sets a delimiter's byte is half of a letter. Senders are taken as they come: segments may end with CR,
LF or both, and what stands behind the fields we ask for is not looked at. But a line that is no segment is a fault: it
is what a line end inside a field has cut off, perhaps a birth date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.intake.hl7_feed.answer import Code, Rejected
from gateway.intake.hl7_feed.character_sets import codec_of
from gateway.intake.hl7_feed.segment_names import is_segment_name
from gateway.mllp_block import has_byte_order_mark, message_in

NULL = '""'  # HL7's word for: delete what you have
VERSION = re.compile(rb"2(\.\d){0,2}")
BATCHES = "batches (FHS/BHS) are not taken; send each message in a block of its own"
_HEADERS = ("MSH", "FHS", "BHS")
_LINE_ENDS = re.compile(r"([\r\n]+)")
_CONTROLS = "".join(map(chr, range(0x21))) + "\x7f"  # and the blank: some senders pad lines, or end with Ctrl-Z
_ESCAPED = {"F": 0, "S": 1, "T": 4, "R": 2, "E": 3}  # the letter of an escape, and which delimiter it stands for


@dataclass(frozen=True)
class Delimiters:
    """MSH-1 and MSH-2; escape and sub are "" where the sender names none."""

    field: str
    component: str
    repetition: str
    escape: str
    sub: str


@dataclass(frozen=True)
class Header:
    """MSH as bytes. fields: at n what HL7 calls MSH-n."""

    fields: tuple[bytes, ...]

    def field(self, number: int) -> bytes:
        """A field as it came, b"" where there is none."""
        return self.fields[number] if number < len(self.fields) else b""

    def first(self, number: int) -> bytes:
        """The first component of the first repetition of a field."""
        marks = self.field(2)
        return self.field(number).split(marks[1:2] or b"~")[0].split(marks[:1])[0].strip()

    @property
    def component(self) -> bytes:
        """The byte between components."""
        return self.field(2)[:1]


def read_header(message: bytes) -> Header:
    """The header of a message. Raises Rejected where the bytes are no HL7 v2 message."""
    line = re.split(rb"[\r\n]", message_in(message), maxsplit=1)[0]
    if line[:3] in (b"FHS", b"BHS"):
        raise Rejected(Code.AR, "200", "MSH", BATCHES)
    separator = line[3:4]
    fields = line.split(separator) if separator else []
    marks = fields[1] if len(fields) > 1 else b""
    delimiters = separator + marks
    # five different signs, and none that means something else in a character set
    lawful = all(0x20 < sign < 0x7F and not chr(sign).isalnum() for sign in delimiters)
    if not line.startswith(b"MSH") or not marks or not lawful or len(set(delimiters)) != len(delimiters):
        raise Rejected(Code.AR, "100", "MSH", "no HL7 v2 message")
    return Header((fields[0], separator, *fields[1:]))


def read_segments(message: bytes, header: Header, character_set: str) -> tuple[Segment, ...]:
    """All segments. character_set: by its HL7 name, in which the message is read whatever its MSH-18 says; "" = MSH-18.

    Raises Rejected where that set is not known, the bytes are not of it, a line is no segment, or it is a batch.
    """
    codec = _codec(message, header, character_set)
    try:
        text = message_in(message).decode(codec)
        by = _delimiters(header, codec)
    except UnicodeDecodeError:
        why = "bytes that are not of the character set; set MSH-18, or hl7_feed.character_set"
        raise Rejected(Code.AE, "102", "MSH^1^18", why) from None  # its words would quote the message
    segments = tuple(Segment(line[:3], tuple(line.split(by.field)), by, codec) for line in _lines(text, by.field))
    if any(segment.name in _HEADERS for segment in segments[1:]):
        raise Rejected(Code.AR, "200", "MSH", BATCHES)
    return segments


def _codec(message: bytes, header: Header, character_set: str) -> str:
    """A byte order mark says UTF-8, as MSH-18 may; the configuration outvotes both. Raises Rejected."""
    charset = character_set or header.field(18).decode("ascii", "replace")
    if has_byte_order_mark(message) and not character_set:
        charset = "UNICODE UTF-8"
    codec = codec_of(charset, header.field(2)[1:2].decode("ascii", "replace") or "~")
    if codec is None:
        raise Rejected(Code.AE, "103", "MSH^1^18", "this character set is not known here; see hl7_feed.character_set")
    return codec


def _lines(text: str, separator: str) -> list[str]:
    """The segments of a message as text. Raises Rejected where a line is none.

    A lone line feed ends no segment of a sender who ends them with CR: what follows belongs to the field before it.
    """
    ends_with_cr = "\r" in text
    lines: list[str] = []
    end = "\r"
    for part in _LINE_ENDS.split(text):
        line = part.strip(_CONTROLS)
        if _LINE_ENDS.fullmatch(part):
            end = part
        elif is_segment_name(line.split(separator, 1)[0]):
            lines.append(line)
        elif line and ends_with_cr and "\r" not in end:
            lines[-1] += f" {line}"
        elif line:
            place = f"{lines[-1][:3]}^1" if lines else "MSH"
            why = "a line that is no segment: a line end within a field must be escaped"
            raise Rejected(Code.AE, "100", place, why)
    return lines


def _delimiters(header: Header, codec: str) -> Delimiters:
    marks = header.field(2).decode(codec)
    return Delimiters(header.field(1).decode(codec), marks[0], marks[1:2] or "~", marks[2:3], marks[3:4])


@dataclass(frozen=True)
class Repetition:
    """One of the values of a field."""

    raw: str
    by: Delimiters
    codec: str

    def text(self, component: int, sub: int = 1) -> str | None:
        """A component, or a part of it, unescaped. None: not said. "": said to be nothing."""
        if self.raw == NULL:
            return ""
        parts = self.raw.split(self.by.component)
        part = parts[component - 1] if component <= len(parts) else ""
        subs = part.split(self.by.sub) if self.by.sub else [part]
        found = subs[sub - 1].strip() if sub <= len(subs) else ""
        return "" if found == NULL else unescaped(found, self.by, self.codec) or None

    def value(self, component: int, sub: int = 1) -> str:
        """The same, "" also where it is not said."""
        return self.text(component, sub) or ""


@dataclass(frozen=True)
class Segment:
    """One line of a message, not its header. fields: at n what HL7 calls field n."""

    name: str
    fields: tuple[str, ...]
    by: Delimiters
    codec: str

    def repetitions(self, field: int) -> tuple[Repetition, ...]:
        """The values of a field; () where it is empty."""
        raw = self.fields[field] if field < len(self.fields) else ""
        parts = raw.split(self.by.repetition)
        return tuple(Repetition(part.strip(), self.by, self.codec) for part in parts if part.strip())

    def text(self, field: int, component: int = 1) -> str | None:
        """A component of the first value of a field. None: not said. "": said to be nothing."""
        values = self.repetitions(field)
        return values[0].text(component) if values else None

    def value(self, field: int, component: int = 1) -> str:
        """The same, "" also where it is not said."""
        return self.text(field, component) or ""


def unescaped(text: str, by: Delimiters, codec: str) -> str:
    """A text without its escapes (HL7 v2.5.1 2.7); line breaks as blanks, highlighting and unknown ones as nothing."""
    if not by.escape or by.escape not in text:
        return text
    marks = (by.field, by.component, by.repetition, by.escape, by.sub)

    def meant(escape: re.Match[str]) -> str:
        code = escape[1]
        if code in _ESCAPED:
            return marks[_ESCAPED[code]]
        if code[:1] == "X":
            return _from_hex(code[1:], codec)
        return " " if code[:1] == "." else ""

    mark = re.escape(by.escape)
    return re.sub(f"{mark}([A-Z.][^{mark}]*){mark}", meant, text).strip()


def _from_hex(digits: str, codec: str) -> str:
    try:
        return bytes.fromhex(digits).decode(codec)
    except ValueError:  # also a UnicodeDecodeError
        return ""
