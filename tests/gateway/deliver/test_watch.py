"""The watch over peers: what they say is kept, by a gateway that stops no longer than a second for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.config import Config
from gateway.deliver.reach import PeerReport
from gateway.deliver.watch import TIMEOUT_S, PeerWatch
from gateway.errors import TryAgain


def config(tmp_path: Path) -> Config:
    return Config.model_validate(
        {
            "destination": [
                {"kind": "mllp", "name": "ehr", "host": "127.0.0.1", "port": 1},
                {"kind": "folder", "name": "out", "folder": tmp_path},
            ]
        }
    )


class Kept:
    def __init__(self) -> None:
        self.answers: list[tuple[str, bool, str]] = []

    def record_answers(self, answers: Sequence[tuple[str, bool, str]]) -> None:
        self.answers += answers


def test_what_real_peers_say_is_kept(tmp_path: Path) -> None:
    kept = Kept()
    PeerWatch(config(tmp_path), kept).check_all()
    assert [(name, up) for name, up, _ in kept.answers] == [("ehr", False), ("out", True)]
    assert all(words for _, _, words in kept.answers)


def test_nobody_is_waited_for_longer_than_a_few_seconds(tmp_path: Path) -> None:
    asked: list[float] = []

    def ask(of: Config) -> list[PeerReport]:
        asked.extend(d.timeout_s for d in of.destination if d.kind != "folder")
        return []

    PeerWatch(config(tmp_path), Kept(), ask).check_all()
    assert asked == [TIMEOUT_S]


def test_a_stop_waits_for_no_answer_and_keeps_none_that_comes_late(tmp_path: Path) -> None:
    kept, asking, answer = Kept(), threading.Event(), threading.Event()

    def ask(_of: Config) -> list[PeerReport]:
        asking.set()
        answer.wait(30)
        return [PeerReport("ehr", "mllp", "127.0.0.1:1", True, "late")]

    watch = PeerWatch(config(tmp_path), kept, ask)
    watch.start()
    assert asking.wait(30)
    began = time.monotonic()
    watch.stop()
    assert time.monotonic() - began < 10
    answer.set()
    watch._thread.join(30)
    assert kept.answers == []


def test_a_database_that_does_not_answer_ends_no_watch(tmp_path: Path) -> None:
    class Silent:
        def record_answers(self, _answers: Sequence[tuple[str, bool, str]]) -> None:
            raise TryAgain("database_unavailable", "No answer.")

    def share_gone(_of: Config) -> list[PeerReport]:
        raise OSError(116, "Stale file handle")

    PeerWatch(config(tmp_path), Silent()).check_all()
    PeerWatch(config(tmp_path), Kept(), share_gone).check_all()


def test_a_destination_that_goes_down_is_told_once_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    missing = tmp_path / "not made"
    watch = PeerWatch(
        Config.model_validate({"destination": [{"kind": "folder", "name": "out", "folder": missing}]}), Kept()
    )
    with caplog.at_level("INFO"):
        watch.check_all()
        watch.check_all()
        missing.mkdir()
        watch.check_all()
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "destination out is down: the folder does not exist; make it, or mount its share",
        "destination out is up again",
    ]
