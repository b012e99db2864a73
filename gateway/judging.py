"""What holds a page for a person before any rule is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from gateway.ahead import keys_ahead
from gateway.config import Config
from gateway.order import Order
from pipeline.recording import Recording, Severity

AHEAD = {"acquired_at": "recording time", "birth_date": "birth date"}


@dataclass(frozen=True)
class Doubt:
    """Why what was read must be looked at. code: low_confidence, or the finding's.

    why: a sentence for who looks at the page. setting: the same for who wrote the configuration.
    """

    code: str
    why: str
    setting: str


def held_before_rules(config: Config, order: Order, recording: Recording, received_at: datetime) -> Iterator[str]:
    """Why a person would have to look at a page whatever the rules say; as the worker decides it."""
    yield from (doubt.setting for doubt in doubts(config, recording))
    yield from unidentified(config, order, received_at)


def doubts(config: Config, recording: Recording) -> Iterator[Doubt]:
    """Why a page is held for what was read; an approval of that reading answers it. The only place that decides so.

    A finding of severity error holds a page whatever its confidence, and too low a confidence whatever its findings.
    """
    if is_unsure(config, recording):
        least, sure = confidence_min_in_words(config), recording.confidence_in_words
        why = f"Confidence {sure} is below the configured {least}."
        yield Doubt("low_confidence", why, f"confidence {sure} is below pipeline.confidence_min {least}")
    for finding in recording.findings:
        if finding.severity == Severity.ERROR:
            setting = f"{finding.code}: {finding.detail}" if finding.detail else finding.code
            yield Doubt(finding.code, finding.detail or "A finding holds this page for a person.", setting)


def is_unsure(config: Config, recording: Recording) -> bool:
    """Whether its confidence is below the bound in force."""
    return recording.confidence < config.pipeline.confidence_min


def explained(config: Config, recording: Recording) -> Recording:
    """The recording with the finding that says what its confidence lacks, where that is too low to go on."""
    if recording.weakest is None or not is_unsure(config, recording):
        return recording
    return replace(recording, findings=(*recording.findings, recording.weakest))


def unidentified(config: Config, order: Order, received_at: datetime) -> Iterator[str]:
    """The part of it that is of whose page it is; no approval answers it."""
    for key in identity_missing(config, order):
        yield f"no {key.replace('_', ' ')}, which identity.require asks for"
    for key in keys_ahead(order, received_at):
        yield f"the {AHEAD[key]} lies ahead of the day on which the page was received"


def identity_missing(config: Config, order: Order) -> tuple[str, ...]:
    """The keys of identity.require that a page came without."""
    required = config.identity.require
    return tuple(k for k in required if not getattr(order.patient if hasattr(order.patient, k) else order, k))


def missing_in_words(key: str) -> str:
    """A key of identity_missing as the reason for which its page waits."""
    return f"The page came without {key.replace('_', ' ')}; identify it to go on."


def ahead_in_words(key: str) -> str:
    """A key of keys_ahead as the reason for which its page waits."""
    return f"The {AHEAD[key]} lies ahead of the day on which the page was received; identify it with the right one."


def confidence_min_in_words(config: Config) -> str:
    """The threshold in per cent, as exactly as it was written."""
    return f"{(Decimal(str(config.pipeline.confidence_min)) * 100).normalize():f} %"
