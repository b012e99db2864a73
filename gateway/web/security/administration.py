"""What an administrator does to users and tokens, for the pages, the API and the command line alike."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import Conflict
from gateway.role import Role
from gateway.store import Store
from gateway.store.accounts import Token, User
from gateway.web.principal import Scope
from gateway.web.security.credentials import TOKEN_PREFIX, digest, new_secret
from gateway.web.security.names import user_name
from gateway.web.security.passwords import hash_password, one_time_password

DAYS_MAX = 3660
LABEL_MAX = 100
TOKEN_ID = r"^[0-9a-f]{32}$"

# The least role whose user may have a token of a scope.
ROLE_OF_SCOPE = {
    Scope.READ: Role.VIEWER,
    Scope.METRICS: Role.VIEWER,
    Scope.UPLOAD: Role.REVIEWER,
    Scope.REVIEW: Role.REVIEWER,
    Scope.ADMIN: Role.ADMINISTRATOR,
}


@dataclass(frozen=True)
class Issued:
    """A token and its secret, which can be seen this once."""

    token: Token
    secret: str


def add_user(store: Store, entered: str, role: Role, actor: str) -> tuple[User, str]:
    """A new local user and its one-time password. ValueError for an unlawful name, Conflict for a taken one."""
    password = one_time_password()
    return store.accounts.add_user(user_name(entered), role, hash_password(password), actor), password


def reset_password(store: Store, name: str, actor: str) -> str:
    """A new one-time password; the user's sessions end. Raises NotFound, Conflict (a provider's user)."""
    password = one_time_password()
    store.accounts.set_password(name, hash_password(password), actor, must_change=True)
    return password


def change_user(store: Store, name: str, actor: str, *, role: Role | None = None, disabled: bool | None = None) -> User:
    """Another role, or in or out. Raises NotFound, Conflict (oneself, a provider's role, the last administrator)."""
    if disabled and name == actor:
        raise Conflict("nobody can lock themselves out; let another administrator do it")
    if role is not None and store.accounts.user(name).federated:
        raise Conflict(f"the role of {name} comes from the hospital's own sign-in; change it there")
    return store.accounts.change_user(name, actor, role=role, disabled=disabled)


def issue_token(store: Store, name: str, label: str, scopes: frozenset[Scope], days: int | None, actor: str) -> Issued:
    """A token for a user. Raises NotFound, Conflict (a scope above the user's role), ValueError (no scope or label)."""
    label = label.strip()
    if not scopes:
        raise ValueError("a token needs at least one scope")
    if not 1 <= len(label) <= LABEL_MAX:
        raise ValueError(f"say in 1 to {LABEL_MAX} characters what the token is for")
    if days is not None and not 1 <= days <= DAYS_MAX:
        raise ValueError(f"a token is good for 1 to {DAYS_MAX} days, or until it is revoked")
    role = store.accounts.user(name).role
    above = sorted(scope for scope in scopes if not role.covers(ROLE_OF_SCOPE[scope]))
    if above:
        raise Conflict(f"{name} is a {role}: a token of theirs may not have the scope {', '.join(above)}")
    secret = TOKEN_PREFIX + new_secret()
    token = store.accounts.issue_token(name, digest(secret), label, tuple(sorted(scopes)), days, actor)
    return Issued(token, secret)
