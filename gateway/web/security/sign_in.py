"""Signs people in and out, and lets nobody guess."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from starlette.requests import HTTPConnection
from starlette.responses import Response

from gateway.config import WebSection
from gateway.store import Store
from gateway.store.accounts import Gauge
from gateway.web.errors import WebError
from gateway.web.security.credentials import digest, new_secret, set_cookie
from gateway.web.security.names import user_name
from gateway.web.security.passwords import fault_of, hash_password, is_outdated, matches

ADDRESS_FACTOR = 10  # a whole ward may come from one address


def address_of(connection: HTTPConnection) -> str:
    """Where a request comes from; behind a proxy of ours, where the proxy says it comes from."""
    return connection.client.host if connection.client else ""


def check_password(store: Store, web: WebSection, entered: str, password: str, address: str) -> str:
    """The user's name, if this is the password.

    Raises:
        WebError: 401 wrong name or password, which of the two is not told; 429 locked out after too many tries.
    """
    try:
        name = user_name(entered)
    except ValueError:
        name = f":{digest(entered)}"  # counted and refused like any other: what is lawful is not told here
    gauges = (
        Gauge("name", name, web.lockout_failures),
        Gauge("address", address, ADDRESS_FACTOR * web.lockout_failures),
    )
    until = store.accounts.begin_sign_in(gauges, 60.0 * web.lockout_minutes)
    if until is not None:
        raise _locked_out(until)
    stored = store.accounts.password_hash(name)
    if not matches(stored, password):
        store.accounts.sign_in_failed(gauges, name, address)
        raise WebError(401, "wrong_password", "the name or the password is wrong")
    store.accounts.sign_in_succeeded(gauges)
    if is_outdated(stored):
        store.accounts.rehash(name, stored, hash_password(password))
    return name


def open_session(
    response: Response, store: Store, web: WebSection, name: str, how: str, connection: HTTPConnection
) -> None:
    """Signs a user in: a new secret in the browser's cookie, whatever cookie it came with."""
    secret = new_secret()
    store.accounts.open_session(
        name,
        digest(secret),
        secrets.token_urlsafe(32),
        lasts_s=3600.0 * web.session_max_hours,
        how=how,
        address=address_of(connection),
    )
    set_cookie(response, web, secret)


def change_password(store: Store, web: WebSection, name: str, old: str, new: str, address: str) -> None:
    """Gives oneself another password. Raises WebError (401, 429 as check_password; 422 what is wrong with the new)."""
    check_password(store, web, name, old, address)
    fault = fault_of(new, name, web.password_min_characters)
    if not fault and new == old:
        fault = "it must be another one than before"
    if fault:
        raise WebError(422, "weak_password", f"this password will not do: {fault}")
    store.accounts.set_password(name, hash_password(new), name, must_change=False)


def _locked_out(until: datetime) -> WebError:
    seconds = max(1, int((until - datetime.now(UTC)).total_seconds()) + 1)
    minutes = -(-seconds // 60)
    why = f"too many wrong passwords; try again in {minutes} minute{'s' if minutes > 1 else ''}"
    return WebError(429, "locked_out", why, {"Retry-After": str(seconds)})
