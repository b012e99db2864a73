"""The pages of signing in and of one's own account."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.config import Config
from gateway.store import Store
from gateway.web.deps import Principal, Role, get_config, get_principal, get_store, need
from gateway.web.errors import WebError
from gateway.web.security.credentials import cookie_name, digest, drop_cookie, new_secret, set_cookie
from gateway.web.security.sign_in import address_of, change_password, check_password, open_session
from gateway.web.templating import render

NAME_MAX = 300  # characters of a name that are shown again
BODY_MAX_BYTES = 64_000  # the only thing that a stranger may send us

router = APIRouter(include_in_schema=False)

TheStore = Annotated[Store, Depends(get_store)]
TheConfig = Annotated[Config, Depends(get_config)]
# Also for those who must change their password before they may do anything else.
Anybody = Annotated[Principal, Depends(need(Role.VIEWER, before_password_change=True))]
Text = Annotated[str, Form()]


@router.get("/login")
def login(request: Request, config: TheConfig, next: str = "/") -> Response:
    """The page to sign in on."""
    if get_principal(request) is not None:
        return RedirectResponse(inside(next), 303)
    return login_page(request, config, next)


@router.post("/login", max_body_size=BODY_MAX_BYTES)
def sign_in(
    request: Request,
    store: TheStore,
    config: TheConfig,
    name: Text = "",
    password: Text = "",
    login_token: Text = "",
    next: Text = "/",
) -> Response:
    """Signs in by name and password."""
    # Or another site could sign somebody in as its own user, and be told what they then type.
    planted = request.cookies.get(cookie_name(config.web, "login"), "")
    if not planted or not secrets.compare_digest(planted.encode(), login_token.encode()):
        return login_page(request, config, next, WebError(403, "csrf", "this page was too old; please try again"))
    try:
        name = check_password(store, config.web, name, password, address_of(request))
    except WebError as error:
        return login_page(request, config, next, error, name)
    response = RedirectResponse(inside(next), 303)
    drop_cookie(response, config.web, "login")
    open_session(response, store, config.web, name, "password", request)
    return response


@router.post("/logout")
def sign_out(request: Request, who: Anybody, store: TheStore, config: TheConfig) -> Response:
    """Signs out."""
    store.accounts.close_session(digest(request.cookies.get(cookie_name(config.web), "")))
    response = RedirectResponse("/login", 303)
    drop_cookie(response, config.web)
    return response


@router.get("/account")
def account(request: Request, who: Annotated[Principal, Depends(need(Role.VIEWER))], store: TheStore) -> Response:
    """Who one is here, and one's tokens."""
    context = {"user": store.accounts.user(who.name), "tokens": store.accounts.tokens(who.name)}
    return render(request, "security/account.html", context)


@router.get("/account/password")
def password_page(request: Request, who: Anybody, config: TheConfig) -> Response:
    """The page to choose another password on."""
    return render(request, "security/password.html", {"error": None})


@router.post("/account/password")
def choose_password(
    request: Request,
    who: Anybody,
    store: TheStore,
    config: TheConfig,
    old: Text = "",
    new: Text = "",
    again: Text = "",
) -> Response:
    """Chooses another password; other browsers are signed out."""
    try:
        if new != again:
            raise WebError(422, "weak_password", "the new password was not the same both times")
        change_password(store, config.web, who.name, old, new, address_of(request))
    except WebError as error:
        return render(request, "security/password.html", {"error": error}, error.status_code)
    response = RedirectResponse("/", 303)
    open_session(response, store, config.web, who.name, "password", request)
    return response


def login_page(
    request: Request, config: Config, next_path: str, error: WebError | None = None, name: str = ""
) -> Response:
    """The page to sign in on, with what went wrong, and the name that was typed."""
    login_token = request.cookies.get(cookie_name(config.web, "login")) or new_secret()
    context = {
        "login_token": login_token,
        "next": inside(next_path),
        "error": error,
        "oidc": config.web.oidc,
        "name": name[:NAME_MAX],
    }
    response = render(request, "security/login.html", context, error.status_code if error else 200)
    if error is not None:
        response.headers.update(error.headers or {})
    set_cookie(response, config.web, login_token, "login")
    return response


def inside(path: str) -> str:
    """A path of ours to go to after signing in; "/" for anything that may lead to another site."""
    lawful = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if lawful else "/"
