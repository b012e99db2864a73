"""A process in place of the one that reads a file: it answers at once with what a test has it see."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.digitizer import one_file
from gateway.digitizer.protocol import Answer, Fault, FileMessage, PageMessage
from gateway.emit import npz
from gateway.identity.order import Order
from gateway.job import Verdict
from tests.recordings import three_by_four

ANSWERS = """
import os, shutil, sys
told, kept = sys.argv[1:]
request = sys.stdin.read()
with open(kept, "a") as file:
    print(request, file=file)
{before}
sys.stdout.write(open(told).read())
"""


def sees(whose: Order, *, confidence: float = 0.95, cover: bool = False) -> FileMessage:
    """One page that was read, behind a cover sheet or not."""
    recording = replace(three_by_four(), confidence=confidence)
    covers = (
        [PageMessage(number=1, verdict=Verdict.NOT_AN_ECG, code="not_an_ecg", why="It is a letter.")] if cover else []
    )
    summary, data = npz.summary_json(recording), npz.to_npz(recording)
    page = PageMessage(number=1 + len(covers), verdict=Verdict.DIGITIZED, summary=summary, recording_npz=data)
    return FileMessage(order=whose.to_dict(), pages=(*covers, page))


def an_eye(monkeypatch: pytest.MonkeyPatch, folder: Path, seen: FileMessage | Fault, before: str = "") -> Path:
    """Has files read by it from now on. before: Python that it runs first. Returns where it writes what it is asked."""
    told, kept = folder / "seen.json", folder / "asked.json"
    told.write_text(Answer(answer=seen).model_dump_json())
    script = ANSWERS.format(before=before)
    monkeypatch.setattr(one_file, "COMMAND", (sys.executable, "-c", script, str(told), str(kept)))
    return kept
