"""Without weights: kinds of pages are told apart by rules, and only what shows nothing of an ECG is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.recording import Degradation, Float32, Source, UInt8
from pipeline.source import SourceReading, classify
from pipeline.source.page_statistics import Strokes, fitted_text
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import PageSpec, clean_page, faxed_page, render, render_not_an_ecg, scanned_page
from pipeline.synth.spec import Camera, GridStyle, Paper, Wear
from pipeline.training.fit.text import fit


@pytest.fixture(scope="module")
def signals() -> Float32:
    return synthetic_ecg(np.random.default_rng(4), 10.0, 500)


def test_knows_a_digital_render(signals: Float32) -> None:
    page = clean_page(signals, 500, 1).page
    assert classify(page.image, page.dpi).source is Source.DIGITAL_RENDER


def test_knows_a_colour_scan(signals: Float32) -> None:
    page = scanned_page(signals, 500, 1).page
    assert classify(page.image, page.dpi).source is Source.COLOUR_SCAN


@pytest.mark.parametrize(("fine", "kind"), [(True, Source.FAX_FINE), (False, Source.FAX_STANDARD)])
def test_knows_the_two_kinds_of_fax(signals: Float32, fine: bool, kind: Source) -> None:
    page = faxed_page(signals, 500, 1, fine=fine).page
    guess = classify(page.image, page.dpi)
    assert guess.source is kind
    assert guess.score > 0.5


def test_knows_a_photograph_by_its_light(signals: Float32) -> None:
    wear = Wear(shadow=0.9, noise=0.2, blur=0.2)
    spec = PageSpec(camera=Camera(tilt_deg=(6.0, 4.0)), wear=wear, source=Source.PHOTO_OF_PAPER)
    guesses = [classify(render(signals, 500, spec, seed).page.image) for seed in range(4)]
    assert sum(g.source is Source.PHOTO_OF_PAPER for g in guesses) >= 2
    assert sum(g.severity(Degradation.SHADOW) > 0.3 for g in guesses) >= 2


def test_refuses_letters_forms_and_pictures() -> None:
    refused = 0
    for seed in range(100, 124):
        page = render_not_an_ecg(seed)
        guess = classify(page.image, page.dpi)
        assert guess.source is not Source.NOT_AN_ECG or guess.not_an_ecg > 0.9
        refused += guess.source is Source.NOT_AN_ECG
    # the rest, such as faxes, empty ECG paper and charts of curves, is left to the stages that look for rows of leads
    assert refused >= 8


def test_takes_no_ecg_without_a_grid_for_something_else(signals: Float32) -> None:
    for seed in range(3):
        page = render(signals, 500, PageSpec(paper=Paper(style=GridStyle.NONE)), seed).page
        assert classify(page.image, page.dpi).not_an_ecg < 0.2


def test_gives_every_degradation_a_severity_between_0_and_1(signals: Float32) -> None:
    page = scanned_page(signals, 500, 1).page
    guess = classify(page.image, page.dpi)
    assert len(guess.degradations) == len(Degradation)
    assert all(0.0 <= d <= 1.0 for d in guess.degradations)


@pytest.mark.parametrize("value", [0, 255])
def test_takes_an_empty_page_for_no_ecg(value: int) -> None:
    assert classify(np.full((500, 700, 3), value, np.uint8)).source is Source.NOT_AN_ECG


def test_takes_the_hardest_photographs_and_faxes_for_ecgs(signals: Float32) -> None:
    worst = Wear(shadow=1.0, colour_cast=1.0, low_contrast=1.0, noise=1.0, blur=1.0)
    photo = PageSpec(camera=Camera(tilt_deg=(15.0, 10.0)), wear=worst, source=Source.PHOTO_OF_PAPER)
    for seed in range(2):
        pages = (render(signals, 500, photo, seed).page, faxed_page(signals, 500, seed, fine=False).page)
        assert all(classify(page.image, page.dpi).source is not Source.NOT_AN_ECG for page in pages)


class Doubts:
    """A network that doubts every page a little: one in a hundred ECGs looks so."""

    def read(self, image: UInt8) -> SourceReading:
        others = len(Source) - 1
        kinds = tuple(0.3 if kind is Source.NOT_AN_ECG else 0.7 / others for kind in Source)
        return SourceReading(kinds, (0.0,) * len(Degradation))


def test_a_letter_that_is_only_doubted_is_none_by_its_text() -> None:
    letters = [classify(page.image, page.dpi, Doubts()) for page in map(render_not_an_ecg, (4, 10, 40))]
    assert [(guess.source, guess.surely_none) for guess in letters] == [(Source.NOT_AN_ECG, True)] * 3


@pytest.mark.parametrize("fine", [False, True])
def test_no_fax_of_an_ecg_is_surely_none_at_whatever_resolution(signals: Float32, fine: bool) -> None:
    page = faxed_page(signals, 500, 1, fine=fine).page
    for dpi in (None, (204.0, 98.0), (204.0, 196.0), (204.0, 391.0)):
        assert not classify(page.image, dpi, Doubts()).surely_none


def test_an_ecg_without_ruling_below_a_long_report_is_not_surely_none(signals: Float32) -> None:
    letter = render_not_an_ecg(10).image
    page = render(signals, 500, PageSpec(paper=Paper(style=GridStyle.NONE)), 1).page.image
    half = cv2.resize(letter[: letter.shape[0] // 2], (page.shape[1], page.shape[0] // 2), interpolation=cv2.INTER_AREA)
    assert not classify(np.ascontiguousarray(np.vstack((half, page))), None, Doubts()).surely_none


def test_the_bound_of_text_is_fitted_where_most_letters_are_told() -> None:
    ecgs = [Strokes(3.0, ((0.01, 0.5), (0.04, 30.0))), Strokes(0.2, ((0.01, 0.9),))]
    letters = [Strokes(0.0, ((0.01, 0.4),) * 20), Strokes(0.0, ((0.025, 0.4),) * 20), Strokes(0.0, ())]
    assert fit(ecgs, letters) == (0.03, 1.8, 2)
    assert fitted_text().much > 0
