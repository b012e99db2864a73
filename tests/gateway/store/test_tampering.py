"""Each tampering that once went unseen is found: the chain covers who, whose and why, and checkpoints what it was."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update

from gateway.config import AuditSection, DataSection
from gateway.errors import AuditBroken, ConfigError
from gateway.store import Checkpoint, Checkpoints, Store, read_checkpoints, verifier_of
from gateway.store.audit import GENESIS_HASH, Event, append, row_hash
from gateway.store.tables import audit, audit_head
from tests.gateway.store.test_audit import unguarded
from tests.gateway.storing import arrival, digitized, document, held, on_its_way, receive, settled

SETTINGS = AuditSection()


@pytest.fixture
def sqlite(tmp_path: Path) -> DataSection:
    return DataSection(folder=tmp_path / "data", reserve_mb=0)


def lived(store: Store) -> tuple[str, str]:
    """A delivered and a held job."""
    sent = settled(store, digitized(document("pacs")), b"1")
    store.delivered(on_its_way(store, "pacs"), "0000", "0000")
    return sent, settled(store, held(), b"2")


def signed(store: Store, data: DataSection) -> list[Checkpoint]:
    """The chain's head, signed, and read back."""
    store.checkpoints(SETTINGS).write()
    found, problems = read_checkpoints(data.folder / "checkpoints", verifier_of(data.folder, SETTINGS, None))
    assert problems == []
    return found


# What the chain itself covers


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE jobs SET order_json = replace(order_json, 'Doe^Jane', 'Roe^Richard')", "its order (whose ECG it is)"),
        ("UPDATE jobs SET order_json = NULL", "its order (whose ECG it is)"),
        ("UPDATE jobs SET read_order_json = order_json", "its order as read from the page"),
        ("UPDATE jobs SET sender = 'WARD9'", "its sender"),
        ("UPDATE jobs SET received_at = '2024-01-31T14:30:00.000000Z'", "its sender"),
        ("UPDATE jobs SET why = 'looked fine' WHERE state = 'held'", "its reason"),
        ("UPDATE jobs SET settled = 'digitized' WHERE state = 'held'", "its reason"),
        ("UPDATE jobs SET patient_name = 'Roe^Richard'", "the worklist shows another patient_name"),
        ("UPDATE outbox SET response = 'MSA|AA'", "the answer (code, why or response)"),
        ("UPDATE outbox SET state = 'withdrawn'", "is withdrawn, the audit last saw it delivered"),
        ("UPDATE outbox SET kind = 'hl7_oru'", "was not queued like this"),
    ],
)
def test_finds_a_changed_field_and_names_job_and_field(store: Store, statement: str, told: str) -> None:
    lived(store)
    assert store.verify_audit().ok
    unguarded(store, statement)
    report = store.verify_audit()
    assert not report.ok
    assert report.first_bad_seq is None
    assert any(told in problem for problem in report.problems), report.problems


def test_finds_the_order_of_every_job_changed(sqlite: DataSection) -> None:
    with Store.open(sqlite) as store:
        ids = lived(store)
        unguarded(store, "UPDATE jobs SET order_json = replace(order_json, '4711-0815', '9999-0001')")
        problems = store.verify_audit().problems
    for job_id in ids:
        assert any(job_id in problem and "whose ECG it is" in problem for problem in problems), problems


def test_finds_a_parked_answer_that_became_another(sqlite: DataSection) -> None:
    with Store.open(sqlite) as store:
        settled(store, digitized(document("ehr")))
        store.park(on_its_way(store, "ehr"), "rejected", "unknown patient")
        assert store.verify_audit().ok
        unguarded(store, "UPDATE outbox SET why = 'line was busy'")
        assert any("the answer" in problem for problem in store.verify_audit().problems)


def test_a_document_that_waits_again_has_said_nothing(sqlite: DataSection) -> None:
    with Store.open(sqlite) as store:
        job_id = settled(store, digitized(document("ehr")))
        store.park(on_its_way(store, "ehr"), "rejected", "unknown patient")
        store.resend(job_id, "a person")
        assert store.verify_audit().ok
        unguarded(store, "UPDATE outbox SET response = 'MSA|AA'")
        assert not store.verify_audit().ok


# What only a checkpoint shows


def sign_in(store: Store, times: int) -> None:
    """Entries that concern no page, so that nothing else in the database misses them."""
    for _ in range(times):
        with store._database.write() as tx:
            append(tx, Event.SIGNED_IN, "", "amy", how="password", address="127.0.0.1")


def cut_off_sign_ins(store: Store, rows: int) -> None:
    with store._database.read() as connection:
        last = connection.execute(select(audit.c.hash).where(audit.c.seq == rows)).scalar_one()
    unguarded(store, f"DELETE FROM audit WHERE seq > {rows}", f"UPDATE audit_head SET rows = {rows}, hash = '{last}'")


def recompute(store: Store, change: Callable[[dict[str, str]], None]) -> None:
    """Writes the whole chain anew after a change to each row, as who knows this program would."""
    unguarded(store)
    with store._database.engine.begin() as connection:
        rows = [dict(row._mapping) for row in connection.execute(select(audit).order_by(audit.c.seq))]
        connection.execute(text("DELETE FROM audit"))
        previous = GENESIS_HASH
        for row in rows:
            change(row)
            texts = (row["at"], row["kind"], row["job_id"], row["actor"], row["detail"])
            row |= {"prev_hash": previous, "hash": row_hash(previous, row["seq"], *texts)}
            previous = row["hash"]
            connection.execute(insert(audit).values(row))
        connection.execute(update(audit_head).values(hash=previous))


def test_finds_sign_ins_cut_off_with_the_head_set_back(data: DataSection) -> None:
    with Store.open(data) as store:
        lived(store)
        before = store.verify_audit().rows
        sign_in(store, 3)
        checkpoints = signed(store, data)
        cut_off_sign_ins(store, before)
        assert store.verify_audit().ok, "by itself the database cannot show it"
        report = store.verify_audit(checkpoints=checkpoints)
    assert (report.ok, report.first_bad_seq) == (False, before + 1)
    assert "the tail was cut off" in report.problems[0]


def test_finds_the_whole_chain_recomputed(data: DataSection) -> None:
    with Store.open(data) as store:
        lived(store)
        sign_in(store, 1)
        checkpoints = signed(store, data)

        def another_actor(row: dict[str, str]) -> None:
            row["actor"] = row["actor"].replace("amy", "bob")

        recompute(store, another_actor)
        assert store.verify_audit().ok, "by itself the database cannot show it"
        report = store.verify_audit(checkpoints=checkpoints)
    assert not report.ok
    assert any("the chain was recomputed" in problem for problem in report.problems)


def test_finds_an_older_copy_of_the_database(sqlite: DataSection) -> None:
    with Store.open(sqlite) as store:
        lived(store)
    files = [sqlite.folder / f"cardioscan.sqlite3{end}" for end in ("", "-wal", "-shm")]
    older = {file: file.read_bytes() for file in files if file.exists()}
    with Store.open(sqlite) as store:
        receive(store, b"3", arrival("OTHER"))
        checkpoints = signed(store, sqlite)
        assert store.verify_audit(checkpoints=checkpoints).ok
    for file in files:
        file.unlink(missing_ok=True)
    for file, content in older.items():
        file.write_bytes(content)
    with Store.open(sqlite) as store:
        assert store.verify_audit().ok, "by itself the database cannot show it"
        report = store.verify_audit(checkpoints=checkpoints)
        assert any("an older copy" in problem for problem in report.problems), report.problems
        with pytest.raises(AuditBroken, match="does not hold"):  # a running gateway sees it too
            store.checkpoints(SETTINGS).write_when_due()


def test_an_untouched_chain_agrees_with_its_checkpoints(data: DataSection) -> None:
    with Store.open(data) as store:
        signed(store, data)
        lived(store)
        signed(store, data)
        sign_in(store, 2)
        checkpoints = signed(store, data)
        report = store.verify_audit(checkpoints=checkpoints)
    assert (report.ok, report.checkpoints, len(checkpoints)) == (True, 3, 3)


# Malformed rows are told


@pytest.mark.parametrize("detail", ["no JSON", "[]", "{}", '{"sha256":'])
def test_tells_a_malformed_row_whose_hash_fits(sqlite: DataSection, detail: str) -> None:
    def spoil(row: dict[str, str]) -> None:
        if row["kind"] == Event.QUEUED:
            row["detail"] = detail

    with Store.open(sqlite) as store:
        lived(store)
        recompute(store, spoil)
        report = store.verify_audit()
    assert report.first_bad_seq is not None
    assert any("is malformed" in problem for problem in report.problems), report.problems


@pytest.mark.parametrize("column", ["hash", "prev_hash", "kind", "detail"])
def test_tells_a_row_that_holds_bytes(sqlite: DataSection, column: str) -> None:
    with Store.open(sqlite) as store:
        lived(store)
        unguarded(store, f"UPDATE audit SET {column} = x'00ff' WHERE seq = 2")
        assert store.verify_audit().first_bad_seq == 2


@pytest.mark.parametrize("column", ["received_at", "size_bytes", "order_json", "why"])
def test_tells_a_job_that_holds_bytes(sqlite: DataSection, column: str) -> None:
    with Store.open(sqlite) as store:
        job_id, _ = lived(store)
        unguarded(store, f"UPDATE jobs SET {column} = x'00ff' WHERE job_id = '{job_id}'")
        assert any(job_id in problem for problem in store.verify_audit().problems)


# Databases of before


def test_a_chain_of_the_first_version_still_verifies(sqlite: DataSection) -> None:
    """Rows of before say nothing of order, sender and answers; their jobs are counted and told."""

    def of_before(row: dict[str, str]) -> None:
        detail = json.loads(row["detail"])
        new = ("v", "arrival_sha256", "read_order_sha256", "outcome_sha256", "answer_sha256", "order_sha256")
        row["detail"] = json.dumps({key: value for key, value in detail.items() if key not in new}, sort_keys=True)

    with Store.open(sqlite) as store:
        lived(store)
        settled(store, digitized(document("ehr")), b"3")
        store.park(on_its_way(store, "ehr"), "rejected", "why")
        recompute(store, of_before)
        report = store.verify_audit()
        assert (report.ok, report.uncovered) == (True, 3), report.problems
        store.retry(store.jobs()[0].job_id, "amy")  # what happens from now on is covered
        assert store.verify_audit().uncovered == 2


def test_what_an_older_gateway_did_meanwhile_is_no_tampering(sqlite: DataSection) -> None:
    """As after going back to the version before, and forward again."""
    new = ("v", "arrival_sha256", "read_order_sha256", "outcome_sha256", "answer_sha256", "order_sha256")

    def of_an_older_one(row: dict[str, str]) -> None:
        if row["kind"] in (Event.DELIVERED, Event.HELD):
            kept = {key: value for key, value in json.loads(row["detail"]).items() if key not in new}
            row["detail"] = json.dumps(kept, sort_keys=True)

    with Store.open(sqlite) as store:
        lived(store)
        recompute(store, of_an_older_one)
        report = store.verify_audit()
    assert (report.ok, report.uncovered) == (True, 2), report.problems


# Checkpoints


def test_signs_when_rows_or_time_have_passed(sqlite: DataSection) -> None:
    with Store.open(sqlite) as store:
        slow = store.checkpoints(AuditSection(checkpoint_rows=5, checkpoint_minutes=1000))
        assert slow.write_when_due() is not None
        sign_in(store, 4)
        assert slow.write_when_due() is None
        sign_in(store, 1)
        assert slow.write_when_due() is not None
        assert slow.write_when_due() is None
        sign_in(store, 1)
        soon = store.checkpoints(AuditSection(checkpoint_rows=5, checkpoint_minutes=1e-9))
        assert soon.write_when_due() is not None


def test_signs_into_a_folder_where_files_can_only_be_added(
    sqlite: DataSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_permitted(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with Store.open(sqlite) as store:
        lived(store)
        store.checkpoints(SETTINGS)  # makes the key, in another folder
        with monkeypatch.context() as patched:
            for name in ("replace", "rename", "unlink"):
                patched.setattr(Path, name, not_permitted)
            for _ in range(2):  # the second time after a restart, of the same head
                path = store.checkpoints(SETTINGS).write()
            sign_in(store, 1)
            store.checkpoints(SETTINGS).write()
    assert sorted(each.suffix for each in path.parent.iterdir()) == [".checkpoint", ".checkpoint", ".pub"]


def test_a_checkpoint_that_a_power_cut_left_empty_is_none(sqlite: DataSection) -> None:
    with Store.open(sqlite) as store:
        lived(store)
        signer = store.checkpoints(SETTINGS)
        path = signer.write()
        path.write_bytes(b"")
        assert read_checkpoints(path.parent, signer.verifier) == ([], [f"{path.parent} holds no *.checkpoint"])
        assert signer.write() == path
        assert len(read_checkpoints(path.parent, signer.verifier)[0]) == 1


def test_takes_no_file_of_somebody_else_for_its_checkpoint(sqlite: DataSection) -> None:
    with Store.open(sqlite) as store:
        lived(store)
        signer = store.checkpoints(SETTINGS)
        signer.write().write_text("something else", encoding="utf-8")
        with pytest.raises(ConfigError, match="who put it"):
            signer.write()


def test_signs_no_chain_that_lacks_the_entry_it_signed_last(sqlite: DataSection) -> None:
    with Store.open(sqlite) as store:
        lived(store)
        signer = store.checkpoints(SETTINGS)
        signer.write()
        unguarded(store, "DELETE FROM audit WHERE seq = (SELECT rows FROM audit_head)")
        sign_in(store, 1)
        with pytest.raises(AuditBroken):
            signer.write()


def test_tells_a_forged_checkpoint(sqlite: DataSection) -> None:
    with Store.open(sqlite) as store:
        lived(store)
        path = store.checkpoints(SETTINGS).write()
    text_of = path.read_text(encoding="utf-8")
    rows = text_of.splitlines()[1]
    path.write_text(text_of.replace(f"\n{rows}\n", f"\n{int(rows) - 1}\n", 1), encoding="utf-8")
    found, problems = read_checkpoints(path, verifier_of(sqlite.folder, SETTINGS, None))
    assert found == []
    assert "is not signed by cardioscan-gateway" in problems[0]


def test_the_published_key_checks_what_another_key_cannot(sqlite: DataSection, tmp_path: Path) -> None:
    with Store.open(sqlite) as store:
        signer: Checkpoints = store.checkpoints(SETTINGS)
        path = signer.write()
    (published,) = path.parent.glob("*.pub")
    kept = shutil.copy(published, tmp_path / "kept.pub")
    (sqlite.folder / "audit-key.pem").unlink()
    with Store.open(sqlite) as store:
        store.checkpoints(SETTINGS)  # makes another key
    assert len(read_checkpoints(path, verifier_of(sqlite.folder, SETTINGS, Path(kept)))[0]) == 1
    assert read_checkpoints(path, verifier_of(sqlite.folder, SETTINGS, None))[0] == []


def test_key_and_checkpoints_are_for_their_own_user_only(sqlite: DataSection) -> None:
    with Store.open(sqlite) as store:
        path = store.checkpoints(SETTINGS).write()
    assert (sqlite.folder / "audit-key.pem").stat().st_mode & 0o077 == 0
    assert path.stat().st_mode & 0o077 == 0
