"""Signed checkpoints of the audit chain's head: small files that prove later what the chain was, kept elsewhere."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from sqlalchemy import select

from gateway.config import AuditSection
from gateway.errors import AuditBroken, ConfigError
from gateway.store.database import Database
from gateway.store.objects import FILE_MODE, FOLDER_MODE, sync_folder
from gateway.store.signed_note import (
    NOTE_MAX_BYTES,
    NoteError,
    Verifier,
    checkpoint_text,
    open_note,
    parse_checkpoint,
    sign,
)
from gateway.store.tables import audit, audit_head

SUFFIX = ".checkpoint"
KEY_FILE = "audit-key.pem"  # in data.folder, unless audit.signing_key_file names another
FOLDER = "checkpoints"  # in data.folder, unless audit.checkpoint_folder names another


@dataclass(frozen=True)
class Checkpoint:
    """What a signed file says: the chain had so many rows and this head then. name: of the file, to tell of it."""

    name: str
    rows: int
    head_hash: str
    signed_at: datetime


class Checkpoints:
    """Signs the head of one database's chain into a folder. Makes the key, and at the first checkpoint the folder."""

    def __init__(self, database: Database, data_folder: Path, settings: AuditSection) -> None:
        """Raises ConfigError: the key cannot be read, or not made."""
        self._database = database
        self._settings = settings
        self.folder = settings.checkpoint_folder or data_folder / FOLDER
        self._key = _key(settings.signing_key_file or data_folder / KEY_FILE)
        self.verifier = Verifier(settings.origin, self._key.public_key())

    def write_when_due(self) -> Path | None:
        """Signs the head if enough rows or time have passed since the last checkpoint, and returns the file.

        Raises AuditBroken where the chain does not hold what the last one signed: rows were cut off, the chain was
        recomputed, or an older copy of the database was put back. ConfigError where the folder cannot be written.
        """
        last = self._last()
        rows, head_hash, age = self._head(last)
        if last is not None and rows == last.rows:
            return None
        if last is None or rows - last.rows >= self._settings.checkpoint_rows:
            return self._write(rows, head_hash)
        return self._write(rows, head_hash) if age >= timedelta(minutes=self._settings.checkpoint_minutes) else None

    def write(self) -> Path:
        """Signs the head now, as at the gateway's end. Raises as write_when_due."""
        rows, head_hash, _ = self._head(self._last())
        return self._write(rows, head_hash)

    def _head(self, last: Checkpoint | None) -> tuple[int, str, timedelta]:
        """Rows and hash of the head, and how long ago the last checkpoint was signed by the database's clock."""
        with self._database.read() as connection:
            head = connection.execute(select(audit_head)).one()
            if last is None:
                return head.rows, head.hash, timedelta.max
            hash_there = connection.execute(select(audit.c.hash).where(audit.c.seq == last.rows)).scalar_one_or_none()
            now = self._database.now(connection)
        if head.rows < last.rows or (last.rows >= head.first_seq and hash_there != last.head_hash):
            raise AuditBroken(
                f"the audit does not hold what {last.name} signed: it has {head.rows} rows; run cardioscan audit "
                f"verify --against {self.folder}"
            )
        return head.rows, head.hash, now - last.signed_at

    def _last(self) -> Checkpoint | None:
        """The checkpoint of the most rows that this key signed."""
        with _told_of(self.folder):
            names = sorted((path.name for path in self.folder.glob(f"*{SUFFIX}")), reverse=True)
            for name in names:
                with suppress(NoteError):
                    return read_checkpoint(self.folder / name, self.verifier)
        return None

    def _write(self, rows: int, head_hash: str) -> Path:
        path = self.folder / f"{rows:012d}-{head_hash[:16]}{SUFFIX}"
        with self._database.read() as connection:
            now = self._database.now(connection)
        text = checkpoint_text(self._settings.origin, rows, head_hash, now)
        with _told_of(self.folder):
            self.folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            _add(self.folder / f"{self.verifier.key_id.hex()}.pub", self.verifier.text() + "\n")
            _add(path, sign(text, self._settings.origin, self._key))
            try:
                read_checkpoint(path, self.verifier)
            except NoteError as error:
                raise ConfigError(f"{path} {error}, and stands where the next checkpoint goes: who put it?") from error
        return path


def read_checkpoint(path: Path, verifier: Verifier) -> Checkpoint:
    """One file, its signature checked. NoteError, OSError."""
    with path.open("rb") as file:
        raw = file.read(NOTE_MAX_BYTES)
    try:
        said = parse_checkpoint(open_note(raw.decode(), verifier))
    except UnicodeDecodeError as error:
        raise NoteError("is not UTF-8") from error
    return Checkpoint(path.name, said.rows, said.head_hash, said.signed_at)


def read_checkpoints(where: Path, verifier: Verifier) -> tuple[list[Checkpoint], list[str]]:
    """The checkpoints of a file or a folder, and what is wrong with those that cannot be believed."""
    paths = sorted(where.glob(f"*{SUFFIX}")) if where.is_dir() else [where]
    paths = [path for path in paths if not _is_unfinished(path)]
    found: list[Checkpoint] = []
    problems: list[str] = []
    for path in paths:
        try:
            found.append(read_checkpoint(path, verifier))
        except NoteError as error:
            problems.append(f"checkpoint {path.name} {error}")
        except OSError as error:
            problems.append(f"checkpoint {path.name} cannot be read: {error.strerror}")
    return found, problems if paths else [f"{where} holds no *{SUFFIX}"]


def _is_unfinished(path: Path) -> bool:
    """Whether a power cut came between a file's name and its bytes; it says as much as one that is not there."""
    return path.is_file() and not path.stat().st_size


def verifier_of(data_folder: Path, settings: AuditSection, file: Path | None) -> Verifier:
    """The key to check signatures with: of a file that holds a verifier key, else our own. ConfigError."""
    if file is None:
        path = settings.signing_key_file or data_folder / KEY_FILE
        if not path.exists():
            raise ConfigError(f"{path}: there is no key to check checkpoints with; give --key FILE")
        return Verifier(settings.origin, _key(path).public_key())
    try:
        return Verifier.parse(file.read_text(encoding="utf-8"))
    except (NoteError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error


def _key(path: Path) -> Ed25519PrivateKey:
    """The private key of a PEM file, made for its own user only where there is none. ConfigError."""
    if not path.exists():
        with _told_of(path):
            _make_key(path)
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: is no private key in PEM without a password (audit.signing_key_file)") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: is no Ed25519 key (audit.signing_key_file)")
    return key


def _make_key(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    _create(fresh, pem)
    with suppress(FileExistsError):  # two processes at once: the first one's key stands
        os.link(fresh, path)
    fresh.unlink()
    sync_folder(path.parent)


def _add(path: Path, text: str) -> None:
    """Adds a file, on disk for good; one that is there, and says the same of the same head, stays.

    Straight under its name: a folder in which files can be added and not changed allows no renaming either.
    """
    try:
        _create(path, text.encode())
    except FileExistsError:
        if path.stat().st_size:
            return
        path.write_text(text, encoding="utf-8")  # whoever began it died over it
    sync_folder(path.parent)


def _create(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; see audit.checkpoint_folder and audit.signing_key_file"
        ) from error
