"""Rules explained on a file: read as its door reads it, and honest on what would hold it before any rule."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gateway.commands import explain
from gateway.commands.explain import explain_file
from gateway.config import Config, PipelineSection
from gateway.digitizer.load import LoadedDigitizer
from gateway.disposition.decide import ReviewedPage, order_reasons, page_reasons
from gateway.disposition.reasons import phrase
from gateway.errors import Refused
from gateway.identity.order import Order, Patient
from gateway.job import Door, PageResult, Verdict
from pipeline.errors import Unreadable
from pipeline.recording import Page, Recording
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import clean_page
from tests.dicom_objects import dicom_object, gradient, put_pixels, save

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return clean_page(synthetic_ecg(np.random.default_rng(3), 10.0, 500), 500, seed=3).truth.recording


@pytest.fixture(autouse=True)
def _eye(monkeypatch: pytest.MonkeyPatch, recording: Recording) -> None:
    monkeypatch.setattr(explain, "load_digitizer", lambda *_: LoadedDigitizer(lambda *_: recording, "{}"))


def held_before_rules(config: Config, order: Order, recording: Recording, received_at: datetime) -> list[str]:
    page = ReviewedPage(PageResult(1, Verdict.DIGITIZED), recording)
    return [phrase(config, r) for r in (*page_reasons(config, page), *order_reasons(config, order, received_at))]


def _explained(path: Path, **identity: str) -> str:
    config = Config.model_validate(
        {
            "fax_inbox": [{"name": "fax", "folder": path.parent, **identity}],
            "destination": [{"kind": "folder", "name": "out", "folder": path.parent / "out"}],
            "rule": [
                {"name": "of 4711", "when": [{"field": "order.patient_id", "equals": "4711"}], "send": ["out"]},
            ],
        }
    )
    return "\n".join(explain_file(config, path, sender="", called=""))


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "4711_page.png"
    Image.new("RGB", (60, 40), (255, 255, 255)).save(path)
    return path


def test_a_fax_is_routed_by_its_name(page: Path) -> None:
    told = _explained(page, file_name_pattern="(?P<patient_id>[0-9]+)_.*")
    assert "identity from the name" in told
    assert 'rule "of 4711": matched' in told


def test_a_sidecar_goes_before_the_name(page: Path) -> None:
    page.with_suffix(".json").write_text(json.dumps({"patient_id": "222"}))
    told = _explained(page, file_name_pattern="(?P<patient_id>[0-9]+)_.*")
    assert "identity from the sidecar 4711_page.json" in told
    assert 'rule "of 4711": did not match' in told


def test_says_that_a_page_without_identity_is_held_before_any_rule(page: Path) -> None:
    told = _explained(page)
    assert "held before any rule: no patient id" in told


@pytest.mark.parametrize(("door", "matched"), [(Door.WEB, "of the web"), (Door.FAX, "of a fax"), (None, "of a fax")])
def test_a_file_is_explained_as_the_door_that_is_named_would_read_it(
    page: Path, door: Door | None, matched: str
) -> None:
    """What comes by the window gets no patient from its name, and other rules than a fax."""
    config = Config.model_validate(
        {
            "identity": {"require": ()},
            "fax_inbox": [{"name": "fax", "folder": page.parent, "file_name_pattern": "(?P<patient_id>[0-9]+)_.*"}],
            "destination": [{"kind": "folder", "name": "out", "folder": page.parent / "out"}],
            "rule": [
                {"name": "of the web", "when": [{"field": "door", "equals": "web"}], "send": ["out"]},
                {"name": "of a fax", "when": [{"field": "door", "equals": "fax"}], "send": ["out"]},
            ],
        }
    )
    told = "\n".join(explain_file(config, page, sender="", called="", door=door))
    assert f'rule "{matched}": matched' in told
    assert f"read as the {door or 'fax'} door would" in told
    assert ("identity from the name" in told) == (door is not Door.WEB)
    no_inbox = config.model_copy(update={"fax_inbox": ()})
    assert "read as the web door would" in "\n".join(explain_file(no_inbox, page, sender="", called=""))


def test_a_door_that_does_not_take_the_file_says_so(page: Path) -> None:
    with pytest.raises(Refused, match="DICOM objects only"):
        list(explain_file(Config(), page, sender="", called="", door=Door.DICOM))
    made = dicom_object()
    put_pixels(made, gradient()[None])
    save(made, page.with_suffix(".dcm"))
    with pytest.raises(Refused, match="takes no DICOM"):
        list(explain_file(Config(), page.with_suffix(".dcm"), sender="", called="", door=Door.FAX))


def test_says_that_a_doubtful_page_is_held_before_any_rule(recording: Recording) -> None:
    known = Order(patient=Patient("1"))
    assert not list(held_before_rules(Config(), known, replace(recording, confidence=0.9), NOW))
    (why,) = held_before_rules(Config(), known, replace(recording, confidence=0.1), NOW)
    assert why == "confidence 10 % is below pipeline.confidence_min 90 %"


@pytest.mark.parametrize(
    ("acquired_at", "held"),
    [
        ("20240601", False),
        ("202406020000", False),  # already that day in the east
        ("20240602130000", True),
        ("202407", True),
        ("2024", False),
        ("2025", True),
    ],
)
def test_a_recording_from_after_its_page_was_received_is_held(
    recording: Recording, acquired_at: str, held: bool
) -> None:
    order = Order(patient=Patient("1"), acquired_at=acquired_at)
    told = list(held_before_rules(Config(), order, replace(recording, confidence=0.9), NOW))
    assert told == (["the recording time lies ahead of the day on which the page was received"] if held else [])


@pytest.mark.parametrize(("confidence", "told"), [(0.8969, "89 %"), (0.89999, "89 %"), (0.57, "57 %"), (1.0, "100 %")])
def test_a_confidence_is_never_told_as_higher_than_it_is(recording: Recording, confidence: float, told: str) -> None:
    assert replace(recording, confidence=confidence).confidence_text == told


def test_a_threshold_is_told_as_exactly_as_it_was_written(recording: Recording) -> None:
    config = Config(pipeline=PipelineSection(confidence_min=0.8995))
    (why,) = held_before_rules(config, Order(patient=Patient("1")), replace(recording, confidence=0.8991), NOW)
    assert why == "confidence 89 % is below pipeline.confidence_min 89.95 %"


def test_says_that_one_page_keeps_a_whole_document_waiting(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "4711_20240131.tif"
    pages = [Image.new("L", (60, 40), shade) for shade in (255, 250, 245)]
    pages[0].save(path, "TIFF", save_all=True, append_images=pages[1:])
    reads: list[Recording | Unreadable] = []

    def digitize(_page: Page, *_: object) -> Recording:
        result = reads.pop(0)
        if isinstance(result, Unreadable):
            raise result
        return result

    monkeypatch.setattr(explain, "load_digitizer", lambda *_: LoadedDigitizer(digitize, "{}"))
    sure, cover = replace(recording, confidence=0.99, findings=()), Unreadable("not_an_ecg", "A letter.", sure=True)
    reads += [cover, sure, replace(sure, confidence=0.1)]
    told = _explained(path, file_name_pattern="(?P<patient_id>[0-9]+)_.*")
    assert told.splitlines()[-1] == (
        "the document goes out whole or waits whole, and does not go out: "
        "page 3: confidence 10 % is below pipeline.confidence_min 90 %"
    )
    reads += [cover, sure, sure]
    dated = "(?P<patient_id>[0-9]+)_(?P<acquired_at>[0-9]+)[.].*"
    assert "does not go out" not in _explained(path, file_name_pattern=dated)
    reads += [cover, sure, sure]
    told = _explained(path, file_name_pattern="(?P<patient_id>[0-9]+)_.*")
    why = "nothing says when it was recorded, and what goes to out must"
    assert told.splitlines()[-1].endswith(f"does not go out: {why}")
    assert f"held for what it is sent as: {why}" in told
