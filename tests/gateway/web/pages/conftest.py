"""A server of the static files alone, and a Chromium page on it: for modules that need no gateway behind them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gateway.web.templating import STATIC
from tests.browser import CHROMIUM, DESK, Watch, chromium
from tests.flow.processes import free_port, wait_for

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
