"""The window answers people while others hold hundreds of connections and say nothing, or hardly anything."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.web.connections import Connection
from tests.gateway.web.test_process import PATIENCE_S, certificate, served

__all__ = ["certificate"]

MANY = 500
PERSON_WAITS_MAX_S = 2.0
HEAD = b"GET /login HTTP/1.1\r\nhost: localhost\r\n"


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    """Both ends of every connection are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connected(port: int, number: int = 0) -> socket.socket:
    """From one of a hundred addresses of this machine, or from the usual one."""
    source = f"127.0.1.{1 + number % 100}" if number else "127.0.0.1"
    return socket.create_connection(("127.0.0.1", port), 10, (source, 0))


def closed(connection: socket.socket, within_s: float) -> bool:
    connection.settimeout(within_s)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def ends(connections: list[socket.socket], expected: list[bool]) -> bool:
    """Whether in the end just these are closed, and stay the only ones."""
    for _ in range(60):
        time.sleep(0.5)
        if [closed(one, 0.05) for one in connections] == expected:
            return [closed(one, 0.05) for one in connections] == expected
    return False


def asks(port: int, path: str = "/login", pem: Path | None = None) -> float:
    """How long a person waits for an answer, on a new connection."""
    began = time.monotonic()
    trust: Any = ssl.create_default_context(cafile=str(pem)) if pem else True
    scheme = "https" if pem else "http"
    answer = httpx2.get(f"{scheme}://localhost:{port}{path}", verify=trust, timeout=PATIENCE_S)
    assert answer.status_code == 200
    return time.monotonic() - began


@contextmanager
def dripping(connections: list[socket.socket]) -> Iterator[None]:
    """A header's byte from everybody every half second."""
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.5):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.send(b"x")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("many_addresses", [False, True], ids=["one address", "a hundred"])
@pytest.mark.parametrize("said", [b"", b"G", HEAD + b"x: "], ids=["nothing", "a byte", "half a head"])
def test_a_person_is_answered_beside_500_silent_or_dripping_connections(
    tmp_path: Path, said: bytes, many_addresses: bool
) -> None:
    with served(tmp_path / "data") as port, ExitStack() as stack:
        asks(port)  # everything lazy is loaded
        held = []
        for number in range(MANY):
            held.append(stack.enter_context(connected(port, number + 1 if many_addresses else 0)))
            held[-1].sendall(said)
        with dripping(held if said else []):
            for _ in range(4):
                assert asks(port) < PERSON_WAITS_MAX_S
                assert asks(port, "/healthz") < PERSON_WAITS_MAX_S


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half a hello"])
def test_a_person_is_answered_beside_500_connections_without_a_tls_handshake(
    tmp_path: Path, certificate: tuple[Path, Path], said: bytes
) -> None:
    pem, key = certificate
    with served(tmp_path / "data", tls_certificate=pem, tls_key=key) as port, ExitStack() as stack:
        asks(port, pem=pem)
        for number in range(MANY):
            stack.enter_context(connected(port, number + 1)).sendall(said)
        for _ in range(4):
            assert asks(port, pem=pem) < PERSON_WAITS_MAX_S
            assert asks(port, "/healthz", pem) < PERSON_WAITS_MAX_S


def test_a_request_has_a_time_for_its_head_however_it_drips_and_an_idle_browser_too(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    pem, key = certificate
    with served(tmp_path / "data", request_within_s=4) as port, ExitStack() as stack:
        silent, drips, second = (stack.enter_context(connected(port)) for _ in range(3))
        drips.sendall(HEAD)
        second.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert second.recv(12) == b"HTTP/1.1 200"
        second.sendall(HEAD)  # a second request on the same connection, of which the end never comes
        began = time.monotonic()
        with dripping([drips, second]):
            for connection in (silent, drips):
                assert closed(connection, 30)
            assert closed_after_rest(second)
        assert time.monotonic() - began < 60  # the drip goes on for as long as they are open
    tls: dict[str, Any] = {"tls_certificate": pem, "tls_key": key}
    with served(tmp_path / "data", request_within_s=1.5, **tls) as port, connected(port) as connection:
        connection.sendall(b"\x16\x03\x01")
        assert closed(connection, 30)


def closed_after_rest(connection: socket.socket) -> bool:
    """Whether a connection is closed once what came before has been read."""
    connection.settimeout(30)
    with contextlib.suppress(ConnectionError):
        while connection.recv(4096):
            pass
    return True


def test_of_one_address_those_go_that_wait_longest_and_a_proxys_do_not_count(tmp_path: Path) -> None:
    for proxy in (False, True):
        settings = {"behind_proxy": proxy, "connections_per_address_max": 5}
        with served(tmp_path / f"data {proxy}", **settings) as port, ExitStack() as stack:
            asks(port, "/healthz")
            held = [stack.enter_context(connected(port)) for _ in range(12)]
            assert ends(held, [not proxy and number < 7 for number in range(12)])


def test_beyond_all_places_who_waits_longest_goes_wherever_from(tmp_path: Path) -> None:
    with served(tmp_path / "data", connections_max=20) as port, ExitStack() as stack:
        held = [stack.enter_context(connected(port, number + 1)) for number in range(30)]
        assert ends(held, [number < 10 for number in range(30)])
        assert asks(port) < PERSON_WAITS_MAX_S


def test_a_body_that_stops_and_an_answer_that_is_not_read_are_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.connections.SILENT_S", 1.0)
    with served(tmp_path / "data") as port, connected(port) as connection:
        form = b"content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nname="
        connection.sendall(HEAD.replace(b"GET", b"POST") + form)
        assert closed(connection, 30)


def test_when_all_places_are_worked_on_others_are_told_and_health_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who post to /login and whose body is being waited for take a place of work."""
    with served(tmp_path / "data", connections_max=10) as port, ExitStack() as stack:
        asks(port)
        for number in range(9):
            connection = stack.enter_context(connected(port, number + 1))
            form = b"content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nname="
            connection.sendall(HEAD.replace(b"GET", b"POST") + form)
        monkeypatch.setattr(Connection, "waits", _only_without_a_request)
        deadline = time.monotonic() + 10
        while httpx2.get(f"http://localhost:{port}/login").status_code != 503:
            assert time.monotonic() < deadline
        busy = httpx2.get(f"http://localhost:{port}/login")
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "5")
        assert asks(port, "/healthz") < PERSON_WAITS_MAX_S


def _only_without_a_request(connection: Connection) -> tuple[float, bool] | None:
    """As if all others were being worked on."""
    return (connection._head_since, True) if connection.cycle is None else None
