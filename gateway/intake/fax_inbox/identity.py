"""Whose ECG a file says it is: from a sidecar beside it, or from its name. Nothing else; nothing is guessed.

A sidecar is a JSON object, ``<name>.json`` or ``<stem>.json`` beside the document, with texts under these keys:

    patient_id, issuer             the patient's number, and who gave it out
    name                           Family^Given
    birth_date                     YYYYMMDD or YYYY-MM-DD
    sex                            M, F or O
    study_uid, study_id            the study the ECG belongs to
    study_date, study_time         YYYYMMDD or YYYY-MM-DD; HHMMSS or HH:MM:SS
    accession_number, placer_order_number, filler_order_number
    referring_physician            Family^Given
    institution, visit_number
    acquired_at                    when the ECG was recorded: YYYYMMDDHHMMSS, as far as known, or ISO 8601

The same keys are the group names of fax_inbox.file_name_pattern.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from gateway.errors import ConfigError, Refused
from gateway.identity.order import Order
from gateway.identity.values import TEXT_MAX, is_text, lawful

PATIENT_KEYS = ("patient_id", "issuer", "name", "birth_date", "sex")
ORDER_KEYS = (
    "study_uid",
    "study_id",
    "study_date",
    "study_time",
    "accession_number",
    "placer_order_number",
    "filler_order_number",
    "referring_physician",
    "institution",
    "visit_number",
    "acquired_at",
)
KEYS = (*PATIENT_KEYS, *ORDER_KEYS)

SIDECAR_MAX_BYTES = 64 * 1024  # sixteen short texts; anything longer is another file


def read_sidecar(path: Path) -> Order:
    """The Order in a sidecar's file, of which no more is read than a sidecar may have.

    Raises:
        Refused: as order_from_sidecar; also what is no regular file.
        OSError: it cannot be opened, or is a link.
    """
    # O_NONBLOCK: what became a pipe since it was looked at must not be waited for
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _refused("The sidecar is no file.")
        if status.st_size > SIDECAR_MAX_BYTES:
            raise _refused(f"The sidecar has {status.st_size} bytes; {SIDECAR_MAX_BYTES} are allowed.")
        return order_from_sidecar(file.read(SIDECAR_MAX_BYTES + 1))


def order_from_sidecar(data: bytes) -> Order:
    """The Order in a sidecar's bytes.

    Raises:
        Refused: not such a JSON object; an unknown key; a value that is not lawful.
    """
    if len(data) > SIDECAR_MAX_BYTES:
        raise _refused(f"The sidecar has {len(data)} bytes; {SIDECAR_MAX_BYTES} are allowed.")
    try:
        stated = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise _refused(f"The sidecar is not JSON in UTF-8 ({type(error).__name__}).") from error
    if not isinstance(stated, dict):
        raise _refused("The sidecar is not a JSON object.")
    return _order(stated, "sidecar")


def pattern_of(text: str, inbox: str) -> re.Pattern[str] | None:
    """The compiled file_name_pattern of an inbox, None for "".

    Raises:
        ConfigError: not a regular expression, or a group of another name than the keys above.
    """
    if not text:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ConfigError(f"fax_inbox {inbox}: file_name_pattern is not a regular expression: {error}") from error
    for group in pattern.groupindex:
        if group not in KEYS:
            raise ConfigError(f"fax_inbox {inbox}: file_name_pattern has a group {group!r}{_nearest(group)}")
    if not pattern.groupindex:
        raise ConfigError(f"fax_inbox {inbox}: file_name_pattern has no named group such as (?P<patient_id>...)")
    return pattern


def order_from_name(name: str, pattern: re.Pattern[str] | None) -> Order:
    """The Order in a file's name; empty where the whole name does not match.

    Raises:
        Refused: a group matched what is not lawful.
    """
    match = pattern.fullmatch(name) if pattern else None
    if match is None:
        return Order()
    return _order({key: value for key, value in match.groupdict().items() if value}, "file name")


def _order(stated: Mapping[str, object], source: str) -> Order:
    texts = {key: _text(key, value, source) for key, value in stated.items()}
    fields = {key: texts[key] for key in ORDER_KEYS if key in texts}
    return Order.from_dict(
        {
            **fields,
            "patient": {key: texts[key] for key in PATIENT_KEYS if key in texts},
            "acquired_from": source if fields.get("acquired_at") else "",
            "character_set": "ISO_IR 192",
            "attributes": [(key, text) for key, text in texts.items() if text],
        }
    )


def _text(key: str, value: object, source: str) -> str:
    """A value in the form Order holds it. Raises Refused."""
    if key not in KEYS:
        raise _refused(f"The {source} has an unknown key {key[:TEXT_MAX]!r}{_nearest(key)}.")
    if not isinstance(value, str):
        raise _refused(f"The {source} holds no text under {key!r}.")
    text = value.strip()
    if not is_text(text):
        raise _refused(f"The {source} holds under {key!r} more than {TEXT_MAX} characters, or unlawful ones.")
    if not text:
        return ""
    checked = lawful(key, text)
    if checked is None:
        raise _refused(f"The {source} holds under {key!r} no lawful value.")
    return checked


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """JSON allows a key twice and parsers keep the last; two patient numbers are no patient number."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key, KEYS, n=1)
    return f", did you mean {near[0]!r}?" if near else f"; known are {', '.join(KEYS)}"


def _refused(why: str) -> Refused:
    return Refused("sidecar", why)
