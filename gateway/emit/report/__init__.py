"""A Recording as one page of PDF to be read by a person. Pure: the same input gives the same bytes.

A4 in landscape, all vector but the thumbnail of the source. The leads are drawn 25 mm/s and 10 mm/mV on the sheet:
print it without scaling. They stand as they were printed; a page with more rows than the sheet has room for is drawn as
3x4+1 and says so. Solid is read, dashed is bridged, blank is unknown, the ribbon is two standard deviations.

The file's own title and properties name no patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from gateway import MODEL
from gateway.emit import disclaimers, moment
from gateway.emit.channels import channels
from gateway.emit.emitted import Emitted, derived_uuid
from gateway.emit.measured import MeasurementResult, reasons_text, values
from gateway.emit.report import identification, traces
from gateway.emit.report.lead_rows import Rows, arranged
from gateway.emit.report.lettering import LINE, MM, NO_BREAK, drawable, fitted, width_mm
from gateway.emit.report.sheet import BAND, BRIDGED, INK, QUIET, UNSURE, Sheet
from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.mapping import Measured
from gateway.review import Approval
from pipeline.fonts import BOLD, REGULAR
from pipeline.recording import Recording, Severity

TITLE = "12-lead ECG digitized from paper, preliminary"
TITLE_CHECKED = f"{TITLE}, traces checked by a person"
STAMP = "PRELIMINARY, DIGITIZED FROM PAPER"

_LEFT, _RIGHT, _TOP = traces.LEFT, traces.LEFT + traces.WIDTH, 5.0
_THUMBNAIL_MM = (44.0, 30.0)
_BELOW = traces.TOP + traces.HEIGHT  # where the paper ends
_BOTTOM = 206.0
_NUMBERS = (  # as they are read together, a line each
    (Measured.HEART_RATE, Measured.RR_INTERVAL),
    (Measured.PR_INTERVAL, Measured.QRS_DURATION, Measured.QT_INTERVAL),
    (Measured.QTC_INTERVAL, Measured.QTC_FRIDERICIA),
    (Measured.P_AXIS, Measured.QRS_AXIS, Measured.T_AXIS),
)
_SEVERITIES = (Severity.ERROR, Severity.WARNING, Severity.INFO)
_SMALL_PT = (6.5, 6.0, 5.5, 5.0, 4.5, 4.0)


def emit(
    recording: Recording,
    order: Order,
    *,
    source_sha256: str,
    page: int,
    received_at: datetime,
    measurements: Sequence[MeasurementResult] = (),
    thumbnail_png: bytes = b"",
    approval: Approval | None = None,
) -> Emitted:
    """Write one page's report.

    source_sha256, page: of the document received, counted from 1. received_at: when it came, said in its
    own zone; the file's own date.
    thumbnail_png: the page as a small picture; b"" leaves its place empty. approval: who checked these very traces;
    without one the sheet warns that a person must. Preliminary it stays: whoever checks traces reads no ECG.

    Raises:
        Held: bad_acquisition_date.
        Refused: nothing_printed.
    """
    acquired = moment.acquired(order)
    if not any(channel.finite.any() for channel in channels(recording)):
        raise Refused("nothing_printed", "the recording holds no sample of any lead")
    made_at = received_at if received_at.tzinfo is None else received_at.astimezone(UTC)
    of = f"Page {page} of the document with SHA-256 {source_sha256}."
    sheet = Sheet(title(recording), f"{MODEL} {recording.made_by.version}", of, f"{made_at:%Y%m%d%H%M%S}")
    _head(sheet, recording, order, acquired, measurements, approval)
    if thumbnail_png:
        wide, _ = sheet.picture(thumbnail_png, _RIGHT - _THUMBNAIL_MM[0], _TOP, *_THUMBNAIL_MM)
        sheet.text(_RIGHT - wide, _TOP + _THUMBNAIL_MM[1] + 2.2, f"The source, page {page}", 5.5, QUIET)
    rows = arranged(recording)
    drawn = traces.draw(sheet, rows)
    _legend(sheet, recording, rows, drawn)
    received = f"Received {received_at:%Y-%m-%d %H:%M:%S %z}".rstrip() + "."
    checked = [f"{_checked(approval)}."] if approval else []
    _foot(sheet, recording, [*disclaimers.provenance(recording, order), *checked, of, received])
    data = sheet.finished()
    return Emitted(str(derived_uuid("report", data)), data)


def _head(
    sheet: Sheet,
    recording: Recording,
    order: Order,
    acquired: moment.Moment | None,
    measurements: Sequence[MeasurementResult],
    approval: Approval | None,
) -> None:
    """Three columns: whose, when and for whom, what was measured and how far to trust it."""
    sheet.text(_LEFT, _TOP + 4.2, "12-lead ECG", 13, INK, BOLD)
    must = _checked(approval) if approval else "a person must confirm it"
    sheet.text(_LEFT + 38, _TOP + 4.2, STAMP, 9.5, BRIDGED, BOLD)
    after = _LEFT + 41 + width_mm(STAMP, 9.5, BOLD)
    wide = _RIGHT - _THUMBNAIL_MM[0] - 2 - after
    sheet.paragraphs(after, _TOP + 0.9, wide, 5.5, [f"Not recorded by a device: {must}."], (8, 7, 6, 5, 4), BRIDGED)
    y = sheet.paragraphs(_LEFT, _TOP + 7, 84, 11, [identification.name(order)], (12, 11, 10, 9, 8, 7, 6, 5), font=BOLD)
    sheet.paragraphs(_LEFT, y + 0.5, 84, _TOP + 33 - y, identification.patient(order, acquired), (9, 8, 7, 6, 5, 4))
    sheet.paragraphs(_LEFT + 90, _TOP + 7, 74, 25, identification.occasion(order, acquired), (9, 8, 7, 6, 5, 4))
    sheet.paragraphs(_LEFT + 170, _TOP + 7, 62, 25, _judgement(recording, measurements), (9, 8, 7, 6, 5))


def title(recording: Recording) -> str:
    """What the document is called."""
    return TITLE_CHECKED if disclaimers.checked(recording) else TITLE


def _checked(approval: Approval) -> str:
    return f"traces checked by {drawable(approval.by)} on {approval.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _judgement(recording: Recording, measurements: Sequence[MeasurementResult]) -> list[str]:
    numbers = {each.what: each.in_short().replace(" ", NO_BREAK) for each in values(measurements)}
    lines = (", ".join(numbers[what] for what in line if what in numbers) for line in _NUMBERS)
    shown = [line for line in lines if line] or ["Nothing could be measured with certainty"]
    warnings = sum(finding.severity is not Severity.INFO for finding in recording.findings)
    return [
        *shown,
        *(f"{line}." for line in reasons_text(measurements, short=True)),
        f"Confidence {recording.confidence_text}, the software's own estimate",
        f"{warnings} warning{'s' * (warnings != 1)} about the reading, below" if warnings else "No warnings",
    ]


def _legend(sheet: Sheet, recording: Recording, rows: Rows, drawn: traces.Drawn) -> None:
    """One line below the paper: the scale, the form, and what the lines mean."""
    y = _BELOW + 3.6
    scales = f"Drawn at {traces.SPEED_MM_S:g} mm/s, {traces.GAIN_MM_MV:g} mm/mV"
    sheet.text(_LEFT, y, scales, 8, INK, BOLD)
    form = (
        f"leads placed as on the page ({rows.form})"
        if rows.as_printed
        else f"arranged anew as {rows.form}; every strip is in the waveform"
    )
    after = _LEFT + width_mm(scales, 8, BOLD) + 3
    sheet.text(after, y, f"{form}; print without scaling", 6.5, QUIET)
    x = _LEFT + 143.0
    sheet.lines([[(x, y - 0.8), (x + 7, y - 0.8)]], INK, 0.3)
    sheet.text(x + 8.5, y, "read", 6.5)
    sheet.lines([[(x + 19, y - 0.8), (x + 26, y - 0.8)]], BRIDGED, 0.3, traces.DASHES_MM)
    sheet.text(x + 27.5, y, "bridged", 6.5)
    sheet.areas([[(x + 41, y - 1.8), (x + 48, y - 1.8), (x + 48, y + 0.2), (x + 41, y + 0.2)]], BAND, 0.3)
    sheet.text(x + 49.5, y, "± 2 standard deviations", 6.5)
    sheet.text(x + 80, y, "blank: not printed or not read", 6.5)
    sheet.text(x + 117, y, "?  doubtful", 6.5, UNSURE)
    cuts = [f"The page goes on after {drawn.cut_after_s:.1f} s; the waveform has it all."] if drawn.cut_after_s else []
    if drawn.over_the_edge:
        cuts.append(f"Cut at the edge of the paper here, whole in the waveform: {', '.join(drawn.over_the_edge)}.")
    if text := " ".join([*_page_scales(recording), *cuts]):
        sheet.paragraphs(_LEFT, y + 0.9, _RIGHT - _LEFT, 3.2, [text], _SMALL_PT, BRIDGED, BOLD)


def _page_scales(recording: Recording) -> Iterator[str]:
    """What the page itself was printed at, where a ruler on it would tell something else than on this sheet."""
    speed, gain, chest = recording.speed_mm_s.value, recording.gain_mm_mv.value, recording.chest_gain_mm_mv
    gains = {round(gain, 1), round(chest.value if chest else gain, 1)}
    if round(speed, 1) != traces.SPEED_MM_S or gains != {traces.GAIN_MM_MV}:
        of_chest = f" (chest leads {chest.value:.3g})" if chest else ""
        yield f"The page itself is printed at {speed:.3g} mm/s, {gain:.3g} mm/mV{of_chest}."


def _foot(sheet: Sheet, recording: Recording, provenance: Sequence[str]) -> None:
    """Findings on the left, where it all comes from on the right."""
    top, split, gap = _BELOW + 9.4, _LEFT + 165.0, 5.0
    tall = _BOTTOM - top - 3
    sheet.text(_LEFT, top + 1, "Findings", 7, INK, BOLD)
    sheet.text(split + gap, top + 1, "How this was made", 7, INK, BOLD)
    _findings(sheet, recording, top + 2, split - _LEFT, tall)
    sheet.paragraphs(
        split + gap, top + 2, _RIGHT - split - gap, tall, [drawable(line) for line in provenance], _SMALL_PT, QUIET
    )


def _findings(sheet: Sheet, recording: Recording, y: float, width: float, height: float) -> None:
    """The gravest first, in two columns. What does not fit is counted, never dropped in silence."""
    ranked = sorted(recording.findings, key=lambda finding: _SEVERITIES.index(finding.severity))
    texts = [drawable(disclaimers.finding(finding)) for finding in ranked] or ["None."]
    column = (width - 4.0) / 2
    size_pt, paragraphs = fitted(texts, column, 2 * height, _SMALL_PT)
    room = int(height / (size_pt * LINE / MM))
    columns: list[list[str]] = [[]]
    for number, lines in enumerate(paragraphs):
        if len(columns[-1]) + len(lines) > room and len(columns) == 1:
            columns.append([])
        last = number == len(paragraphs) - 1
        if len(columns[-1]) + len(lines) > room - (not last and len(columns) == 2):
            columns[-1].append(f"… and {len(paragraphs) - number} more; all are in the waveform and the message.")
            break
        columns[-1].extend(lines)
    for number, lines in enumerate(columns):
        for place, line in enumerate(lines, start=1):
            x, base = _LEFT + number * (column + 4.0), y + place * size_pt * LINE / MM
            sheet.text(x, base - size_pt * (LINE - 1) / MM, line, size_pt, INK, REGULAR)
