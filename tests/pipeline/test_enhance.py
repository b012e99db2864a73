"""Each branch mends what it is for, and pages that need nothing stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.enhance import denoise, enhance, equalize, even_light, white_balance
from pipeline.recording import Degradation, Source, UInt8
from pipeline.source import SourceGuess


def lined_page() -> UInt8:
    page = np.full((400, 600, 3), 230, np.uint8)
    page[::20] = (200, 120, 120)
    page[:, ::20] = (200, 120, 120)
    page[198:201, 50:550] = 20
    return page


def guess(source: Source, **severities: float) -> SourceGuess:
    return SourceGuess(source, 1.0, 0.0, tuple(severities.get(d.value, 0.0) for d in Degradation))


@pytest.mark.parametrize("source", [Source.FAX_FINE, Source.FAX_STANDARD, Source.DIGITAL_RENDER])
def test_leaves_faxes_and_renders_alone(source: Source) -> None:
    page = lined_page()
    worst = guess(source, **{d.value: 1.0 for d in Degradation})
    assert np.array_equal(enhance(page, worst), page)


def test_leaves_a_good_scan_alone() -> None:
    page = lined_page()
    assert np.array_equal(enhance(page, guess(Source.COLOUR_SCAN, noise=0.2)), page)


def test_evens_out_a_shadow() -> None:
    light = np.linspace(1.0, 0.4, 600)[None, :, None]
    shaded = (lined_page() * light).astype(np.uint8)
    mended = even_light(shaded)
    paper = mended[10::20, 10::20, 1].astype(float)
    assert paper.std() / paper.mean() < 0.06
    assert np.std(shaded[10::20, 10::20, 1]) / np.mean(shaded[10::20, 10::20, 1]) > 0.2


def test_makes_paper_neutral() -> None:
    tinted = (lined_page() * np.array([1.0, 0.9, 0.7])).astype(np.uint8)
    paper = white_balance(tinted)[10, 10].astype(int)
    assert np.ptp(paper) < 25 < np.ptp(tinted[10, 10].astype(int))


def test_takes_off_grain_and_keeps_lines() -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(lined_page() + rng.normal(0, 8, (400, 600, 1)), 0, 255).astype(np.uint8)
    clean = denoise(noisy)
    assert clean[5:15, 105:115].std() < 0.7 * noisy[5:15, 105:115].std()
    assert clean[199, 300].mean() < 60


def test_raises_the_contrast_of_a_faded_page() -> None:
    grain = np.random.default_rng(0).normal(0, 3, (400, 600, 1))
    faded = np.clip(190 + lined_page() / 8 + grain, 0, 255).astype(np.uint8)

    def contrast(page: UInt8) -> float:
        return float(page[190:196, 105:115].mean() - page[199, 100:500].mean())

    assert contrast(equalize(faded)) > 1.3 * contrast(faded)


def test_composes_the_branches_and_keeps_size_and_type() -> None:
    everything = guess(Source.PHOTO_OF_PAPER, **{d.value: 1.0 for d in Degradation})
    page = lined_page()
    out = enhance(page, everything)
    assert (out.shape, out.dtype) == (page.shape, page.dtype)
    row = out[:, 300, :].mean(axis=1)
    assert abs(int(np.argmin(row)) - 199) <= 1
