"""The HL7 half of the conformance statement: annotated ECG and version 2."""

from __future__ import annotations

from typing import get_args

from gateway.commands.describe.markdown import Row, table
from gateway.config import MllpDestination
from gateway.emit import aecg
from gateway.intake.hl7_feed import meaning, requests
from gateway.mapping import mappings


def _events(triggers: frozenset[str]) -> str:
    return "ADT " + ", ".join(sorted(triggers))


_LAYOUTS: tuple[Row, ...] = (
    (
        "`single_set` (default)",
        "one; each lead once, its longest strip, **0 where the page shows nothing**. Annotations PRINTED say from when "
        "to when the digits of a lead are the page's. A lead that was not printed is absent",
    ),
    (
        "`strips`",
        "one for each set of leads printed side by side, the rhythm strip in its own. A list of digits cannot say that "
        "nothing is there: a lead with a hole has one set for each unbroken stretch. Leads whose stretches begin and "
        f"end within {aecg.EDGE_S:g} s of each other share a set over the time that all of them have. Many readers "
        "take the first set only",
    ),
)

_FIELDS: tuple[Row, ...] = (
    (
        "MSH-3, MSH-4, MSH-5, MSH-6",
        "applications and facilities of the destination's configuration; `^` separates the parts of an HD",
    ),
    ("MSH-7", "when the result was made, local time with its offset; a later reading of a page has a later one"),
    ("MSH-9, MSH-11, MSH-12, MSH-18", "ORU^R01^ORU_R01 (2.3: ORU^R01), P, the configured version and character set"),
    ("MSH-10", "20 letters and digits made of job, page, destination and content: the same on every try"),
    ("PID-1, PID-3, PID-5, PID-7, PID-8", "the order's patient; several alphabets of a name as repetitions A, I, P"),
    ("PV1-1, PV1-2, PV1-8, PV1-19", "U (unknown), referring physician, visit number"),
    ("ORC-1, ORC-2, ORC-3", "RE, placer and filler number"),
    ("OBR-1, OBR-2, OBR-3", "placer number; filler number of the order, else one of the gateway's own for this page"),
    ("OBR-4, OBR-24", "what the result is, and its section: see the codes"),
    ("OBR-7, OBX-14", "when the ECG was recorded, as precisely as known; empty where unknown"),
    ("OBR-18", "accession number"),
    ("OBR-22", "as MSH-7"),
    ("OBR-25, OBX-11", "P, preliminary, always"),
    ("OBX-1, OBX-2, OBX-3, OBX-4, OBX-5, OBX-6", "one result each, see below"),
)

_ANSWERS: tuple[Row, ...] = (
    ("AA, CA", "delivered"),
    (
        "AE, AR, AA after CA, on the same connection",
        "delivered; AE and AR are written beside the delivery in the job, told in the log, and counted by `check`. "
        "Listened for until `timeout_s` after CA, and for as long as the connection is open; a restart of the gateway "
        "in between loses it",
    ),
    ("AE, CE", "tried again, at most `error_attempts_max` times, then parked"),
    ("AR, CR", "parked"),
    (
        "any, but MSA-2 empty or of another message; or no acknowledgement that can be read",
        "not believed: connection dropped; tried again, at most `error_attempts_max` times, then parked",
    ),
    ("none in `timeout_s`", "connection dropped; tried again with the same MSH-10"),
)

_FEED_MESSAGES: tuple[Row, ...] = (
    (_events(meaning.BEGINS | meaning.CHANGES - meaning.LEAVES), "the patient is written down, or changed"),
    (_events(meaning.LEAVES), "the same; the patient is nowhere any more, and after A11 (cancelled) the visit is none"),
    (
        _events(meaning.MERGES),
        "the number in MRG-1 stands for the patient in PID from now on: it finds them, and their orders move. Another "
        "message may use it again only where it begins something: " + ", ".join(sorted(meaning.BEGINS)),
    ),
    (_events(meaning.DELETES), "the patient and their orders are forgotten"),
    (
        ", ".join(sorted(f"{kind}^{trigger}" for kind, trigger in meaning.ORDERS)),
        "patient and order are written down, or changed; the order is forgotten where ORC-1 is one of "
        f"{', '.join(sorted(requests.ENDS))} or ORC-5 one of {', '.join(sorted(requests.ENDED))}",
    ),
    ("any other", "nothing: AA, with `not needed here` in MSA-3"),
)

_FEED_FIELDS: tuple[Row, ...] = (
    ("MSH-18", "the character set, of the whole message; UTF-8 where it is empty"),
    ("MSH-7, else EVN-2", "when it was said: what is older than what was said of the same number changes nothing"),
    (
        "PID-3, MRG-1",
        "the patient's number: of the type and assigning authority that the configuration prefers. Issuer: CX.4.1, "
        "else CX.4.2",
    ),
    ("PID-5", "the name of type L, else without type, else D, else the first; representations A, I, P as PN groups"),
    ("PID-7, PID-8", "birth date, if whole; M, F, O, and A as O"),
    ("PV1-3, PV1-8, PV1-19", "where the patient is, in words; referring physician; visit number"),
    ("ORC-2 or OBR-2, ORC-3 or OBR-3", "placer and filler number, the OBR's before the ORC's"),
    ("OBR-4", "what is requested, in words"),
    ("IPC-1, else OBR-18", "accession number. OBR-20 is none: IHE has the number of a procedure step there"),
    ("IPC-3, else ZDS-1", "Study Instance UID; ZDS is IHE's"),
    ("OBR-36, TQ1-7, OBR-27.4, ORC-7.4, OBR-7, ORC-15", "for when it is planned: the first that holds a time"),
)

_FEED_ANSWERS: tuple[Row, ...] = (
    ("AA", "what the message says is committed, or it is not needed here"),
    (
        "AE",
        "it cannot be kept: too long, not in its character set, a segment or the patient's number is missing, or a "
        "line is no segment, as a line end within a field makes one: its name is none of HL7 v2, nor begins with Z",
    ),
    ("AE, `not kept`", "the database does not answer: send it again"),
    (
        "AR",
        "no HL7 v2, a batch (FHS, BHS, or several messages in a block), another version than 2.1 to 2.9, no control id "
        "or type, a processing id that is not taken",
    ),
)


def feed() -> str:
    """The version 2 messages that are taken in."""
    return f"""\
## HL7 v2: patients and orders

Where `[hl7_feed]` is enabled, the gateway takes messages over MLLP, any number on one connection, and answers each
before it reads the next. What they tell is offered to the person who says whose ECG a page is, and files nothing by
itself. An empty field says nothing and `""` deletes, as HL7 has it. The same message again is harmless.

{table(("Message", "Meaning"), _FEED_MESSAGES)}
{table(("Fields", "Taken as"), _FEED_FIELDS)}
{table(("Answer (MSA-1)", "Because"), _FEED_ANSWERS)}
There is one answer to a message, always, in the sender's own delimiters. Where MSH-15 is AL, SU or ER it is CA, CE or
CR. The reason is in MSA-3 and, from version 2.5, in ERR: codes and places only, nothing of the patient. A byte order
mark before or in a block is skipped and says UTF-8. MLLP is of release 1 here: commit blocks are neither sent nor
asked for.
"""


def annotated_ecg() -> str:
    """The V3 document."""
    return f"""\
## HL7 V3: annotated ECG (aECG)

One `AnnotatedECG` (PORT_MT020001, schema of December 2003) for each page: one `series` of code RHYTHM, integers of
1 uV within 16 bits, origin 0, increments in seconds, default namespace `{aecg.NAMESPACE}`. The root id is a UUID
made of the content, the id of the series another made of the root id. `clinicalTrial` is nullFlavor NA. The subject's
id is under the issuer's OID, or under a UUID made of the issuer's name where that is no OID that the schema allows.
Without a patient or an acquisition time the page is held.

{table(("`aecg_layout`", "sequenceSets"), _LAYOUTS)}
Time is TIME_ABSOLUTE, 14 digits and milliseconds without offset, where the acquisition is known to the second; else
TIME_RELATIVE, and `effectiveTime/center` is as precise as known.

Annotations are of code system {aecg.OUR_CODES}: PROVENANCE, PADDING,
PRINTED, SIGMA (median standard deviation of a lead, uV), STATUS_QUESTIONABLE, STATUS_INVALID, STATUS_UNCALIBRATED,
CLIPPED, and the codes of the findings below, each with its lead and time where it has one. Where the destination's
`intervals` is true, what was measured on the whole page is an annotation of MDC without a lead, as listed below, with
an annotation STANDARD_ERROR within it; NOT_MEASURED says what is not given and why.
"""


def results() -> str:
    """The version 2 message."""
    versions = ", ".join(get_args(MllpDestination.model_fields["version"].annotation))
    sets = ", ".join(get_args(MllpDestination.model_fields["character_set"].annotation))
    return f"""\
## HL7 v2: results

ORU^R01 over MLLP, versions {versions}; character sets {sets}. A
character that the destination's set lacks holds the page. The five delimiters are escaped; control characters never
get in. Segments end with CR, the last one too. Version 2.3 requires quantity and timing, field 7 of ORC and 27 of OBR:
there they hold 1.

{table(("Fields", "Content"), _FIELDS)}
{table(("OBX-2", "Content"), _observations())}
{table(("Answer (MSA-1), its MSA-2 being our MSH-10", "Taken as"), _ANSWERS)}
Blanks around MSA-2 and further components of it do not count. A byte order mark, line ends or a second start byte
before MSH are skipped. Of MLLP release 2 the commit blocks are spoken: a positive one (0x06) is waited beyond for the
acknowledgement, which is then committed in turn; a negative one (0x15), or a positive one without an acknowledgement in
`timeout_s`, is tried again, at most `error_attempts_max` times, then parked.
"""


def _observations() -> tuple[Row, ...]:
    measured = ", ".join(str(name).replace("_", " ") for name in mappings().measured)
    return (
        ("NM", f"what was measured, and only that; codes exist for {measured}"),
        (
            "NM",
            "STANDARD_ERROR_ and the code of a number: its standard error, in its unit, right behind it. It covers the "
            "finding of wave ends and the digitizing",
        ),
        ("TX", "NOT_MEASURED: what is not given and why, a line a reason, where the destination's `intervals` is true"),
        ("TX", "FINDING: one for each, its code in OBX-3.4, and one of code clipped for each lead beyond 16 bits"),
        ("TX", "PROVENANCE: one, where the ECG comes from, scales, what was printed when, hashes"),
        ("ED", "the aECG as `^TEXT^XML^Base64^...`, unless `aecg_layout` is `none`"),
        ("ED", "the report as `^application^PDF^Base64^...`, where the destination's `report` is true"),
        (
            "TX",
            "OMITTED: the aECG, else the report, else both are not there because the message would be longer than "
            "`message_max_bytes`; one for each",
        ),
    )
