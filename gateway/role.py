"""Role: what a person may do."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a person may do. Each role may do all that the ones before it may."""

    VIEWER = "viewer"  # look at pages, recordings, queues
    REVIEWER = "reviewer"  # upload, correct, identify, approve, reject, retry, resend
    ADMINISTRATOR = "administrator"  # users, tokens, rules, audit, destinations

    def covers(self, other: Role) -> bool:
        """Whether this role may do what the other may."""
        return _RANK[self] >= _RANK[other]


_RANK = {role: rank for rank, role in enumerate(Role)}
