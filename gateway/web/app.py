"""Puts the window together: its routes, who may use them, and its process."""

from __future__ import annotations

from fastapi import FastAPI

from gateway.config import Config
from gateway.store import Store


def make_app(config: Config, store: Store) -> FastAPI:
    """The application. It does not close the store."""
    # no docs pages: FastAPI's own fetch their scripts from another host
    app = FastAPI(title="CardioScan Gateway", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.store, app.state.config = store, config
    return app
