"""Writes down who looked at what, once for looks that are one to a person: a browser asks in many small requests."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from gateway.store import JobQuery, Store

ONE_LOOK_S = 60.0  # a page that draws itself anew, or an image at another zoom, is still the same look
# A worklist that stands open asks again with every event, every two seconds in a busy house: the same rows are the same
# look for so long. A row that was not there before is told at once, so nobody's name is seen without an entry, and
# there are at most as many entries as jobs that come into view.
ONE_LIST_S = 300.0
REMEMBERED = 10_000
LISTS_REMEMBERED = 1000  # of up to 200 jobs each; of those that match before a bulk action, up to 1000

Access = tuple[str, str, str, str]  # who, at which job, at what of it, and as it was read
Question = tuple[str, ...]  # who, at which job or "", at what list, and how it was asked for


@dataclass
class _Listed:
    """A list that was answered: when its looks began to count, and the jobs that were told since."""

    at: float
    job_ids: set[str] = field(default_factory=set)


@dataclass
class _ListAccess:
    """The looks of one store's window, the last one last."""

    accesses: OrderedDict[Access, float] = field(default_factory=OrderedDict)
    lists: OrderedDict[Question, _Listed] = field(default_factory=OrderedDict)


class AccessLog:
    """The looks of the last minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stores: WeakKeyDictionary[Store, _ListAccess] = WeakKeyDictionary()

    def write_down(self, store: Store, actor: str, job_id: str, what: str, recording: str = "") -> None:
        """Puts a look into the audit before anything is shown, unless it stands there already. Raises NotFound.

        recording: SHA-256 of what was read, where that is shown: an approval asks which reading somebody saw.
        """
        access = (actor, job_id, what, recording)
        with self._lock:
            at = self._stores.setdefault(store, _ListAccess()).accesses
            if self._clock() - at.get(access, -ONE_LOOK_S) < ONE_LOOK_S:
                return
        store.record_access(actor, job_id, what, recording)
        with self._lock:
            at[access] = self._clock()
            at.move_to_end(access)
            while len(at) > REMEMBERED:
                at.popitem(last=False)

    def write_down_list(
        self,
        store: Store,
        actor: str,
        what: str,
        text: str,
        job_ids: Iterable[str],
        job_id: str = "",
        question: Iterable[object] = (),
        rows: int | None = None,
    ) -> None:
        """The same for an answer that names many jobs: one entry with their ids, none for rows told already.

        text: the question in the audit's words, which name no patient. question: all that makes it another question;
        it stays in memory. job_id: the job whose page the list belongs to. rows: how many were shown, where some are no
        jobs.
        """
        shown = tuple(job_ids)
        key: Question = (actor, job_id, what, text, *map(str, question))
        with self._lock:
            lists = self._stores.setdefault(store, _ListAccess()).lists
            earlier = lists.get(key)
            again = earlier is not None and self._clock() - earlier.at < ONE_LIST_S
            written = earlier.job_ids if earlier is not None and again else set()
            fresh = [each for each in shown if each not in written]
            if again and not fresh:
                return
        store.record_access_to_many(actor, what, text, len(shown) if rows is None else rows, fresh, job_id)
        with self._lock:
            if earlier is None or not again:
                lists[key] = earlier = _Listed(self._clock())
            earlier.job_ids.update(fresh)
            lists.move_to_end(key)
            while len(lists) > LISTS_REMEMBERED:
                lists.popitem(last=False)

    def forget(self) -> None:
        """As if nobody had looked."""
        with self._lock:
            self._stores.clear()


accesses = AccessLog()


def query_text(query: JobQuery) -> str:
    """A question to the worklist as the audit tells it.

    That a patient, words or a sender were asked for is told, and not which: people type a patient into any field, the
    audit is handed out, and even a hash of a short number is undone by trying them all. Whom it found is in the ids.
    """
    plain = (
        ("state", query.state),
        ("door", query.door),
        ("from", query.received_from and query.received_from.isoformat()),
        ("to", query.received_to and query.received_to.isoformat()),
        ("confidence_max", query.confidence_max),
    )
    parts = [f"{name}={value}" for name, value in plain if value not in (None, "")]
    hidden_texts = (("sender", query.sender), ("patient", query.patient), ("words", query.words))
    hidden = [name for name, value in hidden_texts if value]
    return ", ".join([*parts, *(f"{name} given" for name in hidden)]) or "all"
