"""The audit on both databases: what it tells, what it must not tell, and that no change to it goes unseen."""

from __future__ import annotations

import hashlib
import io
import json
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway.config import DataSection
from gateway.identity.order import Order, Patient
from gateway.job import Arrival, Door, Outcome, State
from gateway.store import Event, Store, leases
from tests.gateway.storing import (
    LONG_S,
    SHORT_S,
    arrival,
    claimed,
    digitized,
    document,
    held,
    on_its_way,
    receive,
    refused,
    settled,
)

COLUMNS = ("at", "kind", "job_id", "actor", "detail", "prev_hash", "hash")


@pytest.fixture
def busy(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store in which everything that the audit knows has happened."""
    monkeypatch.setattr(leases, "RELEASED_WAITS_S", 0.0)
    job_id = settled(store, digitized(document("pacs"), document("ehr")), b"1")
    receive(store, b"1")
    store.postpone(on_its_way(store, "pacs"), "Doe^Jane is busy", 0.0)
    store.delivered(on_its_way(store, "pacs"), "MSA|AA|Doe^Jane")
    store.park(on_its_way(store, "ehr"), "rejected", "patient Doe^Jane 4711-0815 is unknown")
    store.resend(job_id, "a person")
    store.park(on_its_way(store, "ehr"), "rejected", "patient Doe^Jane 4711-0815 is unknown")
    store.retry(job_id, "a person")
    store.release(claimed(store))
    store.settle(claimed(store), digitized(document("pacs"), document("ehr")))
    store.delivered(on_its_way(store, "ehr"), "MSA|AA|Doe^Jane")
    lost = settled(store, held("no_patient_id", "Doe^Jane has no number"), b"2")
    store.identify(lost, Order(patient=Patient("4711-0815", name="Doe^Jane", birth_date="19610101")), "a person")
    claimed(store, lease_s=SHORT_S)
    time.sleep(2 * SHORT_S)
    store.settle(claimed(store), held())
    store.give_up(lost, "a person", "Doe^Jane does not want it")
    settled(store, refused(), b"3")
    receive(store, b"4", Arrival(Door.FAX, "ward 3", file_name="Doe^Jane 4711-0815.tif"))
    return store


def exported(store: Store) -> list[dict[str, str | int]]:
    stream = io.StringIO()
    rows = store.export_audit(stream)
    lines = stream.getvalue().splitlines()
    assert len(lines) == rows
    return [json.loads(line) for line in lines]


def unguarded(store: Store, *statements: str) -> None:
    """Runs statements as somebody would who may do anything to the database, the guards taken away first."""
    database = store._database
    with database.engine.begin() as connection:
        if database.is_sqlite:
            for name in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars():
                connection.execute(text(f"DROP TRIGGER {name}"))
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
            connection.execute(text("ALTER TABLE audit_head DISABLE TRIGGER ALL"))
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount > 0, f"{statement} changed nothing"


# What it tells


def test_knows_everything_that_can_happen_to_a_page_by_itself(busy: Store) -> None:
    """What people do in the window is told by the tests of the window."""
    by_people = set(Event) - set(list(Event)[: list(Event).index(Event.GIVEN_UP) + 1])
    assert {row["kind"] for row in exported(busy)} == set(Event) - by_people


def test_tells_the_story_of_a_page_in_order(store: Store) -> None:
    settled(store, digitized(document()))
    store.delivered(on_its_way(store), "0000")
    assert [(row["kind"], row["actor"]) for row in exported(store)] == [
        ("received", "dicom:SCANNER"),
        ("claimed", "worker-1"),
        ("settled", "worker-1"),
        ("queued", "worker-1"),
        ("delivered", "deliver:pacs"),
    ]


def test_names_no_patient(busy: Store) -> None:
    stream = io.StringIO()
    busy.export_audit(stream)
    for word in ("Doe", "Jane", "4711-0815", "19610101"):
        assert word not in stream.getvalue()


def test_anybody_can_recompute_the_chain_from_the_export(busy: Store) -> None:
    previous = "0" * 64
    for row in exported(busy):
        told = {key: value for key, value in row.items() if key not in ("hash", "prev_hash")}
        line = previous + json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        assert row["prev_hash"] == previous
        assert row["hash"] == hashlib.sha256(line.encode()).hexdigest()
        previous = str(row["hash"])


def test_an_untouched_store_is_proven(busy: Store) -> None:
    report = busy.verify_audit()
    assert (report.ok, report.problems, report.first_bad_seq) == (True, (), None)
    assert report.rows == len(exported(busy))
    assert report.jobs == busy.counts()
    assert report.objects == 6  # four pages, a recording, and two documents of the same bytes
    assert busy.verify_audit(check_objects=False).objects == 0


def test_tells_what_has_not_come_to_an_end_without_calling_it_a_problem(store: Store) -> None:
    sent = settled(store, digitized(document("pacs")), b"1")
    settled(store, held(), b"2")
    waiting = receive(store, b"3").job_id
    report = store.verify_audit()
    assert (report.ok, report.unfinished) == (True, (sent, waiting))
    assert report.unfinished_counts == {State.RECEIVED: 1, State.DIGITIZED: 1}
    store.delivered(on_its_way(store, "pacs"), "")
    assert store.verify_audit().unfinished == (waiting,)


def test_an_empty_store_is_proven(store: Store) -> None:
    report = store.verify_audit()
    assert (report.ok, report.rows, report.head_hash) == (True, 0, "0" * 64)


# What it forbids


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'nobody' WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 3",
        "DELETE FROM audit",
        "DELETE FROM audit_head",
    ],
)
def test_the_database_itself_refuses_to_change_the_audit(busy: Store, statement: str) -> None:
    with pytest.raises(DBAPIError, match="can only be added to"), busy._database.engine.begin() as connection:
        connection.execute(text(statement))
    assert busy.verify_audit().ok


def test_the_database_itself_refuses_to_empty_or_to_replace(busy: Store) -> None:
    statement = "TRUNCATE audit"
    if busy._database.is_sqlite:
        statement = "REPLACE INTO audit SELECT seq, at, kind, job_id, 'nobody', detail, prev_hash, hash FROM audit"
    with pytest.raises(DBAPIError, match="can only be added to"), busy._database.engine.begin() as connection:
        connection.execute(text(statement))
    assert busy.verify_audit().ok


# What it finds


def test_finds_a_flipped_byte_in_every_column_of_every_row(busy: Store) -> None:
    unguarded(busy)
    for row in exported(busy):
        for column in COLUMNS:
            value = str(row[column])
            middle = len(value) // 2
            flipped = value[:middle] + chr(ord(value[middle]) ^ 1) + value[middle + 1 :]
            rewrite(busy, row, column, flipped)
            assert busy.verify_audit(check_objects=False).first_bad_seq == row["seq"], column
            rewrite(busy, row, column, value)
    assert busy.verify_audit().ok


def rewrite(store: Store, row: dict[str, str | int], column: str, value: str) -> None:
    with store._database.engine.begin() as connection:
        connection.execute(text(f"UPDATE audit SET {column} = :value WHERE seq = {row['seq']}"), {"value": value})


@pytest.mark.parametrize("column", COLUMNS)
def test_finds_a_byte_that_is_no_text_any_more(tmp_path: Path, column: str) -> None:
    """In SQLite only: PostgreSQL holds no text that is not UTF-8."""
    with Store.open(DataSection(folder=tmp_path, reserve_mb=0)) as store:
        settled(store, digitized())
        unguarded(store, f"UPDATE audit SET {column} = CAST(x'ff' || {column} AS TEXT) WHERE seq = 2")
        assert store.verify_audit().first_bad_seq == 2


def test_finds_a_renumbered_row(busy: Store) -> None:
    unguarded(busy, "UPDATE audit SET seq = 1000 WHERE seq = 4")
    assert busy.verify_audit().first_bad_seq == 4


def test_finds_two_rows_that_changed_places(busy: Store) -> None:
    swap = ("SET seq = -1 WHERE seq = 4", "SET seq = 4 WHERE seq = 5", "SET seq = 5 WHERE seq = -1")
    unguarded(busy, *(f"UPDATE audit {step}" for step in swap))
    assert busy.verify_audit().first_bad_seq == 4


@pytest.mark.parametrize(
    ("statement", "first"),
    [("seq = 1", 1), ("seq = 7", 7), ("seq > 7", 8), ("seq > 0", 1)],
    ids=["first", "middle", "tail", "all"],
)
def test_finds_missing_rows(busy: Store, statement: str, first: int) -> None:
    unguarded(busy, f"DELETE FROM audit WHERE {statement}")
    assert busy.verify_audit().first_bad_seq == first


def test_finds_a_tail_that_was_cut_off_together_with_the_head(busy: Store) -> None:
    last = exported(busy)[-2]
    unguarded(
        busy,
        f"DELETE FROM audit WHERE seq > {last['seq']}",
        f"UPDATE audit_head SET rows = {last['seq']}, hash = '{last['hash']}'",
    )
    report = busy.verify_audit()
    assert report.first_bad_seq is None
    assert any("was received 0 times" in problem for problem in report.problems)


def test_finds_an_invented_row(busy: Store) -> None:
    unguarded(
        busy,
        "INSERT INTO audit SELECT seq + 1, at, kind, job_id, actor, detail, hash, hash FROM audit "
        "WHERE seq = (SELECT max(seq) FROM audit)",
    )
    assert busy.verify_audit().first_bad_seq == len(exported(busy))


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "UPDATE jobs SET state = 'delivered' WHERE state = 'received'",
            "is delivered, the audit last saw it received",
        ),
        ("DELETE FROM jobs WHERE state = 'received'", "is in the audit but not among the jobs"),
        (f"UPDATE jobs SET sha256 = '{'0' * 64}' WHERE state = 'received'", "holds other bytes"),
        ("UPDATE outbox SET state = 'delivered', position = 1", "was not queued like this"),
        ("UPDATE outbox SET destination = destination || '2'", "was not queued like this"),
        ("UPDATE pages SET summary = '[]'", "has other pages"),
        ("DELETE FROM pages", "has other pages"),
        (f"UPDATE outbox SET sha256 = '{'0' * 64}'", "says delivered, the audit does not"),
    ],
    ids=["state", "job gone", "bytes", "queued", "destination", "page changed", "pages gone", "delivered"],
)
def test_finds_what_the_audit_did_not_see(busy: Store, statement: str, told: str) -> None:
    unguarded(busy, statement)
    report = busy.verify_audit()
    assert not report.ok
    assert report.first_bad_seq is None
    assert any(told in problem for problem in report.problems), report.problems


def test_finds_a_delivery_that_only_says_so(store: Store) -> None:
    settled(store, digitized(document()))
    unguarded(store, "UPDATE outbox SET state = 'delivered'")
    assert any("says delivered" in problem for problem in store.verify_audit().problems)


def test_finds_a_job_that_the_audit_never_received(store: Store) -> None:
    receive(store, b"a page")
    columns = (
        "state, door, sender, sender_address, called, media_type, file_name, sha256, size_bytes, received_at, "
        "changed_at, attempts, code, why, made_by, lease_worker"
    )
    unguarded(store, f"INSERT INTO jobs (job_id, repeat_key, {columns}) SELECT 'x', 'y', {columns} FROM jobs")
    assert store.verify_audit().problems[0].startswith("job x was received 0 times")


@pytest.mark.parametrize("harm", ["missing", "flipped"])
def test_finds_bytes_that_are_gone_or_changed(store: Store, harm: str) -> None:
    job_id = settled(store, digitized(document()))
    path = store.object_path(store.deliveries(job_id)[0].sha256)
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(b"wAveform")
    assert store.verify_audit(check_objects=False).ok
    (problem,) = store.verify_audit().problems
    assert path.name in problem


def test_tells_the_hash_that_fixes_everything_before_it(store: Store) -> None:
    receive(store, b"1")
    before = store.verify_audit().head_hash
    receive(store, b"2", arrival("OTHER"))
    assert exported(store)[0]["hash"] == before
    assert store.verify_audit().head_hash != before


def test_every_acknowledged_page_is_in_exactly_one_state(store: Store) -> None:
    for number, outcome in enumerate([digitized(), held(), refused(), Outcome(State.DELIVERED)]):
        settled(store, outcome, b"%d" % number)
    receive(store, b"waiting")
    report = store.verify_audit()
    assert report.ok
    assert sum(report.jobs.values()) == 5
    assert store.claim_delivery("pacs", LONG_S) is None
