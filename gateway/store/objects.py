"""Bytes on disk, kept under their SHA-256, safe before anything is said about them; and the folder they come in by."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from gateway.errors import NotFound, OutOfSpace
from gateway.store.process_name import ProcessName

# Pages show patients' names: for the gateway's own user only, whatever its umask is.
FOLDER_MODE = 0o700
FILE_MODE = 0o600
SHA256_HEX = re.compile(r"[0-9a-f]{64}")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
SWEEP_LOCK = ".lock"
ERASE_LOCK = "erase.lock"  # shared by who needs every object to stay, exclusive for who erases
MEGABYTE = 1_000_000
KEPT_LATELY_S = 3600.0  # far above the time from keeping bytes to the commit of their row


class Objects:
    """The folder ``objects/ab/abcdef…`` and, on the same file system, this process's own ``staging/…``."""

    def __init__(self, folder: Path) -> None:
        """Creates the folders, in one that is there, and removes what this machine's dead left half received.

        Raises OutOfSpace.
        """
        self._root = folder / "objects"
        with space_translated():
            self._create()
            self.staging, self._lock = _open_staging(folder / "staging")

    def path(self, sha256: str) -> Path:
        """Where the bytes with this hash are, or would be. ValueError unless it is 64 hexadecimal digits."""
        if not SHA256_HEX.fullmatch(sha256):
            raise ValueError("a SHA-256 is 64 lower-case hexadecimal digits")
        return self._root / sha256[:2] / sha256

    def keep(self, staged: Path, sha256: str) -> int:
        """Moves a staged file to its place, on disk for good, and returns its size in bytes."""
        target = self.path(sha256)
        with space_translated():
            staged.chmod(FILE_MODE)  # before it can be found under its hash; doors may have been less careful
            sync_file(staged)
            size_bytes = staged.stat().st_size
            if target.exists() and not self.fault(sha256) and _touched(target):
                staged.unlink()
            else:
                staged.replace(target)
            # Also for bytes that were there: who put them may not have come as far as this line.
            sync_folder(target.parent)
        return size_bytes

    def remove(self, sha256: str) -> None:
        """Takes bytes away that no row needs, unless they were kept once more within KEPT_LATELY_S.

        Those are of a page that comes in right now, and whose row is not there yet.
        """
        path = self.path(sha256)
        going = path.with_name(f"{sha256}.{uuid.uuid4().hex}")
        with suppress(FileNotFoundError):
            path.rename(going)
            if time.time() - going.stat().st_mtime < KEPT_LATELY_S:
                going.rename(path)
            else:
                going.unlink()
            sync_folder(path.parent)

    def keep_bytes(self, data: bytes) -> str:
        """Writes bytes under their hash, on disk for good, and returns the hash."""
        sha256 = hashlib.sha256(data).hexdigest()
        staged = self.staging / uuid.uuid4().hex
        try:
            with space_translated():
                staged.write_bytes(data)
            self.keep(staged, sha256)
        finally:
            staged.unlink(missing_ok=True)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The bytes with this hash. NotFound where they are gone."""
        try:
            return self.path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"object {sha256} is not on disk") from error

    def fault(self, sha256: str) -> str:
        """What is wrong with the bytes under this hash, "" where nothing is."""
        try:
            with self.path(sha256).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        return "" if found == sha256 else f"now hashes to {found}"

    def free_mb(self) -> float:
        """Free space of the file system, in megabytes."""
        return shutil.disk_usage(self._root).free / MEGABYTE

    def space_mb(self) -> tuple[float, float]:
        """Free and total space of the file system, in megabytes."""
        usage = shutil.disk_usage(self._root)
        return usage.free / MEGABYTE, usage.total / MEGABYTE

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self._root.parent

    @property
    def process(self) -> str:
        """The identity of the process that opened this: no other one ever has it."""
        return self.staging.name

    def lives(self, process: str) -> bool:
        """Whether a process with this identity still has its staging folder locked.

        True also where that cannot be told: a living process wrongly called dead has its page done twice, a dead one
        called alive costs the wait for its lease.
        """
        if process == self.process:
            return True
        try:
            return not _is_dead(self.staging, process)
        except OSError:  # no file handle left, no right to look, a share that went away or that knows no locks
            return True

    def close(self) -> None:
        """Gives up the staging folder and what is still in it."""
        shutil.rmtree(self.staging, ignore_errors=True)
        self._lock.close()

    def _create(self) -> None:
        # All 256 at once, so that receiving a page never has to make a folder's own entry durable.
        self._root.mkdir(FOLDER_MODE, exist_ok=True)
        for first in range(256):
            (self._root / f"{first:02x}").mkdir(FOLDER_MODE, exist_ok=True)
        sync_folder(self._root)
        sync_folder(self._root.parent)


def _touched(path: Path) -> bool:
    """Says of bytes that are there that they are needed anew; False where they were just taken away."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def space_translated() -> Iterator[None]:
    """A full disk as OutOfSpace; other faults of the disk pass as they are."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise OutOfSpace("out_of_space", "the disk is full") from error
        raise


@contextmanager
def keep_objects(folder: Path) -> Iterator[None]:
    """Lets nobody erase objects of this data folder until the block ends; waits for who does so now.

    Where the file system knows no locks nobody erases either.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            lock = stack.enter_context(private_file(folder / ERASE_LOCK))
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def erasing_objects(folder: Path) -> Iterator[bool]:
    """Says whether objects of this data folder may be erased in the block: by one process, and during no backup."""
    with private_file(folder / ERASE_LOCK) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def private_file(path: Path) -> IO[str]:
    """A file to write to, created for its own user only; one that is there is opened as it is."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE), "w")


def sync_file(path: Path) -> None:
    """Waits until a file's bytes are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Waits until a folder's entries are on disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _open_staging(root: Path) -> tuple[Path, IO[str]]:
    """A staging folder of our own, and the lock that says its owner lives; those of this machine's dead are removed."""
    root.mkdir(FOLDER_MODE, exist_ok=True)
    with private_file(root / SWEEP_LOCK) as sweep:
        fcntl.flock(sweep, fcntl.LOCK_EX)  # or a folder could be swept before its new owner has locked it
        for folder in [entry for entry in root.iterdir() if entry.is_dir() and _may_sweep(entry)]:
            _remove_if_dead(folder)
        ours = root / str(ProcessName.new())
        ours.mkdir(FOLDER_MODE)
        lock = private_file(ours / SWEEP_LOCK)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return ours, lock


def _is_dead(ours: Path, process: str) -> bool:
    """Raises OSError where that cannot be told, BlockingIOError where the process lives."""
    (ours / SWEEP_LOCK).stat()  # where our own is gone, this is not the folder that processes locked
    with private_file(ours.parent / SWEEP_LOCK) as sweep:
        fcntl.flock(sweep, fcntl.LOCK_EX)  # a folder that is being made is not locked yet
        with suppress(FileNotFoundError), (ours.parent / process / SWEEP_LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return True


def _may_sweep(folder: Path) -> bool:
    """Whether its lock can be seen here; also of an earlier version's folders, whose names tell no machine."""
    name = ProcessName.parse(folder.name)
    return name is None or name.is_local


def _remove_if_dead(folder: Path) -> None:
    with suppress(OSError), private_file(folder / SWEEP_LOCK) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of a dead process's locks
        shutil.rmtree(folder, ignore_errors=True)
