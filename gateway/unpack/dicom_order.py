"""Whose ECG a DICOM object says it is: a dataset's patient, study and acquisition time as an Order."""

from __future__ import annotations

import logging
import re
import struct
import unicodedata
import warnings
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pydicom
from pydicom import config as pydicom_config
from pydicom.datadict import dictionary_has_tag, dictionary_keyword, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from gateway.config import IdentitySection
from gateway.errors import Refused
from gateway.identity.dicom_values import is_archived_uid, is_date_time
from gateway.identity.order import Order, Patient, SourceImage, Unread
from gateway.unpack.dicom_text import decoded
from pipeline.findings import FindingCode

# pydicom warns about odd values by printing them: patient data in the log. Odd values are judged here instead.
pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
logging.getLogger("pydicom").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom\.")

# What pydicom raises on damaged input, found by reading it and by fuzzing.
DAMAGE = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    EOFError,
    ValueError,  # UnicodeError is one
    TypeError,
    LookupError,  # KeyError, IndexError, unknown character sets
    AttributeError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    MemoryError,
    AssertionError,
    struct.error,
    zlib.error,
)

LARGE_BYTES = 4096  # values beyond this are left in the file: no identifying text is that long
TEXT_MAX = 256  # characters of an attribute that routing rules may look at
TEXT_VRS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR"))
CHARACTER_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC"))  # PS3.5 6.1.2.3: of Specific Character Set
# Without an escape, ASCII is itself in every character set.
PLAIN_VRS = CHARACTER_VRS | {"AE", "AS", "CS", "DA", "DT", "TM", "UI"}
NUMBER_VRS = frozenset(("US", "SS", "UL", "SL", "FL", "FD", "UV", "SV"))

DATE = re.compile(r"\d{8}")
OLD_DATE = re.compile(r"(\d{4})\.(\d\d)\.(\d\d)")  # ACR-NEMA's form, which PS3.5 asks readers to accept
TIME = re.compile(r"\d\d(?:\d\d(?:\d\d(?:\.\d{1,6})?)?)?")
CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d(?:\.\d{1,6})?))?")
FINER_THAN_MICROSECONDS = re.compile(r"(\.\d{6})\d+")  # ticks of 100 ns, for one
UNKNOWN_MOMENT = re.compile(r"[0 .:]*")  # what software writes of a date that it does not know


# Whose page it is: a wrong letter in one of them sends it to somebody else. The others stand beside it.
IDENTIFYING = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "AccessionNumber",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "AdmissionID",
)
BESIDES = ("ReferringPhysicianName", "InstitutionName", "StudyID")


def read_header(path: Path) -> Dataset:
    """A DICOM file's dataset up to its pixels; large values stay in the file until asked for.

    Raises:
        Refused: the file cannot be read as DICOM.
    """
    try:
        dataset = pydicom.dcmread(path, defer_size=LARGE_BYTES, stop_before_pixels=True)
        len(dataset.file_meta)
        return dataset
    except DAMAGE as error:
        raise Refused("damaged", f"The DICOM dataset cannot be read ({type(error).__name__}).") from error


def order_from_dicom(dataset: Dataset, identity: IdentitySection) -> Order:
    """The Order in a dataset. What is missing or unreadable is "", never a guess.

    The acquisition time is the first of identity.acquired_at_from that holds a lawful date; a ...Date is joined with
    its ...Time. A Study Instance UID is kept as an archive knows it. One that no receiver could take counts as missing:
    what is made then belongs to a study of its own, as for a page that came as a file. What the object holds and could
    not be read is in the order's unread.
    """
    texts = Texts(dataset)
    acquired_at, acquired_from = acquired(texts, identity.acquired_at_from)
    patient = Patient(
        patient_id=texts["PatientID"],
        issuer=texts["IssuerOfPatientID"],
        name=texts["PatientName"],
        birth_date=texts.date("PatientBirthDate"),
        sex=texts["PatientSex"].upper() if texts["PatientSex"].upper() in ("M", "F", "O") else "",
    )
    return Order(
        patient=patient,
        study_uid=texts["StudyInstanceUID"] if is_archived_uid(texts["StudyInstanceUID"]) else "",
        study_id=texts["StudyID"],
        study_date=texts.date("StudyDate"),
        study_time=texts.time("StudyTime"),
        accession_number=texts["AccessionNumber"],
        referring_physician=texts["ReferringPhysicianName"],
        placer_order_number=texts["PlacerOrderNumberImagingServiceRequest"],
        filler_order_number=texts["FillerOrderNumberImagingServiceRequest"],
        institution=texts["InstitutionName"],
        acquired_at=acquired_at,
        acquired_from=acquired_from,
        visit_number=texts["AdmissionID"],
        character_set=texts["SpecificCharacterSet"],
        source=SourceImage(texts["SOPClassUID"], texts["SOPInstanceUID"]),
        attributes=tuple((keyword, text[:TEXT_MAX]) for keyword, text in texts.items() if text),
        unread=tuple(_unread(texts, identity.acquired_at_from)),
    )


def _unread(texts: Texts, sources: tuple[str, ...]) -> Iterator[Unread]:
    """What the object states of whose ECG it is, and when it was recorded, in a form that cannot be read."""
    for keyword in texts.unread:
        if keyword in IDENTIFYING or keyword in BESIDES:
            yield Unread(keyword, FindingCode.CHARACTERS_NOT_READ, must_hold=keyword in IDENTIFYING)
    if texts["StudyInstanceUID"] and not is_archived_uid(texts["StudyInstanceUID"]):
        yield Unread("StudyInstanceUID", FindingCode.STUDY_UID_NOT_KEPT)
    _, acquired_from = acquired(texts, sources)
    relevant = sources[: sources.index(acquired_from) + 1] if acquired_from else sources
    for keyword in dict.fromkeys((*relevant, *(_time_of(one) for one in relevant), "StudyDate", "StudyTime")):
        if not UNKNOWN_MOMENT.fullmatch(texts[keyword]) and not texts.moment(keyword):
            yield Unread(keyword, FindingCode.TIME_NOT_READ)


class Texts(dict[str, str]):
    """Every public top-level element that holds a text or numbers: keyword to text, in the file's order.

    "" for a keyword that is missing or whose element is damaged. Read in one pass, for a door is waiting.
    unread: those whose character set is not known, with what can be made out of them, for comparisons only.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self.unread: dict[str, str] = {}
        for tag in tuple(dataset.keys()):
            # the dictionary decides before the value is touched: bulk data stays in the file, damaged elements unread
            keyword = _text_keyword(int(tag))
            if not keyword:
                continue
            text = _decoded_text(dataset, tag, keyword)
            if text is None:
                self.unread[keyword] = text_of(dataset, keyword)
            self[keyword] = text or ""

    def __missing__(self, keyword: str) -> str:
        return ""

    def date(self, keyword: str) -> str:
        """A DA attribute as YYYYMMDD, "" where it is no date of the calendar."""
        text = self[keyword]
        old = OLD_DATE.fullmatch(text)
        text = "".join(old.groups()) if old else text
        return text if DATE.fullmatch(text) and is_date_time(text) else ""

    def time(self, keyword: str) -> str:
        """A TM attribute as HHMMSS[.f], as far as it is stated, "" where it is no time of day."""
        text = FINER_THAN_MICROSECONDS.sub(r"\1", self[keyword])
        clock = CLOCK.fullmatch(text)  # ACR-NEMA's form, and one digit for an hour before ten
        text = f"{int(clock[1]):02}{clock[2]}{clock[3] or ''}" if clock else text
        return text if TIME.fullmatch(text) and is_date_time("20000101" + text) else ""

    def moment(self, keyword: str) -> str:
        """An attribute of a date, a time or both in its lawful form, "" where it has none."""
        if keyword.endswith("DateTime"):
            text = FINER_THAN_MICROSECONDS.sub(r"\1", self[keyword])
            return text if is_date_time(text) else ""
        return self.date(keyword) if keyword.endswith("Date") else self.time(keyword)


def _time_of(keyword: str) -> str:
    """The attribute that a ...Date is joined with."""
    return f"{keyword.removesuffix('Date')}Time" if keyword.endswith("Date") else keyword


@lru_cache(maxsize=4096)
def _text_keyword(tag: int) -> str:
    """The keyword of a tag that the dictionary has as text or number, "" for any other."""
    if dictionary_has_tag(tag) and dictionary_VR(tag) in TEXT_VRS | NUMBER_VRS:
        return dictionary_keyword(tag)
    return ""


def text_of(dataset: Dataset, keyword: str) -> str:
    """An attribute as text, its values joined by backslashes as in the file; "" where missing or unreadable."""
    try:
        value = dataset.get(keyword)
        if value is None:
            return ""
        if isinstance(value, MultiValue):
            return "\\".join(_clean(str(one)) for one in value)
        return _clean(str(value))
    except DAMAGE:
        return ""


def _decoded_text(dataset: Dataset, tag: BaseTag, keyword: str) -> str | None:
    """text_of, but None where the attribute's characters cannot be known."""
    try:
        element: object = dataset.get_item(tag)
        if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
            return text_of(dataset, keyword)
        vr = dictionary_VR(element.tag)
        plain = _plain_text(element.value, vr, element)
        if plain is not None or vr not in CHARACTER_VRS:
            return text_of(dataset, keyword) if plain is None else plain
        declared = text_of(dataset, "SpecificCharacterSet").split("\\")
        text = decoded(element.value, declared, is_name=vr == "PN")
    except DAMAGE:
        return ""
    return None if text is None else "\\".join(map(_clean, text.split("\\")))


def _plain_text(raw: bytes, vr: str, element: RawDataElement) -> str | None:
    """What text_of makes of an element whose bytes are its text, at a tenth of the cost; None for any other."""
    if element.VR not in (None, vr):
        return None
    if vr in PLAIN_VRS and raw.isascii() and b"\x1b" not in raw:
        return "\\".join(map(_clean, raw.decode("ascii").split("\\")))
    if vr == "US" and len(raw) == 2:
        return str(int.from_bytes(raw, "little" if element.is_little_endian else "big"))
    return None


def _clean(text: str) -> str:
    """Without the padding of PS3.5 6.2 and without control characters, which no receiver of these texts allows.

    Other spaces than the ASCII one, such as U+3000 between the parts of a Japanese name, become that.
    """
    if not text.isprintable():
        spaced = (" " if unicodedata.category(c) == "Zs" else c for c in text)
        text = "".join(c for c in spaced if c.isprintable())
    return text.strip()


def acquired(texts: Texts, sources: tuple[str, ...]) -> tuple[str, str]:
    """(DICOM DT, the attribute that said so), both "" where none of the attributes holds a lawful moment."""
    for keyword in sources:
        if keyword.endswith("Date"):
            date = texts.date(keyword)
            moment = date + texts.time(keyword.removesuffix("Date") + "Time") if date else ""
        else:
            moment = texts.moment(keyword)
        if moment:
            return moment, keyword
    return "", ""
