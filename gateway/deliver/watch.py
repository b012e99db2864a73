"""Asks every destination once a minute whether it is there, and keeps the answers in the store for whoever looks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.config import Config, Destination, FolderDestination
from gateway.deliver.reach import PeerReport, check_peers
from gateway.errors import TryAgain

log = logging.getLogger(__name__)

EVERY_S = 60.0
FIRST_S = 2.0  # after the start, when the doors are open
TIMEOUT_S = 5.0  # whoever needs longer to say that it is there is as good as down
STOP_S = 1.0  # how long stop() waits; a question in flight is left alone


class DestinationQueues(Protocol):
    """What the watch needs of the store."""

    def record_answers(self, answers: Sequence[tuple[str, bool, str]]) -> None:
        """Keeps what destinations said: name, whether up, in words."""


class PeerWatch:
    """One thread. It sends no document, and what it finds keeps none from being sent."""

    def __init__(
        self,
        config: Config,
        destination_queues: DestinationQueues,
        ask: Callable[[Config], Sequence[PeerReport]] = check_peers,
    ) -> None:
        self._config = config.model_copy(update={"destination": tuple(map(_impatient, config.destination))})
        self._destination_queues = destination_queues
        self._ask = ask
        self._up: dict[str, bool] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)

    def start(self) -> None:
        """Starts the thread, where there is anybody to ask."""
        if self._config.destination:
            self._thread.start()

    def stop(self) -> None:
        """Asks no more, and writes nothing down that was not answered yet."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def check_all(self) -> None:
        """Asks everybody once."""
        try:
            answers = [(peer.name, peer.ok, peer.text) for peer in self._ask(self._config)]
        except OSError as error:  # a share that went away while it was looked at
            log.warning("the peers could not all be asked: %s", error.strerror)
            return
        if self._stopping.is_set():
            return
        for name, up, text in answers:
            self._tell(name, up, text)
        try:
            self._destination_queues.record_answers(answers)
        except TryAgain as error:
            log.warning("what the peers said could not be kept: %s", error.code)

    def _tell(self, name: str, up: bool, text: str) -> None:
        """Into the log once when it goes, and once when it comes back."""
        before, self._up[name] = self._up.get(name, True), up
        if before and not up:
            log.warning("destination %s is down: %s", name, text)
        elif up and not before:
            log.info("destination %s is up again", name)

    def _run(self) -> None:
        wait_s = FIRST_S
        while not self._stopping.wait(wait_s):
            self.check_all()
            wait_s = EVERY_S


def _impatient(destination: Destination) -> Destination:
    if isinstance(destination, FolderDestination):
        return destination
    return destination.model_copy(update={"timeout_s": min(destination.timeout_s, TIMEOUT_S)})
