"""Writes down who looked at what, once for looks that are one to a person: a browser asks in many small requests."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakKeyDictionary

from gateway.store import Store

Look = tuple[str, str, str]  # who, at which job, at what of it

ONE_LOOK_S = 60.0  # a page that draws itself anew, or an image at another zoom, is still the same look
REMEMBERED = 10_000


class Looks:
    """The looks of the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stores: WeakKeyDictionary[Store, OrderedDict[Look, float]] = WeakKeyDictionary()

    def write_down(self, store: Store, actor: str, job_id: str, what: str) -> None:
        """Puts a look into the audit before anything is shown, unless it stands there already. Raises NotFound."""
        look = (actor, job_id, what)
        with self._lock:
            at = self._stores.setdefault(store, OrderedDict())
            if self._clock() - at.get(look, -ONE_LOOK_S) < ONE_LOOK_S:
                return
        store.looked(actor, job_id, what)
        with self._lock:
            at[look] = self._clock()
            at.move_to_end(look)
            while len(at) > REMEMBERED:
                at.popitem(last=False)

    def forget(self) -> None:
        """As if nobody had looked."""
        with self._lock:
            self._stores.clear()


looks = Looks()
