"""Writes down who looked at what, once for looks that are one to a person: a browser asks in many small requests."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from gateway.store import Store

ONE_LOOK_S = 60.0  # a page that draws itself anew, or an image at another zoom, is still the same look
REMEMBERED = 10_000


class Looks:
    """The looks of the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._at: OrderedDict[tuple[int, str, str, str], float] = OrderedDict()

    def write_down(self, store: Store, actor: str, job_id: str, what: str) -> None:
        """Puts a look into the audit before anything is shown, unless it stands there already. Raises NotFound."""
        key = (id(store), actor, job_id, what)
        with self._lock:
            if self._clock() - self._at.get(key, -ONE_LOOK_S) < ONE_LOOK_S:
                return
        store.looked(actor, job_id, what)
        with self._lock:
            self._at[key] = self._clock()
            self._at.move_to_end(key)
            while len(self._at) > REMEMBERED:
                self._at.popitem(last=False)

    def forget(self) -> None:
        """As if nobody had looked."""
        with self._lock:
            self._at.clear()


looks = Looks()
