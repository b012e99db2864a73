"""People who are signed in, for the tests of the pages."""

from __future__ import annotations

import secrets

from gateway.store import Store
from gateway.web.deps import Role
from gateway.web.security.credentials import digest, new_secret
from gateway.web.security.passwords import hash_password

SESSION_COOKIE = "cardioscan_session"
PASSWORD = "correct horse battery"


def signed_in(store: Store, name: str, role: Role, password: str = PASSWORD) -> tuple[str, str]:
    """Adds a user with a password of its own choice and opens a session. Returns the cookie's value and CSRF token."""
    hashed = hash_password(password)
    store.accounts.add_user(name, role, hashed, "test")
    store.accounts.set_password(name, hashed, name, must_change=False)
    secret, csrf_token = new_secret(), secrets.token_urlsafe(32)
    store.accounts.open_session(name, digest(secret), csrf_token, lasts_s=3600, how="password", address="127.0.0.1")
    return secret, csrf_token
