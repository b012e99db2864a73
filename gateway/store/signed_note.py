"""Signed notes and checkpoints in the forms of C2SP (signed-note, tlog-checkpoint), with Ed25519.

A checkpoint's text is three lines and what may follow: origin, how many rows, and the head's hash in base64. The head
is that of our chain, which fixes all rows before it as a Merkle tree's root does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ED25519 = b"\x01"  # the signature type of signed-note
KEY_ID_BYTES = 4
NOTE_MAX_BYTES = 100_000  # a checkpoint is 300; a wrong path may lead to anything
SIGNATURE_LINE = re.compile(r"— (\S+) ([A-Za-z0-9+/]+=*)")


class NoteError(ValueError):
    """A note is malformed, or none of its signatures is of the key that was asked for."""


@dataclass(frozen=True)
class Verifier:
    """A public key and the name it signs with; text() is its verifier key as signed-note writes it."""

    name: str
    key: Ed25519PublicKey

    @property
    def key_id(self) -> bytes:
        """The first bytes of SHA-256 over name, newline, type and key."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + _raw(self.key)).digest()[:KEY_ID_BYTES]

    def text(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + _raw(self.key)).decode()}"

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """The reverse of text(). NoteError."""
        parts = text.strip().split("+", 2)
        try:
            key = base64.b64decode(parts[2], validate=True)
            verifier = cls(parts[0], Ed25519PublicKey.from_public_bytes(key[1:]))
        except (IndexError, binascii.Error, ValueError) as error:
            raise NoteError("is no verifier key of the form NAME+ID+KEY") from error
        if key[:1] != ED25519 or parts[1] != verifier.key_id.hex():
            raise NoteError("is a verifier key of another kind, or its id does not fit")
        return verifier


def sign(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """A note: the text, which ends in a newline, an empty line, and one signature line."""
    signature = Verifier(name, key.public_key()).key_id + key.sign(text.encode())
    return f"{text}\n— {name} {base64.b64encode(signature).decode()}\n"


def open_note(note: str, verifier: Verifier) -> str:
    """The text of a note that this key signed. NoteError."""
    text, empty_line, signatures = note.rpartition("\n\n")
    if not empty_line:
        raise NoteError("is no signed note")
    text += "\n"
    for line in signatures.splitlines():
        found = SIGNATURE_LINE.fullmatch(line)
        if found is None:
            raise NoteError("holds a signature line that is malformed")
        if found[1] == verifier.name and _is_by(verifier, text, found[2]):
            return text
    raise NoteError(f"is not signed by {verifier.name} with key {verifier.key_id.hex()}")


@dataclass(frozen=True)
class Statement:
    """What a checkpoint's text says. head_hash: 64 hexadecimal digits."""

    origin: str
    rows: int
    head_hash: str
    signed_at: datetime


def checkpoint_text(origin: str, rows: int, head_hash: str, now: datetime) -> str:
    """The text of a checkpoint. head_hash: 64 hexadecimal digits. now: aware; stands in an extension line."""
    return f"{origin}\n{rows}\n{base64.b64encode(bytes.fromhex(head_hash)).decode()}\ntime {now.isoformat()}\n"


def parse_checkpoint(text: str) -> Statement:
    """The reverse of checkpoint_text. NoteError."""
    lines = text.splitlines()
    try:
        origin, rows, root = lines[0], lines[1], base64.b64decode(lines[2], validate=True)
        signed_at = datetime.fromisoformat(lines[3].removeprefix("time "))
    except (IndexError, ValueError) as error:
        raise NoteError("is no checkpoint: origin, number of rows, hash in base64 and time are wanted") from error
    if not re.fullmatch(r"0|[1-9][0-9]*", rows) or len(root) != hashlib.sha256().digest_size:
        raise NoteError("is no checkpoint: the number of rows or the hash is malformed")
    if signed_at.tzinfo is None:
        raise NoteError("is no checkpoint: its time says no time zone")
    return Statement(origin, int(rows), root.hex(), signed_at)


def _is_by(verifier: Verifier, text: str, signature: str) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
        verifier.key.verify(raw[KEY_ID_BYTES:], text.encode())
    except (binascii.Error, InvalidSignature):
        return False
    return raw[:KEY_ID_BYTES] == verifier.key_id


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
