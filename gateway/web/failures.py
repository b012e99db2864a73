"""What goes wrong in the window, and what it looks like outside: a code and a sentence, never a trace of ours."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as AnyHttpException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from gateway.errors import (
    CodedError,
    ConfigError,
    Conflict,
    GatewayError,
    Held,
    LostLease,
    NotFound,
    Refused,
    TryAgain,
    UnlawfulMove,
)
from gateway.web.errors import WebError
from gateway.web.templating import render

API = "/api/"
RETRY_AFTER_S = 5
WORDS = {404: "there is nothing here", 405: "this cannot be asked like that", 413: "this is larger than allowed"}


def translate(error: GatewayError) -> WebError:
    """What the gateway raised on purpose as what a browser or a program is told."""
    code = error.code if isinstance(error, CodedError) else ""
    why = error.why if isinstance(error, CodedError) else str(error)
    match error:
        case NotFound():
            return WebError(404, "not_found", why)
        case UnlawfulMove() | Conflict() | LostLease():
            return WebError(409, "conflict", why)
        case TryAgain(code="in_flight"):
            return WebError(409, code, why)
        case TryAgain():
            return WebError(503, code, why, {"Retry-After": str(RETRY_AFTER_S)})
        case Refused() | Held() | ConfigError():
            return WebError(422, code or "configuration", why)
    return WebError(500, "our_fault", "something is wrong on our side; the log says where")


def wants_page(request: Request) -> bool:
    """Whether a person waits for this answer, and not a script or program."""
    return not request.url.path.startswith(API) and "text/html" in request.headers.get("accept", "")


def answer(request: Request, error: WebError) -> Response:
    """The answer to a request that failed: a page for a person, JSON for a program."""
    if not wants_page(request):
        return JSONResponse({"code": error.code, "why": error.why}, error.status_code, error.headers)
    if error.code == "not_signed_in":
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        back = f"?next={quote(target, safe='')}" if request.method == "GET" and target != "/" else ""
        return RedirectResponse(f"/login{back}", 303)
    if error.code == "password_change_required":
        return RedirectResponse("/account/password", 303)
    response = render(request, "security/error.html", {"error": error}, error.status_code)
    response.headers.update(error.headers or {})
    return response


def install(app: FastAPI) -> None:
    """Has the application answer every failure by answer()."""

    def gateway_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, GatewayError)
        return answer(request, translate(error))

    def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AnyHttpException)
        if isinstance(error, WebError):
            return answer(request, error)
        status = error.status_code
        code = {404: "not_found", 405: "no_such_method", 413: "too_large"}.get(status, "not_valid")
        headers = dict(error.headers or {})
        return answer(request, WebError(status, code, WORDS.get(status, "the request is not valid"), headers))

    def not_valid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        # Place and rule only: pydantic's own answer repeats what was typed.
        problems = "; ".join(f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}" for one in error.errors())
        return answer(request, WebError(422, "not_valid", problems))

    def our_fault(request: Request, error: Exception) -> Response:
        return answer(request, translate(GatewayError()))

    app.add_exception_handler(GatewayError, gateway_error)
    app.add_exception_handler(AnyHttpException, http_error)
    app.add_exception_handler(RequestValidationError, not_valid)
    app.add_exception_handler(Exception, our_fault)
