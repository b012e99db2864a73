"""Names of leads beyond the twelve."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline.findings import FindingCode
from pipeline.recording import CHEST, Finding, Lead, Severity
from pipeline.sheet import PX_PER_MM, Sheet
from pipeline.synth.lettering import font_of
from pipeline.unread import further_leads


@dataclass(frozen=True)
class Name:
    lead: Lead
    x_mm: float
    y_mm: float
    score: float = 0.9


def sheet_with(texts: list[str], face: str, capital_mm: float) -> tuple[Sheet, list[Name]]:
    """A sheet with texts below one another, each taken for a chest lead in turn."""
    image = Image.new("L", (60 * PX_PER_MM, 15 * len(texts) * PX_PER_MM))
    box = font_of(face, 96).getbbox("V")
    drawn = font_of(face, 96).font_variant(size=round(96 * capital_mm * PX_PER_MM / (box[3] - box[1])))
    names = []
    for k, (text, lead) in enumerate(zip(texts, sorted(CHEST) * 2, strict=False)):
        ImageDraw.Draw(image).text((20 * PX_PER_MM, (8 + 15 * k) * PX_PER_MM), text, fill=255, font=drawn, anchor="mm")
        names.append(Name(Lead(text) if text in {c.value for c in CHEST} else lead, 20.0, 8.0 + 15 * k))
    ink = np.asarray(image, np.float32) / 255
    ink += np.random.default_rng(1).normal(0, 0.03, ink.shape).astype(np.float32)
    marks = (ink > 0.5).astype(np.uint8)
    return Sheet(np.clip(ink, 0, 1), marks, np.ones(ink.shape, np.bool_), 0.0, 0.0), names


def found(texts: list[str], face: str = "DejaVuSans", capital_mm: float = 2.6) -> list[Finding]:
    sheet, names = sheet_with(texts, face, capital_mm)
    return list(further_leads(sheet, names))


@pytest.mark.parametrize("face", ["DejaVuSans", "STIXGeneralBol", "DejaVuSansMono-Bold", "cmss10"])
@pytest.mark.parametrize("capital_mm", [2.0, 3.3])
def test_the_names_of_the_chest_leads_are_none(face: str, capital_mm: float) -> None:
    assert found(["V1", "V2", "V3", "V4", "V5", "V6"], face, capital_mm) == []


@pytest.mark.parametrize("face", ["DejaVuSans", "STIXGeneral"])
def test_posterior_leads_are_told_beside_usual_ones(face: str) -> None:
    further = ["V7", "V8", "V9"]
    told = found(["V1", "V2", "V3", "V4", "V5", "V6", *further], face, 2.9)
    assert told
    assert {f.detail for f in told} <= {f"a name reads {text}" for text in further}
    assert {(f.code, f.severity) for f in told} == {(FindingCode.LEADS_NOT_DELIVERED, Severity.ERROR)}


def test_a_page_without_names_tells_none() -> None:
    sheet, _ = sheet_with(["V8"], "DejaVuSans", 2.6)
    assert list(further_leads(sheet, ())) == []


def test_a_name_at_the_papers_corner_is_looked_at_without_a_copy_of_the_sheet() -> None:
    ink = np.random.default_rng(1).uniform(0, 0.1, (2400, 2400)).astype(np.float32)
    sheet = Sheet(ink, np.zeros(ink.shape, np.uint8), np.ones(ink.shape, np.bool_), 0.0, 0.0)
    tracemalloc.start()
    try:
        assert list(further_leads(sheet, [Name(Lead.V1, 0.0, 0.0), Name(Lead.V2, 300.0, 300.0)])) == []
        assert tracemalloc.get_traced_memory()[1] < ink.nbytes / 2
    finally:
        tracemalloc.stop()
