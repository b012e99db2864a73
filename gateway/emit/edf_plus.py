"""A Recording as EDF+C: twelve signals in millivolts over the whole page time. Pure: the same input, the same bytes.

EDF knows neither NaN nor a signal that begins later. Where the page shows nothing the sample is the least digital
value, -32768, which is the physical minimum, -32.768 mV: no heart makes it and no sample that was read has it, while a
zero would be taken for a flat line. Annotations say the same: for each lead when it was printed, and each stretch in
between that was not read. A lead that was not printed is a signal of nothing else. The last second is filled up in the
same way, for a file of whole records. A lead printed twice gives its longest strip, as everywhere twelve leads are
asked for.

What EDF+ cannot write (a patient number with a character beyond ASCII, fields longer than 80 characters) is left out as
"X", never cut or bent into another number, and an annotation says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from itertools import pairwise
from typing import Literal

import numpy as np
from edfio import Edf, EdfAnnotation, EdfSignal, Patient
from edfio import Recording as EdfRecording

from gateway import MODEL
from gateway.emit import disclaimers, identity, moment
from gateway.emit.channels import MICROVOLTS_PER_MV, REACH, Channel, channels
from gateway.emit.emitted import Emitted, derived_uuid
from gateway.emit.identity import CONTROL
from gateway.emit.measured import MeasurementResult
from gateway.emit.moment import Moment
from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.identity.order import Patient as OrderPatient
from pipeline.recording import TWELVE, Finding, Lead, Recording

NOTHING = -32768  # digital; read samples reach from -32767 to 32767
# edfio rounds the maximum up, and the nearest number to 32.767 is a little more: a billionth less gives 32.767 itself
PHYSICAL_MV = (NOTHING / MICROVOLTS_PER_MV, REACH / MICROVOLTS_PER_MV - 1e-9)
RECORD_S = 1
FIELD_MAX = 80  # characters of the patient's and of the recording's identification
UNKNOWN = "X"
_SEXES: Mapping[str, Literal["F", "M"]] = {"F": "F", "M": "M"}
YEARS = (1985, 2084)  # what the two digits of the header's own date mean


def emit(
    recording: Recording, order: Order, *, source_sha256: str, page: int, measurements: Sequence[MeasurementResult] = ()
) -> Emitted:
    """Write one page's recording. source_sha256, page: of the document received, counted from 1.

    Raises:
        Held: bad_acquisition_date, bad_identity.
        Refused: nothing_printed.
    """
    all_channels = channels(recording)
    if not any(channel.finite.any() for channel in all_channels):
        raise Refused("nothing_printed", "the recording holds no sample of any lead")
    acquired = moment.acquired(order)
    longest = _longest(all_channels)
    rate_hz = recording.rate_hz
    record = RECORD_S * rate_hz
    length = -(-max(channel.end for channel in longest.values()) // record) * record
    signals = [_signal(lead, longest.get(lead), length, rate_hz) for lead in TWELVE]
    patient, left_out = _patient(order.patient)
    annotations = [
        *disclaimers.provenance(recording, order),
        f"Page {page} of the document with SHA-256 {source_sha256}.",
        f"Digital {NOTHING} (the physical minimum) is no voltage: the page shows nothing there.",
        *_when(acquired),
        *(f"Left out, for EDF+ cannot write it: {what}." for what in left_out),
        *(measurement.as_text() for measurement in measurements),
    ]
    edf = Edf(
        signals,
        patient=patient,
        recording=EdfRecording(startdate=_day(acquired), equipment_code=_field(MODEL)),
        starttime=_clock(acquired),
        data_record_duration=RECORD_S,
        annotations=[
            *(EdfAnnotation(0.0, None, CONTROL.sub(" ", line)) for line in annotations),
            *_stretches(longest, length, rate_hz),
            *map(_finding, recording.findings),
        ],
    )
    data = edf.to_bytes()
    return Emitted(str(derived_uuid("edf", data)), data)


def _longest(all_channels: Sequence[Channel]) -> dict[Lead, Channel]:
    """The longest strip of every lead that was printed."""
    found: dict[Lead, Channel] = {}
    for channel in all_channels:
        if channel.lead not in found or len(channel.finite) > len(found[channel.lead].finite):
            found[channel.lead] = channel
    return found


def _signal(lead: Lead, channel: Channel | None, length: int, rate_hz: int) -> EdfSignal:
    nothing = np.full(length, NOTHING, np.int16)
    return EdfSignal.from_digital(
        nothing if channel is None else channel.placed(0, length, NOTHING),
        rate_hz,
        label=_label(lead),
        transducer_type="Digitized from a picture of paper",
        physical_dimension="mV",
        physical_range=PHYSICAL_MV,
        digital_range=(NOTHING, REACH),
        prefiltering=f"unknown; digital {NOTHING} is no voltage",
    )


def _label(lead: Lead) -> str:
    """As EDF+'s list of standard texts has it."""
    return f"ECG {lead}"


def _stretches(longest: Mapping[Lead, Channel], length: int, rate_hz: int) -> Iterator[EdfAnnotation]:
    """When each lead was printed, and which stretches of that were not read."""
    for lead in TWELVE:
        channel = longest.get(lead)
        if channel is None or not channel.finite.any():
            yield EdfAnnotation(0.0, length / rate_hz, f"Not printed or not read@@{_label(lead)}")
            continue
        seconds = (channel.end - channel.start) / rate_hz
        yield EdfAnnotation(channel.start / rate_hz, seconds, f"Printed@@{_label(lead)}")
        read = [(channel.start, channel.start), *channel.runs(), (channel.end, channel.end)]
        for (_, before), (after, _) in pairwise(read):
            if after > before:
                yield EdfAnnotation(before / rate_hz, (after - before) / rate_hz, f"Not read@@{_label(lead)}")


def _finding(finding: Finding) -> EdfAnnotation:
    """A finding at its time, ``@@`` and its signal behind it, as EDF+ ties an annotation to one."""
    about = f"@@{_label(finding.lead)}" if finding.lead else ""
    start_s = max(finding.start_s or 0.0, 0.0)
    whole = finding.start_s is not None and finding.end_s is not None and finding.end_s > start_s
    seconds = finding.end_s - start_s if whole and finding.end_s is not None else None
    return EdfAnnotation(
        round(start_s, 4), None if seconds is None else round(seconds, 4), disclaimers.finding(finding) + about
    )


def _patient(who: OrderPatient) -> tuple[Patient, list[str]]:
    """The local patient identification, and what it could not hold. Raises Held(bad_identity)."""
    name = identity.one_name("patient name", who.name)
    parts = (name.family, name.given, name.middle, name.prefix, name.suffix) if name else ()
    born = identity.like("birth date", who.birth_date, identity.DATE)
    code, spelled = _field(who.patient_id), _field(" ".join(filter(None, parts)))
    sex: Literal["F", "M", "X"] = _SEXES.get(who.sex, "X")
    day = _date(born)
    if len(code) > FIELD_MAX - len(" X 31-JAN-2024 X"):
        code = UNKNOWN
    if len(f"{code} X 31-JAN-2024 {spelled}") > FIELD_MAX:
        spelled = UNKNOWN
    fields = (
        ("the patient's number", who.patient_id, code),
        ("the patient's name", "".join(parts), spelled),
        ("the birth date", born, day),
    )
    left_out = [what for what, value, written in fields if value and written in (UNKNOWN, None)]
    return Patient(code=code, sex=sex, birthdate=day, name=spelled), left_out


def _field(text: str) -> str:
    """A subfield: blanks as underscores, as EDF+ wants them; ``X`` for nothing and for what is not plain ASCII."""
    plain = "_".join(text.split())
    return plain if plain and plain.isascii() and plain.isprintable() else UNKNOWN


def _date(digits: str) -> date | None:
    try:
        return datetime.strptime(digits[:8], "%Y%m%d").date() if len(digits) >= 8 else None
    except ValueError:
        return None


def _day(acquired: Moment | None) -> date | None:
    """None where the day is unknown, or of a year that the header's two digits cannot tell."""
    day = _date(acquired.digits) if acquired else None
    return day if day and YEARS[0] <= day.year <= YEARS[1] else None


def _clock(acquired: Moment | None) -> time:
    if acquired is None or not acquired.to_the_second:
        return time()
    d = acquired.digits
    return time(int(d[8:10]), int(d[10:12]), int(d[12:14]), int(acquired.fraction[:6].ljust(6, "0")))


def _when(acquired: Moment | None) -> Iterator[str]:
    """What the header's date and time, which cannot be left out, do not mean."""
    if acquired is None:
        yield "When this ECG was recorded is not known: date and time of the header mean nothing."
    elif not acquired.to_the_second or _day(acquired) is None:
        yield f"Recorded {acquired.digits}; what is beyond that in the header's date and time means nothing."
