"""Puts a document into a folder, whole or not at all: temporary name, fsync, rename, fsync of the folder."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from pathlib import Path

from gateway.config import FolderDestination
from gateway.deliver.sender import Delivered
from gateway.emit.forms import FORMS
from gateway.errors import OutOfSpace, Refused, TryAgain
from gateway.job import Document

STEM_MAX = 180  # characters: with mark, suffix and the dot of the temporary name below the 255 of every file system
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_WORLD = {  # what a person can mend; anything else is told by the system's own words
    errno.ENOENT: "the folder does not exist; make it, or mount its share",
    errno.ENOTDIR: "the path is no folder",
    errno.EACCES: "this user may not write there",
    errno.EPERM: "this user may not write there",
    errno.EROFS: "the folder is mounted read-only",
    errno.ESTALE: "the share's server has forgotten the mount; mount it again",
}


class FolderDrop:
    """Writes into the configured folder. It must exist: a share not mounted must not become a local folder."""

    def __init__(self, config: FolderDestination) -> None:
        self.config = config

    def send(self, document: Document) -> Delivered:
        """A file of the same name with the same bytes counts as delivered.

        Raises TryAgain and OutOfSpace for what the file system says, Refused("name_taken") where a file of the
        same name holds something else, for that one may be the only copy.
        """
        target = self.config.folder / file_name(document)
        try:
            if target.exists():
                return self._compare(target, document.data)
            self._write(target, document.data)
        except OSError as error:
            raise _translated(error) from error
        return Delivered(f"written, {len(document.data)} bytes")

    def close(self) -> None:
        """Nothing is kept open."""

    def _compare(self, target: Path, data: bytes) -> Delivered:
        if target.stat().st_size == len(data) and target.read_bytes() == data:
            sync_folder(target.parent)  # it may have been renamed just before the power failed
            return Delivered("already there")
        raise Refused("name_taken", f"the folder holds {target.name} with other content; move it away and send again")

    def _write(self, target: Path, data: bytes) -> None:
        # The same temporary name on every try: what a killed gateway left half written is written over, not left.
        # It begins with a dot and ends in .part, and most programs that watch folders skip both.
        temporary = target.with_name(f".{target.name}.part")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)


def file_name(document: Document) -> str:
    """The document's name made safe as a file name, with its kind's suffix: the same on every try.

    A name that had to be changed gets a mark made from the original, so that two names never become one file.
    """
    stem = _UNSAFE.sub("_", document.name).strip(".")[:STEM_MAX] or "_"
    if stem != document.name:
        stem += "-" + hashlib.sha256(document.name.encode()).hexdigest()[:12]
    return stem + FORMS[document.kind].suffix


def sync_folder(folder: Path) -> None:
    """Makes a rename in it last. Some network file systems cannot, and say EINVAL: there the rename is all there is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _translated(error: OSError) -> TryAgain:
    code = error.errno or 0
    if code in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpace("folder_full", "the destination's disk or quota is full")
    return TryAgain("folder_unusable", _WORLD.get(code, os.strerror(code)))
