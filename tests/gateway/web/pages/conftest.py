"""A window over a filled store and a Chromium to see it with; for modules alone, a server of the static files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gateway.web.deps import Role
from gateway.web.templating import STATIC
from tests.browser import CHROMIUM, DESK, Watch, chromium
from tests.flow.processes import free_port, wait_for
from tests.gateway.web.pages.people import SESSION_COOKIE
from tests.gateway.web.pages.site import Site

expect.set_options(timeout=60_000)  # the machine may be busy with other things

BLANK = """<!doctype html><html lang="en"><head><title>blank</title>
<link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="/static/css/base.css">
<link rel="stylesheet" href="/static/css/ecg.css"></head><body><main id="host"></main></body></html>"""
POLICY = "default-src 'self'"


async def _blank(_request: Request) -> HTMLResponse:
    return HTMLResponse(BLANK, headers={"Content-Security-Policy": POLICY})


@pytest.fixture(scope="module")
def static_server() -> Iterator[str]:
    """The address of a server that has our static files and one blank page."""
    app = Starlette(routes=[Route("/", _blank), Mount("/static", StaticFiles(directory=STATIC))])
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started, 20, "the static server to start")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def blank(static_server: str) -> Iterator[Page]:
    """A blank page of that server in Chromium; complaints fail the module."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    with chromium() as browser:
        page = browser.new_page(viewport=DESK)  # type: ignore[arg-type]
        watch = Watch()
        watch.on(page, static_server)
        page.goto(static_server)
        yield page
        assert watch.complaints == []
        assert watch.strangers == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(site: Site, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a path as somebody of a role. Fails the test for what a page complains of and for strangers it asks."""
    watch = Watch()
    contexts: list[BrowserContext] = []

    def opened(path: str, role: Role = Role.ADMINISTRATOR, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": DESK, **options})
        context.add_cookies([{"name": SESSION_COOKIE, "value": site.secrets[role], "url": site.base}])
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        watch.on(page, site.base)
        page.goto(site.base + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert watch.complaints == []
    assert watch.strangers == []
