"""A C-STORE is answered before its page is looked at: what the page lacks is the job's reason, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config import Config
from gateway.job import Job, State
from gateway.service.worker import Worker
from gateway.store import Store
from tests.gateway.intake.test_dicom_scp import listening, page, send
from tests.recordings import three_by_four

SUCCESS = 0x0000


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.model_validate({"data": {"folder": tmp_path / "data", "reserve_mb": 0}})


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with Store.open(config.data) as opened:
        yield opened


def stored_and_worked_on(config: Config, store: Store, **attributes: object) -> Job:
    """The job of a page with these attributes, once a worker has taken it through; None leaves one out."""
    made = page()
    for keyword, value in attributes.items():
        if value is None:
            delattr(made, keyword)
        else:
            made.add_new(keyword, made[keyword].VR if keyword in made else "CS", value)
    with listening(store) as scp:
        assert send(scp.port, made).Status == SUCCESS
    worker = Worker("test", config, store, lambda read, *_given: replace(three_by_four(), findings=read.findings), "{}")
    assert worker.work_once()
    return store.job(store.jobs()[0].job_id)


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"PixelData": None}, "Pixel Data (7FE0,0010)"),
        ({"PixelData": bytes(10)}, "Pixel Data (7FE0,0010)"),
        ({"Rows": None}, "Rows (0028,0010)"),
        ({"PhotometricInterpretation": "CMYK"}, "PhotometricInterpretation"),
        ({"BitsAllocated": 32}, "BitsAllocated"),
        ({"PixelRepresentation": 9}, "Pixel Representation"),
    ],
)
def test_pixels_that_cannot_be_read_are_taken_and_then_refused_by_the_attribute(
    config: Config, store: Store, attributes: dict[str, object], named: str
) -> None:
    job = stored_and_worked_on(config, store, **attributes)
    assert job.state == State.REFUSED
    assert named in job.why


def test_a_name_of_no_known_character_set_holds_the_page(config: Config, store: Store) -> None:
    name = "Müller^Jürgen".encode("latin-1")
    job = stored_and_worked_on(config, store, PatientName=name + b" ", SpecificCharacterSet=None)
    assert (job.state, job.code) == (State.HELD, "characters_not_read")
    assert "PatientName" in job.why
    order = store.order(job.job_id)
    assert order is not None
    assert order.patient.name == ""


def test_a_time_that_cannot_be_read_is_told_and_the_page_goes_its_way(config: Config, store: Store) -> None:
    job = stored_and_worked_on(config, store, StudyTime=b"noon")
    assert job.state == State.DELIVERED
    assert "time_not_read" in store.pages(job.job_id)[0].summary


def test_a_time_of_seven_digits_is_the_ecgs_time(config: Config, store: Store) -> None:
    job = stored_and_worked_on(config, store, StudyTime=b"143000.1234567")
    order = store.order(job.job_id)
    assert order is not None
    assert order.acquired_at == "20240131143000.123456"
