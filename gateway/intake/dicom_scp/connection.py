"""An association's connection: how much its peer may say at once, and how long it may take."""

from __future__ import annotations

import logging
import os
import queue
import select
import socket
import time
import weakref
from typing import Any

from pynetdicom.transport import AssociationSocket

from gateway.intake.dicom_scp.pace import Pace
from gateway.intake.dicom_scp.pdu import (
    ABORT,
    ASSOCIATE_MAX_BYTES,
    ASSOCIATE_RQ,
    HEADER_BYTES,
    P_DATA_TF,
    SLACK_BYTES,
    SMALL_MAX_BYTES,
)

log = logging.getLogger(__name__)

REACTOR_ROUND_S = 0.02  # how often an association's threads look up from what they wait for


class OversizedPDU(OSError):
    """A peer announced a PDU longer than it may send. An OSError, for pynetdicom then ends the association."""


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

    def __init__(
        self, adopted: AssociationSocket, to_send: WakingQueue, pdu_max_bytes: int, timeout_s: float, pace: Pace
    ) -> None:
        # Adopts another's state: making a new one would tell the state machine of a second connection.
        self.__dict__.update(adopted.__dict__)
        self._to_send = to_send
        self._pdu_max_bytes = pdu_max_bytes
        self._timeout_s = timeout_s
        self._pace = pace
        self._is_ended = False
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
        if not self._is_ended and (fault := self._pace.fault()):
            self._is_ended = True
            log.warning("association from %s ended: %s", self._assoc.requestor.address, fault)
            self.event_queue.put("Evt19")  # pynetdicom's word for a peer that breaks the rules: it aborts
            return False
        patience_s = REACTOR_ROUND_S if self._to_send.empty() and self.event_queue.empty() else 0
        bell = self._to_send.bell
        try:
            poll = select.poll()
            poll.register(connection, select.POLLIN)
            poll.register(bell, select.POLLIN)
            began = time.monotonic()
            found = dict(poll.poll(patience_s * 1000))
            self._pace.count(0, time.monotonic() - began)
            state = found.get(connection.fileno(), 0)
        except (OSError, ValueError):
            state = select.POLLNVAL
        if state & select.POLLNVAL:  # closed by the association's thread meanwhile
            self.event_queue.put("Evt17")
            return False
        if bell in found:
            os.eventfd_read(bell)
        return state != 0

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
        began = time.monotonic()
        while read < nr_bytes:
            if time.monotonic() > deadline:
                raise TimeoutError("the peer is too slow")
            got = connection.recv_into(view[read:])
            if got == 0:
                break
            read += got
        self._pace.count(read, time.monotonic() - began)
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
