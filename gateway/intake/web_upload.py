"""The web door: a file that somebody hands in through the window, on disk as it arrives, and a job once it is whole.

What a file is, its bytes say and never its name. It is opened in the decoder's sandbox before it is taken, and its
page decoded where it has only one, so that who hands in a bomb or a damaged file is told at once. What is handed in is
never given back as it came.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Config
from gateway.errors import Refused
from gateway.intake.polyglot import MARKUP, check_not_also_something_else
from gateway.job import Arrival, Door
from gateway.store import Receipt, Store
from gateway.unpack import MediaType
from gateway.unpack.media import KINDS, PDF_HEADER_WITHIN, recognise_bytes

FILE_NAME_MAX = 255
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Whole:
    """A file that has come whole and may be taken. path: in the staging folder, until it is taken or discarded."""

    path: Path
    arrival: Arrival
    sha256: str
    size_bytes: int


class Incoming:
    """One file on its way in. write() as it arrives, then finish(); whatever happens, discard() at the end.

    A file that is only looked at is checked() instead of finished, and no job is made of it.
    """

    def __init__(self, config: Config, store: Store, user: str, address: str, file_name: str) -> None:
        """Raises QueueFull, OutOfSpace and TryAgain where there is no room."""
        store.room()
        self._config = config
        self._store = store
        self._user = user
        self._address = address
        self._file_name = file_name[:FILE_NAME_MAX]
        self._digest = hashlib.sha256()
        self._head = b""
        self._size_bytes = 0
        self._staged = store.staging / uuid.uuid4().hex
        self._file = self._staged.open("xb")

    def write(self, data: bytes) -> None:
        """Raises Refused as soon as it is clear that the file cannot be taken."""
        self._size_bytes += len(data)
        if self._size_bytes > self._config.web.upload_max_mb * MEGABYTE:
            raise Refused("too_large", f"The file is larger than {self._config.web.upload_max_mb} MB.")
        head_complete = len(self._head) >= PDF_HEADER_WITHIN
        if not head_complete:
            self._head += data[: PDF_HEADER_WITHIN - len(self._head)]
        self._digest.update(data)
        self._file.write(data)
        if not head_complete and len(self._head) >= PDF_HEADER_WITHIN:
            recognised(self._head)

    def finish(self, check: Callable[[Path, Arrival, str], None]) -> Receipt:
        """Takes the file: only after this may anybody be told so. check, Refused and TryAgain: as of checked()."""
        whole = self.checked(check)
        return self._store.receive(whole.path, whole.arrival, sha256=whole.sha256)

    def checked(self, check: Callable[[Path, Arrival, str], None]) -> Whole:
        """The file, once it is known to be one that may be taken.

        check: decodes, in a sandbox, the file at this path with this SHA-256; Refused where that cannot be done.

        Raises:
            Refused: no document of a kind taken here, something else as well, damaged, or beyond a cap.
            TryAgain: no room, or the decoder did not start.
        """
        self._file.close()
        if not self._size_bytes:
            raise Refused("empty", "The file is empty.")
        media = recognised(self._head)
        check_not_also_something_else(self._staged, media, self._head)
        arrival = Arrival(Door.WEB, self._user, self._address, "", str(media), self._file_name)
        sha256 = self._digest.hexdigest()
        check(self._staged, arrival, sha256)
        return Whole(self._staged, arrival, sha256, self._size_bytes)

    def discard(self) -> None:
        """Removes what was not taken."""
        self._file.close()
        self._staged.unlink(missing_ok=True)


def recognised(head: bytes) -> MediaType:
    """The kind of a file from its first bytes. Raises Refused where it is of none that is taken."""
    media = recognise_bytes(head)
    if media is not None:
        return media
    if MARKUP.search(head):
        raise Refused("unknown_format", "The file is a web page or a drawing in markup (HTML, SVG, XML), no document.")
    raise Refused("unknown_format", f"The file is none of {KINDS}; its name does not matter.")
