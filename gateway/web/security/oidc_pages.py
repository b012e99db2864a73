"""To the hospital's sign-in and back."""

from __future__ import annotations

import logging
import secrets
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.config import Config
from gateway.errors import Conflict
from gateway.safe_traceback import frames_of
from gateway.store import Store
from gateway.web.deps import get_config, get_store
from gateway.web.errors import WebError
from gateway.web.security.credentials import cookie_name, drop_cookie, set_cookie
from gateway.web.security.names import user_name
from gateway.web.security.oidc import CALLBACK_PATH, Journey, NotForUs, Provider, ProviderFault
from gateway.web.security.pages import inside, login_page
from gateway.web.security.sign_in import address_of, open_session

log = logging.getLogger(__name__)

JOURNEY = timedelta(minutes=10)  # a second factor takes a while

router = APIRouter(include_in_schema=False)

TheStore = Annotated[Store, Depends(get_store)]
TheConfig = Annotated[Config, Depends(get_config)]


def get_provider(request: Request) -> Provider:
    """The provider that make_app was given. Raises WebError (404) without one."""
    provider: Provider | None = request.app.state.provider
    if provider is None:
        raise WebError(404, "not_found", "there is no other sign-in here")
    return provider


TheProvider = Annotated[Provider, Depends(get_provider)]


@router.get("/login/oidc")
def to_the_provider(
    request: Request, store: TheStore, config: TheConfig, provider: TheProvider, next: str = "/"
) -> Response:
    """Sends the browser to the provider; a signed cookie remembers what for."""
    journey = Journey.begin(inside(next))
    try:
        response = RedirectResponse(provider.address(journey), 303)
    except ProviderFault as fault:
        return _failed(request, config, fault)
    set_cookie(response, config.web, _signer(store).dumps(asdict(journey)), "oidc", JOURNEY)
    return response


@router.get(CALLBACK_PATH)
def back_from_the_provider(
    request: Request, store: TheStore, config: TheConfig, provider: TheProvider, state: str = "", code: str = ""
) -> Response:
    """Signs in whom the provider says it is, in the role that it says."""
    cookie = request.cookies.get(cookie_name(config.web, "oidc"), "")
    try:
        journey = Journey(**_signer(store).loads(cookie, max_age=int(JOURNEY.total_seconds())))
    except BadSignature:
        return _refused(request, config, WebError(403, "csrf", "this sign-in took too long or began elsewhere"))
    if not code or not secrets.compare_digest(state.encode(), journey.state.encode()):
        return _refused(request, config, WebError(403, "csrf", "the hospital's sign-in was not completed"))
    try:
        person = provider.person(journey, code)
        user = store.accounts.federated(person.subject, user_name(person.name), person.role)
    except ProviderFault as fault:
        store.accounts.sign_in_failed((), "", address_of(request))
        return _failed(request, config, fault)
    except (NotForUs, Conflict, ValueError) as error:
        store.accounts.sign_in_failed((), "", address_of(request))
        return _refused(request, config, WebError(403, "not_allowed", str(error)))
    if user.disabled:
        store.accounts.sign_in_failed((), user.name, address_of(request))
        return _refused(request, config, WebError(403, "not_allowed", "this account is disabled here"))
    response = RedirectResponse(journey.next, 303)
    drop_cookie(response, config.web, "oidc")
    open_session(response, store, config.web, user.name, "oidc", request)
    return response


def _signer(store: Store) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(store.accounts.key("oidc"), salt="oidc journey")


def _refused(request: Request, config: Config, error: WebError) -> Response:
    response = login_page(request, config, "/", error)
    drop_cookie(response, config.web, "oidc")
    return response


def _failed(request: Request, config: Config, fault: ProviderFault) -> Response:
    log.error("OpenID sign-in: %s\n%s", fault, frames_of(fault))
    return _refused(request, config, WebError(502, "provider", f"{fault}; the log says more"))
