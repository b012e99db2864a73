r"""A Recording as an HL7 v2 result, ORU^R01. Pure: the same input gives the same bytes.

Built with hl7apy, TOLERANT (STRICT cannot hold an ED result). hl7apy takes a field as text in which ``^`` and ``&``
already separate and which is already escaped, so every text goes through ``_escaped`` first. Of the version only the
message type (2.3 has no structure in MSH-9) and the group that holds the result differ.

Every result is preliminary (OBR-25, OBX-11 = P). Segments end with CR, the last one too. Control characters never get
in: in names and numbers they hold the job, in our own sentences they become spaces.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message

from gateway.config import MllpDestination
from gateway.emit import identity, moment, words
from gateway.emit.channels import channels
from gateway.emit.emitted import Emitted, derived_id
from gateway.errors import Held
from gateway.mapping import Code, Measured, Told, mappings
from gateway.order import Order
from pipeline.recording import Recording

_CODECS = {"UNICODE UTF-8": "utf-8", "8859/1": "latin-1", "ASCII": "ascii"}  # HL7 table 0211
_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")

PRELIMINARY = "P"


@dataclass(frozen=True)
class Addressing:
    """How one destination wants its messages. Applications and facilities may be HD: ``NAME^1.2.3^ISO``."""

    name: str
    version: str = "2.5.1"
    sending_application: str = "CARDIOSCAN"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    character_set: str = "UNICODE UTF-8"
    message_max_bytes: int = 4_000_000

    @classmethod
    def of(cls, destination: MllpDestination) -> Addressing:
        """What the configuration says about a destination."""
        return cls(
            destination.name,
            destination.version,
            destination.sending_application,
            destination.sending_facility,
            destination.receiving_application,
            destination.receiving_facility,
            destination.character_set,
            destination.message_max_bytes,
        )


@dataclass(frozen=True)
class Measurement:
    """A number that was measured on the recording, in the unit of observations.toml."""

    what: Measured
    value: float


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
    measurements: Sequence[Measurement] = (),
) -> Emitted:
    """Write one page's result for one destination. aecg is embedded (OBX ED, Base64) unless None or too big.

    message_time: from the job, the same on every try, for it is in the message and the message makes its own name.

    Raises:
        Held: no_patient, bad_identity, bad_acquisition_date; unmappable_character where the destination's character
            set lacks one; message_too_big where even without the waveform the message is longer than it takes. The
            last two are the configuration's fault, not the page's: the sender is not told no.
    """
    for measurement in measurements:
        if not math.isfinite(measurement.value):
            raise ValueError(f"{measurement.what} is {measurement.value}: leave out what was not measured")

    def written(waveform: Emitted | None, omission: str = "") -> Emitted:
        message = _message(recording, order, waveform, to, page, source_sha256, message_time, measurements, omission)
        unnamed = _encoded(message, to)
        message.msh.msh_10 = name = derived_id("message", job_id, str(page), to.name, unnamed)
        return Emitted(name, _encoded(message, to))

    out = written(aecg)
    if len(out.data) > to.message_max_bytes and aecg is not None:
        out = written(
            None,
            f"The annotated ECG ({len(aecg.data)} bytes) is not in this message: with it the message would have "
            f"{len(out.data)} bytes and this destination takes {to.message_max_bytes}.",
        )
    if len(out.data) > to.message_max_bytes:
        raise Held(
            "message_too_big",
            f"{len(out.data)} bytes even without the waveform; destination {to.name} takes {to.message_max_bytes}",
        )
    return out


def _message(
    recording: Recording,
    order: Order,
    aecg: Emitted | None,
    to: Addressing,
    page: int,
    source_sha256: str,
    message_time: datetime,
    measurements: Sequence[Measurement],
    omission: str,
) -> Any:
    message = Message("ORU_R01", version=to.version, validation_level=VALIDATION_LEVEL.TOLERANT)
    _header(message.msh, to, message_time)
    result = message.add_group("ORU_R01_RESPONSE" if to.version == "2.3" else "ORU_R01_PATIENT_RESULT")
    patient = result.add_group("ORU_R01_PATIENT")
    _patient(patient.add_segment("PID"), order)
    _visit(patient.add_group("ORU_R01_VISIT").add_segment("PV1"), order)
    observed = result.add_group("ORU_R01_ORDER_OBSERVATION")
    acquired = moment.acquired(order)
    at = acquired.hl7() if acquired else ""
    filler = _filler(order, to, source_sha256, page)
    _order(observed.add_segment("ORC"), observed.add_segment("OBR"), order, filler, at, message_time)
    results = _Results(observed, at)
    tables = mappings()
    for measurement in measurements:
        code = tables.measured[measurement.what]
        unit = tables.units[code.unit]
        results.add(
            "NM", _coded(code), f"{measurement.value:.{code.decimals}f}", _fields(unit.ucum, unit.meaning, "UCUM")
        )
    provenance = _coded(tables.told[Told.PROVENANCE])
    for line in (
        *words.provenance(recording),
        f"Page {page} of the document with SHA-256 {source_sha256}.",
        words.printed(channels(recording), recording.rate_hz),
    ):
        results.add("TX", provenance, _sentence(line))
    for channel in channels(recording):
        if channel.clipped:
            results.add("TX", provenance, _sentence(words.clipped(channel)))
    for finding in recording.findings:
        told = tables.told[Told.FINDING]
        own = _fields(
            told.code, told.meaning, told.system, finding.code, tables.finding_text(finding.code), told.system
        )
        results.add("TX", own, _sentence(words.finding(finding)))
    if aecg is not None:
        waveform = base64.b64encode(aecg.data).decode("ascii")
        results.add("ED", _coded(tables.told[Told.WAVEFORM]), f"^TEXT^XML^Base64^{waveform}")  # tables 0191, 0291, 0299
    if omission:
        results.add("TX", _coded(tables.told[Told.OMISSION]), _sentence(omission))
    return message


def _header(msh: Any, to: Addressing, message_time: datetime) -> None:
    for field, text in (
        ("msh_3", _designator(to.sending_application)),
        ("msh_4", _designator(to.sending_facility)),
        ("msh_5", _designator(to.receiving_application)),
        ("msh_6", _designator(to.receiving_facility)),
        ("msh_7", _time(message_time)),
        ("msh_9", "ORU^R01" if to.version == "2.3" else "ORU^R01^ORU_R01"),
        ("msh_11", "P"),
        ("msh_12", to.version),
        ("msh_18", to.character_set),
    ):
        if text:
            setattr(msh, field, text)


def _patient(pid: Any, order: Order) -> None:
    patient = order.patient
    if not patient.patient_id:
        raise Held("no_patient", "a result must name its patient and nothing says who it is; identify the page")
    pid.pid_1 = "1"
    issuer = identity.plain("issuer of patient id", patient.issuer)
    authority = f"&{issuer}&ISO" if _OID.fullmatch(issuer) else _escaped(issuer)
    pid.pid_3 = _joined(_escaped(identity.plain("patient id", patient.patient_id)), "", "", authority, "MR")
    names = identity.person_names("patient name", patient.name)
    for name, representation in zip(names, ("A", "I", "P"), strict=False):  # table 0465
        if name != identity.PersonName():
            field = pid.add_field("PID_5")
            field.value = _fields(
                name.family,
                name.given,
                name.middle,
                name.suffix,
                name.prefix,
                "",
                "",
                representation * (len(names) > 1),
            )
    if born := identity.like("birth date", patient.birth_date, identity.DATE):
        pid.pid_7 = born
    if sex := identity.like("sex", patient.sex, identity.SEX):
        pid.pid_8 = sex


def _visit(pv1: Any, order: Order) -> None:
    pv1.pv1_1 = "1"
    pv1.pv1_2 = "U"  # table 0004, unknown: a page does not tell whether its patient was admitted
    for name in identity.person_names("referring physician", order.referring_physician)[:1]:
        pv1.pv1_8 = _fields("", name.family, name.given, name.middle, name.suffix, name.prefix)
    if order.visit_number:
        pv1.pv1_19 = _escaped(identity.plain("visit number", order.visit_number))


def _order(orc: Any, obr: Any, order: Order, filler: str, acquired: str, message_time: datetime) -> None:
    placer = _escaped(identity.plain("placer order number", order.placer_order_number))
    study = mappings().study
    for segment, field, text in (
        (orc, "orc_1", "RE"),
        (orc, "orc_2", placer),
        (orc, "orc_3", filler),
        (obr, "obr_1", "1"),
        (obr, "obr_2", placer),
        (obr, "obr_3", filler),
        (obr, "obr_4", _coded(study)),
        (obr, "obr_7", acquired),
        (obr, "obr_18", _escaped(identity.plain("accession number", order.accession_number))),  # where IHE SWF puts it
        (obr, "obr_22", _time(message_time)),
        (obr, "obr_24", study.section),
        (obr, "obr_25", PRELIMINARY),
    ):
        if text:
            setattr(segment, field, text)


def _filler(order: Order, to: Addressing, source_sha256: str, page: int) -> str:
    """The filler order number of whoever keeps the order, else one of our own for this page of this document."""
    if order.filler_order_number:
        return _escaped(identity.plain("filler order number", order.filler_order_number))
    own = derived_id("filler", source_sha256, str(page), length=16)
    return _joined(own, *_designator(to.sending_application).split("^"))


class _Results:
    """Numbers the OBX segments of one OBR, and those of one kind among themselves (OBX-4)."""

    def __init__(self, observed: Any, acquired: str) -> None:
        self._observed = observed
        self._acquired = acquired
        self._total = 0
        self._of_kind: dict[str, int] = {}

    def add(self, value_type: str, identifier: str, value: str, units: str = "") -> None:
        self._total += 1
        kind = identifier.split("^", 1)[0]
        self._of_kind[kind] = self._of_kind.get(kind, 0) + 1
        obx = self._observed.add_group("ORU_R01_OBSERVATION").add_segment("OBX")
        for field, text in (
            ("obx_1", str(self._total)),
            ("obx_2", value_type),
            ("obx_3", identifier),
            ("obx_4", str(self._of_kind[kind])),
            ("obx_5", value),
            ("obx_6", units),
            ("obx_11", PRELIMINARY),
            ("obx_14", self._acquired),
        ):
            if text:
                setattr(obx, field, text)


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


def _coded(code: Code) -> str:
    return _fields(code.code, code.meaning, code.system)


def _fields(*texts: str) -> str:
    return _joined(*(_escaped(text) for text in texts))


def _joined(*components: str) -> str:
    return "^".join(components).rstrip("^")


def _designator(hd: str) -> str:
    return "^".join(_escaped(part) for part in hd.split("^"))


def _sentence(text: str) -> str:
    return _escaped(identity.CONTROL.sub(" ", text))


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _time(at: datetime) -> str:
    return f"{at:%Y%m%d%H%M%S}" + (f"{at:%z}"[:5] if at.tzinfo else "")
