"""The DICOM half of the conformance statement."""

from __future__ import annotations

from pydicom.uid import (
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    GeneralECGWaveformStorage,
    TwelveLeadECGWaveformStorage,
)

from gateway.commands.describe.markdown import Row, table
from gateway.config import WorklistSection
from gateway.deliver.c_store_status import meaning_of
from gateway.emit import channels, dicom_object, dicom_pdf, dicom_waveform, report
from gateway.emit.dicom_waveform import header
from gateway.emit.dicom_waveform.arrangement import PAD
from gateway.emit.dicom_waveform.groups import SCPECG_LEAD, SCPECG_VERSION
from gateway.intake.dicom_scp import STORAGE_CLASSES, TRANSFER_SYNTAXES, Status, staging
from gateway.patient_search import worklist
from gateway.unpack import dicom_header

_SENT = (TwelveLeadECGWaveformStorage, GeneralECGWaveformStorage, EncapsulatedPDFStorage)

_ANSWERS = {
    Status.SUCCESS: "the bytes and the job are committed to disk",
    Status.INVALID_SOP_INSTANCE: "the SOP Instance UID is not lawful",
    Status.OUT_OF_RESOURCES: "disk or queue is full, or the disk failed: send it again later",
    Status.DOES_NOT_MATCH: "the dataset is another object than the command says, or of another class than the context",
    Status.CANNOT_UNDERSTAND: "the object is damaged, or holds more before its pixels than is read (see below): do not "
    "send it again",
    Status.TOO_LARGE: "the object is larger than `dicom_scp.object_max_mb`",
}

_ARCHIVE_ANSWERS = (0x0000, 0xB000, 0xB006, 0xB007, 0xA700, 0x0110, 0xA900, 0xC000, 0x0122, 0x0124, 0x0111, 0x0117)

_ENCODINGS: tuple[Row, ...] = (
    (
        "`viewers` (default)",
        "12-Lead ECG",
        "one of twelve channels, I II III aVR aVL aVF V1 to V6: the longest printed strip of each lead at its printed "
        "time, **0 where nothing was printed or read**, and no padding value. OHIF, Weasis, dcmjs-ecg and "
        "ecg-dicom-web-viewer draw it to scale under the right names. Which zeros nobody printed is said in "
        "SeriesDescription, ChannelStatus, ChannelDerivationDescription and an annotation for each lead; strips that "
        "are left out are named in one",
    ),
    (
        "`padded`",
        "12-Lead ECG",
        f"one: every lead and every rhythm strip over the whole page time, {PAD} where the page shows nothing. For "
        "receivers that honour WaveformPaddingValue: OHIF and Weasis scale on it and draw a flat line, dicom-ecg-plot "
        "and dcmjs-ecg draw walls",
    ),
    (
        "`groups`",
        "12-Lead ECG",
        "one for each set of leads printed side by side, the rhythm strip in its own. MultiplexGroupTimeOffset is left "
        "out: paper does not tell whether columns were recorded one after the other. MultiplexGroupLabel holds their "
        "page time. Viewers show the first group only",
    ),
    ("`general`", "General ECG", "as `padded`, for an archive that refuses the 12-Lead class"),
)

_ATTRIBUTES: tuple[Row, ...] = (
    (
        "SOP Common",
        "SOPClassUID, SOPInstanceUID",
        "the UID is 2.25 and a hash of the whole object: same content, same UID",
    ),
    ("SOP Common", "SpecificCharacterSet", "ISO_IR 192 where a text is not ASCII, else absent"),
    ("SOP Common", "TimezoneOffsetFromUTC", "of ContentDate and ContentTime, as the machine's zone has it"),
    (
        "SOP Common",
        "ConversionSourceAttributesSequence (ReferencedSOPClassUID, ReferencedSOPInstanceUID, ReferencedFrameNumber)",
        "the object the page came in, its frame where it has frames; absent where it came as a file",
    ),
    (
        "SOP Common",
        "ContributingEquipmentSequence (PurposeOfReferenceCodeSequence, Manufacturer, ManufacturerModelName, "
        "SoftwareVersions, ContributionDateTime, ContributionDescription)",
        "109103 DCM Modifying Equipment; this gateway, its version and the first 16 digits of each network's hash. The "
        "description holds how the samples were made: page and SHA-256 of the document, scales and how they are known, "
        "confidence, the whole hashes",
    ),
    (
        "Patient",
        "PatientName, PatientID, IssuerOfPatientID, PatientBirthDate, PatientSex",
        "as the source says; empty where it does not",
    ),
    ("Patient Study", "AdmissionID", "visit number of the order; absent where unknown"),
    (
        "General Study",
        "StudyInstanceUID, StudyDate, StudyTime, StudyID, StudyDescription, AccessionNumber, ReferringPhysicianName",
        "the source's study, without StudyDescription; where it has none, a study of the gateway's own that begins "
        f'with the acquisition and is called "{dicom_object.STUDY_DESCRIPTION}"',
    ),
    (
        "General Series",
        "Modality, SeriesInstanceUID, SeriesNumber, SeriesDescription",
        f'ECG; a new series for each received document, the same on every try; "{header.SERIES_DESCRIPTION}", '
        f'for `viewers` "{header.WITH_ZEROS}"',
    ),
    (
        "General Equipment",
        "Manufacturer, ManufacturerModelName, SoftwareVersions, InstitutionName",
        "this gateway; the institution is the source's",
    ),
    (
        "Waveform Identification",
        "InstanceNumber, ContentDate, ContentTime, AcquisitionDateTime",
        f"page of the document, {dicom_object.READING_STEP} more for each later reading that says something else; "
        "when the result was made, local time; when the ECG was recorded, as precisely as known and as the source "
        "writes it. Without AcquisitionDateTime the page is held",
    ),
    (
        "Waveform Identification",
        "ReferencedInstanceSequence (ReferencedSOPClassUID, ReferencedSOPInstanceUID, PurposeOfReferenceCodeSequence)",
        "121324 DCM Source image",
    ),
    (
        "Acquisition Context",
        "AcquisitionContextSequence (ValueType, ConceptNameCodeSequence, ConceptCodeSequence)",
        "TID 3401: Lead System 10:11345 MDC is 10:11264 MDC, unspecified 12-lead system",
    ),
    (
        "Waveform",
        "WaveformSequence (MultiplexGroupLabel, WaveformOriginality, NumberOfWaveformChannels, "
        "NumberOfWaveformSamples, SamplingFrequency, WaveformBitsAllocated, WaveformSampleInterpretation, "
        "WaveformPaddingValue, WaveformData)",
        "DERIVED unless the destination's `waveform_originality` says otherwise; 16 bits signed; "
        f"padding {PAD}, declared only where there is some",
    ),
    (
        "Waveform",
        "ChannelDefinitionSequence (WaveformChannelNumber, ChannelLabel, ChannelStatus, ChannelSourceSequence, "
        "ChannelDerivationDescription, ChannelSensitivity, ChannelSensitivityUnitsSequence, "
        "ChannelSensitivityCorrectionFactor, ChannelBaseline, ChannelSampleSkew, WaveformBitsStored)",
        "CID 3001, scheme MDC, or SCPECG where the destination's `channel_codes` says so "
        f"({SCPECG_LEAD.format(number='n')}, CodingSchemeVersion {SCPECG_VERSION}); one count is 1 uV, baseline 0; the "
        "label of a rhythm strip ends in `rhythm`, but for `viewers`, where each lead stands once",
    ),
    (
        "Waveform Annotation",
        "WaveformAnnotationSequence (UnformattedTextValue, ReferencedWaveformChannels, AnnotationGroupNumber, "
        "TemporalRangeType, ReferencedSamplePositions, ConceptNameCodeSequence, NumericValue, "
        "MeasurementUnitsCodeSequence)",
        "group 0: one line of origin, what was printed when; group 1: findings; group 2, where the destination's "
        "`intervals` is true: what was measured, a coded number each (PS3.16 CID 3227, 3228, 3229; LOINC 8867-4), all "
        "with their standard errors in one line of text, and why others are not given",
    ),
    ("every code sequence", "CodeValue, CodingSchemeDesignator, CodingSchemeVersion, CodeMeaning", ""),
)

_REPORT: tuple[Row, ...] = (
    (
        "SOP Common, Patient, Study, General Equipment",
        "as the waveform object, but without ConversionSourceAttributesSequence",
        "a UID of its own, a hash of the whole object too; the same study",
    ),
    (
        "Encapsulated Document Series",
        "Modality, SeriesInstanceUID, SeriesNumber, SeriesDescription",
        f'{dicom_object.MODALITY}; a series of its own for each received document; "{dicom_pdf.SERIES_DESCRIPTION}"',
    ),
    ("SC Equipment", "ConversionType", "WSD"),
    (
        "Encapsulated Document",
        "InstanceNumber, ContentDate, ContentTime, AcquisitionDateTime",
        "as the waveform object; AcquisitionDateTime is empty where unknown",
    ),
    (
        "Encapsulated Document",
        "BurnedInAnnotation, VerificationFlag, DocumentTitle, ConceptNameCodeSequence",
        f'YES; UNVERIFIED; "{report.TITLE}", once a person approved it "{report.TITLE_CHECKED}"; the code of the '
        "result, see the codes",
    ),
    (
        "Encapsulated Document",
        "SourceInstanceSequence (ReferencedSOPClassUID, ReferencedSOPInstanceUID, PurposeOfReferenceCodeSequence)",
        "121324 DCM Source image: the object the page came in; absent where it came as a file",
    ),
    (
        "Encapsulated Document",
        "MIMETypeOfEncapsulatedDocument, EncapsulatedDocument, EncapsulatedDocumentLength",
        "application/pdf; one page A4, see the report",
    ),
)

_GOES_INTO = {
    "StudyInstanceUID": "the study of what is sent",
    "RequestedProcedureID": "StudyID",
    "RequestedProcedureDescription": "shown, where the step has no description",
    "AdmissionID": "visit number",
    "PlacerOrderNumberImagingServiceRequest": "placer order number",
    "FillerOrderNumberImagingServiceRequest": "filler order number",
}

_ASKED: tuple[Row, ...] = tuple((keyword, _GOES_INTO.get(keyword, keyword)) for keyword in worklist.KEYS)

_CHANNEL_STATUS: tuple[Row, ...] = (
    ("OK", "none of the following"),
    (
        "QUESTIONABLE",
        "a finding of severity warning concerns the lead, or one of severity error the whole page; its median standard "
        f"deviation is above {channels.SIGMA_QUESTIONABLE_MV:g} mV; or more than {channels.UNREAD_QUESTIONABLE:.0%} of "
        "it was bridged or not read. For `viewers` also where zeros stand in the channel that nobody printed",
    ),
    (
        "INVALID",
        "nothing of it could be read, a finding of severity error concerns the lead, or samples beyond "
        f"{channels.REACH / 1000:g} mV were held at that limit",
    ),
    ("UNCALIBRATED", "its gain was assumed, not seen on the page; beside another status or alone"),
)


def received() -> str:
    """What comes in."""
    texts_kb, held_kb = dicom_header.TEXTS_MAX_BYTES // 1024, staging.HELD_MAX_BYTES // 1024
    return f"""\
## DICOM: what it receives

Service class provider of Verification (C-ECHO) and Storage (C-STORE). Default AE title `CARDIOSCAN`, port 11112. The
calling AE titles and addresses that may associate are configured; the called AE title is checked. An object that a
sender repeats is the same job.

{table(("Storage SOP class", "UID"), ((uid.name, str(uid)) for uid in STORAGE_CLASSES))}
{table(("Transfer syntax, most wanted first", "UID"), ((uid.name, str(uid)) for uid in TRANSFER_SYNTAXES))}
Deflated transfer syntaxes are not accepted.

{table(("C-STORE answer", "Meaning"), ((f"{int(status):04X}H", _ANSWERS[status]) for status in Status))}
Error Comment says why. Of an object, the texts and numbers before its pixels are read; sequences and private elements
are stepped over. An object with more than {dicom_header.ELEMENTS_MAX} elements and items before its pixels, sequences
nested more than {dicom_header.DEPTH_MAX} deep, or more than {texts_kb} KB of texts is answered C000H. The
association is aborted where a request other than a C-STORE has more than {held_kb} KB, or where more than
{staging.WAITING_MAX} wait for an answer.

An association is rejected as "local limit exceeded", which is transient, beyond `associations_max` and beyond
`associations_per_address_max` from one address. It is aborted after `network_timeout_s` of silence, after
`store_within_s` without a C-STORE, and where an object comes more slowly than `receive_rate_min_bytes_s`.

Every frame of an image, and every page of an encapsulated PDF, is a page of its own. Patient, study and order are taken
from the object as they stand; the acquisition time from the attributes in `identity.acquired_at_from`. An Encapsulated
PDF that a CardioScan Gateway made is refused: read again, each report would make another.

Pixels are looked at after the answer. Grey of more than 8 bits goes through the object's VOI LUT or window, or shows
all its values where neither is of use; colour is scaled by Bits Stored. Planar Configuration, Bits Allocated, Bits
Stored, High Bit, Pixel Representation, Samples per Pixel and Number of Frames may be missing where the rest tells them.
An overlay plane of type G is drawn onto its page. An object whose pixels cannot be read is refused in the worklist, by
the attribute that stands in the way.

A text that is not of its Specific Character Set, or has none, is read where it is valid UTF-8. Any other is left out,
and one that tells whose page it is holds the page. Fractions of a second are cut to six digits; a date or time that
cannot be read is left out and told. A Study Instance UID is kept with its leading zeros.
"""


def sent() -> str:
    """What goes out."""
    classes = ((uid.name, str(uid)) for uid in _SENT)
    return f"""\
## DICOM: what it sends

Service class user of Verification and Storage. Objects are encoded in {ExplicitVRLittleEndian.name} and have an empty
preamble; an archive that takes only Implicit VR Little Endian gets them so.

{table(("Storage SOP class", "UID"), classes)}
{table(("Answer of the archive", "Taken as", "Meaning"), (_answer(status) for status in _ARCHIVE_ANSWERS))}
What is to be tried again is tried with growing pauses a bounded number of times, then the delivery is parked and a
person is told.

### The waveform object

{table(("`encoding`", "SOP class", "Multiplex groups"), _ENCODINGS)}
A page with more than {dicom_waveform.TWELVE_LEAD_CHANNELS} strips, {dicom_waveform.TWELVE_LEAD_GROUPS} sets or
{dicom_waveform.TWELVE_LEAD_SAMPLES} samples goes out `padded`, as General ECG where 12-Lead ECG is too small;
`viewers` keeps its form, as General ECG where it has more samples. No sample is interpolated, held or tiled over
seconds that were not printed.

{table(("Module", "Attributes", "Content"), _ATTRIBUTES)}
{table(("ChannelStatus", "When"), _CHANNEL_STATUS)}
### The report object

Sent after the waveform of the same page where the destination's `report` is true.

{table(("Module", "Attributes", "Content"), _REPORT)}"""


def worklist_keys() -> str:
    """Whom it asks."""
    defaults = WorklistSection.model_fields
    days_back, days_ahead = defaults["days_back"].default, defaults["days_ahead"].default
    return f"""\
## DICOM: what it asks

Service class user of Modality Worklist ({worklist.FIND}), where `[[worklist]]` names one: it is asked when a person
searches for whose ECG a held page is. What was typed is put as several C-FINDs in one association, by
{worklist.KEYS[0]}, by {worklist.KEYS[1]}, and by the beginning of {worklist.KEYS[2]} in up to three spellings with the
wildcard `*`; each for {days_back} days back to {days_ahead} ahead and the modality ECG, or as configured. An answer
that does not fit what was typed is left out. Beyond `matches_max` a C-CANCEL is sent, and after `timeout_s` the
association ends. A letter beyond ASCII is asked for as `*`, a name without any ASCII letter in ISO_IR 192; answers are
read in the character set that they name.

{table(("Attribute", "Goes into"), _ASKED)}
Also asked for: {", ".join(worklist.STEP_KEYS)} of ScheduledProcedureStepSequence, which are shown.
"""


def _answer(status: int) -> Row:
    meaning = meaning_of(status)
    return f"{status:04X}H", meaning.outcome.value.replace("_", " "), meaning.text
