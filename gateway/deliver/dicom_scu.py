"""Stores a DICOM object in a PACS by C-STORE, and asks by C-ECHO whether it would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    EncapsulatedPDFStorage,
    GeneralECGWaveformStorage,
    ImplicitVRLittleEndian,
    TwelveLeadECGWaveformStorage,
)
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext

from gateway.config import DicomDestination
from gateway.deliver.c_store_status import DeliveryOutcome, meaning_of
from gateway.deliver.sender import Delivered
from gateway.dicom_answers import bound
from gateway.errors import Refused, TryAgain
from gateway.job import Document, DocumentKind

VERIFICATION = UID("1.2.840.10008.1.1")
ECG_CLASSES = (TwelveLeadECGWaveformStorage, GeneralECGWaveformStorage)
# A status of the peer's own that is neither yes nor no: three looks tell a passing fault from a habit.
UNKNOWN_STATUS_ATTEMPTS_MAX = 3
PDU_MAX_BYTES = 131_072  # what we let the peer send us; its answers are short
MESSAGE_ID_MAX = 65_535  # PS3.7 9.3.1.1: US
# pynetdicom's timeouts do not end a send to a peer that stops reading, nor a receive of one byte at a time.
# After this many timeout_s (negotiate, answer, release) the socket is shut under it.
HARD_LIMIT_TIMEOUTS = 3


@dataclass(frozen=True)
class Echo:
    """An answered C-ECHO. missing: the storage classes we may need that the peer does not take."""

    missing: tuple[UID, ...]


class DicomScu:
    """One association, kept open between objects, one object in flight."""

    def __init__(self, config: DicomDestination) -> None:
        self.config = config
        self.classes = (*ECG_CLASSES, EncapsulatedPDFStorage) if config.report else ECG_CLASSES
        self._association: Association | None = None
        self._socket: socket.socket | None = None
        self._rejection: A_ASSOCIATE_RJ | None = None
        self._message_id = 0

    def send(self, document: Document) -> Delivered:
        """Delivered on success and on warnings, which the response names.

        Raises Refused (the PACS says no to this object, or takes no such objects), TryAgain (no connection, no
        association, no answer in timeout_s, out of resources).
        """
        dataset = _read(document)
        with self._limited():
            association = self._open(dataset)
            self._message_id = self._message_id % MESSAGE_ID_MAX + 1
            response = association.send_c_store(dataset, msg_id=self._message_id)
            if "Status" not in response:  # pynetdicom's way to say: timed out, aborted, or an invalid answer
                raise TryAgain("no_answer", f"{self._peer} ended, or gave no answer in {self.config.timeout_s:g} s")
        return self._judge(response)

    def echo(self) -> Echo:
        """Asks whether the PACS is there, knows us and takes what we would send. Raises as send() does."""
        with self._limited():
            association = self._associate([build_context(uid) for uid in (VERIFICATION, *self.classes)])
            accepted = {context.abstract_syntax for context in association.accepted_contexts}
            if VERIFICATION in accepted:
                response = association.send_c_echo()
                if "Status" not in response or response.Status != 0x0000:
                    raise TryAgain("no_echo", f"{self._peer} accepts an association but does not answer C-ECHO")
        self.close()
        return Echo(tuple(uid for uid in self.classes if uid not in accepted))

    def close(self) -> None:
        """Releases the association; one that does not answer is cut off."""
        association, self._association = self._association, None
        if association is not None and association.is_established:
            with self._watched():
                association.release()

    @property
    def _peer(self) -> str:
        return f"{self.config.called_ae_title} at {self.config.host}:{self.config.port}"

    def _judge(self, response: Dataset) -> Delivered:
        status = int(response.Status)
        meaning = meaning_of(status)
        # Error Comment (0000,0902) is free text and may hold patient data; the offending tags hold none.
        tags = response.get("OffendingElement")
        tag_list = f" ({', '.join(map(str, tags if isinstance(tags, list) else [tags]))})" if tags else ""
        text = f"{status:04X}: {meaning.text}{tag_list}"
        if meaning.outcome is DeliveryOutcome.DELIVERED:
            return Delivered(text)
        if meaning.outcome is DeliveryOutcome.REFUSED:
            raise Refused(meaning.code, f"{self._peer} answered {text}", text)
        bound = UNKNOWN_STATUS_ATTEMPTS_MAX if meaning.code == "unknown_status" else None
        raise TryAgain(meaning.code, f"{self._peer} answered {text}", bound, text)

    def _open(self, dataset: Dataset) -> Association:
        """The association, opened anew where there is none or where it was not negotiated for such an object."""
        sop_class, syntaxes = UID(dataset.SOPClassUID), _syntaxes(dataset.file_meta.TransferSyntaxUID)
        association = self._association
        if association is not None and association.is_established and _takes(association, sop_class, syntaxes):
            return association
        self.close()
        # one context for each syntax, so that the PACS may take both and the object goes as it is
        classes = dict.fromkeys((sop_class, *self.classes))
        association = self._associate([build_context(uid, syntax) for uid in classes for syntax in syntaxes])
        if not _takes(association, sop_class, syntaxes):
            raise self._not_taken([sop_class])
        return association

    def _associate(self, contexts: list[PresentationContext]) -> Association:
        ae = AE(self.config.calling_ae_title)
        ae.acse_timeout = ae.dimse_timeout = ae.connection_timeout = self.config.timeout_s
        ae.network_timeout = None  # the association may rest; close() ends it, and the peer may
        self._socket = self._rejection = None
        association = ae.associate(
            self.config.host,
            self.config.port,
            contexts,
            self.config.called_ae_title,
            PDU_MAX_BYTES,
            evt_handlers=[(evt.EVT_CONN_OPEN, self._on_open), (evt.EVT_PDU_RECV, self._on_pdu)],
        )
        if not association.is_established:
            raise self._why_not(association, contexts)
        self._association = association
        return association

    def _on_open(self, event: evt.Event) -> None:
        transport = event.assoc.dul.socket
        if transport is not None and transport.socket is not None:
            self._socket = transport.socket
            # pynetdicom leaves Nagle's algorithm on, and each object then waits for the peer's delayed ACK
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            bound(event.assoc)

    def _on_pdu(self, event: evt.Event) -> None:
        # A no that comes before pynetdicom's other thread looks for it reads there like a connection never made.
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            self._rejection = event.pdu

    def _why_not(self, association: Association, contexts: Sequence[PresentationContext]) -> TryAgain | Refused:
        answer = association.acceptor.primitive
        if self._socket is None:
            where = f"{self.config.host}:{self.config.port}"
            return TryAgain("unreachable", f"no connection to {where}; is the PACS up, is the address right?")
        if self._rejection is not None:
            why = f"{self._peer} rejected the association: {self._rejection.reason_str.lower()}"
            return TryAgain("association_rejected", f"{why}; is {self.config.calling_ae_title} known there?")
        if answer is not None and answer.presentation_context_definition_results_list:  # none of them accepted
            return self._not_taken([UID(context.abstract_syntax or "") for context in contexts])
        return TryAgain("association_aborted", f"{self._peer} did not answer the association request with a yes or no")

    def _not_taken(self, classes: Sequence[UID]) -> Refused:
        names = ", ".join(dict.fromkeys(uid.name for uid in classes))
        return Refused("no_presentation_context", f"{self._peer} does not take {names}; enable it there")

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """What goes wrong in here ends the association, and in time."""
        try:
            with self._watched():
                yield
        except socket.gaierror as error:
            why = f"the name {self.config.host} is not known; look at host in the configuration"
            raise TryAgain("unknown_host", why) from error
        except (OSError, RuntimeError) as error:  # RuntimeError: the association ended between two looks at it
            self.close()
            raise TryAgain("connection_lost", f"the connection to {self._peer} was lost") from error
        except (Refused, TryAgain):
            self.close()
            raise

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Shuts the socket when the hard limit has passed, which ends whatever waits on it."""
        watch = threading.Timer(HARD_LIMIT_TIMEOUTS * self.config.timeout_s, self._shut)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # closed already
                self._socket.shutdown(socket.SHUT_RDWR)


def _read(document: Document) -> Dataset:
    """The data set with its file meta. Refused where it is not one."""
    if document.kind not in (DocumentKind.DICOM_WAVEFORM, DocumentKind.DICOM_PDF):
        raise Refused("wrong_kind", f"a DICOM destination takes DICOM objects, not {document.kind}")
    try:
        dataset = dcmread(BytesIO(document.data))
        uids = dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.file_meta.TransferSyntaxUID
    except (InvalidDicomError, AttributeError, EOFError) as error:
        raise Refused("not_dicom", "the document is no DICOM file with file meta information") from error
    if not all(uids):
        raise Refused("not_dicom", "the document lacks its SOP class, SOP instance or transfer syntax UID")
    return dataset


def _syntaxes(own: UID) -> list[UID]:
    """The object's own transfer syntax, and for an uncompressed one the default every PACS must take (PS3.5 10.1)."""
    return [own] if own.is_compressed or own == ImplicitVRLittleEndian else [own, ImplicitVRLittleEndian]


def _takes(association: Association, sop_class: UID, syntaxes: Sequence[UID]) -> bool:
    return any(
        context.abstract_syntax == sop_class and context.transfer_syntax[0] in syntaxes
        for context in association.accepted_contexts
    )
