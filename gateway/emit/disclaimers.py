"""The sentences that tell a reader of any format where a recording comes from and how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway import MODEL
from gateway.emit.channels import Channel
from gateway.emit.identity import CONTROL
from gateway.identity.order import Order
from gateway.mapping import mappings
from pipeline.findings import FindingCode
from pipeline.intervals.build import SHA256 as DELINEATOR_SHA256
from pipeline.recording import Finding, Known, Recording, Scale

_KNOWN = {
    Known.PERSON: "given by a person",
    Known.GRID: "measured on the paper grid",
    Known.PULSE: "measured on the calibration pulse",
    Known.TEXT: "read from the page's text",
    Known.DPI: "from the file's resolution",
    Known.ASSUMED: "assumed, not seen on the page",
}


def origin(recording: Recording) -> str:
    """What must be known before anything else of a recording is looked at, in one line for a reader of ECGs."""
    checked_text = "a person has checked the traces" if checked(recording) else "no person has checked the traces"
    scales = f"{_brief(recording.speed_mm_s, 'mm/s')}, {_brief(recording.gain_mm_mv, 'mm/mV')}"
    return (
        f"Digitized from a picture of a paper ECG ({recording.layout}, {scales}) by {MODEL} "
        f"{recording.made_by.version}; no device recorded these samples. Preliminary: {checked_text}."
    )


def provenance(recording: Recording, order: Order) -> tuple[str, ...]:
    """What can be known of the whole recording's making; origin comes first."""
    made_by = recording.made_by
    out = [
        origin(recording),
        f"Layout {recording.layout}. {_scale('Paper speed', recording.speed_mm_s, 'mm/s')}. "
        f"{_scale('Gain', recording.gain_mm_mv, 'mm/mV')}.",
    ]
    if recording.chest_gain_mm_mv is not None:
        out.append(f"{_scale('Gain of the chest leads', recording.chest_gain_mm_mv, 'mm/mV')}.")
    out.append(f"Confidence {recording.confidence_text}, the software's own estimate. Picture: {recording.source}.")
    out.extend(f"Weights {name} SHA-256 {sha256}." for name, sha256 in made_by.weights)
    out.append(f"Weights delineator SHA-256 {DELINEATOR_SHA256}.")  # measured as it is sent, not as it was read
    if order.by_person:
        out.append("Whose ECG this is was said by a person, not by the sender alone.")
    return tuple(out)


def checked(recording: Recording) -> bool:
    """Whether a person looked at what was read and let it go out."""
    return any(finding.code == FindingCode.APPROVED_BY_PERSON for finding in recording.findings)


def printed(channels: Sequence[Channel], rate_hz: int) -> str:
    """Which lead the page showed from when to when, in page time."""
    spans = ", ".join(f"{c.label} {c.start / rate_hz:.3f}-{c.end / rate_hz:.3f}" for c in channels)
    return f"Printed, in seconds of paper from the left end of the first trace: {spans}."


def printed_lead(channel: Channel, rate_hz: int, zeros: bool) -> str:
    """From when to when the page shows one lead, in page time. zeros: the lead holds 0 that nobody printed."""
    if not len(channel.finite):
        return f"{channel.label} is not on the page: its samples are 0 and mean nothing."
    span = f"{channel.label} printed {_span(channel.start, channel.end, rate_hz)}"
    if not channel.finite.any():
        return f"{span} and not read: its samples are 0 and mean nothing."
    holes = ", ".join(_span(first, last, rate_hz) for first, last in channel.holes())
    unread = f" Not read, and 0: {holes}." if holes else ""
    return f"{span}; elsewhere 0, which means nothing.{unread}" if zeros else f"{span}."


def left_out(channels: Sequence[Channel], rate_hz: int) -> str:
    """Which printed strips are not in an object that holds each lead once."""
    spans = ", ".join(f"{c.lead} {_span(c.start, c.end, rate_hz)}" for c in channels)
    return f"Also printed, and not in this object, which holds the longest strip of each lead: {spans}."


def finding(what: Finding) -> str:
    """One finding as one line: its sentence, where, and the pipeline's own detail."""
    where = [str(what.lead)] if what.lead else []
    if what.start_s is not None or what.end_s is not None:
        where.append(f"{_seconds(what.start_s)} to {_seconds(what.end_s)} s")
    tail = f" ({', '.join(where)})" if where else ""
    detail = f" {CONTROL.sub(' ', what.detail)}" if what.detail else ""
    return f"{what.severity.value.upper()}: {mappings().finding_text(what.code)}{tail}{detail}"


def clipped(channel: Channel) -> str:
    """What is said of a channel whose samples did not fit."""
    return f"{channel.label}: {channel.clipped} samples beyond 32.767 mV are held at that limit and are not valid."


def how_read(channel: Channel, zeros_rate_hz: int | None = None) -> str:
    """One channel's making in at most 64 characters (the length of a DICOM LO).

    zeros_rate_hz: the rate of an object in whose channel stand zeros that nobody printed, None where none do.
    """
    making = "Digitized from paper"
    if zeros_rate_hz is not None:
        making = f"Paper {channel.start / zeros_rate_hz:.2f}-{channel.end / zeros_rate_hz:.2f} s, else 0"
    sigma = "SD unknown" if channel.sigma_mv != channel.sigma_mv else f"SD {channel.sigma_mv * 1000:.0f} uV"
    return f"{making}; {sigma}; {channel.read:.0%} read, {channel.bridged:.0%} bridged"[:64]


def _brief(scale: Scale, unit: str) -> str:
    return f"{scale.value:g} {unit}" + (" assumed" if scale.known is Known.ASSUMED else "")


def _scale(name: str, scale: Scale, unit: str) -> str:
    return f"{name} {scale.value:g} {unit}, {_KNOWN[scale.known]}"


def _span(first: int, last: int, rate_hz: int) -> str:
    return f"{_short(first / rate_hz)} to {_short(last / rate_hz)} s"


def _short(seconds: float) -> str:
    """To the millisecond, with one decimal at least: ``2.5``, ``2.496``, ``5.0``."""
    whole, decimals = f"{seconds:.3f}".split(".")
    return f"{whole}.{decimals[0]}{decimals[1:].rstrip('0')}"


def _seconds(value: float | None) -> str:
    return "?" if value is None else f"{value:.3f}"
