"""Taking pages in, on both databases: bytes first, room, repeats, full disks."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.config import DataSection
from gateway.errors import OutOfSpace, QueueFull
from gateway.identity.order import Order, Patient
from gateway.job import Arrival, Door, State
from gateway.store import Store
from tests.gateway.storing import (
    arrival,
    claimed,
    digitized,
    document,
    held,
    on_its_way,
    receive,
    settled,
)


def test_keeps_a_page_as_it_came(store: Store) -> None:
    receipt = receive(store, b"a page")
    job = store.job(receipt.job_id)
    assert not receipt.duplicate
    assert (job.state, job.arrival, job.size_bytes, job.attempts) == (State.RECEIVED, arrival(), 6, 0)
    assert store.content(job).read_bytes() == b"a page"
    assert list(store.staging.glob("[!.]*")) == []


def test_keeps_a_page_that_came_without_an_order(store: Store) -> None:
    job_id = receive(store, b"a fax", Arrival(Door.FAX, "ward 3")).job_id
    assert store.job(job_id).arrival.order is None
    assert store.order(job_id) is None


def test_a_page_is_on_disk_before_its_row_is_committed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    real_sync, real_replace, real_write = os.fsync, Path.replace, store._database.write

    def sync(handle: int) -> None:
        kind = "folder" if Path(f"/proc/self/fd/{handle}").resolve().is_dir() else "file"
        steps.append(f"sync {kind}")
        real_sync(handle)

    def replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(self, target)

    def write() -> Any:
        steps.append("commit")
        return real_write()

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(store._database, "write", write)
    receive(store, b"a page")
    assert steps == ["sync file", "rename", "sync folder", "commit"]


def test_a_repeated_page_is_the_same_job(store: Store) -> None:
    first = receive(store, b"a page")
    again = receive(store, b"a page")
    assert (again.job_id, again.duplicate) == (first.job_id, True)
    assert store.counts()[State.RECEIVED] == 1
    assert list(store.staging.glob("[!.]*")) == []


DATED = replace(arrival(), order=replace(arrival().order or Order(), acquired_at="20240131", acquired_from="sidecar"))


def held_page(store: Store) -> str:
    """A page that its worker held because nothing said when it was recorded."""
    return settled(store, held("no_acquisition_date", "Nothing says when."))


def test_a_held_page_that_comes_again_with_its_date_is_done_again_with_it(store: Store) -> None:
    job_id = held_page(store)
    again = receive(store, b"a page", DATED)
    assert (again.job_id, again.duplicate) == (job_id, True)
    job = store.job(job_id)
    assert (job.state, job.arrival.order) == (State.RECEIVED, DATED.order)
    stream = io.StringIO()
    store.export_audit(stream)
    told = [(row["kind"], row["actor"]) for row in map(json.loads, stream.getvalue().splitlines())]
    assert told[-2:] == [("identified", "dicom:SCANNER"), ("repeated", "dicom:SCANNER")]
    assert store.verify_audit().ok


def test_a_held_page_that_comes_again_as_it_was_stays_held(store: Store) -> None:
    job_id = held_page(store)
    receive(store, b"a page")
    assert store.job(job_id).state is State.HELD


def test_a_repeat_that_knows_less_takes_nothing_away(store: Store) -> None:
    receive(store, b"a page", DATED)
    claim = claimed(store)
    store.settle(claim, held())
    receive(store, b"a page")
    assert (store.job(claim.job.job_id).state, store.order(claim.job.job_id)) == (State.HELD, DATED.order)


def test_a_repeat_does_not_overrule_a_person(store: Store) -> None:
    job_id = held_page(store)
    said = replace(DATED.order or Order(), acquired_at="20230101")
    store.identify(job_id, said, "a person")
    store.settle(claimed(store), held())
    receive(store, b"a page", DATED)
    assert (store.job(job_id).state, store.order(job_id)) == (State.HELD, said)


def test_a_page_held_for_a_parked_delivery_is_not_done_again_by_a_repeat(store: Store) -> None:
    job_id = settled(store, digitized(document()))
    store.park(on_its_way(store), "rejected", "No.")
    receive(store, b"a page", DATED)
    assert store.job(job_id).state is State.HELD


@pytest.mark.parametrize(
    "came",
    [arrival(sender="OTHER"), arrival(patient_id="4712"), arrival(issuer="HOSPITAL"), arrival(door=Door.WEB)],
    ids=["sender", "patient", "issuer", "door"],
)
def test_the_same_bytes_from_elsewhere_or_for_another_patient_are_another_job(store: Store, came: Arrival) -> None:
    first = receive(store, b"a page")
    other = receive(store, b"a page", came)
    assert not other.duplicate
    assert other.job_id != first.job_id
    assert store.job(other.job_id).sha256 == store.job(first.job_id).sha256


def test_a_repeat_is_taken_when_the_queue_is_full(data: DataSection) -> None:
    with Store.open(data.model_copy(update={"queue_max": 1})) as store:
        receive(store, b"a page")
        assert receive(store, b"a page").duplicate


def test_a_full_queue_takes_no_page_and_keeps_nothing_of_it(data: DataSection) -> None:
    with Store.open(data.model_copy(update={"queue_max": 2})) as store:
        receive(store, b"1")
        store.room()
        receive(store, b"2")
        with pytest.raises(QueueFull):
            store.room()
        with pytest.raises(QueueFull):
            receive(store, b"3")
        assert store.counts()[State.RECEIVED] == 2
        assert list(store.staging.glob("[!.]*")) == []
        assert not store.object_path(hashlib.sha256(b"3").hexdigest()).exists()


def test_below_the_reserve_no_page_is_taken(data: DataSection, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(data.model_copy(update={"reserve_mb": 100})) as store:
        store.room()
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**12, 10**12, 99_000_000))
        with pytest.raises(OutOfSpace):
            store.room()
        with pytest.raises(OutOfSpace):
            receive(store, b"a page")
        assert list(store.staging.glob("[!.]*")) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_while_a_page_is_kept_is_out_of_space(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutOfSpace):
        receive(store, b"a page")
    monkeypatch.undo()
    assert store.counts()[State.RECEIVED] == 0
    assert list(store.staging.glob("[!.]*")) == []
    assert not receive(store, b"a page").duplicate


def test_bytes_that_were_harmed_on_disk_are_replaced_when_they_come_again(store: Store) -> None:
    job = store.job(receive(store, b"a page").job_id)
    for harmed in (b"a pa", b"a pagf"):
        store.content(job).write_bytes(harmed)
        assert receive(store, b"a page").duplicate
        assert store.content(job).read_bytes() == b"a page"


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "AB" * 32, "0" * 63])
def test_an_object_is_never_named_by_anything_but_a_sha256(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        store.object_path(name)


def test_keeps_text_that_a_database_would_refuse(store: Store) -> None:
    came = Arrival(Door.FAX, "ward\0three", file_name="scan-\udcff.tif", order=Order(patient=Patient("\udcff\0")))
    job = store.job(receive(store, b"a page", came).job_id)
    assert job.arrival.sender == "ward\ufffdthree"
    assert job.arrival.order == came.order
