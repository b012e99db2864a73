"""The JSON routes under /api/v1."""

from fastapi import APIRouter

from gateway.web.api import (
    actions,
    audit,
    dashboard,
    documents,
    events,
    explain_file,
    jobs,
    onward,
    orders,
    pictures,
    rules,
    uploads,
    waveforms,
)

routers: tuple[APIRouter, ...] = (
    jobs.router,
    pictures.router,
    waveforms.router,
    documents.router,
    actions.router,
    onward.router,
    orders.router,
    uploads.router,
    dashboard.router,
    rules.router,
    explain_file.router,
    audit.router,
    events.router,
)
