"""The C-STORE door: a DICOM listener that says yes only to what is safely on disk and committed."""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from typing import Any

from pynetdicom import AE, _config, evt
from pynetdicom.presentation import PresentationContext

from gateway.config import Config
from gateway.errors import Refused, TryAgain
from gateway.identity.dicom_values import is_uid
from gateway.intake.dicom_scp.anteroom import REQUEST_WITHIN_S
from gateway.intake.dicom_scp.connection import GuardedSocket, WakingQueue
from gateway.intake.dicom_scp.contexts import STORAGE_CLASSES, TRANSFER_SYNTAXES, supported_contexts
from gateway.intake.dicom_scp.handler import CStoreHandler, Status
from gateway.intake.dicom_scp.pace import Pace
from gateway.intake.dicom_scp.server import GuardedServer
from gateway.intake.dicom_scp.staging import IMPLEMENTATION_CLASS_UID, StagedObject, StagingDimse, file_head
from gateway.store import Store

__all__ = ["STORAGE_CLASSES", "TRANSFER_SYNTAXES", "DicomScp", "Status"]

log = logging.getLogger(__name__)

PDU_MAX_BYTES = 128 * 1024  # what dcmtk sends at most; 16 KB, the usual default, costs a third of the throughput
IMPLEMENTATION_NAME = "CARDIOSCAN"
STOP_PATIENCE_S = 3.0  # for objects half way in when the gateway stops; the sender sends the rest again
ROOM_KNOWN_S = 0.5  # how long an answer of store.room() is good for: it counts the queue

# pynetdicom logs identifiers, UIDs, PDUs and the texts of exceptions, which may quote any of them; our log has job ids
# and hashes only, and says itself who was rejected, what was refused and what failed.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
_config.LOG_HANDLER_LEVEL = "none"
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False


class DicomScp:
    """Listens from start() to stop(). Its threads touch the store only through room() and receive()."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._settings = config.dicom_scp
        self._store = store
        self._server: GuardedServer | None = None
        self._room: tuple[float, TryAgain | None] = (0.0, None)

    @property
    def port(self) -> int:
        """The port listened on, also where the configuration says 0 (any)."""
        if self._server is None:
            raise RuntimeError("the listener has not been started")
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Opens the port and returns. OSError where it cannot be opened."""
        settings = self._settings
        server = GuardedServer(
            self._application_entity(),
            (settings.host, settings.port),
            settings.ae_title,
            supported_contexts(),
            evt_handlers=[
                (evt.EVT_C_STORE, CStoreHandler(self._config, self._store)),
                (evt.EVT_CONN_OPEN, _no_delay),
                (evt.EVT_REJECTED, _log_rejected),
                *((ending, _abandon) for ending in (evt.EVT_CONN_CLOSE, evt.EVT_ABORTED, evt.EVT_RELEASED)),
            ],
            networks=tuple(ipaddress.ip_network(address, strict=False) for address in settings.addresses),
            per_address_max=settings.associations_per_address_max,
            prepare=self._prepare,
        )
        server.start()
        self._server = server
        log.info("DICOM listener %s on %s port %d", settings.ae_title, settings.host, self.port)

    def stop(self) -> None:
        """Closes the port; returns when no association is left."""
        if self._server is not None:
            self._server.stop(STOP_PATIENCE_S)
            self._server = None

    def _application_entity(self) -> AE:
        settings = self._settings
        entity = AE(settings.ae_title)
        entity.require_called_aet = settings.require_called_ae_title
        entity.require_calling_aet = list(settings.calling_ae_titles)
        entity.maximum_associations = settings.associations_max
        entity.maximum_pdu_size = PDU_MAX_BYTES
        entity.network_timeout = settings.network_timeout_s
        entity.dimse_timeout = settings.network_timeout_s
        entity.acse_timeout = REQUEST_WITHIN_S
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_NAME
        return entity

    def _prepare(self, association: Any) -> None:
        """Puts our socket and our DIMSE provider into a new association, before its threads start."""
        timeout_s = self._settings.network_timeout_s
        dul = association.dul
        dul.to_provider_queue = to_send = WakingQueue()
        pace = Pace(self._settings)
        dul.socket = GuardedSocket(dul.socket, to_send, PDU_MAX_BYTES, timeout_s, pace)
        dul._run_loop_delay = 0  # it sleeps where it waits for the socket
        association.dimse = StagingDimse(association, self._new_object, pace)

    def _new_object(self, sop_class: str, sop_instance: str, context: PresentationContext) -> StagedObject:
        """Where the dataset of a C-STORE goes that has just begun; already refused where its command is at fault."""
        size_max = self._settings.object_max_mb * 10**6
        fault = _name_fault(sop_class, sop_instance, context) or self._no_room()
        has_names = sop_class in STORAGE_CLASSES and is_uid(sop_instance)
        staged = StagedObject(self._store.staging, size_max, fault, has_names=has_names)
        if fault is None:
            staged.write(file_head(sop_class, sop_instance, str(context.transfer_syntax[0])))
        return staged

    def _no_room(self) -> TryAgain | None:
        """Why nothing can be taken now, asked before the object is received and not only after."""
        known_at, answer = self._room
        if time.monotonic() - known_at > ROOM_KNOWN_S:
            try:
                self._store.room()
                answer = None
            except TryAgain as error:
                answer = error
            self._room = (time.monotonic(), answer)
        return answer


def _name_fault(sop_class: str, sop_instance: str, context: PresentationContext) -> Refused | None:
    """Why a command does not name an object that may come in this presentation context."""
    if not is_uid(sop_instance):
        return Refused("invalid_uid", "the SOP Instance UID is not lawful")
    if sop_class not in STORAGE_CLASSES or sop_class != context.abstract_syntax:
        return Refused("does_not_match", "the object is not of the context's SOP class")
    return None


def _no_delay(event: Any) -> None:
    """Answers leave at once: with Nagle's algorithm each waits 40 ms for the peer's delayed ACK."""
    connection = event.assoc.dul.socket.socket
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _abandon(event: Any) -> None:
    event.assoc.dimse.abandon()


def _log_rejected(event: Any) -> None:
    sender = event.assoc.requestor
    log.warning("association from %s at %s rejected", sender.ae_title, sender.address)
