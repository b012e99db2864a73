"""Passwords: Argon2id hashes, what makes one good enough, and one-time ones for the first sign-in."""

from __future__ import annotations

import secrets
import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

CHARACTERS_MAX = 1024  # a longer one is no password, but work for us
DISTINCT_MIN = 5
# 16 readable symbols out of 54 carry 92 bits: nobody guesses one before it is changed.
ONE_TIME_SYMBOLS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
ONE_TIME_GROUPS, ONE_TIME_GROUP = 4, 4

_hasher = PasswordHasher()  # RFC 9106, second recommendation: 64 MiB, 3 passes
# Each hash takes 64 MiB: forty tries at once must not take the memory that the digitizer needs.
_at_once = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """The Argon2id hash, its parameters and its salt, as one text."""
    with _at_once:
        return _hasher.hash(password)


def matches(stored: str, password: str) -> bool:
    """Whether this is the password. Takes the same time where stored is "", so that no name is told by the clock."""
    try:
        with _at_once:
            _hasher.verify(stored or _nobodys(), password[:CHARACTERS_MAX])
    except (VerificationError, InvalidHashError):
        return False
    return bool(stored)


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def fault_of(password: str, name: str, characters_min: int) -> str:
    """Why this will not do as a password, "" where it will."""
    if len(password) < characters_min:
        return f"it needs at least {characters_min} characters"
    if len(password) > CHARACTERS_MAX:
        return f"it may have at most {CHARACTERS_MAX} characters"
    if len(set(password)) < DISTINCT_MIN:
        return f"it needs at least {DISTINCT_MIN} different characters"
    if len(name) > 2 and name in password.casefold():
        return "it must not hold the user's name"
    return ""


def one_time_password() -> str:
    """A random password to be typed once: groups without letters that look alike."""
    groups = ("".join(secrets.choice(ONE_TIME_SYMBOLS) for _ in range(ONE_TIME_GROUP)) for _ in range(ONE_TIME_GROUPS))
    return "-".join(groups)


@cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_urlsafe())
