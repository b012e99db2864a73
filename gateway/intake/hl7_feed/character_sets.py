"""MSH-18 (HL7 table 0211, and how senders really write it) -> the codec to read a message with."""

from __future__ import annotations

import re

# by letters and digits only: "UNICODE UTF-8", "UTF-8" and "utf8" are one
_CODECS = {
    "": "utf-8",  # not said: ASCII by the standard, which UTF-8 holds; another set shows itself by wrong bytes
    "ASCII": "ascii",
    **{f"8859{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    **{f"ISO8859{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "CP1252": "cp1252",
    "WINDOWS1252": "cp1252",
    "UNICODE": "utf-8",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "ISOIR14": "iso2022_jp_ext",
    "ISOIR87": "iso2022_jp_ext",
    "ISOIR159": "iso2022_jp_ext",
    "GB180302000": "gb18030",
    "GB18030": "gb18030",
    "BIG5": "big5",
    "KSX1001": "euc_kr",
}
_JAPANESE = "iso2022_jp_ext"


def codec_of(character_set: str, repetition: str = "~") -> str | None:
    """Python's name of a character set, None where it is not known.

    The first value counts; Japanese sets that only escapes switch to are named behind it.
    """
    first, *others = (re.sub(r"[^A-Z0-9]", "", one.upper()) for one in character_set.split(repetition))
    codec = _CODECS.get(first)
    if codec in ("ascii", "utf-8") and first in ("", "ASCII") and any(_CODECS.get(o) == _JAPANESE for o in others):
        return _JAPANESE
    return codec
