"""The listening side: who may come in, how long they may keep silent, and how much they may say at once."""

from __future__ import annotations

import ipaddress
import logging
import os
import queue
import select
import selectors
import socket
import struct
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from socketserver import BaseServer
from typing import Any

from pynetdicom import AE
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

log = logging.getLogger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HEADER_BYTES = 6  # PS3.8 9.3.1: type, reserved, length
ASSOCIATE_RQ = 0x01
P_DATA_TF = 0x04
# 128 presentation contexts with every transfer syntax there is come to about 150 KB
ASSOCIATE_MAX_BYTES = 256 * 1024
# PS3.8 D.1: the maximum length counts the PDV items; some senders count their own header out
SLACK_BYTES = 1024
SMALL_MAX_BYTES = 1024  # release and abort are 4 bytes
# A-ABORT by the service provider, reason "invalid PDU parameter value" (PS3.8 9.3.8)
ABORT = struct.pack(">BBI4B", 0x07, 0, 4, 0, 0, 2, 6)

REQUEST_WITHIN_S = 5.0  # from the connection to the whole A-ASSOCIATE-RQ
REACTOR_ROUND_S = 0.02  # how often an association's threads look up from what they wait for
LOOK_ROUND_S = 0.1  # how often the listener and the anteroom look up from their sockets
COLLECT_EVERY_S = 30.0  # pynetdicom's ended associations are cyclic garbage with open descriptors
WAITING_MAX = 200  # connections that have not yet sent it; each costs one descriptor and nothing else


class OversizedPDU(OSError):
    """A peer announced a PDU longer than it may send. An OSError, for pynetdicom then ends the association."""


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
                self._look_at(key.data)
            now = time.monotonic()
            with self._lock:
                for waiting in [w for w in self._waiting.values() if w.until < now]:
                    log.info("connection from %s dropped: no association request", waiting.address[0])
                    self._drop(waiting)

    def _look_at(self, waiting: Waiting) -> None:
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
        self._admit(waiting.connection, waiting.address)

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


class WakingQueue(queue.Queue[Any]):
    """A queue that a thread can wait for together with a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self.bell)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        os.eventfd_write(self.bell, 1)


class GuardedSocket(AssociationSocket):
    """pynetdicom's socket with a bound on every PDU's length and on the time it may take to arrive.

    pynetdicom's reactor asks it every millisecond whether there is something to read. Here the question waits for the
    answer, or for something to send, so that neither is found a millisecond late nor asked for a thousand times a
    second.
    """

    def __init__(self, adopted: AssociationSocket, to_send: WakingQueue, pdu_max_bytes: int, timeout_s: float) -> None:
        # Adopts another's state: making a new one would tell the state machine of a second connection.
        self.__dict__.update(adopted.__dict__)
        self._to_send = to_send
        self._pdu_max_bytes = pdu_max_bytes
        self._timeout_s = timeout_s
        self._kind = 0
        if self.socket is not None:
            self.socket.settimeout(timeout_s)  # for sending: a peer that stops reading must not hold a thread

    @property
    def ready(self) -> bool:
        """Whether there is something to read; waits for it a while, or until there is something to send."""
        connection = self.socket
        if connection is None or not self._is_connected:
            time.sleep(REACTOR_ROUND_S)  # the reactor is about to end, and must not spin until it does
            return False
        patience_s = REACTOR_ROUND_S if self._to_send.empty() and self.event_queue.empty() else 0
        try:
            bell = self._to_send.bell
            readable, _, _ = select.select([connection.fileno(), bell], [], [], patience_s)
        except (OSError, ValueError):  # closed by the association's thread meanwhile
            self.event_queue.put("Evt17")
            return False
        if bell in readable:
            os.eventfd_read(bell)
        return any(descriptor != bell for descriptor in readable)

    def recv(self, nr_bytes: int) -> bytearray:
        """Reads exactly nr_bytes, fewer where the peer hangs up.

        Raises:
            OversizedPDU: they would be more than this kind of PDU may have.
            TimeoutError: they did not come in time.
        """
        connection = self.socket
        if connection is None:
            raise OSError("the connection is closed")
        self._check_length(nr_bytes, connection)
        data = bytearray(nr_bytes)
        view = memoryview(data)
        read = 0
        deadline = time.monotonic() + self._timeout_s
        while read < nr_bytes:
            if time.monotonic() > deadline:
                raise TimeoutError("the peer is too slow")
            got = connection.recv_into(view[read:])
            if got == 0:
                break
            read += got
        view.release()
        del data[read:]
        if nr_bytes == HEADER_BYTES and read:
            self._kind = data[0]
        return data

    def _check_length(self, nr_bytes: int, connection: socket.socket) -> None:
        if nr_bytes == HEADER_BYTES:  # the header, or a PDU as short
            return
        most = {ASSOCIATE_RQ: ASSOCIATE_MAX_BYTES, P_DATA_TF: self._pdu_max_bytes + SLACK_BYTES}
        if nr_bytes > most.get(self._kind, SMALL_MAX_BYTES):
            try:
                connection.send(ABORT)
            except OSError:
                log.debug("the peer was gone before it could be told")
            raise OversizedPDU(f"a PDU of {nr_bytes} bytes")


class Admitted(RequestHandler):
    """Makes the association of a connection that has left the anteroom."""

    server: GuardedServer

    def _create_association(self) -> Any:
        association = super()._create_association()
        self.server.prepare(association)
        return association


class GuardedServer(ThreadedAssociationServer):
    """pynetdicom's server behind an allow-list of addresses and an anteroom."""

    request_queue_size = 128  # a burst of connections must not be lost before accept() comes round

    def __init__(
        self,
        entity: AE,
        address: tuple[str, int],
        ae_title: str,
        contexts: list[PresentationContext],
        evt_handlers: list[Any],
        networks: tuple[Network, ...],
        prepare: Callable[[Any], None],
    ) -> None:
        """prepare is given each new Association before its threads start."""
        super().__init__(entity, address, ae_title, contexts, evt_handlers=evt_handlers, request_handler=Admitted)
        self._gc = [0, round(COLLECT_EVERY_S / LOOK_ROUND_S)]  # pynetdicom counts its rounds
        self.prepare = prepare
        self._networks = networks
        self._anteroom = Anteroom(super().process_request)
        self._anteroom.start()
        self._thread = threading.Thread(
            target=self.serve_forever, args=(LOOK_ROUND_S,), name="dicom-accept", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience_s: float) -> None:
        """No more connections; associations may end by themselves for a while and are aborted then."""
        BaseServer.shutdown(self)
        self.server_close()
        self._anteroom.stop()
        until = time.monotonic() + patience_s
        while self.active_associations and time.monotonic() < until:
            time.sleep(0.05)
        for association in self.active_associations:
            association.abort()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether this address may talk to us at all."""
        if not self._networks:
            return True
        address = ipaddress.ip_address(client_address[0])
        address = getattr(address, "ipv4_mapped", None) or address
        if any(address in network for network in self._networks):
            return True
        log.warning("connection from %s refused: not in dicom_scp.addresses", client_address[0])
        return False

    def process_request(self, request: Any, client_address: Any) -> None:
        """To the anteroom; an association is made only of a connection that asks for one."""
        self._anteroom.enter(request, client_address)
