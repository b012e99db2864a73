"""The window's process and socket: TLS, proxies, the end with the gateway, and what does not open at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.config import Config, DataSection, WebSection
from gateway.digitizer.one_file import FileReaders
from gateway.errors import ConfigError
from gateway.role import Role
from gateway.service.supervisor import Supervisor
from gateway.store import Store
from gateway.web import process
from gateway.web.api import explain_file
from gateway.web.entry import run_window
from gateway.web.listener import open_listener
from gateway.web.principal import Scope
from gateway.web.process import make_server
from gateway.web.security.administration import issue_token
from tests.gateway.web.api.world import png
from tests.gateway.web.fake_digitizer import an_eye, sees
from tests.recordings import order

PATIENCE_S = 300.0  # a process that loads everything anew on a machine that is busy with other things


def wait_for(what: Callable[[], object], why: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if value := what():
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE_S} s for {why}")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of our own making for localhost, and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = tmp_path / "tls.pem", tmp_path / "tls.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, key_pem


@contextmanager
def served(folder: Path, **web: Any) -> Iterator[int]:
    """A window in a thread of this process; its port."""
    config = Config(data=DataSection(folder=folder, reserve_mb=0), web=WebSection(port=0, **web))
    listener = open_listener(config.web)
    with Store.open(config.data) as store:
        server = make_server(config, store)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        wait_for(lambda: server.started, "the window to open")
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(20)
            listener.close()


def cookies(answer: httpx2.Response) -> str:
    return "\n".join(answer.headers.get_list("set-cookie")).lower()


# TLS and proxies


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_with_a_certificate_it_speaks_tls_and_nothing_else(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    pem, key = certificate
    with served(tmp_path / "data", tls_certificate=pem, tls_key=key) as port:
        trust = ssl.create_default_context(cafile=str(pem))
        answer = httpx2.get(f"https://localhost:{port}/login", verify=trust, timeout=PATIENCE_S)
        assert answer.status_code == 200
        assert "strict-transport-security" in answer.headers
        assert "__host-cardioscan_login" in cookies(answer)
        assert "secure" in cookies(answer)
        with pytest.raises(httpx2.HTTPError):
            httpx2.get(f"http://localhost:{port}/login")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(pem)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            pytest.raises((ssl.SSLError, ConnectionError)),
            socket.create_connection(("127.0.0.1", port)) as raw,
            old.wrap_socket(raw, server_hostname="localhost"),
        ):
            pass


def lock(port: int, **headers: str) -> list[int]:
    """Two wrong sign-ins from what these headers say is an address."""
    statuses = []
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=PATIENCE_S) as client:
        page = client.get("/login")
        token = page.text.split('name="login_token" value="')[1].split('"')[0]
        cookie = page.headers["set-cookie"].split(";")[0]  # __Host- is not sent back over the proxy's plain side
        for name in ("a", "b"):
            answer = client.post("/login", data={"name": name, "login_token": token}, headers={"cookie": cookie})
            statuses.append(answer.status_code)
    return statuses


def test_the_address_that_counts_is_the_one_that_the_proxy_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.security.sign_in.ADDRESS_FACTOR", 1)
    with served(tmp_path / "data", behind_proxy=True, lockout_failures=1) as port:
        assert lock(port, **{"x-forwarded-for": "10.0.0.1"}) == [401, 429]
        assert lock(port, **{"x-forwarded-for": "10.0.0.1"}) == [429, 429]
        assert lock(port, **{"x-forwarded-for": "10.0.0.2"})[0] != 200


def test_an_address_that_anybody_could_invent_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.web.security.sign_in.ADDRESS_FACTOR", 1)
    with served(tmp_path / "data", lockout_failures=1) as port:
        assert lock(port, **{"x-forwarded-for": "10.0.0.1"}) == [401, 429]
        assert lock(port, **{"x-forwarded-for": "10.0.0.2"}) == [429, 429]


# What does not open


def test_it_does_not_lie_open_on_a_network_in_plain_text() -> None:
    with pytest.raises(ConfigError, match="beyond this machine"):
        open_listener(WebSection(host="0.0.0.0", port=0))
    told = WebSection(host="0.0.0.0", port=0, allow_plain_http_beyond_loopback=True)
    with open_listener(told) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


def test_a_taken_port_is_told_at_the_start() -> None:
    with open_listener(WebSection(port=0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} cannot be listened on"):
            open_listener(WebSection(port=port))


def test_a_certificate_that_cannot_be_used_is_told_at_the_start(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    pem, key = certificate
    for wrong in ((tmp_path / "none", key), (pem, tmp_path / "none"), (key, pem)):
        with pytest.raises(ConfigError, match=r"web\.tls_certificate, web\.tls_key: cannot be used"):
            open_listener(WebSection(port=0, tls_certificate=wrong[0], tls_key=wrong[1]))


# The process


def test_it_opens_without_what_only_some_requests_need() -> None:
    """Together these take longer to load than everything else; who asks for a document waits for them once."""
    heavy = ["scipy", "pydicom", "reportlab", "hl7apy", "lxml", "edfio", "matplotlib", "torch"]
    script = f"import sys, gateway.web.process; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert done.stdout.strip() == "[]"


def run_with_log(log: Path, config: Config, gateway_pid: int, listener: socket.socket, number: int) -> None:
    """The window's process with its standard error in a file."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
    run_window(config, gateway_pid, listener, number)


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[tuple[Supervisor, int]]:
    """A supervised window process, and its port."""
    config = Config(data=DataSection(folder=tmp_path / "data", reserve_mb=0), web=WebSection(port=0))
    listener = open_listener(config.web)
    crew = Supervisor(1, partial(run_with_log, tmp_path / "log", config, os.getpid(), listener), name="window")
    crew.check()
    yield crew, int(listener.getsockname()[1])
    crew.stop(20)
    listener.close()


def alive(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE_S).status_code == 200
    except httpx2.HTTPError:
        return False


def test_the_process_answers_says_the_first_password_once_and_is_replaced_when_it_dies(
    crew: tuple[Supervisor, int], tmp_path: Path
) -> None:
    supervisor, port = crew
    assert alive(port)
    wait_for(lambda: f"the window is at http://127.0.0.1:{port}" in (tmp_path / "log").read_text(), "where it is")
    (first,) = supervisor.pids
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: supervisor.pids == (), "the process to be gone")

    def replaced() -> object:
        supervisor.check()
        return supervisor.pids

    (second,) = wait_for(replaced, "another one")
    assert second != first
    assert alive(port)  # on the same socket, which never closed
    supervisor.stop(20)
    said = (tmp_path / "log").read_text()
    assert said.count("sign in as administrator with the one-time password") == 1


def test_the_process_ends_at_sigterm_in_good_order(crew: tuple[Supervisor, int]) -> None:
    supervisor, port = crew
    assert alive(port)
    post = supervisor._posts[0]
    post.process.terminate()
    post.process.join(20)
    assert post.process.exitcode == 0


def test_a_stop_waits_for_no_file_that_is_only_looked_at_and_leaves_none_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = an_eye(monkeypatch, tmp_path, sees(order()), f"import time; time.sleep({PATIENCE_S})")
    config = Config(data=DataSection(folder=tmp_path / "data", reserve_mb=0), web=WebSection(port=0))
    file_readers = FileReaders()
    monkeypatch.setattr(process, "file_readers", file_readers)
    monkeypatch.setattr(explain_file, "file_readers", file_readers)
    listener = open_listener(config.web)
    with Store.open(config.data) as store:
        store.accounts.add_user("root", Role.ADMINISTRATOR, "", "test")
        token = issue_token(store, "root", "test", frozenset({Scope.ADMIN}), 1, "test").secret
        server = make_server(config, store)

        def look() -> None:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1/rules/explain/file"
            headers = {"authorization": f"Bearer {token}"}
            with contextlib.suppress(httpx2.HTTPError):  # the stop cuts it off
                httpx2.post(url, files={"file": ("a.png", png())}, headers=headers, timeout=PATIENCE_S)

        def stop() -> None:
            wait_for(kept.exists, "the file to be read")
            server.should_exit = True

        asking = [threading.Thread(target=work, daemon=True) for work in (look, stop)]
        for thread in asking:
            thread.start()
        began = time.monotonic()
        asyncio.run(process._serve(server, listener, os.getppid(), config.web))
        assert time.monotonic() - began < PATIENCE_S / 2
        assert [path for path in store.staging.iterdir() if path.name != ".lock"] == []
    for thread in asking:
        thread.join(20)
