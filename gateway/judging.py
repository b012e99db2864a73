"""What holds a page for a person before any rule is asked."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config import Config
from gateway.order import Order
from pipeline.recording import Recording, Severity


def held_before_rules(config: Config, order: Order, recording: Recording) -> Iterator[str]:
    """Why a person would have to look at a page whatever the rules say; as the worker decides it."""
    if recording.confidence < config.pipeline.confidence_min:
        least = confidence_min_in_words(config)
        yield f"confidence {recording.confidence_in_words} is below pipeline.confidence_min {least}"
    for finding in recording.findings:
        if finding.severity == Severity.ERROR:
            yield f"{finding.code}: {finding.detail}" if finding.detail else finding.code
    for key in config.identity.require:
        if not getattr(order.patient if hasattr(order.patient, key) else order, key):
            yield f"no {key.replace('_', ' ')}, which identity.require asks for"


def confidence_min_in_words(config: Config) -> str:
    """The threshold with two places, or as exactly as it was written."""
    least = config.pipeline.confidence_min
    return f"{least:.2f}" if round(least, 2) == least else str(least)
