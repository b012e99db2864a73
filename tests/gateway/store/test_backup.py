"""A backup is whole while pages come in, and what is restored from it proves itself."""

from __future__ import annotations

import errno
import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from gateway.commands import main
from gateway.config import AuditSection, DataSection, RetentionSection
from gateway.errors import ConfigError
from gateway.job import Outcome, PageResult, State, Verdict
from gateway.store import Store, back_up, backup, objects, read_checkpoints, restore, verifier_of
from gateway.store.database import Database
from gateway.store.retention import Erased
from tests.gateway.store.test_retention import later
from tests.gateway.storing import claimed, digitized, document, held, on_its_way, receive, settled
from tests.postgres import Postgres

run = CliRunner()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[DataSection, DataSection]:
    """Where a gateway runs, and where its backup is restored."""
    urls = ["", ""]
    if request.param == "postgresql":
        if shutil.which("pg_dump") is None:
            pytest.skip("pg_dump is not installed")
        urls = [_database(request.getfixturevalue("postgres")) for _ in urls]
    here, there = (DataSection(folder=tmp_path / name, reserve_mb=0) for name in ("here", "there"))
    return tuple(  # type: ignore[return-value]
        data.model_copy(update={"database_url": SecretStr(url)}) for data, url in zip((here, there), urls, strict=True)
    )


def _database(server: Postgres) -> str:
    """A database of its own: a backup is of a whole one."""
    address = server.fresh_database().partition("?")[0]
    name = f"whole_{uuid.uuid4().hex}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return address.rpartition("/")[0] + f"/{name}"


def lived(store: Store) -> str:
    sent = settled(store, digitized(document("pacs")), b"1")
    store.delivered(on_its_way(store, "pacs"), "0000")
    settled(store, held(), b"2")
    return sent


def test_what_is_restored_proves_itself_and_goes_on(places: tuple[DataSection, DataSection], tmp_path: Path) -> None:
    here, there = places
    with Store.open(here) as store:
        sent = lived(store)
        store.checkpoints(AuditSection()).write()
        made = back_up(here, tmp_path / "copy")
        page = store.content(store.job(sent)).read_bytes()
        receive(store, b"after the backup")
    assert restore(there, tmp_path / "copy") == made
    checkpoints, problems = read_checkpoints(
        there.folder / "checkpoints", verifier_of(there.folder, AuditSection(), None)
    )
    with Store.open(there) as store:
        report = store.verify_audit(checkpoints=checkpoints)
        assert (report.ok, report.rows, report.head_hash) == (True, made.rows, made.head_hash), report.problems
        assert (report.checkpoints, problems) == (1, [])
        assert store.content(store.job(sent)).read_bytes() == page
        assert sum(store.counts().values()) == 2
        receive(store, b"3")
        assert store.verify_audit().ok


def test_a_backup_is_whole_while_pages_come_in(tmp_path: Path) -> None:
    here = DataSection(folder=tmp_path / "here", reserve_mb=0)
    there = DataSection(folder=tmp_path / "there", reserve_mb=0)
    stop = threading.Event()
    received: list[int] = []

    def feed() -> None:
        with Store.open(here) as store:
            while not stop.is_set() or not received:
                receive(store, b"page %d" % len(received))
                received.append(1)

    with Store.open(here) as store:
        lived(store)
        feeding = threading.Thread(target=feed)
        feeding.start()
        for _ in range(2):  # the second brings the first up to date
            back_up(here, tmp_path / "copy")
        stop.set()
        feeding.join()
    restore(there, tmp_path / "copy")
    with Store.open(there) as store:
        report = store.verify_audit()
        assert report.ok, report.problems
        assert sum(report.jobs.values()) >= 2


@pytest.fixture
def here(tmp_path: Path) -> DataSection:
    return DataSection(folder=tmp_path / "here", reserve_mb=0)


@pytest.fixture
def there(tmp_path: Path) -> DataSection:
    return DataSection(folder=tmp_path / "there", reserve_mb=0)


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Lets something happen between the copy of the database and that of the objects."""
    copy_objects = backup._copy_objects

    def copied(*arguments: Any) -> Any:
        monkeypatch.setattr(backup, "_copy_objects", copy_objects)
        happens()
        return copy_objects(*arguments)

    monkeypatch.setattr(backup, "_copy_objects", copied)


def test_a_backup_that_fails_leaves_the_earlier_one_whole(
    here: DataSection, there: DataSection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_is_full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Store.open(here) as store:
        lived(store)
        made = back_up(here, tmp_path / "copy")
        receive(store, b"3")
        meanwhile(monkeypatch, disk_is_full)
        with pytest.raises(OSError, match="No space"):
            back_up(here, tmp_path / "copy")
    assert restore(there, tmp_path / "copy") == made
    with Store.open(there) as store:
        report = store.verify_audit()
        assert (report.ok, report.rows) == (True, made.rows), report.problems


def test_a_checkpoint_that_is_signed_during_the_backup_contradicts_no_restored_audit(
    here: DataSection, there: DataSection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(here) as store:
        lived(store)

        def sign_more() -> None:
            receive(store, b"3")
            store.checkpoints(AuditSection()).write()

        meanwhile(monkeypatch, sign_more)
        back_up(here, tmp_path / "copy")
    restore(there, tmp_path / "copy")
    with Store.open(there) as store:
        store.checkpoints(AuditSection()).write()  # AuditBroken if one is of rows that did not come back


def test_nothing_is_erased_while_a_backup_is_made(
    here: DataSection, there: DataSection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "KEPT_LATELY_S", 0.0)
    erased: list[Erased] = []
    with Store.open(here) as store:
        lived(store)
        later(monkeypatch, 31)
        meanwhile(monkeypatch, lambda: erased.append(store.erase_old(RetentionSection(pages_days=30))))
        back_up(here, tmp_path / "copy")
        assert erased == [Erased()]
        assert store.erase_old(RetentionSection(pages_days=30)).pages == 1
    restore(there, tmp_path / "copy")
    with Store.open(there) as store:
        assert store.verify_audit().ok


def test_what_was_erased_is_erased_in_the_next_backup_too(
    here: DataSection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "KEPT_LATELY_S", 0.0)
    with Store.open(here) as store:
        page = store.job(lived(store)).sha256
        back_up(here, tmp_path / "copy")
        copied = tmp_path / "copy" / "objects" / page[:2] / page
        assert copied.exists()
        later(monkeypatch, 31)
        store.erase_old(RetentionSection(pages_days=30))
        back_up(here, tmp_path / "copy")
        assert not copied.exists()


def test_a_backup_writes_over_that_of_no_other_gateway(here: DataSection, there: DataSection, tmp_path: Path) -> None:
    with Store.open(here) as store:
        lived(store)
        made = back_up(here, tmp_path / "copy")
    with Store.open(there) as store:
        receive(store, b"another")
        with pytest.raises(ConfigError, match="another gateway"):
            back_up(there, tmp_path / "copy")
    shutil.rmtree(there.folder)
    assert restore(there, tmp_path / "copy") == made


@pytest.mark.peer
def test_a_dump_has_what_it_names_when_a_page_is_read_anew_meanwhile(
    postgres: Postgres, here: DataSection, there: DataSection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("pg_dump is not installed")
    here, there = (data.model_copy(update={"database_url": SecretStr(_database(postgres))}) for data in (here, there))
    run_program = backup._run
    with Store.open(here) as store:
        result = PageResult(1, Verdict.HELD, "no_patient_id", "", recording_npz=b"as read first")
        job_id = settled(store, Outcome(State.HELD, "no_patient_id", "", pages=(result,)))

        def dumped(*arguments: Any) -> None:
            run_program(*arguments)
            store.retry(job_id, "amy")
            store.settle(claimed(store), Outcome(State.HELD, "no_patient_id", "", pages=()))

        monkeypatch.setattr(backup, "_run", dumped)
        back_up(here, tmp_path / "copy")
        monkeypatch.setattr(backup, "_run", run_program)
    restore(there, tmp_path / "copy")
    with Store.open(there) as store:
        report = store.verify_audit()
        assert report.ok, report.problems


def test_pg_dump_connects_as_the_gateway_does_and_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(backup.subprocess, "run", lambda command, env, **_: ran.append((command, env)))
    address = "postgresql://amy:hidden@db/ecg?sslmode=verify-full&host=db.hospital.example"
    backup._run(Database(address), "pg_dump", "--format=custom")
    ((command, environment),) = ran
    assert "sslmode='verify-full'" in " ".join(command)
    assert "host='db.hospital.example'" in " ".join(command)
    assert "hidden" not in " ".join(command)
    assert environment["PGPASSWORD"] == "hidden"


def test_a_restore_writes_over_nothing(tmp_path: Path) -> None:
    here = DataSection(folder=tmp_path / "here", reserve_mb=0)
    with Store.open(here) as store:
        lived(store)
        back_up(here, tmp_path / "copy")
    with pytest.raises(ConfigError, match="not empty"):
        restore(here, tmp_path / "copy")


def test_half_a_backup_is_none(tmp_path: Path) -> None:
    here = DataSection(folder=tmp_path / "here", reserve_mb=0)
    with Store.open(here) as store:
        lived(store)
        back_up(here, tmp_path / "copy")
    (tmp_path / "copy" / "backup.json").unlink()
    with pytest.raises(ConfigError, match="no whole backup"):
        restore(DataSection(folder=tmp_path / "there"), tmp_path / "copy")


def test_a_backup_is_for_its_own_user_only(tmp_path: Path) -> None:
    here = DataSection(folder=tmp_path / "here", reserve_mb=0)
    with Store.open(here) as store:
        lived(store)
        store.checkpoints(AuditSection())
        back_up(here, tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*"):
        if path.name != "backup.json":
            assert path.stat().st_mode & 0o077 == 0, path


def test_the_commands_copy_and_put_back(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / f"{name}.toml").write_text(f'[data]\nfolder = "{name}"\nreserve_mb = 0\n')
    with Store.open(DataSection(folder=tmp_path / "here", reserve_mb=0)) as store:
        lived(store)
    made = run.invoke(main.app, ["backup", str(tmp_path / "copy"), "-c", str(tmp_path / "here.toml")])
    assert made.exit_code == 0, made.output
    back = run.invoke(main.app, ["restore", str(tmp_path / "copy"), "-c", str(tmp_path / "there.toml")])
    assert back.exit_code == 0, back.output
    assert "2 jobs" in back.stdout
    (head,) = (line for line in made.stdout.splitlines() if line.startswith("head: "))
    assert head in back.stdout
    victim = next((tmp_path / "copy" / "objects").glob("??/*"))
    victim.write_bytes(b"x" * victim.stat().st_size)
    shutil.rmtree(tmp_path / "there")
    spoiled = run.invoke(main.app, ["restore", str(tmp_path / "copy"), "-c", str(tmp_path / "there.toml")])
    assert spoiled.exit_code == 1
    assert "now hashes to" in spoiled.stderr
