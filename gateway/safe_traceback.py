"""What the log may know of an exception: where it came from, never what it says, for that may quote a patient."""

from __future__ import annotations

import traceback


def frames_of(error: BaseException) -> str:
    """The types and the places of an exception and of those that led to it, the first one first, without messages.

    Parsers and databases quote in their messages the value they could not take.
    """
    chain: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and step not in chain:
        chain.append(step)
        step = step.__cause__ or (None if step.__suppress_context__ else step.__context__)
    return "which led to:\n".join(
        f"{type(one).__module__}.{type(one).__qualname__}\n{''.join(traceback.format_tb(one.__traceback__))}"
        for one in reversed(chain)
    )
