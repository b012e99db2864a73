"""Who gets a place at the feed: an address that has sent messages is not pushed out by one that only connects."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol, TypeVar

from gateway.config import Hl7FeedSection

SENDERS_MAX = 256  # addresses that are remembered; a hospital has a handful of engines
KEPT_AGAIN_S = 3600.0  # an engine sends all day, and who sent last need be known to the hour only


class Placed(Protocol):
    """An open connection. has_sent: a whole message was answered. idle_since: None within a message."""

    address: str
    opened_at: float
    idle_since: float | None
    has_sent: bool
    is_answering: bool


P = TypeVar("P", bound=Placed)


class NoPlace(Exception):
    """Nobody can make room; the text names the key of the configuration that allows no more."""


@dataclass(frozen=True)
class Remembered:
    """What a message changes in what must be kept. forgotten: the addresses that made room for this one."""

    address: str
    forgotten: tuple[str, ...] = ()


class Senders:
    """The addresses that have sent a message, those of late. kept: from before a restart, who sent last comes last."""

    def __init__(self, kept: Iterable[str] = ()) -> None:
        self._kept_at: OrderedDict[str, float] = OrderedDict((address, -KEPT_AGAIN_S) for address in kept)
        self._lock = Lock()
        while len(self._kept_at) > SENDERS_MAX:
            self._kept_at.popitem(last=False)

    def add(self, address: str, now_s: float) -> Remembered | None:
        """This address has sent one. What must be kept for a restart; None where that was kept of late.

        now_s: monotonic seconds.
        """
        with self._lock:
            kept_at = self._kept_at.get(address, -KEPT_AGAIN_S)
            due = now_s - kept_at >= KEPT_AGAIN_S
            self._kept_at[address] = now_s if due else kept_at
            self._kept_at.move_to_end(address)
            forgotten = [self._kept_at.popitem(last=False)[0] for _ in range(len(self._kept_at) - SENDERS_MAX)]
            return Remembered(address, tuple(forgotten)) if due else None

    def keep_again(self, address: str) -> None:
        """What add said of this address could not be kept: it is said again with the next message."""
        with self._lock:
            if address in self._kept_at:
                self._kept_at[address] = -KEPT_AGAIN_S

    def __contains__(self, address: object) -> bool:
        return address in self._kept_at


def who_leaves(places: Sequence[P], address: str, senders: Senders, settings: Hl7FeedSection) -> P | None:
    """The connection that makes room for one more from this address; None where there is room.

    First who has sent nothing, from an address that has sent nothing: of the address with the most of them the one
    that came first, so that one address cannot push another's out by their number. For a sender also its own kind,
    the longest silent: an engine behind a firewall that forgot its connections comes anew, and its old ones must not
    keep it out. An address at its own bound replaces one of its own.

    Raises NoPlace.
    """
    own = [one for one in places if one.address == address]
    if len(own) >= settings.connections_per_address_max:
        return _first(_newcomers(own) or _silent(own), "connections_per_address_max")
    if len(places) < settings.connections_max:
        return None
    strangers = [one for one in _newcomers(places) if one.address not in senders]
    per_address = Counter(one.address for one in strangers)
    most = [one for one in strangers if per_address[one.address] == max(per_address.values())]
    if address in senders:
        most = most or _newcomers(places) or _silent(places)
    return _first(most, "connections_max")


def _newcomers(places: Sequence[P]) -> list[P]:
    """Those that have sent nothing yet, half a message at most; who came first stands first."""
    found = [one for one in places if not one.has_sent and not one.is_answering]
    return sorted(found, key=lambda one: one.opened_at)


def _silent(places: Sequence[P]) -> list[P]:
    """Those between two messages, the longest silent first."""
    found = [(since, place) for place, one in enumerate(places) if (since := one.idle_since) is not None]
    return [places[place] for _, place in sorted(found)]


def _first(places: Sequence[P], key: str) -> P:
    if not places:
        raise NoPlace(f"hl7_feed.{key} are busy")
    return places[0]
