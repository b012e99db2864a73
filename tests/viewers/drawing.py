"""What viewers of npm make of a DICOM object in a real Chromium; of cornerstone's ECGViewport, measured on its pixels.

The viewers are npm's own, with the versions of package-lock.json. `make viewers` fetches them; here they are only
bundled, and nothing is asked of a network when they run.
"""

from __future__ import annotations

import base64
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser import Watch
from tests.viewers.readers import Shown

HERE = Path(__file__).parent
BUNDLES = HERE.parents[1] / "build" / "viewers"  # git ignores it
WINDOW = {"width": 1400, "height": 900}  # CSS pixels: a viewer on a usual desktop screen
EMPTY = "<!doctype html><title>ECG</title><body></body>"

# The viewport draws on a sheet of its own units, 150 to a second, which it stretches over the window. A trace is one
# unit wide, white over red rulings and an orange zero line; a name is yellow, on black that reaches 4 units beyond it.
UNITS_PER_S = 150
NAME_EDGE_UNITS = 4
TRACE_BLUE = 60  # of 255: only traces hold blue; of a line between two rows of pixels each gets half


@dataclass(frozen=True, eq=False)
class Text:
    """Something written on the canvas: its left end and its foot, px."""

    text: str
    x: float
    y: float
    width: float


@dataclass(frozen=True, eq=False)
class Row:
    """One channel as the viewport places it, px, y down. millivolts: float64 (n,), the samples it was given."""

    millivolts: npt.NDArray[np.float64]
    left: float
    right: float
    zero: float
    one: float

    @property
    def px_per_mv(self) -> float:
        return self.zero - self.one


@dataclass(frozen=True, eq=False)
class Drawing:
    """A viewport of 1400 x 900 CSS pixels. picture: uint8 (900, 1400, 3) RGB; png: the same as a file."""

    rate_hz: float
    texts: tuple[Text, ...]
    rows: tuple[Row, ...]
    picture: npt.NDArray[np.uint8]
    png: bytes

    @property
    def names(self) -> list[str]:
        """What is written beside the rows, from the top, without the word Lead."""
        return [text.text.removeprefix("Lead ") for text in sorted(self.texts, key=lambda text: text.y)]

    @property
    def names_apart_px(self) -> float:
        """The least distance of two names, foot to foot: rows of low leads are drawn one over the other's name."""
        return float(np.diff(sorted(text.y for text in self.texts)).min())

    def astray_px(self, row: Row, millivolts: npt.NDArray[np.floating[Any]]) -> float:
        """How far the row's trace lies from where these millivolts belong, at its worst; infinite where none is.

        millivolts: (n,) over the whole row. Names are written over traces: the columns of pixels they cover are left
        out.
        """
        y = row.zero - row.px_per_mv * np.asarray(millivolts, np.float64)
        x = row.left + (row.right - row.left) * np.arange(len(y)) / len(y)
        unit = (row.right - row.left) / (len(y) / self.rate_hz * UNITS_PER_S)
        band = slice(max(int(y.min() - 3 * unit), 0), int(y.max() + 3 * unit) + 1)  # the next row is 5 units away
        trace = self.picture[band, :, 2] > TRACE_BLUE
        first = max(text.x + text.width for text in self.texts) + NAME_EDGE_UNITS * unit + 1
        return (
            max(
                _astray(
                    np.flatnonzero(trace[:, column]) + band.start + 0.5,
                    y[(x >= column) & (x <= column + 1)],
                    y[(x >= column - unit) & (x <= column + 1 + unit)],
                )
                for column in range(int(first) + 1, int(row.right) - 1)
            )
            - unit / 2
        )


def _astray(shown: npt.NDArray[np.float64], inside: npt.NDArray[np.float64], around: npt.NDArray[np.float64]) -> float:
    """Of one column of pixels: how far the trace reaches beyond the samples around, or falls short of those inside."""
    if not shown.size:
        return float("inf")
    beyond = max(around.min() - shown.min(), shown.max() - around.max())
    short = max(shown.min() - inside.min(), inside.max() - shown.max())
    return float(max(beyond, short))


def bundle(page: str) -> Path:
    """A script of this folder and its packages as one file, made anew where either is newer. Skips without them."""
    bundler = HERE / "node_modules" / ".bin" / "esbuild"
    if not bundler.exists():
        pytest.skip("the viewers' packages are not installed: make viewers")
    made = BUNDLES / page
    sources = (HERE / page, HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json")
    if not made.exists() or made.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        BUNDLES.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUNDLES) as folder:
            new = Path(folder) / page
            arguments = ["--bundle", "--format=iife", "--minify", "--log-level=warning", f"--outfile={new}"]
            subprocess.run([bundler, page, *arguments], cwd=HERE, check=True, timeout=120)
            new.replace(made)
    return made


@contextmanager
def page_with(script: str, browser: Browser) -> Iterator[Page]:
    """A page that runs a script of this folder. Fails where it complains, or asks a network for anything."""
    page, watch = browser.new_page(viewport=WINDOW, device_scale_factor=1), Watch()
    watch.on(page, "about:")
    page.set_content(EMPTY)
    page.add_script_tag(path=bundle(script))
    yield page
    assert (watch.complaints, watch.strangers) == ([], [])


def draw(page: Page, dicom: bytes) -> Drawing:
    """A DICOM file, opened in the viewport of a page with viewport.js, as a person opens one after another."""
    told = page.evaluate("(file) => window.show(file)", base64.b64encode(dicom).decode())
    png = page.screenshot()
    assert (told["width"], told["height"]) == (WINDOW["width"], WINDOW["height"])
    rows = [Row(np.array(row.pop("microvolts")) / 1000.0, **row) for row in told["rows"]]
    picture = np.asarray(Image.open(BytesIO(png)).convert("RGB"))
    return Drawing(told["rate"], tuple(Text(**text) for text in told["texts"]), tuple(rows), picture, png)


def read(page: Page, dicom: bytes) -> Shown:
    """What a page with web_viewer.js reads of a DICOM file."""
    told = page.evaluate("(file) => window.read(file)", base64.b64encode(dicom).decode())
    return Shown(told["names"], np.array(told["millivolts"], float), told["rate"])
