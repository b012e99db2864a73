"""Stands before everything: says who asks, sends strangers away before their bytes are read, sets the headers."""

from __future__ import annotations

from anyio import to_thread
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.config import WebSection
from gateway.errors import GatewayError
from gateway.store import Store
from gateway.web.deps import SAFE_METHODS
from gateway.web.errors import WebError, not_signed_in
from gateway.web.failures import RETRY_AFTER_S, answer, translate
from gateway.web.security.credentials import recognise

STATIC_PATH = "/static/"
# Answered to anybody without asking the database who it is: it may be what does not answer.
PROBES = frozenset({"/healthz", "/readyz"})
OPEN_TO_STRANGERS = frozenset({"/login"})  # what may be posted without being signed in
MEGABYTE = 1_000_000
# Of the connections there may be: the rest is for probes and for those who have not asked yet.
AT_WORK_SHARE = 0.8
FILES_PATHS = frozenset({"/api/v1/uploads", "/api/v1/rules/explain/file"})  # what takes files
# Of what is no upload: it is held in memory whole, and read before it is looked whether this person may send it.
BODY_MAX_MB = 2

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
HSTS = f"max-age={365 * 24 * 3600}"


class Gate:
    """ASGI middleware, the outermost: its headers are on every answer, also on those to failures."""

    def __init__(self, app: ASGIApp, store: Store, web: WebSection) -> None:
        self.app = app
        self.store = store
        self.web = web
        self._at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self._at_work += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._at_work -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_static = scope["path"].startswith(STATIC_PATH)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message), is_static)
            await send(message)

        request = Request(scope, receive)
        if not is_static and scope["path"] not in PROBES:
            try:
                self._check_capacity()
                request.state.principal = await to_thread.run_sync(recognise, request, self.store, self.web)
                self._check_what_it_brings(request)
            except GatewayError as error:
                await answer(request, translate(error))(scope, receive, send_with_headers)
                return
            except WebError as error:
                await answer(request, error)(scope, receive, send_with_headers)
                return
        await self.app(scope, receive, send_with_headers)

    def _check_capacity(self) -> None:
        """Raises WebError where too many requests are worked on."""
        if self._at_work > AT_WORK_SHARE * self.web.connections_max:
            raise WebError(503, "busy", "too many ask at the same time", {"Retry-After": str(RETRY_AFTER_S)})

    def _check_what_it_brings(self, request: Request) -> None:
        """Raises WebError for a stranger who brings something, and for more bytes than are allowed."""
        is_open = request.method in SAFE_METHODS or request.url.path in OPEN_TO_STRANGERS
        if request.state.principal is None and not is_open:
            raise not_signed_in()
        length = request.headers.get("content-length", "")
        # Who sends in chunks does not say how much it will be; FastAPI counts those.
        most_mb = self.web.upload_max_mb if request.url.path in FILES_PATHS else body_max_mb(self.web)
        if length.isdecimal() and int(length) > most_mb * MEGABYTE:
            raise WebError(413, "too_large", f"a request like this may have at most {most_mb} MB")

    def _add_headers(self, headers: MutableHeaders, is_static: bool) -> None:
        for name, value in HEADERS.items():
            headers[name] = value
        if self.web.tls:
            headers["Strict-Transport-Security"] = HSTS
        # Patients' pages must not stay in a browser's cache; our own files may, if it asks whether they changed.
        headers.setdefault("Cache-Control", "no-cache" if is_static else "no-store")


def body_max_mb(web: WebSection) -> int:
    """How large a request may be that hands in no files."""
    return min(BODY_MAX_MB, web.upload_max_mb)
