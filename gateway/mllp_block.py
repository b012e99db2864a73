"""The block of MLLP: the bytes around an HL7 v2 message, and what some peers put between the two."""

from __future__ import annotations

import re

START_BLOCK = b"\x0b"
END_BLOCK = b"\x1c"
CARRIAGE_RETURN = b"\x0d"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # of UTF-8
# To be stripped, byte by byte: the CR after FS, line ends of some senders, a byte order mark that may come in pieces.
BETWEEN_BLOCKS = b"\r\n" + BYTE_ORDER_MARK
# MLLP release 2 answers a block by one of these alone: stored, or not stored.
COMMITTED = b"\x06"
NOT_COMMITTED = b"\x15"
_BEFORE_HEADER = re.compile(rb"(?:\xef\xbb\xbf|[\x0b\r\n])*")


def framed(content: bytes) -> bytes:
    """The block that holds a message."""
    return START_BLOCK + content + END_BLOCK + CARRIAGE_RETURN


def message_in(block: bytes) -> bytes:
    """The content of a block from its first byte that says something: no byte order mark, start byte or line end."""
    before = _BEFORE_HEADER.match(block)
    return block[before.end() :] if before else block


def has_byte_order_mark(block: bytes) -> bool:
    """Whether a UTF-8 byte order mark stands before the message."""
    before = _BEFORE_HEADER.match(block)
    return before is not None and BYTE_ORDER_MARK in before[0]
