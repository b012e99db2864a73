"""Texts as HL7 v2 fields: escaped, and joined by the delimiters that are then really delimiters."""

from __future__ import annotations

from datetime import datetime

from gateway.emit.identity import CONTROL
from gateway.mapping import Code

_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})


def escaped(text: str) -> str:
    """The text with the five delimiters escaped."""
    return text.translate(_ESCAPES)


def sentence(text: str) -> str:
    """One of our own sentences: escaped, its control characters made spaces."""
    return escaped(CONTROL.sub(" ", text))


def joined(*components: str) -> str:
    """Components that are escaped already, without empty ones at the end."""
    return "^".join(components).rstrip("^")


def fields(*texts: str) -> str:
    """Texts as the components of one field."""
    return joined(*(escaped(text) for text in texts))


def coded(code: Code) -> str:
    """A CE or CWE."""
    return fields(code.code, code.meaning, code.system)


def designator(hd: str) -> str:
    """An HD as the configuration writes it, ``NAME`` or ``NAME^1.2.3^ISO``."""
    return "^".join(escaped(part) for part in hd.split("^"))


def time(at: datetime) -> str:
    """A TS to the second, with its offset where it has one."""
    return f"{at:%Y%m%d%H%M%S}" + (f"{at:%z}"[:5] if at.tzinfo else "")
