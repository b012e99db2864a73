"""The fax door: takes the documents that settle in a folder, one job each.

What was taken lies in ``taken/`` afterwards, what could not be in ``refused/`` beside a ``.reason.txt``. A file is
moved only after the store has committed; a crash in between takes it again, as a repeat of the same job, and moves it.
What is read and what is moved is the very file that was seen to settle: another that came under its name in between
stays for the next look. What is no file, a folder or a link, is neither opened nor followed, and moved to refused/ too,
unless it is or holds another folder of the configuration: an inbox may lie in an inbox.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import uuid
from pathlib import Path

from gateway.config import Config, FaxInboxSection, folders_of
from gateway.errors import Refused, TryAgain
from gateway.identity.order import Order
from gateway.intake.fax_inbox.identity import order_from_name, pattern_of, read_sidecar
from gateway.intake.fax_inbox.settling import (
    REFUSED,
    SIDECAR,
    TAKEN,
    Settled,
    Sighting,
    Watch,
    names_on_the_way,
)
from gateway.intake.file_name import NAME_MAX_BYTES
from gateway.job import Arrival, Door
from gateway.store import Store
from gateway.unpack.media import KINDS, PDF_HEADER_WITHIN, MediaType, recognise_bytes

log = logging.getLogger(__name__)

REASON = ".reason.txt"
SUFFIX_MAX_BYTES = 16  # what is longer behind the last dot is no suffix to be kept
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
        self._never_moved = names_on_the_way(settings.folder, folders_of(config))
        self._committed: set[Sighting] = set()  # taken, but their move failed: moved again, not taken again
        self._problem = ""
        self._finished = False

    def poll(self) -> None:
        """One pass over the folder. What stands in the way is logged, once, and tried again at the next."""
        try:
            ready = self._watch.poll(self.settings.folder)
            self._finish_moves()
        except OSError as error:
            self._tell(f"the folder cannot be used: {error.strerror}")
            return
        problem = ""
        for settled in ready.documents:
            try:
                self._take_or_refuse(settled)
            except TryAgain as error:  # no room for this one is no room for the next
                problem = error.why
                break
            except OSError as error:
                # by its inode: a file's name may hold the patient's
                problem = f"the file with inode {settled.document.inode} cannot be taken: {error.strerror}"
        refusals = [(orphan, Refused("no_document", "No document came for this sidecar.")) for orphan in ready.orphans]
        refusals += [(one, _no_file(one)) for one in ready.no_files if one.name not in self._never_moved]
        for sighting, refusal in refusals:
            try:
                self._refuse(Settled(sighting, None), refusal)
            except OSError as error:
                problem = f"the file with inode {sighting.inode} cannot be moved: {error.strerror}"
        self._tell(problem)

    def _tell(self, problem: str) -> None:
        """Logs what stands in the way when it begins and when it ends, not at every pass between."""
        if problem and problem != self._problem:
            log.error("inbox %s: %s", self.settings.name, problem)
        elif self._problem and not problem:
            log.info("inbox %s: works again", self.settings.name)
        self._problem = problem

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
        if not document.size_bytes:
            raise Refused("empty", "The file has no content; the sender did not finish it. Send the page again.")
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
            return read_sidecar(claimed)
        if settled.sidecar is not None:
            return self._order_beside(settled.sidecar)
        return order_from_name(settled.document.name, self._pattern)

    def _order_beside(self, sidecar: Sighting) -> Order | None:
        """The Order of a sidecar, None where it is another by now. Raises Refused."""
        folder = self.settings.folder
        try:
            order = read_sidecar(folder / sidecar.name)
        except Refused:
            if sidecar.is_still_in(folder):
                raise
            return None
        return order if sidecar.is_still_in(folder) else None

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
        reason = folder / _fitting(target.name, REASON)
        reason.write_text(f"{error.code}: {error.why}\n", encoding="utf-8")
        moved = False
        try:
            moved = self._move(settled, folder, target)
        finally:
            if not moved:  # else every look at what cannot be moved left one more
                reason.unlink()
        if not moved:
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
            claimed.rename(_free(folder, _fitting(target.name, SIDECAR)))
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
        raise Refused("unknown_format", f"The file is none of {KINDS}.")
    return media


def _no_file(sighting: Sighting) -> Refused:
    """Why what is no file is not taken."""
    if sighting.form == stat.S_IFDIR:
        return Refused(
            "folder", "This is a folder; only files directly in the inbox are taken. Put its documents there."
        )
    if sighting.form == stat.S_IFLNK:
        return Refused("link", "This is a link, which is not followed. Put the document itself into the inbox.")
    return Refused("no_file", "This is a pipe, socket or device and no file.")


def _fitting(stem: str, ending: str) -> str:
    """A name with this ending; the stem is cut, by whole characters, where the name would be too long to exist."""
    while stem and len(os.fsencode(stem + ending)) > NAME_MAX_BYTES:
        stem = stem[:-1]
    return stem + ending


def _free(folder: Path, name: str) -> Path:
    """A name that no file there has yet: the name itself, or with -2, -3 … before its extension."""
    suffix = Path(name).suffix
    suffix = suffix if len(os.fsencode(suffix)) <= SUFFIX_MAX_BYTES else ""
    stem = name.removesuffix(suffix)
    for number in range(1, NAMES_MAX):
        # a numbered name leaves room for its reason, which must be numbered too
        numbered = _fitting(stem, f"-{number}{suffix}{REASON}").removesuffix(REASON)
        target = folder / (name if number == 1 else numbered)
        # a link that leads nowhere has its name all the same
        if not os.path.lexists(target) and not os.path.lexists(folder / _fitting(target.name, REASON)):
            return target
    raise FileExistsError(17, f"{NAMES_MAX} files of one name", str(folder))
