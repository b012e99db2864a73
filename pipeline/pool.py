"""Several pages at once: processes that digitize, and on a GPU one set of networks for all of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import CancelledError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Client, Listener
from threading import Thread
from types import TracebackType

import cv2
import torch

from pipeline.digitize import NOTHING_GIVEN, Digitizer, made_by
from pipeline.errors import LostError
from pipeline.networks import Network, choose_device, open_networks, shipped
from pipeline.networks.gathered import Gathered
from pipeline.networks.remote import answer, remote_networks
from pipeline.recording import Correction, MadeBy, Page, Recording

KEY_BYTES = 32
KILLED = "a digitizing process was killed: is there memory for so many, 2 GB each?"
AGAIN_S = 0.1  # before another process is let in after one that could not be, as without a file descriptor left
UNHEARD = (OSError, EOFError, AssertionError, multiprocessing.AuthenticationError)  # what a stranger's call may raise


class DigitizerPool:
    """A Digitizer of several processes; digitize() may be called from as many threads at a time.

    device, sure_from: as of a Digitizer. shared: the networks are computed in this process, for all the others, what
    waits in batches; unless told that is so on a GPU, which need not hold them more than once. On processors each
    process computes its own, on its share of the cores: batches gain nothing there. Raises ValueError for less than one
    process, DeviceError, and WeightsError for a manifest, and for weights that this process opens.
    """

    def __init__(
        self, processes: int, device: str = "auto", shared: bool | None = None, sure_from: float = 0.0
    ) -> None:
        if processes < 1:
            raise ValueError(f"{processes} processes digitize nothing")
        device = choose_device(device)
        self.made_by: MadeBy = made_by(shipped().values())
        self._networks = _Served(device) if (device != "cpu" if shared is None else shared) else None
        where = None if self._networks is None else self._networks.where
        threads = 1 if where else max(1, torch.get_num_threads() // processes)
        # a forked process could neither use the GPU nor trust the locks of the threads it did not inherit
        context = multiprocessing.get_context("spawn")
        self._processes = ProcessPoolExecutor(processes, context, _start, (threads, device, sure_from, where))

    def digitize(self, page: Page, given: Correction = NOTHING_GIVEN) -> Recording:
        """As Digitizer.digitize.

        Raises also WeightsError of weights that the process opens, RemoteError where shared networks fail, and
        LostError where a process died or the pool was closed: nothing is digitized any more.
        """
        try:
            future = self._processes.submit(_digitized, page, given)
        except BrokenProcessPool as error:
            raise LostError(KILLED) from error
        except RuntimeError as error:
            raise LostError("the pool is closed") from error
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise LostError(KILLED) from error
        except CancelledError as error:
            raise LostError("the pool was closed before the page's turn came") from error

    def close(self) -> None:
        """Ends the processes, each after the page it is at; pages that wait are not digitized."""
        self._processes.shutdown(cancel_futures=True)
        if self._networks is not None:
            self._networks.close()

    def __enter__(self) -> DigitizerPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Served:
    """The networks on a device, for whoever knows the address and the key."""

    def __init__(self, device: str) -> None:
        self._looks: dict[str, Network] = {name: Gathered(one.look) for name, one in open_networks(device).items()}
        key = os.urandom(KEY_BYTES)
        self._door = Listener(authkey=key)
        self.where: tuple[str, bytes] = (str(self._door.address), key)
        self._closing = False
        self._thread = Thread(target=self._accept, name="networks", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection = self._door.accept()
            except UNHEARD:
                time.sleep(AGAIN_S)
                continue
            Thread(target=answer, args=(connection, self._looks), name="networks", daemon=True).start()

    def close(self) -> None:
        self._closing = True
        if self._thread.is_alive():
            with suppress(*UNHEARD):
                Client(self.where[0], authkey=self.where[1]).close()  # closing the door wakes nobody who waits at it
            self._thread.join()
        self._door.close()


_device = "cpu"  # of a process that digitizes: where it computes networks of its own,
_sure_from = 0.0
_where: tuple[str, bytes] | None = None  # or who computes them for it


def _start(threads: int, device: str, sure_from: float, where: tuple[str, bytes] | None) -> None:
    global _device, _sure_from, _where
    _device, _sure_from, _where = device, sure_from, where
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who asked decides
    Thread(target=_end_with_parent, name="parent", daemon=True).start()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def _end_with_parent() -> None:
    """A parent that is killed tells nobody, and what waits for its next page would wait for ever, with 2 GB."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _digitized(page: Page, given: Correction) -> Recording:
    return _digitizer().digitize(page, given)


@cache
def _digitizer() -> Digitizer:
    """Opened with the first page, whose result an error of it then is."""
    if _where is None:
        return Digitizer(_device, sure_from=_sure_from)
    try:
        connection = Client(_where[0], authkey=_where[1])
    except UNHEARD as error:
        raise LostError("the process that computes the networks does not answer") from error
    return Digitizer(networks=remote_networks(connection), sure_from=_sure_from)
