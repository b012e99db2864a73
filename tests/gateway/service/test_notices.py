"""Somebody is told what must be looked at: once, again while it lasts, and when it is over; never a patient's name."""

from __future__ import annotations

import http.client
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from gateway.config import Config, DataSection, FolderDestination, NotifySection, loads
from gateway.errors import ConfigError, TryAgain
from gateway.job import State
from gateway.service import notices
from gateway.service.notices import Notices, send_everywhere, troubles
from gateway.store import AuditQueries, Store
from tests.gateway.storing import digitized, document, held, on_its_way, settled

Told = list[tuple[str, str, bool]]


@pytest.fixture
def data(tmp_path: Path) -> DataSection:
    return DataSection(folder=tmp_path / "data", reserve_mb=0)


@pytest.fixture
def store(data: DataSection) -> Iterator[Store]:
    with Store.open(data) as opened:
        yield opened


def configured(data: DataSection, **notify: object) -> Config:
    quiet = {"disk_free_mb": 0, "peer_down_minutes": 0.0, "held_minutes": 1e-9}
    pacs = FolderDestination(kind="folder", name="pacs", folder=data.folder)
    return Config(data=data, destination=(pacs,), notify=NotifySection.model_validate(quiet | notify))


def test_finds_what_somebody_must_look_at(store: Store, data: DataSection) -> None:
    config = configured(data)
    assert troubles(config, store, "") == {}
    settled(store, digitized(document("pacs")), b"1")
    store.park(on_its_way(store, "pacs"), "rejected", "Doe^Jane is unknown")
    store.destination_queues.record_answers([("pacs", False, "Doe refused"), ("gone", False, "")])
    found = troubles(config, store, "rows were cut off")
    assert set(found) == {"down:pacs", "parked:pacs", "held", "audit"}
    assert "Doe" not in str(found)
    assert troubles(configured(data, disk_free_mb=10**9), store, "").keys() >= {"disk"}
    assert "held" not in troubles(configured(data, held_minutes=60.0), store, "")
    assert "down:pacs" not in troubles(configured(data, peer_down_minutes=60.0), store, "")


def test_tells_once_again_while_it_lasts_and_when_it_is_over(store: Store, data: DataSection) -> None:
    told: Told = []
    clock = [0.0]

    def send(_settings: NotifySection, code: str, text: str, over: bool) -> None:
        told.append((code, text, over))

    watch = Notices(configured(data, repeat_hours=2.0), store, send, lambda: clock[0])
    job_id = settled(store, held(), b"1")
    watch.look()
    clock[0] = 7000.0
    watch.look()
    assert [(code, over) for code, _, over in told] == [("held", False)]
    clock[0] = 7201.0
    watch.look()
    store.give_up(job_id, "amy", "not ours")
    watch.look()
    watch.look()
    assert [(code, over) for code, _, over in told] == [("held", False), ("held", False), ("held", True)]


def test_what_did_not_get_through_is_tried_again(store: Store, data: DataSection) -> None:
    told: Told = []
    fails = [True]

    def send(_settings: NotifySection, code: str, text: str, over: bool) -> None:
        if fails.pop() if fails else False:
            raise ConnectionRefusedError
        told.append((code, text, over))

    settled(store, held(), b"1")
    watch = Notices(configured(data), store, send)
    watch.look()
    assert told == []
    watch.look()
    assert [code for code, _, _ in told] == ["held"]


def test_nothing_is_over_while_the_store_does_not_answer(
    store: Store, data: DataSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: Told = []

    def send(_settings: NotifySection, code: str, text: str, over: bool) -> None:
        told.append((code, text, over))

    def silent(_self: object, _state: State) -> None:
        raise TryAgain("database_unavailable", "the database did not answer")

    settled(store, held(), b"1")
    watch = Notices(configured(data), store, send)
    watch.look()
    with monkeypatch.context() as patched:
        patched.setattr(AuditQueries, "oldest_at", silent)
        watch.look()
    watch.look()
    assert [(code, over) for code, _, over in told] == [("held", False), ("store", False), ("store", True)]


def test_a_server_that_talks_nonsense_keeps_no_other_notice_back(store: Store, data: DataSection) -> None:
    told: list[str] = []

    def send(_settings: NotifySection, code: str, _text: str, _over: bool) -> None:
        if code == "held":
            raise http.client.BadStatusLine("SSH-2.0")
        told.append(code)

    settled(store, held(), b"1")
    Notices(configured(data, disk_free_mb=10**9), store, send).look()
    assert told == ["disk"]


def test_a_mail_server_that_is_down_repeats_no_webhook(data: DataSection, monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[str] = []

    def refused(*_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(notices, "_post", lambda _settings, body: posted.append(body["code"]))
    monkeypatch.setattr(notices, "_mail", refused)
    both = {"webhook_url": "http://hook.example", "smtp_host": "mail", "mail_from": "a@b", "mail_to": ("c@d",)}
    send_everywhere(configured(data, **both).notify, "held", "a page", over=False)
    assert posted == ["held"]
    with pytest.raises(ConnectionRefusedError):
        send_everywhere(configured(data, **both | {"webhook_url": ""}).notify, "held", "a page", over=False)


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def test_a_webhook_gets_json(data: DataSection) -> None:
    bodies: list[dict[str, object]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204 if len(bodies) == 1 else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with serving(HTTPServer(("127.0.0.1", 0), Hook)) as port:
        settings = NotifySection(webhook_url=f"http://127.0.0.1:{port}/hook", timeout_s=60.0)
        send_everywhere(settings, "disk", "100 MB are free", False)
        with pytest.raises(OSError, match="500"):
            send_everywhere(settings, "disk", "100 MB are free", True)
    assert (bodies[0]["code"], bodies[0]["text"], bodies[0]["over"]) == ("disk", "100 MB are free", False)


class Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP as handing in one mail takes."""

    mails: ClassVar[list[str]] = []

    def handle(self) -> None:
        self.wfile.write(b"220 mail.example\r\n")
        while line := self.rfile.readline():
            match line[:4].upper():
                case b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                case b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = []
                    while (text := self.rfile.readline()) != b".\r\n":
                        lines.append(text.decode())
                    self.mails.append("".join(lines))
            self.wfile.write(b"250 ok\r\n")


def test_an_e_mail_is_handed_in(data: DataSection) -> None:
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox)) as port:
        settings = NotifySection(
            smtp_host="127.0.0.1",
            smtp_port=port,
            smtp_security="none",
            mail_from="gateway@hospital.example",
            mail_to=("team@hospital.example",),
            timeout_s=60.0,
        )
        send_everywhere(settings, "held", "a page has waited", True)
    (mail,) = Mailbox.mails
    assert "Subject: CardioScan Gateway: over: held" in mail
    assert "To: team@hospital.example" in mail
    assert "a page has waited" in mail


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('smtp_host = "mail"', "mail_from and mail_to"),
        ('smtp_user = "me"\nsmtp_password_file = "x"\nsmtp_security = "none"', "without encryption"),
        ('smtp_user = "me"', "belong together"),
        ('webhook_url = "chat.example"', "webhook_url"),
    ],
)
def test_a_notice_that_could_not_be_sent_is_no_configuration(tmp_path: Path, toml: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        loads(f"[notify]\n{toml}\n", tmp_path)
