"""Listens: who may come in, and how many at once."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable

from gateway.config import Hl7FeedSection
from gateway.intake.hl7_feed.capacity import NoPlace, Senders, who_leaves
from gateway.intake.hl7_feed.connection import Answer, Connection

log = logging.getLogger(__name__)

LOOK_ROUND_S = 0.2  # how often the listener looks up from its socket
LOG_EVERY_S = 10.0  # of one kind of trouble: who connects a thousand times must not fill the log
BACKLOG = 32


def open_port(settings: Hl7FeedSection) -> socket.socket:
    """A socket that listens. OSError where the port cannot be opened."""
    found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return socket.create_server((str(address[0]), int(address[1])), family=family, backlog=BACKLOG)


class MllpServer:
    """Connections in threads of their own, from start() to stop()."""

    def __init__(
        self,
        settings: Hl7FeedSection,
        answer: Callable[[bytes, str], Answer],
        too_big: Callable[[bytes, str], Answer],
        sent: Callable[[str], None],
        senders: Senders,
    ) -> None:
        """answer and too_big are given the sender's address too; sent is told who sent a message.

        senders: who is no stranger, as sent keeps it.
        """
        self._settings = settings
        self._answer = answer
        self._too_big = too_big
        self._networks = tuple(ipaddress.ip_network(address, strict=False) for address in settings.addresses)
        self._open: dict[Connection, threading.Thread] = {}
        self._sent = sent
        self._senders = senders
        self._warned: dict[str, tuple[float, int]] = {}  # of the listener's thread: by kind, when, and how often since
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._listener: socket.socket | None = None
        self._thread = threading.Thread(target=self._accept, name="hl7-accept", daemon=True)

    @property
    def port(self) -> int:
        """The port listened on."""
        if self._listener is None:
            raise RuntimeError("the listener has not been started")
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Opens the port and returns. OSError where it cannot be opened."""
        self._listener = open_port(self._settings)
        self._listener.settimeout(LOOK_ROUND_S)
        self._thread.start()

    def stop(self, patience_s: float) -> None:
        """No more connections and messages; what is being worked on is still answered, for a while."""
        self._closing.set()
        if self._listener is None:
            return
        self._thread.join()
        self._listener.close()
        with self._lock:
            left = dict(self._open)
        for connection in left:
            connection.finish()
        until = time.monotonic() + patience_s
        for connection, thread in left.items():
            thread.join(max(0.0, until - time.monotonic()))
            connection.cut()

    def _accept(self) -> None:
        assert self._listener is not None
        while not self._closing.is_set():
            try:
                connection, address = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as error:  # no descriptor is left, or the peer is gone again: the door stays open
                log.warning("HL7 feed: a connection could not be taken: %s", error.strerror)
                self._closing.wait(LOOK_ROUND_S)
                continue
            if not self._may_come(address[0]):
                self._warn("connection from %s refused: not in hl7_feed.addresses", address[0])
                connection.close()
            elif self._make_room(address[0]):
                self._enter(connection, address[0])
            else:
                connection.close()

    def _may_come(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return not self._networks or any(address in network for network in self._networks)

    def _make_room(self, address: str) -> bool:
        """Whether one more may come from this address. Who must go for it is cut off."""
        try:
            with self._lock:
                leaving = who_leaves(tuple(self._open), address, self._senders, self._settings)
                if leaving is not None:
                    del self._open[leaving]
        except NoPlace as error:
            self._warn("connection from %s refused: " + str(error), address)
            return False
        if leaving is not None:
            kind = "silent" if leaving.has_sent else "which has sent nothing yet"
            self._warn(f"connection from %s, {kind}, makes room for another", leaving.address)
            leaving.cut()
        return True

    def _warn(self, text: str, address: str) -> None:
        """One line of a kind each LOG_EVERY_S, with how many were left out."""
        now = time.monotonic()
        at, left_out = self._warned.get(text, (-LOG_EVERY_S, 0))
        if now - at < LOG_EVERY_S:
            self._warned[text] = (at, left_out + 1)
            return
        self._warned[text] = (now, 0)
        more = f" (and {left_out} like it since the last such line)" if left_out else ""
        log.warning("HL7 feed: " + text + "%s", address, more)

    def _enter(self, connection: socket.socket, address: str) -> None:
        one = Connection(
            connection,
            address,
            self._settings,
            lambda message: self._remembered(address, self._answer(message, address)),
            lambda head: self._remembered(address, self._too_big(head, address)),
            is_from_sender=address in self._senders,
        )
        thread = threading.Thread(target=self._run, args=(one,), name="hl7-feed", daemon=True)
        with self._lock:
            self._open[one] = thread
        log.info("HL7 feed: connection from %s", address)
        thread.start()

    def _remembered(self, address: str, answer: Answer) -> Answer:
        """The answer itself; who sent a message is known for a sender from now on."""
        if answer.is_message:
            self._sent(address)
        return answer

    def _run(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._lock:
                self._open.pop(connection, None)
