"""Several pages at once: processes that digitize, and on a GPU one set of networks for all of them."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
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
from pipeline.networks import Look, choose_device, open_networks, shipped
from pipeline.networks.gathered import Gathered
from pipeline.networks.remote import answer, remote_networks
from pipeline.recording import Given, MadeBy, Page, Recording

KEY_BYTES = 32
_where: tuple[str, bytes] | None = None  # of a process that digitizes: who computes the networks for it


class DigitizerPool:
    """A Digitizer of several processes; digitize() may be called from as many threads at a time.

    device: as of a Digitizer. shared: the networks are computed in this process, for all the others, what waits in
    batches; unless told that is so on a GPU, which need not hold them more than once. On processors each process
    computes its own, on its share of the cores: batches gain nothing there. Raises DeviceError and WeightsError.
    """

    def __init__(self, processes: int, device: str = "auto", shared: bool | None = None) -> None:
        if processes < 1:
            raise ValueError(f"{processes} processes digitize nothing")
        device = choose_device(device)
        self.made_by: MadeBy = made_by(shipped().values())
        self._networks = _Served(device) if (device != "cpu" if shared is None else shared) else None
        where = None if self._networks is None else self._networks.where
        threads = 1 if where else max(1, (os.cpu_count() or 1) // processes)
        # a forked process could neither use the GPU nor trust the locks of the threads it did not inherit
        context = multiprocessing.get_context("spawn")
        self._processes = ProcessPoolExecutor(processes, context, _start, (threads, where))

    def digitize(self, page: Page, given: Given = NOTHING_GIVEN) -> Recording:
        """As Digitizer.digitize. Raises also LostError where a process died, and nothing is digitized any more."""
        try:
            return self._processes.submit(_digitized, page, given).result()
        except BrokenProcessPool as error:
            raise LostError("a digitizing process was killed: is there memory for so many, 2 GB each?") from error

    def close(self) -> None:
        """Ends the processes; pages that wait are not digitized."""
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
        self._looks: dict[str, Look] = {name: Gathered(one.look) for name, one in open_networks(device).items()}
        key = os.urandom(KEY_BYTES)
        self._door = Listener(authkey=key)
        self.where: tuple[str, bytes] = (str(self._door.address), key)
        self._closing = False
        self._thread = Thread(target=self._accept, name="networks", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._door.accept()
            except (OSError, EOFError, multiprocessing.AuthenticationError):
                if self._closing:
                    return
                continue
            if self._closing:
                connection.close()
                return
            Thread(target=answer, args=(connection, self._looks), name="networks", daemon=True).start()

    def close(self) -> None:
        self._closing = True
        with suppress(OSError, EOFError, multiprocessing.AuthenticationError):
            Client(self.where[0], authkey=self.where[1]).close()  # what waits at the door is not woken by closing it
        self._thread.join()
        self._door.close()


def _start(threads: int, where: tuple[str, bytes] | None) -> None:
    global _where
    _where = where
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def _digitized(page: Page, given: Given) -> Recording:
    return _digitizer().digitize(page, given)


@cache
def _digitizer() -> Digitizer:
    """Opened with the first page, whose result an error of it then is."""
    if _where is None:
        return Digitizer("cpu")
    return Digitizer(networks=remote_networks(Client(_where[0], authkey=_where[1])))
