"""Listens: who may come in, and how many at once."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable

from gateway.config import Hl7FeedSection
from gateway.intake.hl7_feed.connection import Connection

log = logging.getLogger(__name__)

LOOK_ROUND_S = 0.2  # how often the listener looks up from its socket
BACKLOG = 32


def open_port(settings: Hl7FeedSection) -> socket.socket:
    """A socket that listens. OSError where the port cannot be opened."""
    found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return socket.create_server((str(address[0]), int(address[1])), family=family, backlog=BACKLOG)


class MllpServer:
    """Connections in threads of their own, from start() to stop()."""

    def __init__(
        self, settings: Hl7FeedSection, answer: Callable[[bytes, str], bytes], too_big: Callable[[bytes, str], bytes]
    ) -> None:
        """Both are given the sender's address too."""
        self._settings = settings
        self._answer = answer
        self._too_big = too_big
        self._networks = tuple(ipaddress.ip_network(address, strict=False) for address in settings.addresses)
        self._open: dict[Connection, threading.Thread] = {}
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
                log.warning("HL7 feed: connection from %s refused: not in hl7_feed.addresses", address[0])
                connection.close()
            elif not self._make_room():
                log.warning("HL7 feed: connection from %s refused: hl7_feed.connections_max are busy", address[0])
                connection.close()
            else:
                self._enter(connection, address[0])

    def _may_come(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return not self._networks or any(address in network for network in self._networks)

    def _make_room(self) -> bool:
        """Whether one more may come. Where all places are taken, who has been silent the longest must go.

        An engine behind a firewall that forgot its connections comes anew, and its old ones must not keep it out.
        """
        with self._lock:
            if len(self._open) < self._settings.connections_max:
                return True
            silent = [(since, one) for one in self._open if (since := one.idle_since) is not None]
            if not silent:
                return False
            _, oldest = min(silent, key=lambda pair: pair[0])
            del self._open[oldest]
        log.warning("HL7 feed: connection from %s, silent, makes room for another", oldest.address)
        oldest.cut()
        return True

    def _enter(self, connection: socket.socket, address: str) -> None:
        one = Connection(
            connection,
            address,
            self._settings,
            lambda message: self._answer(message, address),
            lambda head: self._too_big(head, address),
        )
        thread = threading.Thread(target=self._run, args=(one,), name="hl7-feed", daemon=True)
        with self._lock:
            self._open[one] = thread
        log.info("HL7 feed: connection from %s", address)
        thread.start()

    def _run(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._lock:
                self._open.pop(connection, None)
