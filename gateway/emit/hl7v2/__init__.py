r"""A Recording as an HL7 v2 result, ORU^R01. Pure: the same input gives the same bytes.

Built with hl7apy, TOLERANT (STRICT cannot hold an ED result). hl7apy takes a field as text in which ``^`` and ``&``
already separate and which is already escaped, so every text goes through ``text.escaped`` first. Between the versions
only the message type (2.3 has no structure in MSH-9) and the group that holds the result differ.

Every result is preliminary (OBR-25, OBX-11 = P). Segments end with CR, the last one too. Control characters never get
in: in names and numbers they hold the job, in our own sentences they become spaces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message

from gateway.emit import moment
from gateway.emit.emitted import Emitted, derived_id
from gateway.emit.hl7v2 import results, segments
from gateway.emit.hl7v2.addressing import Addressing
from gateway.emit.hl7v2.results import Result
from gateway.emit.measured import Measurement, MeasurementResult
from gateway.errors import Held
from gateway.identity.order import Order
from pipeline.recording import Recording

__all__ = ["Addressing", "Measurement", "decoded", "emit"]

_CODECS = {"UNICODE UTF-8": "utf-8", "8859/1": "latin-1", "ASCII": "ascii"}  # HL7 table 0211


@dataclass(frozen=True)
class Attachment:
    """A document inside the message. name: as a person is told that it is not there. size: bytes before Base64."""

    name: str
    size: int
    result: Result


def emit(
    recording: Recording,
    order: Order,
    aecg: Emitted | None,
    *,
    to: Addressing,
    job_id: str,
    page: int,
    source_sha256: str,
    message_time: datetime,
    measurements: Sequence[MeasurementResult] = (),
    report: Emitted | None = None,
) -> Emitted:
    """Write one page's result for one destination. aecg and report are embedded (OBX ED, Base64) unless None.

    Of a message that would be too big the aecg is left out, else the report, else both, and the message says so.
    message_time: when the result was made, for MSH-7 and OBR-22; the same on every try, for the message makes its own
    name.

    Raises:
        Held: no_patient, bad_identity, bad_acquisition_date; unmappable_character where the destination's character
            set lacks one; message_too_big where even without both the message is longer than it takes. The last two
            are the configuration's fault, not the page's: the sender is not told no.
    """
    filler = segments.filler_number(order, to, source_sha256, page)
    observations = [
        *results.measurements(measurements),
        *map(results.finding, recording.findings),
        *results.clipped(recording),
        results.provenance(recording, order, source_sha256, page),
    ]

    def written(what: Sequence[Result]) -> Emitted:
        message = _message(order, to, filler, message_time, what)
        name = derived_id("message", job_id, str(page), to.name, _encoded(message, to))
        message.msh.msh_10 = name
        return Emitted(name, _encoded(message, to))

    out = _fullest(written, observations, _attached(aecg, report), to.message_max_bytes)
    if len(out.data) > to.message_max_bytes:
        raise Held(
            "message_too_big",
            f"{len(out.data)} bytes even without attachments; destination {to.name} takes {to.message_max_bytes}",
        )
    return out


def _attached(aecg: Emitted | None, report: Emitted | None) -> tuple[Attachment, ...]:
    """The one to be left out first comes first: a reader of messages looks at the report, a PACS has the waveform."""
    found = []
    if aecg is not None:
        found.append(Attachment("The annotated ECG", len(aecg.data), results.waveform(aecg)))
    if report is not None:
        found.append(Attachment("The report", len(report.data), results.report(report)))
    return tuple(found)


def _fullest(
    written: Callable[[Sequence[Result]], Emitted],
    observations: Sequence[Result],
    attached: Sequence[Attachment],
    bytes_max: int,
) -> Emitted:
    """The message with as much attached as it may hold; what is left out is told. The least of them if none may be."""
    out = written([*observations, *(each.result for each in attached)])
    whole = len(out.data)
    for count in range(1, len(attached) + 1):
        for left_out in combinations(attached, count):
            if len(out.data) <= bytes_max:
                return out
            whys = [
                f"{each.name} ({each.size} bytes) is not in this message: whole the message would have {whole} bytes "
                f"and this destination takes {bytes_max}."
                for each in left_out
            ]
            kept = [each.result for each in attached if each not in left_out]
            out = written([*observations, *kept, *map(results.omission, whys)])
    return out


def _message(order: Order, to: Addressing, filler: str, message_time: datetime, what: Sequence[Result]) -> Any:
    message = Message("ORU_R01", version=to.version, validation_level=VALIDATION_LEVEL.TOLERANT)
    segments.header(message.msh, to, message_time)
    result = message.add_group("ORU_R01_RESPONSE" if to.version == "2.3" else "ORU_R01_PATIENT_RESULT")
    patient = result.add_group("ORU_R01_PATIENT")
    segments.patient(patient.add_segment("PID"), order)
    segments.visit(patient.add_group("ORU_R01_VISIT").add_segment("PV1"), order)
    observed = result.add_group("ORU_R01_ORDER_OBSERVATION")
    acquired = moment.acquired(order)
    at = acquired.hl7() if acquired else ""
    segments.request(observed.add_segment("ORC"), observed.add_segment("OBR"), order, filler, at, message_time)
    results.add_to(observed, what, at)
    return message


def _encoded(message: Any, to: Addressing) -> bytes:
    segments = message.to_er7().split("\r")
    codec = _CODECS[to.character_set]
    for number, segment in enumerate(segments, start=1):
        try:
            segment.encode(codec)
        except UnicodeEncodeError as error:
            field = segment[: error.start].count("|") + segment.startswith("MSH")  # MSH-1 is the separator itself
            raise Held(
                "unmappable_character",
                f"segment {number} ({segment[:3]}-{field}) holds a character that {to.character_set} lacks; "
                f"destination {to.name} needs another character_set",
            ) from error
    return "".join(f"{segment}\r" for segment in segments if segment).encode(codec)


def decoded(message: bytes) -> str:
    """A message of our own making as text, by the character set that its MSH-18 names."""
    header = message.split(b"\r", 1)[0].split(b"|")
    return message.decode(_CODECS[header[17].decode("ascii")])
