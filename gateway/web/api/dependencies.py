"""What the routes ask for, spelled once: who, the store, the configuration, a job's id and a page's number."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path

from gateway.config import Config
from gateway.store import Store
from gateway.web.api.models import Problem
from gateway.web.deps import Principal, Role, Scope, get_config, get_store, need

Viewer = Annotated[Principal, Depends(need(Role.VIEWER))]
Reviewer = Annotated[Principal, Depends(need(Role.REVIEWER))]
Uploader = Annotated[Principal, Depends(need(Role.REVIEWER, Scope.UPLOAD))]
Administrator = Annotated[Principal, Depends(need(Role.ADMINISTRATOR))]
TheStore = Annotated[Store, Depends(get_store)]
TheConfig = Annotated[Config, Depends(get_config)]
JobId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
PageNumber = Annotated[int, Path(ge=1, le=10_000)]

# What any route may answer beside what it is for; the schema says so.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": words}
    for status, words in {
        400: "The request is not valid.",
        401: "Sign in first.",
        403: "Not with this role.",
        404: "There is no such thing.",
        409: "Not as things stand.",
        413: "Larger than allowed.",
        422: "Something in the request, or in the page, does not allow it.",
        503: "Not now; try again.",
    }.items()
}


def gives(*media_types: str, text: bool = False) -> dict[int | str, dict[str, Any]]:
    """What a route answers that gives a file, or text, instead of JSON; and its failures."""
    schema = {"type": "string"} if text else {"type": "string", "format": "binary"}
    return {**PROBLEMS, 200: {"content": {media_type: {"schema": schema} for media_type in media_types}}}
