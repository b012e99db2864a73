"""Secrets that browsers and programs hold, and who they say is asking."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from starlette.requests import HTTPConnection
from starlette.responses import Response

from gateway.config import WebSection
from gateway.store import Store
from gateway.store.accounts import Session, Token
from gateway.web.principal import How, Principal, Scope

ME_PATH = "/api/v1/me"
TOKEN_PREFIX = "cardioscan_"  # so that a scanner for leaked secrets knows one


def new_secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What the database keeps of a secret. It is random, so that a fast hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def cookie_name(web: WebSection, what: str = "session") -> str:
    """Under TLS a name that browsers take over HTTPS from this very host only, so that no neighbour can plant one."""
    return f"__Host-cardioscan_{what}" if web.tls else f"cardioscan_{what}"


def set_cookie(
    response: Response, web: WebSection, value: str, what: str = "session", lasts: timedelta | None = None
) -> None:
    """A cookie that scripts cannot read and other sites' forms do not send; gone with the browser unless it lasts."""
    response.set_cookie(
        cookie_name(web, what),
        value,
        max_age=None if lasts is None else int(lasts.total_seconds()),
        secure=web.tls,
        httponly=True,
        samesite="lax",  # strict would sign out whoever follows a link from the EHR to a page
    )


def drop_cookie(response: Response, web: WebSection, what: str = "session") -> None:
    """Has the browser forget a cookie."""
    response.delete_cookie(cookie_name(web, what), secure=web.tls, httponly=True, samesite="lax")


def recognise(connection: HTTPConnection, store: Store, web: WebSection) -> Principal | None:
    """Who asks: the bearer token's user where there is an Authorization header, else the session's. None: nobody."""
    authorization = connection.headers.get("authorization")
    if authorization is not None:
        scheme, _, secret = authorization.partition(" ")
        token = store.accounts.bearer(digest(secret.strip())) if scheme.casefold() == "bearer" else None
        return _by_token(token) if token else None
    cookie = connection.cookies.get(cookie_name(web))
    in_use = connection.url.path != ME_PATH  # pages ask it by themselves, and must not keep a session alive so
    session = store.accounts.session(digest(cookie), 60.0 * web.session_minutes, in_use) if cookie else None
    return _by_session(session) if session else None


def _by_token(token: Token) -> Principal:
    scopes = frozenset(Scope(scope) for scope in token.scopes)
    return Principal(token.user.name, token.user.role, How.TOKEN, scopes)


def _by_session(session: Session) -> Principal:
    user = session.user
    return Principal(
        user.name,
        user.role,
        How.SESSION,
        csrf_token=session.csrf_token,
        must_change_password=user.must_change_password,
    )
