"""How long an association may go without a C-STORE, and how slowly it may send one."""

from __future__ import annotations

import time

from gateway.config import DicomScpSection


class Pace:
    """Watches one association, in the thread that reads its socket.

    Only the time that we wait for the sender counts against its rate: a slow disk of ours is not its fault.
    """

    def __init__(self, settings: DicomScpSection) -> None:
        self._store_within_s = settings.store_within_s
        self._rate_min_bytes_s = settings.receive_rate_min_bytes_s
        self._window_s = settings.network_timeout_s
        self._rests_since = time.monotonic()
        self._is_receiving = False
        self._bytes = 0
        self._waited_s = 0.0

    def begin(self) -> None:
        """An object begins to come."""
        self._is_receiving, self._bytes, self._waited_s = True, 0, 0.0

    def rest(self) -> None:
        """An object is here."""
        self._is_receiving, self._rests_since = False, time.monotonic()

    def count(self, received_bytes: int, waited_s: float) -> None:
        """So many bytes have come, after so long a wait."""
        self._bytes += received_bytes
        self._waited_s += waited_s

    def fault(self) -> str:
        """Why the association must end, "" while it may go on."""
        if not self._is_receiving:
            is_over = time.monotonic() - self._rests_since > self._store_within_s
            return f"no C-STORE for {self._store_within_s:g} s (store_within_s)" if is_over else ""
        if self._waited_s < self._window_s:
            return ""
        rate_bytes_s = self._bytes / self._waited_s
        self._bytes, self._waited_s = 0, 0.0
        if rate_bytes_s >= self._rate_min_bytes_s:
            return ""
        return f"its object comes at {rate_bytes_s:.0f} bytes a second (receive_rate_min_bytes_s)"
