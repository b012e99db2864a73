"""Texts of DICOM elements as Unicode, or the admission that nobody said in which character set they are.

Bytes above 0x7F mean something only with a character set. Valid UTF-8 gives itself away, declared or not: hardly any
text of another set happens to be built like it. What is neither UTF-8 nor of the declared set is not read at all, for
a wrong letter is another name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from pydicom import charset
from pydicom.valuerep import TEXT_VR_DELIMS, PersonName

LOST = "\ufffd"  # what decoders write for bytes they cannot read
ESC = b"\x1b"
DEFAULT_SETS = ("", "ISO_IR 6", "ISO 2022 IR 6")  # PS3.5 6.1.2.1: ASCII
# Two bytes a letter: what is UTF-8 looks like lawful, other letters. Of their own texts hardly one in a thousand has a
# three-byte sequence of UTF-8 in it and breaks UTF-8's rules nowhere.
WIDE_SETS = re.compile(r"GB18030|GBK|ISO 2022 IR (?:87|159|149|58)")
THREE_BYTES_FROM = "\u0800"


def decoded(raw: bytes, declared: Sequence[str], *, is_name: bool) -> str | None:
    """The text of an element, None where it is not known which letters its bytes are.

    declared: the values of Specific Character Set. is_name: the element's VR is PN.
    """
    if raw.isascii() and ESC not in raw:
        return raw.decode("ascii")
    named = _as_declared(raw, [_corrected(one) for one in declared] or [""], is_name=is_name)
    utf_8 = _as_utf_8(raw)
    if utf_8 is None:
        return named
    if named is None or not all(map(_is_letter, named)):
        return utf_8
    is_wide = any(WIDE_SETS.fullmatch(one) for one in declared)
    return utf_8 if is_wide and max(utf_8) >= THREE_BYTES_FROM else named


def _as_declared(raw: bytes, declared: Sequence[str], *, is_name: bool) -> str | None:
    """None where no set is declared for these bytes, the set is unknown, or they are not of it."""
    if any(one and one not in charset.python_encoding for one in declared):
        return None
    if declared[0] in DEFAULT_SETS and not raw.partition(ESC)[0].isascii():
        return None
    encodings = charset.convert_encodings(list(declared))
    try:
        text = str(PersonName(raw, encodings)) if is_name else charset.decode_bytes(raw, encodings, TEXT_VR_DELIMS)
    except (ValueError, LookupError):  # UnicodeError is a ValueError
        return None
    return None if _is_broken(text) else text


def _as_utf_8(raw: bytes) -> str | None:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if _is_broken(text) else text


def _is_broken(text: str) -> bool:
    """Whether letters were lost, or an escape or one of ISO 6429's upper controls was left, which no name holds."""
    return any(c == LOST or c == "\x1b" or "\x80" <= c <= "\x9f" for c in text)


def _is_letter(c: str) -> bool:
    """False for signs such as the second bytes of UTF-8 make in Latin-1: one quarter, a superscript a."""
    if c.isascii() or unicodedata.category(c) in ("Zs", "Pd"):
        return True
    return unicodedata.category(c)[0] in "LM" and not unicodedata.decomposition(c).startswith("<")


def _corrected(name: str) -> str:
    """A term of Specific Character Set with the usual slips of the pen set right: ISO-IR 100, ISO_IR_100."""
    found = re.fullmatch(r"(ISO)[ _-](IR|2022[ _-]IR)[ _-](\d+)", name.strip().upper())
    if not found:
        return name.strip().upper()
    return f"ISO_IR {found[3]}" if found[2] == "IR" else f"ISO 2022 IR {found[3]}"
