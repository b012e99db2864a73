"""Who may use the window: users, their sessions and tokens, and what locks out a guesser."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from gateway.role import Role
from gateway.store.accounts import lockouts, sessions, tokens, users
from gateway.store.accounts.account_rows import Session, Token, User, insert_unless_there
from gateway.store.accounts.lockouts import STRANGER, Gauge
from gateway.store.database import Database
from gateway.store.tables import web_keys

__all__ = ["STRANGER", "Accounts", "Gauge", "Session", "Token", "User"]


class Accounts:
    """The accounts in a store. Every method is one transaction; every change is audited.

    Names are as gateway.web.security.names.user_name makes them. Passwords come as Argon2id hashes; the secrets of
    sessions and tokens as SHA-256: they are long and random, so that nothing slower is needed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # Users

    def users(self) -> tuple[User, ...]:
        """Every user, by name."""
        return users.all_users(self._database)

    def user(self, name: str) -> User:
        """One user. NotFound."""
        return users.user(self._database, name)

    def password_hash(self, name: str) -> str:
        """The hash of a user's password, "" for one who has none or may not sign in, and for a stranger."""
        return users.password_hash(self._database, name)

    def add_user(self, name: str, role: Role, password_hash: str, actor: str) -> User:
        """A new user who must change the password at the first sign-in. Conflict where the name is taken."""
        return users.add(self._database, name, role, password_hash, actor)

    def add_first(self, name: str, password_hash: str, actor: str) -> bool:
        """Adds an administrator if there is no user at all, and says whether it did."""
        return users.add_first(self._database, name, password_hash, actor)

    def federated(self, subject: str, name: str, role: Role) -> User:
        """The user whom an OpenID provider knows, added at the first sign-in. Conflict where the name is taken."""
        return users.federated(self._database, subject, name, role)

    def change_user(self, name: str, actor: str, *, role: Role | None = None, disabled: bool | None = None) -> User:
        """Another role, or whether the user may sign in. Raises NotFound, Conflict (no administrator would be left)."""
        return users.change(self._database, name, actor, role, disabled)

    def set_password(self, name: str, password_hash: str, actor: str, *, must_change: bool) -> None:
        """Another password; the user's sessions end. Raises NotFound, Conflict (a provider's user)."""
        users.set_password(self._database, name, password_hash, actor, must_change)

    def rehash(self, name: str, old_hash: str, new_hash: str) -> None:
        """The same password under stronger parameters."""
        users.rehash(self._database, name, old_hash, new_hash)

    # Sessions

    def open_session(
        self, name: str, secret_sha256: str, csrf_token: str, *, lasts_s: float, how: str, address: str
    ) -> None:
        """Signs a user in for at most lasts_s. how: password or oidc. NotFound."""
        sessions.open_session(self._database, name, secret_sha256, csrf_token, lasts_s, how, address)

    def session(self, secret_sha256: str, idle_s: float, in_use: bool = True) -> Session | None:
        """Who has this session, None where it has run out or was idle for idle_s."""
        return sessions.session(self._database, secret_sha256, idle_s, in_use)

    def close_session(self, secret_sha256: str) -> None:
        """Signs out."""
        sessions.close_session(self._database, secret_sha256)

    # Tokens

    def issue_token(
        self, name: str, secret_sha256: str, label: str, scopes: tuple[str, ...], days: int | None, actor: str
    ) -> Token:
        """A token for a user, for so many days, None for ever. NotFound."""
        return tokens.issue(self._database, name, secret_sha256, label, scopes, days, actor)

    def tokens(self, name: str | None = None) -> tuple[Token, ...]:
        """A user's tokens, or everybody's, the newest first."""
        return tokens.all_tokens(self._database, name)

    def bearer(self, secret_sha256: str) -> Token | None:
        """Whose token this is, None where it is not good."""
        return tokens.bearer(self._database, secret_sha256)

    def revoke_token(self, token_id: str, actor: str) -> None:
        """Ends a token for good. NotFound."""
        tokens.revoke(self._database, token_id, actor)

    # Guessing

    def begin_sign_in(self, gauges: Sequence[Gauge], lock_s: float) -> datetime | None:
        """Counts a try; returns until when it is locked out, None where it may go on."""
        return lockouts.begin(self._database, gauges, lock_s)

    def sign_in_succeeded(self, gauges: Sequence[Gauge]) -> None:
        """Takes the counted try back."""
        lockouts.succeeded(self._database, gauges)

    def sign_in_failed(self, gauges: Sequence[Gauge], name: str, address: str) -> None:
        """Writes the failed try into the audit, and what it locked."""
        lockouts.failed(self._database, gauges, name, address)

    # Signing

    def key(self, name: str) -> str:
        """A random key that all gateways of this database share; made at the first call."""
        with self._database.write() as tx:
            insert_unless_there(tx, web_keys, name=name, value=secrets.token_urlsafe(32))
            value: str = tx.execute(select(web_keys.c.value).where(web_keys.c.name == name)).scalar_one()
            return value
