"""Who asks: the scopes of tokens, and the principal that every route is given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.role import Role

__all__ = ["How", "Principal", "Role", "Scope", "scope_of"]


class Scope(StrEnum):
    """What an API token may do, within the role of the user it belongs to."""

    READ = "read"  # what a viewer may
    UPLOAD = "upload"  # hand in pages, nothing else
    REVIEW = "review"  # what a reviewer may; includes read and upload
    ADMIN = "admin"  # what an administrator may; includes all
    METRICS = "metrics"  # /metrics, nothing else


_SCOPE_OF_ROLE = {Role.VIEWER: Scope.READ, Role.REVIEWER: Scope.REVIEW, Role.ADMINISTRATOR: Scope.ADMIN}
_INCLUDES = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.UPLOAD: frozenset({Scope.UPLOAD}),
    Scope.REVIEW: frozenset({Scope.READ, Scope.UPLOAD, Scope.REVIEW}),
    Scope.ADMIN: frozenset(Scope),
    Scope.METRICS: frozenset({Scope.METRICS}),
}


def scope_of(role: Role) -> Scope:
    """The scope a token needs on a route that names only a role."""
    return _SCOPE_OF_ROLE[role]


class How(StrEnum):
    """How a principal showed who it is."""

    SESSION = "session"  # a cookie: needs a CSRF token to change anything
    TOKEN = "token"  # a bearer token: has scopes


@dataclass(frozen=True)
class Principal:
    """Somebody who is signed in. name goes into the audit as the actor.

    csrf_token: of the session, what pages put into their meta tag and forms; "" for tokens.
    must_change_password: may do nothing else before.
    """

    name: str
    role: Role
    how: How
    token_scopes: frozenset[Scope] = frozenset()
    csrf_token: str = ""
    must_change_password: bool = False

    def may(self, role: Role, scope: Scope | None = None) -> bool:
        """Whether this principal may use a route of that role. scope: what a token needs, else the role's own."""
        if not self.role.covers(role):
            return False
        wanted = scope or scope_of(role)
        return self.how is not How.TOKEN or any(wanted in _INCLUDES[held] for held in self.token_scopes)
