"""What a person typed into one box, as a worklist is asked for it, and whether an answer is one to it.

Not every worklist matches by every key, nor by any without regard to case or accents, and one that does not match by a
key answers with everybody. So it is asked in several ways, and what it answers is compared here once more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from gateway.identity.order import Order

WILD = re.compile(r"[*?\\]")  # of a query: two wildcards and what separates values (PS3.4 C.2.2.2, PS3.5 6.2)
OF_A_NAME = re.compile(r"[*?\\^=]")
NOT_ASCII = re.compile(r"[^\x20-\x7e]+")
BETWEEN_WORDS = re.compile(r"[\W_]+")
ID_MAX, ACCESSION_MAX = 64, 16  # characters of LO and SH
WORDS_ASKED = 2  # each in up to three spellings, and each of those takes the worklist a moment
UNREADABLE = "\ufffd"  # stands for a character that could not be decoded


def keys_of(text: str) -> list[dict[str, str]]:
    """The matching keys of each C-FIND to make, keyword to value; [] for a text that asks for nothing."""
    text = normalized(text)
    questions: list[dict[str, str]] = []
    if any(c.isalnum() for c in text) and text.isascii() and not WILD.search(text):
        numbers = dict.fromkeys((text, text.upper())) if any(c.isdigit() for c in text) else (text,)
        for keyword, most in (("PatientID", ID_MAX), ("AccessionNumber", ACCESSION_MAX)):
            questions += [{keyword: number} for number in numbers if len(text) <= most]
    return questions + [{"PatientName": pattern} for pattern in dict.fromkeys(_name_patterns(text))]


def is_answer(order: Order, name: str, text: str) -> bool:
    """Whether an order is one that the text asks for: by a number of it, or by the beginnings of the patient's names.

    name: as it came, with UNREADABLE where a character could not be decoded; that may be any.
    """
    numbers = (
        order.patient.patient_id,
        order.accession_number,
        order.visit_number,
        order.placer_order_number,
        order.filler_order_number,
    )
    text = normalized(text)
    if text.casefold() in {number.casefold() for number in numbers if number}:
        return True
    parts = [word for word in BETWEEN_WORDS.split(_folded(text)) if word]
    has = [part for part in re.split(rf"[^\w{UNREADABLE}]+", _folded(name)) if part]
    return bool(parts) and all(any(_begins(part, word) for part in has) for word in parts)


def normalized(text: str) -> str:
    """What was typed, as it is compared: without what cannot be seen, and each letter in one form."""
    return unicodedata.normalize("NFC", "".join(c for c in text if c.isprintable())).strip()


def _name_patterns(text: str) -> Iterator[str]:
    """Family names that begin so; with a comma or a caret the given name too."""
    if not any(c.isalpha() for c in text):
        return
    family, comma, given = text.replace("^", ",").partition(",")
    family, given = _safe(family), _safe(given.partition(",")[0])
    if comma and family and given:
        yield from (f"{_open(a)}^{_open(b)}" for a, b in zip(_spellings(family), _spellings(given), strict=True))
        return
    names = (family or given).split()
    for word in dict.fromkeys((*names[:1], *names[-1:])):  # the family name is the first word, or the last
        yield from map(_open, _spellings(word))


def _safe(text: str) -> str:
    return OF_A_NAME.sub("", text).strip()


def _spellings(word: str) -> tuple[str, str, str]:
    return word, word.title(), word.upper()


def _open(word: str) -> str:
    """A pattern for what begins so, in ASCII where a letter allows: whatever set of characters the worklist reads.

    A word in another script may stand in the second or third group of a name.
    """
    latin = any(c.isascii() and c.isalpha() for c in word)
    word = NOT_ASCII.sub("*", word) if latin else f"*{word}"
    return f"{word.rstrip('*')}*"


def _folded(text: str) -> str:
    """Without case and accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()


def _begins(part: str, word: str) -> bool:
    return len(part) >= len(word) and all(a in (b, UNREADABLE) for a, b in zip(part, word, strict=False))
