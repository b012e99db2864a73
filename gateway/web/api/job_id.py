"""A job by the beginning of its id, as lists show it."""

from __future__ import annotations

import re

from gateway.errors import NotFound, Refused
from gateway.job import SHORT_ID
from gateway.store import Store

WHOLE = 32  # characters of an id


def whole_id(store: Store, text: str) -> str:
    """The id of the one job that begins so.

    Raises:
        Refused: shorter than any list shows it, no id at all, or several jobs begin so.
        NotFound: no job begins so.
    """
    beginning = text.strip().lower()
    if not re.fullmatch(rf"[0-9a-f]{{{SHORT_ID},{WHOLE}}}", beginning):
        raise Refused(
            "not_a_job", f"A job is named by at least the first {SHORT_ID} characters of its id, 0-9 and a-f."
        )
    if len(beginning) == WHOLE:
        return beginning
    found = store.worklist.beginning(beginning, 2)
    if not found:
        raise NotFound("No job has an id that begins so.")
    if len(found) > 1:
        raise Refused("several_jobs", "Several jobs have an id that begins so; give more of it.")
    return found[0]
