"""Who makes room for whom at the feed, without sockets."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gateway.config import Hl7FeedSection
from gateway.intake.hl7_feed.capacity import KEPT_AGAIN_S, SENDERS_MAX, NoPlace, Remembered, Senders, who_leaves

ENGINE, OTHER = "10.0.0.1", "10.0.0.2"
SETTINGS = Hl7FeedSection(connections_max=4, connections_per_address_max=3)


@dataclass
class Place:
    """A connection as the rules see it."""

    address: str
    opened_at: float
    idle_since: float | None = None
    has_sent: bool = False
    is_answering: bool = False


def senders(*addresses: str) -> Senders:
    known = Senders()
    for address in addresses:
        known.add(address, 0.0)
    return known


def test_while_there_is_room_nobody_leaves() -> None:
    assert who_leaves([Place(OTHER, n) for n in range(3)], ENGINE, senders(), SETTINGS) is None


def test_a_newcomer_takes_no_place_of_who_has_sent() -> None:
    places = [Place(ENGINE, n, idle_since=0.0, has_sent=True) for n in range(2)]
    places += [Place("10.0.0.3", n, idle_since=0.0, has_sent=True) for n in range(2)]
    with pytest.raises(NoPlace, match="connections_max"):
        who_leaves(places, OTHER, senders(ENGINE, "10.0.0.3"), SETTINGS)


def test_a_sender_takes_the_place_of_who_has_sent_nothing_before_that_of_the_longest_silent() -> None:
    silent = Place(ENGINE, 0.0, idle_since=1.0, has_sent=True)
    places = [silent, Place(OTHER, 5.0), Place(OTHER, 4.0), Place(OTHER, 6.0)]
    assert who_leaves(places, ENGINE, senders(ENGINE), SETTINGS) is places[2]
    settled = [silent, *(Place(OTHER, n, idle_since=2.0 + n, has_sent=True) for n in range(3))]
    assert who_leaves(settled, ENGINE, senders(ENGINE, OTHER), SETTINGS) is silent


def test_what_is_being_answered_is_not_cut_off() -> None:
    places = [Place(OTHER, n, is_answering=True) for n in range(4)]
    with pytest.raises(NoPlace):
        who_leaves(places, ENGINE, senders(ENGINE), SETTINGS)


def test_of_newcomers_the_address_with_the_most_gives_way() -> None:
    alone = Place(ENGINE, 0.0)
    places = [alone, *(Place(OTHER, 1.0 + n) for n in range(3))]
    assert who_leaves(places, "10.0.0.3", senders(), SETTINGS) is places[1]
    assert who_leaves(places, OTHER, senders(), SETTINGS) is places[1]  # at its own bound


def test_an_address_at_its_bound_whose_connections_are_all_busy_is_refused() -> None:
    places = [Place(ENGINE, n, has_sent=True) for n in range(3)]
    with pytest.raises(NoPlace, match="connections_per_address_max"):
        who_leaves(places, ENGINE, senders(ENGINE), SETTINGS)


def test_only_so_many_senders_are_remembered_those_of_late() -> None:
    known = senders(ENGINE, *(f"10.1.{n // 256}.{n % 256}" for n in range(SENDERS_MAX - 1)))
    known.add(ENGINE, 1.0)
    assert known.add(OTHER, 2.0) == Remembered(OTHER, ("10.1.0.0",))
    assert ENGINE in known
    assert OTHER in known
    assert "10.1.0.0" not in known


def test_senders_of_before_a_restart_are_no_strangers_and_the_latest_of_them_stay() -> None:
    known = Senders([OTHER, *(f"10.1.{n // 256}.{n % 256}" for n in range(SENDERS_MAX - 1)), ENGINE])
    assert ENGINE in known
    assert OTHER not in known


def test_a_sender_is_kept_at_its_first_message_and_then_not_at_every_one() -> None:
    known = Senders()
    assert known.add(ENGINE, 10.0) == Remembered(ENGINE)
    assert known.add(ENGINE, 20.0) is None
    assert known.add(ENGINE, 10.0 + KEPT_AGAIN_S) == Remembered(ENGINE)
    known.keep_again(ENGINE)
    assert known.add(ENGINE, 11.0 + KEPT_AGAIN_S) == Remembered(ENGINE)


@given(some.lists(some.integers(0, 20), max_size=200))
def test_whoever_comes_without_a_message_the_engine_keeps_its_connection(comers: list[int]) -> None:
    engine = Place(ENGINE, 0.0, idle_since=0.0, has_sent=True)
    open_now, known = [engine], senders(ENGINE)
    for at, comer in enumerate(comers, 1):
        address = f"10.0.0.{comer}"  # the engine's own among them
        try:
            leaving = who_leaves(open_now, address, known, SETTINGS)
        except NoPlace:
            continue
        if leaving is not None:
            open_now.remove(leaving)
        open_now.append(Place(address, float(at), idle_since=float(at) if comer % 2 else None))
        assert len(open_now) <= SETTINGS.connections_max
    assert engine in open_now
    who_leaves(open_now, ENGINE, known, SETTINGS)  # and finds a place for one more
