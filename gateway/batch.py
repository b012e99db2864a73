"""The digitize command: many files through one loaded digitizer, results written whole beside one another."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.app import Eye, open_eye
from gateway.config import IdentitySection, LimitsSection
from gateway.emit import aecg, dicom_waveform, npz
from gateway.errors import Held, Refused
from gateway.job import Arrival, Door
from gateway.order import Order
from gateway.unpack import unpack
from pipeline.errors import Unreadable
from pipeline.picture import draw_png
from pipeline.recording import Page, Recording

FORMATS = ("npz", "csv", "dcm", "aecg", "png")


def parse_formats(text: str) -> tuple[str, ...]:
    """``npz,png`` -> ("npz", "png"). Raises ValueError naming what is not a format."""
    wanted = tuple(word.strip() for word in text.split(",") if word.strip())
    unknown = [word for word in wanted if word not in FORMATS]
    if unknown or not wanted:
        raise ValueError(f"--format takes {','.join(FORMATS)}, not {', '.join(unknown) or 'nothing'}")
    return wanted


@dataclass(frozen=True, eq=False)
class Task:
    """One file of the command: what it is called in the results, and whose ECG it is said to be."""

    path: Path
    stem: str
    order: Order


def digitize_files(images: Sequence[Path], folder: Path, formats: Sequence[str], err: Console, order: Order) -> int:
    """Digitizes every file and returns how many had a page that could not be read; reasons go to err."""
    refused = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        bar = progress.add_task("loading the networks", total=len(images))
        eye = open_eye()
        for path, stem in zip(images, _stems(images), strict=True):
            progress.update(bar, description=path.name)
            problems = _digitize_file(eye, Task(path, stem, order), folder, formats)
            for problem in problems.notes + problems.refusals:
                progress.console.print(f"{path}: {problem}", highlight=False, markup=False, soft_wrap=True)
            refused += bool(problems.refusals)
            progress.advance(bar)
    return refused


@dataclass(frozen=True)
class Problems:
    """refusals: pages that were not digitized. notes: documents that could not be made of a digitized page."""

    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _stems(images: Sequence[Path]) -> list[str]:
    """One stem for each file; files of one name and different endings or folders do not overwrite one another."""
    taken: set[str] = set()
    stems = []
    for path in images:
        stem, number = path.stem, 1
        if stem in taken and path.name not in taken:
            stem = path.name
        while stem in taken:
            number += 1
            stem = f"{path.stem}-{number}"
        taken.add(stem)
        stems.append(stem)
    return stems


def _digitize_file(eye: Eye, task: Task, folder: Path, formats: Sequence[str]) -> Problems:
    data = task.path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    arrival = Arrival(Door.WEB, sender="digitize", file_name=task.path.name, order=task.order)
    try:
        unpacked = unpack(task.path, arrival, LimitsSection(), IdentitySection())
        pages = list(unpacked.pages)
    except Refused as error:
        return Problems((f"{error.code}: {error.why}",))
    order = task.order if task.order != Order() else unpacked.order
    refusals: list[str] = []
    notes: list[str] = []
    for number, page in pages:
        where = f"page {number}: " if len(pages) > 1 else ""
        try:
            recording = eye.digitize(page)
        except Unreadable as error:
            refusals.append(f"{where}{error.code}: {error.why}")
            continue
        stem = task.stem if len(pages) == 1 else f"{task.stem}-{number}"
        for form in formats:
            try:
                content = _document(form, page, recording, order, sha256, number)
            except Held as error:
                notes.append(f"{where}no {form} written: {error.why}")
                continue
            _write_whole(folder / f"{stem}.{'xml' if form == 'aecg' else form}", content)
        _write_whole(folder / f"{stem}.json", npz.summary_json(recording).encode())
    return Problems(tuple(refusals), tuple(notes))


def _document(form: str, page: Page, recording: Recording, order: Order, sha256: str, number: int) -> bytes:
    if form == "npz":
        return npz.to_npz(recording)
    if form == "csv":
        return npz.to_csv(recording)
    if form == "png":
        return draw_png(page, recording)
    if form == "aecg":
        return aecg.emit(recording, order, source_sha256=sha256, page=number).data
    digitized_at = datetime.now(UTC)  # the command's only clock: ContentDate is when the waveform was made
    return dicom_waveform.emit(recording, order, source_sha256=sha256, page=number, received_at=digitized_at).data


def _write_whole(path: Path, content: bytes) -> None:
    """A reader never sees half a file: a temporary name first, then the rename."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(content)
    partial.replace(path)
