"""The worklist on both databases: what is found, in which order, and from where a cursor goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from gateway.errors import Refused
from gateway.identity.order import Order, Patient
from gateway.job import Arrival, Document, DocumentKind, Door, Outcome, PageResult, State, Verdict
from gateway.store import JobOrder, JobQuery, Store
from gateway.store.worklist import walking
from gateway.store.worklist.conditions import conditions
from tests.gateway.storing import arrival, claimed, digitized, document, held, receive, settled


def came(
    patient_id: str, name: str = "Doe^Jane", door: Door = Door.DICOM, sender: str = "SCANNER", accession: str = ""
) -> Arrival:
    told = Order(patient=Patient(patient_id, name=name), accession_number=accession)
    return replace(arrival(sender=sender, door=door), order=told)


def read(confidence: float) -> Outcome:
    page = PageResult(
        1, Verdict.DIGITIZED, summary=f'{{"layout":"3x4","confidence":{confidence}}}', recording_npz=b"npz"
    )
    return Outcome(State.HELD, "low_confidence", "unsure", pages=(page,))


def ids(store: Store, order: JobOrder = JobOrder.NEWEST, **query: object) -> list[str]:
    page = store.worklist.page(JobQuery(**query), order, "", 200)  # type: ignore[arg-type]
    return [row.patient_id for row in page.rows]


def walked(store: Store, order: JobOrder, limit: int, **query: object) -> tuple[list[str], list[str]]:
    """Patients screen by screen to the end, and back to the beginning."""
    asked = JobQuery(**query)  # type: ignore[arg-type]
    page = store.worklist.page(asked, order, "", limit)
    assert page.prev_cursor == ""
    forth, last = [[row.patient_id for row in page.rows]], page
    while last.next_cursor:
        last = store.worklist.page(asked, order, last.next_cursor, limit)
        forth.append([row.patient_id for row in last.rows])
    back = [forth[-1]]
    while last.prev_cursor:
        last = store.worklist.page(asked, order, last.prev_cursor, limit)
        back.insert(0, [row.patient_id for row in last.rows])
    return [each for screen in forth for each in screen], [each for screen in back for each in screen]


@pytest.fixture(params=[walking.RARE_MAX, 0], ids=["by index", "by walking"])
def _either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "RARE_MAX", request.param)


@pytest.mark.usefixtures("_either_way")
def test_every_filter_finds_what_it_names(store: Store) -> None:
    receive(store, b"1", came("4711-0815", "Doe^Jane", accession="ACC-1"))
    receive(store, b"2", came("4712", "Müller^Änne", door=Door.FAX, sender="fax"))
    store.settle(claimed(store), read(0.4))
    store.settle(claimed(store), read(0.8))
    receive(store, b"3", came("4713", "O'Neil^Jane", door=Door.WEB, sender="anna"))
    assert ids(store) == ["4713", "4712", "4711-0815"]
    assert ids(store, JobOrder.OLDEST) == ["4711-0815", "4712", "4713"]
    assert ids(store, JobOrder.CONFIDENCE) == ["4711-0815", "4712"]
    assert ids(store, state=State.RECEIVED) == ["4713"]
    assert ids(store, door=Door.FAX) == ["4712"]
    assert ids(store, sender="SCANNER") == ["4711-0815"]
    assert ids(store, patient="4712") == ["4712"]
    assert ids(store, patient="471") == []
    assert ids(store, confidence_max=0.5) == ["4711-0815"]
    assert ids(store, words="jane") == ["4713", "4711-0815"]
    assert ids(store, words="JANE doe") == ["4711-0815"]
    assert ids(store, words="Doe^Ja") == ["4711-0815"]
    assert ids(store, words="muller anne") == ["4712"]
    assert ids(store, words="4711-08") == ["4711-0815"]
    assert ids(store, words="acc-1") == ["4711-0815"]
    assert ids(store, words="nobody") == []
    assert ids(store, words="jane", state=State.HELD) == ["4711-0815"]
    newest = store.worklist.page(JobQuery(), JobOrder.NEWEST, "", 1).rows[0]
    assert ids(store, words=newest.job_id) == ids(store, words=newest.job_id[:12]) == ["4713"]


@pytest.mark.usefixtures("_either_way")
@pytest.mark.parametrize("words", ["---", "***", "^", "%", "(", "_", "\u201c\u201d", "doe d do j ja jan jane nobody"])
def test_a_search_that_nothing_answers_finds_nobody_rather_than_everybody(store: Store, words: str) -> None:
    receive(store, b"1", came("4711-0815", "Doe^Jane"))
    assert ids(store, words=words) == []
    assert store.worklist.matching(JobQuery(words=words), 10) == []
    assert ids(store, words="  ") == ["4711-0815"]


@pytest.mark.usefixtures("_either_way")
def test_every_order_is_walked_forth_and_back_without_loss(store: Store) -> None:
    sure = (0.5, 0.9, 0.5, 0.1, 0.5, 0.7, 0.2)
    for number, confidence in enumerate(sure):
        receive(store, str(number).encode(), came(f"P{number}"))
        store.settle(claimed(store), read(confidence))
    receive(store, b"not read", came("P7"))
    for order in JobOrder:
        for limit in (1, 2, 3, 7, 8):
            forth, back = walked(store, order, limit)
            assert forth == back == ids(store, order)
    assert ids(store, JobOrder.CONFIDENCE) == ["P3", "P6", "P0", "P2", "P4", "P5", "P1"]
    assert walked(store, JobOrder.CONFIDENCE, 2, sender="SCANNER")[0] == ids(store, JobOrder.CONFIDENCE)


def test_a_stretch_of_time_has_a_beginning_and_no_end_of_its_own(store: Store) -> None:
    settled(store, held())
    (job,) = store.jobs()
    assert ids(store, received_from=job.received_at) == [job.arrival.order.patient.patient_id]
    assert ids(store, received_to=job.received_at) == []
    assert ids(store, received_from=job.received_at + timedelta(microseconds=1)) == []
    assert ids(store, received_to=job.received_at + timedelta(microseconds=1)) != []
    assert (
        ids(store, received_from=datetime(1990, 1, 1, tzinfo=UTC), received_to=datetime(2990, 1, 1, tzinfo=UTC)) != []
    )
    assert ids(store, received_from=datetime(2990, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize("cursor", ["x", "c1", "a", "a1_2", "aNone", "a1.5", "b" + "9" * 40, "a1;DROP"])
def test_a_cursor_of_somebody_elses_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(Refused, match="cursor"):
        store.worklist.page(JobQuery(), JobOrder.NEWEST, cursor, 10)


def test_who_is_identified_is_found_by_the_new_name_only(store: Store) -> None:
    job_id = settled(store, held())
    store.identify(job_id, Order(patient=Patient("0815", name="Roe^Richard")), "a person")
    assert ids(store, words="roe") == ids(store, patient="0815") == ["0815"]
    assert ids(store, words="doe") == ids(store, patient="4711-0815") == []


def test_what_the_page_itself_says_is_found_once_it_is_read(store: Store) -> None:
    receive(store, b"1", replace(arrival(), order=None))
    assert ids(store) == [""]
    told = Order(patient=Patient("99", name="Nine^Nora"))
    store.settle(claimed(store), replace(read(0.9), order=told))
    assert ids(store, words="nora") == ["99"]


def test_a_line_counts_documents_and_names_the_least_sure_page(store: Store) -> None:
    two = tuple(PageResult(n, Verdict.DIGITIZED, summary=f'{{"confidence":0.{n}}}', recording_npz=b"x") for n in (7, 5))
    receive(store, b"1")
    store.settle(claimed(store), Outcome(State.DIGITIZED, pages=two, documents=(document(), _second())))
    (row,) = store.worklist.page(JobQuery(), JobOrder.NEWEST, "", 10).rows
    assert (row.pages, row.confidence) == (2, 0.5)
    assert (row.deliveries.queued, row.deliveries.delivered, row.deliveries.parked) == (2, 0, 0)


def _second() -> Document:
    return Document(DocumentKind.AECG, "ehr", "aecg-1", 1, b"<aecg/>")


def test_a_walk_goes_along_the_condition_that_fewest_meet(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (door, sender) in enumerate([(Door.FAX, "a"), (Door.FAX, "a"), (Door.FAX, "b"), (Door.WEB, "a")]):
        receive(store, bytes([number]), came(str(number), door=door, sender=sender))
    monkeypatch.setattr(walking, "RARE_MAX", 0)
    for query, rarest in (
        (JobQuery(state=State.RECEIVED, sender="b"), ["jobs.sender = "]),
        (JobQuery(state=State.RECEIVED, door=Door.WEB), ["jobs.door = "]),
        (JobQuery(state=State.RECEIVED, door=Door.WEB, sender="a"), ["jobs.door = ", "jobs.sender = "]),
    ):
        asked: list[str] = []

        def hear(
            _connection: object, _cursor: object, statement: str, *_rest: object, asked: list[str] = asked
        ) -> None:
            asked.append(statement)

        event.listen(Engine, "before_cursor_execute", hear)
        store.worklist.page(query, JobOrder.NEWEST, "", 10)
        event.remove(Engine, "before_cursor_execute", hear)
        (walk,) = (statement for statement in asked if "ORDER BY jobs.number DESC" in statement)
        by_index = [name for name in ("jobs.state = ", "jobs.door = ", "jobs.sender = ") if name in walk]
        assert by_index == rarest


def test_a_door_and_a_sender_are_one_condition_with_an_index_of_its_own(store: Store) -> None:
    """Many jobs may come by that door and many from that sender, and none of them both ways."""
    receive(store, b"1", came("1", door=Door.FAX, sender="a"))
    receive(store, b"2", came("2", door=Door.WEB, sender="b"))
    assert ids(store, door=Door.FAX, sender="b") == []
    assert ids(store, door=Door.FAX, sender="a") == ["1"]
    with store._database.read() as connection:
        asked = list(conditions(connection, JobQuery(door=Door.FAX, sender="b", state=State.RECEIVED)))
        assert len(asked) == 2
        (pair,) = (each.index for each in asked if each.index is not None and "sender" in str(each.index))
        if not store._database.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))  # of two rows it would read both
        word = "EXPLAIN QUERY PLAN" if store._database.is_sqlite else "EXPLAIN"
        told = pair.compile(connection, compile_kwargs={"literal_binds": True})
        plan = " ".join(str(row) for row in connection.execute(text(f"{word} {told}")))
    assert "ix_jobs_door_sender_number" in plan


def test_the_least_sure_of_a_state_come_in_the_order_of_an_index_of_their_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few jobs wait for a person, and by confidence alone they lie scattered among all that were ever read."""
    monkeypatch.setattr(walking, "RARE_MAX", 0)
    for number, confidence in enumerate((0.9, 0.2, 0.4)):
        receive(store, bytes([number]))
        store.settle(claimed(store), read(confidence))
    asked: list[tuple[str, Any]] = []

    def hear(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", hear)
    page = store.worklist.page(JobQuery(state=State.HELD), JobOrder.CONFIDENCE, "", 10)
    event.remove(Engine, "before_cursor_execute", hear)
    assert [row.confidence for row in page.rows] == [0.2, 0.4, 0.9]
    (walk,) = (each for each in asked if "ORDER BY jobs.confidence" in each[0])
    with store._database.read() as connection:
        word = "EXPLAIN QUERY PLAN" if store._database.is_sqlite else "EXPLAIN"
        if not store._database.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))  # of three rows it would read all
            connection.execute(text("SET LOCAL enable_sort = off"))
        plan = " ".join(str(row) for row in connection.exec_driver_sql(f"{word} {walk[0]}", walk[1]))
    assert "ix_jobs_state_confidence_number" in plan


def test_the_states_are_counted_as_jobs_move(store: Store) -> None:
    settled(store, digitized(), b"1")
    job_id = settled(store, held(), b"2")
    settled(store, digitized(document()), b"3")
    receive(store, b"4")
    receive(store, b"4")  # the same again is no other job
    assert store.audit_queries.moments(24, 30).states == dict(store.counts())
    store.retry(job_id, "a person")
    assert store.audit_queries.moments(24, 30).states == dict(store.counts())
    store.settle(claimed(store), held())
    store.give_up(job_id, "a person", "no")
    assert store.audit_queries.moments(24, 30).states == dict(store.counts())


def test_pages_are_counted_by_hour_and_by_confidence(store: Store) -> None:
    for number, confidence in enumerate((0.0, 0.31, 0.34, 1.0)):
        receive(store, str(number).encode())
        store.settle(claimed(store), read(confidence))
    seen = store.audit_queries.moments(24, 30)
    assert sum(pages["digitized"] for pages in seen.hours.values()) == 4
    assert {bin: count for bin, count in enumerate(seen.confidence) if count} == {0: 1, 6: 2, 19: 1}
    assert 0 < seen.free_mb < seen.total_mb
