"""Whose ECG it is, as people are told it and as they tell it: the texts of an Order, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, create_model

from gateway.config.fields import ORDER_KEYS, STATED_KEYS
from gateway.web.api.models.base import Model

TEXT_MAX = 64  # characters that a person may type
KNOWN_MAX = 1000  # patients of one id, each in other words


def _texts(keys: Iterable[str], **bounds: Any) -> Any:
    """A body with a text for each of these keys, "" where nothing is said."""
    fields: dict[str, Any] = {key: (str, Field("", **bounds)) for key in keys}
    return create_model("Texts", __base__=Model, **fields)


# To mypy a base that is made while the program runs is a dynamic one, hence misc.


class OrderModel(_texts(key for key in ORDER_KEYS if key != "character_set")):  # type: ignore[misc]
    """Whose ECG it is, in DICOM's forms; "" where unknown."""


class NamedSourceModel(Model):
    """Who told of an order. name: of the worklist or feed in the configuration, "" for an earlier ECG."""

    source: Literal["worklist", "feed", "earlier"]
    name: str


class PatientCandidateModel(Model):
    """A patient whom somebody knows under a typed id. contradicts: what is known of them and is not what was typed."""

    name: str
    birth_date: str
    sex: str
    sources: list[NamedSourceModel]
    contradicts: list[Literal["name", "birth_date", "sex"]]


class IdentifyBody(_texts(STATED_KEYS, max_length=TEXT_MAX)):  # type: ignore[misc]
    """What a person knows of whose ECG it is; "" leaves what is known. all_pages: said yes to one identity for all.

    even_so: those of the preview's known who contradict it, where it is right all the same; of others nobody was told.
    afresh: nothing that is known of the patient, the order or the visit stays beside what is said here.
    revision: of the job that was looked at, "" for a program that has looked at none.
    """

    all_pages: bool = False
    even_so: list[PatientCandidateModel] = Field([], max_length=KNOWN_MAX)
    afresh: bool = False
    revision: str = Field("", max_length=64)


class OrderMatch(Model):
    """An order or a patient that was searched for.

    at: when it is scheduled, when the feed last spoke of it, or when the earlier ECG came. what: in words, what is to
    be done or where the patient is.
    """

    order: OrderModel
    sources: list[NamedSourceModel]
    at: datetime | None
    what: str


class UnansweredModel(Model):
    """A worklist that did not tell all it might have. code: short and stable; why: for a person."""

    name: str
    code: str
    why: str


class OrderList(Model):
    """What is known to the words, each order once, scheduled ones first; and who may know more."""

    items: list[OrderMatch]
    unanswered: list[UnansweredModel]
