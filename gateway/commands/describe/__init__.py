"""The conformance statement: what the gateway takes and makes, in DICOM and HL7. gateway/CONFORMANCE.md is this text.

Tables of codes, classes and statuses come from the modules that use them; a test compares the lists of attributes and
fields with what the emitters write.
"""

from __future__ import annotations

from gateway.commands.describe import dicom, files, hl7
from gateway.commands.describe.markdown import Row, table
from gateway.mapping import mappings
from pipeline.recording import TWELVE

_INTRODUCTION = """\
# Conformance statement

This is what `cardioscan describe` prints. CardioScan Gateway receives pictures of paper electrocardiograms, digitizes
them, and sends the samples on as DICOM ECG waveforms, HL7 annotated ECGs and HL7 v2 results. It is not a medical
device; every result it sends is marked as derived from a picture and as preliminary.

What the gateway does not know it leaves empty where the standard allows that, and holds the page for a person where it
does not. It never invents a sample, a patient, or a time.
"""

_LIMITS = """\
## Security and limits

- DICOM and MLLP are spoken without TLS: keep them on a network of their own or put a TLS tunnel in front.
- Numbers and names that are longer than DICOM allows are sent whole, not cut off. A text with a backslash or a control
  character holds the page.
- No storage commitment, and no query or retrieve but of modality worklists.
- Log lines hold job numbers and hashes, no patient data.
"""


def describe() -> str:
    """The whole statement as Markdown."""
    parts = (
        _INTRODUCTION,
        dicom.received(),
        files.received(),
        hl7.feed(),
        dicom.sent(),
        dicom.worklist_keys(),
        hl7.annotated_ecg(),
        hl7.results(),
        files.written(),
        _codes(),
        _LIMITS,
    )
    return "\n".join(parts)


def _codes() -> str:
    tables = mappings()
    leads: list[Row] = [(x.value, f"{c.mdc} {c.meaning}", c.aecg) for x in TWELVE for c in [tables.leads[x]]]
    named = [("result (OBR-4)", tables.study), *tables.measured.items(), *tables.sent.items()]
    annotated = (
        (str(n), f"{c.dicom.system} {c.dicom.code}", f"{c.aecg}, {c.aecg_unit}") for n, c in tables.measured.items()
    )
    findings = ((code.value, words.severity.value, words.text) for code, words in tables.findings.items())
    unreadable = ((code.value, words.text) for code, words in tables.unreadable.items())
    return f"""\
## Codes

{table(("Lead", "DICOM, scheme MDC", "aECG, 2.16.840.1.113883.6.24"), leads)}
{table(("Observation", "Code", "System", "Meaning"), ((str(n), c.code, c.system, c.meaning) for n, c in named))}
{table(("Measured", "DICOM", "aECG, 2.16.840.1.113883.6.24"), annotated)}
{table(("Finding", "Usual severity", "Text"), findings)}
{table(("Page not digitized", "Text"), unreadable)}"""
