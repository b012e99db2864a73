"""What the other bodies are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

JOBS_PER_PAGE_MAX = 200
BULK_MAX = 1000  # jobs of one bulk action: each is a transaction of its own, and a person waits
COMMENT_MAX = 1000
LEADS_MAX = 60  # lead names a person may give: more segments than any known layout prints

NUMBER_MAX = 1 << 60  # of a row: both databases count to 2**63 - 1


def _in_utc(moment: datetime) -> datetime:
    """Raises ValueError where the moment lies before or after every year."""
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("this moment lies before the year 1 or after the year 9999 in UTC") from None


Moment = Annotated[datetime, AfterValidator(_in_utc)]  # without a zone it is taken for UTC
RowNumber = Annotated[int, Field(ge=1, le=NUMBER_MAX)]
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
