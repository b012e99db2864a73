"""Order: whose ECG this is and who asked for it, whichever door it came through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Patient:
    """DICOM forms: name as PN (``Family^Given``), birth_date ``YYYYMMDD``, sex ``M``/``F``/``O``. "" where unknown."""

    patient_id: str = ""
    issuer: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True)
class SourceImage:
    """The DICOM object the page came in; both "" for a page that came as a file."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""


@dataclass(frozen=True)
class Unread:
    """An attribute that the page's object holds and that could not be read.

    code: of pipeline.findings. must_hold: whether the page waits for a person because of it.
    """

    keyword: str
    code: str
    must_hold: bool = False

    @property
    def detail(self) -> str:
        """What the page's finding says of it beside the code."""
        return f"attribute {self.keyword}"


@dataclass(frozen=True)
class Order:
    """Frozen at the door. Every text is "" where unknown; nothing is guessed.

    acquired_at: DICOM DT, possibly truncated (``2024``, ``20240131``, ``20240131143000``): when the ECG was recorded.
    acquired_from: the attribute or sidecar key that said so.
    by_person: whether a person said whose it is, or completed what the door knew of it.
    attributes: DICOM keywords (or sidecar keys) to values as text, for the routing rules.
    unread: what was stated and could not be read, for the page's findings.
    """

    patient: Patient = Patient()
    study_uid: str = ""
    study_id: str = ""
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    referring_physician: str = ""
    placer_order_number: str = ""
    filler_order_number: str = ""
    institution: str = ""
    acquired_at: str = ""
    acquired_from: str = ""
    visit_number: str = ""
    character_set: str = ""
    source: SourceImage = SourceImage()
    attributes: tuple[tuple[str, str], ...] = field(default=())
    by_person: bool = False
    unread: tuple[Unread, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able data; ``from_dict`` reads it back to an equal Order."""
        # not asdict: it copies every attribute pair in turn, a tenth of what receiving a page costs
        nested = {"patient": dict(vars(self.patient)), "source": dict(vars(self.source))}
        return {**vars(self), **nested, "unread": [dict(vars(each)) for each in self.unread]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Order:
        """The reverse of ``to_dict``; TypeError on an unknown key."""
        rest = dict(data)
        patient = Patient(**rest.pop("patient", {}))
        source = SourceImage(**rest.pop("source", {}))
        attributes = tuple((str(k), str(v)) for k, v in rest.pop("attributes", ()))
        unread = tuple(Unread(**each) for each in rest.pop("unread", ()))
        return cls(patient=patient, source=source, attributes=attributes, unread=unread, **rest)
