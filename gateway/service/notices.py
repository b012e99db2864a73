"""What somebody must look at: told by webhook and e-mail when it begins, while it lasts, and when it is over."""

from __future__ import annotations

import http.client
import json
import logging
import smtplib
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import partial

from gateway.config import Config, NotifySection
from gateway.errors import GatewayError
from gateway.job import State
from gateway.store import Store
from gateway.web.certificate import days_left

log = logging.getLogger(__name__)

SECONDS_AN_HOUR = 3600.0
STORE = "store"
# What a server that refuses, hangs up or talks nonsense raises, and a password file that cannot be read or is no text.
CANNOT_SEND = (OSError, smtplib.SMTPException, http.client.HTTPException, ValueError)
Send = Callable[[NotifySection, str, str, bool], None]


def troubles(config: Config, store: Store, audit_fault: str) -> Mapping[str, str]:
    """What somebody must look at now: a stable code to a sentence without patient data. Raises GatewayError.

    audit_fault: what is wrong with the audit by its last checkpoint, "" for nothing.
    """
    found = [*_destinations(config, store), *_pages_and_disk(config, store), *_certificate(config)]
    if audit_fault:
        found.append(("audit", audit_fault))
    return dict(found)


class Notices:
    """Remembers what was told. look() is called every minute."""

    def __init__(
        self, config: Config, store: Store, send: Send | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._store = store
        self._send = send or send_everywhere
        self._clock = clock
        self._told: dict[str, tuple[str, float]] = {}  # code -> what was said, and when

    def look(self, audit_fault: str = "") -> None:
        """Tells what is new, what still lasts after repeat_hours, and what is over."""
        try:
            now = troubles(self._config, self._store, audit_fault)
        except (GatewayError, OSError) as error:
            # Of all else nothing is known now: it is not over.
            self._tell_lasting({STORE: f"the gateway's own database or disk does not answer: {error}"})
            return
        self._tell_lasting(now)
        for code in [code for code in self._told if code not in now]:
            self._tell(code, self._told[code][0], over=True)

    def _tell_lasting(self, now: Mapping[str, str]) -> None:
        for code, text in now.items():
            if code not in self._told or self._clock() - self._told[code][1] >= self._repeat_s:
                self._tell(code, text, over=False)

    @property
    def _repeat_s(self) -> float:
        return self._config.notify.repeat_hours * SECONDS_AN_HOUR

    def _tell(self, code: str, text: str, *, over: bool) -> None:
        try:
            self._send(self._config.notify, code, text, over)
        except CANNOT_SEND as error:
            log.warning("the notice %s was not sent, the next try is in a minute: %s", code, type(error).__name__)
            return
        if over:
            del self._told[code]
        else:
            self._told[code] = (text, self._clock())


def send_everywhere(settings: NotifySection, code: str, text: str, over: bool) -> None:
    """By webhook and by e-mail, as far as they are configured. Raises what CANNOT_SEND holds where neither took it.

    Where one took it the other is not tried again: nobody reads a channel that says the same every minute.
    """
    tries: list[Callable[[], None]] = []
    if settings.webhook_url:
        body = {"code": code, "text": text, "over": over, "at": datetime.now(UTC).isoformat()}
        tries.append(partial(_post, settings, body))
    if settings.smtp_host:
        tries.append(partial(_mail, settings, code, text, over))
    failed: list[Exception] = []
    for send in tries:
        try:
            send()
        except CANNOT_SEND as error:
            log.warning("the notice %s did not go out by one way: %s", code, type(error).__name__)
            failed.append(error)
    if failed and len(failed) == len(tries):
        raise failed[0]


def _destinations(config: Config, store: Store) -> Iterator[tuple[str, str]]:
    names = {destination.name for destination in config.destination}
    down_since = datetime.now(UTC) - timedelta(minutes=config.notify.peer_down_minutes)
    for queue in store.destination_queues.queues():
        if queue.destination not in names:
            continue
        peer = queue.peer
        if peer.up is False and peer.since is not None and peer.since <= down_since:
            since = f"{peer.since:%Y-%m-%d %H:%M} UTC"
            yield f"down:{queue.destination}", f"destination {queue.destination} has not answered since {since}"
        if queue.parked:
            yield (
                f"parked:{queue.destination}",
                f"destination {queue.destination} refused documents, which wait for a person; the dashboard says why",
            )


def _pages_and_disk(config: Config, store: Store) -> Iterator[tuple[str, str]]:
    moments = store.audit_queries.moments(1, 1)
    held_at = store.audit_queries.oldest_at(State.HELD)
    if held_at is not None and moments.now - held_at > timedelta(minutes=config.notify.held_minutes):
        yield "held", f"a page has waited for a person since {held_at:%Y-%m-%d %H:%M} UTC"
    if moments.free_mb < config.notify.disk_free_mb:
        yield "disk", f"{moments.free_mb:.0f} MB are free; at {config.data.reserve_mb} MB no page is taken any more"


def _certificate(config: Config) -> Iterator[tuple[str, str]]:
    path = config.web.tls_certificate
    days = None if path is None else days_left(path)
    if days is not None and days < config.notify.certificate_days:
        yield "certificate", f"the window's certificate expires in {days:.0f} days"


def _post(settings: NotifySection, body: Mapping[str, object]) -> None:
    request = urllib.request.Request(
        settings.webhook_url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=settings.timeout_s):  # an HTTP error is an OSError
        pass


def _mail(settings: NotifySection, code: str, text: str, over: bool) -> None:
    message = EmailMessage()
    message["Subject"] = f"CardioScan Gateway: {'over: ' if over else ''}{code}"
    message["From"], message["To"] = settings.mail_from, ", ".join(settings.mail_to)
    message.set_content(text + ("\nThis is over.\n" if over else "\n"))
    context = ssl.create_default_context()
    with _connected(settings, context) as server:
        if settings.smtp_security == "starttls":
            server.starttls(context=context)
        if settings.smtp_user and settings.smtp_password_file is not None:
            server.login(settings.smtp_user, settings.smtp_password_file.read_text(encoding="utf-8").strip())
        server.send_message(message)


def _connected(settings: NotifySection, context: ssl.SSLContext) -> smtplib.SMTP:
    where = (settings.smtp_host, settings.smtp_port)
    if settings.smtp_security == "tls":
        return smtplib.SMTP_SSL(*where, timeout=settings.timeout_s, context=context)
    return smtplib.SMTP(*where, timeout=settings.timeout_s)
