"""One association with a worklist, over in timeout_s whatever the worklist does: a person waits."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from pydicom.uid import UID
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ

from gateway.config import WorklistSection
from gateway.dicom_answers import bound
from gateway.errors import Refused, TryAgain

# pynetdicom logs identifiers and the texts of exceptions, which may quote them; our log has no patients.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
_config.LOG_HANDLER_LEVEL = "none"
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False

PDU_MAX_BYTES = 131_072  # what the worklist may send at once
RELEASE_S = 1.0  # all is told by then: a worklist that does not say goodbye is cut off


class Call:
    """An association with one worklist, made once."""

    def __init__(self, config: WorklistSection) -> None:
        self.config = config
        self.over = False  # its time is up
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._rejection: A_ASSOCIATE_RJ | None = None

    @property
    def peer(self) -> str:
        """The worklist in words."""
        return f"{self.config.called_ae_title} at {self.config.host}:{self.config.port}"

    @contextmanager
    def association(self, *classes: UID) -> Iterator[Association]:
        """An open association with at least one of these classes accepted.

        Raises TryAgain (no connection, no association, time is up), Refused (it takes none of the classes).
        """
        watch = threading.Timer(self.config.timeout_s, self._end)
        watch.daemon = True
        watch.start()
        association: Association | None = None
        try:
            association = self._associate(classes)
            yield association
            if association.is_established:
                association.acse_timeout = RELEASE_S
                association.release()
        except socket.gaierror as error:
            why = f"the name {self.config.host} is not known; look at host in the configuration"
            raise TryAgain("unknown_host", why) from error
        except (OSError, RuntimeError) as error:  # RuntimeError: the association ended between two looks at it
            raise self.ended() from error
        finally:
            watch.cancel()
            if association is not None and association.is_established:
                association.abort()

    def ended(self) -> TryAgain:
        """Why nothing more comes."""
        if self.over:
            return TryAgain("timeout", f"{self.peer} did not answer in {self.config.timeout_s:g} s")
        return TryAgain("connection_lost", f"{self.peer} ended the association")

    def _associate(self, classes: Sequence[UID]) -> Association:
        ae = AE(self.config.calling_ae_title)
        ae.acse_timeout = ae.dimse_timeout = ae.connection_timeout = ae.network_timeout = self.config.timeout_s
        association = ae.associate(
            self.config.host,
            self.config.port,
            [build_context(uid) for uid in classes],
            self.config.called_ae_title,
            PDU_MAX_BYTES,
            evt_handlers=[(evt.EVT_CONN_OPEN, self._on_open), (evt.EVT_PDU_RECV, self._on_pdu)],
        )
        if not association.is_established:
            raise self._why_not(association, classes)
        return association

    def _on_open(self, event: evt.Event) -> None:
        transport = event.assoc.dul.socket
        if transport is None or transport.socket is None:
            return
        with self._lock:
            self._socket = transport.socket
            # a question is one small segment, and Nagle's algorithm would hold it back for the acknowledgement before
            transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound(event.assoc)
        if self.over:
            self._end()

    def _on_pdu(self, event: evt.Event) -> None:
        # A no that comes before pynetdicom's other thread looks for it reads there like a connection never made.
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            self._rejection = event.pdu

    def _end(self) -> None:
        """Shuts the socket, which ends whatever waits on it."""
        self.over = True
        with self._lock:
            if self._socket is not None:
                with suppress(OSError):  # closed already
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _why_not(self, association: Association, classes: Sequence[UID]) -> TryAgain | Refused:
        answer = association.acceptor.primitive
        if self._socket is None:
            where = f"{self.config.host}:{self.config.port}"
            return TryAgain("unreachable", f"no connection to {where}; is the worklist up, is the address right?")
        if self._rejection is not None:
            why = f"{self.peer} rejected the association: {self._rejection.reason_str.lower()}"
            return TryAgain("association_rejected", f"{why}; is {self.config.calling_ae_title} known there?")
        if answer is not None and answer.presentation_context_definition_results_list:  # none of them accepted
            return self.not_taken(classes)
        return self.ended()

    def not_taken(self, classes: Sequence[UID]) -> Refused:
        """Why none of these can be asked."""
        names = ", ".join(uid.name for uid in classes)
        return Refused("no_presentation_context", f"{self.peer} does not take {names}; enable it there")
