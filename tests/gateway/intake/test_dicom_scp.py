"""The C-STORE door, asked by pynetdicom, by dcmtk, and by people who mean no good."""

from __future__ import annotations

import contextlib
import errno
import logging
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.dsutils import encode
from pynetdicom.pdu import A_ASSOCIATE_RQ

from gateway.config import Config, DataSection, DicomScpSection
from gateway.errors import OutOfSpace, QueueFull
from gateway.identity.order import Patient
from gateway.intake import dicom_scp
from gateway.intake.dicom_scp import STORAGE_CLASSES, TRANSFER_SYNTAXES, DicomScp, Status
from gateway.intake.dicom_scp.anteroom import WAITING_MAX
from gateway.job import Door
from gateway.store import Store
from gateway.unpack import recognise
from tests import hostile_dicom
from tests.dicom_objects import (
    SECONDARY_CAPTURE,
    colours,
    compressed,
    dicom_object,
    encapsulated_pdf,
    gradient,
    pdf_of,
    put_pixels,
    save,
)
from tests.flow.processes import free_port

ECHO = "1.2.840.10008.1.1"
PAGES = (SECONDARY_CAPTURE, uid.ExplicitVRLittleEndian)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(DataSection(folder=tmp_path / "data", reserve_mb=0)) as opened:
        yield opened


@contextmanager
def listening(store: Store, **settings: object) -> Iterator[DicomScp]:
    section = DicomScpSection.model_validate({"port": 0, "ae_title": "DOOR", "object_max_mb": 5, **settings})
    scp = DicomScp(Config(dicom_scp=section), store)
    scp.start()
    try:
        yield scp
    finally:
        scp.stop()


@pytest.fixture
def scp(store: Store) -> Iterator[DicomScp]:
    with listening(store) as opened:
        yield opened


def page(**attributes: object) -> FileDataset:
    made = dicom_object()
    put_pixels(made, gradient()[None])
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


@contextmanager
def associated(
    port: int, *contexts: tuple[str, str], calling: str = "CART", called: str = "DOOR", address: str = "127.0.0.1"
) -> Iterator[Any]:
    """An association from this address of this machine."""
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30  # a busy machine answers late
    for sop_class, syntax in contexts or ((ECHO, uid.ImplicitVRLittleEndian),):
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate("127.0.0.1", port, ae_title=called, bind_address=(address, 0))
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def send(port: int, made: FileDataset, **who: str) -> Any:
    """The response's dataset to the C-STORE of one object."""
    with associated(port, (made.SOPClassUID, made.file_meta.TransferSyntaxUID), **who) as association:
        assert association.is_established
        return association.send_c_store(made)


def echo(port: int) -> int:
    with associated(port) as association:
        assert association.is_established
        return int(association.send_c_echo().Status)


def left_in_staging(store: Store) -> list[str]:
    return [entry.name for entry in store.staging.iterdir() if entry.name != ".lock"]


class TestYes:
    def test_answers_an_echo(self, scp: DicomScp) -> None:
        assert echo(scp.port) == Status.SUCCESS

    def test_a_stored_page_is_a_job_with_its_patient_and_sender(self, scp: DicomScp, store: Store) -> None:
        made = page()
        assert send(scp.port, made).Status == Status.SUCCESS
        (job,) = store.jobs()
        assert (job.arrival.door, job.arrival.sender, job.arrival.called) == (Door.DICOM, "CART", "DOOR")
        assert job.arrival.sender_address == "127.0.0.1"
        order = job.arrival.order
        assert order is not None
        assert order.patient == Patient("P-4711", "WARD", "Müller^Jörg", "19500203", "M")
        assert order.source.sop_instance_uid == made.SOPInstanceUID
        kept = dcmread(store.content(job))
        assert kept == made
        assert kept.preamble == bytes(128)
        assert left_in_staging(store) == []

    def test_the_same_object_again_is_the_same_job(self, scp: DicomScp, store: Store) -> None:
        made = page()
        assert [send(scp.port, made).Status for _ in range(2)] == [Status.SUCCESS] * 2
        assert len(store.jobs()) == 1

    def test_what_is_kept_hashes_to_its_name(self, scp: DicomScp, store: Store) -> None:
        send(scp.port, page())
        assert store.verify_audit(check_objects=True).ok

    @pytest.mark.parametrize("sop_class", STORAGE_CLASSES, ids=lambda u: UID(u).name)
    def test_takes_every_class_it_promises(self, scp: DicomScp, store: Store, sop_class: UID) -> None:
        made = page(SOPClassUID=sop_class)
        if sop_class.endswith("104.1"):
            made = encapsulated_pdf(pdf_of(gradient()))
        assert send(scp.port, made).Status == Status.SUCCESS
        assert len(store.jobs()) == 1

    @pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda u: UID(u).name)
    def test_negotiates_every_syntax_it_promises(self, scp: DicomScp, syntax: UID) -> None:
        with associated(scp.port, (SECONDARY_CAPTURE, syntax)) as association:
            assert [context.transfer_syntax for context in association.accepted_contexts] == [[syntax]]

    @pytest.mark.parametrize(
        "sop_class_and_syntax",
        [
            (SECONDARY_CAPTURE, uid.DeflatedExplicitVRLittleEndian),  # a bomb cannot be seen before it is inflated
            (SECONDARY_CAPTURE, uid.MPEG2MPML),
            ("1.2.840.10008.5.1.4.1.1.2", uid.ExplicitVRLittleEndian),  # a CT is no page
            ("1.2.840.10008.5.1.4.1.2.2.1", uid.ExplicitVRLittleEndian),  # no queries here
        ],
    )
    def test_negotiates_nothing_else(self, scp: DicomScp, sop_class_and_syntax: tuple[str, str]) -> None:
        with associated(scp.port, sop_class_and_syntax) as association:
            assert association.accepted_contexts == []


def _memory_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


class TestNo:
    def test_a_full_queue_is_out_of_resources(
        self, scp: DicomScp, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full() -> None:
            raise QueueFull("queue_full", "3 pages wait, 3 are allowed")

        monkeypatch.setattr(store, "room", full)
        answer = send(scp.port, page())
        assert answer.Status == Status.OUT_OF_RESOURCES
        assert "3 pages wait" in answer.ErrorComment
        assert store.jobs() == []
        assert left_in_staging(store) == []

    def test_no_space_when_the_object_is_committed_is_out_of_resources(
        self, scp: DicomScp, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_space(*_: object, **__: object) -> None:
            raise OutOfSpace("out_of_space", "the disk is full")

        monkeypatch.setattr(store, "receive", no_space)
        assert send(scp.port, page()).Status == Status.OUT_OF_RESOURCES
        assert left_in_staging(store) == []

    @pytest.mark.parametrize("call", ["open", "write"])
    def test_no_space_while_receiving_is_out_of_resources_and_leaves_nothing(
        self, scp: DicomScp, store: Store, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        made = page()
        put_pixels(made, np.zeros((1, 1000, 1000), np.uint8))
        with monkeypatch.context() as patched:
            patched.setattr(dicom_scp.staging.os, call, full)
            assert send(scp.port, made).Status == Status.OUT_OF_RESOURCES
        assert store.jobs() == []
        assert left_in_staging(store) == []
        assert send(scp.port, made).Status == Status.SUCCESS

    def test_a_disk_that_fails_is_out_of_resources(
        self, scp: DicomScp, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(*_: object, **__: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(store, "receive", fails)
        assert send(scp.port, page()).Status == Status.OUT_OF_RESOURCES

    def test_an_object_beyond_the_cap_is_refused_for_good(self, scp: DicomScp, store: Store) -> None:
        made = page()
        put_pixels(made, np.zeros((1, 3000, 2000), np.uint8))
        answer = send(scp.port, made)
        assert (answer.Status, answer.ErrorComment) == (Status.TOO_LARGE, "object is larger than 5 MB")
        assert left_in_staging(store) == []
        assert send(scp.port, page()).Status == Status.SUCCESS

    @pytest.mark.parametrize("instance", ["../../etc/passwd", "1.2.3 4", "1.2.3a", "..", "1..2", "1.02"])
    def test_a_path_for_a_uid_is_refused(self, scp: DicomScp, store: Store, tmp_path: Path, instance: str) -> None:
        files = set(tmp_path.rglob("*"))
        with associated(scp.port, (SECONDARY_CAPTURE, uid.ExplicitVRLittleEndian)) as association:
            status = _store_raw(association, page(), sop_instance=instance)
        assert status == Status.INVALID_SOP_INSTANCE
        assert store.jobs() == []
        assert {p for p in tmp_path.rglob("*") if p.suffix == ".dcm"} <= files

    @pytest.mark.parametrize("instance", ["", "1." * 32 + "1", "1." * 500 + "1"], ids=["empty", "65", "1001"])
    def test_a_uid_that_is_empty_or_too_long_refuses_the_object_and_not_the_association(
        self, scp: DicomScp, store: Store, instance: str
    ) -> None:
        made = page()
        with associated(scp.port, (SECONDARY_CAPTURE, uid.ExplicitVRLittleEndian)) as association:
            answer = _answer_to(association, made, sop_instance=instance)
            assert (answer.Status, answer.ErrorComment) == (
                Status.INVALID_SOP_INSTANCE,
                "the SOP Instance UID is not lawful",
            )
            assert answer.AffectedSOPInstanceUID is None  # and not one that nobody sent
            dataset = hostile_dicom.names(SECONDARY_CAPTURE, instance)
            assert _store_raw(association, made, dataset=dataset) == Status.INVALID_SOP_INSTANCE
            assert association.send_c_store(made).Status == Status.SUCCESS
        assert len(store.jobs()) == 1
        assert left_in_staging(store) == []

    @pytest.mark.parametrize("sop_class", ["", "1.2.3", "1." * 40 + "1", "1.2.840.10008.5.1.4.1.1.2"])
    def test_a_class_that_is_not_the_contexts_refuses_the_object_and_not_the_association(
        self, scp: DicomScp, store: Store, sop_class: str
    ) -> None:
        made = page()
        with associated(scp.port, (SECONDARY_CAPTURE, uid.ExplicitVRLittleEndian)) as association:
            assert _store_raw(association, made, sop_class=sop_class) == Status.DOES_NOT_MATCH
            assert association.send_c_store(made).Status == Status.SUCCESS
        assert left_in_staging(store) == []

    def test_a_dataset_that_is_another_object_than_its_command_is_refused(self, scp: DicomScp, store: Store) -> None:
        with associated(scp.port, (SECONDARY_CAPTURE, uid.ExplicitVRLittleEndian)) as association:
            assert _store_raw(association, page(), sop_instance="1.2.3.4") == Status.DOES_NOT_MATCH
            assert _store_raw(association, page(SOPClassUID="1.2.840.10008.5.1.4.1.1.1")) == Status.DOES_NOT_MATCH
        assert store.jobs() == []

    @pytest.mark.parametrize(
        "dataset", [b"", b"\x00" * 64, random.Random(5).randbytes(2000), b"\x08\x00\x05\x00CS\xff\xff"]
    )
    def test_a_dataset_that_cannot_be_understood_is_refused(self, scp: DicomScp, store: Store, dataset: bytes) -> None:
        with associated(scp.port, (SECONDARY_CAPTURE, uid.ExplicitVRLittleEndian)) as association:
            assert _store_raw(association, page(), dataset=dataset) in (Status.CANNOT_UNDERSTAND, Status.DOES_NOT_MATCH)
        assert store.jobs() == []
        assert left_in_staging(store) == []

    def test_a_transfer_that_breaks_off_leaves_nothing(self, scp: DicomScp, store: Store) -> None:
        made = page()
        put_pixels(made, np.zeros((1, 1000, 1000), np.uint8))
        with associated(scp.port, (SECONDARY_CAPTURE, uid.ExplicitVRLittleEndian)) as association:
            sent = 0

            def hang_up(event: Any) -> None:
                nonlocal sent
                sent += 1
                if sent == 4:
                    event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)

            association.bind(evt.EVT_DATA_SENT, hang_up)
            association.send_c_store(made)
        _soon(lambda: left_in_staging(store) == [])
        assert store.jobs() == []
        assert echo(scp.port) == Status.SUCCESS


def _store_raw(association: Any, made: FileDataset, **said: Any) -> int:
    return int(_answer_to(association, made, **said).Status)


def _answer_to(
    association: Any,
    made: FileDataset,
    sop_instance: str | None = None,
    sop_class: str = SECONDARY_CAPTURE,
    dataset: bytes | None = None,
) -> Any:
    """The answer to a C-STORE whose command says what it likes; pynetdicom would correct it."""
    from io import BytesIO

    from pynetdicom.dimse_primitives import C_STORE

    request = C_STORE()
    request.MessageID = 1
    request.Priority = 2
    request._affected_sop_class_uid = UID(sop_class, validation_mode=0)
    instance = made.SOPInstanceUID if sop_instance is None else sop_instance
    request._affected_sop_instance_uid = UID(instance, validation_mode=0)
    request.DataSet = BytesIO(encode(made, False, True) if dataset is None else dataset or b"\0\0")
    context = association.accepted_contexts[0]
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.001)
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return answer


def _soon(what: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class TestWhoMayComeIn:
    def test_another_called_title_is_rejected(self, scp: DicomScp) -> None:
        with associated(scp.port, called="ELSEWHERE") as association:
            assert association.is_rejected

    def test_another_called_title_is_taken_where_the_configuration_says_so(self, store: Store) -> None:
        with (
            listening(store, require_called_ae_title=False) as scp,
            associated(scp.port, called="ELSEWHERE") as association,
        ):
            assert association.is_established

    def test_only_the_listed_calling_titles_are_taken(self, store: Store) -> None:
        with listening(store, calling_ae_titles=["CART"]) as scp:
            with associated(scp.port, calling="CART") as association:
                assert association.is_established
            with associated(scp.port, calling="OTHER") as association:
                assert association.is_rejected

    @pytest.mark.parametrize(
        ("networks", "may"),
        [(["127.0.0.0/8"], True), (["10.0.0.0/8", "127.0.0.1"], True), (["10.0.0.0/8"], False)],
    )
    def test_only_the_listed_addresses_are_heard(self, store: Store, networks: list[str], may: bool) -> None:
        with listening(store, addresses=networks) as scp, associated(scp.port) as association:
            assert association.is_established is may

    def test_more_associations_than_allowed_are_rejected_for_now(self, store: Store) -> None:
        with listening(store, associations_max=2) as scp, ExitStack() as stack:
            first, second, third = (stack.enter_context(associated(scp.port)) for _ in range(3))
            assert first.is_established
            assert second.is_established
            assert third.is_rejected
            assert third.acceptor.primitive.result == 2  # transient: it may come again

    def test_one_address_has_its_share_of_the_associations_and_leaves_the_rest(self, store: Store) -> None:
        with listening(store, associations_per_address_max=2) as scp, ExitStack() as stack:
            first = stack.enter_context(associated(scp.port))
            assert first.is_established
            assert stack.enter_context(associated(scp.port)).is_established
            third = stack.enter_context(associated(scp.port))
            assert third.is_rejected
            assert (third.acceptor.primitive.result, third.acceptor.primitive.diagnostic) == (2, 2)  # for now
            assert stack.enter_context(associated(scp.port, address="127.0.0.2")).is_established
            first.release()
            _soon(lambda: stack.enter_context(associated(scp.port)).is_established)

    @pytest.mark.peer
    def test_the_share_is_told_to_storescu_as_a_limit_of_ours(self, store: Store, tmp_path: Path) -> None:
        path = save(page(), tmp_path / "page.dcm")
        with listening(store, associations_per_address_max=1) as scp:
            command = [_dcmtk("storescu"), "-aec", "DOOR", "127.0.0.1", str(scp.port), path]
            with associated(scp.port):
                done = _run(*command)
                assert done.returncode != 0
                assert "Local Limit Exceeded" in done.stderr
            _soon(lambda: _run(*command).returncode == 0)
        assert len(store.jobs()) == 1


class TestThoseWhoKeepUsWaiting:
    def test_an_association_that_only_echoes_ends_and_one_that_stores_does_not(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        with listening(store, store_within_s=5.0) as scp, associated(scp.port, PAGES) as storing:
            with associated(scp.port) as echoing:
                until = time.monotonic() + 60
                while echoing.is_established and time.monotonic() < until:
                    echoing.send_c_echo()
                    assert storing.send_c_store(page()).Status == Status.SUCCESS
                    time.sleep(0.1)
                assert not echoing.is_established
            assert storing.is_established
        assert "no C-STORE for 5 s" in caplog.text

    @pytest.mark.parametrize(("pieces_a_second", "comes"), [(5, False), (100, True)])
    def test_an_object_that_drips_ends_its_association_and_a_slow_one_is_taken(
        self, store: Store, pieces_a_second: int, comes: bool
    ) -> None:
        """Of 50 bytes each: none is late by itself."""
        made = page()
        dataset = encode(made, False, True)
        with listening(store, network_timeout_s=1.5) as scp, associated(scp.port, PAGES) as association:
            connection = association.dul.socket.socket
            connection.sendall(_pdv(0x03, _store_command(made)))
            began = time.monotonic()
            while dataset and time.monotonic() - began < 20 and association.is_established:
                with contextlib.suppress(OSError):
                    connection.sendall(_pdv(0x00 if len(dataset) > 50 else 0x02, dataset[:50]))
                dataset = dataset[50:]
                time.sleep(1 / pieces_a_second)
            if comes:
                _soon(lambda: len(store.jobs()) == 1)
            _soon(lambda: association.is_established is comes)
            assert echo(scp.port) == Status.SUCCESS
        assert len(store.jobs()) == comes
        assert left_in_staging(store) == []


class TestThoseWhoMeanNoGood:
    def test_silent_connections_keep_nobody_out(self, store: Store) -> None:
        with listening(store, associations_max=5) as scp, ExitStack() as stack:
            for _ in range(60):
                stack.enter_context(socket.create_connection(("127.0.0.1", scp.port)))
            began = time.monotonic()
            assert echo(scp.port) == Status.SUCCESS
            assert time.monotonic() - began < 15

    def test_connections_that_send_half_a_request_keep_nobody_out(self, store: Store) -> None:
        with listening(store, associations_max=5) as scp, ExitStack() as stack:
            for length in (1, 5, 6, 50):
                for _ in range(10):
                    connection = stack.enter_context(socket.create_connection(("127.0.0.1", scp.port)))
                    connection.sendall((b"\x01\x00\x00\x00\x10\x00" + bytes(100))[:length])
            began = time.monotonic()
            assert echo(scp.port) == Status.SUCCESS
            assert time.monotonic() - began < 15

    def test_a_connection_that_never_asks_is_dropped(self, scp: DicomScp, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dicom_scp.anteroom, "REQUEST_WITHIN_S", 0.2)
        with socket.create_connection(("127.0.0.1", scp.port)) as connection:
            connection.sendall(b"\x01\x00")
            assert _hung_up(connection)

    def test_when_too_many_wait_the_oldest_goes(self, scp: DicomScp) -> None:
        with ExitStack() as stack:
            waiting = [
                stack.enter_context(socket.create_connection(("127.0.0.1", scp.port))) for _ in range(WAITING_MAX + 3)
            ]
            for connection in waiting[:3]:
                assert _hung_up(connection)
            assert echo(scp.port) == Status.SUCCESS

    @pytest.mark.parametrize(
        "greeting",
        [
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x01\x00\x7f\xff\xff\xff",
            b"\x04\x00\x00\x00\x00\x10" + bytes(16),
            b"\x16\x03\x01\x02\x00\x01\x00",
        ],
    )
    def test_what_is_no_association_request_is_dropped_at_once(self, scp: DicomScp, greeting: bytes) -> None:
        with socket.create_connection(("127.0.0.1", scp.port)) as connection:
            connection.sendall(greeting)
            assert _hung_up(connection)
        assert echo(scp.port) == Status.SUCCESS

    @pytest.mark.parametrize("kind", [1, 4, 5, 7])
    def test_a_pdu_longer_than_agreed_ends_the_association(self, scp: DicomScp, kind: int) -> None:
        before = _memory_mb()
        with associated(scp.port) as association:
            connection = association.dul.socket.socket
            connection.sendall(struct.pack(">BBL", kind, 0, 0x7FFFFFFF) + bytes(1000))
            _soon(lambda: association.is_aborted)
        assert _memory_mb() - before < 100
        assert echo(scp.port) == Status.SUCCESS

    def test_a_peer_that_stalls_inside_a_pdu_loses_its_association(self, store: Store) -> None:
        with listening(store, network_timeout_s=3.0) as scp, associated(scp.port) as association:
            association.dul.socket.socket.sendall(struct.pack(">BBL", 4, 0, 1000) + bytes(10))
            _soon(lambda: not association.is_established)

    def test_nagles_algorithm_is_off_for_every_connection(self, scp: DicomScp) -> None:
        with associated(scp.port) as association:
            assert association.is_established
            (serving,) = scp._server.active_associations  # type: ignore[union-attr]
            assert serving.dul.socket.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    @pytest.mark.parametrize("control", [0x01, 0x00], ids=["command", "dataset of a query"])
    def test_a_request_that_never_ends_fills_no_memory(self, scp: DicomScp, control: int) -> None:
        with associated(scp.port) as association:
            connection = association.dul.socket.socket
            if control == 0:
                connection.sendall(_pdv(0x03, _command(0x0020)))  # C-FIND-RQ: a dataset follows
            before = _memory_mb()
            piece = _pdv(control, bytes(16_000))
            with contextlib.suppress(OSError):
                for _ in range(2000):
                    connection.sendall(piece)
            _soon(lambda: not association.is_established)
            assert _memory_mb() - before < 20
        assert echo(scp.port) == Status.SUCCESS

    def test_a_sender_that_waits_for_no_answer_fills_no_memory(self, scp: DicomScp) -> None:
        with associated(scp.port) as association:
            connection = association.dul.socket.socket
            with contextlib.suppress(OSError):
                connection.sendall(_pdv(0x03, _command(0x0030)) * 20_000)  # C-ECHO-RQ
            _soon(lambda: not association.is_established)
        assert echo(scp.port) == Status.SUCCESS

    def test_a_request_in_many_small_pieces_is_understood(self, scp: DicomScp) -> None:
        from pynetdicom.pdu_primitives import A_ASSOCIATE

        with associated(scp.port) as association:
            asked: A_ASSOCIATE = association.requestor.primitive
        request = A_ASSOCIATE_RQ()
        request.from_primitive(asked)
        with socket.create_connection(("127.0.0.1", scp.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in request.encode():
                connection.send(bytes([byte]))
            connection.settimeout(5)
            assert connection.recv(1) == b"\x02"  # A-ASSOCIATE-AC

    def test_no_log_line_holds_a_patient(
        self, scp: DicomScp, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        made = page()
        send(scp.port, made)
        send(scp.port, page(StudyDate="nonsense"))
        mine = [r for r in caplog.records if not r.threadName or "Acceptor" in r.threadName or "dicom" in r.name]
        text = "\n".join(record.getMessage() for record in mine if record.name.startswith("gateway"))
        text += capfd.readouterr().err
        for secret in ("P-4711", "Jörg", "19500203", "A-17", str(made.SOPInstanceUID)):
            assert secret not in text
        assert "job" in text


def _pdv(control: int, data: bytes) -> bytes:
    """A P-DATA-TF PDU with one value of presentation context 1."""
    return struct.pack(">BBLLBB", 4, 0, len(data) + 6, len(data) + 2, 1, control) + data


def _command(field: int) -> bytes:
    """A command set (PS3.7 E.1) with a dataset, but for a C-ECHO-RQ."""
    values = ((0x0100, field), (0x0110, 1), (0x0700, 2), (0x0800, 0x0101 if field == 0x30 else 1))
    verification = struct.pack("<HHI", 0, 2, 18) + ECHO.encode() + b"\0"
    return verification + b"".join(struct.pack("<HHIH", 0, number, 2, value) for number, value in values)


def _store_command(made: FileDataset) -> bytes:
    """The command set of a C-STORE-RQ."""
    command = Dataset()
    command.AffectedSOPClassUID, command.AffectedSOPInstanceUID = made.SOPClassUID, made.SOPInstanceUID
    command.CommandField, command.MessageID, command.Priority, command.CommandDataSetType = 1, 1, 2, 1
    return bytes(encode(command, True, True))


def _hung_up(connection: socket.socket, seconds: float = 2) -> bool:
    """Whether the other side closes the connection in time; TimeoutError where it does not."""
    connection.settimeout(seconds)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:  # closed with something of ours unread
        return True


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, psutil.Process]]:
    port, folder = free_port(), tmp_path_factory.mktemp("listener")
    command = [sys.executable, "-m", "tests.bench.bench_receive", "--serve", str(port), "--folder", str(folder)]
    process = subprocess.Popen(command)
    try:
        _soon(lambda: _answers(port), 60)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


class TestAnObjectThatIsExpensiveToParse:
    """In a process of its own, whose memory is only the listener's."""

    @pytest.mark.parametrize(
        ("shape", "size_mb", "status", "why"),
        [
            ("empty_items", 16, Status.CANNOT_UNDERSTAND, "more than 100000 elements before the pixels"),
            ("open_items", 190, Status.CANNOT_UNDERSTAND, "more than 100000 elements before the pixels"),
            ("nested", 16, Status.CANNOT_UNDERSTAND, "sequences nested more than 32 deep"),
            ("small_private_elements", 16, Status.CANNOT_UNDERSTAND, "more than 100000 elements before the pixels"),
            ("numbers", 16, Status.CANNOT_UNDERSTAND, "more than 128 KB of texts before the pixels"),
            ("one_private_value", 100, Status.SUCCESS, None),
            ("counted_items", 16, Status.SUCCESS, None),
        ],
    )
    def test_is_answered_while_others_store(
        self, listener: tuple[int, psutil.Process], shape: str, size_mb: int, status: Status, why: str | None
    ) -> None:
        port, process = listener
        assert send(port, page(), called="CARDIOSCAN").Status == Status.SUCCESS  # everything lazy is loaded
        over, waits, peaks = threading.Event(), [0.0], [process.memory_info().rss]

        def store_pages() -> None:
            with associated(port, PAGES, called="CARDIOSCAN") as association:
                while not over.is_set():
                    began = time.monotonic()
                    assert association.send_c_store(page()).Status == Status.SUCCESS
                    waits.append(time.monotonic() - began)

        def watch() -> None:
            while not over.wait(0.005):
                peaks.append(process.memory_info().rss)

        others = [threading.Thread(target=work) for work in (store_pages, watch)]
        for other in others:
            other.start()
        before = _cpu_s(process)
        try:
            answer = _send_encoded(port, shape, size_mb * 10**6)
            _soon(lambda: len(waits) > 5, 60)  # the refusal may take less time than a few pages
        finally:
            over.set()
            for other in others:
                other.join()
        assert (answer.Status, answer.ErrorComment) == (status, why)
        assert len(waits) > 5
        assert max(waits) < 5
        assert (max(peaks) - peaks[0]) / 1e6 < 50
        assert _cpu_s(process) - before < 10  # pydicom takes 26 s for 16 MB of items


def _answers(port: int) -> bool:
    with associated(port, called="CARDIOSCAN") as association:
        return bool(association.is_established)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _send_encoded(port: int, shape: str, size_bytes: int) -> Any:
    instance = uid.generate_uid()
    with associated(port, PAGES, called="CARDIOSCAN") as association:
        association.dimse_timeout = 120
        pieces = hostile_dicom.SHAPES[shape](size_bytes)
        dataset = hostile_dicom.names(SECONDARY_CAPTURE, instance) + b"".join(pieces)
        return _answer_to(association, page(), sop_instance=instance, dataset=dataset)


def _dcmtk(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"dcmtk's {program} is not installed")
    return found


def _run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False, cwd=cwd)


@pytest.mark.peer
class TestDcmtk:
    def test_echoscu_is_answered(self, scp: DicomScp) -> None:
        assert _run(_dcmtk("echoscu"), "-aec", "DOOR", "127.0.0.1", str(scp.port)).returncode == 0

    def test_echoscu_to_another_title_is_rejected(self, scp: DicomScp) -> None:
        done = _run(_dcmtk("echoscu"), "-aec", "ELSEWHERE", "127.0.0.1", str(scp.port))
        assert done.returncode != 0
        assert "Called AE Title Not Recognized" in done.stderr

    @pytest.mark.parametrize(
        ("option", "syntax", "convert"),
        [
            ("-xi", uid.ImplicitVRLittleEndian, ["dcmconv", "+ti"]),
            ("-xe", uid.ExplicitVRLittleEndian, ["dcmconv", "+te"]),
            ("-xb", uid.ExplicitVRBigEndian, ["dcmconv", "+tb"]),
            ("-xy", uid.JPEGBaseline8Bit, ["dcmcjpeg", "+eb"]),
            ("-xx", uid.JPEGExtended12Bit, ["dcmcjpeg", "+ee"]),
            ("-xs", uid.JPEGLosslessSV1, ["dcmcjpeg", "+e1"]),
            ("-xt", uid.JPEGLSLossless, ["dcmcjpls", "+el"]),
            ("-xu", uid.JPEGLSNearLossless, ["dcmcjpls", "+en"]),
            ("-xr", uid.RLELossless, ["dcmcrle"]),
            ("-xv", uid.JPEG2000Lossless, []),
        ],
    )
    @pytest.mark.parametrize("photometric", ["MONOCHROME2", "RGB"])
    def test_storescu_sends_every_syntax_and_every_page_is_read(
        self,
        scp: DicomScp,
        store: Store,
        tmp_path: Path,
        option: str,
        syntax: UID,
        convert: list[str],
        photometric: str,
    ) -> None:
        from gateway.config import IdentitySection, LimitsSection
        from gateway.unpack import unpack

        made = dicom_object()
        pixels = gradient(80, 120) if photometric == "MONOCHROME2" else colours(80, 120)
        put_pixels(made, pixels[None], photometric)
        path = save(made, tmp_path / "page.dcm")
        if convert:
            target = tmp_path / "converted.dcm"
            done = _run(_dcmtk(convert[0]), *convert[1:], path, target)
            assert done.returncode == 0, done.stderr
        else:
            target = compressed(path, syntax)
        done = _run(_dcmtk("storescu"), option, "-aec", "DOOR", "127.0.0.1", str(scp.port), target)
        assert done.returncode == 0, done.stderr
        (job,) = store.jobs()
        assert dcmread(store.content(job), stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax
        ((_, read),) = unpack(store.content(job), job.arrival, LimitsSection(), IdentitySection()).pages
        expected = np.broadcast_to(pixels if pixels.ndim == 3 else pixels[..., None], read.image.shape)
        lossy = syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless)
        assert np.abs(read.image.astype(int) - expected).mean() <= (6 if lossy else 0)

    def test_many_objects_over_several_associations_are_all_there(
        self, scp: DicomScp, store: Store, tmp_path: Path
    ) -> None:
        for sender in range(3):
            (tmp_path / str(sender)).mkdir()
            for number in range(10):
                save(page(InstanceNumber=number), tmp_path / str(sender) / f"{number}.dcm")
        command = [_dcmtk("storescu"), "+sd", "-aec", "DOOR", "127.0.0.1", str(scp.port)]
        running = [subprocess.Popen([*command, str(tmp_path / str(sender))]) for sender in range(3)]
        assert [process.wait(60) for process in running] == [0, 0, 0]
        assert len(store.jobs()) == 30

    def test_a_large_object_is_never_held_in_memory(self, store: Store, tmp_path: Path) -> None:
        made = page()
        put_pixels(made, np.random.default_rng(1).integers(0, 255, (1, 8000, 10_000), np.uint8))
        path = save(made, tmp_path / "large.dcm")
        del made
        with listening(store, object_max_mb=100) as scp:
            assert echo(scp.port) == Status.SUCCESS  # everything lazy is loaded
            before = peak = _memory_mb()
            sender = subprocess.Popen([_dcmtk("storescu"), "-aec", "DOOR", "127.0.0.1", str(scp.port), str(path)])
            while sender.poll() is None:
                peak = max(peak, _memory_mb())
                time.sleep(0.005)
            assert sender.returncode == 0
        assert store.jobs()[0].size_bytes > 80e6
        assert peak - before < 20

    def test_a_full_disk_is_told_to_storescu_and_nothing_is_left(self, tmp_path: Path) -> None:
        """On a real file system of 3 MB, where this process may make one."""
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = _run("mount", "-t", "tmpfs", "-o", "size=8m", "none", disk)
        if mounted.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
        try:
            made = dicom_object()
            put_pixels(made, np.zeros((1, 4000, 4000), np.uint8))
            path = save(made, tmp_path / "large.dcm")
            small = save(page(), tmp_path / "small.dcm")
            with (
                Store.open(DataSection(folder=disk / "data", reserve_mb=0)) as store,
                listening(store, object_max_mb=100) as scp,
            ):
                command = [_dcmtk("storescu"), "-v", "-aec", "DOOR", "127.0.0.1", str(scp.port)]
                done = _run(*command, path)
                assert "Refused: OutOfResources" in done.stdout + done.stderr
                assert left_in_staging(store) == []
                assert store.jobs() == []
                assert _run(*command, small).returncode == 0
                assert recognise(store.content(store.jobs()[0])) is not None
        finally:
            _run("umount", disk)
