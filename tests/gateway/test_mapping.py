"""gateway/mapping.py: the tables have no holes, and a hole is found."""

from __future__ import annotations

import re
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.mapping import Measured, SentItem, Unit, load, mappings
from pipeline.findings import FindingCode, UnreadableCode
from pipeline.recording import TWELVE, Severity


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the tables that ship."""
    for entry in files("mappings").iterdir():
        if entry.name.endswith(".toml"):
            shutil.copy(str(entry), tmp_path / entry.name)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_word_of_the_pipeline_has_a_row() -> None:
    tables = mappings()
    assert set(tables.leads) == set(TWELVE)
    assert set(tables.findings) == set(FindingCode)
    assert set(tables.unreadable) == set(UnreadableCode)
    assert (set(tables.units), set(tables.measured), set(tables.sent)) == (set(Unit), set(Measured), set(SentItem))


def test_lead_codes_are_those_of_cid_3001() -> None:
    from pydicom.sr import _concepts_dict

    known = {
        code
        for names in _concepts_dict.concepts["MDC"].values()
        for code, (_, contexts) in names.items()
        if 3001 in contexts
    }
    for lead in TWELVE:
        row = mappings().leads[lead]
        assert row.mdc in known
        assert row.meaning == f"Lead {lead}"  # viewers sort by it
        assert row.aecg == f"MDC_ECG_LEAD_{lead.value.upper()}"
        assert row.mdc == f"2:{row.scp}"  # SCP-ECG and MDC number the twelve leads alike


def test_measured_numbers_have_the_concepts_of_dicom() -> None:
    from pydicom.sr import _concepts_dict

    known = {
        code
        for names in _concepts_dict.concepts["MDC"].values()
        for code, (_, contexts) in names.items()
        if {3227, 3228, 3229} & set(contexts)
    }
    for what, row in mappings().measured.items():
        assert row.dicom.code in known or (what, row.dicom.system) == (Measured.HEART_RATE, "LN")
        assert row.aecg.startswith("MDC_ECG_")


def test_no_two_leads_share_a_code() -> None:
    rows = mappings().leads.values()
    for codes in ({r.mdc for r in rows}, {r.aecg for r in rows}, {r.scp for r in rows}):
        assert len(codes) == 12


def test_tables_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        mappings().leads[TWELVE[0]] = mappings().leads[TWELVE[1]]  # type: ignore[index]


def test_a_missing_lead_is_named(folder: Path) -> None:
    edit(folder / "leads.toml", "[V4]", "[V4x]")
    with pytest.raises(ConfigError, match=r"leads\.toml: no entry for V4"):
        load(folder)


def test_a_missing_finding_is_named(folder: Path) -> None:
    text = (folder / "findings.toml").read_text()
    (folder / "findings.toml").write_text(re.sub(r"\[finding\.flat_lead\]\n.*\n.*\n", "", text))
    with pytest.raises(ConfigError, match="no entry for flat_lead"):
        load(folder)


def test_an_unknown_finding_is_named(folder: Path) -> None:
    with (folder / "findings.toml").open("a") as file:
        file.write('[finding.tea_stain]\ntext = "Tea."\nseverity = "info"\n')
    with pytest.raises(ConfigError, match="unknown entry tea_stain"):
        load(folder)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("findings.toml", 'severity = "warning"', 'severity = "dire"', "severity"),
        ("observations.toml", 'unit = "degree"', 'unit = "furlong"', "unit"),
        ("observations.toml", "decimals = 0", 'decimals = "none"', "decimals"),
        ("leads.toml", 'mdc = "2:1"', 'mdc = ""', "mdc"),
        ("units.toml", 'ucum = "uV"', 'ucumm = "uV"', "ucumm"),
        ("units.toml", "[degree]", "[degree", "cannot be read"),
    ],
)
def test_a_wrong_entry_is_named(folder: Path, file: str, old: str, new: str, said: str) -> None:
    edit(folder / file, old, new)
    with pytest.raises(ConfigError, match=said) as caught:
        load(folder)
    assert file in str(caught.value)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "units.toml").unlink()
    with pytest.raises(ConfigError, match=r"units\.toml cannot be read"):
        load(folder)


def test_finding_text_of_an_unknown_code_is_the_code() -> None:
    assert mappings().finding_text("from_an_older_version") == "from_an_older_version"
    assert mappings().finding_text("flat_lead") == mappings().findings[FindingCode.FLAT_LEAD].text
    assert mappings().findings[FindingCode.LOW_CONFIDENCE].severity == Severity.ERROR
