"""Which files of a folder have stopped growing, and what else lies there that is no file."""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

# How copying programs, browsers and fax servers name what they have not finished.
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart", ".download", ".writing", ".swp", "~")
SIDECAR = ".json"
TAKEN, REFUSED = "taken", "refused"
# What file servers keep in a shared folder for themselves, and make anew where it is moved away.
SERVERS_FOLDERS = ("@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information", "lost+found")
EMPTY_PATIENCE_S = 60.0  # some servers create the file long before its first byte
# A sidecar whose document does not come in this time is put away, or the next document of that name, perhaps of
# another patient, would get it.
ORPHAN_PATIENCE_S = 600.0


@dataclass(frozen=True)
class Sighting:
    """A file as it was seen; equal sightings mean that nothing has been written in between.

    form: stat's S_IFREG for a file, S_IFDIR, S_IFLNK ... for what is none.
    """

    name: str
    size_bytes: int
    changed_ns: int
    inode: int
    form: int = stat.S_IFREG

    @classmethod
    def of(cls, name: str, status: os.stat_result) -> Sighting:
        """What a file's status says."""
        form = stat.S_IFMT(status.st_mode)
        return cls(name, status.st_size, status.st_mtime_ns, status.st_ino, form)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file: no folder, link, pipe, socket or device."""
        return self.form == stat.S_IFREG

    def is_still_in(self, folder: Path) -> bool:
        """Whether this very file, unchanged, still has its name; a sender may have put another there. OSError."""
        try:
            return Sighting.of(self.name, os.lstat(folder / self.name)) == self
        except FileNotFoundError:
            return False


@dataclass(frozen=True)
class Settled:
    """A document that has stopped growing, and the sidecar beside it."""

    document: Sighting
    sidecar: Sighting | None
    ambiguous: bool = False  # another document claims the same sidecar


@dataclass(frozen=True)
class Ready:
    """What a look at the folder found to be done."""

    documents: tuple[Settled, ...]
    orphans: tuple[Sighting, ...]  # sidecars without a document
    no_files: tuple[Sighting, ...] = ()  # folders, links, pipes: nothing that can be taken


class Watch:
    """Remembers when each file of a folder was last seen to change. Time is our own: the share's clock may be wrong."""

    def __init__(self, settle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._settle_s = settle_s
        self._clock = clock
        self._since: dict[Sighting, float] = {}

    def poll(self, folder: Path) -> Ready:
        """What is ready to be taken, by name.

        A document waits for its sidecar as long as it has not settled itself, and for as long as a sidecar that is
        there has not.

        Raises:
            OSError: the folder cannot be read.
        """
        now = self._clock()
        found = _list_folder(folder)
        self._since = {sighting: self._since.get(sighting, now) for sighting in found}
        sightings = {sighting.name: sighting for sighting in found if sighting.is_file}
        documents = [sighting for name, sighting in sorted(sightings.items()) if not _is_sidecar(name)]
        stems = Counter(_stem(document.name) for document in documents)
        ready = []
        for document in documents:
            own, shared = sightings.get(document.name + SIDECAR), sightings.get(_stem(document.name) + SIDECAR)
            sidecar = own or shared
            if self._is_settled(document, now) and (sidecar is None or self._is_settled(sidecar, now)):
                ambiguous = own is None and shared is not None and stems[_stem(document.name)] > 1
                ready.append(Settled(document, sidecar, ambiguous))
        wanted = {name + SIDECAR for document in documents for name in (document.name, _stem(document.name))}
        orphans = [sightings[name] for name in sorted(sightings) if _is_sidecar(name) and name not in wanted]
        patience_s = max(ORPHAN_PATIENCE_S, self._settle_s)
        return Ready(
            tuple(ready),
            tuple(one for one in orphans if now - self._since[one] >= patience_s),
            tuple(one for one in found if not one.is_file and self._is_settled(one, now)),
        )

    def documents(self) -> list[Sighting]:
        """All documents of the last look, settled or not."""
        return [one for one in self._since if one.is_file and not _is_sidecar(one.name)]

    def _is_settled(self, sighting: Sighting, now: float) -> bool:
        # a folder that is copied here is there long before the last of its files
        is_begun = sighting.form == stat.S_IFDIR or (sighting.is_file and not sighting.size_bytes)
        patience_s = max(self._settle_s, EMPTY_PATIENCE_S) if is_begun else self._settle_s
        return now - self._since[sighting] >= patience_s


def names_on_the_way(folder: Path, others: Iterable[Path]) -> frozenset[str]:
    """The names in a folder that are one of these other folders or lead to it, links on the way included."""
    inbox = folder.resolve()
    steps = {step for other in others for path in (other.absolute(), other.resolve()) for step in (path, *path.parents)}
    return frozenset(step.name for step in steps if step.parent.resolve() == inbox)


def _list_folder(folder: Path) -> list[Sighting]:
    """What lies in a folder, by name, but hidden and unfinished files and the folders that belong there. OSError."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "~$")) or entry.name.lower().endswith(UNFINISHED):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # gone since the listing
                continue
            if entry.name not in (TAKEN, REFUSED, *SERVERS_FOLDERS):
                found.append(Sighting.of(entry.name, status))
    return sorted(found, key=lambda sighting: sighting.name)


def _is_sidecar(name: str) -> bool:
    return name.lower().endswith(SIDECAR)


def _stem(name: str) -> str:
    return Path(name).stem
