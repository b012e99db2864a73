"""What every emitter returns, and the names it derives from content."""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class Emitted:
    """A finished document. name: SOP Instance UID, aECG id or MSH-10; another content has another name."""

    name: str
    data: bytes


def digest(*parts: str | bytes) -> bytes:
    """SHA-256 over the parts, each preceded by its length so that no two lists of parts collide."""
    sha = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8") if isinstance(part, str) else part
        sha.update(len(raw).to_bytes(8, "big"))
        sha.update(raw)
    return sha.digest()


def derived_uuid(*parts: str | bytes) -> uuid.UUID:
    """A name-based UUID (RFC 9562 version 8: our own hash, SHA-256) of the parts."""
    raw = bytearray(digest("cardioscan", *parts)[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(raw))


def derived_uid(*parts: str | bytes) -> str:
    """A DICOM UID of the parts, as PS3.5 B.2 derives one from a UUID: 2.25 and the UUID as one whole number."""
    return f"2.25.{derived_uuid(*parts).int}"


def derived_id(*parts: str | bytes, length: int = 20) -> str:
    """Capital letters and digits (base 32) of the parts, at most 20 of them: what HL7 v2 allows in MSH-10."""
    return base64.b32encode(digest("cardioscan", *parts)).decode("ascii")[:length]
