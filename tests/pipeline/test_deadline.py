"""When a page's time is up: when it has waited and has computed for too long."""

from __future__ import annotations

import pytest

from pipeline.deadline import Deadline
from pipeline.errors import Unreadable


@pytest.mark.parametrize(
    ("wall_s", "processor_s", "is_up"), [(59, 59, False), (600, 59, False), (59, 90, False), (60, 60, True)]
)
def test_time_is_up_when_wall_and_processor_time_have_both_passed(
    monkeypatch: pytest.MonkeyPatch, wall_s: float, processor_s: float, is_up: bool
) -> None:
    wall, processor = [1000.0], [5.0]
    monkeypatch.setattr("pipeline.deadline.monotonic", lambda: wall[0])
    monkeypatch.setattr("pipeline.deadline.process_time", lambda: processor[0])
    deadline = Deadline.after(60.0)
    wall[0] += wall_s
    processor[0] += processor_s
    if not is_up:
        deadline.check()
        return
    with pytest.raises(Unreadable) as refusal:
        deadline.check()
    assert (refusal.value.code, refusal.value.why) == ("took_too_long", "the page was given up after 60 seconds")
