"""The first administrator: without one nobody could get in."""

from __future__ import annotations

from collections.abc import Callable

from gateway.store import Store
from gateway.web.security.passwords import hash_password, one_time_password

FIRST = "administrator"
ACTOR = "first start"


def make_first_administrator(store: Store, say: Callable[[str], None]) -> None:
    """Where there is no user at all, adds one and says its one-time password, which is told nowhere else."""
    if store.accounts.users():
        return
    password = one_time_password()
    if store.accounts.add_first(FIRST, hash_password(password), ACTOR):
        say(
            f"First start: sign in as {FIRST} with the one-time password {password} and choose another.\n"
            f"Lost it? cardioscan user reset {FIRST}"
        )
