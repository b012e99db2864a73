"""Copies database and objects while the gateway runs, and puts them back. The copy of the database is of one moment.

The database comes first and the objects that it names after it: an object is on disk before its row is committed, so
the copy is whole whatever is received meanwhile. Retention waits until the copy is made.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, select

from gateway.config import DataSection
from gateway.errors import ConfigError
from gateway.store.checkpoints import FOLDER as CHECKPOINTS
from gateway.store.checkpoints import KEY_FILE
from gateway.store.database import SQLITE_FILE, Database, database_url, translated
from gateway.store.objects import FILE_MODE, FOLDER_MODE, SHA256_HEX, keep_objects, sync_file, sync_folder
from gateway.store.schema import current_revision, newest_revision
from gateway.store.tables import audit, audit_head, jobs, outbox, pages

DUMP_FILE = "database.dump"  # of pg_dump, in its own format
ABOUT_FILE = "backup.json"  # the last to be written: a folder without it was never a whole backup
DUMP_SECONDS_MAX = 24 * 3600.0


@dataclass(frozen=True)
class Backup:
    """What a folder holds. rows, head_hash: of the audit at that moment. objects: files. made_at: RFC 3339."""

    made_at: str
    revision: str
    rows: int
    head_hash: str
    objects: int


def back_up(data: DataSection, folder: Path) -> Backup:
    """Copies everything into a folder; what an earlier backup left there and is still the same is kept.

    An earlier backup stays whole until this one is. What the gateway has erased since then is taken out of it at last.
    A PostgreSQL database must be the gateway's alone: all of it is copied.
    Raises ConfigError (pg_dump is missing or failed, the folder holds another gateway's backup), TryAgain (the
    database), OSError.
    """
    folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    source = Database(database_url(data))
    try:
        with keep_objects(data.folder):
            # Before the database: a checkpoint that is signed meanwhile would be of rows that the copy does not have.
            _copy_key(data.folder, folder)
            with source.read() as connection:
                _require_current(connection)
                _require_same_chain(connection, folder)
                # Read before the copy is made: the copy may hold more, and a checkpoint of this head is in it for sure.
                head = connection.execute(select(audit_head.c.rows, audit_head.c.hash)).one()
                fresh, hashes = _copy_database(source, connection, folder)
            _copy_objects(data.folder / "objects", folder / "objects", hashes)
    finally:
        source.close()
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    about = Backup(made_at, newest_revision(), int(head.rows), str(head.hash), len(hashes))
    _put_in_place(fresh, fresh.with_suffix(""))
    _write(folder / ABOUT_FILE, json.dumps(asdict(about), indent=1) + "\n")
    _remove_others(folder / "objects", hashes)
    return about


def _require_current(connection: Connection) -> None:
    if (revision := current_revision(connection)) != newest_revision():
        raise ConfigError(
            f"the database is at revision {revision}, this version reads {newest_revision()}: back it up with the "
            "version that runs, or run cardioscan db upgrade first"
        )


def _require_same_chain(connection: Connection, folder: Path) -> None:
    """Writes over no backup but an earlier one of this very gateway. Raises ConfigError."""
    if not (folder / ABOUT_FILE).exists():
        return
    earlier = _about(folder)
    first_seq = connection.execute(select(audit_head.c.first_seq)).scalar_one()
    row = connection.execute(select(audit.c.hash).where(audit.c.seq == earlier.rows)).scalar_one_or_none()
    if earlier.rows >= first_seq and row != earlier.head_hash:
        raise ConfigError(
            f"{folder} holds a backup of another gateway, or a later one of this: its audit of {earlier.rows} rows is "
            "no part of this one's; name another folder"
        )


def restore(data: DataSection, folder: Path) -> Backup:
    """Puts a backup into an empty data folder, and an empty database. Raises ConfigError, OSError."""
    about = _about(folder)
    if (data.folder / "objects").exists() or (data.folder / SQLITE_FILE).exists():
        raise ConfigError(f"{data.folder} is not empty; move it aside, or restore into another data.folder")
    data.folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    _restore_database(data, folder)
    hashes = {path.name for path in (folder / "objects").glob("??/*") if SHA256_HEX.fullmatch(path.name)}
    _copy_objects(folder / "objects", data.folder / "objects", hashes)
    _copy_key(folder, data.folder)
    return about


def _about(folder: Path) -> Backup:
    try:
        about = Backup(**json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{folder} holds no whole backup: {ABOUT_FILE} is missing or malformed") from error
    if about.revision > newest_revision():
        raise ConfigError(f"the backup is of revision {about.revision}, which this version does not know; update it")
    return about


def _copy_database(source: Database, connection: Connection, folder: Path) -> tuple[Path, set[str]]:
    """The copy, not in its place yet, and the objects that it names."""
    if source.is_sqlite:
        fresh = folder / f"{SQLITE_FILE}.part"
        _copy_sqlite(Path(source.url.database or ""), fresh)
        copy = Database(f"sqlite:///{fresh.absolute()}")
        try:
            with copy.read() as copied:
                return fresh, _named_objects(copied)
        finally:
            copy.close()
    fresh = folder / f"{DUMP_FILE}.part"
    snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
    _run(source, "pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--file={fresh}")
    fresh.chmod(FILE_MODE)
    sync_file(fresh)
    return fresh, _named_objects(connection)  # as the dump sees it


def _copy_sqlite(source: Path, fresh: Path) -> None:
    """SQLite's own online copy: writers go on meanwhile, and what they commit is in it or not, never half."""
    for end in ("", "-journal", "-wal", "-shm"):
        fresh.with_name(fresh.name + end).unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(fresh)) as there:
        here.backup(there)
        there.execute("PRAGMA journal_mode = DELETE")  # one file, without a -wal beside it
    sync_file(fresh)


def _put_in_place(fresh: Path, target: Path) -> None:
    for end in ("-wal", "-shm"):  # of whoever has looked into the earlier copy
        target.with_name(target.name + end).unlink(missing_ok=True)
    fresh.replace(target)
    sync_folder(target.parent)


def _named_objects(connection: Connection) -> set[str]:
    queries = (
        select(jobs.c.sha256).where(jobs.c.erased_at.is_(None)),
        select(outbox.c.sha256).where(outbox.c.erased_at.is_(None)),
        select(pages.c.recording_sha256).where(pages.c.recording_sha256.is_not(None)),
    )
    return {str(value) for query in queries for value in connection.execute(query).scalars()}


def _copy_objects(source: Path, target: Path, hashes: set[str]) -> None:
    """Copies what is not there yet; bytes are named by their hash, so a file of the same size is the same."""
    target.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    changed = {target}
    for sha256 in sorted(hashes):
        here, there = source / sha256[:2] / sha256, target / sha256[:2] / sha256
        if there.exists() and there.stat().st_size == here.stat().st_size:
            continue
        there.parent.mkdir(FOLDER_MODE, exist_ok=True)
        _copy(here, there)
        changed.add(there.parent)
    for folder in changed:
        sync_folder(folder)


def _remove_others(target: Path, hashes: set[str]) -> None:
    """A page that was erased here is erased in its backup too."""
    for path in target.glob("??/*"):
        if path.name not in hashes:
            path.unlink()


def _copy_key(source: Path, target: Path) -> None:
    """The key that signs the audit and the checkpoints that lie beside the database."""
    if (source / KEY_FILE).exists():
        _copy(source / KEY_FILE, target / KEY_FILE)
    (target / CHECKPOINTS).mkdir(FOLDER_MODE, exist_ok=True)
    for path in (source / CHECKPOINTS).glob("[!.]*"):
        _copy(path, target / CHECKPOINTS / path.name)


def _copy(source: Path, target: Path) -> None:
    fresh = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, fresh)
    fresh.chmod(FILE_MODE)
    sync_file(fresh)
    fresh.replace(target)


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.part")
    fresh.write_text(text, encoding="utf-8")
    sync_file(fresh)
    fresh.replace(path)
    sync_folder(path.parent)


def _restore_database(data: DataSection, folder: Path) -> None:
    target = Database(database_url(data))
    try:
        if target.is_sqlite != (folder / SQLITE_FILE).exists():
            raise ConfigError("the backup is of the other kind of database: SQLite and PostgreSQL are not exchanged")
        if target.is_sqlite:
            _copy(folder / SQLITE_FILE, Path(target.url.database or ""))
        else:
            _restore_dump(target, folder / DUMP_FILE)
    finally:
        target.close()


def _restore_dump(database: Database, source: Path) -> None:
    with translated(), database.read() as connection:
        if current_revision(connection) is not None:
            raise ConfigError("the database is not empty; restore into a fresh one")
    _run(database, "pg_restore", "--no-owner", "--single-transaction", "--exit-on-error", str(source))


def _run(database: Database, program: str, *arguments: str) -> None:
    """Runs a program of PostgreSQL. The password goes by the environment, which other users cannot read."""
    _, options = database.engine.dialect.create_connect_args(database.url)  # with sslmode and all else of the address
    password = options.pop("password", None)
    address = " ".join(f"{key}={_quoted(str(value))}" for key, value in options.items() if isinstance(value, str | int))
    environment = {**os.environ, **({} if password is None else {"PGPASSWORD": str(password)})}
    command = [program, f"--dbname={address}", *arguments]
    try:
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=DUMP_SECONDS_MAX)
    except FileNotFoundError as error:
        raise ConfigError(f"{program} is not installed here; a backup of PostgreSQL needs it") from error
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{program} was not done after {DUMP_SECONDS_MAX:.0f} s") from error
    except subprocess.CalledProcessError as error:
        first = error.stderr.strip().partition("\n")[0]
        raise ConfigError(f"{program} failed: {first}") from error


def _quoted(value: str) -> str:
    """A value of a connection string (PostgreSQL, libpq: Connection Strings)."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
