"""The feed over real sockets: framing, bounds, slow and broken senders, and python-hl7's own client."""

from __future__ import annotations

import logging
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import hl7
import pytest
from hl7.client import MLLPClient

from gateway.commands.check import check_all
from gateway.config import Config, DataSection, Hl7FeedSection
from gateway.errors import ConfigError, TryAgain
from gateway.intake.hl7_feed import Hl7Feed, is_feed
from gateway.service.app import Gateway
from gateway.store import Store
from tests.gateway.intake.hl7_feed.messages import PID, PV1, message

VT, FS_CR = b"\x0b", b"\x1c\r"
A08 = message("ADT^A08^ADT_A01", PID, PV1).encode()
QUICK_S = 0.3  # a limit that a test waits out


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(DataSection(folder=tmp_path / "data", reserve_mb=0)) as opened:
        yield opened


@contextmanager
def feed(store: Store, **settings: Any) -> Iterator[Hl7Feed]:
    door = Hl7Feed(Hl7FeedSection(enabled=True, port=0, **settings), store)
    door.start()
    try:
        yield door
    finally:
        door.stop()


def connect(door: Hl7Feed) -> socket.socket:
    return socket.create_connection(("127.0.0.1", door.port), 10)


def answer(sender: socket.socket) -> bytes:
    """The next whole answer; b"" where the other side hung up."""
    received = b""
    while not received.endswith(FS_CR):
        try:
            chunk = sender.recv(65536)
        except ConnectionResetError:
            return b""
        if not chunk:
            return b""
        received += chunk
    return received


def ask(sender: socket.socket, data: bytes) -> bytes:
    sender.sendall(VT + data + FS_CR)
    return answer(sender)


def number(n: int) -> bytes:
    """A message of a patient of that number."""
    return message("ADT^A08", f"PID|1||{n}^^^H^MR||Doe{n}^J").encode().replace(b"|C1|", f"|C{n}|".encode())


def test_a_yes_means_that_it_is_kept(store: Store) -> None:
    with feed(store) as door, connect(door) as sender:
        assert b"\rMSA|AA|C1\r" in ask(sender, A08)
        assert store.find_orders("müller", 5)[0].order.patient.patient_id == "4711"


def test_many_messages_come_on_one_connection_however_they_are_cut(store: Store) -> None:
    stream = b"".join(VT + number(n) + FS_CR + b"\r\n" * (n % 2) for n in range(20))
    with feed(store) as door, connect(door) as sender:
        for start in range(0, len(stream), 37):
            sender.sendall(stream[start : start + 37])
        received = b""
        while received.count(FS_CR) < 20:
            received += sender.recv(65536)
    assert [f"MSA|AA|C{n}\r".encode() in received for n in range(20)] == [True] * 20
    assert received.index(b"|C3\r") < received.index(b"|C4\r")
    assert store.patient_counts().patients == 20


def test_two_senders_are_served_at_once(store: Store) -> None:
    with feed(store) as door, connect(door) as first, connect(door) as second:
        first.sendall(VT + number(1)[:40])  # and stops in the middle
        assert b"|AA|C2" in ask(second, number(2))
        first.sendall(number(1)[40:] + FS_CR)
        assert b"|AA|C1" in answer(first)


def test_a_half_message_is_not_kept(store: Store) -> None:
    with feed(store) as door:
        with connect(door) as sender:
            sender.sendall(VT + A08)
        with connect(door) as other:
            assert b"|AA|" in ask(other, number(2))
        assert store.patient_counts().patients == 1


def test_a_sender_that_begins_anew_in_the_middle_is_understood(store: Store) -> None:
    with feed(store) as door, connect(door) as sender:
        assert b"|AA|C2" in ask(sender, number(1)[:50] + VT + number(2))
    assert [k.order.patient.patient_id for k in store.find_orders("doe", 5)] == ["2"]
    assert store.patient_counts().patients == 1


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", A08, b"\x00"])
def test_what_is_no_mllp_is_cut_off(store: Store, garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with feed(store) as door, connect(door) as sender:
        sender.sendall(garbage)
        assert answer(sender) == b""
        with connect(door) as other:
            assert b"|AA|" in ask(other, A08)
    assert "no MLLP" in caplog.text


def test_what_is_no_hl7_is_rejected_and_the_connection_goes_on(store: Store) -> None:
    with feed(store) as door, connect(door) as sender:
        assert b"MSA|AR||" in ask(sender, b"hello")
        assert b"MSA|AR||" in ask(sender, b"")
        assert b"MSA|AE|C1|" in ask(sender, message("ADT^A08").encode())
        assert b"MSA|AA|C1|not needed here" in ask(sender, message("ORU^R01").encode())
        assert b"|AA|" in ask(sender, A08)


def test_a_message_that_is_too_big_is_told_so_and_the_next_is_taken(store: Store) -> None:
    big = A08 + b"NTE|1||" + b"x" * 8_000 + b"\r"
    with feed(store, message_max_bytes=2000) as door, connect(door) as sender:
        reply = ask(sender, big)
        assert b"MSA|AE|C1|longer than the 2000 bytes" in reply
        assert b"|AA|" in ask(sender, A08)
        assert b"MSA|AE|C1|" in ask(sender, A08.ljust(2001, b"\r"))
        assert b"|AA|" in ask(sender, A08.ljust(2000, b"\r"))


def test_a_message_without_end_is_cut_off(store: Store) -> None:
    with feed(store, message_max_bytes=5000) as door, connect(door) as sender:
        with pytest.raises(OSError, match=r"reset|pipe"):  # as the system likes
            sender.sendall(VT + b"x" * 100_000_000)
        with connect(door) as other:
            assert b"|AA|" in ask(other, A08)


def test_a_slow_message_and_a_silent_connection_are_ended(store: Store) -> None:
    with feed(store, message_timeout_s=QUICK_S, idle_timeout_s=60) as door, connect(door) as slow:
        slow.sendall(VT + A08[:20])
        began = time.monotonic()
        assert answer(slow) == b""
        assert time.monotonic() - began < 30
    with feed(store, idle_timeout_s=2.0) as door, connect(door) as silent:
        assert b"|AA|" in ask(silent, A08)
        assert answer(silent) == b""


def test_one_more_than_allowed_takes_the_place_of_the_longest_silent(store: Store) -> None:
    with feed(store, connections_max=2) as door, connect(door) as first, connect(door) as second:
        assert b"|AA|" in ask(first, number(1))
        assert b"|AA|" in ask(second, number(2))
        with connect(door) as third:
            assert b"|AA|" in ask(third, number(3))
            assert answer(first) == b""
            assert b"|AA|" in ask(second, number(4))


def test_where_all_are_busy_one_more_is_refused(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with feed(store, connections_max=1) as door, connect(door) as busy:
        assert b"|AA|" in ask(busy, A08)  # who has sent nothing yet would make room
        busy.sendall(VT + A08[:30])
        until = time.monotonic() + 30
        while not any(one.idle_since is None for one in list(door._server._open)) and time.monotonic() < until:
            time.sleep(0.01)
        with connect(door) as other:
            assert answer(other) == b""
        busy.sendall(A08[30:] + FS_CR)
        assert b"|AA|" in answer(busy)
    assert "connections_max" in caplog.text


def reach(door: Hl7Feed, source: str) -> socket.socket:
    """A connection that comes from another address of this machine."""
    return socket.create_connection(("127.0.0.1", door.port), 10, source_address=(source, 0))


@pytest.mark.parametrize("says", [b"", VT, VT + A08[:40], b"\r\n"])
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_silent_connections_and_half_messages_do_not_push_the_engine_out(
    store: Store, says: bytes, source: str
) -> None:
    with feed(store) as door, connect(door) as engine, ExitStack() as crowd:
        assert b"|AA|" in ask(engine, number(1))
        for _ in range(60):
            with suppress(OSError):  # one that made room already
                crowd.enter_context(reach(door, source)).sendall(says)
        assert b"|AA|" in ask(engine, number(2))
        with connect(door) as anew:
            assert b"|AA|" in ask(anew, number(3))
        assert b"|AA|" in ask(engine, number(4))


def test_an_engine_that_comes_after_a_crowd_of_many_addresses_is_served(store: Store) -> None:
    with feed(store) as door, ExitStack() as crowd:
        for n in range(60):
            with suppress(OSError):
                crowd.enter_context(reach(door, f"127.0.1.{n % 12 + 1}")).sendall(VT + A08[:40])
        with connect(door) as engine:
            assert b"|AA|" in ask(engine, number(1))
            for n in range(60):
                crowd.enter_context(reach(door, f"127.0.2.{n % 12 + 1}"))
            assert b"|AA|" in ask(engine, number(2))


def test_an_engine_is_no_stranger_after_a_restart(tmp_path: Path) -> None:
    data = DataSection(folder=tmp_path / "data", reserve_mb=0)
    with Store.open(data) as before, feed(before) as door, reach(door, "127.0.0.2") as engine:
        assert b"|AA|" in ask(engine, number(1))
    with Store.open(data) as after, feed(after, connections_max=2) as door, ExitStack() as others:
        for n in (3, 4):  # all places are those of others that have sent
            assert b"|AA|" in ask(others.enter_context(reach(door, f"127.0.0.{n}")), number(n))
        with reach(door, "127.0.0.2") as engine:
            assert b"|AA|" in ask(engine, number(2))


def test_a_message_is_answered_though_its_sender_cannot_be_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unavailable(*_told: object) -> None:
        raise TryAgain("database_unavailable", "no answer")

    with feed(store) as door, connect(door) as engine:
        with monkeypatch.context() as patched:
            patched.setattr(store, "remember_feed_sender", unavailable)
            assert b"|AA|" in ask(engine, number(1))
            assert store.feed_senders(Hl7FeedSection().name) == []
        assert b"|AA|" in ask(engine, number(2))
    assert store.feed_senders(Hl7FeedSection().name) == ["127.0.0.1"]
    assert caplog.text.count("could not be remembered") == 1


def test_one_address_has_a_bound_of_its_own(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with feed(store, connections_per_address_max=2) as door, ExitStack() as opened:
        first, second = (opened.enter_context(reach(door, "127.0.0.2")) for _ in range(2))
        assert b"|AA|" in ask(first, number(1))
        third = opened.enter_context(reach(door, "127.0.0.2"))
        assert b"|AA|" in ask(third, number(3))
        assert answer(second) == b""
        assert b"|AA|" in ask(first, number(1))
    assert "which has sent nothing yet, makes room" in caplog.text


def test_a_newcomer_may_be_silent_for_less_long_than_a_sender(store: Store) -> None:
    newcomer_s = 3.0  # within it a sender's first message comes, also on a busy machine
    with feed(store, first_message_timeout_s=newcomer_s) as door, connect(door) as sender:
        assert b"|AA|" in ask(sender, A08)
        with reach(door, "127.0.0.2") as stranger, connect(door) as of_a_sender:
            assert answer(stranger) == b""
            time.sleep(newcomer_s)
            assert b"|AA|" in ask(sender, A08)
            assert b"|AA|" in ask(of_a_sender, A08)


def test_a_crowd_does_not_fill_the_log(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with feed(store) as door, ExitStack() as crowd:
        for _ in range(100):
            crowd.enter_context(connect(door))
        with connect(door) as sender:
            assert b"|AA|" in ask(sender, A08)
    assert caplog.text.count("makes room") == 1


@pytest.mark.parametrize("block", [b"\x06", b"\x15"])
def test_a_commit_block_of_mllp_release_2_is_no_message(store: Store, block: bytes) -> None:
    with feed(store) as door, connect(door) as sender:
        sender.sendall(VT + block + FS_CR)
        assert b"|AA|C1\r" in ask(sender, A08)


def test_a_byte_order_mark_before_or_in_a_block_is_skipped(store: Store) -> None:
    mark = b"\xef\xbb\xbf"
    with feed(store) as door, connect(door) as sender:
        sender.sendall(mark[:1])
        time.sleep(0.05)
        sender.sendall(mark[1:] + VT + A08 + FS_CR)
        assert b"|AA|C1\r" in answer(sender)
        assert b"|AA|C1\r" in ask(sender, mark + A08)
    assert store.patient_counts().patients == 1


def test_a_batch_is_answered_with_what_is_wrong(store: Store) -> None:
    with feed(store) as door, connect(door) as sender:
        assert b"MSA|AR||batches (FHS/BHS) are not taken" in ask(sender, b"FHS|^~\\&|KIS\r" + A08)
        assert b"MSA|AR|C1|batches (FHS/BHS) are not taken" in ask(sender, A08 + A08)
        assert b"MSA|AE|C1|a line that is no segment" in ask(sender, A08.replace(b"nne^M", b"n\rne^M"))
    assert store.patient_counts().patients == 0


def test_only_the_addresses_of_the_configuration_may_send(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with feed(store, addresses=("10.0.0.0/8", "192.0.2.1")) as door, connect(door) as stranger:
        assert answer(stranger) == b""
    assert "not in hl7_feed.addresses" in caplog.text
    with feed(store, addresses=("127.0.0.0/8",)) as door, connect(door) as sender:
        assert b"|AA|" in ask(sender, A08)


def test_a_store_that_fails_is_an_application_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise TryAgain("database_unavailable", "the database did not answer: Müller")

    with feed(store) as door, connect(door) as sender:
        monkeypatch.setattr(store, "apply_statements", fails)
        reply = ask(sender, A08)
        assert b"MSA|AE|C1|not kept (database_unavailable); send it again" in reply
        monkeypatch.undo()
        assert b"|AA|" in ask(sender, A08)


def test_a_stop_answers_what_is_being_kept_and_lets_nobody_in(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keep: Callable[..., None] = store.apply_statements

    keeping = threading.Event()

    def slowly(*arguments: Any) -> None:
        keeping.set()
        time.sleep(QUICK_S)
        keep(*arguments)

    monkeypatch.setattr(store, "apply_statements", slowly)
    with feed(store) as door:
        sender = connect(door)
        idle = connect(door)
        sender.sendall(VT + A08 + FS_CR)
        assert keeping.wait(30)
        port = door.port
    with closing(sender), closing(idle):
        assert b"|AA|C1" in answer(sender)
        assert answer(idle) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 2)


def test_nothing_of_a_patient_is_logged_or_answered(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bad = [
        message("ADT^A08", PID.replace("4711", "4711" * 20)),
        message("ADT^A40", PID),
        message("ADT^A08", PID, version="Müller"),
        message("Müller^4711", PID),
        message("ADT^A08", "PID|1||" + "Müller" * 1000),
        A08.decode(),
    ]
    with feed(store, message_max_bytes=4000) as door, connect(door) as sender:
        replies = b"".join(ask(sender, text.encode()) for text in bad)
        replies += ask(sender, A08.decode().encode("latin-1"))
        sender.sendall(b"Muller 4711")
        assert answer(sender) == b""
    told = caplog.text + replies.decode("utf-8", "replace").replace("|Müller\r", "").replace("ACK^4711", "")
    assert "AE" in told
    for secret in ("4711", "ller", "Änne", "19540131", "V-9"):
        assert secret not in told.replace("MSH|^~\\&|CARDIOSCAN|ECG|KIS|HOSP", "")


def test_a_taken_port_is_an_error_at_start(store: Store) -> None:
    with feed(store) as door, pytest.raises(OSError, match="in use"):
        Hl7Feed(Hl7FeedSection(enabled=True, port=door.port), store).start()


@pytest.mark.peer
def test_python_hl7s_own_client_is_understood_and_understands(store: Store) -> None:
    orm = message("ORM^O01", PID, "ORC|NW|P-1", "OBR|1|P-1||93000^ECG||||||||||||||ACC-7")
    with feed(store) as door, MLLPClient("127.0.0.1", door.port) as client:
        for text in (A08.decode(), orm, message("ADT^A40", PID, "MRG|815^^^HOSP^MR")):
            reply = hl7.parse(client.send_message(hl7.parse(text)).strip(VT + FS_CR))
            assert str(reply.segment("MSA")) == "MSA|AA|C1"
            assert str(reply.segment("MSH")[9][0][0]) == "ACK"
    first, second = store.find_orders("815", 5)
    assert (first.order.accession_number, first.order.patient.name) == ("ACC-7", "Müller^Änne^Maria^Dr.")
    assert second.what == "at 3W, room 12, bed B; formerly 815"


def config(tmp_path: Path, **settings: Any) -> Config:
    sections = {"data": {"folder": tmp_path / "data", "reserve_mb": 0}, "dicom_scp": {"port": 0}, "web": {"port": 0}}
    return Config.model_validate({**sections, "hl7_feed": {"enabled": True, **settings}})


@pytest.fixture
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.commands.check._weights", tuple)
    monkeypatch.setattr("gateway.commands.check.ASK_OURSELVES_S", 1.0)


@pytest.mark.usefixtures("_light")
def test_check_tells_a_running_feed_from_another_program_and_what_is_known(store: Store, tmp_path: Path) -> None:
    def lines(port: int) -> list[tuple[bool, str]]:
        found = check_all(config(tmp_path, port=port), peers=False)
        return [(line.ok, line.text) for line in found if line.what.startswith("HL7 feed")]

    with feed(store) as door, connect(door) as sender:
        ask(sender, A08)
        running, known = lines(door.port)
    assert running == (True, "taken by a listener that answers as one: the gateway is running")
    assert known[1].startswith("1 patients and 0 orders known; the last word is of 2026-")
    assert lines(0)[0] == (True, "can be listened on")
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert not lines(other.getsockname()[1])[0][0]


def test_the_gateway_opens_the_feed_and_forgets_what_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.service.app.FORGET_S", 0.05)
    sections = config(tmp_path, port=0).model_dump()
    sections["web"]["enabled"] = sections["dicom_scp"]["enabled"] = False
    gateway = Gateway(Config.model_validate(sections))
    monkeypatch.setattr(gateway._workers, "check", lambda: None)  # no worker: it would load the networks
    gateway.start()
    try:
        assert gateway.feed is not None
        with connect(gateway.feed) as sender:
            assert b"|AA|" in ask(sender, A08)
        assert gateway.store.patient_counts().patients == 1
        monkeypatch.setattr(gateway, "config", Config.model_validate({"hl7_feed": {"keep_days": 1}}))
        with sqlite3.connect(tmp_path / "data" / "cardioscan.sqlite3") as database:
            database.execute("UPDATE known_patients SET fresh_at = '2026-01-01T00:00:00.000000Z'")
        until = time.monotonic() + 30
        while gateway.store.patient_counts().patients and time.monotonic() < until:
            time.sleep(0.05)
        assert gateway.store.patient_counts().patients == 0
    finally:
        gateway.stop()


@pytest.mark.usefixtures("_light")
def test_a_gateway_whose_feed_has_no_port_says_so_and_does_not_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        sections = config(tmp_path, port=other.getsockname()[1]).model_dump()
        sections["web"]["enabled"] = sections["dicom_scp"]["enabled"] = False
        gateway = Gateway(Config.model_validate(sections))
        try:
            with pytest.raises(ConfigError, match="hl7_feed: 127"):
                gateway.start()
        finally:
            gateway.stop()


def test_a_port_that_is_silent_or_refuses_is_no_feed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Hl7FeedSection(port=other.getsockname()[1])
        assert not is_feed("127.0.0.1", settings, QUICK_S)
    assert not is_feed("127.0.0.1", settings, QUICK_S)
