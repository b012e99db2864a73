"""The pages for people: thin shells that the scripts under static/ fill from the API."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.web.pages.shells import router

__all__ = ["routers"]

routers: tuple[APIRouter, ...] = (router,)
