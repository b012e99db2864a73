"""Asks a modality worklist by C-FIND (PS3.4 K) whose procedure an ECG may belong to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom.association import Association

from gateway.config import WorklistSection
from gateway.errors import Refused, TryAgain
from gateway.identity.candidate import OrderCandidate
from gateway.identity.dicom_values import is_archived_uid
from gateway.identity.order import Order, Patient
from gateway.patient_search.association import Call
from gateway.patient_search.question import UNREADABLE, is_answer, keys_of
from gateway.unpack.dicom_order import DAMAGE, Texts

VERIFICATION = UID("1.2.840.10008.1.1")
FIND = UID("1.2.840.10008.5.1.4.31")  # Modality Worklist Information Model – FIND

# What is asked for. The first three are matched by, one in each C-FIND, and so are a step's day and modality.
KEYS = (
    "PatientID",
    "AccessionNumber",
    "PatientName",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "ReferringPhysicianName",
    "AdmissionID",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
)
STEP_KEYS = (
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "Modality",
    "ScheduledProcedureStepDescription",
    "ScheduledProcedureStepID",
)
# PS3.4 K.4.1.1.4. Pending with a warning: it does not match by every optional key, which is compared here anyway.
PENDING = (0xFF00, 0xFF01)
SUCCESS, CANCELLED = 0x0000, 0xFE00
UNASKED_PER_MATCH = 10  # answers read for each that is wanted: a worklist that ignores a key answers with everybody
LEFT_OUT = "a text that could not be read is left out"


@dataclass(frozen=True)
class Answer:
    """What a worklist told, and why that is not all it might have; code and why are "" where it is."""

    matches: tuple[OrderCandidate, ...]
    code: str = ""
    why: str = ""


def find(config: WorklistSection, text: str, today: date) -> Answer:
    """The scheduled procedures that a person's words ask for. Takes timeout_s and hardly more, and raises nothing.

    today: by the clock of the hospital.
    """
    query = _Query(config, text, today)
    try:
        query.ask()
    except (TryAgain, Refused) as error:
        return Answer(tuple(query.found), error.code, error.why)
    return Answer(tuple(query.found), query.code, query.why)


def echo(config: WorklistSection) -> None:
    """Asks whether the worklist is there, knows us, and may be asked.

    Raises Refused (it takes no such questions), TryAgain (no connection, no association, no answer).
    """
    call = Call(config)
    with call.association(VERIFICATION, FIND) as association:
        accepted = {context.abstract_syntax for context in association.accepted_contexts}
        if FIND not in accepted:
            raise call.not_taken((FIND,))
        if VERIFICATION in accepted:
            response = association.send_c_echo()
            if "Status" not in response or response.Status != SUCCESS:
                raise TryAgain("no_echo", f"{call.peer} accepts an association but does not answer C-ECHO")


def order_of(dataset: Dataset) -> tuple[Order, bool]:
    """What an answer says of patient and request, and whether texts were left out that could not be decoded."""
    texts = Texts(dataset)
    broken = [keyword for keyword in KEYS if keyword in texts.unread]
    sex = texts["PatientSex"].upper()
    patient = Patient(
        patient_id=texts["PatientID"],
        issuer=texts["IssuerOfPatientID"],
        name=texts["PatientName"],
        birth_date=texts.date("PatientBirthDate"),
        sex=sex if sex in ("M", "F", "O") else "",
    )
    order = Order(
        patient=patient,
        study_uid=texts["StudyInstanceUID"] if is_archived_uid(texts["StudyInstanceUID"]) else "",
        study_id=texts["RequestedProcedureID"],
        accession_number=texts["AccessionNumber"],
        referring_physician=texts["ReferringPhysicianName"],
        placer_order_number=texts["PlacerOrderNumberImagingServiceRequest"],
        filler_order_number=texts["FillerOrderNumberImagingServiceRequest"],
        visit_number=texts["AdmissionID"],
    )
    return order, bool(broken)


def order_candidate(dataset: Dataset, source: str) -> OrderCandidate:
    """An answer in the gateway's words: whose, and what is scheduled when."""
    order, broken = order_of(dataset)
    step = _step(dataset)
    at, day = _scheduled(step)
    texts = Texts(dataset)
    what = step["ScheduledProcedureStepDescription"] or texts["RequestedProcedureDescription"] or step["Modality"]
    parts = (what.replace(UNREADABLE, "?"), day and f"on {day}", LEFT_OUT if broken else "")
    return OrderCandidate(order, source, at, ", ".join(part for part in parts if part))


class _Query:
    """One person's words put to one worklist."""

    def __init__(self, config: WorklistSection, text: str, today: date) -> None:
        self.found: dict[OrderCandidate, None] = {}
        self.code = self.why = ""
        self._config = config
        self._text = text
        self._days = f"{_day(today, -config.days_back)}-{_day(today, config.days_ahead)}"
        self._read = 0

    def ask(self) -> None:
        """Raises TryAgain, Refused; what was found before that stays."""
        questions = keys_of(self._text)
        if not questions:
            return
        call = Call(self._config)
        with call.association(FIND) as association:
            for number, keys in enumerate(questions, 1):
                self._find(call, association, number, keys)
                if self._enough:
                    most = self._config.matches_max
                    self.code = "too_many"
                    self.why = f"{call.peer} knows more than is shown (the first {most}); say more of the name"
                    return

    @property
    def _enough(self) -> bool:
        most = self._config.matches_max
        return len(self.found) >= most or self._read >= most * UNASKED_PER_MATCH

    def _find(self, call: Call, association: Association, number: int, keys: dict[str, str]) -> None:
        cancelled = False
        for response, identifier in association.send_c_find(self._identifier(keys), FIND, msg_id=number):
            if "Status" not in response:  # pynetdicom's way to say: timed out, aborted, or an invalid answer
                raise call.ended()
            status = int(response.Status)
            if status not in PENDING:
                if status not in (SUCCESS, CANCELLED):
                    self.code, self.why = "failed", f"{call.peer} answered {status:04X} to a part of the question"
                return
            if cancelled:
                continue  # on their way before it heard
            if identifier is not None:  # None: it cannot be decoded
                self._take(identifier)
            if self._enough:
                association.send_c_cancel(number, query_model=FIND)
                cancelled = True

    def _take(self, dataset: Dataset) -> None:
        self._read += 1
        candidate = order_candidate(dataset, self._config.name)
        texts = Texts(dataset)
        if is_answer(candidate.order, texts["PatientName"] or texts.unread.get("PatientName", ""), self._text):
            self.found[candidate] = None

    def _identifier(self, keys: dict[str, str]) -> Dataset:
        step = Dataset()
        for keyword in STEP_KEYS:
            setattr(step, keyword, "")
        step.ScheduledProcedureStepStartDate = self._days
        step.Modality = self._config.modality
        dataset = Dataset()
        for keyword in KEYS:
            setattr(dataset, keyword, keys.get(keyword, ""))
        dataset.ScheduledProcedureStepSequence = [step]
        if not all(value.isascii() for value in keys.values()):
            dataset.SpecificCharacterSet = "ISO_IR 192"
        return dataset


def _step(dataset: Dataset) -> Texts:
    """The scheduled step of an answer, which has one; empty where it is missing or damaged."""
    try:
        return Texts(next(iter(dataset.get("ScheduledProcedureStepSequence") or ()), Dataset()))
    except DAMAGE:
        return Texts(Dataset())


def _scheduled(step: Texts) -> tuple[datetime | None, str]:
    """The moment a step is scheduled for, by this machine's clock; or the day alone where no time is told."""
    day, time = step.date("ScheduledProcedureStepStartDate"), step.time("ScheduledProcedureStepStartTime")
    if not day:
        return None, ""
    if not time:
        return None, f"{day[:4]}-{day[4:6]}-{day[6:]}"
    digits = time.partition(".")[0].ljust(6, "0")
    try:
        return datetime.strptime(day + digits, "%Y%m%d%H%M%S").astimezone(), ""
    except (ValueError, OverflowError, OSError):  # second 60; a year that no clock has
        return None, f"{day[:4]}-{day[4:6]}-{day[6:]}"


def _day(today: date, days: int) -> str:
    return f"{today + timedelta(days=days):%Y%m%d}"
