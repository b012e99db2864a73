"""A page read again: what says the same is the same document, what does not is told from it and comes after it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from gateway.config import Config
from gateway.identity.order import Order, Patient
from gateway.job import Arrival, DocumentKind, Door, State
from gateway.review import NO_CORRECTION
from gateway.service.worker import Worker
from gateway.store import DeliveryState, Store
from gateway.store.job_rows import DeliveryRow
from pipeline.recording import Correction, Page, Recording
from tests.recordings import six_by_two, three_by_four

WHOSE = Order(patient=Patient("P-1"), acquired_at="20261130232500", acquired_from="test")
LATE = datetime(2026, 12, 1, 4, 30, 5, 700_000, UTC)  # 23:30 of the day before in New York


class Clock(datetime):
    """Stands where the test says."""

    at = LATE

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Clock:
        return cls.fromtimestamp(cls.at.timestamp(), tz)


@pytest.fixture(autouse=True)
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    monkeypatch.setattr("gateway.service.worker.datetime", Clock)
    monkeypatch.setattr(Clock, "at", LATE)
    yield
    monkeypatch.undo()
    time.tzset()


class World:
    """A job with a waveform for the PACS and a message for the EHR. layout: what the page is read as."""

    def __init__(self, folder: Path, store: Store, config: Config) -> None:
        self.store, self.config = store, config
        staged = store.staging / "page.tif"
        Image.fromarray(np.full((40, 60), 200, np.uint8)).save(staged, "TIFF")
        sha256 = hashlib.sha256(staged.read_bytes()).hexdigest()
        self.job_id = store.receive(staged, Arrival(Door.FAX, "fax", order=WHOSE), sha256=sha256).job_id

    def digitize(self, _page: Page, correction: Correction = NO_CORRECTION, /) -> Recording:
        return replace(six_by_two() if correction.layout == "6x2" else three_by_four(), confidence=0.95)

    def work(self) -> State:
        assert Worker("test", self.config, self.store, self.digitize, "{}").work_once()
        return self.store.job(self.job_id).state

    def half_sent(self) -> None:
        """The PACS took its document, the EHR did not."""
        for name in ("pacs", "ehr"):
            delivery = self.store.claim_delivery(name, 60)
            assert delivery is not None
            if name == "pacs":
                self.store.delivered(delivery, "0000")
            else:
                self.store.park(delivery, "AR", "rejected")
        assert self.store.job(self.job_id).state is State.HELD

    def corrected(self, correction: Correction) -> None:
        """Read otherwise by a person's word, and let out."""
        self.store.reviews.correct(self.job_id, 1, correction, "carl")
        self.work()
        if self.store.job(self.job_id).state is State.HELD:
            self.store.reviews.approve(self.job_id, "rita")
            assert self.work() is State.DIGITIZED

    def rows(self, kind: DocumentKind) -> list[DeliveryRow]:
        return [row for row in self.store.deliveries(self.job_id) if row.kind is kind]

    def sent(self, kind: DocumentKind) -> list[bytes]:
        return [self.store.object_path(row.sha256).read_bytes() for row in self.rows(kind)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    folders = [
        {"kind": "folder", "name": name, "folder": tmp_path / name, "documents": [document]}
        for name, document in (("pacs", "dicom_waveform"), ("ehr", "hl7v2"))
    ]
    config = Config.model_validate({"data": {"folder": tmp_path / "data", "reserve_mb": 0}, "destination": folders})
    with Store.open(config.data) as store:
        yield World(tmp_path, store, config)


def order_of(data: bytes) -> tuple[str, int]:
    """Content Date and Time, and Instance Number."""
    ds = dcmread(BytesIO(data))
    return ds.ContentDate + ds.ContentTime, int(ds.InstanceNumber)


def told_at(message: bytes) -> str:
    """MSH-7, which is OBR-22 too."""
    lines = {line.split("|")[0]: line.split("|") for line in message.decode().split("\r")}
    assert lines["MSH"][6] == lines["OBR"][22]
    return lines["MSH"][6]


def test_a_result_of_half_past_eleven_is_dated_that_day_and_says_its_offset(world: World) -> None:
    assert world.work() is State.DIGITIZED
    (waveform,), (message,) = world.sent(DocumentKind.DICOM_WAVEFORM), world.sent(DocumentKind.HL7V2)
    ds = dcmread(BytesIO(waveform))
    assert (ds.ContentDate, ds.ContentTime, ds.TimezoneOffsetFromUTC) == ("20261130", "233005", "-0500")
    assert ds.ContributingEquipmentSequence[0].ContributionDateTime == "20261130233005-0500"
    assert told_at(message) == "20261130233005-0500"


def test_read_again_alike_the_documents_are_the_same_to_the_byte_and_none_goes_twice(world: World) -> None:
    world.work()
    before = [world.sent(kind) for kind in DocumentKind]
    world.half_sent()
    Clock.at = LATE + timedelta(hours=3)
    world.store.retry(world.job_id, "rita")
    assert world.work() is State.DIGITIZED
    assert [world.sent(kind) for kind in DocumentKind] == before
    states = {row.destination: row.state for row in world.store.deliveries(world.job_id)}
    assert states == {"pacs": DeliveryState.DELIVERED, "ehr": DeliveryState.QUEUED}


def test_read_again_alike_after_the_zone_was_set_the_documents_are_the_same_to_the_byte(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a container ran on UTC until somebody set TZ: the offset is part of what the document says."""
    world.work()
    before = [world.sent(kind) for kind in DocumentKind]
    world.half_sent()
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    Clock.at = LATE + timedelta(hours=3)
    world.store.retry(world.job_id, "rita")
    assert world.work() is State.DIGITIZED
    assert [world.sent(kind) for kind in DocumentKind] == before
    delivery = world.store.claim_delivery("ehr", 60)
    assert delivery is not None
    world.store.park(delivery, "AR", "rejected")
    world.corrected(Correction(layout="6x2"))
    second = world.sent(DocumentKind.DICOM_WAVEFORM)[-1]
    assert order_of(second) == ("20261201083005", 10_001)  # what is new is told by the clock of now


@pytest.mark.parametrize("passed", [timedelta(hours=3), timedelta(0), timedelta(days=-1)], ids=str)
def test_a_second_reading_is_told_from_the_first_and_ordered_after_it(world: World, passed: timedelta) -> None:
    """Also where the clock was set back in between."""
    world.work()
    world.half_sent()
    Clock.at = LATE + passed
    world.corrected(Correction(layout="6x2"))
    (time_1, number_1), (time_2, number_2) = map(order_of, world.sent(DocumentKind.DICOM_WAVEFORM))
    assert time_1 < time_2
    assert (number_1, number_2) == (1, 10_001)
    first, second = map(told_at, world.sent(DocumentKind.HL7V2))
    assert first < second


def test_a_reading_that_says_what_the_first_said_comes_after_the_second_all_the_same(world: World) -> None:
    world.work()
    world.half_sent()
    world.corrected(Correction(layout="6x2"))
    world.half_sent()
    world.corrected(NO_CORRECTION)
    orders = [order_of(data) for data in world.sent(DocumentKind.DICOM_WAVEFORM)]
    assert orders == sorted(orders)
    assert [number for _, number in orders] == [1, 10_001, 20_001]
    assert len({row.name for row in world.rows(DocumentKind.DICOM_WAVEFORM)}) == 3


def test_another_destination_s_first_document_makes_no_other_a_second_one(world: World, tmp_path: Path) -> None:
    world.work()
    world.half_sent()
    Clock.at = LATE + timedelta(hours=3)
    new = {"kind": "folder", "name": "new", "folder": tmp_path / "new", "documents": ["dicom_waveform"]}
    world.config = Config.model_validate(
        {"data": world.config.data, "destination": [*world.config.model_dump()["destination"], new]}
    )
    world.store.retry(world.job_id, "rita")
    world.work()
    first, second = world.sent(DocumentKind.DICOM_WAVEFORM)
    assert [row.destination for row in world.rows(DocumentKind.DICOM_WAVEFORM)] == ["pacs", "new"]
    assert (order_of(first), order_of(second)) == (("20261130233005", 1), ("20261201023005", 1))
