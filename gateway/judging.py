"""What holds a page for a person before any rule is asked."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from gateway.config import Config
from gateway.order import Order
from pipeline.recording import Recording, Severity


def held_before_rules(config: Config, order: Order, recording: Recording) -> Iterator[str]:
    """Why a person would have to look at a page whatever the rules say; as the worker decides it."""
    yield from doubts(config, recording)
    yield from unidentified(config, order)


def doubts(config: Config, recording: Recording) -> Iterator[str]:
    """The part of it that is of what was read; an approval of that reading answers it."""
    if recording.confidence < config.pipeline.confidence_min:
        least = confidence_min_in_words(config)
        yield f"confidence {recording.confidence_in_words} is below pipeline.confidence_min {least}"
    for finding in recording.findings:
        if finding.severity == Severity.ERROR:
            yield f"{finding.code}: {finding.detail}" if finding.detail else finding.code


def unidentified(config: Config, order: Order) -> Iterator[str]:
    """The part of it that is of whose page it is; no approval answers it."""
    for key in identity_missing(config, order):
        yield f"no {key.replace('_', ' ')}, which identity.require asks for"


def identity_missing(config: Config, order: Order) -> tuple[str, ...]:
    """The keys of identity.require that a page came without."""
    required = config.identity.require
    return tuple(k for k in required if not getattr(order.patient if hasattr(order.patient, k) else order, k))


def missing_in_words(key: str) -> str:
    """A key of identity_missing as the reason for which its page waits."""
    return f"The page came without {key.replace('_', ' ')}; identify it to go on."


def confidence_min_in_words(config: Config) -> str:
    """The threshold in per cent, as exactly as it was written."""
    return f"{(Decimal(str(config.pipeline.confidence_min)) * 100).normalize():f} %"
