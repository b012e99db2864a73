"""How one destination wants its messages."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config import MllpDestination


@dataclass(frozen=True)
class Addressing:
    """How one destination wants its messages. Applications and facilities may be HD: ``NAME^1.2.3^ISO``."""

    name: str
    version: str = "2.5.1"
    sending_application: str = "CARDIOSCAN"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    character_set: str = "UNICODE UTF-8"
    message_max_bytes: int = 4_000_000

    @classmethod
    def of(cls, destination: MllpDestination) -> Addressing:
        """What the configuration says about a destination."""
        return cls(
            destination.name,
            destination.version,
            destination.sending_application,
            destination.sending_facility,
            destination.receiving_application,
            destination.receiving_facility,
            destination.character_set,
            destination.message_max_bytes,
        )
