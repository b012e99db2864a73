"""Puts the window together: its routes and who may use them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from gateway.config import Config
from gateway.store import Store
from gateway.web import failures, metrics
from gateway.web.api import explain_file, uploads
from gateway.web.api import routers as api_routers
from gateway.web.deps import Role, need
from gateway.web.pages import routers as pages_routers
from gateway.web.security import api, oidc_pages, pages, user_pages
from gateway.web.security.gate import MEGABYTE, Gate, body_max_mb
from gateway.web.security.oidc import Provider
from gateway.web.templating import STATIC

OUR_ROUTERS: tuple[APIRouter, ...] = (
    pages.router,
    oidc_pages.router,
    user_pages.router,
    api.router,
    metrics.router,
)
WAYS_IN = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token, issued by an administrator."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "cardioscan_session",
        "description": "Of a browser that is signed in; __Host-cardioscan_session under TLS. "
        "Whatever changes something needs the header X-CSRF-Token too.",
    },
}


class Window(FastAPI):
    """FastAPI behind the gate, which so sees every request first and every answer last, also those to failures."""

    def build_middleware_stack(self) -> ASGIApp:
        return Gate(super().build_middleware_stack(), self.state.store, self.state.config.web)

    def openapi(self) -> dict[str, Any]:
        """The API's description, with the ways in."""
        schema = super().openapi()
        schema.setdefault("components", {})["securitySchemes"] = WAYS_IN
        schema["security"] = [{way: []} for way in WAYS_IN]
        return schema


def make_app(config: Config, store: Store) -> FastAPI:
    """The application. It does not close the store. ConfigError where a file of web.oidc cannot be read."""
    app = Window(
        title="CardioScan Gateway",
        version=version("cardioscan-gateway"),
        openapi_url=None,  # given below, to those who have a role
        docs_url=None,  # FastAPI's own pages fetch their scripts from another host
        redoc_url=None,
        redirect_slashes=False,  # it would send people to whatever host the request names
        max_body_size=body_max_mb(config.web) * MEGABYTE,
    )
    app.state.store, app.state.config = store, config
    app.state.provider = Provider(config.web.oidc) if config.web.oidc else None
    failures.install(app)
    for router in (*OUR_ROUTERS, *api_routers, *pages_routers):
        # a more specific bound wins over the application's
        takes_files = router in (uploads.router, explain_file.router)
        bound = config.web.upload_max_mb * MEGABYTE if takes_files else None
        app.include_router(router, max_body_size=bound)
    app.add_api_route(
        "/api/v1/openapi.json", openapi, include_in_schema=False, dependencies=[Depends(need(Role.VIEWER))]
    )
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def openapi(request: Request) -> Response:
    """The API's own description."""
    return JSONResponse(request.app.openapi())
