"""The digitize command: many files through one loaded digitizer, results written whole beside one another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from threading import Event, Lock

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.config import IdentitySection, LimitsSection, PipelineSection
from gateway.digitizer.load import LoadedDigitizer, load_digitizers
from gateway.disposition.read_page import digitize_page
from gateway.emit import aecg, npz
from gateway.emit.catalogue import Material, document
from gateway.emit.thumbnail import thumbnail_png
from gateway.errors import CodedError, Held
from gateway.identity.order import Order
from gateway.intake.file_name import shortened
from gateway.job import Arrival, DocumentKind, Door
from gateway.unpack import Unpacked, unpack
from pipeline.draw.side_by_side import draw_png
from pipeline.errors import Unreadable
from pipeline.recording import Page, Recording

KINDS = {
    "npz": DocumentKind.NPZ,
    "csv": DocumentKind.CSV,
    "dcm": DocumentKind.DICOM_WAVEFORM,
    "pdf": DocumentKind.PDF,
    "wfdb": DocumentKind.WFDB,
    "edf": DocumentKind.EDF,
}
FORMATS = ("npz", "csv", "dcm", "aecg", "png", "pdf", "wfdb", "edf")
Identify = Callable[[Order], Order]
CONFIDENCE_MIN = PipelineSection().confidence_min  # the command reads no configuration
ADDED_BYTES = 32  # by us to an input's name: a dot, a page, a number, an ending such as .wfdb.zip, .part
ENDINGS = {"aecg": "xml", "wfdb": "wfdb.zip"}  # of files; the others are named as they end


def parse_formats(text: str) -> tuple[str, ...]:
    """``npz,png`` -> ("npz", "png"). Raises ValueError naming what is not a format."""
    wanted = tuple(word.strip() for word in text.split(",") if word.strip())
    unknown = [word for word in wanted if word not in FORMATS]
    if unknown or not wanted:
        raise ValueError(f"--format takes {','.join(FORMATS)}, not {', '.join(unknown) or 'nothing'}")
    return wanted


@dataclass(frozen=True)
class Problems:
    """refusals: files or pages that were not digitized. notes: what is missing beside a page that was."""

    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PageProblems:
    """The same of one page. no_ecgs: a page that is no ECG, which only a document without any fails for."""

    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    no_ecgs: tuple[str, ...] = ()


class Names:
    """Hands out the names of results, without their endings: none twice, and none that would replace an input.

    To as many threads as digitize.
    """

    def __init__(self, images: Sequence[Path], folder: Path, formats: Sequence[str]) -> None:
        self._folder = folder
        self._endings = {*(ENDINGS.get(form, form) for form in formats), "json"}
        self._inputs = {image.resolve() for image in images}
        self._taken: set[str] = set()
        self._taking = Lock()
        self._of_file = {image: self._take(_short(image.stem), _short(image.name)) for image in dict.fromkeys(images)}

    def of(self, image: Path, page: int, page_count: int) -> str:
        """The name for a page: the file's own where it is the only one."""
        if page_count == 1:
            return self._of_file[image]
        return self._take(f"{self._of_file[image]}-{page}", f"{_short(image.name)}-{page}")

    def _take(self, *wanted: str) -> str:
        numbered = (f"{wanted[0]}-{number}" for number in count(2))
        with self._taking:
            name = next(name for name in chain(wanted, numbered) if self._is_free(name))
            self._taken.add(name)
        return name

    def _is_free(self, name: str) -> bool:
        results = ((self._folder / f"{name}.{ending}").resolve() for ending in self._endings)
        return name not in self._taken and self._inputs.isdisjoint(results)


@dataclass(frozen=True, eq=False)
class Source:
    """A digitized page and what its documents say of where it came from."""

    page: Page
    recording: Recording
    order: Order
    sha256: str
    number: int


@dataclass(frozen=True, eq=False)
class Batch:
    """What is the same for every file of the command.

    identify: what a page's own order becomes. stopping: no page is begun any more.
    """

    digitizer: LoadedDigitizer
    folder: Path
    formats: Sequence[str]
    identify: Identify
    names: Names
    stopping: Event = field(default_factory=Event)

    def digitize(self, image: Path) -> Problems:
        """One file, page by page; whatever is wrong with it stays with it."""
        try:
            return self._digitize(image)
        except CodedError as error:
            return Problems((f"{error.code}: {error.why}",))
        except OSError as error:
            return Problems((_text_of(error),))

    def _digitize(self, image: Path) -> Problems:
        """Raises Refused, TryAgain and OSError where no page can be had."""
        with image.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        arrival = Arrival(Door.WEB, sender="digitize", file_name=image.name)  # no order: a DICOM page brings its own
        unpacked = unpack(image, arrival, LimitsSection(), IdentitySection())
        order = self.identify(unpacked.order)
        numbers = range(1, unpacked.page_count + 1)
        pages = [self._page(image, unpacked, order, sha256, n) for n in numbers if not self.stopping.is_set()]
        notes = [note for page in pages for note in page.notes]
        refusals = [refusal for page in pages for refusal in page.refusals]
        no_ecgs = [no_ecg for page in pages for no_ecg in page.no_ecgs]
        if len(no_ecgs) + len(refusals) < len(pages):  # a cover sheet beside an ECG is no failure
            return Problems(tuple(refusals), tuple(notes + no_ecgs))
        return Problems(tuple(refusals + no_ecgs), tuple(notes))

    def _page(self, image: Path, unpacked: Unpacked, order: Order, sha256: str, number: int) -> PageProblems:
        """One page through all steps; it is let go before the next is decoded."""
        where = f"page {number}: " if unpacked.page_count > 1 else ""
        try:
            page = unpacked.read(number)
            source = Source(page, digitize_page(page, self.digitizer.digitize, CONFIDENCE_MIN), order, sha256, number)
            notes = self._write(source, self.names.of(image, number, unpacked.page_count))
            return PageProblems(notes=tuple(where + note for note in notes))
        except Unreadable as error:
            lines = (f"{where}{error.code}: {error.why}",)
            return PageProblems(no_ecgs=lines) if error.code == "not_an_ecg" else PageProblems(refusals=lines)
        except CodedError as error:
            return PageProblems(refusals=(f"{where}{error.code}: {error.why}",))
        except OSError as error:
            return PageProblems(refusals=(where + _text_of(error),))

    def _write(self, source: Source, name: str) -> list[str]:
        """Writes every document of a page and returns what could not be made, and why. Raises OSError."""
        notes = []
        for form in self.formats:
            try:
                content = _document(form, source)
            except Held as error:
                notes.append(f"no {form} written: {error.why}")
                continue
            _write_whole(self.folder / f"{name}.{ENDINGS.get(form, form)}", content)
        _write_whole(self.folder / f"{name}.json", npz.summary_json(source.recording).encode())
        return notes


def digitize_files(
    images: Sequence[Path], folder: Path, formats: Sequence[str], err: Console, identify: Identify, processes: int = 1
) -> int:
    """Digitizes every file and returns how many had a page that could not be read; reasons go to err, file by file.

    identify: an order as a page brings it, empty for one that is no DICOM, to whose ECG the command line says it is.
    """
    refused = 0
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        bar = progress.add_task("loading the networks", total=len(images))
        with load_digitizers(processes) as digitizer:
            batch = Batch(digitizer, folder, formats, identify, Names(images, folder, formats))
            with closing(_problems(batch, images, processes)) as results:
                for image in images:
                    progress.update(bar, description=image.name)
                    problems = next(results)
                    for problem in problems.notes + problems.refusals:
                        progress.console.print(f"{image}: {problem}", highlight=False, markup=False, soft_wrap=True)
                    refused += bool(problems.refusals)
                    progress.advance(bar)
    return refused


def _short(name: str) -> str:
    return shortened(name, ADDED_BYTES)


def _problems(batch: Batch, images: Sequence[Path], at_once: int) -> Generator[Problems]:
    """Of every file in their order; whoever stops asking waits for no page but those that were begun."""
    if at_once == 1:
        yield from map(batch.digitize, images)  # in this thread, which Ctrl-C stops at once
        return
    with ThreadPoolExecutor(at_once) as threads:
        try:
            yield from threads.map(batch.digitize, images)
        finally:
            batch.stopping.set()
            threads.shutdown(wait=False, cancel_futures=True)


def _text_of(error: OSError) -> str:
    about = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or type(error).__name__}{about}"


def _document(form: str, source: Source) -> bytes:
    """Raises Held where the document may not be without something that nobody said."""
    if form == "png":
        return draw_png(source.page, source.recording)
    if form == "aecg":  # without the time it was made, so that the same page gives the same file
        return aecg.emit(source.recording, source.order, source_sha256=source.sha256, page=source.number).data
    now = datetime.now().astimezone()  # the command's only clock: ContentDate is when the waveform was made
    small = thumbnail_png(source.page) if form == "pdf" else b""
    material = Material(
        source.recording, source.order, "digitize", source.sha256, source.number, now, thumbnail_png=small
    )
    return document(KINDS[form], material).data


def _write_whole(path: Path, content: bytes) -> None:
    """A reader never sees half a file: a temporary name first, then the rename."""
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
