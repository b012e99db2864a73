"""C-STORE to real peers: only a yes counts as one, and every no says what to do about it."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    GeneralECGWaveformStorage,
    ImplicitVRLittleEndian,
    TwelveLeadECGWaveformStorage,
)
from pynetdicom import AE, evt
from pynetdicom.acse import ACSE
from pynetdicom.transport import ThreadedAssociationServer

from gateway.config import DicomDestination
from gateway.deliver.c_store_status import DeliveryOutcome, meaning_of
from gateway.deliver.dicom_scu import VERIFICATION, DicomScu
from gateway.deliver.reach import check_peer
from gateway.errors import Refused, TryAgain
from gateway.job import Document, DocumentKind

NAME = "Muster^Eva"


def dicom_file(
    number: int = 1, sop_class: str = TwelveLeadECGWaveformStorage, syntax: str = ExplicitVRLittleEndian
) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = f"2.25.{number}"
    dataset.StudyInstanceUID = "2.25.1000"
    dataset.SeriesInstanceUID = "2.25.1001"
    dataset.PatientID = "4711"
    dataset.PatientName = NAME
    dataset.Modality = "ECG"
    item = Dataset()
    item.WaveformData = bytes(range(256)) * 400  # 100 kB: more than one PDU
    item.WaveformBitsAllocated = 16
    dataset.WaveformSequence = [item]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def document(data: bytes | None = None, kind: DocumentKind = DocumentKind.DICOM_WAVEFORM) -> Document:
    return Document(kind, "pacs", "2.25.1", 1, dicom_file() if data is None else data)


class Pacs:
    """A pynetdicom SCP whose answers the test sets."""

    def __init__(self) -> None:
        self.received: list[Dataset] = []
        self.status: int | Dataset = 0x0000
        self.delay_s = 0.0
        self.associations = 0
        self.ae = AE("PACS")
        self.server: ThreadedAssociationServer | None = None

    def start(
        self, classes: tuple[str, ...] = (TwelveLeadECGWaveformStorage, GeneralECGWaveformStorage), **kind: Any
    ) -> int:
        self.ae.add_supported_context(VERIFICATION)
        for uid in classes:
            self.ae.add_supported_context(uid, **kind)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._count)]
        self.server = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert self.server is not None
        return int(self.server.socket.getsockname()[1])

    def _count(self, event: evt.Event) -> None:
        self.associations += 1

    def _store(self, event: evt.Event) -> int | Dataset:
        time.sleep(self.delay_s)
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.received.append(dataset)
        return self.status


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    pacs = Pacs()
    yield pacs
    if pacs.server is not None:  # shutdown waits half a second, and there are many tests
        threading.Thread(target=pacs.server.shutdown, daemon=True).start()


@pytest.fixture
def scu_to() -> Iterator[Callable[..., DicomScu]]:
    made: list[DicomScu] = []

    def make(port: int, **settings: Any) -> DicomScu:
        fields = {"kind": "dicom", "name": "pacs", "host": "127.0.0.1", "called_ae_title": "PACS", "timeout_s": 5.0}
        fields |= {"report": False}  # one class fewer to negotiate; the report has tests of its own
        made.append(DicomScu(DicomDestination(port=port, **(fields | settings))))
        return made[-1]

    yield make
    for scu in made:
        scu.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_object_arrives_as_it_is(pacs: Pacs, scu_to: Callable[..., DicomScu]) -> None:
    delivered = scu_to(pacs.start()).send(document())
    assert delivered.response == "0000: success"
    assert pacs.received[0] == dcmread(BytesIO(dicom_file()))
    assert pacs.received[0].file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_an_implicit_pacs_gets_the_same_data_set(pacs: Pacs, scu_to: Callable[..., DicomScu]) -> None:
    port = pacs.start(transfer_syntax=ImplicitVRLittleEndian)
    scu_to(port).send(document())
    assert pacs.received[0].file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    received, sent = pacs.received[0], dcmread(BytesIO(dicom_file()))
    assert received.to_json_dict() == sent.to_json_dict()


YES = [0x0000, 0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007, 0xB0FF]
LATER = [0xA700, 0xA701, 0xA7FF, 0x0110, 0x0213, 0x0210]
NEVER = [0xA900, 0xA901, 0xA9FF, 0xC000, 0xC001, 0xC211, 0xCFFF, 0x0111, 0x0117, 0x0122, 0x0124, 0x0211, 0x0212]
UNKNOWN = [0xFE00, 0xFF00, 0xFF01, 0x0002, 0xA800, 0xA500, 0xD000, 0x7FFF]


@pytest.mark.parametrize("status", YES, ids=lambda s: f"{s:04X}")
def test_success_and_warnings_are_delivered(pacs: Pacs, scu_to: Callable[..., DicomScu], status: int) -> None:
    pacs.status = status
    assert scu_to(pacs.start()).send(document()).response.startswith(f"{status:04X}: ")


@pytest.mark.parametrize("status", LATER, ids=lambda s: f"{s:04X}")
def test_a_passing_no_is_tried_again(pacs: Pacs, scu_to: Callable[..., DicomScu], status: int) -> None:
    pacs.status = status
    with pytest.raises(TryAgain, match=f"{status:04X}") as caught:
        scu_to(pacs.start()).send(document())
    assert caught.value.attempts_max is None


@pytest.mark.parametrize("status", NEVER, ids=lambda s: f"{s:04X}")
def test_a_lasting_no_is_refused(pacs: Pacs, scu_to: Callable[..., DicomScu], status: int) -> None:
    pacs.status = status
    with pytest.raises(Refused, match=f"{status:04X}"):
        scu_to(pacs.start()).send(document())


@pytest.mark.parametrize("status", UNKNOWN, ids=lambda s: f"{s:04X}")
def test_a_status_out_of_the_standard_is_no_yes(pacs: Pacs, scu_to: Callable[..., DicomScu], status: int) -> None:
    pacs.status = status
    with pytest.raises(TryAgain) as caught:
        scu_to(pacs.start()).send(document())
    assert caught.value.attempts_max == 3 or caught.value.code == "no_answer"


def test_only_success_and_warnings_of_all_65536_statuses_are_a_yes() -> None:
    yes = {status for status in range(0x10000) if meaning_of(status).outcome is DeliveryOutcome.DELIVERED}
    assert yes == {0x0000, 0x0001, 0x0107, 0x0116, *range(0xB000, 0xC000)}


def test_the_offending_tags_are_told_and_the_comment_is_not(
    pacs: Pacs, scu_to: Callable[..., DicomScu], caplog: pytest.LogCaptureFixture
) -> None:
    pacs.status = Dataset()
    pacs.status.Status = 0xA900
    pacs.status.OffendingElement = [0x00100010, 0x00100020]
    pacs.status.ErrorComment = f"no patient {NAME}"
    with caplog.at_level(logging.INFO), pytest.raises(Refused) as caught:
        scu_to(pacs.start()).send(document())
    assert "(0010,0010), (0010,0020)" in caught.value.why
    assert NAME not in str(caught.value) + caplog.text


def test_one_association_carries_several_objects_and_reopens_when_the_peer_has_dropped_it(
    pacs: Pacs, scu_to: Callable[..., DicomScu]
) -> None:
    scu = scu_to(pacs.start())
    for number in (1, 2, 3):
        scu.send(document(dicom_file(number)))
    scu.send(document(dicom_file(4, GeneralECGWaveformStorage)))
    assert pacs.associations == 1
    scu.close()
    scu.send(document(dicom_file(5)))
    assert pacs.associations == 2
    for association in pacs.ae.active_associations:
        association.abort()
    wait_until(lambda: not pacs.ae.active_associations)
    scu.send(document(dicom_file(6)))
    assert [str(d.SOPInstanceUID) for d in pacs.received] == [f"2.25.{n}" for n in (1, 2, 3, 4, 5, 6)]


def test_another_syntax_opens_another_association(pacs: Pacs, scu_to: Callable[..., DicomScu]) -> None:
    scu = scu_to(pacs.start())
    scu.send(document(dicom_file(1, syntax=ImplicitVRLittleEndian)))
    scu.send(document(dicom_file(2)))
    assert [d.file_meta.TransferSyntaxUID for d in pacs.received] == [ImplicitVRLittleEndian] * 2


def test_the_socket_does_not_wait_for_delayed_acknowledgements(pacs: Pacs, scu_to: Callable[..., DicomScu]) -> None:
    scu = scu_to(pacs.start())
    scu.send(document())
    assert scu._socket is not None
    assert scu._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_closed_port_is_tried_again(scu_to: Callable[..., DicomScu]) -> None:
    with pytest.raises(TryAgain, match="unreachable: no connection to 127"):
        scu_to(free_port()).send(document())


def test_an_unknown_host_is_named(scu_to: Callable[..., DicomScu]) -> None:
    with pytest.raises(TryAgain, match="unknown_host"):
        scu_to(104, host="no-such-host.invalid").send(document())


def test_a_wrong_called_ae_title_is_told(pacs: Pacs, scu_to: Callable[..., DicomScu]) -> None:
    pacs.ae.require_called_aet = True
    with pytest.raises(TryAgain, match=r"association_rejected: OTHER at .* called ae title not recogni"):
        scu_to(pacs.start(), called_ae_title="OTHER").send(document())


def test_a_no_that_comes_at_once_is_told(
    pacs: Pacs, scu_to: Callable[..., DicomScu], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ACSE.send_request

    def ask_and_sleep_in(acse: ACSE) -> None:
        ask(acse)
        wait_until(lambda: not acse.dul.is_alive())  # the no has come, and the connection is closed

    monkeypatch.setattr(ACSE, "send_request", ask_and_sleep_in)
    pacs.ae.require_called_aet = True
    with pytest.raises(TryAgain, match="association_rejected"):
        scu_to(pacs.start(), called_ae_title="OTHER").send(document())


def test_a_wrong_calling_ae_title_is_told(pacs: Pacs, scu_to: Callable[..., DicomScu]) -> None:
    pacs.ae.require_calling_aet = ["SOMEBODY"]
    with pytest.raises(TryAgain, match="is CARDIOSCAN known there"):
        scu_to(pacs.start()).send(document())


def test_a_pacs_without_the_sop_class_refuses_in_words(pacs: Pacs, scu_to: Callable[..., DicomScu]) -> None:
    port = pacs.start(classes=(GeneralECGWaveformStorage,))
    with pytest.raises(Refused, match=r"no_presentation_context: .*12-lead ECG Waveform Storage; enable it there"):
        scu_to(port).send(document())


def test_a_pacs_with_none_of_our_classes_refuses_in_words(pacs: Pacs, scu_to: Callable[..., DicomScu]) -> None:
    with pytest.raises(Refused, match=r"no_presentation_context: .*12-lead ECG Waveform Storage"):
        scu_to(pacs.start(classes=())).send(document())


def test_a_slow_pacs_is_no_yes_and_its_late_answer_is_not_the_next_ones(
    pacs: Pacs, scu_to: Callable[..., DicomScu]
) -> None:
    pacs.delay_s = 6.0
    scu = scu_to(pacs.start(), timeout_s=2.0)  # for the second association too, on a busy machine
    with pytest.raises(TryAgain, match="no_answer"):
        scu.send(document())
    pacs.delay_s, pacs.status = 0.0, 0xA700
    with pytest.raises(TryAgain, match="A700"):
        scu.send(document())


def test_a_pacs_that_aborts_in_the_middle_is_no_yes(pacs: Pacs, scu_to: Callable[..., DicomScu]) -> None:
    def abort(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    port = pacs.start()
    assert pacs.server is not None
    pacs.server.unbind(evt.EVT_C_STORE, pacs._store)
    pacs.server.bind(evt.EVT_C_STORE, abort)
    with pytest.raises(TryAgain):
        scu_to(port).send(document())


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x02\x00\x00\x00\x00\x04abcd"])
def test_a_port_that_is_no_pacs_is_no_yes(scu_to: Callable[..., DicomScu], words: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(words)

    with RawServer(serve) as port, pytest.raises(TryAgain):
        scu_to(port, timeout_s=1.0).send(document())


def test_a_peer_that_drips_bytes_is_cut_off(scu_to: Callable[..., DicomScu]) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"\x02\x00\x00\x00\xff\xff")
        while True:
            connection.sendall(b"\x00")
            time.sleep(0.1)

    start = time.monotonic()
    with RawServer(serve) as port, pytest.raises(TryAgain):
        scu_to(port, timeout_s=0.5).send(document())
    assert time.monotonic() - start < 60  # the drip has no end


def test_a_peer_that_stops_reading_is_cut_off(pacs: Pacs, scu_to: Callable[..., DicomScu]) -> None:
    port, hang = pacs.start(), threading.Event()
    assert pacs.server is not None
    pacs.server.bind(evt.EVT_DATA_RECV, lambda event: hang.wait(120) if len(event.data) > 10_000 else None)
    big = dcmread(BytesIO(dicom_file()))
    big.WaveformSequence[0].WaveformData = bytes(30_000_000)  # more than any socket buffer
    buffer = BytesIO()
    big.save_as(buffer)
    start = time.monotonic()
    try:
        with pytest.raises(TryAgain):
            scu_to(port, timeout_s=0.7).send(document(buffer.getvalue()))
        assert time.monotonic() - start < 60  # half of what the peer does not read
    finally:
        hang.set()


@pytest.mark.parametrize("data", [b"", b"not dicom at all" * 20, b"\0" * 128 + b"DICM"], ids=["empty", "text", "bare"])
def test_what_is_no_dicom_file_is_refused(scu_to: Callable[..., DicomScu], data: bytes) -> None:
    with pytest.raises(Refused, match="not_dicom"):
        scu_to(free_port()).send(document(data))


def test_another_kind_of_document_is_refused(scu_to: Callable[..., DicomScu]) -> None:
    with pytest.raises(Refused, match="wrong_kind"):
        scu_to(free_port()).send(document(kind=DocumentKind.AECG))


def test_check_says_what_the_pacs_takes(pacs: Pacs, scu_to: Callable[..., DicomScu]) -> None:
    port = pacs.start(classes=(TwelveLeadECGWaveformStorage,))
    twelve = check_peer(scu_to(port).config)
    assert twelve.ok
    assert "takes 12-lead ECG Waveform Storage, but not General ECG" in twelve.text
    general = check_peer(scu_to(port, encoding="general").config)
    assert (general.ok, general.address) == (False, f"127.0.0.1:{port}")
    assert "does not take General ECG Waveform Storage; enable it there" in general.text
    down = check_peer(scu_to(free_port()).config)
    assert not down.ok
    assert "is the PACS up" in down.text
    assert not pacs.received


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)


class RawServer:
    """A TCP server on loopback that hands its first connections to serve() and then closes them."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> int:
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # close alone leaves it open while the other thread waits in accept
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                self._serve(connection)
            except OSError:
                pass
            finally:
                connection.close()


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts dcmtk's storescp on a free port with its options and returns the port."""
    program = shutil.which("storescp")
    if program is None:
        pytest.skip("dcmtk's storescp is not installed")
    running: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> int:
        port = free_port()
        command = [program, *options, "-od", str(tmp_path), str(port)]
        running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ | {"TCP_NODELAY": "1"}))
        wait_until(lambda: is_open(port))
        return port

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.mark.peer
@pytest.mark.parametrize(("options", "stored"), [((), ExplicitVRLittleEndian), (("+xi",), ImplicitVRLittleEndian)])
def test_dcmtk_stores_what_was_sent(
    storescp: Callable[..., int], scu_to: Callable[..., DicomScu], tmp_path: Path, options: tuple[str, ...], stored: str
) -> None:
    scu = scu_to(storescp(*options), called_ae_title="STORESCP")
    assert [scu.send(document(dicom_file(n))).response for n in (1, 2)] == ["0000: success"] * 2
    scu.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    received = dcmread(files[0])
    assert received.file_meta.TransferSyntaxUID == stored
    assert received.to_json_dict() == dcmread(BytesIO(dicom_file(1))).to_json_dict()


@pytest.mark.peer
def test_dcmtk_that_refuses_associations_is_no_yes(
    storescp: Callable[..., int], scu_to: Callable[..., DicomScu], tmp_path: Path
) -> None:
    with pytest.raises(TryAgain, match="association_rejected"):
        scu_to(storescp("--refuse")).send(document())
    assert not list(tmp_path.iterdir())


@pytest.mark.peer
@pytest.mark.parametrize("option", ["--abort-after", "--abort-during"])
def test_dcmtk_that_aborts_is_no_yes(
    storescp: Callable[..., int], scu_to: Callable[..., DicomScu], option: str
) -> None:
    with pytest.raises(TryAgain):
        scu_to(storescp(option)).send(document())


@pytest.mark.peer
def test_dcmtk_that_cannot_write_is_no_yes(
    storescp: Callable[..., int], scu_to: Callable[..., DicomScu], tmp_path: Path
) -> None:
    port = storescp()
    shutil.rmtree(tmp_path)
    with pytest.raises((TryAgain, Refused), match=r"A7\d\d|C\d\d\d"):
        scu_to(port).send(document())
    tmp_path.mkdir()
