"""Whose ECG it is, as people are told it and as they tell it: the texts of an Order, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field, create_model

from gateway.config.fields import ORDER_KEYS, STATED_KEYS
from gateway.web.api.models.base import Model

TEXT_MAX = 64  # characters that a person may type


def _texts(keys: Iterable[str], **bounds: Any) -> Any:
    """A body with a text for each of these keys, "" where nothing is said."""
    fields: dict[str, Any] = {key: (str, Field("", **bounds)) for key in keys}
    return create_model("Texts", __base__=Model, **fields)


# To mypy a base that is made while the program runs is a dynamic one, hence misc.


class OrderModel(_texts(key for key in ORDER_KEYS if key != "character_set")):  # type: ignore[misc]
    """Whose ECG it is, in DICOM's forms; "" where unknown."""


class IdentifyBody(_texts(STATED_KEYS, max_length=TEXT_MAX)):  # type: ignore[misc]
    """What a person knows of whose ECG it is; "" leaves what is known. all_pages: said yes to one identity for all.

    afresh: nothing that is known of the patient, the order or the visit stays beside what is said here.
    seen: what stands said in the job that was looked at, "" for a program that has looked at none.
    """

    all_pages: bool = False
    afresh: bool = False
    seen: str = Field("", max_length=64)
