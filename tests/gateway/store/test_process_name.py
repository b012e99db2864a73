"""Which processes are of this machine: a wrong yes takes a living one's page, a wrong no waits for its lease."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.store import process_name
from gateway.store.process_name import ProcessName

Is = Callable[[str, str, str], None]


@pytest.fixture
def this_machine_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Is]:
    """Sets machine id ("" for none), host name and boot id of this machine."""

    def become(machine_id: str, host: str, boot_id: str) -> None:
        for name, text in (("MACHINE_ID", machine_id), ("BOOT_ID", boot_id)):
            (tmp_path / name).write_text(f"{text}\n", encoding="ascii")
            monkeypatch.setattr(process_name, name, tmp_path / name)
        monkeypatch.setattr(process_name.socket, "gethostname", lambda: host)
        process_name.machine.cache_clear()

    yield become
    monkeypatch.undo()
    process_name.machine.cache_clear()


def test_a_name_is_read_as_it_was_written(this_machine_is: Is) -> None:
    for machine_id in ("1d", ""):
        this_machine_is(machine_id, "ecg", "b1")
        name = ProcessName.new()
        assert ProcessName.parse(str(name)) == name
        assert name != ProcessName.new()
    assert ProcessName.parse("0123456789abcdef0123456789abcdef") is None  # of an earlier version


@pytest.mark.parametrize(
    ("before", "now", "is_local"),
    [
        (("1d", "ecg", "b1"), ("1d", "ecg", "b2"), True),  # started again
        (("1d", "ecg-a", "b1"), ("1d", "ecg-b", "b2"), False),  # cloned
        (("1d", "ecg", "b1"), ("2d", "ecg", "b2"), False),
        (("", "ecg", "b1"), ("", "ecg", "b2"), True),  # a container whose host was started again
        (("", "c0ffee", "b1"), ("", "decade", "b1"), True),  # a container made anew on the same host
        (("", "c0ffee", "b1"), ("", "decade", "b2"), False),
        (("1d", "ecg", "b1"), ("", "ecg", "b1"), False),
    ],
)
def test_a_process_is_of_this_machine(
    this_machine_is: Is, before: tuple[str, str, str], now: tuple[str, str, str], is_local: bool
) -> None:
    this_machine_is(*before)
    name = ProcessName.new()
    this_machine_is(*now)
    assert name.is_local is is_local
