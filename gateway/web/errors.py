"""What a route raises when a request is refused."""

from __future__ import annotations

from fastapi import HTTPException


class WebError(HTTPException):
    """A request that is refused: HTTP status, a short stable code, a sentence for a person without patient data."""

    def __init__(self, status: int, code: str, why: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, why, headers)
        self.code = code
        self.why = why


def not_signed_in() -> WebError:
    """401; for a browser that asks for a page it becomes a walk to /login."""
    return WebError(401, "not_signed_in", "sign in first", {"WWW-Authenticate": "Bearer"})


def not_allowed(why: str) -> WebError:
    """403."""
    return WebError(403, "not_allowed", why)
