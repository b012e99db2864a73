"""A window under test and its visitors, who do as browsers do: keep cookies, send a form with its hidden fields."""

from __future__ import annotations

import io
import json
import re
from typing import Any

from starlette.testclient import TestClient

from gateway.config import Config
from gateway.role import Role
from gateway.store import Store
from gateway.web.app import make_app
from gateway.web.principal import Scope
from gateway.web.security.administration import issue_token
from gateway.web.security.passwords import hash_password

PASSWORD = "correct horse battery"
PAGE = {"accept": "text/html"}


class House:
    """An application and its store."""

    def __init__(self, config: Config, store: Store) -> None:
        self.config = config
        self.store = store
        self.app = make_app(config, store)

    def visitor(self, base_url: str = "http://localhost", address: str = "10.0.0.1") -> Visitor:
        """Somebody with a fresh browser."""
        client = TestClient(
            self.app,
            base_url=base_url,
            raise_server_exceptions=False,
            follow_redirects=False,
            client=(address, 50000),
        )
        return Visitor(client)

    def add(self, name: str, role: Role, password: str = PASSWORD) -> None:
        """A user who has chosen a password."""
        hashed = hash_password(password)
        self.store.accounts.add_user(name, role, hashed, "test")
        self.store.accounts.set_password(name, hashed, name, must_change=False)

    def signed_in(self, name: str, role: Role) -> Visitor:
        """A new user whose browser is signed in."""
        self.add(name, role)
        visitor = self.visitor()
        assert visitor.sign_in(name).status_code == 303
        return visitor

    def token(self, name: str, *scopes: Scope) -> dict[str, str]:
        """The header of a new token of a user."""
        issued = issue_token(self.store, name, "test", frozenset(scopes), 1, "test")
        return {"authorization": f"Bearer {issued.secret}"}

    def audit(self) -> list[dict[str, Any]]:
        """The audit's rows."""
        stream = io.StringIO()
        self.store.export_audit(stream)
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    def kinds(self) -> list[str]:
        """What the audit says has happened, in order."""
        return [row["kind"] for row in self.audit()]


class Visitor:
    """A browser."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, path: str, **headers: str) -> Any:
        """A page."""
        return self.client.get(path, headers={**PAGE, **headers})

    def form(self, path: str, page: str, fields: dict[str, Any] | None = None, **headers: str) -> Any:
        """Fills in the form that a page has, and sends it."""
        hidden: dict[str, str] = {}
        for tag in re.findall(r"<input type=\"hidden\"[^>]*>", self.get(page).text):
            name, value = re.search(r'name="(.*?)"', tag), re.search(r'value="(.*?)"', tag)
            assert name
            assert value
            hidden.setdefault(name[1], value[1])
        return self.client.post(path, data={**hidden, **(fields or {})}, headers={**PAGE, **headers})

    def sign_in(self, name: str, password: str = PASSWORD, page: str = "/login") -> Any:
        """By the form on the page."""
        return self.form("/login", page, {"name": name, "password": password})

    @property
    def csrf(self) -> str:
        """The token in the page's meta tag."""
        match = re.search(r'<meta name="csrf-token" content="(.*?)">', self.get("/account").text)
        assert match
        return match[1]
