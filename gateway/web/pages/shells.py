"""HTML routes. A shell holds no patient data: what is looked at comes from the API, which writes the look down."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from gateway.store import Store
from gateway.store.audit import Event
from gateway.web.deps import Principal, Role, Scope, get_store, need
from gateway.web.pages import operations
from gateway.web.templating import render

router = APIRouter(include_in_schema=False)

Viewer = Annotated[Principal, Depends(need(Role.VIEWER))]
Uploader = Annotated[Principal, Depends(need(Role.REVIEWER, Scope.UPLOAD))]
Administrator = Annotated[Principal, Depends(need(Role.ADMINISTRATOR))]
AStore = Annotated[Store, Depends(get_store)]


@router.get("/")
def worklist(request: Request, who: Viewer) -> Response:
    """Jobs, with filters in the address bar."""
    return render(request, "worklist.html")


@router.get("/jobs/{job_id}")
def job(request: Request, job_id: str, who: Viewer, store: AStore) -> Response:
    """One job: its page, its leads, and all that was done with it. NotFound where there is none."""
    store.job(job_id)
    return render(request, "job.html", {"job_id": job_id})


@router.get("/api")
def api(request: Request, who: Viewer) -> Response:
    """What programs can ask, from the same description that they are given."""
    return render(request, "api.html", {"groups": operations.by_tag(request.app.openapi())})


@router.get("/upload")
def upload(request: Request, who: Uploader) -> Response:
    """Files in, by drag or by choice."""
    return render(request, "upload.html")


@router.get("/dashboard")
def dashboard(request: Request, who: Viewer) -> Response:
    """The traffic at one glance."""
    return render(request, "dashboard.html")


@router.get("/rules")
def rules(request: Request, who: Administrator) -> Response:
    """The rules in force, explained and tried out."""
    return render(request, "rules.html")


@router.get("/audit")
def audit(request: Request, who: Administrator) -> Response:
    """The audit: searched, verified, handed out."""
    return render(request, "audit.html", {"kinds": list(Event)})
