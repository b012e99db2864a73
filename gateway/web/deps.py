"""What every route asks for: the store, the configuration, and somebody with a role.

    @router.get("/jobs/{job_id}")
    def job(
        job_id: str,
        who: Annotated[Principal, Depends(need(Role.VIEWER))],
        store: Annotated[Store, Depends(get_store)],
    ) -> Job: ...

need() also refuses a change by cookie without its CSRF token. A route without need() fails a test.
"""

from __future__ import annotations

import secrets

from starlette.requests import HTTPConnection, Request

from gateway.config import Config
from gateway.store import Store
from gateway.web.errors import WebError, not_allowed, not_signed_in
from gateway.web.principal import How, Principal, Role, Scope, scope_of

__all__ = ["Need", "Principal", "Role", "Scope", "get_config", "get_principal", "get_store", "need"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


def get_store(connection: HTTPConnection) -> Store:
    """The store that make_app was given."""
    store: Store = connection.app.state.store
    return store


def get_config(connection: HTTPConnection) -> Config:
    """The configuration that make_app was given."""
    config: Config = connection.app.state.config
    return config


def get_principal(connection: HTTPConnection) -> Principal | None:
    """Who asks, None for a stranger. For pages that anybody may see; every other route uses need()."""
    principal: Principal | None = getattr(connection.state, "principal", None)
    return principal


class Need:
    """A dependency that yields the principal if it has the role, and raises WebError (401, 403) if not."""

    def __init__(self, role: Role, scope: Scope | None, before_password_change: bool) -> None:
        self.role = role
        self.scope = scope
        self.before_password_change = before_password_change

    async def __call__(self, request: Request) -> Principal:
        principal = get_principal(request)
        if principal is None:
            raise not_signed_in()
        if principal.must_change_password and not self.before_password_change:
            raise WebError(403, "password_change_required", "the password must be changed first")
        if not principal.may(self.role, self.scope):
            raise not_allowed(self._lacking(principal))
        if principal.how is How.SESSION and request.method not in SAFE_METHODS:
            await _check_csrf(request, principal)
        return principal

    def _lacking(self, principal: Principal) -> str:
        """What the principal would need: a role, or for a token of that role the scope."""
        if principal.how is How.TOKEN and principal.role.covers(self.role):
            return f"this needs a token of the scope {self.scope or scope_of(self.role)}"
        return f"this needs the role {self.role}"


def need(role: Role, scope: Scope | None = None, *, before_password_change: bool = False) -> Need:
    """The dependency for a route of this role. scope: what a token needs there instead of the role's own scope."""
    return Need(role, scope, before_password_change)


async def _check_csrf(request: Request, principal: Principal) -> None:
    """Raises WebError unless the request carries the session's token, which another site's page cannot know."""
    token = request.headers.get(CSRF_HEADER)
    if token is None and request.headers.get("content-type", "").startswith(FORM_TYPES):
        field = (await request.form()).get(CSRF_FIELD)
        token = field if isinstance(field, str) else None
    if token is None or not secrets.compare_digest(token.encode(), principal.csrf_token.encode()):
        raise WebError(403, "csrf", "the request did not come from our own page, or the page is too old; reload it")
