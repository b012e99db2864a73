"""Sends an HL7 v2 message over MLLP and believes only the acknowledgement that names it.

Framing and acknowledgement are read as bytes; text is never decoded. What the peer says in words (MSA-3, ERR-8) may
hold patient data and stays unread: only codes and places (MSA-1, ERR-2, ERR-3) are told on.

A peer in enhanced mode answers twice: CA, and later on the same connection what its application says. CA delivers the
message; the second answer is listened for and told by later(). A peer of MLLP release 2 says first that it has stored
the block; it is answered alike, and the acknowledgement is waited for.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from gateway.config import MllpDestination
from gateway.deliver.ack import Ack, AckCode, AckError, control_id, read_ack
from gateway.deliver.sender import Delivered, Later
from gateway.errors import Refused, TryAgain
from gateway.job import Document, DocumentKind
from gateway.mllp_block import (
    BETWEEN_BLOCKS,
    COMMITTED,
    END_BLOCK,
    NOT_COMMITTED,
    START_BLOCK,
    framed,
    message_in,
)

ACK_MAX_BYTES = 262_144  # an acknowledgement is below 1 KB; one with an error for every segment is below this
CHUNK_BYTES = 65_536
ACCEPTED_MAX = 1000  # messages that got CA on one connection and may get a second answer: minutes of work
LOOK_THERE = "; it may have taken the message: look there before it is sent again"


class MllpClient:
    """One connection, kept open between messages, one message in flight. After any doubt the connection is dropped:

    a late acknowledgement on a connection that goes on would be taken for the next message's.
    """

    def __init__(self, config: MllpDestination, clock: Callable[[], float] = time.monotonic) -> None:
        self.config = config
        self._clock = clock
        self._socket: socket.socket | None = None
        self._received = bytearray()  # of the connection, and not read yet
        self._accepted: dict[bytes, tuple[str, float]] = {}  # by MSH-10: the document that got CA, and until when
        self._later: list[Later] = []

    def send(self, document: Document) -> Delivered:
        """Delivered on AA or CA for this message's MSH-10.

        Raises Refused (AR, CR, or a message that may not be sent), TryAgain (no connection; no answer in timeout_s;
        and, bounded by error_attempts_max, any answer that is no yes to this message: AE, CE, one that cannot be read
        or names another message or none).
        """
        sent_id = self._check(document)
        try:
            ack = self._exchange(document.data, sent_id)
        except OSError as error:
            self.close()
            raise _translated(error, self.config) from error
        except AckError as error:
            self.close()
            raise TryAgain("garbled_ack", f"{error}{LOOK_THERE}", self.config.error_attempts_max) from error
        except TryAgain:
            self.close()
            raise
        if ack.control_id != sent_id:
            self.close()
            raise self._not_ours(ack, sent_id)
        if ack.code is AckCode.CA:
            self._listen_for(sent_id, document.name)
        self._hear()
        return self._judge(ack, ack.as_answer(sent_id))

    @property
    def is_listening(self) -> bool:
        """Whether the peer may still say what its application makes of a message: for timeout_s after CA."""
        now = self._clock()
        return self._socket is not None and any(until > now for _, until in self._accepted.values())

    def later(self) -> list[Later]:
        """What the application behind the peer said of messages that got CA, since the last call."""
        if self._socket is not None and self._accepted and not self._is_usable(self._socket):
            self.close()
        late, self._later = self._later, []
        return late

    def knock(self) -> None:
        """Opens a connection and closes it. Raises TryAgain where none can be had."""
        try:
            self._connected()
        except OSError as error:
            raise _translated(error, self.config) from error
        finally:
            self.close()

    def close(self) -> None:
        """Drops the connection; the next message opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._received.clear()
        self._accepted.clear()

    def _check(self, document: Document) -> bytes:
        """The message's own MSH-10. Refused where the message could not be framed, or its answer not be recognised."""
        if document.kind is not DocumentKind.HL7V2:
            raise Refused("wrong_kind", f"an MLLP destination takes HL7 v2 messages, not {document.kind}")
        if len(document.data) > self.config.message_max_bytes:
            size = f"{len(document.data)} bytes; message_max_bytes allows {self.config.message_max_bytes}"
            raise Refused("message_too_large", f"the message has {size}")
        if START_BLOCK in document.data or END_BLOCK in document.data:
            raise Refused("framing_in_message", "the message holds an MLLP framing byte (0x0B or 0x1C)")
        try:
            sent_id = control_id(document.data)
        except AckError as error:
            raise Refused("no_control_id", str(error)) from error
        return sent_id

    def _exchange(self, message: bytes, sent_id: bytes) -> Ack:
        connection = self._connected()
        deadline = self._clock() + self.config.timeout_s
        connection.settimeout(self.config.timeout_s)  # for sendall the whole of it, however many packets
        connection.sendall(framed(message))
        block = self._read_block(connection, deadline)
        if message_in(block) == COMMITTED:
            return self._after_commit(connection, deadline, sent_id)
        return self._answer_in(block, connection, deadline, sent_id)

    def _after_commit(self, connection: socket.socket, deadline: float, sent_id: bytes) -> Ack:
        """The acknowledgement that follows MLLP release 2's "stored", and is told to be stored here."""
        try:
            ack = self._answer_in(self._read_block(connection, deadline), connection, deadline, sent_id)
        except TimeoutError:
            why = f"the peer said by MLLP release 2 that it stored the message, and acknowledged nothing{LOOK_THERE}"
            raise TryAgain("no_ack_after_commit", why, self.config.error_attempts_max) from None
        with suppress(OSError):  # it may have hung up: what it said counts all the same
            connection.sendall(framed(COMMITTED))
        return ack

    def _answer_in(self, block: bytes, connection: socket.socket, deadline: float, sent_id: bytes) -> Ack:
        """The acknowledgement in this block, or in the next where this one is of a message that got CA before."""
        while True:
            if message_in(block) == NOT_COMMITTED:
                why = "the peer said by MLLP release 2 that it could not store the message"
                raise TryAgain("not_committed", why, self.config.error_attempts_max)
            ack = read_ack(block)
            if ack.control_id == sent_id or not self._keep_later(ack):
                return ack
            block = self._read_block(connection, deadline)

    def _connected(self) -> socket.socket:
        """The open connection if the peer has said nothing strange on it, else a new one."""
        if self._socket is not None and not self._is_usable(self._socket):
            self.close()  # closed by the peer, or a late answer to something else
        if self._socket is None:
            self._socket = socket.create_connection((self.config.host, self.config.port), self.config.timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the last packet waits 40 ms
        return self._socket

    def _is_usable(self, connection: socket.socket) -> bool:
        """Whether nothing has come but the end of the last block and second answers to messages that got CA."""
        connection.setblocking(False)
        try:
            waiting = connection.recv(CHUNK_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._received += waiting
        self._hear()
        return waiting != b"" and self._socket is not None

    def _listen_for(self, sent_id: bytes, name: str) -> None:
        """Remembers that a second answer may come. One that comes late is still known for what it is."""
        self._accepted[sent_id] = (name, self._clock() + self.config.timeout_s)
        if len(self._accepted) > ACCEPTED_MAX:
            del self._accepted[next(iter(self._accepted))]

    def _hear(self) -> None:
        """Takes the second answers that have come, and drops the connection where anything else has.

        What else has come could be mistaken for the answer to the next message.
        """
        try:
            strange = not all(map(self._keep_later, self._answers()))
        except AckError:
            strange = True
        if strange or (self._received and not self._accepted):
            self.close()

    def _answers(self) -> Iterator[Ack]:
        """Every whole answer that has come. Raises AckError."""
        while (block := self._next_block()) is not None:
            yield read_ack(block)

    def _keep_later(self, ack: Ack) -> bool:
        """Keeps a second answer; False where it is none. An answer CA again is none that an application gives."""
        found = self._accepted.get(ack.control_id)
        if found is None:
            return False
        if ack.code not in (AckCode.CA, AckCode.CE, AckCode.CR):
            del self._accepted[ack.control_id]
        wrong = ack.code not in (AckCode.AA, AckCode.CA)
        note = f"taken (CA), and then the application answered {ack.as_text()}" if wrong else ""
        self._later.append(Later(found[0], ack.as_answer(ack.control_id), note))
        return True

    def _next_block(self) -> bytes | None:
        """The next whole block of what has come, without its framing; None where there is none yet. AckError."""
        received = self._received
        del received[: len(received) - len(received.lstrip(BETWEEN_BLOCKS))]
        if received and not received.startswith(START_BLOCK):
            raise AckError("the answer does not begin with the MLLP start byte 0x0B")
        # 0x1C alone ends it: no acknowledgement holds that byte, and some peers leave the CR out
        block, end, rest = received.partition(END_BLOCK)
        if not end:
            if len(received) > ACK_MAX_BYTES:
                raise AckError(f"the answer has more than {ACK_MAX_BYTES} bytes and no end")
            return None
        self._received = rest
        return bytes(block[1:])

    def _read_block(self, connection: socket.socket, deadline: float) -> bytes:
        """The next block without its framing, over any number of packets."""
        while (block := self._next_block()) is None:
            left_s = deadline - self._clock()
            if left_s <= 0:
                raise TimeoutError
            connection.settimeout(left_s)
            chunk = connection.recv(CHUNK_BYTES)
            if not chunk:
                raise TryAgain("connection_closed", "the peer closed the connection before it acknowledged the message")
            self._received += chunk
        return block

    def _not_ours(self, ack: Ack, sent_id: bytes) -> TryAgain:
        bound, answer = self.config.error_attempts_max, ack.as_answer(sent_id)
        unnamed = f"the peer answered {ack.as_text()} without naming the message (MSA-2 is empty)"
        if not ack.control_id and ack.code not in (AckCode.AA, AckCode.CA):  # it could not even read our header
            return TryAgain("peer_error", unnamed, bound, answer)
        why = unnamed if not ack.control_id else "the acknowledgement names another message (MSA-2 is not our MSH-10)"
        return TryAgain("wrong_ack", why + LOOK_THERE, bound, answer)

    def _judge(self, ack: Ack, answer: str) -> Delivered:
        match ack.code:
            case AckCode.AA | AckCode.CA:
                return Delivered(answer)
            case AckCode.AE | AckCode.CE:
                why, bound = f"the peer answered {ack.as_text()}", self.config.error_attempts_max
                raise TryAgain("peer_error", why, bound, answer)
            case AckCode.AR | AckCode.CR:
                raise Refused("peer_rejected", f"the peer answered {ack.as_text()}", answer)


def _translated(error: OSError, config: MllpDestination) -> TryAgain:
    where = f"{config.host}:{config.port}"
    if isinstance(error, socket.gaierror):
        return TryAgain("unknown_host", f"the name {config.host} is not known; look at host in the configuration")
    if isinstance(error, ConnectionRefusedError):
        return TryAgain("connection_refused", f"nothing listens on {where}")
    if isinstance(error, TimeoutError):
        return TryAgain("timeout", f"no answer from {where} within {config.timeout_s:g} s")
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return TryAgain("connection_closed", f"{where} closed the connection before it acknowledged the message")
    return TryAgain("unreachable", f"{where} cannot be reached: {error.strerror or type(error).__name__}")
