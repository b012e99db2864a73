"""Where HL7's aECG schema lies. It is HL7's and not in this repository."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

VARIABLE = "CARDIOSCAN_AECG_XSD"
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data" / "aecg-xsd"


def aecg_schema() -> etree.XMLSchema:
    """PORT_MT020001 compiled; skips with the reason where it is not at hand."""
    folder = Path(os.environ.get(VARIABLE, str(BESIDE)))
    file = folder / "schema" / "PORT_MT020001.xsd" if folder.is_dir() else folder
    if not file.is_file():
        pytest.skip(f"HL7's aECG schema is not here: {VARIABLE} names its folder or PORT_MT020001.xsd itself")
    return _compiled(file)


@cache
def _compiled(file: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(file)))
