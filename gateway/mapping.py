"""mappings/*.toml as frozen tables, checked for holes at start."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.errors import ConfigError
from pipeline.findings import FindingCode, UnreadableCode
from pipeline.recording import Lead, Severity


class Unit(StrEnum):
    """The rows of units.toml."""

    MICROVOLT = "microvolt"
    SECOND = "second"
    MILLISECOND = "millisecond"
    PER_MINUTE = "per_minute"
    DEGREE = "degree"
    RATIO = "ratio"


class Measured(StrEnum):
    """The rows [measured.*] of observations.toml: numbers an EHR may be sent."""

    HEART_RATE = "heart_rate"
    RR_INTERVAL = "rr_interval"
    PR_INTERVAL = "pr_interval"
    QRS_DURATION = "qrs_duration"
    QT_INTERVAL = "qt_interval"
    QTC_INTERVAL = "qtc_interval"
    QTC_FRIDERICIA = "qtc_fridericia"
    P_AXIS = "p_axis"
    QRS_AXIS = "qrs_axis"
    T_AXIS = "t_axis"


class SentItem(StrEnum):
    """The rows [sent.*] of observations.toml: texts and documents an EHR is sent."""

    PROVENANCE = "provenance"
    FINDING = "finding"
    WAVEFORM = "waveform"
    REPORT = "report"
    OMISSION = "omission"
    STANDARD_ERROR = "standard_error"
    NOT_MEASURED = "not_measured"


class Row(BaseModel):
    """One row of a table: frozen, no unknown entries, no empty texts."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_min_length=1)


class LeadCodes(Row):
    """One lead in the words of DICOM (CID 3001), HL7 aECG and SCP-ECG."""

    mdc: str
    meaning: str
    aecg: str
    scp: int


class UnitCode(Row):
    """A unit's UCUM code and its name for a person."""

    ucum: str
    meaning: str


class Code(Row):
    """A coded concept; system is an HL7 table 0396 name (LN, 99CSG)."""

    code: str
    system: str
    meaning: str


class StudyCode(Code):
    """What the whole result is (OBR-4) and its diagnostic section (OBR-24)."""

    section: str


class MeasuredCode(Code):
    """A measured number: its codes, its name for a clinician, its unit, and the digits after the point.

    narrower_code, narrower_meaning: of the same system, saying more, None where there is none.
    """

    short: str
    unit: Unit
    decimals: int
    narrower_code: str | None = None
    narrower_meaning: str | None = None
    dicom: Code
    aecg: str
    aecg_unit: str


class UnreadableWords(Row):
    """The sentence for a person that says why a page was not digitized."""

    text: str


class FindingWords(UnreadableWords):
    """A finding's sentence for a person and its usual severity."""

    severity: Severity


@dataclass(frozen=True)
class Mappings:
    """Every table. Each mapping holds a row for every member of its key's enumeration, and for nothing else."""

    leads: Mapping[Lead, LeadCodes]
    units: Mapping[Unit, UnitCode]
    findings: Mapping[FindingCode, FindingWords]
    unreadable: Mapping[UnreadableCode, UnreadableWords]
    study: StudyCode
    measured: Mapping[Measured, MeasuredCode]
    sent: Mapping[SentItem, Code]

    def finding_text(self, code: str) -> str:
        """The sentence of a finding; the code itself where no row says more (an older recording's word)."""
        row = next((finding for key, finding in self.findings.items() if key.value == code), None)
        return row.text if row else code


@cache
def mappings() -> Mappings:
    """The tables that ship with the gateway, read once."""
    return load(files("mappings"))


def load(folder: Traversable) -> Mappings:
    """Read a folder of mapping tables. Raises ConfigError naming file and row when one is missing, unknown or wrong."""
    findings = _read(folder, "findings.toml")
    observations = _read(folder, "observations.toml")
    _same_keys("findings.toml", findings, ("finding", "unreadable"))
    _same_keys("observations.toml", observations, ("study", "measured", "sent"))
    return Mappings(
        leads=_table("leads.toml", _read(folder, "leads.toml"), Lead, LeadCodes),
        units=_table("units.toml", _read(folder, "units.toml"), Unit, UnitCode),
        findings=_table("findings.toml [finding]", findings["finding"], FindingCode, FindingWords),
        unreadable=_table("findings.toml [unreadable]", findings["unreadable"], UnreadableCode, UnreadableWords),
        study=_row("observations.toml [study]", observations["study"], StudyCode),
        measured=_table("observations.toml [measured]", observations["measured"], Measured, MeasuredCode),
        sent=_table("observations.toml [sent]", observations["sent"], SentItem, Code),
    )


K = TypeVar("K", bound=StrEnum)
R = TypeVar("R", bound=Row)


def _read(folder: Traversable, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(folder.joinpath(name).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"mappings/{name} cannot be read: {error}") from error


def _table(where: str, rows: dict[str, Any], keys: type[K], kind: type[R]) -> Mapping[K, R]:
    _same_keys(where, rows, [key.value for key in keys])
    return MappingProxyType({key: _row(f"{where} {key.value}", rows[key.value], kind) for key in keys})


def _row(where: str, row: Any, kind: type[R]) -> R:
    try:
        return kind.model_validate(row)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"mappings/{where}: {wrong}") from error


def _same_keys(where: str, rows: Any, expected: list[str] | tuple[str, ...]) -> None:
    found = set(rows) if isinstance(rows, dict) else set()
    if missing := sorted(set(expected) - found):
        raise ConfigError(f"mappings/{where}: no entry for {', '.join(missing)}")
    if unknown := sorted(found - set(expected)):
        raise ConfigError(f"mappings/{where}: unknown entry {', '.join(unknown)}; known: {', '.join(expected)}")
