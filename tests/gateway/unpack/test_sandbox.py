"""The decoders' own process: what becomes of a page that kills, hangs or bloats it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from gateway.config import IdentitySection, LimitsSection
from gateway.errors import Refused, TryAgain
from gateway.identity.order import Order, Patient
from gateway.unpack import Unpacked, sandbox
from gateway.unpack.sandbox import Decoder
from tests.dicom_objects import colours, encoded, gradient

NAMED = Order(patient=Patient(patient_id="P-1", name="Åberg^Eva"), attributes=(("a", "b"),))


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder(page_within_s=30)
    yield made
    made.close()


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page"
    path.write_bytes(encoded(colours(), "PNG", dpi=(300, 300)))
    return path


def opened(decoder: Decoder, path: Path, order: Order | None = None) -> Unpacked:
    return decoder.open(path, order, LimitsSection(), IdentitySection())


def child_of(decoder: Decoder) -> psutil.Process:
    assert decoder._child is not None
    return psutil.Process(decoder._child._process.pid)


def speaking(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """The next child says that it is ready, and then runs this instead of decoding."""
    monkeypatch.setattr(sandbox, "COMMAND", (sys.executable, "-c", f"print(flush=True)\n{program}"))


def test_a_page_comes_out_as_it_went_in(decoder: Decoder, page: Path) -> None:
    document = opened(decoder, page, NAMED)
    assert document.order == NAMED
    ((number, read),) = document.pages
    assert (number, document.page_count) == (1, 1)
    assert np.array_equal(read.image, colours())
    assert read.dpi == pytest.approx((300, 300), abs=0.1)
    assert read.image.flags.writeable


def test_a_file_that_has_changed_is_opened_anew(decoder: Decoder, page: Path) -> None:
    list(opened(decoder, page).pages)
    page.write_bytes(encoded(gradient(30, 50), "JPEG"))
    ((_, read),) = opened(decoder, page).pages
    assert read.image.shape == (30, 50, 3)


def test_one_process_serves_many_documents(decoder: Decoder, page: Path) -> None:
    for _ in range(3):
        list(opened(decoder, page).pages)
    first = child_of(decoder).pid
    list(opened(decoder, page).pages)
    assert child_of(decoder).pid == first


def test_a_fresh_process_serves_after_many_documents(
    decoder: Decoder, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "DOCUMENTS_MAX", 2)
    opened(decoder, page)
    opened(decoder, page)
    first = child_of(decoder).pid
    opened(decoder, page)
    assert child_of(decoder).pid != first
    assert not psutil.pid_exists(first)


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGXCPU])
def test_a_page_that_crashes_the_decoder_is_refused_and_the_next_is_read(
    decoder: Decoder, page: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    with monkeypatch.context() as patched:
        speaking(patched, f"import os; input(); os.kill(os.getpid(), {int(number)})")
        with pytest.raises(Refused, match=number.name):
            opened(decoder, page)
    assert len(list(opened(decoder, page).pages)) == 1


def test_a_decoder_stopped_by_a_signal_that_no_page_causes_is_not_the_pages_fault(
    decoder: Decoder, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang_up = int(signal.SIGHUP)  # which a child of nohup would ignore
    speaking(
        monkeypatch,
        f"import os, signal; signal.signal({hang_up}, signal.SIG_DFL); input(); os.kill(os.getpid(), {hang_up})",
    )
    with pytest.raises(TryAgain, match="SIGHUP"):
        opened(decoder, page)


def test_a_decoder_killed_once_is_given_the_page_again(
    decoder: Decoder, page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    real = "from gateway.unpack.child import Child; import sys; child = Child(sys.stdout.buffer)"
    speaking(
        monkeypatch,
        f"import os; from pathlib import Path; began = Path({str(began)!r})\n"
        "if not began.exists(): began.touch(); input(); os.kill(os.getpid(), 9)\n"
        f"{real}\nfor line in sys.stdin.buffer: child.serve(line)",
    )
    assert len(list(opened(decoder, page).pages)) == 1
    assert began.exists()


def test_a_page_over_which_the_decoder_is_killed_twice_is_refused(
    decoder: Decoder, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        speaking(patched, "import os; input(); os.kill(os.getpid(), 9)")
        with pytest.raises(Refused, match="decoder_failed"):
            opened(decoder, page)
    assert len(list(opened(decoder, page).pages)) == 1


@pytest.mark.parametrize("program", ["input(); raise RuntimeError", "input(); print('what?', flush=True); input()"])
def test_a_page_that_the_decoder_gives_up_on_or_babbles_about_is_refused_and_the_next_is_read(
    decoder: Decoder, page: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    with monkeypatch.context() as patched:
        speaking(patched, program)
        with pytest.raises(Refused, match="decoder_failed"):
            opened(decoder, page)
    assert len(list(opened(decoder, page).pages)) == 1


def test_a_decoder_that_cannot_start_is_not_the_pages_fault(
    decoder: Decoder, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "COMMAND", (sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(TryAgain, match="status 3"):
        opened(decoder, page)


def test_a_page_that_takes_too_long_is_refused_and_its_process_ended(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = Decoder(page_within_s=5)  # within it an interpreter starts, also on a busy machine
    speaking(monkeypatch, "import time; time.sleep(600)")
    began = time.monotonic()
    with pytest.raises(Refused, match="too_slow"):
        opened(decoder, page)
    assert time.monotonic() - began < 60
    assert decoder._child is None


def test_a_decoder_that_dies_in_the_middle_of_the_pixels_is_noticed(
    decoder: Decoder, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = '{"answer": {"kind": "decoded", "rows": 100, "columns": 100, "dpi": null}}'
    document = opened(decoder, page)
    decoder.close()
    speaking(monkeypatch, f"import os; input(); print('{answer}' + chr(10) + 'x' * 500, flush=True); os.abort()")
    with pytest.raises(Refused, match="SIGABRT"):
        document.read(1)


def test_a_stop_of_the_whole_gateway_does_not_cost_the_page_in_work(decoder: Decoder, page: Path) -> None:
    document = opened(decoder, page)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(child_of(decoder).pid, number)
    assert len(list(document.pages)) == 1


def test_the_decoder_ends_when_its_parent_is_killed(tmp_path: Path, page: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path\n"
        "from gateway.unpack.sandbox import Decoder\n"
        "from gateway.config import LimitsSection, IdentitySection\n"
        "d = Decoder(); d.open(Path(sys.argv[1]), None, LimitsSection(), IdentitySection())\n"
        "print(d._child._process.pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(page)], capture_output=True, text=True, check=False)
    orphan = int(done.stdout)
    deadline = time.monotonic() + 60
    while psutil.pid_exists(orphan) and psutil.Process(orphan).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


BUSY_FOR_EVER = """
import sys
from pathlib import Path
from gateway.unpack import child
def opening(*others):
    Path(sys.argv[1]).touch()
    while True:
        pass
child.open_document = opening
child.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_busy_decoder_ends_when_its_parent_is_killed(tmp_path: Path, page: Path) -> None:
    began = tmp_path / "began"
    program = (
        "import os, sys, threading, time; from pathlib import Path\n"
        "from gateway.unpack import sandbox\n"
        "from gateway.config import LimitsSection, IdentitySection\n"
        f"sandbox.COMMAND = (sys.executable, '-c', {BUSY_FOR_EVER!r}, {str(began)!r})\n"
        "d = sandbox.Decoder()\n"
        "asked = (Path(sys.argv[1]), None, LimitsSection(), IdentitySection())\n"
        "threading.Thread(target=d.open, args=asked, daemon=True).start()\n"
        f"while not Path({str(began)!r}).exists(): time.sleep(0.02)\n"
        "print(d._child._process.pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(page)], capture_output=True, text=True, check=False)
    orphan = int(done.stdout)
    deadline = time.monotonic() + 60
    while psutil.pid_exists(orphan) and psutil.Process(orphan).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_decoder_outlives_the_thread_that_asked_first(decoder: Decoder, page: Path) -> None:
    asking = threading.Thread(target=opened, args=(decoder, page))
    asking.start()
    asking.join()
    first = child_of(decoder).pid
    time.sleep(0.2)
    assert len(list(opened(decoder, page).pages)) == 1
    assert child_of(decoder).pid == first


def test_memory_is_bounded(decoder: Decoder, page: Path) -> None:
    list(opened(decoder, page).pages)
    for what, most in ((psutil.RLIMIT_DATA, 2e9), (psutil.RLIMIT_FSIZE, 0), (psutil.RLIMIT_CORE, 0)):
        soft, _ = child_of(decoder).rlimit(what)
        assert 0 <= soft <= most


def test_a_page_of_the_largest_size_allowed_fits_within_the_bound(decoder: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(encoded(np.broadcast_to(np.uint8(255), (10_000, 11_900, 3)), "PNG", compress_level=1))
    ((_, read),) = opened(decoder, path).pages
    assert read.image.shape == (10_000, 11_900, 3)


def test_a_file_that_is_not_there_is_nobodys_fault(decoder: Decoder, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        opened(decoder, tmp_path / "gone")
    (tmp_path / "there").write_bytes(encoded(gradient(), "PNG"))
    assert opened(decoder, tmp_path / "there").page_count == 1
