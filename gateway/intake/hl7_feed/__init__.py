"""The door for knowledge: the hospital's ADT and order messages, HL7 v2 over MLLP. It brings no pages.

Whom the feed has told of is offered to the person who says whose ECG a held page is; nothing is matched by it alone.
"""

from __future__ import annotations

import logging
import re
import socket
import time
from datetime import datetime

from gateway.config import Hl7FeedSection
from gateway.errors import TryAgain
from gateway.intake.hl7_feed.answer import Code, Rejected, acknowledgement, rejection
from gateway.intake.hl7_feed.capacity import Senders
from gateway.intake.hl7_feed.connection import Answer
from gateway.intake.hl7_feed.meaning import understand
from gateway.intake.hl7_feed.segments import read_header
from gateway.intake.hl7_feed.server import MllpServer, open_port
from gateway.mllp_block import END_BLOCK, framed
from gateway.store import Store

__all__ = ["Hl7Feed", "is_feed", "open_port"]

log = logging.getLogger(__name__)

STOP_PATIENCE_S = 3.0  # for a message that is being kept; one that was not answered is sent again
ANSWER_MAX_BYTES = 10_000  # ours has a few hundred
NOT_NEEDED = "not needed here"
_KIND = re.compile(rb"[A-Z]{3}\^[A-Z]\d\d")  # of MSH-9 only this is told to the log: anything may stand there


class Hl7Feed:
    """Listens from start() to stop(), and says yes to a message only when what it says is committed."""

    def __init__(self, settings: Hl7FeedSection, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._senders = Senders(store.feed_senders(settings.name))
        self._server = MllpServer(settings, self.answer, self._too_big, self._sent, self._senders)

    @property
    def port(self) -> int:
        """The port listened on, also where the configuration says 0 (any)."""
        return self._server.port

    def start(self) -> None:
        """Opens the port and returns. OSError where it cannot be opened."""
        self._server.start()
        log.info("HL7 feed %s on %s port %d", self._settings.name, self._settings.host, self.port)

    def stop(self) -> None:
        """Closes the port; returns when no connection is left."""
        self._server.stop(STOP_PATIENCE_S)

    def answer(self, message: bytes, address: str = "") -> Answer:
        """Takes one message in and returns its acknowledgement."""
        now = datetime.now().astimezone()
        try:
            header = read_header(message)
        except Rejected as rejected:
            _log_fault(b"", address, rejected)
            return Answer(rejection(rejected), is_message=False)
        text = ""
        fault: Rejected | None = None
        try:
            understood = understand(message, header, self._settings, now)
            if understood.statements:
                self._store.apply_statements(self._settings.name, understood.at, understood.statements)
            else:
                text = NOT_NEEDED
        except Rejected as rejected:
            fault = rejected
        except TryAgain as error:
            fault = Rejected(Code.AE, "207", "", f"not kept ({error.code}); send it again")
        if fault is not None:
            _log_fault(header.field(9), address, fault)
        return Answer(acknowledgement(header, now, text, fault), is_message=True)

    def _sent(self, address: str) -> None:
        """Knows an address for a sender from now on, and after a restart."""
        change = self._senders.add(address, time.monotonic())
        if change is None:
            return
        try:
            self._store.remember_feed_sender(self._settings.name, address, change.forgotten)
        except TryAgain as error:  # the message itself was answered by what became of it
            log.warning("HL7 feed: the sender %s could not be remembered: %s", address, error)
            self._senders.keep_again(address)

    def _too_big(self, head: bytes, address: str) -> Answer:
        most = self._settings.message_max_bytes
        fault = Rejected(Code.AE, "207", "", f"longer than the {most} bytes of hl7_feed.message_max_bytes")
        _log_fault(b"", address, fault)
        try:
            return Answer(acknowledgement(read_header(head), datetime.now().astimezone(), fault=fault), is_message=True)
        except Rejected as rejected:
            return Answer(rejection(rejected), is_message=False)


def _log_fault(kind: bytes, address: str, fault: Rejected) -> None:
    kind_text = found[0].decode() if (found := _KIND.match(kind)) else "a message"
    log.warning("HL7 feed: %s to %s from %s: %s %s", fault.code, kind_text, address, fault.place, fault.text)


def is_feed(host: str, settings: Hl7FeedSection, timeout_s: float) -> bool:
    """Whether a gateway's feed listens there: it says of a message that nobody needs that it is not needed."""
    question = f"MSH|^~\\&|CHECK||||20000101||NMD^N02|check|{settings.processing_ids[0]}|2.5.1\r"
    received = b""
    try:
        with socket.create_connection((host, settings.port), timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(framed(question.encode()))
            while END_BLOCK not in received and len(received) < ANSWER_MAX_BYTES:
                if not (chunk := connection.recv(ANSWER_MAX_BYTES)):
                    return False
                received += chunk
    except OSError:
        return False
    return f"MSA|AA|check|{NOT_NEEDED}".encode() in received
