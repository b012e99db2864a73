"""The pages on which an administrator keeps users and tokens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.errors import Conflict
from gateway.store import Store
from gateway.web.deps import Principal, Role, Scope, get_store, need
from gateway.web.errors import WebError
from gateway.web.failures import translate
from gateway.web.security import administration
from gateway.web.security.names import PATTERN
from gateway.web.templating import render

router = APIRouter(include_in_schema=False)

TheStore = Annotated[Store, Depends(get_store)]
Administrator = Annotated[Principal, Depends(need(Role.ADMINISTRATOR))]
Text = Annotated[str, Form()]
Name = Annotated[str, Path(pattern=PATTERN)]


@router.get("/users")
def users(request: Request, who: Administrator, store: TheStore) -> Response:
    """Every user, and a form to add one."""
    return users_page(request, store)


@router.post("/users")
def add_user(
    request: Request, who: Administrator, store: TheStore, name: Text, role: Annotated[Role, Form()]
) -> Response:
    """Adds a user, and shows the one-time password this once."""
    try:
        user, password = administration.add_user(store, name, role, who.name)
    except ValueError as error:
        return users_page(request, store, WebError(422, "not_valid", str(error)))
    except Conflict as error:
        return users_page(request, store, translate(error))
    return users_page(request, store, told=(user.name, password))


@router.post("/users/{name}/role")
def change_role(
    request: Request, name: Name, who: Administrator, store: TheStore, role: Annotated[Role, Form()]
) -> Response:
    """Another role."""
    return _changed(request, store, name, who, role=role)


@router.post("/users/{name}/disable")
def disable(request: Request, name: Name, who: Administrator, store: TheStore) -> Response:
    """May not sign in any more; sessions and tokens end."""
    return _changed(request, store, name, who, disabled=True)


@router.post("/users/{name}/enable")
def enable(request: Request, name: Name, who: Administrator, store: TheStore) -> Response:
    """May sign in again."""
    return _changed(request, store, name, who, disabled=False)


@router.post("/users/{name}/reset")
def reset(request: Request, name: Name, who: Administrator, store: TheStore) -> Response:
    """A new one-time password, shown this once."""
    try:
        password = administration.reset_password(store, name, who.name)
    except Conflict as error:
        return users_page(request, store, translate(error))
    return users_page(request, store, told=(name, password))


@router.get("/tokens")
def tokens(request: Request, who: Administrator, store: TheStore) -> Response:
    """Every token, and a form to issue one."""
    return tokens_page(request, store)


@router.post("/tokens")
def issue_token(
    request: Request,
    who: Administrator,
    store: TheStore,
    name: Annotated[str, Form(pattern=PATTERN)],
    label: Text = "",
    scopes: Annotated[list[Scope] | None, Form()] = None,
    days: Annotated[str, Form(pattern=r"^\d{0,4}$")] = "",
) -> Response:
    """Issues a token, and shows its secret this once. days: "" until it is revoked."""
    entered = {"name": name, "label": label, "scopes": [*(scopes or ())], "days": days}
    try:
        issued = administration.issue_token(
            store, name, label, frozenset(scopes or ()), int(days) if days else None, who.name
        )
    except ValueError as error:
        return tokens_page(request, store, WebError(422, "not_valid", str(error)), typed=entered)
    except Conflict as error:
        return tokens_page(request, store, translate(error), typed=entered)
    return tokens_page(request, store, issued=issued)


@router.post("/tokens/{token_id}/revoke")
def revoke_token(
    token_id: Annotated[str, Path(pattern=administration.TOKEN_ID)], who: Administrator, store: TheStore
) -> Response:
    """Ends a token for good."""
    store.accounts.revoke_token(token_id, who.name)
    return RedirectResponse("/tokens", 303)


def users_page(
    request: Request, store: Store, error: WebError | None = None, told: tuple[str, str] | None = None
) -> Response:
    """told: a name and its one-time password."""
    context: dict[str, Any] = {"users": store.accounts.users(), "roles": list(Role), "error": error, "told": told}
    return render(request, "security/users.html", context, error.status_code if error else 200)


def tokens_page(
    request: Request,
    store: Store,
    error: WebError | None = None,
    issued: administration.Issued | None = None,
    typed: dict[str, Any] | None = None,
) -> Response:
    """issued: a token that is new, with its secret. typed: what the form shall hold."""
    context: dict[str, Any] = {
        "tokens": store.accounts.tokens(),
        "users": [user for user in store.accounts.users() if not user.disabled],
        "scopes": list(Scope),
        "error": error,
        "issued": issued,
        "typed": typed or {"days": "365", "scopes": []},
    }
    return render(request, "security/tokens.html", context, error.status_code if error else 200)


def _changed(
    request: Request,
    store: Store,
    name: str,
    who: Principal,
    *,
    role: Role | None = None,
    disabled: bool | None = None,
) -> Response:
    try:
        administration.change_user(store, name, who.name, role=role, disabled=disabled)
    except Conflict as error:
        return users_page(request, store, translate(error))
    return RedirectResponse("/users", 303)
