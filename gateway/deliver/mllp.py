"""Sends an HL7 v2 message over MLLP and believes only the acknowledgement that names it.

Framing and acknowledgement are read as bytes; text is never decoded. What the peer says in words (MSA-3, ERR-8) may
hold patient data and stays unread: only codes and places (MSA-1, ERR-2, ERR-3) are told on.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from gateway.config import MllpDestination
from gateway.deliver.ack import Ack, AckCode, AckError, control_id, read_ack
from gateway.deliver.sender import Delivered
from gateway.errors import Refused, TryAgain
from gateway.job import Document, DocumentKind

START_BLOCK = b"\x0b"
END_BLOCK = b"\x1c"
CARRIAGE_RETURN = b"\x0d"
BETWEEN_BLOCKS = b"\r\n"  # what some peers leave between two blocks
ACK_MAX_BYTES = 262_144  # an acknowledgement is below 1 KB; one with an error for every segment is below this
CHUNK_BYTES = 65_536


class MllpClient:
    """One connection, kept open between messages, one message in flight. After any doubt the connection is dropped:

    a late acknowledgement on a connection that goes on would be taken for the next message's.
    """

    def __init__(self, config: MllpDestination, clock: Callable[[], float] = time.monotonic) -> None:
        self.config = config
        self._clock = clock
        self._socket: socket.socket | None = None

    def send(self, document: Document) -> Delivered:
        """Delivered on AA or CA for this message's MSH-10.

        Raises Refused (AR, CR, or a message that may not be sent), TryAgain (AE, CE, bounded by error_attempts_max;
        no connection; no acknowledgement in timeout_s; one that cannot be read or names another message).
        """
        sent_id = self._check(document)
        try:
            ack = self._exchange(document.data)
        except OSError as error:
            self.close()
            raise _translated(error, self.config) from error
        except AckError as error:
            self.close()
            raise TryAgain("garbled_ack", str(error)) from error
        except TryAgain:
            self.close()
            raise
        if ack.control_id != sent_id:
            self.close()
            raise self._not_ours(ack, sent_id)
        return self._judge(ack, ack.as_answer(sent_id))

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

    def _exchange(self, message: bytes) -> Ack:
        connection = self._connected()
        deadline = self._clock() + self.config.timeout_s
        connection.settimeout(self.config.timeout_s)  # for sendall the whole of it, however many packets
        connection.sendall(START_BLOCK + message + END_BLOCK + CARRIAGE_RETURN)
        block, rest = self._read_block(connection, deadline)
        if rest.strip(BETWEEN_BLOCKS):
            self.close()  # more than one answer to one message: the next may not be mistaken for its answer
        return read_ack(block)

    def _connected(self) -> socket.socket:
        """The open connection if the peer has been silent on it, else a new one."""
        if self._socket is not None and not self._is_silent(self._socket):
            self.close()  # closed by the peer, or a late answer to something else
        if self._socket is None:
            self._socket = socket.create_connection((self.config.host, self.config.port), self.config.timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the last packet waits 40 ms
        return self._socket

    def _is_silent(self, connection: socket.socket) -> bool:
        """Whether nothing has come but the end of the last block: its CR may come in a packet of its own."""
        connection.setblocking(False)
        try:
            waiting = connection.recv(CHUNK_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return waiting != b"" and not waiting.strip(BETWEEN_BLOCKS)

    def _read_block(self, connection: socket.socket, deadline: float) -> tuple[bytes, bytes]:
        """The next block without its framing, and what came after it, over any number of packets."""
        received = bytearray()
        while True:
            left_s = deadline - self._clock()
            if left_s <= 0:
                raise TimeoutError
            connection.settimeout(left_s)
            chunk = connection.recv(CHUNK_BYTES)
            if not chunk:
                raise TryAgain("connection_closed", "the peer closed the connection before it acknowledged the message")
            received += chunk if received else chunk.lstrip(BETWEEN_BLOCKS)
            if received and not received.startswith(START_BLOCK):
                raise AckError("the answer does not begin with the MLLP start byte 0x0B")
            # 0x1C alone ends it: no acknowledgement holds that byte, and some peers leave the CR out
            if END_BLOCK in chunk:
                block, _, rest = received.partition(END_BLOCK)
                return bytes(block[1:]), bytes(rest)
            if len(received) > ACK_MAX_BYTES:
                raise AckError(f"the answer has more than {ACK_MAX_BYTES} bytes and no end")

    def _not_ours(self, ack: Ack, sent_id: bytes) -> TryAgain:
        answer = ack.as_answer(sent_id)
        if not ack.control_id and ack.code not in (AckCode.AA, AckCode.CA):  # it could not even read our header
            why = f"the peer answered {ack.in_words()} without naming the message (MSA-2 is empty)"
            return TryAgain("peer_error", why, self.config.error_attempts_max, answer)
        why = "the acknowledgement names another message (MSA-2 is not our MSH-10)"
        return TryAgain("wrong_ack", why, answer=answer)

    def _judge(self, ack: Ack, answer: str) -> Delivered:
        match ack.code:
            case AckCode.AA | AckCode.CA:
                return Delivered(answer)
            case AckCode.AE | AckCode.CE:
                why, bound = f"the peer answered {ack.in_words()}", self.config.error_attempts_max
                raise TryAgain("peer_error", why, bound, answer)
            case AckCode.AR | AckCode.CR:
                raise Refused("peer_rejected", f"the peer answered {ack.in_words()}", answer)


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
