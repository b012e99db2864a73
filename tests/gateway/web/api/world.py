"""A window with jobs behind it that were received, digitized and settled as a worker does it, and who may ask it."""

from __future__ import annotations

import hashlib
import io
import uuid
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from gateway.config import Config
from gateway.identity.order import Order
from gateway.job import Arrival, Door
from gateway.review import NO_CORRECTION
from gateway.role import Role
from gateway.service.worker import Worker
from gateway.store import Store
from gateway.web.app import make_app
from gateway.web.principal import Scope
from gateway.web.security.administration import issue_token
from pipeline.recording import Correction, Finding, Page, Recording
from tests.recordings import order, placed, three_by_four

SCOPES = {Role.VIEWER: Scope.READ, Role.REVIEWER: Scope.REVIEW, Role.ADMINISTRATOR: Scope.ADMIN}
PX_PER_MM = 4
CONFIG = {
    "destination": [
        {"kind": "folder", "name": "out", "folder": "out", "documents": ["aecg", "dicom_waveform"]},
        {"kind": "mllp", "name": "ehr", "host": "127.0.0.1", "port": 1},
    ],
    "rule": [
        {"name": "unsure", "when": [{"field": "quality.confidence", "less_than": 0.3}], "hold": "look at this"},
        {"name": "all", "send": ["out", "ehr"]},
    ],
}


class World:
    """One application, its store, and a worker whose digitizer gives what it is told to."""

    def __init__(self, config: Config, store: Store) -> None:
        self.config = config
        self.store = store
        self.app = make_app(config, store)
        self._clients: dict[tuple[str, Role], TestClient] = {}

    def who(self, role: Role = Role.ADMINISTRATOR, name: str = "") -> TestClient:
        """Somebody's program, with a token."""
        name = name or f"a {role}"
        if (name, role) not in self._clients:
            self.store.accounts.add_user(name, role, "", "test")
            issued = issue_token(self.store, name, "test", frozenset({SCOPES[role]}), 1, "test")
            client = TestClient(self.app, raise_server_exceptions=False)
            client.headers["authorization"] = f"Bearer {issued.secret}"
            self._clients[name, role] = client
        return self._clients[name, role]

    def get(self, path: str, role: Role = Role.VIEWER, expect: int = 200, **query: Any) -> Any:
        """The JSON at a path under /api/v1."""
        answer = self.who(role).get(f"/api/v1{path}", params=query)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, role: Role = Role.REVIEWER, expect: int = 200, name: str = "") -> Any:
        """The JSON that a change answers with."""
        answer = self.who(role, name).post(f"/api/v1{path}", json={} if body is None else body)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def receive(self, door: Door = Door.FAX, sender: str = "fax", whose: Order | None = None, pages: int = 1) -> str:
        """A page that nobody has worked on; each is another."""
        content = tiff(pages, shade=uuid.uuid4().int)
        staged = self.store.staging / uuid.uuid4().hex
        staged.write_bytes(content)
        came = Arrival(door, sender, "10.0.0.9", "", "image/tiff", "page.tif", order() if whose is None else whose)
        return self.store.receive(staged, came, sha256=hashlib.sha256(content).hexdigest()).job_id

    def work(self, confidence: float = 0.95, findings: tuple[Finding, ...] = (), of: Recording | None = None) -> None:
        """Lets a worker take the next job through."""
        read = of or three_by_four()
        read = replace(read, confidence=confidence, findings=findings, placed=placed(read, PX_PER_MM))

        def digitize(_page: Page, _given: Correction = NO_CORRECTION, /) -> Recording:
            return read

        assert Worker("worker-1", self.config, self.store, digitize, "{}").work_once()

    def job(self, confidence: float = 0.95, findings: tuple[Finding, ...] = (), **came: Any) -> str:
        """A job that was worked on: held below a confidence of 0.9, else on its way."""
        job_id = self.receive(**came)
        self.work(confidence, findings)
        return job_id

    def deliver(self, destination: str, response: str = "AA") -> int:
        """The destination takes everything that waits; how much that was."""
        taken = 0
        while delivery := self.store.claim_delivery(destination, 60):
            self.store.delivered(delivery, response)
            taken += 1
        return taken

    def kinds(self, job_id: str) -> list[str]:
        """What the audit says of a job."""
        return [entry.kind for entry in self.store.audit_queries.job_audit(job_id)]


def tiff(pages: int = 1, shade: int = 0) -> bytes:
    """A document of pages as large as the paper of tests.recordings.placed."""
    rng = np.random.default_rng(shade)
    images = [
        Image.fromarray(rng.integers(150, 255, (210 * PX_PER_MM, 300 * PX_PER_MM), np.uint8)) for _ in range(pages)
    ]
    buffer = io.BytesIO()
    images[0].save(buffer, "TIFF", save_all=True, append_images=images[1:], compression="tiff_deflate")
    return buffer.getvalue()


def png(width: int = 400, height: int = 300) -> bytes:
    """A small picture."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 230, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
