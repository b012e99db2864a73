"""Users and tokens as JSON."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from gateway.store import Store
from gateway.web.api.dependencies import PROBLEMS
from gateway.web.deps import Principal, Role, get_store, need
from gateway.web.errors import WebError
from gateway.web.security import administration
from gateway.web.security.administration import TOKEN_ID
from gateway.web.security.models import (
    IssuedToken,
    Me,
    NewToken,
    NewUser,
    OneTimePassword,
    TokenOut,
    Tokens,
    UserChange,
    UserOut,
    Users,
)
from gateway.web.security.names import PATTERN

router = APIRouter(prefix="/api/v1", tags=["accounts"], responses=PROBLEMS)

Viewer = Annotated[Principal, Depends(need(Role.VIEWER))]
Administrator = Annotated[Principal, Depends(need(Role.ADMINISTRATOR))]
TheStore = Annotated[Store, Depends(get_store)]
Name = Annotated[str, Path(pattern=PATTERN)]
TokenId = Annotated[str, Path(pattern=TOKEN_ID)]


@router.get("/me")
def me(who: Viewer) -> Me:
    """Who asks. Does not count as a use of the session: an open page asks it to know when to hide what it shows."""
    return Me.of(who)


@router.get("/users")
def users(who: Administrator, store: TheStore) -> Users:
    """Every user."""
    return Users(items=[UserOut.of(user) for user in store.accounts.users()])


@router.post("/users", status_code=201)
def add_user(new: NewUser, who: Administrator, store: TheStore) -> OneTimePassword:
    """Adds a local user; the one-time password is told this once."""
    try:
        user, password = administration.add_user(store, new.name, new.role, who.name)
    except ValueError as error:
        raise WebError(422, "not_valid", str(error)) from error
    return OneTimePassword(name=user.name, one_time_password=password)


@router.patch("/users/{name}")
def change_user(name: Name, change: UserChange, who: Administrator, store: TheStore) -> UserOut:
    """Another role, or in or out."""
    user = administration.change_user(store, name, who.name, role=change.role, disabled=change.disabled)
    return UserOut.of(user)


@router.post("/users/{name}/reset-password")
def reset_password(name: Name, who: Administrator, store: TheStore) -> OneTimePassword:
    """A new one-time password; the user's sessions end."""
    return OneTimePassword(name=name, one_time_password=administration.reset_password(store, name, who.name))


@router.get("/tokens")
def tokens(who: Administrator, store: TheStore, user: Annotated[str | None, Query(pattern=PATTERN)] = None) -> Tokens:
    """Everybody's tokens, or a user's."""
    return Tokens(items=[TokenOut.of(token) for token in store.accounts.tokens(user)])


@router.post("/users/{name}/tokens", status_code=201)
def issue_token(name: Name, new: NewToken, who: Administrator, store: TheStore) -> IssuedToken:
    """Issues a token for a user; its secret is told this once."""
    try:
        issued = administration.issue_token(store, name, new.label, frozenset(new.scopes), new.days, who.name)
    except ValueError as error:
        raise WebError(422, "not_valid", str(error)) from error
    return IssuedToken(token=TokenOut.of(issued.token), secret=issued.secret)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: TokenId, who: Administrator, store: TheStore) -> Response:
    """Ends a token for good."""
    store.accounts.revoke_token(token_id, who.name)
    return Response(status_code=204)
