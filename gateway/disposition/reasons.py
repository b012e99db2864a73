"""The reasons of a Disposition in words: as sentences for the worklist, and as phrases for an administrator."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from gateway.config import Config
from gateway.disposition.decide import OF_THE_ORDER, Cause, Reason
from gateway.emit.kinds import NO_ACQUISITION_DATE, NO_PATIENT

INCOMPLETE = {NO_ACQUISITION_DATE: "when it was recorded", NO_PATIENT: "who the patient is"}
AHEAD = {"acquired_at": "recording time", "birth_date": "birth date"}


def why(config: Config, reasons: Iterable[Reason]) -> str:
    """Why a document does not go out, for the person who must act: its first reason, and what else is asked of them."""
    first, *rest = reasons
    text = sentence(config, first) if first.page is None else f"Page {first.page}: {sentence(config, first)}"
    orders = [sentence(config, each) for each in rest if each.cause in OF_THE_ORDER]
    opening = text if first.cause is Cause.RULE else f"{text.removesuffix('.')}."  # a rule's own words stay as written
    return " ".join([opening, *orders])


def sentence(config: Config, reason: Reason) -> str:
    """One reason as a sentence."""
    match reason.cause:
        case Cause.CONFIDENCE:
            return f"Confidence {reason.detail} is below the configured {confidence_min_text(config)}."
        case Cause.FINDING:
            return reason.detail or "A finding holds this page for a person."
        case Cause.CHANGED:
            return "A person changed how this page is read; what came of it must be looked at and approved."
        case Cause.MISSING:
            return f"The page came without {reason.detail.replace('_', ' ')}; identify it to go on."
        case Cause.AHEAD:
            what = AHEAD[reason.detail]
            return f"The {what} lies ahead of the day on which the page was received; identify it with the right one."
        case Cause.ILLEGIBLE:
            return f"The {reason.detail} that came with the page could not be read; identify it to go on."
        case Cause.FOUR_EYES:
            return "A person said whose page this is; another one must look at it and approve it."
        case Cause.INCOMPLETE:
            return f"Nothing says {INCOMPLETE[reason.code]}, and what goes to {reason.detail} must; identify the page."
        case Cause.UNREAD | Cause.RULE:
            return reason.detail


def phrase(config: Config, reason: Reason) -> str:
    """One reason in a few words, for who asks what the configuration makes of a page."""
    match reason.cause:
        case Cause.CONFIDENCE:
            return f"confidence {reason.detail} is below pipeline.confidence_min {confidence_min_text(config)}"
        case Cause.FINDING:
            return f"{reason.code}: {reason.detail}" if reason.detail else reason.code
        case Cause.CHANGED:
            return "a person changed how it is read, and nobody has approved what came of it"
        case Cause.MISSING:
            return f"no {reason.detail.replace('_', ' ')}, which identity.require asks for"
        case Cause.AHEAD:
            return f"the {AHEAD[reason.detail]} lies ahead of the day on which the page was received"
        case Cause.ILLEGIBLE:
            return f"the {reason.detail} that came with the page could not be read"
        case Cause.FOUR_EYES:
            return "four eyes: a person said whose it is, and another one has not approved it"
        case Cause.INCOMPLETE:
            return f"nothing says {INCOMPLETE[reason.code]}, and what goes to {reason.detail} must"
        case Cause.UNREAD:
            return f"it was not read ({reason.code})"
        case Cause.RULE:
            return reason.detail


def confidence_min_text(config: Config) -> str:
    """The threshold in per cent, as exactly as it was written."""
    return f"{(Decimal(str(config.pipeline.confidence_min)) * 100).normalize():f} %"
