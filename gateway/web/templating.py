"""Renders our templates: every page gets principal, csrf_token and config; everything is escaped.

Templates extend base.html, which has the blocks title and content.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from gateway.web.deps import get_config, get_principal

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
STATIC = HERE / "static"


def _everywhere(request: Request) -> dict[str, Any]:
    principal = get_principal(request)
    return {
        "principal": principal,
        "csrf_token": principal.csrf_token if principal else "",
        "config": get_config(request),
    }


templates = Jinja2Templates(directory=TEMPLATES, context_processors=[_everywhere])


def render(request: Request, name: str, context: dict[str, Any] | None = None, status: int = 200) -> Response:
    """One page. name: a file under templates/."""
    return templates.TemplateResponse(request, name, context or {}, status_code=status)
