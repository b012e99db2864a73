"""The results of a recording, one OBX each."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.emit import disclaimers
from gateway.emit.channels import channels
from gateway.emit.emitted import Emitted
from gateway.emit.hl7v2.segments import PRELIMINARY
from gateway.emit.hl7v2.text import coded, fields, sentence
from gateway.emit.measured import Measurement, reasons_text, values
from gateway.emit.measured import MeasurementResult as Measured
from gateway.identity.order import Order
from gateway.mapping import SentItem, mappings
from pipeline.recording import Finding, Recording

CLIPPED = "clipped"  # a finding of the emitter's own: no page is at fault, 16 bits are


@dataclass(frozen=True)
class Result:
    """OBX-2, OBX-3, OBX-5 and OBX-6, escaped."""

    value_type: str
    identifier: str
    value: str
    units: str = ""


def measurements(all_results: Sequence[Measured]) -> list[Result]:
    """Every number with its standard error behind it, then why others are not there."""
    out: list[Result] = []
    for each in values(all_results):
        out.append(measured(each))
        if each.error is not None:
            out.append(standard_error(each))
    why = mappings().sent[SentItem.NOT_MEASURED]
    return [*out, *(Result("TX", coded(why), sentence(f"{line}.")) for line in reasons_text(all_results))]


def measured(measurement: Measurement) -> Result:
    """A number with its unit. Raises ValueError where it is none: what was not measured is left out."""
    if not math.isfinite(measurement.value):
        raise ValueError(f"{measurement.what} is {measurement.value}: leave out what was not measured")
    code = mappings().measured[measurement.what]
    unit = mappings().units[code.unit]
    more = (code.narrower_code, code.narrower_meaning or "", code.system) if code.narrower_code else ()
    identifier = fields(code.code, code.meaning, code.system, *more)
    return Result("NM", identifier, measurement.number, fields(unit.ucum, unit.meaning, "UCUM"))


def standard_error(of: Measurement) -> Result:
    """The standard error of a number, under a code of ours: by LOINC's it would be taken for the number itself."""
    code, error_code = mappings().measured[of.what], mappings().sent[SentItem.STANDARD_ERROR]
    unit = mappings().units[code.unit]
    identifier = fields(f"{error_code.code}_{code.code}", f"{error_code.meaning} of {code.meaning}", error_code.system)
    return Result("NM", identifier, of.error_number, fields(unit.ucum, unit.meaning, "UCUM"))


def provenance(recording: Recording, order: Order, source_sha256: str, page: int) -> Result:
    """Where the recording comes from, in one result: it is no diagnosis and must not push one off the screen."""
    lines = [
        *disclaimers.provenance(recording, order),
        f"Page {page} of the document with SHA-256 {source_sha256}.",
        disclaimers.printed(channels(recording), recording.rate_hz),
    ]
    return Result("TX", coded(mappings().sent[SentItem.PROVENANCE]), sentence(" ".join(lines)))


def clipped(recording: Recording) -> Sequence[Result]:
    """The leads whose samples did not fit, a finding each."""
    code = mappings().sent[SentItem.FINDING]
    identifier = fields(code.code, code.meaning, code.system, CLIPPED, "Samples are held at the limit.", code.system)
    return [Result("TX", identifier, sentence(disclaimers.clipped(c))) for c in channels(recording) if c.clipped]


def finding(what: Finding) -> Result:
    """A finding, its own code as the alternate identifier."""
    code = mappings().sent[SentItem.FINDING]
    text = mappings().finding_text(what.code)
    identifier = fields(code.code, code.meaning, code.system, what.code, text, code.system)
    return Result("TX", identifier, sentence(disclaimers.finding(what)))


def waveform(aecg: Emitted) -> Result:
    """The annotated ECG as ED; the words TEXT, XML and Base64 are of HL7 tables 0191, 0291 and 0299."""
    encoded = base64.b64encode(aecg.data).decode("ascii")
    return Result("ED", coded(mappings().sent[SentItem.WAVEFORM]), f"^TEXT^XML^Base64^{encoded}")


def report(pdf: Emitted) -> Result:
    """The report as ED. No HL7 table has a word for PDF; application and PDF are those that receivers look for."""
    encoded = base64.b64encode(pdf.data).decode("ascii")
    return Result("ED", coded(mappings().sent[SentItem.REPORT]), f"^application^PDF^Base64^{encoded}")


def omission(why: str) -> Result:
    """That something is not in this message."""
    return Result("TX", coded(mappings().sent[SentItem.OMISSION]), sentence(why))


def add_to(observed: Any, results: Iterable[Result], acquired: str) -> None:
    """An OBX each, numbered in OBX-1, and among those of one kind in OBX-4."""
    of_kind: dict[str, int] = {}
    for total, result in enumerate(results, start=1):
        kind = result.identifier.split("^", 1)[0]
        of_kind[kind] = of_kind.get(kind, 0) + 1
        obx = observed.add_group("ORU_R01_OBSERVATION").add_segment("OBX")
        for field, text in (
            ("obx_1", str(total)),
            ("obx_2", result.value_type),
            ("obx_3", result.identifier),
            ("obx_4", str(of_kind[kind])),
            ("obx_5", result.value),
            ("obx_6", result.units),
            ("obx_11", PRELIMINARY),
            ("obx_14", acquired),
        ):
            if text:
                setattr(obx, field, text)
