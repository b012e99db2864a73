"""MLLP against an independent receiver and against peers that do everything wrong."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import hl7
import hl7.mllp
import pytest

from gateway.config import MllpDestination
from gateway.deliver.ack import AckError, control_id, read_ack
from gateway.deliver.mllp import ACK_MAX_BYTES, MllpClient
from gateway.deliver.reach import check_peer
from gateway.errors import Refused, TryAgain
from gateway.job import Document, DocumentKind

SECRET = "Muster^Eva"
PATIENCE_S = 20.0  # with a machine that does other things too
Serve = Callable[[socket.socket], None]


def message(number: str = "MSG1", filler: str = "") -> bytes:
    segments = [
        f"MSH|^~\\&|CARDIOSCAN|SITE|EHR|HOSP|20240131143000||ORU^R01^ORU_R01|{number}|P|2.5.1||||||UNICODE UTF-8",
        f"PID|1||4711^^^AA^MR||{SECRET}ä||19500101|F",
        f"OBX|1|ED|x||^TEXT^XML^Base64^{filler}||||||P",
    ]
    return "".join(segment + "\r" for segment in segments).encode()


def document(number: str = "MSG1", data: bytes | None = None) -> Document:
    return Document(DocumentKind.HL7V2, "ehr", number, 1, message(number) if data is None else data)


def ack(code: str = "AA", number: str = "MSG1", tail: str = "") -> bytes:
    header = "MSH|^~\\&|EHR|HOSP|CARDIOSCAN|SITE|2024||ACK|X1|P|2.5.1"
    return f"\x0b{header}\rMSA|{code}|{number}|{SECRET}\r{tail}\x1c\r".encode()


def read_message(connection: socket.socket) -> bytes:
    """One framed message, read until its end block; b"" when the client has gone."""
    received = b""
    while b"\x1c\r" not in received:
        chunk = connection.recv(65_536)
        if not chunk:
            return b""
        received += chunk
    return received


@contextmanager
def peer(serve: Serve) -> Iterator[int]:
    """A TCP server on loopback: each connection in its own thread goes to serve() and is then closed."""
    listener = socket.create_server(("127.0.0.1", 0))

    def handle(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client may hang up at any time
            serve(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield int(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)  # close alone leaves it open while the other thread waits in accept
    listener.close()


def answers(*packets: bytes, pause_s: float = 0.0) -> Serve:
    """A peer that answers every message with the same packets and keeps the connection."""

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while read_message(connection):
            for packet in packets:
                connection.sendall(packet)
                time.sleep(pause_s)

    return serve


@contextmanager
def client(port: int, **settings: Any) -> Iterator[MllpClient]:
    fields: dict[str, Any] = {"kind": "mllp", "name": "ehr", "host": "127.0.0.1", "timeout_s": 2.0}
    made = MllpClient(MllpDestination(port=port, **(fields | settings)))
    yield made
    made.close()


def outcome(serve: Serve, **settings: Any) -> str:
    """The response, or the code of the error with its bound: ``peer_error/3``."""
    with peer(serve) as port, client(port, **settings) as mllp:
        try:
            return mllp.send(document()).response
        except Refused as error:
            return f"refused {error.code}"
        except TryAgain as error:
            return f"again {error.code}" + (f"/{error.attempts_max}" if error.attempts_max else "")


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_an_acceptance_that_names_the_message_is_delivered(code: str) -> None:
    assert outcome(answers(ack(code))) == f"MSA|{code}|MSG1"


@pytest.mark.parametrize("code", ["AE", "AR"])
def test_an_answer_is_told_in_codes_and_without_the_peers_words(code: str) -> None:
    tail = "|Jane Doe is unknown\rERR||PID^1^3|204^Jane Doe^HL70357|E||||Jane Doe"
    told = pytest.raises((TryAgain, Refused))
    with peer(answers(ack(code, tail=tail))) as port, client(port) as mllp, told as error:
        mllp.send(document())
    assert error.value.answer == f"MSA|{code}|MSG1; 204 unknown key identifier at PID^1^3"


def test_the_number_of_another_message_is_not_told_on() -> None:
    told = pytest.raises(TryAgain, match="wrong_ack")
    with peer(answers(ack("AA", "Doe^Jane"))) as port, client(port) as mllp, told as error:
        mllp.send(document())
    assert error.value.answer == "MSA|AA"


@pytest.mark.parametrize("code", ["AE", "CE"])
def test_an_error_is_tried_again_a_bounded_number_of_times(code: str) -> None:
    assert outcome(answers(ack(code)), error_attempts_max=4) == "again peer_error/4"


@pytest.mark.parametrize("code", ["AR", "CR"])
def test_a_rejection_is_refused(code: str) -> None:
    assert outcome(answers(ack(code))) == "refused peer_rejected"


@pytest.mark.parametrize(
    "wrong",
    [
        ack(number="MSG2"),
        ack(number="MSG"),
        ack(number="MSG11"),
        ack(number="msg1"),
        ack(number=""),
        ack("AR", "MSG2"),  # somebody else's rejection rejects nothing of ours
        ack("AE", "MSG2"),
    ],
)
def test_an_acknowledgement_of_another_message_is_no_answer(wrong: bytes) -> None:
    assert outcome(answers(wrong)) == "again wrong_ack/3"


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_a_no_that_names_no_message_is_tried_again_a_bounded_number_of_times(code: str) -> None:
    assert outcome(answers(ack(code, ""))) == "again peer_error/3"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x0b\x1c\r",
        b"\x0bhello\x1c\r",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"MSH|^~\\&|no start byte\rMSA|AA|MSG1\r\x1c\r",
        b"\x0bMSH|^~\\&|X\r\x1c\r",
        b"\x0bMSA|AA|MSG1\r\x1c\r",
        b"\x0bMSH|^~\\&|X\rMSA\r\x1c\r",
        b"\x0bMSH|^~\\&|X\rMSA|OK|MSG1\r\x1c\r",
        b"\x0bMSH|^~\\&|X\rMSA|aa|MSG1\r\x1c\r",
        b"\x0bMSH|^~\\&|X\rMSA||MSG1\r\x1c\r",
        b"\x0bMSH\x1c\r",
        b"\x0b\xff\xfe\x00\x80\x1c\r",
    ],
)
def test_garbage_is_no_yes(garbage: bytes) -> None:
    assert outcome(answers(garbage)) == "again garbled_ack/3"


def test_an_endless_answer_is_cut_off() -> None:
    assert outcome(answers(b"\x0b" + b"A" * (ACK_MAX_BYTES + 65_536))) == "again garbled_ack/3"


@pytest.mark.parametrize("answered", ["MSG1   ", "  MSG1", "MSG1^1", "MSG1 ^ISO^1.2.3", "MSG1^"])
def test_blanks_and_components_around_the_number_do_not_count(answered: str) -> None:
    assert outcome(answers(ack(number=answered))) == "MSA|AA|MSG1"


def test_components_are_told_apart_by_the_answers_own_delimiter() -> None:
    answer = ack(number="MSG1$1").replace(b"^~", b"$~")
    assert outcome(answers(answer)) == "MSA|AA|MSG1"
    assert outcome(answers(ack(number="MSG1$1"))) == "again wrong_ack/3"


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\x0b", b"\x0b\x0b", b"\r\n", b"\r\n\xef\xbb\xbf\x0b\r\n"])
def test_what_stands_before_the_header_is_skipped(before: bytes) -> None:
    assert outcome(answers(b"\x0b" + before + ack()[1:])) == "MSA|AA|MSG1"


def test_a_byte_order_mark_before_the_block_is_skipped_however_it_is_cut() -> None:
    assert outcome(answers(b"\xef", b"\xbb", b"\xbf" + ack(), pause_s=0.02)) == "MSA|AA|MSG1"


@pytest.mark.parametrize(
    "odd",
    [
        ack().replace(b"\x1c\r", b"\x1c"),
        ack().replace(b"\r\x1c", b"\x1c"),
        ack().replace(b"\rMSA", b"\rERR||PID^1^5|0\rMSA"),
        ack().replace(b"\r", b"\r\n"),
        ack() + b"\r\n",
    ],
)
def test_odd_framing_of_a_yes_is_a_yes(odd: bytes) -> None:
    assert outcome(answers(odd)).startswith("MSA|AA|MSG1")


def test_a_yes_counts_although_the_peer_hangs_up_after_it() -> None:
    def serve(connection: socket.socket) -> None:
        read_message(connection)
        connection.sendall(ack())

    assert outcome(serve) == "MSA|AA|MSG1"


def test_an_error_twice_and_then_a_yes_is_delivered() -> None:
    codes = ["AE", "AE", "AA"]

    def serve(connection: socket.socket) -> None:
        while read_message(connection):
            connection.sendall(ack(codes.pop(0)))

    with peer(serve) as port, client(port) as mllp:
        for _ in range(2):
            with pytest.raises(TryAgain, match="peer_error"):
                mllp.send(document())
        assert mllp.send(document()).response == "MSA|AA|MSG1"


COMMIT, NO_COMMIT = b"\x0b\x06\x1c\r", b"\x0b\x15\x1c\r"


@pytest.mark.parametrize("packets", [(COMMIT, ack()), (COMMIT + ack(),)])
def test_a_peer_of_mllp_release_2_is_waited_for_and_told_that_its_answer_is_stored(packets: tuple[bytes, ...]) -> None:
    told: list[bytes] = []
    done = threading.Event()

    def serve(connection: socket.socket) -> None:
        read_message(connection)
        for packet in packets:
            connection.sendall(packet)
            time.sleep(0.02)
        told.append(read_message(connection))
        done.set()

    with peer(serve) as port, client(port) as mllp:
        assert mllp.send(document()).response == "MSA|AA|MSG1"
        assert done.wait(PATIENCE_S)
    assert told == [COMMIT]


def test_a_block_stored_by_release_2_and_never_acknowledged_is_bounded_like_an_error() -> None:
    assert outcome(answers(COMMIT), timeout_s=3) == "again no_ack_after_commit/3"  # within it the commit comes
    assert outcome(answers(NO_COMMIT)) == "again not_committed/3"
    assert outcome(answers(COMMIT, NO_COMMIT)) == "again not_committed/3"


def test_what_the_application_says_after_the_commit_answer_is_told() -> None:
    tail = f"ERR||PID^1^3|204^{SECRET}^HL70357|E\r"
    both = ack("CA") + ack("AE", tail=tail)
    with peer(answers(both)) as port, client(port) as mllp:
        assert mllp.send(document()).response == "MSA|CA|MSG1"
        (told,) = mllp.later()
        assert mllp.later() == []
    assert told.name == "MSG1"
    assert told.answer == "MSA|AE|MSG1; 204 unknown key identifier at PID^1^3"
    assert told.note == "taken (CA), and then the application answered AE: 204 unknown key identifier at PID^1^3"


def test_an_application_that_takes_its_time_is_told_apart_from_the_answer_to_the_next_message() -> None:
    """CA for the first; then, while the second is on its way, AR for the first, and AA for the second."""
    connections: list[int] = []

    def serve(connection: socket.socket) -> None:
        connections.append(1)
        read_message(connection)
        connection.sendall(ack("CA", "A"))
        read_message(connection)
        connection.sendall(ack("AR", "A"))
        time.sleep(0.05)
        connection.sendall(ack("AA", "B"))
        read_message(connection)

    with peer(serve) as port, client(port) as mllp:
        assert mllp.send(document("A")).response == "MSA|CA|A"
        assert mllp.is_listening
        assert mllp.later() == []
        assert mllp.send(document("B")).response == "MSA|AA|B"
        assert [(told.name, told.answer, bool(told.note)) for told in mllp.later()] == [("A", "MSA|AR|A", True)]
        assert not mllp.is_listening
    assert len(connections) == 1


def test_a_yes_of_the_application_after_the_commit_answer_is_no_trouble() -> None:
    said = threading.Event()

    def serve(connection: socket.socket) -> None:
        read_message(connection)
        connection.sendall(ack("CA"))
        said.wait(PATIENCE_S)
        connection.sendall(ack("AA"))
        read_message(connection)

    with peer(serve) as port, client(port) as mllp:
        assert mllp.send(document()).response == "MSA|CA|MSG1"
        said.set()
        until = time.monotonic() + PATIENCE_S
        while not (told := mllp.later()) and time.monotonic() < until:
            time.sleep(0.01)
        assert [(one.answer, one.note) for one in told] == [("MSA|AA|MSG1", "")]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_an_acknowledgement_with_foreign_line_ends_is_read(newline: bytes) -> None:
    assert outcome(answers(ack().replace(b"\r", newline))) == "MSA|AA|MSG1"


def test_an_acknowledgement_with_a_foreign_separator_is_read() -> None:
    assert outcome(answers(ack().replace(b"|", b"#"))) == "MSA|AA|MSG1"


def test_an_acknowledgement_in_single_bytes_is_read() -> None:
    whole = ack()
    assert outcome(answers(*(whole[i : i + 1] for i in range(len(whole))), pause_s=0.001)) == "MSA|AA|MSG1"


def test_an_acknowledgement_without_the_last_carriage_return_is_read() -> None:
    assert outcome(answers(ack()[:-1])) == "MSA|AA|MSG1"


def test_a_late_carriage_return_does_not_spoil_the_next_message() -> None:
    numbers: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while received := read_message(connection):
            numbers.append(control_id(received[1:]))
            connection.sendall(ack(number=numbers[-1].decode())[:-1])
            time.sleep(0.05)
            connection.sendall(b"\r")

    with peer(serve) as port, client(port) as mllp:
        for number in ("A", "B"):
            assert mllp.send(document(number)).response.startswith("MSA|AA|")
            time.sleep(0.1)
        assert mllp.send(document("C")).response.startswith("MSA|AA|")
    assert numbers == [b"A", b"B", b"C"]


def test_silence_times_out_and_hangs_up() -> None:
    hung_up = threading.Event()

    def serve(connection: socket.socket) -> None:
        read_message(connection)
        connection.settimeout(PATIENCE_S)
        if connection.recv(1) == b"":
            hung_up.set()

    assert outcome(serve, timeout_s=0.3) == "again timeout"
    assert hung_up.wait(PATIENCE_S)


def test_a_slow_drip_does_not_hold_the_queue_for_ever() -> None:
    start = time.monotonic()
    assert outcome(answers(b"\x0b", *([b"M"] * 1000), pause_s=0.05), timeout_s=0.3) == "again timeout"
    assert time.monotonic() - start < PATIENCE_S  # the drip goes on for fifty seconds and more


@pytest.mark.parametrize("part", [b"", b"\x0b", b"\x0bMSH|^~\\&|X\rMSA|AA|MSG1\r"])
def test_a_peer_that_closes_before_the_end_of_its_answer_is_no_yes(part: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        read_message(connection)
        connection.sendall(part)

    assert outcome(serve) == "again connection_closed"


def test_a_peer_that_does_not_read_is_no_yes() -> None:
    big = document(data=message(filler="A" * 30_000_000))
    given_up = threading.Event()
    with (
        peer(lambda _: given_up.wait(4 * PATIENCE_S) and None) as port,
        client(port, timeout_s=0.3, message_max_bytes=40_000_000) as mllp,
    ):
        start = time.monotonic()
        with pytest.raises(TryAgain, match="timeout"):
            mllp.send(big)
        assert time.monotonic() - start < 2 * PATIENCE_S
        given_up.set()


def test_a_late_answer_is_never_taken_for_the_next_messages() -> None:
    """The peer answers the first message after our timeout, with the same bytes that a retry would hope for."""

    given_up, answered = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        read_message(connection)
        given_up.wait(PATIENCE_S)
        try:
            connection.sendall(ack(number="MSG1"))
        finally:
            answered.set()
        read_message(connection)

    with peer(serve) as port, client(port, timeout_s=0.2) as mllp:
        with pytest.raises(TryAgain, match="timeout"):
            mllp.send(document("MSG1"))
        given_up.set()
        assert answered.wait(PATIENCE_S)
        given_up.clear()
        with pytest.raises(TryAgain, match="timeout"):
            mllp.send(document("MSG2"))
        given_up.set()


def test_a_second_answer_is_not_taken_for_the_next_messages() -> None:
    connections: list[int] = []

    def serve(connection: socket.socket) -> None:
        connections.append(1)
        while received := read_message(connection):
            number = control_id(received[1:]).decode()
            connection.sendall(ack("CA", number) + ack("AR", "MSG2"))  # as in enhanced mode, all at once

    with peer(serve) as port, client(port) as mllp:
        assert mllp.send(document("MSG1")).response == "MSA|CA|MSG1"
        assert mllp.send(document("MSG2")).response == "MSA|CA|MSG2"
    assert len(connections) == 2


def test_an_unasked_answer_between_messages_drops_the_connection() -> None:
    connections: list[int] = []
    taken, unasked = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        connections.append(1)
        while received := read_message(connection):
            connection.sendall(ack("AA", control_id(received[1:]).decode()))
            taken.wait(PATIENCE_S)
            connection.sendall(ack("AR", "MSG2"))
            unasked.set()

    with peer(serve) as port, client(port) as mllp:
        assert mllp.send(document("MSG1")).response.startswith("MSA|AA|")
        taken.set()
        assert unasked.wait(PATIENCE_S)
        assert mllp.send(document("MSG2")).response.startswith("MSA|AA|")
    assert len(connections) == 2


def test_one_connection_carries_many_messages_and_is_reopened_after_the_peer_closed_it() -> None:
    connections: list[int] = []
    closed = threading.Event()

    def serve(connection: socket.socket) -> None:
        connections.append(1)
        for _ in range(3):
            received = read_message(connection)
            connection.sendall(ack(number=control_id(received[1:]).decode()))
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    with peer(serve) as port, client(port) as mllp:
        for number in range(6):
            assert mllp.send(document(f"N{number}")).response.startswith("MSA|AA|")
            if number == 2:
                assert closed.wait(PATIENCE_S)
    assert len(connections) == 2


def test_the_bytes_on_the_wire_are_the_message_in_its_frame() -> None:
    got: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        got.append(read_message(connection))
        connection.sendall(ack())

    assert outcome(serve) == "MSA|AA|MSG1"
    assert got == [b"\x0b" + message() + b"\x1c\r"]


def test_a_retry_sends_the_same_bytes() -> None:
    got: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        got.append(read_message(connection))
        if len(got) > 1:
            connection.sendall(ack())

    with peer(serve) as port, client(port) as mllp:
        with pytest.raises(TryAgain):
            mllp.send(document())
        assert mllp.send(document()).response.startswith("MSA|AA|")
    assert got[0] == got[1]


def test_a_closed_port_and_an_unknown_host_are_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    with client(port) as mllp, pytest.raises(TryAgain, match=f"nothing listens on 127.0.0.1:{port}"):
        mllp.send(document())
    with client(1, host="no-such-host.invalid") as mllp, pytest.raises(TryAgain, match="unknown_host"):
        mllp.send(document())


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("message_too_large", message(filler="A" * 5000)),
        ("framing_in_message", message() + b"NTE|\x1c\r"),
        ("framing_in_message", b"\x0b" + message()),
        ("no_control_id", b"MSH|^~\\&|A|B|C|D|2024||ORU||P\r"),
        ("no_control_id", b"MSH|^~\\&|A\rPID|1\r"),
        ("no_control_id", b"<xml/>"),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused_before_a_connection(code: str, data: bytes) -> None:
    with client(1, message_max_bytes=5000) as mllp, pytest.raises(Refused, match=code):
        mllp.send(document(data=data))


def test_another_kind_of_document_is_refused() -> None:
    with client(1) as mllp, pytest.raises(Refused, match="wrong_kind"):
        mllp.send(Document(DocumentKind.AECG, "ehr", "x", 1, b"<x/>"))


def test_codes_and_places_are_told_and_free_text_is_not(caplog: pytest.LogCaptureFixture) -> None:
    errors = (
        f"ERR||PID^1^3|101^{SECRET}^HL70357|E|||{SECRET}|{SECRET}\r"
        f"ERR||{SECRET}|207\r"
        f"ERR|{SECRET}\r"
        f"ERR||OBX^2^5|{SECRET}\r"
    )
    with (
        caplog.at_level(logging.DEBUG),
        peer(answers(ack("AE", tail=errors))) as port,
        client(port) as mllp,
        pytest.raises(TryAgain) as caught,
    ):
        mllp.send(document())
    why = caught.value.why
    assert why == (
        "the peer answered AE: 101 required field missing at PID^1^3; 207 application internal error; OBX^2^5"
    )
    assert SECRET not in caplog.text


def test_reading_an_acknowledgement_says_what_is_missing() -> None:
    with pytest.raises(AckError, match="does not begin with MSH"):
        read_ack(b"PID|1")
    assert read_ack(b"MSH|^~\\&|X\rMSA|AA").control_id == b""


def test_check_opens_the_port_and_sends_nothing() -> None:
    got: list[bytes] = []
    done = threading.Event()

    def serve(connection: socket.socket) -> None:
        got.append(connection.recv(10))
        done.set()

    with peer(serve) as port, client(port) as mllp:
        report = check_peer(mllp.config)
        assert (report.ok, report.kind, report.address) == (True, "mllp", f"127.0.0.1:{port}")
        assert done.wait(PATIENCE_S)
    assert got == [b""]
    with client(port) as mllp:
        assert check_peer(mllp.config).text == f"nothing listens on 127.0.0.1:{port}"


class PythonHl7:
    """python-hl7's asyncio receiver: parses every message and acknowledges it with its own code."""

    def __init__(self) -> None:
        self.received: list[hl7.Message] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await hl7.mllp.start_hl7_server(self._handle, "127.0.0.1", 0, limit=20_000_000, encoding="utf-8")
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _handle(self, reader: Any, writer: Any) -> None:
        try:
            while True:
                received = await reader.readmessage()
                self.received.append(received)
                writer.writemessage(received.create_ack())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)


@pytest.fixture
def python_hl7() -> Iterator[PythonHl7]:
    receiver = PythonHl7()
    yield receiver
    receiver.stop()


def test_an_independent_receiver_takes_small_and_large_messages(python_hl7: PythonHl7) -> None:
    large = message("LARGE", "QUJD" * 500_000)  # 2 MB
    with client(python_hl7.port, timeout_s=20) as mllp:
        for number in range(20):
            assert mllp.send(document(f"S{number}")).response.startswith("MSA|AA|")
        assert mllp.send(document("LARGE", large)).response.startswith("MSA|AA|")
    assert [str(m.segment("MSH")[10]) for m in python_hl7.received] == [*(f"S{n}" for n in range(20)), "LARGE"]
    assert str(python_hl7.received[-1]).rstrip("\r") == large.decode().rstrip("\r")
