"""Where connections wait until they have asked for an association: the silent ones keep nobody out."""

from __future__ import annotations

import logging
import selectors
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.intake.dicom_scp.pdu import ASSOCIATE_MAX_BYTES, ASSOCIATE_RQ, HEADER_BYTES

log = logging.getLogger(__name__)

REQUEST_WITHIN_S = 5.0  # from the connection to the whole A-ASSOCIATE-RQ
WAITING_MAX = 200  # connections that have not yet sent it; each costs one descriptor and nothing else
LOOK_ROUND_S = 0.1  # how often the anteroom looks at its clock


@dataclass(frozen=True)
class Waiting:
    """A connection that has not yet sent its whole A-ASSOCIATE-RQ."""

    connection: socket.socket
    address: Any
    until: float  # time.monotonic()


class Anteroom:
    """Where connections wait, at the price of a descriptor each, until their association request is here in full.

    pynetdicom starts two threads per connection and counts it as an association from the start, so that thirty silent
    sockets keep everybody out. Here the silent ones keep out nobody: they are dropped after REQUEST_WITHIN_S, and when
    too many wait, first the oldest of the address that has the most waiting.
    """

    def __init__(self, admit: Callable[[socket.socket, Any], None]) -> None:
        self._admit = admit
        self._selector = selectors.DefaultSelector()
        self._waiting: dict[socket.socket, Waiting] = {}
        self._half: set[socket.socket] = set()  # those whose request is here in part
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dicom-anteroom", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Drops everyone who waits."""
        self._closing.set()
        self._thread.join()
        with self._lock:
            for waiting in list(self._waiting.values()):
                self._drop(waiting)
        self._selector.close()

    def enter(self, connection: socket.socket, address: Any) -> None:
        """Called from the accepting thread for every new connection."""
        _wake_at(connection, HEADER_BYTES)
        waiting = Waiting(connection, address, time.monotonic() + REQUEST_WITHIN_S)
        with self._lock:
            if len(self._waiting) >= WAITING_MAX:
                self._drop(self._most_burdensome())
            self._waiting[connection] = waiting
            self._selector.register(connection, selectors.EVENT_READ, waiting)

    def _run(self) -> None:
        while not self._closing.is_set():
            for key, _ in self._selector.select(LOOK_ROUND_S):
                self._check(key.data)
            now = time.monotonic()
            with self._lock:
                for waiting in [w for w in self._waiting.values() if w.until < now]:
                    log.info("connection from %s dropped: no association request", waiting.address[0])
                    self._drop(waiting)

    def _check(self, waiting: Waiting) -> None:
        """Lets a connection in once its whole request can be read without waiting."""
        try:
            ready = self._is_ready(waiting.connection)
        except OSError:  # reset by the peer, or nonsense
            ready = None
        if ready is False:
            return
        with self._lock:
            if ready is None:
                self._drop(waiting)
                return
            if self._waiting.pop(waiting.connection, None) is None:
                return  # dropped meanwhile, to make room
            self._half.discard(waiting.connection)
            self._selector.unregister(waiting.connection)
        try:
            self._admit(waiting.connection, waiting.address)
        except RuntimeError:  # the system gives no more threads: this one must do without, the door stays open
            log.exception("connection from %s dropped", waiting.address[0])
            waiting.connection.close()

    def _is_ready(self, connection: socket.socket) -> bool:
        """Whether the whole request has come. OSError where it never will."""
        head = _peek(connection, HEADER_BYTES)
        if len(head) < HEADER_BYTES:
            raise ConnectionError("hung up")
        kind, _, length = struct.unpack(">BBL", head)
        if kind != ASSOCIATE_RQ or length > ASSOCIATE_MAX_BYTES:
            raise ConnectionError("not an association request")
        whole = HEADER_BYTES + length
        if len(_peek(connection, whole)) == whole:
            _wake_at(connection, 1)
            return True
        if connection in self._half:  # woken again and still short: the peer has hung up in the middle
            raise ConnectionError("hung up")
        self._half.add(connection)
        _wake_at(connection, whole)
        return False

    def _most_burdensome(self) -> Waiting:
        per_address = Counter(waiting.address[0] for waiting in self._waiting.values())
        address, _ = per_address.most_common(1)[0]
        return next(waiting for waiting in self._waiting.values() if waiting.address[0] == address)

    def _drop(self, waiting: Waiting) -> None:
        if self._waiting.pop(waiting.connection, None) is not None:
            self._half.discard(waiting.connection)
            self._selector.unregister(waiting.connection)
            waiting.connection.close()


def _peek(connection: socket.socket, count: int) -> bytes:
    """What has come so far, up to count bytes, left where it is. b"" where the peer hung up."""
    return connection.recv(count, socket.MSG_PEEK | socket.MSG_DONTWAIT)


def _wake_at(connection: socket.socket, count: int) -> None:
    """The selector is to report this connection when so many bytes are here, not before."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
