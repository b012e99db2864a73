"""A Recording as an HL7 V3 annotated ECG (PORT_MT020001). Pure: the same input gives the same bytes.

One series of rhythm waveforms. Two layouts, by destination:

- ``single_set``: one set of equally long leads over the whole page time, the longest strip of each lead, **zero where
  the page shows nothing**. An annotation per lead says from when to when its samples are real. A lead that was not
  printed is left out. Readers take the first sequenceSet only, so this is the default.
- ``strips``: as HL7 means it for paper: one sequenceSet per set of leads printed side by side, the rhythm strip in its
  own, each with its own time. A list of digits cannot say "nothing here", so a lead with a hole becomes one
  sequenceSet per unbroken stretch; only samples the page shows are in the document. Leads whose stretches begin and end
  within EDGE_S of each other share a set over the time that all of them have.

Time is TIME_ABSOLUTE where the acquisition is known to the second, else TIME_RELATIVE: no time of day is invented.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from lxml import etree

from gateway import MAKER, MODEL
from gateway.emit import disclaimers, identity
from gateway.emit.channels import Channel, channels, longest, together
from gateway.emit.emitted import Emitted, derived_uid, derived_uuid
from gateway.emit.measured import Measurement, MeasurementResult, reasons_text, values
from gateway.emit.moment import Moment, must_be_acquired
from gateway.errors import Held, Refused
from gateway.identity.order import Order, Patient
from gateway.mapping import SentItem, Unit, mappings
from pipeline.recording import TWELVE, Finding, Lead, Recording

Layout = Literal["strips", "single_set"]

NAMESPACE = "urn:hl7-org:v3"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
_NAMESPACES: dict[str, str] = {None: NAMESPACE, "xsi": XSI}  # type: ignore[dict-item]  # the stubs forget the default
CPT_4 = "2.16.840.1.113883.6.12"
ACT_CODE = "2.16.840.1.113883.5.4"
MDC = "2.16.840.1.113883.6.24"
GENDER = "2.16.840.1.113883.5.1"
OUR_CODES = derived_uid("code system")  # PROVENANCE, PRINTED, SIGMA, CLIPPED and the codes of findings.toml

EDGE_S = 0.04  # 1 mm of paper at 25 mm/s: on photographs the ends of leads printed side by side differ by less

_GENDER = {"M": "M", "F": "F", "O": "UN"}  # DICOM's "other" is HL7's "undifferentiated"
_OID = re.compile(r"[1-9][0-9]*(\.[1-9][0-9]*)+")  # the schema knows no arc of 0

Element = etree._Element


def emit(
    recording: Recording,
    order: Order,
    *,
    layout: Layout = "single_set",
    source_sha256: str,
    page: int,
    made_at: datetime | None = None,
    patient_root: str = "",
    measurements: Sequence[MeasurementResult] = (),
) -> Emitted:
    """Write one page's recording as aECG.

    source_sha256, page: of the document received, counted from 1. made_at: when the result was made. measurements: what
    is told of the whole page. patient_root: the OID under which patient ids are unique; "" takes the order's issuer
    where that is an OID, else a UUID derived from the issuer's name.
    Raises:
        Held: no_acquisition_date, bad_acquisition_date, no_patient, bad_identity.
        Refused: nothing_printed.
    """
    acquired = must_be_acquired(order)
    all_channels = channels(recording)
    if not any(c.finite.any() for c in all_channels):
        raise Refused("nothing_printed", "the recording holds no sample of any lead")

    root = etree.Element(f"{{{NAMESPACE}}}AnnotatedECG", nsmap=_NAMESPACES, type="Observation")
    own_id = _add(root, "id")
    _add(root, "code", code="93000", codeSystem=CPT_4, codeSystemName="CPT-4")
    _add(root, "text").text = disclaimers.provenance(recording, order)[0]
    _span(_add(root, "effectiveTime"), acquired, 0.0, recording.duration_s)
    _subject(root, order.patient, patient_root)
    series = _add(root, "component", "series")
    series_id = _add(series, "id")
    _series(
        series,
        recording,
        order,
        acquired,
        all_channels,
        layout,
        source_sha256,
        page,
        made_at,
        measurements,
    )

    # the name is the content's: the same page read again alike keeps its id, read otherwise it gets another
    name = str(derived_uuid("aecg", etree.tostring(root, encoding="UTF-8")))
    own_id.set("root", name)
    series_id.set("root", str(derived_uuid("aecg series", name)))
    return Emitted(name, etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _subject(root: Element, patient: Patient, patient_root: str) -> None:
    """Whose ECG. The standard was made for trials: a trial is mandatory and says that it does not apply."""
    if not patient.patient_id:
        raise Held("no_patient", "an aECG must name its patient and nothing says who it is; identify the page")
    assignment = _add(root, "componentOf", "timepointEvent", "componentOf", "subjectAssignment")
    subject = _add(assignment, "subject", "trialSubject")
    issuer = identity.plain("issuer of patient id", patient.issuer)
    scope = next((oid for oid in (patient_root, issuer) if _OID.fullmatch(oid)), str(derived_uuid("issuer", issuer)))
    _add(subject, "id", root=scope, extension=identity.plain("patient id", patient.patient_id))
    person = _add(subject, "subjectDemographicPerson")
    if name := identity.one_name("patient name", patient.name):
        parts = _add(person, "name")
        for tag, text in (("prefix", name.prefix), ("given", name.given), ("given", name.middle)):
            if text:
                _add(parts, tag).text = text
        for tag, text in (("family", name.family), ("suffix", name.suffix)):
            if text:
                _add(parts, tag).text = text
    if sex := identity.like("sex", patient.sex, identity.SEX):
        _add(person, "administrativeGenderCode", code=_GENDER[sex], codeSystem=GENDER)
    if born := identity.like("birth date", patient.birth_date, identity.DATE):
        _add(person, "birthTime", value=born)
    _add(assignment, "componentOf", "clinicalTrial", "id", nullFlavor="NA")


def _series(
    series: Element,
    recording: Recording,
    order: Order,
    acquired: Moment,
    all_channels: tuple[Channel, ...],
    layout: Layout,
    source_sha256: str,
    page: int,
    made_at: datetime | None,
    measurements: Sequence[MeasurementResult],
) -> None:
    _add(series, "code", code="RHYTHM", codeSystem=ACT_CODE, codeSystemName="ActCode", displayName="Rhythm Waveforms")
    _span(_add(series, "effectiveTime"), acquired, 0.0, recording.duration_s)
    author = _add(series, "author", "seriesAuthor")
    _device(_add(author, "manufacturedSeriesDevice"), recording)
    _add(author, "manufacturerOrganization", "name").text = MAKER
    rate_hz = recording.rate_hz
    if layout == "strips":
        chosen = all_channels
        for group in together(all_channels):
            for (first, last), leads in _unbroken(group, round(EDGE_S * rate_hz)):
                _sequence_set(series, acquired, rate_hz, first, last, leads)
    else:
        chosen = longest(all_channels)
        _sequence_set(series, acquired, rate_hz, 0, max(c.end for c in chosen), chosen)
    notes = _add(series, "subjectOf", "annotationSet")
    if made_at is not None:
        _add(notes, "activityTime", value=f"{made_at:%Y%m%d%H%M%S}.{made_at.microsecond // 1000:03d}")
    device = _add(notes, "author", "assignedEntity", "assignedAuthorType", "assignedDevice")
    _device(device, recording)
    _add(device, "playedManufacturedDevice", "manufacturerOrganization", "name").text = MAKER
    _annotate(notes, recording, order, acquired, chosen, layout, source_sha256, page)
    _measured(notes, measurements)


def _unbroken(group: tuple[Channel, ...], near: int) -> list[tuple[tuple[int, int], list[Channel]]]:
    """The stretches of known samples of leads printed side by side, each with the leads that have all of it.

    near: samples by which the edges of stretches of different leads may differ and still be one printed edge.
    """
    stretches: list[_Stretch] = []
    for channel in group:
        for run in channel.runs():
            alike = next((s for s in stretches if s.takes(channel, run, near)), None)
            if alike is None:
                stretches.append(_Stretch([channel], [run]))
            else:
                alike.leads.append(channel)
                alike.runs.append(run)
    # the fullest set first: some readers stop after it
    ranked = sorted(stretches, key=lambda s: (-len(s.leads), s.common, TWELVE.index(s.leads[0].lead)))
    return [(s.common, s.leads) for s in ranked]


@dataclass(eq=False)
class _Stretch:
    """Leads side by side and where each of them is known, as (first, last + 1) in samples of page time."""

    leads: list[Channel]
    runs: list[tuple[int, int]]

    @property
    def common(self) -> tuple[int, int]:
        return max(first for first, _ in self.runs), min(last for _, last in self.runs)

    def takes(self, channel: Channel, run: tuple[int, int], near: int) -> bool:
        """Whether no edge of these differs by more from the others', and something is left for all."""
        runs = [*self.runs, run]
        edges = zip(*runs, strict=True)
        alike = all(max(edge) - min(edge) <= near for edge in edges)
        return alike and channel not in self.leads and max(r[0] for r in runs) < min(r[1] for r in runs)


def _sequence_set(
    series: Element, acquired: Moment, rate_hz: int, first: int, last: int, leads: Iterable[Channel]
) -> None:
    sequences = _add(series, "component", "sequenceSet")
    time = _add(sequences, "component", "sequence")
    if acquired.to_the_second:
        _add(time, "code", code="TIME_ABSOLUTE", codeSystem=ACT_CODE, codeSystemName="ActCode")
        value = _value(time, "GLIST_TS")
        _add(value, "head", value=acquired.ts(first / rate_hz))
    else:
        _add(time, "code", code="TIME_RELATIVE", codeSystem=ACT_CODE, codeSystemName="ActCode")
        value = _value(time, "GLIST_PQ")
        _add(value, "head", value=f"{first / rate_hz:.3f}", unit="s")
    _add(value, "increment", value=f"{1 / rate_hz:.6f}".rstrip("0"), unit="s")
    unit = mappings().units[Unit.MICROVOLT].ucum
    for channel in leads:
        sequence = _add(sequences, "component", "sequence")
        _lead(sequence, channel.lead)
        value = _value(sequence, "SLIST_PQ")
        _add(value, "origin", value="0", unit=unit)
        _add(value, "scale", value="1", unit=unit)
        _add(value, "digits").text = " ".join(map(str, channel.within(first, last).tolist()))


def _annotate(
    notes: Element,
    recording: Recording,
    order: Order,
    acquired: Moment,
    chosen: tuple[Channel, ...],
    layout: Layout,
    source_sha256: str,
    page: int,
) -> None:
    rate_hz = recording.rate_hz
    for line in disclaimers.provenance(recording, order):
        _note(notes, "PROVENANCE", line)
    _note(notes, "PROVENANCE", f"Page {page} of the document with SHA-256 {source_sha256}.")
    _note(notes, "PROVENANCE", disclaimers.printed(chosen, rate_hz))
    if layout == "single_set":
        _note(notes, "PADDING", "Outside the stretches marked PRINTED the digits are 0 and mean: nothing was printed.")
        for channel in chosen:
            for first, last in channel.runs():
                note = _note(notes, "PRINTED", f"{channel.label}: samples of the page.")
                _region(note, acquired, channel.lead, first / rate_hz, last / rate_hz)
    for channel in chosen:
        where = (acquired, channel.lead, channel.start / rate_hz, channel.end / rate_hz)
        if channel.sigma_mv == channel.sigma_mv:
            note = _add(notes, "component", "annotation")
            _add(note, "code", code="SIGMA", codeSystem=OUR_CODES, codeSystemName=MAKER)
            unit = mappings().units[Unit.MICROVOLT].ucum
            _value(note, "PQ", value=f"{channel.sigma_mv * 1000:.1f}", unit=unit)
            _region(note, *where)
        for status in channel.status:
            if status != "OK":
                _region(_note(notes, f"STATUS_{status}", f"{channel.label}: {disclaimers.how_read(channel)}"), *where)
        if channel.clipped:
            _region(_note(notes, "CLIPPED", disclaimers.clipped(channel)), *where)
    for finding in recording.findings:
        _finding(notes, finding, acquired)


def _measured(notes: Element, measurements: Sequence[MeasurementResult]) -> None:
    """Every number as an annotation without a lead, which means of all leads, its standard error within it."""
    for each in values(measurements):
        _number(notes, each)
    for line in reasons_text(measurements):
        _note(notes, mappings().sent[SentItem.NOT_MEASURED].code, f"{line}.")


def _number(notes: Element, measurement: Measurement) -> None:
    code = mappings().measured[measurement.what]
    note = _add(notes, "component", "annotation")
    _add(note, "code", code=code.aecg, codeSystem=MDC, codeSystemName="MDC")
    _value(note, "PQ", value=measurement.number, unit=code.aecg_unit)
    if measurement.error is not None:
        error = _add(note, "component", "annotation")
        name = mappings().sent[SentItem.STANDARD_ERROR].code
        _add(error, "code", code=name, codeSystem=OUR_CODES, codeSystemName=MAKER)
        _value(error, "PQ", value=measurement.error_number, unit=code.aecg_unit)


def _finding(notes: Element, finding: Finding, acquired: Moment) -> None:
    note = _note(notes, finding.code, disclaimers.finding(finding))
    if finding.lead is not None or (finding.start_s is not None and finding.end_s is not None):
        _region(note, acquired, finding.lead, finding.start_s, finding.end_s)


def _note(notes: Element, code: str, text: str) -> Element:
    note = _add(notes, "component", "annotation")
    _add(note, "code", code=code, codeSystem=OUR_CODES, codeSystemName=MAKER)
    _value(note, "ST").text = text
    return note


def _region(note: Element, acquired: Moment, lead: Lead | None, start_s: float | None, end_s: float | None) -> None:
    region = _add(note, "support", "supportingROI")
    region.set("classCode", "ROIBND")
    _add(region, "code", code="ROIPS", codeSystem=ACT_CODE)
    if lead is not None:
        _lead(_add(region, "component", "boundary"), lead)
    if start_s is None or end_s is None:
        return
    boundary = _add(region, "component", "boundary")
    if acquired.to_the_second:
        _add(boundary, "code", code="TIME_ABSOLUTE", codeSystem=ACT_CODE, codeSystemName="ActCode")
        _span(_value(boundary, "IVL_TS"), acquired, start_s, end_s)
    else:
        _add(boundary, "code", code="TIME_RELATIVE", codeSystem=ACT_CODE, codeSystemName="ActCode")
        value = _value(boundary, "IVL_PQ")
        _add(value, "low", value=f"{start_s:.3f}", unit="s")
        _add(value, "high", value=f"{end_s:.3f}", unit="s")


def _device(device: Element, recording: Recording) -> None:
    _add(device, "manufacturerModelName").text = MODEL
    _add(device, "softwareName").text = recording.made_by.version


def _lead(parent: Element, lead: Lead) -> None:
    _add(parent, "code", code=mappings().leads[lead].aecg, codeSystem=MDC, codeSystemName="MDC")


def _span(interval: Element, acquired: Moment, start_s: float, end_s: float) -> None:
    if acquired.to_the_second:
        _add(interval, "low", value=acquired.ts(start_s))
        _add(interval, "high", value=acquired.ts(end_s))
    else:
        _add(interval, "center", value=acquired.digits)


def _value(parent: Element, kind: str, **attributes: str) -> Element:
    value = _add(parent, "value", **attributes)
    value.set(f"{{{XSI}}}type", kind)
    return value


def _add(parent: Element, *path: str, **attributes: str) -> Element:
    """A chain of new elements below parent; the last one carries the attributes and is returned."""
    for tag in path:
        parent = etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}")
    for name, text in attributes.items():
        parent.set(name, text)
    return parent
