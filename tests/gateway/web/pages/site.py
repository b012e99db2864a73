"""A whole window over a store of ready-made pages, for browsers to look at."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import uvicorn

from gateway.config import Config
from gateway.store import Store
from gateway.web.app import make_app
from gateway.web.deps import Role
from tests.flow.processes import free_port, wait_for
from tests.gateway.web.pages.people import signed_in
from tests.gateway.web.pages.ready import Ready, fill

RULE = {"name": "all", "send": ["pacs", "ehr"]}


class Site:
    """A window over a filled store, and people who are signed in to it. tables: of the configuration, besides."""

    def __init__(self, folder: Path, **tables: Any) -> None:
        destinations = [
            {"kind": "dicom", "name": "pacs", "host": "127.0.0.1", "port": 104, "called_ae_title": "PACS"},
            {"kind": "mllp", "name": "ehr", "host": "127.0.0.1", "port": 2575},
        ]
        data = {"folder": str(folder / "data"), "reserve_mb": 0}
        self.config = Config.model_validate({"data": data, "destination": destinations, "rule": [RULE], **tables})
        self.store = Store.open(self.config.data)
        self.ready: Ready = fill(self.store, self.config)
        self.secrets = {role: signed_in(self.store, str(role), role)[0] for role in Role}
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        settings = uvicorn.Config(
            make_app(self.config, self.store), host="127.0.0.1", port=port, log_level="error", lifespan="off"
        )
        self.server = uvicorn.Server(settings)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        wait_for(lambda: self.server.started, 30, "the window to start")

    def stop(self) -> None:
        self.server.should_exit = True
        self.server.force_exit = True
        self.thread.join(15)
        self.store.close()
