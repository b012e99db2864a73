"""TOML -> frozen models, once, at start. An unknown key is an error that names the nearest known one."""

from gateway.config.checks import check_config, contradictions
from gateway.config.loader import load, loads
from gateway.config.models import (
    Backoff,
    Condition,
    Config,
    DataSection,
    Destination,
    DicomDestination,
    DicomScpSection,
    FaxInboxSection,
    FolderDestination,
    IdentitySection,
    LimitsSection,
    LoggingSection,
    MllpDestination,
    PipelineSection,
    RoutingSection,
    Rule,
    Section,
    WorkerSection,
)

__all__ = [
    "Backoff",
    "Condition",
    "Config",
    "DataSection",
    "Destination",
    "DicomDestination",
    "DicomScpSection",
    "FaxInboxSection",
    "FolderDestination",
    "IdentitySection",
    "LimitsSection",
    "LoggingSection",
    "MllpDestination",
    "PipelineSection",
    "RoutingSection",
    "Rule",
    "Section",
    "WorkerSection",
    "check_config",
    "contradictions",
    "load",
    "loads",
]
