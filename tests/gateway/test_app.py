"""What keeps a worker from serving nobody."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from gateway.app import ending_when_stuck
from pipeline.recording import Given, Page, Recording
from tests.recordings import three_by_four

HANGS = """
import time
import numpy as np
from gateway.app import ending_when_stuck
from pipeline.recording import Page

page = Page(np.zeros((1, 1, 3), np.uint8))
ending_when_stuck(lambda *_: time.sleep(60), 0.3)(page)
print("it went on")
"""


def test_a_process_that_hangs_over_a_page_ends_itself_and_says_where() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert "it went on" not in done.stdout


def test_a_page_that_is_done_in_time_ends_nothing() -> None:
    recording = three_by_four()

    def digitize(_page: Page, _given: Given, /) -> Recording:
        return recording

    watched = ending_when_stuck(digitize, 30.0)
    assert watched(Page(np.zeros((1, 1, 3), np.uint8))) is recording
