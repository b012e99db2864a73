"""Several reviewers decide on one page at the same moment: one is heard, the others are told, the audit has one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import DataSection
from gateway.errors import UnlawfulMove
from gateway.identity.order import Order, Patient
from gateway.job import State
from gateway.store import Event, Store
from pipeline.recording import Correction, Lead
from tests.gateway.store.test_reviewing import unsure
from tests.gateway.storing import in_processes, settled

Decision = Callable[[Store, str, str, str], None]  # store, job, who, what they saw
DECIDED = frozenset({Event.APPROVED, Event.IDENTIFIED, Event.CORRECTED, Event.GIVEN_UP, Event.LEADS_MARKED})
PEOPLE = 4


def approve(store: Store, job_id: str, who: str, revision: str) -> None:
    store.reviews.approve(job_id, who, revision=revision)


def identify(store: Store, job_id: str, who: str, revision: str) -> None:
    store.identify(job_id, Order(patient=Patient("0815", name="Roe^Richard")), who, revision)


def correct(store: Store, job_id: str, who: str, revision: str) -> None:
    store.reviews.correct(job_id, 1, Correction(speed_mm_s=50.0), who, revision=revision)


def mark(store: Store, job_id: str, who: str, revision: str) -> None:
    store.reviews.mark_invalid(job_id, 1, [Lead.V6] if who.endswith("1") else [Lead.V1], who, revision=revision)


def give_up(store: Store, job_id: str, who: str, revision: str) -> None:
    store.give_up(job_id, who, "no ECG", revision)


RACES: dict[str, tuple[Decision, ...]] = {
    "approve, approve": (approve, approve, approve, approve),
    "approve, identify": (approve, identify, approve, identify),
    "approve, correct": (approve, correct, approve, correct),
    "approve, give up": (approve, give_up, approve, give_up),
    "approve, mark leads": (approve, mark, approve, mark),
    "mark leads, mark leads": (mark, mark, mark, mark),
    "give up, correct": (give_up, correct, give_up, correct),
    "identify, identify": (identify, identify, identify, identify),
    "correct, correct": (correct, correct, correct, correct),
}


def decided(store: Store, job_id: str) -> list[tuple[str, str]]:
    """What the audit holds of decisions on a job."""
    return [(entry.kind, entry.actor) for entry in store.audit_queries.job_audit(job_id) if entry.kind in DECIDED]


@pytest.mark.parametrize("race", RACES, ids=str)
def test_of_people_who_decide_at_once_exactly_one_is_heard(store: Store, race: str) -> None:
    job_id = settled(store, unsure())
    revision = store.reviews.revision(job_id)
    start, heard, told = threading.Barrier(PEOPLE), [], []

    def person(number: int) -> None:
        who = f"person {number}"
        start.wait()
        try:
            RACES[race][number](store, job_id, who, revision)
        except UnlawfulMove as error:  # what the window answers with 409
            told.append(str(error))
        else:
            heard.append(who)

    threads = [threading.Thread(target=person, args=(number,)) for number in range(PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(heard) == 1
    assert len(told) == PEOPLE - 1
    assert all(told)
    ((_kind, actor),) = decided(store, job_id)
    assert [actor] == heard
    assert store.verify_audit().ok


def in_a_process(data: DataSection, folder: Path, race: str, job_id: str, revision: str, number: int) -> None:
    """One person in a process of their own, who waits for the others and then writes down what they were told."""
    with Store.open(data) as store:
        (folder / f"ready {number}").touch()
        while len(list(folder.glob("ready *"))) < PEOPLE:
            time.sleep(0.001)  # the others need the processor to get here
        try:
            RACES[race][number](store, job_id, f"person {number}", revision)
        except UnlawfulMove as error:
            (folder / f"told {number}").write_text(str(error), encoding="utf-8")
        else:
            (folder / f"heard {number}").touch()


def test_nor_are_two_heard_from_two_processes(data: DataSection, tmp_path: Path) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    with Store.open(data) as store:
        job_id = settled(store, unsure())
        revision = store.reviews.revision(job_id)
        in_processes(PEOPLE, in_a_process, data, folder, "approve, identify", job_id, revision)
        (winner,) = folder.glob("heard *")
        told = [path.read_text(encoding="utf-8") for path in folder.glob("told *")]
        assert (len(told), all(told)) == (PEOPLE - 1, True)
        ((_kind, actor),) = decided(store, job_id)
        assert actor == f"person {winner.name.removeprefix('heard ')}"
        assert store.job(job_id).state is State.RECEIVED
        assert store.verify_audit().ok
