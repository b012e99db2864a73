"""With a network: it names the kind, a fax's file has the last word, and no page with signs of an ECG is refused."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch

from pipeline.errors import WeightsError
from pipeline.networks import Opened, Running, Weights, build_source
from pipeline.recording import Degradation, Float32, Source, UInt8
from pipeline.source import SourceReader, SourceReading, classify
from pipeline.source.opinion import together
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import clean_page, faxed_page
from pipeline.training.data.pages import PooledPage
from pipeline.training.fit.source_rules import count, text_of
from pipeline.training.train.source import task

MUTE = tuple(0.25 for _ in Degradation)


@dataclass(frozen=True)
class Says:
    """A network that says the same of every page: the probability of one kind, the rest spread evenly."""

    kind: Source
    probability: float = 0.9

    def read(self, image: UInt8) -> SourceReading:
        rest = (1 - self.probability) / (len(Source) - 1)
        return SourceReading(tuple(self.probability if kind is self.kind else rest for kind in Source), MUTE)


@pytest.fixture(scope="module")
def signals() -> Float32:
    return synthetic_ecg(np.random.default_rng(4), 10.0, 500)


def blank() -> UInt8:
    return np.full((600, 800, 3), 250, np.uint8)


def test_the_network_names_the_kind_and_the_severities(signals: Float32) -> None:
    page = clean_page(signals, 500, 1).page
    guess = classify(page.image, page.dpi, Says(Source.COLOUR_SCAN))
    assert (guess.source, guess.degradations) == (Source.COLOUR_SCAN, MUTE)
    assert guess.score > 0.8
    assert guess.not_an_ecg < 0.01


def test_the_rules_outvote_a_network_that_hardly_knows(signals: Float32) -> None:
    page = clean_page(signals, 500, 1).page
    assert classify(page.image, page.dpi, Says(Source.PHOTO_OF_SCREEN, 0.2)).source is Source.DIGITAL_RENDER


def test_what_rules_and_network_say_together_is_a_probability() -> None:
    for said in Source:
        if said is not Source.NOT_AN_ECG:
            likely = together(Says(Source.CREASED).read(blank()), said)
            assert sum(likely.values()) == pytest.approx(1.0)
            assert set(likely) == set(Source) - {Source.NOT_AN_ECG}
    assert together(Says(Source.CREASED).read(blank()), Source.PHOTO_OF_PAPER)[Source.CREASED] > 0.9


def test_what_the_rules_say_is_counted_and_written_as_it_is_read(signals: Float32) -> None:
    pages = [PooledPage(make(signals, 500, 1), ()) for make in (clean_page, faxed_page)]
    counted = count(pages)
    assert counted[Source.FAX_FINE, Source.FAX_FINE] == 1
    assert tomllib.loads(text_of(counted))["fax_fine"] == {"fax_fine": 1}


def test_refuses_a_page_that_shows_nothing_when_the_network_is_clear() -> None:
    guess = classify(blank(), None, Says(Source.NOT_AN_ECG, 0.95))
    assert guess.source is Source.NOT_AN_ECG
    assert guess.score == guess.not_an_ecg == pytest.approx(0.95)


def test_refuses_no_page_that_the_network_takes_for_an_ecg() -> None:
    guess = classify(blank(), None, Says(Source.NOT_AN_ECG, 0.03))
    assert guess.source is not Source.NOT_AN_ECG
    assert guess.not_an_ecg == pytest.approx(0.03)


def test_refuses_a_page_on_which_rules_see_nothing_and_the_network_does_not_contradict() -> None:
    assert classify(blank(), None, Says(Source.NOT_AN_ECG, 0.2)).source is Source.NOT_AN_ECG
    thin = np.full((600, 800, 3), 255, np.uint8)
    thin[300, 60:740:9] = 0  # one bit a pixel, a trace in dashes as a fax leaves it
    assert classify(thin, None, Says(Source.NOT_AN_ECG, 0.2)).source is not Source.NOT_AN_ECG


def test_leaves_a_page_to_the_later_stages_where_the_network_hardly_doubts() -> None:
    """Noise hid ruling and traces from the rules on a photo whose lead names anybody can read."""
    assert classify(blank(), None, Says(Source.NOT_AN_ECG, 0.06)).source is not Source.NOT_AN_ECG


def test_refuses_no_page_with_ruling_whatever_the_network_says(signals: Float32) -> None:
    page = clean_page(signals, 500, 1).page
    assert classify(page.image, page.dpi, Says(Source.NOT_AN_ECG, 0.99)).source is not Source.NOT_AN_ECG


def test_refuses_no_page_with_a_trace_whatever_the_network_says() -> None:
    page = np.ascontiguousarray(blank())
    x = np.arange(60, 740, 4)
    wave = np.column_stack([x, 300 + 20 * np.sin(x / 40)])
    cv2.polylines(page, [np.rint(wave).astype(np.int32)], False, (20, 20, 20), 2)
    assert classify(page, None, Says(Source.NOT_AN_ECG, 0.99)).source is not Source.NOT_AN_ECG


@pytest.mark.parametrize(("fine", "kind"), [(True, Source.FAX_FINE), (False, Source.FAX_STANDARD)])
def test_the_file_of_a_fax_knows_better_than_the_network(signals: Float32, fine: bool, kind: Source) -> None:
    page = faxed_page(signals, 500, 1, fine=fine).page
    assert classify(page.image, page.dpi, Says(Source.BW_SCAN)).source is kind


def test_a_resolution_like_a_faxs_makes_no_fax_of_a_page_in_colour(signals: Float32) -> None:
    page = clean_page(signals, 500, 1).page
    assert classify(page.image, (204.0, 196.0), Says(Source.COLOUR_SCAN)).source is Source.COLOUR_SCAN


def test_a_fax_that_says_nothing_of_its_resolution_is_what_the_network_says(signals: Float32) -> None:
    page = faxed_page(signals, 500, 1, fine=True).page
    assert classify(page.image, None, Says(Source.FAX_FINE)).source is Source.FAX_FINE


class Shown(torch.nn.Module):
    """Remembers what it was shown; all its logits are 0."""

    def __init__(self) -> None:
        super().__init__()
        self.shape: tuple[int, ...] = ()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.shape = tuple(pixels.shape)
        assert float(pixels.min()) >= -1
        assert float(pixels.max()) <= 1
        return torch.zeros(len(pixels), len(Source) + len(Degradation))


def opened(network: torch.nn.Module, side: int | str) -> Opened:
    arguments: dict[str, int | float | str | bool | list[int]] = {"side": side}
    return Opened(Running(network), Weights("source", "source.safetensors", "", "", 1, "", "", arguments=arguments))


def test_the_reader_shows_pictures_of_the_side_the_manifest_names() -> None:
    network = Shown()
    reading = SourceReader.of(opened(network, 192)).read(blank())
    assert network.shape[1:] == (3, 192, 192)
    assert reading.probabilities == pytest.approx([1 / len(Source)] * len(Source))
    assert reading.severities == pytest.approx([0.5] * len(Degradation))


def test_a_side_that_is_no_number_is_refused() -> None:
    with pytest.raises(WeightsError, match="side"):
        SourceReader.of(opened(Shown(), "large"))


def test_an_untrained_network_of_the_recipe_gives_probabilities() -> None:
    network = build_source(**(task("efficientnet_b0", 128).arguments)).eval()  # type: ignore[arg-type]
    reading = SourceReader(Running(network), 128).read(blank())
    assert sum(reading.probabilities) == pytest.approx(1.0, abs=1e-5)
    assert all(0 <= severity <= 1 for severity in reading.severities)
