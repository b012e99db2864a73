"""What `cardioscan check` says: configuration, weights, database, port and peers, in words to act on."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import stat
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Config, DicomDestination, DicomScpSection, WebSection, WorklistSection, advice, check_config
from gateway.deliver.dicom_scu import DicomScu
from gateway.deliver.reach import check_peers
from gateway.errors import ConfigError, GatewayError, Refused, TryAgain
from gateway.intake.hl7_feed import is_feed, open_port
from gateway.patient_search.worklist import echo
from gateway.store import Store
from gateway.web.listener import open_listener
from pipeline.errors import DeviceError, WeightsError

ASK_OURSELVES_S = 5.0  # a listener on this machine answers at once or is none
HEALTHY = b'{"ok":true}'  # what a window says at /healthz
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # to listen on, and where that is reached from here


OBJECTED_DAYS = 7  # how far back documents are told that a destination took and then refused

ADVICE = "advice"  # a line that is about this: nothing is wrong, but somebody should read it


@dataclass(frozen=True)
class Line:
    """One thing that was looked at."""

    what: str
    ok: bool
    text: str


def check_all(config: Config, *, peers: bool) -> list[Line]:
    """Every check, in the order an administrator would mend things. Makes data folder and schema, nothing else."""
    problems = check_config(config)
    lines = [Line("configuration", False, problem) for problem in problems]
    if not lines:
        lines.append(Line("configuration", True, "no contradictions"))
    lines += [Line(ADVICE, True, sentence) for sentence in advice(config)]
    lines += _weights()
    lines.append(_device(config.pipeline.device))
    lines += _database(config)
    if config.dicom_scp.enabled:
        lines.append(_port(config.dicom_scp))
    if config.hl7_feed.enabled:
        lines += _feed(config)
    if config.web.enabled:
        lines.append(_window(config.web))
    if peers:
        lines += [
            Line(f"destination {report.name}", report.ok, report.text)
            for report in check_peers(config)
            if report.ok or not any(each.startswith(f'destination "{report.name}": the folder') for each in problems)
        ]
        lines += map(_worklist, config.worklist)
    return lines


def check_file(path: Path) -> list[Line]:
    """Advice where the configuration's own file holds a password that every user of this machine may read."""
    url = str(tomllib.loads(path.read_text(encoding="utf-8")).get("data", {}).get("database_url", ""))
    if "@" not in url or not path.stat().st_mode & stat.S_IROTH:
        return []
    text = f"every user of this machine may read the password in data.database_url in {path}; chmod 600, or keep it in "
    return [Line(ADVICE, True, f"{text}a file of its own: data.database_url_file")]


def _weights() -> Iterator[Line]:
    """Every network that the manifest names, loaded as a worker loads it."""
    from pipeline.networks import load, manifest  # torch takes seconds to load

    try:
        rows = manifest()
    except WeightsError as error:
        yield Line("weights", False, str(error))
        return
    if not rows:
        yield Line("weights", True, "the manifest names none: pages are digitized without networks")
    for name, row in rows.items():
        try:
            load(name)
        except WeightsError as error:
            yield Line(f"weights of {name}", False, str(error))
        else:
            yield Line(f"weights of {name}", True, f"{row.file} loads, SHA-256 {row.sha256}")


def _device(wanted: str) -> Line:
    """Where the networks would run."""
    from pipeline.networks import choose_device

    try:
        return Line("networks", True, f"run on {choose_device(wanted)} (pipeline.device is {wanted!r})")
    except DeviceError as error:
        return Line("networks", False, f"{error}; see pipeline.device")


def _database(config: Config) -> Iterator[Line]:
    try:
        with Store.open(config.data) as store:
            yield Line("database", True, store.check())
            waiting = store.queue_depths()
            objected = store.objected_counts(OBJECTED_DAYS)
    except GatewayError as error:
        yield Line("database", False, str(error))
        return
    except OSError as error:
        where = error.filename or config.data.folder
        yield Line("database", False, f"{where}: {error.strerror}; data.folder must be this user's to read and write")
        return
    for name, count in sorted(objected.items()):
        taken = f"{count} document(s) of the last {OBJECTED_DAYS} days were taken (CA)"
        text = f"{taken}, and then its application refused them; the jobs say why"
        yield Line(ADVICE, True, f'destination "{name}": {text}')
    names = {destination.name for destination in config.destination}
    for name, count in sorted(waiting.items()):
        if name not in names:
            text = f"{count} document(s) wait for it, but the configuration has no destination of that name; restore it"
            yield Line(f"queue {name}", False, text)


def _port(settings: DicomScpSection) -> Line:
    """Whether the DICOM port can be listened on, or is by a gateway of this AE title already."""
    what = f"DICOM port {settings.port} on {settings.host}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the listener itself does
            listener.bind(address)
            listener.listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _taken(what, settings)
        return Line(what, False, f"cannot be listened on: {error.strerror}; see dicom_scp.host and dicom_scp.port")
    return Line(what, True, "can be listened on")


def _worklist(settings: WorklistSection) -> Line:
    """Whether a worklist answers and may be asked."""
    try:
        echo(settings)
    except (Refused, TryAgain) as error:
        return Line(f"worklist {settings.name}", False, error.why)
    return Line(f"worklist {settings.name}", True, "answers, and takes questions for its worklist")


def _taken(what: str, settings: DicomScpSection) -> Line:
    ourselves = DicomDestination(
        kind="dicom",
        name="ourselves",
        host=ANY_ADDRESS.get(settings.host, settings.host),
        port=settings.port,
        called_ae_title=settings.ae_title,
        calling_ae_title=next(iter(settings.calling_ae_titles), settings.ae_title),
        timeout_s=ASK_OURSELVES_S,
    )
    title = settings.ae_title
    try:
        DicomScu(ourselves).echo()
    except (Refused, TryAgain):
        text = f"taken by another program, or by a gateway that does not answer this machine as {title}"
        return Line(what, False, text)
    return Line(what, True, f"taken by a listener that answers as {title}: the gateway is running")


def _feed(config: Config) -> Iterator[Line]:
    """Whether the feed's port can be listened on, or is by a gateway already, and what the feed has told so far."""
    settings = config.hl7_feed
    what = f"HL7 feed port {settings.port} on {settings.host}"
    try:
        open_port(settings).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            yield Line(what, False, f"cannot be listened on: {error.strerror}; see hl7_feed.host and hl7_feed.port")
        elif is_feed(ANY_ADDRESS.get(settings.host, settings.host), settings, ASK_OURSELVES_S):
            yield Line(what, True, "taken by a listener that answers as one: the gateway is running")
        else:
            yield Line(what, False, "taken by another program, or by a gateway that does not let this machine in")
    else:
        yield Line(what, True, "can be listened on")
    try:
        with Store.open(config.data) as store:
            counts = store.patient_counts()
    except (GatewayError, OSError):
        return  # told above, as the database's
    last = f"the last word is of {counts.last_at:%Y-%m-%d %H:%M} UTC" if counts.last_at else "nothing was told yet"
    yield Line(
        f"HL7 feed {settings.name}", True, f"{counts.patients} patients and {counts.orders} orders known; {last}"
    )


def _window(web: WebSection) -> Line:
    """Whether the window can open where it shall, or is open already."""
    what = f"window on {web.host} port {web.port}"
    try:
        open_listener(web).close()
    except ConfigError as error:
        if _is_open(web):
            return Line(what, True, "taken by a window that answers: the gateway is running")
        return Line(what, False, str(error))
    return Line(what, True, "can be listened on")


def _is_open(web: WebSection) -> bool:
    host = ANY_ADDRESS.get(web.host, web.host)
    if web.tls_certificate is None:
        connection = http.client.HTTPConnection(host, web.port, timeout=ASK_OURSELVES_S)
    else:
        # Only whether it is ours is asked, and nothing told; its certificate is for the name that browsers use.
        anybody = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(host, web.port, timeout=ASK_OURSELVES_S, context=anybody)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().read(100) == HEALTHY
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
