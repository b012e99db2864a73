"""One MLLP connection: blocks from VT to FS CR, each answered before the next is read."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from gateway.config import Hl7FeedSection
from gateway.mllp_block import BETWEEN_BLOCKS, COMMITTED, END_BLOCK, NOT_COMMITTED, START_BLOCK, framed, message_in

log = logging.getLogger(__name__)

CHUNK_BYTES = 65_536
HEAD_BYTES = 4096  # of a message that is too big: its header, to answer to
DROPPED_MAX = 8  # times message_max_bytes that are taken off the wire and dropped before the sender is cut off
# A sender that lost its power says no goodbye: asked after a minute of silence, gone after another.
KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}  # seconds, seconds, questions


@dataclass(frozen=True)
class Answer:
    """What is said to a block. is_message: whether the block held an HL7 v2 message, whatever became of it."""

    data: bytes
    is_message: bool


class Ended(Exception):
    """The connection is to be closed; in words for the log, "" where nothing is wrong."""


class Connection:
    """Reads messages until the sender hangs up, is silent for too long, or speaks no MLLP."""

    def __init__(
        self,
        connection: socket.socket,
        address: str,
        settings: Hl7FeedSection,
        answer: Callable[[bytes], Answer],
        too_big: Callable[[bytes], Answer],
        is_from_sender: bool = False,
    ) -> None:
        """answer: a message to its acknowledgement. too_big: the head of one that is too big to its.

        is_from_sender: its address has sent messages before.
        """
        self.address = address
        self.opened_at = time.monotonic()
        self.idle_since: float | None = self.opened_at  # between two messages; None within one
        self.has_sent = False  # a whole message, which was answered
        self.is_answering = False
        self._socket = connection
        self._settings = settings
        self._answer = answer
        self._too_big = too_big
        self._is_from_sender = is_from_sender
        self._received = bytearray()
        self._closing = threading.Event()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE.items():
            if hasattr(socket, option):  # not on every system
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def run(self) -> None:
        """Returns when the connection is closed."""
        try:
            while not self._closing.is_set():
                block, whole = self._next_block()
                if message_in(block) in (COMMITTED, NOT_COMMITTED):  # MLLP release 2, of our last answer
                    continue
                self.is_answering = True
                self._reply(self._answer(block) if whole else self._too_big(block))
                self.is_answering = False
        except Ended as ended:
            if str(ended) and not self._closing.is_set():
                log.warning("HL7 feed: connection from %s closed: %s", self.address, ended)
        except OSError as error:
            if not self._closing.is_set():
                log.info("HL7 feed: connection from %s lost: %s", self.address, error.strerror or type(error).__name__)
        finally:
            self._socket.close()

    def _reply(self, answer: Answer) -> None:
        self._socket.settimeout(self._settings.message_timeout_s)  # for who sends and never reads
        self._socket.sendall(framed(answer.data))
        self.has_sent = self.has_sent or answer.is_message

    def finish(self) -> None:
        """No more messages; one that is being worked on is still answered."""
        self._closing.set()
        self._shut(socket.SHUT_RD)

    def cut(self) -> None:
        """Ends it at once."""
        self._closing.set()
        self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        with suppress(OSError):  # closed already
            self._socket.shutdown(how)

    def _next_block(self) -> tuple[bytes, bool]:
        """The next message without its framing, and True; of one that is too big its head, and False."""
        self._wait_for_start()
        deadline = time.monotonic() + self._settings.message_timeout_s
        most, dropped, searched = self._settings.message_max_bytes, 0, 0
        while (end := self._received.find(END_BLOCK, searched)) < 0:
            searched = len(self._received)
            if searched > most:
                dropped += searched - HEAD_BYTES
                del self._received[HEAD_BYTES:]
                searched = HEAD_BYTES
            if dropped > DROPPED_MAX * most:
                raise Ended(f"a message of more than {dropped} bytes; hl7_feed.message_max_bytes allows {most}")
            self._receive(deadline, "a message that was begun did not come to its end in hl7_feed.message_timeout_s")
        block = bytes(self._received[:end])
        del self._received[: end + 1]
        # a sender that broke off in the middle and begins anew: the first half was never acknowledged
        return block.rpartition(START_BLOCK)[2], not dropped and len(block) <= most

    def _wait_for_start(self) -> None:
        """Until a message begins, whose start byte is taken away."""
        self.idle_since = time.monotonic()
        deadline = self.idle_since + self._patience_s()
        while not (waiting := self._received.lstrip(BETWEEN_BLOCKS)):
            self._received.clear()  # who sends nothing but line ends fills no memory
            self._receive(deadline, "silent for too long")
        self._received = waiting
        self.idle_since = None
        if not self._received.startswith(START_BLOCK):
            raise Ended("what came is no MLLP: it does not begin with the start byte 0x0B")
        del self._received[:1]

    def _patience_s(self) -> float:
        """How long it may be silent: less where neither it nor its address has ever sent a message."""
        settings = self._settings
        if self.has_sent or self._is_from_sender:
            return settings.idle_timeout_s
        return min(settings.idle_timeout_s, settings.first_message_timeout_s)

    def _receive(self, deadline: float, too_late: str) -> None:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise Ended(too_late)
        self._socket.settimeout(left_s)
        try:
            chunk = self._socket.recv(CHUNK_BYTES)
        except TimeoutError:
            raise Ended(too_late) from None
        if not chunk:
            raise Ended("the sender hung up within a message" if self.idle_since is None else "")
        self._received += chunk
