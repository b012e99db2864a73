"""The files' half of the conformance statement: what is read from folders, what is written into them, the report."""

from __future__ import annotations

from typing import get_args

from gateway.commands.describe.markdown import Row, table
from gateway.config import FolderDestination
from gateway.emit import edf_plus, wfdb_record
from gateway.emit.forms import FORMS
from gateway.emit.report import STAMP, traces
from gateway.emit.report.lead_rows import ROWS_MAX
from gateway.job import DocumentKind
from gateway.unpack import MediaType

_CONTENT = {
    DocumentKind.DICOM_WAVEFORM: "the waveform object above, as a file",
    DocumentKind.AECG: "the annotated ECG above",
    DocumentKind.HL7V2: "the message above, without MLLP framing",
    DocumentKind.PDF: "the report",
    DocumentKind.CSV: "a row for each sample: seconds, then twelve leads in mV, empty where the page shows nothing",
    DocumentKind.WFDB: (
        "header and signal file of format 16, every strip a signal of 1000 units/mV; "
        f"{wfdb_record.INVALID} (invalid) where the page shows nothing; provenance and findings as comments; no patient"
    ),
    DocumentKind.EDF: (
        "EDF+C, twelve signals `ECG I` to `ECG V6` in mV, a lead printed twice as its longest strip. EDF has no NaN: "
        f"where the page shows nothing the sample is the digital minimum {edf_plus.NOTHING}, "
        f"{edf_plus.PHYSICAL_MV[0]:g} mV, and annotations `Printed@@ECG V1`, `Not read@@ECG V1` say when. What EDF+ "
        "cannot write of the patient is X, never cut"
    ),
}


def received() -> str:
    """What comes in."""
    return f"""\
## Files: what it receives

Documents in polled folders, told apart by their content. Each page of a document is a page of its own. Identity comes
from a `.json` file beside the document or from a configured pattern of file names.

A directory of a TIFF that is a smaller copy of another is no page; where both cannot be compared, because it is tiny,
blank, a mask or not to be decoded, it is none if it is marked so (NewSubfileType, SubfileType) and has the other's
shape. A page whose picture ends early is held, or refused where nothing can be read of it. A page of black and white
alone that is mostly black is turned over. UserUnit of a PDF's page counts.

That a picture ends early is seen in TIFF, PNG, JPEG and DICOM, and in a PDF in pictures of their own and among the
drawing instructions: CCITT (also where lines begin at whole bytes), JPEG, JPEG 2000, JBIG2, Flate, LZW, run lengths and
uncompressed. It is not seen in JBIG2 whose segment lengths were put right after it was cut, nor in a PDF whose
dictionaries cannot be read. A PDF in which finding out would take too much work is held for that. After two pages of a
document that took longer than 120 seconds each to decode, its others are not tried.

{table(("Media type",), ((kind.value,) for kind in MediaType))}"""


def written() -> str:
    """What goes out."""
    return f"""\
## Files: what it writes

A folder destination gets the kinds that its `documents` lists, whole or not at all, under a name that follows from the
content.

{table(("`documents`", "File", "Media type", "Content"), (_row(kind) for kind in _kinds()))}
### The report

One page of PDF, A4 in landscape, its fonts inside, its title and properties without a patient;
{traces.SPEED_MM_S:g} mm/s and {traces.GAIN_MM_MV:g} mm/mV on the sheet where it is printed without scaling, with grid
and calibration pulse. The strips stand as they were printed; a page of more than {ROWS_MAX} rows is drawn as 3x4+1
and says so. Solid is read, dashed is bridged, blank is not printed or not read, the ribbon is {traces.SIGMAS:g}
standard deviations either way. It holds patient, order, time, measurements, findings, confidence, versions, hashes,
the source as a small picture, and always the words "{STAMP}": an approval
adds who checked the traces and when. A name in a script that the font lacks is shown as its code points.
"""


def _kinds() -> tuple[DocumentKind, ...]:
    (allowed, _) = get_args(FolderDestination.model_fields["documents"].annotation)
    return tuple(kind for kind in DocumentKind if kind in get_args(allowed))


def _row(kind: DocumentKind) -> Row:
    return f"`{kind}`", f"`{FORMS[kind].suffix}`", FORMS[kind].media_type, _CONTENT[kind]
