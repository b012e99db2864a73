"""An object on its way in: straight to disk, hashed and capped while it arrives."""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import struct
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom.uid import UID
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.presentation import PresentationContext

from gateway.errors import CodedError, OutOfSpace, Refused
from gateway.intake.dicom_scp.pace import Pace

log = logging.getLogger(__name__)

NO_DATASET = 0x0101  # PS3.7 E.1: the value of Command Data Set Type that says so
# Names our files' writer. Without a version: the same object must give the same bytes after an upgrade.
IMPLEMENTATION_CLASS_UID = UID("2.25.232786204571438520186270944113258412751")

MESSAGE_ROUND_S = 0.02  # how often the association looks for a release while no message comes
HELD_MAX_BYTES = 64 * 1024  # of a command, or of the dataset of another request than C-STORE; a command has 300
WAITING_MAX = 16  # requests not yet worked on; without an asynchronous operations window a sender has one
# In place of names that pynetdicom would end the association for, so that the object alone is refused.
NAMELESS_CLASS, NAMELESS_INSTANCE = UID("1.2.840.10008.5.1.4.1.1.7"), UID("2.25.0")

# SOP class, SOP instance and presentation context of a C-STORE
NewObject = Callable[[str, str, PresentationContext], "StagedObject"]


def file_head(sop_class: str, sop_instance: str, syntax: str) -> bytes:
    """Preamble and file meta information (PS3.10 7.1) before a dataset.

    Nothing in it changes from one sending to the next, so that the same object sent twice is the same file, with the
    same hash. The preamble is zero: a sender cannot make the file something else as well.
    """
    elements = b"".join(
        (
            struct.pack("<HH2sHI2s", 2, 0x0001, b"OB", 0, 2, b"\x00\x01"),  # File Meta Information Version
            _uid_element(0x0002, sop_class),  # Media Storage SOP Class UID
            _uid_element(0x0003, sop_instance),  # Media Storage SOP Instance UID
            _uid_element(0x0010, syntax),  # Transfer Syntax UID
            _uid_element(0x0012, IMPLEMENTATION_CLASS_UID),
        )
    )
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(elements)) + elements


def _uid_element(number: int, value: str) -> bytes:
    """An element of group 2 with a UID, padded to an even length (PS3.5 6.2, 7.1.2)."""
    data = value.encode("ascii")
    data += bytes(len(data) % 2)
    return struct.pack("<HH2sH", 2, number, b"UI", len(data)) + data


class StagedObject:
    """A file in the staging folder that grows as the network delivers.

    A fault while it grows (no space, too large) does not stop the conversation: the rest is taken off the wire and
    dropped, the file is removed at once, and fault says what the sender is to be told. has_names: whether the command
    named a class and an object that pynetdicom can hold.
    """

    def __init__(self, folder: Path, size_max: int, fault: CodedError | None = None, *, has_names: bool = True) -> None:
        self.path = folder / f"{uuid.uuid4().hex}.dcm"
        self.fault = fault
        self.has_names = has_names
        self.size_bytes = 0
        self._size_max = size_max
        self._hash = hashlib.sha256()
        self._descriptor = -1
        self._remove: weakref.finalize[[int, Path], StagedObject] | None = None
        if fault is None:
            self._open()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def name(self) -> str:
        """Where pynetdicom looks for the file to remove when the handler is done; by then it is ours no more."""
        return str(self.path)

    @property
    def file(self) -> StagedObject:
        """pynetdicom flushes through this after every fragment."""
        return self

    def flush(self) -> None:
        """Nothing is buffered here; the store calls fsync once, at the end."""

    def write(self, data: bytes) -> int:
        """Appends a fragment. Never raises: see fault."""
        if self.fault is not None:
            return len(data)
        self.size_bytes += len(data)
        if self.size_bytes > self._size_max:
            self._fail(Refused("too_large", f"object is larger than {self._size_max // 10**6} MB"))
            return len(data)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._fail(OutOfSpace("out_of_space", os.strerror(error.errno or 0)))
            return len(data)
        self._hash.update(data)
        return len(data)

    def close(self) -> None:
        """Removes the file where it still is; after the store has taken it there is nothing to remove."""
        if self._remove is not None:
            self._remove()

    def _open(self) -> None:
        try:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self.fault = OutOfSpace("out_of_space", os.strerror(error.errno or 0))
            return
        # Also when an association dies half way and nobody calls close().
        self._remove = weakref.finalize(self, _discard, self._descriptor, self.path)

    def _fail(self, fault: CodedError) -> None:
        self.fault = fault
        self.close()


def _discard(descriptor: int, path: Path) -> None:
    try:
        os.close(descriptor)
        path.unlink(missing_ok=True)
    except OSError as error:  # what was answered stays true; the next start sweeps the folder
        log.warning("a staged file could not be removed: %s", error.strerror)


class StagingDimse(DIMSEServiceProvider):
    """pynetdicom's DIMSE provider, with C-STORE datasets going to our own files from their first fragment on.

    (Its STORE_RECV_CHUNKED_DATASET writes to the system's temporary folder, for the whole process, without a cap, and
    leaves the file of a broken transfer behind.)
    """

    def __init__(self, assoc: Any, new_object: NewObject, pace: Pace) -> None:
        super().__init__(assoc)
        self._pace = pace
        self._new_object = new_object
        self._growing: StagedObject | None = None
        self._held_bytes = 0
        self._is_over = False

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Takes the fragments of a P-DATA one at a time: command and dataset may come in the same one."""
        for fragment in primitive.presentation_data_value_list:
            if not self._is_bearable(fragment[1]):
                return
            single = P_DATA()
            single.presentation_data_value_list.append(fragment)
            super().receive_primitive(single)
            self._redirect(fragment[0])

    def get_msg(self, block: bool = False) -> Any:
        """The next message. Where pynetdicom's reactor would come back a millisecond later, waits for it instead."""
        if block:
            return super().get_msg(block=True)
        try:
            return self.msg_queue.get(timeout=MESSAGE_ROUND_S)
        except queue.Empty:
            return None, None

    def abandon(self) -> None:
        """The association is over: what was half received is removed."""
        if self._growing is not None:
            self._growing.close()
            self._growing = None

    def _is_bearable(self, fragment: bytes) -> bool:
        """Whether a fragment may be taken; ends the association of a sender that fills memory instead of a file."""
        if self._growing is None:
            self._held_bytes += len(fragment)
        if self._held_bytes > HELD_MAX_BYTES or self.msg_queue.qsize() > WAITING_MAX:
            self._end()
        return not self._is_over

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Sends an answer, unless the association has been ended meanwhile."""
        if not self._is_over:
            super().send_msg(primitive, context_id)

    def _end(self) -> None:
        """Aborts the association as pynetdicom does for a request that cannot be one. No answer may follow that."""
        if self._is_over:
            return
        self._is_over = True
        sender = self.assoc.requestor
        log.warning("association from %s at %s ended: too much of it to keep", sender.ae_title, sender.address)
        for waiting in (self.msg_queue, self.dul.to_provider_queue):
            with waiting.mutex:
                waiting.queue.clear()
        self.dul.event_queue.put("Evt19")

    def _redirect(self, context_id: int) -> None:
        message = self.message
        if message is None:  # complete, and on its way to the handler, which closes the file
            if self._growing is not None:
                self._pace.rest()
            self._growing = None
            self._held_bytes = 0
            return
        if not isinstance(message, C_STORE_RQ) or message._data_set_file is not None:
            return
        context = self.assoc._accepted_cx.get(context_id)
        if context is None or message.command_set.get("CommandDataSetType") == NO_DATASET:
            return  # pynetdicom aborts such an association itself
        command = message.command_set
        self._pace.begin()
        self._growing = self._new_object(
            str(command.get("AffectedSOPClassUID") or ""),
            str(command.get("AffectedSOPInstanceUID") or ""),
            context,
        )
        if not self._growing.has_names:
            command.AffectedSOPClassUID, command.AffectedSOPInstanceUID = NAMELESS_CLASS, NAMELESS_INSTANCE
        message._data_set_file = self._growing  # type: ignore[assignment]
