"""What cornerstone's ECGViewport draws of a DICOM object in a real Chromium, measured on its pixels.

The viewport is npm's own, with the versions of package-lock.json. `npm ci` in this folder fetches it; here it is only
bundled, and nothing is asked of a network when it runs.
"""

from __future__ import annotations

import base64
import subprocess
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Browser

from tests.browser import Watch

HERE = Path(__file__).parent
BUNDLE = HERE.parents[1] / "build" / "viewers" / "viewport.js"
WINDOW = {"width": 1400, "height": 900}  # CSS pixels: a viewer on a usual desktop screen
PAGE = "<!doctype html><title>ECG</title><body></body>"

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


def bundle() -> Path:
    """The viewport and its page as one script, made anew where its sources or its packages are newer."""
    bundler = HERE / "node_modules" / ".bin" / "esbuild"
    if not bundler.exists():
        pytest.skip("cornerstone's viewport is not installed: npm ci in tests/viewers")
    sources = (HERE / "viewport.js", HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json")
    if not BUNDLE.exists() or BUNDLE.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        BUNDLE.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUNDLE.parent) as folder:
            made = Path(folder) / BUNDLE.name
            arguments = ["--bundle", "--format=iife", "--minify", "--log-level=warning", f"--outfile={made}"]
            subprocess.run([bundler, "viewport.js", *arguments], cwd=HERE, check=True, timeout=120)
            made.replace(BUNDLE)
    return BUNDLE


class Viewer:
    """A page with one viewport, in which one file after another is opened, as a person does it."""

    def __init__(self, browser: Browser) -> None:
        self._watch = Watch()
        self._page = browser.new_page(viewport=WINDOW, device_scale_factor=1)
        self._watch.on(self._page, "about:")
        self._page.set_content(PAGE)
        self._page.add_script_tag(path=bundle())

    def draw(self, dicom: bytes) -> Drawing:
        """A DICOM file, opened. Fails where the page complains or asks a network for anything."""
        told = self._page.evaluate("(file) => window.show(file)", base64.b64encode(dicom).decode())
        png = self._page.screenshot()
        assert (self._watch.complaints, self._watch.strangers) == ([], [])
        assert (told["width"], told["height"]) == (WINDOW["width"], WINDOW["height"])
        rows = [Row(np.array(row.pop("microvolts")) / 1000.0, **row) for row in told["rows"]]
        picture = np.asarray(Image.open(BytesIO(png)).convert("RGB"))
        return Drawing(told["rate"], tuple(Text(**text) for text in told["texts"]), tuple(rows), picture, png)
