"""The fax door: takes the documents that settle in a folder, one job each.

What was taken lies in ``taken/`` afterwards, what could not be in ``refused/`` beside a ``.reason.txt``. A file is
moved only after the store has committed; a crash in between takes it again, as a repeat of the same job, and moves it.
What is read and what is moved is the very file that was seen to settle: another that came under its name in between
stays for the next look.
"""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from pathlib import Path

from gateway.config import Config, FaxInboxSection
from gateway.errors import Refused, TryAgain
from gateway.intake.fax_inbox.identity import order_from_name, order_from_sidecar, pattern_of
from gateway.intake.fax_inbox.settling import SIDECAR, Settled, Sighting, Watch
from gateway.job import Arrival, Door
from gateway.order import Order
from gateway.store import Store
from gateway.unpack.media import PDF_HEADER_WITHIN, MediaType, recognise_bytes

log = logging.getLogger(__name__)

TAKEN, REFUSED = "taken", "refused"
REASON = ".reason.txt"
CHUNK_BYTES = 1 << 20
CLAIMED = ".claimed-"
NAMES_MAX = 100_000  # files of one name in taken/, after which a person should look


class FaxInbox:
    """One polled folder. poll() is called by the scheduler, never twice at once."""

    def __init__(self, settings: FaxInboxSection, config: Config, store: Store) -> None:
        """ConfigError where file_name_pattern is wrong."""
        self.settings = settings
        self._config = config
        self._store = store
        self._pattern = pattern_of(settings.file_name_pattern, settings.name)
        self._watch = Watch(settings.settle_s)
        self._committed: set[Sighting] = set()  # taken, but their move failed: moved again, not taken again
        self._trouble = ""
        self._finished = False

    def poll(self) -> None:
        """One pass over the folder. What stands in the way is logged, once, and tried again at the next."""
        try:
            ready = self._watch.look(self.settings.folder)
            self._finish_moves()
        except OSError as error:
            self._tell(f"the folder cannot be used: {error.strerror}")
            return
        trouble = ""
        for settled in ready.documents:
            try:
                self._take_or_refuse(settled)
            except TryAgain as error:  # no room for this one is no room for the next
                trouble = error.why
                break
            except OSError as error:
                # by its inode: a file's name may hold the patient's
                trouble = f"the file with inode {settled.document.inode} cannot be taken: {error.strerror}"
        for orphan in ready.orphans:
            try:
                self._refuse(Settled(orphan, None), Refused("no_document", "No document came for this sidecar."))
            except OSError as error:
                trouble = f"the file with inode {orphan.inode} cannot be moved: {error.strerror}"
        self._tell(trouble)

    def _tell(self, trouble: str) -> None:
        """Logs what stands in the way when it begins and when it ends, not at every pass between."""
        if trouble and trouble != self._trouble:
            log.error("inbox %s: %s", self.settings.name, trouble)
        elif self._trouble and not trouble:
            log.info("inbox %s: works again", self.settings.name)
        self._trouble = trouble

    def _take_or_refuse(self, settled: Settled) -> None:
        """Raises TryAgain and OSError: then the file stays where it is."""
        if settled.document not in self._committed:
            try:
                if not self._take(settled):
                    return
            except Refused as error:
                self._refuse(settled, error)
                return
            self._committed.add(settled.document)
        if not self._move(settled, self._folder(TAKEN)):
            log.info("inbox %s: another file has come under the name of one just taken", self.settings.name)
        self._committed.discard(settled.document)

    def _take(self, settled: Settled) -> bool:
        """Commits a document as a job; False where it or its sidecar is not the file any more that settled.

        Raises:
            Refused: not a document of a kind taken here, too large, or with a sidecar that is not lawful.
            TryAgain: no room.
        """
        document = settled.document
        if document.size_bytes > self.settings.file_max_mb * 10**6:
            raise Refused("too_large", f"The file is larger than {self.settings.file_max_mb} MB (file_max_mb).")
        order = self._order(settled)
        if order is None:
            return False
        self._store.room()
        staged = self._store.staging / uuid.uuid4().hex
        try:
            sha256, head, copied = self._copy(document, staged)
            if copied != document:
                return False
            arrival = Arrival(
                door=Door.FAX,
                sender=self.settings.name,
                media_type=_media_type(head),
                file_name=document.name,
                order=order,
            )
            receipt = self._store.receive(staged, arrival, sha256=sha256)
        finally:
            staged.unlink(missing_ok=True)
        again = " again" if receipt.duplicate else ""
        log.info("inbox %s: job %s%s, %d bytes", self.settings.name, receipt.job_id, again, document.size_bytes)
        return True

    def _order(self, settled: Settled) -> Order | None:
        """The Order of the sidecar, else of the file's name, else an empty one, which the worker holds.

        None where the sidecar is another than the one that settled. Raises Refused.
        """
        if settled.ambiguous:
            raise Refused("sidecar", "Two documents share one sidecar; name it <document>.json, extension included.")
        claimed = self._claimed(settled.document)
        if claimed.exists():
            return order_from_sidecar(claimed.read_bytes())
        if settled.sidecar is not None:
            data = (self.settings.folder / settled.sidecar.name).read_bytes()
            if not settled.sidecar.is_still_in(self.settings.folder):
                return None
            return order_from_sidecar(data)
        return order_from_name(settled.document.name, self._pattern)

    def _copy(self, document: Sighting, staged: Path) -> tuple[str, bytes, Sighting]:
        """Copies a document into staging: its SHA-256, its first bytes, and which file that was afterwards.

        The inbox may be on another file system.
        """
        digest = hashlib.sha256()
        head = b""
        # O_NOFOLLOW: the file may have become a link to somewhere else since it was looked at
        descriptor = os.open(self.settings.folder / document.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as source, staged.open("xb") as target:
            while chunk := source.read(CHUNK_BYTES):
                head = head or chunk[:PDF_HEADER_WITHIN]
                digest.update(chunk)
                target.write(chunk)
            copied = Sighting.of(document.name, os.fstat(source.fileno()))
        return digest.hexdigest(), head, copied

    def _refuse(self, settled: Settled, error: Refused) -> None:
        """Moves a document away and says beside it why. The reason first: never a refused file without one."""
        if not settled.document.is_still_in(self.settings.folder):
            return
        folder = self._folder(REFUSED)
        target = _free(folder, settled.document.name)
        reason = folder / (target.name + REASON)
        reason.write_text(f"{error.code}: {error.why}\n", encoding="utf-8")
        if not self._move(settled, folder, target):
            reason.unlink()
            return
        log.warning("inbox %s: a file was refused, %s", self.settings.name, error.code)

    def _move(self, settled: Settled, folder: Path, target: Path | None = None) -> bool:
        """Moves a document and its sidecar so that a crash in between neither parts them nor gives either to another.

        False where another file has the document's name by now: it stays, for nobody has read it.

        The sidecar is claimed first, under a hidden name that only this very document has; then the document goes,
        then the sidecar. A document left with a claimed sidecar is taken again with it, as a repeat; a claimed sidecar
        left alone has a document that went.
        """
        here = self.settings.folder
        target = target or _free(folder, settled.document.name)
        claimed = self._claimed(settled.document)
        # A shared sidecar may be gone with the other document that wanted it; a new one is the next document's.
        if settled.sidecar is not None and settled.sidecar.is_still_in(here):
            (here / settled.sidecar.name).rename(claimed)
        is_still_here = settled.document.is_still_in(here)
        if is_still_here:
            (here / settled.document.name).rename(target)
        if claimed.exists():  # also where the document has gone: what it said must not become another's
            claimed.rename(_free(folder, target.name + SIDECAR))
        return is_still_here

    def _claimed(self, document: Sighting) -> Path:
        """The hidden name of a document's sidecar while both are moved: the same for no other document."""
        same = f"{document.name}\n{document.size_bytes}\n{document.changed_ns}"
        return self.settings.folder / f"{CLAIMED}{hashlib.sha256(same.encode(errors='surrogateescape')).hexdigest()}"

    def _finish_moves(self) -> None:
        """Once after a start: claimed sidecars whose documents have gone go after them. Raises OSError."""
        if self._finished:
            return
        here = {self._claimed(document) for document in self._watch.documents()}
        for claimed in self.settings.folder.glob(f"{CLAIMED}*"):
            if claimed not in here:
                claimed.rename(_free(self._folder(TAKEN), f"interrupted{SIDECAR}"))
        self._finished = True

    def _folder(self, name: str) -> Path:
        folder = self.settings.folder / name
        folder.mkdir(exist_ok=True)
        return folder


def _media_type(head: bytes) -> str:
    """Raises Refused where the content is of no kind taken at this door."""
    media = recognise_bytes(head)
    if media is MediaType.DICOM:
        raise Refused("unknown_format", "The file is a DICOM object; send it to the DICOM listener by C-STORE.")
    if media is None:
        raise Refused("unknown_format", "The file is no TIFF, PDF, PNG or JPEG.")
    return media


def _free(folder: Path, name: str) -> Path:
    """A name that no file there has yet: the name itself, or with -2, -3 … before its extension."""
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(1, NAMES_MAX):
        target = folder / (name if number == 1 else f"{stem}-{number}{suffix}")
        if not target.exists() and not (folder / (target.name + REASON)).exists():
            return target
    raise FileExistsError(17, f"{NAMES_MAX} files of one name", str(folder))
