"""What the other bodies are made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

JOBS_PER_PAGE_MAX = 200
BULK_MAX = 1000  # jobs of one bulk action: each is a transaction of its own, and a person waits
COMMENT_MAX = 1000
LEADS_MAX = 60  # lead names a person may give: more segments than any known layout prints

JobId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Comment = Annotated[str, Field(max_length=COMMENT_MAX)]
Action = Literal["retry", "resend", "give-up", "approve", "identify", "correct", "invalid-leads"]


class Model(BaseModel):
    """A body of the API: frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Model):
    """Every answer of 4xx and 5xx. code: short and stable; why: a sentence for a person, free of patient data."""

    code: str
    why: str
