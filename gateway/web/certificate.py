"""How long the window's certificate is still good."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates

SECONDS_A_DAY = 86_400.0


def days_left(path: Path) -> float | None:
    """Days until the first certificate of a PEM file to expire does so; None where the file cannot be read."""
    try:
        certificates = load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return None
    ends = min(each.not_valid_after_utc for each in certificates)
    return (ends - datetime.now(UTC)).total_seconds() / SECONDS_A_DAY
