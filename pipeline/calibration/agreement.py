"""What a page's pulses and its printed text say together about one scale."""

from __future__ import annotations

from pipeline.calibration.text import Printed, PrintedScales
from pipeline.findings import FindingCode
from pipeline.recording import Finding, Known, Scale, Severity


def agreed(measured: Scale, clear: bool, printed: Printed | None, unit: str) -> tuple[Scale, tuple[Finding, ...]]:
    """The scale to go on with, and the disagreement if there is one.

    measured: by pulses or ASSUMED. clear: pulses that leave no doubt, which win over text; doubtful ones give way.
    Clear pulses against a text are two strong witnesses, of which one is wrong: an error, which holds the page.
    """
    if printed is None or (printed.value == measured.value and measured.known is Known.PULSE):
        return measured, ()
    text = Scale(printed.value, Known.TEXT)
    if measured.known is Known.ASSUMED:
        return text, ()
    taken = measured if clear else text
    detail = f"pulses say {measured.value:g} {unit}, the text says {printed.value:g}; taken for {taken.value:g}"
    severity = Severity.ERROR if clear else Severity.WARNING
    return taken, (Finding(FindingCode.SCALE_DISAGREEMENT, severity, detail=detail),)


def agreed_chest(gain: Scale, measured: Scale | None, text: PrintedScales) -> tuple[Scale | None, tuple[Finding, ...]]:
    """The chest leads' own gain, None where they have none. gain: of the limb leads, as taken.

    Pulses of a second height are always clear. A text that says the chest's gain says it only beside the limb's. One
    of which only the limb's was read leaves the chest's open: machines that print both print them equal as a rule.
    """
    printed = text.chest_gain_mm_mv
    if measured is not None:
        return agreed(measured, True, printed, "mm/mV")
    if printed is None and text.limb_only:
        detail = f"chest gain taken for {gain.value:g} mm/mV; of the text only the limb leads' was read"
        finding = Finding(FindingCode.SCALE_ASSUMED, Severity.WARNING, detail=detail)
        return Scale(gain.value, Known.ASSUMED), (finding,)
    if printed is None or printed.value == gain.value:
        return None, ()
    half = printed.value == gain.value / 2
    finding = Finding(FindingCode.HALF_GAIN_CHEST, Severity.INFO, detail=f"{printed.value:g} mm/mV")
    return Scale(printed.value, Known.TEXT), (finding,) if half else ()
