"""The HL7 half of the conformance statement: annotated ECG and version 2."""

from __future__ import annotations

from typing import get_args

from gateway.config import MllpDestination
from gateway.describe.markdown import Row, table
from gateway.emit import aecg
from gateway.mapping import mappings

_LAYOUTS: tuple[Row, ...] = (
    (
        "`strips` (default)",
        "one for each set of leads printed side by side, the rhythm strip in its own. A list of digits cannot say that "
        "nothing is there: a lead with a hole has one set for each unbroken stretch",
    ),
    (
        "`single_set`",
        "one; each lead once, its longest strip, **0 where the page shows nothing**. Annotations PRINTED say from when "
        "to when the digits of a lead are the page's. A lead that was not printed is absent",
    ),
)

_FIELDS: tuple[Row, ...] = (
    (
        "MSH-3, MSH-4, MSH-5, MSH-6",
        "applications and facilities of the destination's configuration; `^` separates the parts of an HD",
    ),
    ("MSH-7", "when the page was received"),
    ("MSH-9, MSH-11, MSH-12, MSH-18", "ORU^R01^ORU_R01 (2.3: ORU^R01), P, the configured version and character set"),
    ("MSH-10", "20 letters and digits made of job, page, destination and content: the same on every try"),
    ("PID-1, PID-3, PID-5, PID-7, PID-8", "the order's patient; several alphabets of a name as repetitions A, I, P"),
    ("PV1-1, PV1-2, PV1-8, PV1-19", "U (unknown), referring physician, visit number"),
    ("ORC-1, ORC-2, ORC-3", "RE, placer and filler number"),
    ("OBR-1, OBR-2, OBR-3", "placer number; filler number of the order, else one of the gateway's own for this page"),
    ("OBR-4, OBR-24", "what the result is, and its section: see the codes"),
    ("OBR-7, OBX-14", "when the ECG was recorded, as precisely as known; empty where unknown"),
    ("OBR-18", "accession number"),
    ("OBR-22", "when the page was received"),
    ("OBR-25, OBX-11", "P, preliminary, always"),
    ("OBX-1, OBX-2, OBX-3, OBX-4, OBX-5, OBX-6", "one result each, see below"),
)

_ANSWERS: tuple[Row, ...] = (
    ("AA, CA", "delivered"),
    ("AE, CE", "tried again, at most `error_attempts_max` times, then parked"),
    ("AR, CR", "parked"),
    ("none in `timeout_s`, or of another message", "connection dropped; tried again with the same MSH-10"),
)


def annotated_ecg() -> str:
    """The V3 document."""
    return f"""\
## HL7 V3: annotated ECG (aECG)

One `AnnotatedECG` (PORT_MT020001, schema of December 2003) for each page: one `series` of code RHYTHM, integers of
1 uV within 16 bits, origin 0, increments in seconds, default namespace `{aecg.NAMESPACE}`. The root id is a UUID
made of the content. `clinicalTrial` is nullFlavor NA. The subject's id is under the issuer's OID, or under a UUID made
of the issuer's name where that is no OID that the schema allows. Without a patient or an acquisition time the page is
held.

{table(("`aecg_layout`", "sequenceSets"), _LAYOUTS)}
Time is TIME_ABSOLUTE, 14 digits and milliseconds without offset, where the acquisition is known to the second; else
TIME_RELATIVE, and `effectiveTime/center` is as precise as known.

Annotations are of code system {aecg.OUR_CODES}: PROVENANCE, PADDING,
PRINTED, SIGMA (median standard deviation of a lead, uV), STATUS_QUESTIONABLE, STATUS_INVALID, STATUS_UNCALIBRATED,
CLIPPED, and the codes of the findings below, each with its lead and time where it has one.
"""


def results() -> str:
    """The version 2 message."""
    versions = ", ".join(get_args(MllpDestination.model_fields["version"].annotation))
    sets = ", ".join(get_args(MllpDestination.model_fields["character_set"].annotation))
    return f"""\
## HL7 v2: results

ORU^R01 over MLLP, versions {versions}; character sets {sets}. A
character that the destination's set lacks holds the page. The five delimiters are escaped; control characters never
get in. Segments end with CR, the last one too.

{table(("Fields", "Content"), _FIELDS)}
{table(("OBX-2", "Content"), _observations())}
{table(("Answer (MSA-1), its MSA-2 being our MSH-10", "Taken as"), _ANSWERS)}"""


def _observations() -> tuple[Row, ...]:
    measured = ", ".join(str(name).replace("_", " ") for name in mappings().measured)
    return (
        ("NM", f"what was measured, and only that; codes exist for {measured}"),
        ("TX", "PROVENANCE: where the ECG comes from, scales, hashes; FINDING: one for each, its code in OBX-3.4"),
        ("ED", "the aECG as `^TEXT^XML^Base64^...`, unless `aecg_layout` is `none`"),
        ("ED", "the report as `^application^PDF^Base64^...`, where the destination's `report` is true"),
        (
            "TX",
            "OMITTED: the aECG, else the report, else both are not there because the message would be longer than "
            "`message_max_bytes`; one for each",
        ),
    )
