"""The fonts are shipped, with their licences, so that nothing that runs needs matplotlib."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipeline.calibration.phrases import FONTS as PHRASE_FONTS
from pipeline.calibration.text import COARSE_FONTS
from pipeline.fonts import FOLDER, path, truetype
from pipeline.glyphs import font
from pipeline.landmarks.lettering import FONTS as NAME_FONTS
from pipeline.unread.named import FONTS as FURTHER_NAME_FONTS

ROOT = Path(__file__).parents[2]
# Stages look for letters in these; "" is Pillow's own font.
FACES = (*PHRASE_FONTS, *COARSE_FONTS, *NAME_FONTS, *FURTHER_NAME_FONTS)

WITHOUT_MATPLOTLIB = """
import sys
sys.modules["matplotlib"] = None  # an import of it raises
import gateway.commands.digitize, gateway.demo.run, gateway.emit.report, pipeline.digitize
from gateway.emit.report.lettering import fonts
print(len(fonts()) > 5000)
"""


@pytest.mark.parametrize("face", sorted({face for face in FACES if face}))
def test_every_font_that_a_stage_looks_for_is_shipped(face: str) -> None:
    assert path(face).parent == FOLDER
    assert font(face).getname() == truetype(face, 12).getname()


def test_each_family_has_its_licence_beside_it() -> None:
    licences = {file.name.removeprefix("LICENSE_").lower() for file in FOLDER.glob("LICENSE_*")}
    families = {next(name for name in licences if file.stem.lower().startswith(name)) for file in FOLDER.glob("*.ttf")}
    assert families == licences == {"dejavu", "stix"}


def test_the_gateway_runs_without_matplotlib() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_MATPLOTLIB], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not any(need.startswith("matplotlib") for need in project["dependencies"])


def test_a_font_that_is_not_shipped_is_said_to_be_none() -> None:
    with pytest.raises(FileNotFoundError, match="cmr10"):
        path("cmr10")
