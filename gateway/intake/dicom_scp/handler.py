"""Answers a C-STORE: yes only after the store has committed."""

from __future__ import annotations

import logging
from enum import IntEnum
from typing import Any

from pydicom.dataset import Dataset

from gateway.config import Config
from gateway.errors import CodedError, Refused, TryAgain
from gateway.identity.dicom_values import is_uid
from gateway.identity.order import Order
from gateway.intake.dicom_scp.staging import StagedObject
from gateway.job import Arrival, Door
from gateway.safe_traceback import frames_of
from gateway.store import Store
from gateway.unpack import MediaType
from gateway.unpack.dicom_header import read_top_level
from gateway.unpack.dicom_order import order_from_dicom

log = logging.getLogger(__name__)

COMMENT_MAX = 64  # characters; PS3.7 E.2: Error Comment is a LO


class Status(IntEnum):
    """What a C-STORE is answered with (PS3.4 B.2.3, PS3.7 C.5)."""

    SUCCESS = 0x0000
    INVALID_SOP_INSTANCE = 0x0117  # the SOP Instance UID breaks the rules for UIDs
    OUT_OF_RESOURCES = 0xA700  # try again later: disk full, queue full
    DOES_NOT_MATCH = 0xA900  # the dataset is another object than the command says
    CANNOT_UNDERSTAND = 0xC000  # do not try again: damaged
    TOO_LARGE = 0xC001  # do not try again: beyond dicom_scp.object_max_mb


class CStoreHandler:
    """The handler of pynetdicom's EVT_C_STORE."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._store = store

    def __call__(self, event: Any) -> Dataset:
        staged: StagedObject = event.request._dataset_file
        sender = event.assoc.requestor
        try:
            job = self._take(event, staged)
        except CodedError as error:
            status = _status_of(error)
            log.warning("C-STORE from %s at %s: %04X %s", sender.ae_title, sender.address, status, error)
            return _answer(status, error.why, has_names=staged.has_names)
        except OSError as error:  # the disk, not the object: the sender keeps it and comes again
            log.error("C-STORE from %s at %s: the disk failed\n%s", sender.ae_title, sender.address, frames_of(error))
            return _answer(Status.OUT_OF_RESOURCES, f"storage failed: {error.strerror}")
        finally:
            staged.close()
        log.info("C-STORE from %s at %s: %s", sender.ae_title, sender.address, job)
        return _answer(Status.SUCCESS)

    def _take(self, event: Any, staged: StagedObject) -> str:
        """Commits the object as a job and returns words for the log. Raises CodedError and OSError."""
        if staged.fault is not None:
            raise staged.fault
        order = self._order(event, staged)
        sender = event.assoc.requestor
        arrival = Arrival(
            door=Door.DICOM,
            sender=sender.ae_title,
            sender_address=sender.address,
            called=sender.primitive.called_ae_title,
            media_type=MediaType.DICOM,
            order=order,
        )
        receipt = self._store.receive(staged.path, arrival, sha256=staged.sha256)
        return f"job {receipt.job_id}{' again' if receipt.duplicate else ''}, {staged.size_bytes} bytes"

    def _order(self, event: Any, staged: StagedObject) -> Order:
        """Whose ECG it is, once it is certain that command and dataset speak of the same object."""
        sop_class, sop_instance = str(event.request.AffectedSOPClassUID), str(event.request.AffectedSOPInstanceUID)
        header = read_top_level(staged.path)
        order = order_from_dicom(header, self._config.identity)
        if not is_uid(order.source.sop_instance_uid):
            code = "invalid_uid" if "SOPInstanceUID" in header else "no_sop_instance"
            raise Refused(code, "the dataset has no lawful SOP Instance UID")
        if (order.source.sop_class_uid, order.source.sop_instance_uid) != (sop_class, sop_instance):
            raise Refused("does_not_match", "command and dataset name different objects")
        return order


def _status_of(error: CodedError) -> Status:
    if isinstance(error, TryAgain):
        return Status.OUT_OF_RESOURCES
    named = {
        "invalid_uid": Status.INVALID_SOP_INSTANCE,
        "does_not_match": Status.DOES_NOT_MATCH,
        "too_large": Status.TOO_LARGE,
    }
    return named.get(error.code, Status.CANNOT_UNDERSTAND)


def _answer(status: Status, comment: str = "", *, has_names: bool = True) -> Dataset:
    """has_names: whether pynetdicom holds the names that the command said, so that the answer may repeat them."""
    answer = Dataset()
    answer.Status = int(status)
    if not has_names:
        answer.AffectedSOPClassUID = answer.AffectedSOPInstanceUID = ""  # left out
    if comment:
        answer.ErrorComment = comment.encode("ascii", "replace").decode()[:COMMENT_MAX]
    return answer
