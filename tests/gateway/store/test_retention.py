"""What is old enough goes, with a tombstone that verifying honours; what somebody still needs stays."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from gateway.commands.verify import verify
from gateway.config import Config, DataSection, RetentionSection, contradictions, loads
from gateway.errors import ConfigError, NotFound, UnlawfulMove
from gateway.job import State
from gateway.store import Store, backup, database, objects, retention
from gateway.store.audit import Event, append
from gateway.store.tables import audit, audit_head, jobs, outbox, pages, terms
from tests.gateway.store.test_audit import unguarded
from tests.gateway.storing import arrival, claimed, digitized, document, held, on_its_way, receive, refused, settled

ALL = RetentionSection(pages_days=30, documents_days=60, audit_years=6)


@pytest.fixture(autouse=True)
def old_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of a test are seconds old; by the time that a page is erased they are days."""
    monkeypatch.setattr(objects, "KEPT_LATELY_S", 0.0)


def lived(store: Store) -> tuple[str, str]:
    """A delivered and a held job."""
    sent = settled(store, digitized(document("pacs")), b"1")
    store.delivered(on_its_way(store, "pacs"), "MSA|AA|Doe^Jane")
    return sent, settled(store, held(), b"2")


def later(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    """Lets the database's clock go on: every age is counted by it."""

    def now(_self: object, _connection: object) -> datetime:
        return datetime.now(UTC) + timedelta(days=days)

    monkeypatch.setattr(database.Database, "now", now)


def test_erases_a_page_and_whose_it_was_and_verifies(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, waiting = lived(store)
    page, recording = store.content(store.job(sent)), store.pages(sent)[0].recording_npz
    assert recording is not None
    assert not store.erase_old(ALL)
    later(monkeypatch, 31)
    assert store.erase_old(ALL).pages == 1
    job = store.job(sent)
    assert (job.state, job.arrival.order, job.arrival.file_name) == (State.DELIVERED, None, "")
    assert not page.exists()
    assert store.pages(sent)[0].recording_npz is None
    assert store.object_path(store.deliveries(sent)[0].sha256).exists(), "the document has another age"
    assert store.content(store.job(waiting)).exists(), "a held page is kept whatever its age"
    with store._database.read() as connection:
        rows = [connection.execute(select(table).where(table.c.job_id == sent)).all() for table in (jobs, outbox)]
        whole = str(rows)
    assert "Doe" not in whole
    report = store.verify_audit()
    assert report.ok, report.problems
    assert not store.erase_old(ALL)


def test_erases_documents_and_sends_none_of_them_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, _ = lived(store)
    path = store.object_path(store.deliveries(sent)[0].sha256)
    later(monkeypatch, 61)
    erased = store.erase_old(ALL)
    assert (erased.pages, erased.documents) == (1, 1)
    assert not path.exists()
    with pytest.raises(NotFound):
        store.resend(sent, "amy")
    assert store.verify_audit().ok


def test_keeps_bytes_that_another_job_needs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, _ = lived(store)
    later(monkeypatch, 20)
    other = receive(store, b"1", arrival("OTHER")).job_id  # the same page from somebody else
    later(monkeypatch, 31)
    assert store.erase_old(ALL).pages == 1
    assert store.job(sent).arrival.order is None
    assert store.content(store.job(other)).exists()
    assert store.verify_audit().ok


def test_keeps_bytes_that_come_in_right_now(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their row is committed a moment later, and the door says yes then."""
    sent, _ = lived(store)
    path = store.content(store.job(sent))
    monkeypatch.setattr(objects, "KEPT_LATELY_S", 3600.0)
    later(monkeypatch, 31)
    assert store.erase_old(ALL).pages == 1
    assert path.exists()


def test_the_same_page_is_a_new_job_once_the_first_was_erased(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, _ = lived(store)
    later(monkeypatch, 31)
    store.erase_old(ALL)
    again = receive(store, b"1")
    assert (again.duplicate, again.job_id != sent) == (False, True)
    assert store.verify_audit().ok


def test_a_refused_page_that_was_erased_is_not_done_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _, waiting = lived(store)
    store.give_up(waiting, "amy", "not ours")
    later(monkeypatch, 31)
    store.erase_old(ALL)
    with pytest.raises(UnlawfulMove, match="was erased"):
        store.retry(waiting, "amy")


def test_a_page_that_is_done_again_meanwhile_is_not_erased(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was due when the round began; a person has had it done again, and it was delivered, before its turn came."""
    job_id = settled(store, refused(), b"1")
    later(monkeypatch, 31)
    due = retention._due

    def found(*arguments: Any) -> Any:
        ids = due(*arguments)
        if ids and store.job(job_id).state == State.REFUSED:
            store.retry(job_id, "amy")
            store.settle(claimed(store), digitized(document("pacs")))
            store.delivered(on_its_way(store, "pacs"), "0000")
        return ids

    monkeypatch.setattr(retention, "_due", found)
    assert not store.erase_old(RetentionSection(pages_days=30))
    assert store.content(store.job(job_id)).exists()


def test_erases_a_persons_words_on_why_a_page_was_given_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _, waiting = lived(store)
    store.give_up(waiting, "amy", "Jane Doe is not our patient")
    later(monkeypatch, 31)
    store.erase_old(ALL)
    job = store.job(waiting)
    assert (job.code, job.why) == ("given_up", "")
    assert store.verify_audit().ok


def test_erases_what_a_destination_answered_after_the_page_was_erased(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, _ = lived(store)
    later(monkeypatch, 31)
    store.erase_old(ALL)
    store.resend(sent, "amy")
    store.delivered(on_its_way(store, "pacs"), "MSA|AA|Doe^Jane")
    later(monkeypatch, 92)
    assert store.erase_old(ALL).documents == 1
    assert store.deliveries(sent)[0].response == ""
    report = store.verify_audit()
    assert report.ok, report.problems


def test_a_document_that_is_made_anew_counts_as_erased_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = settled(store, digitized(document("pacs")), b"1")
    store.park(on_its_way(store, "pacs"), "rejected", "unknown patient")
    store.give_up(job_id, "amy", "not ours")
    later(monkeypatch, 61)
    assert store.erase_old(RetentionSection(documents_days=60)).documents == 1
    store.retry(job_id, "amy")
    store.settle(claimed(store), digitized(document("pacs")))
    sha256 = store.deliveries(job_id)[0].sha256
    assert sha256 in back_up_names(store)
    report = store.verify_audit()
    assert report.ok, report.problems
    store.object_path(sha256).unlink()
    assert any("is missing" in problem for problem in store.verify_audit().problems)


def back_up_names(store: Store) -> set[str]:
    with store._database.read() as connection:
        return backup._named_objects(connection)


@pytest.mark.parametrize("table", ["jobs", "outbox"])
def test_finds_what_counts_as_erased_and_is_not(store: Store, table: str) -> None:
    """Nobody could send it again, and no backup would hold it."""
    lived(store)
    unguarded(store, f"UPDATE {table} SET erased_at = '2026-01-31T14:30:00.000000Z'")
    assert any("counts as erased" in problem for problem in store.verify_audit().problems)


def test_takes_no_more_entries_away_at_once_than_pages_can_wait_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, _ = lived(store)
    later(monkeypatch, 61)
    store.erase_old(ALL)
    monkeypatch.setattr(retention, "ENTRIES_AT_ONCE", 2)
    later(monkeypatch, 7 * 366)
    assert [store.erase_old(ALL).entries for _ in range(3)] == [2, 2, 1]
    assert store.job(sent).state == State.DELIVERED
    report = store.verify_audit()
    assert (report.ok, report.pruned) == (True, 5), report.problems


def test_one_process_erases_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lived(store)
    later(monkeypatch, 31)
    with objects.erasing_objects(store._objects.folder) as may_erase:
        assert may_erase
        assert not store.erase_old(ALL)
    assert store.erase_old(ALL).pages == 1


def test_tells_rows_that_were_taken_away_before_they_were_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may change the database can write the entry that retention writes; a checkpoint kept elsewhere shows it."""
    config = Config(data=DataSection(folder=tmp_path / "data", reserve_mb=0))
    with Store.open(config.data) as store:
        lived(store)
        store.checkpoints(config.audit).write()
        with monkeypatch.context() as patched:
            later(patched, 31)
            store.erase_old(ALL)
        cut = int(store.audit_queries.last_seq())
        with store._database.write() as tx:
            through_hash = tx.execute(select(audit.c.hash).where(audit.c.seq == cut)).scalar_one()
            append(tx, Event.PRUNED, "", "retention", through=cut, through_hash=through_hash, jobs=1)
            for table in (pages, outbox, terms, jobs):
                tx.execute(delete(table))
            tx.execute(update(audit_head).values(first_seq=cut + 1))
            tx.execute(delete(audit).where(audit.c.seq <= cut))
        problems, summary = verify(store, config, config.data.folder / "checkpoints", None)
    assert any("taken away too young" in problem for problem in problems), problems
    assert any("the oldest that is left is of" in line for line in summary)


def test_finds_an_erasure_that_the_audit_does_not_tell(store: Store) -> None:
    sent, _ = lived(store)
    store.content(store.job(sent)).unlink()
    unguarded(store, "UPDATE jobs SET order_json = NULL, erased_at = changed_at WHERE state = 'delivered'")
    problems = store.verify_audit().problems
    assert any("is missing" in problem for problem in problems)
    assert any("whose ECG it is" in problem for problem in problems)


def test_takes_old_entries_away_with_the_jobs_that_only_they_tell_of(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = settled(store, digitized(document("pacs")), b"1")
    store.delivered(on_its_way(store, "pacs"), "0000")
    waiting = settled(store, held(), b"2")
    later(monkeypatch, 61)
    store.erase_old(ALL)
    before = store.verify_audit().rows
    later(monkeypatch, 7 * 366)
    assert store.erase_old(ALL).entries == 5, "up to the first entry of the page that waits"
    report = store.verify_audit()
    assert (report.ok, report.pruned, report.rows) == (True, 5, before + 1), report.problems
    assert store.job(gone).state == State.DELIVERED, "its tombstones stand behind the page that waits"
    store.give_up(waiting, "amy", "nobody's")
    later(monkeypatch, 7 * 366 + 61)
    store.erase_old(ALL)
    later(monkeypatch, 14 * 366)
    assert store.erase_old(ALL).entries > 0
    report = store.verify_audit()
    assert (report.ok, report.problems) == (True, ())
    for job_id in (gone, waiting):
        with pytest.raises(NotFound):
            store.job(job_id)
    assert sum(store.counts().values()) == 0


def test_a_stream_of_pages_does_not_keep_the_oldest_entries_for_ever(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each job's entries lie among those of the jobs before and after it, and no cut parts none of them."""
    settings = RetentionSection(pages_days=30, documents_days=60, audit_years=1)
    for month in range(18):
        later(monkeypatch, 30.5 * month)
        settled(store, digitized(document("pacs", f"2.25.{month}")), b"page %d" % month)
        store.delivered(on_its_way(store, "pacs"), "0000")
        store.erase_old(settings)
        report = store.verify_audit()
        assert report.ok, (month, report.problems)
    assert report.pruned > 5
    assert sum(report.jobs.values()) < 18


def test_finds_old_entries_that_were_taken_away_by_hand(store: Store) -> None:
    lived(store)
    with store._database.engine.begin() as connection:
        connection.execute(update(audit_head).values(first_seq=3))
        connection.execute(text("DELETE FROM audit WHERE seq < 3"))
    report = store.verify_audit()
    assert report.first_bad_seq == 1
    assert any("no entry tells" in problem for problem in report.problems)


def test_the_database_lets_no_young_entry_go(store: Store) -> None:
    lived(store)
    with store._database.engine.begin() as connection:
        connection.execute(update(audit_head).values(first_seq=2))
    with pytest.raises(DBAPIError, match="can only be added to"), store._database.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit WHERE seq < 3"))
    with store._database.read() as connection:
        assert connection.execute(select(audit.c.seq).order_by(audit.c.seq)).scalars().first() == 1


def test_the_export_names_no_patient_of_an_erased_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lived(store)
    later(monkeypatch, 31)
    store.erase_old(ALL)
    stream = io.StringIO()
    store.export_audit(stream)
    assert "Doe" not in stream.getvalue()
    assert '"kind":"erased"' in stream.getvalue()


@pytest.mark.parametrize("toml", ["audit_years = 6", "audit_years = 1\npages_days = 30\ndocuments_days = 400"])
def test_the_audit_must_outlive_what_it_tells_of(tmp_path: Path, toml: str) -> None:
    with pytest.raises(ConfigError, match="audit_years"):
        loads(f"[retention]\n{toml}\n", tmp_path)
    assert (
        contradictions(loads("[retention]\naudit_years = 6\npages_days = 30\ndocuments_days = 400\n", tmp_path)) == []
    )
